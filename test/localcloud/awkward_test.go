package localcloud_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/iibake/iibake/test/localcloud"
)

// Whatever a client sends: the cloud keeps its records, and after a restart they are as they were. A value that records cannot hold is refused, and
// nothing is the matter with those that come after it.
func TestAwkwardValuesOverARestart(t *testing.T) {
	dir := t.TempDir()
	cloud := simulated(t, localcloud.Config{Dir: dir})
	c := configOf(cloud, account)
	compute, parameters, alarms := ec2.NewFromConfig(c), ssm.NewFromConfig(c), cloudwatch.NewFromConfig(c)

	texts := []string{" ", "a\x00b", "\r\n\t", "<&>\"'", "grüße 你好 🙂 \u2028", "\ufffd\ufeff", "%ff %25 +", strings.Repeat("ü", 2000)}
	_, err := parameters.PutParameter(t.Context(), &ssm.PutParameterInput{Name: aws.String("v"), Value: aws.String("first"), Type: ssmtypes.ParameterTypeString})
	ok(t, err)
	for _, text := range texts {
		_, err := parameters.PutParameter(t.Context(), &ssm.PutParameterInput{Name: aws.String("v"), Value: &text, Overwrite: aws.Bool(true)})
		ok(t, err)
	}
	template := func(name string, least *float64, until *time.Time) error {
		_, err := compute.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: &name, LaunchTemplateData: &ec2types.RequestLaunchTemplateData{
			KeyName: aws.String(texts[4]),
			InstanceRequirements: &ec2types.InstanceRequirementsRequest{
				VCpuCount: &ec2types.VCpuCountRangeRequest{Min: aws.Int32(1)}, MemoryMiB: &ec2types.MemoryMiBRequest{Min: aws.Int32(1)},
				MemoryGiBPerVCpu: &ec2types.MemoryGiBPerVCpuRequest{Min: least},
			},
			InstanceMarketOptions: &ec2types.LaunchTemplateInstanceMarketOptionsRequest{SpotOptions: &ec2types.LaunchTemplateSpotMarketOptionsRequest{ValidUntil: until}},
		}})
		return err
	}
	threshold := func(name string, value float64) error {
		_, err := alarms.PutMetricAlarm(t.Context(), &cloudwatch.PutMetricAlarmInput{
			AlarmName: &name, Namespace: aws.String("Web"), MetricName: aws.String("Errors"), Statistic: cwtypes.StatisticSum, Period: aws.Int32(60),
			EvaluationPeriods: aws.Int32(1), Threshold: &value, ComparisonOperator: cwtypes.ComparisonOperatorGreaterThanThreshold,
		})
		return err
	}
	for _, value := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if template("refused", &value, nil) == nil || threshold("refused", value) == nil {
			t.Errorf("%v is accepted", value)
		}
	}
	last := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	ok(t, template("largest", aws.Float64(math.MaxFloat64), &last))
	ok(t, template("least", aws.Float64(-math.SmallestNonzeroFloat64), aws.Time(time.Unix(0, 0))))
	ok(t, threshold("ü \"<&>", -math.MaxFloat64))

	cloud = restarted(t, cloud, dir)
	c = configOf(cloud, account)
	compute, parameters, alarms = ec2.NewFromConfig(c), ssm.NewFromConfig(c), cloudwatch.NewFromConfig(c)
	history, err := parameters.GetParameterHistory(t.Context(), &ssm.GetParameterHistoryInput{Name: aws.String("v")})
	ok(t, err)
	var got []string
	for _, p := range history.Parameters[1:] {
		got = append(got, *p.Value)
	}
	if !slices.Equal(got, texts) {
		t.Errorf("got %q", got)
	}
	v, err := compute.DescribeLaunchTemplateVersions(t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: aws.String("largest")})
	ok(t, err)
	if d := v.LaunchTemplateVersions[0].LaunchTemplateData; *d.InstanceRequirements.MemoryGiBPerVCpu.Min != math.MaxFloat64 || !d.InstanceMarketOptions.SpotOptions.ValidUntil.Equal(last) || *d.KeyName != texts[4] {
		t.Errorf("got %+v", d)
	}
	a, err := alarms.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{})
	ok(t, err)
	if len(a.MetricAlarms) != 1 || *a.MetricAlarms[0].Threshold != -math.MaxFloat64 || *a.MetricAlarms[0].AlarmName != "ü \"<&>" {
		t.Errorf("got %+v", a.MetricAlarms)
	}
}
