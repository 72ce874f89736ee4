package cloudwatch_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cw "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/cloudwatch"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

const (
	region  = "eu-west-1"
	account = "111122223333"
)

// accounts gives every access key the account of its name.
type accounts struct{}

func (accounts) Identify(_ context.Context, accessKey, _ string) (wire.Identity, error) {
	return wire.Identity{Account: accessKey[4:16], ARN: "arn:aws:iam::" + accessKey[4:16] + ":user/test"}, nil
}

type world struct {
	*testing.T
	clock  *clock.Virtual
	store  *state.Store
	client *cw.Client
	other  *cw.Client // of another account
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, clock: clock.NewVirtual(time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC))}
	w.store = state.New(w.clock)
	svc := wire.NewService("monitoring")
	cloudwatch.New(w.store).Register(svc)
	g := wire.NewGateway(wire.Options{Services: []*wire.Service{svc}, Accounts: accounts{}, Clock: w.clock})
	if err := g.Check(); err != nil {
		t.Fatal(err)
	}
	w.client, w.other = client(g, account), client(g, "999988887777")
	return w
}

func client(g *wire.Gateway, account string) *cw.Client {
	return cw.New(cw.Options{
		Region: region, BaseEndpoint: aws.String("http://cloud.test"), HTTPClient: &http.Client{Transport: g}, RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIA" + account, SecretAccessKey: "secret"}, nil
		}),
	})
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// alarm is a request for an alarm when there are more than five errors in each of three minutes.
func alarm(name string, change ...func(*cw.PutMetricAlarmInput)) *cw.PutMetricAlarmInput {
	in := &cw.PutMetricAlarmInput{
		AlarmName: &name, Namespace: aws.String("Web"), MetricName: aws.String("Errors"), Statistic: types.StatisticSum,
		Period: aws.Int32(60), EvaluationPeriods: aws.Int32(3), Threshold: aws.Float64(5), ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold,
	}
	for _, f := range change {
		f(in)
	}
	return in
}

func (w *world) putAlarm(name string, change ...func(*cw.PutMetricAlarmInput)) {
	w.Helper()
	_, err := w.client.PutMetricAlarm(w.Context(), alarm(name, change...))
	w.must(err)
}

// describe returns an alarm.
func (w *world) describe(name string) types.MetricAlarm {
	w.Helper()
	out, err := w.client.DescribeAlarms(w.Context(), &cw.DescribeAlarmsInput{AlarmNames: []string{name}})
	w.must(err)
	if len(out.MetricAlarms) != 1 {
		w.Fatalf("%d alarms", len(out.MetricAlarms))
	}
	return out.MetricAlarms[0]
}

func (w *world) wantState(name string, want types.StateValue) {
	w.Helper()
	if a := w.describe(name); a.StateValue != want {
		w.Errorf("%s is %s (%s), want %s", name, a.StateValue, *a.StateReason, want)
	}
}

func (w *world) set(name string, value types.StateValue) {
	w.Helper()
	_, err := w.client.SetAlarmState(w.Context(), &cw.SetAlarmStateInput{AlarmName: &name, StateValue: value, StateReason: aws.String("testing")})
	w.must(err)
}

func wantError(t *testing.T, err error, code string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code {
		t.Errorf("error is %v, want %s", err, code)
	}
}

func TestAlarmStartsWithoutData(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.putAlarm("5xx", func(in *cw.PutMetricAlarmInput) {
		in.AlarmActions = []string{"arn:aws:sns:eu-west-1:111122223333:page"}
	})
	a := w.describe("5xx")
	if a.StateValue != types.StateValueInsufficientData || *a.StateReason != "Unchecked: Initial alarm creation" || !*a.ActionsEnabled ||
		*a.AlarmArn != "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:5xx" || !a.StateUpdatedTimestamp.Equal(w.clock.Now()) {
		t.Errorf("alarm %s %q %s", a.StateValue, *a.StateReason, *a.AlarmArn)
	}
	w.clock.Advance(time.Hour)
	w.wantState("5xx", types.StateValueInsufficientData)
}

func TestStateIsSetByTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.putAlarm("5xx")
	w.clock.Advance(time.Minute)
	w.set("5xx", types.StateValueAlarm)
	changed := w.clock.Now()
	w.clock.Advance(time.Hour) // it stays, without data
	w.set("5xx", types.StateValueAlarm)
	a := w.describe("5xx")
	if a.StateValue != types.StateValueAlarm || *a.StateReason != "testing" || !a.StateTransitionedTimestamp.Equal(changed) || !a.StateUpdatedTimestamp.Equal(w.clock.Now()) {
		t.Errorf("alarm %s %q since %v, updated %v", a.StateValue, *a.StateReason, a.StateTransitionedTimestamp, a.StateUpdatedTimestamp)
	}
	w.putAlarm("5xx", func(in *cw.PutMetricAlarmInput) { in.Threshold = aws.Float64(7) })
	if a := w.describe("5xx"); a.StateValue != types.StateValueAlarm || *a.Threshold != 7 {
		t.Errorf("after an update it is %s above %v", a.StateValue, *a.Threshold)
	}
	_, err := w.client.SetAlarmState(t.Context(), &cw.SetAlarmStateInput{AlarmName: aws.String("none"), StateValue: types.StateValueOk, StateReason: aws.String("x")})
	wantError(t, err, "ResourceNotFound")
	_, err = w.client.SetAlarmState(t.Context(), &cw.SetAlarmStateInput{AlarmName: aws.String("5xx"), StateValue: types.StateValueOk, StateReason: aws.String("x"), StateReasonData: aws.String("{")})
	wantError(t, err, "InvalidFormat")
	_, err = w.other.SetAlarmState(t.Context(), &cw.SetAlarmStateInput{AlarmName: aws.String("5xx"), StateValue: types.StateValueOk, StateReason: aws.String("x")})
	wantError(t, err, "ResourceNotFound")
}

func TestAlarmRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	type in = *cw.PutMetricAlarmInput
	for name, c := range map[string]struct {
		change func(in)
		code   string
	}{
		"period":         {func(in in) { in.Period = aws.Int32(90) }, "InvalidParameterValue"},
		"a day":          {func(in in) { in.EvaluationPeriods = aws.Int32(1441) }, "ValidationError"},
		"too many":       {func(in in) { in.DatapointsToAlarm = aws.Int32(4) }, "InvalidParameterValue"},
		"missing data":   {func(in in) { in.TreatMissingData = aws.String("bad") }, "InvalidParameterValue"},
		"no threshold":   {func(in in) { in.Threshold = nil }, "MissingParameter"},
		"no metric":      {func(in in) { in.MetricName = nil }, "MissingParameter"},
		"no namespace":   {func(in in) { in.Namespace = nil }, "MissingParameter"},
		"no statistic":   {func(in in) { in.Statistic = "" }, "MissingParameter"},
		"percentile":     {func(in in) { in.ExtendedStatistic = aws.String("p99") }, "InvalidParameterValue"},
		"math":           {func(in in) { in.Metrics = []types.MetricDataQuery{{Id: aws.String("a")}} }, "InvalidParameterValue"},
		"anomaly":        {func(in in) { in.ThresholdMetricId = aws.String("a") }, "InvalidParameterValue"},
		"control char":   {func(in in) { in.AlarmName = aws.String("a\x01") }, "InvalidParameterValue"},
		"two equal tags": {func(in in) { in.Tags = []types.Tag{tag("a"), tag("a")} }, "InvalidParameterValue"},
	} {
		_, err := w.client.PutMetricAlarm(t.Context(), alarm("x", c.change))
		t.Log(name)
		wantError(t, err, c.code)
	}
}

func tag(key string) types.Tag { return types.Tag{Key: &key, Value: &key} }

func TestDescribeAlarms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"web-c", "web-a", "web-b", "db"} {
		w.putAlarm(name, func(in *cw.PutMetricAlarmInput) { in.OKActions = []string{"arn:" + name} })
	}
	w.set("web-b", types.StateValueAlarm)
	for _, c := range []struct {
		in   cw.DescribeAlarmsInput
		want string
	}{
		{cw.DescribeAlarmsInput{}, "db web-a web-b web-c"},
		{cw.DescribeAlarmsInput{AlarmNamePrefix: aws.String("web-")}, "web-a web-b web-c"},
		{cw.DescribeAlarmsInput{AlarmNames: []string{"web-c", "none", "db"}}, "db web-c"},
		{cw.DescribeAlarmsInput{StateValue: types.StateValueAlarm}, "web-b"},
		{cw.DescribeAlarmsInput{ActionPrefix: aws.String("arn:web-a")}, "web-a"},
		{cw.DescribeAlarmsInput{AlarmTypes: []types.AlarmType{types.AlarmTypeCompositeAlarm}}, ""},
		{cw.DescribeAlarmsInput{MaxRecords: aws.Int32(1), AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm}}, "db web-a web-b web-c"},
	} {
		var got []string
		pages := cw.NewDescribeAlarmsPaginator(w.client, &c.in)
		for pages.HasMorePages() {
			out, err := pages.NextPage(t.Context())
			w.must(err)
			for _, a := range out.MetricAlarms {
				got = append(got, *a.AlarmName)
			}
		}
		if joined := strings.Join(got, " "); joined != c.want {
			t.Errorf("%+v: got %q, want %q", c.in, joined, c.want)
		}
	}
	_, err := w.client.DescribeAlarms(t.Context(), &cw.DescribeAlarmsInput{AlarmNames: []string{"a"}, AlarmNamePrefix: aws.String("a")})
	wantError(t, err, "InvalidParameterCombination")
	_, err = w.client.DescribeAlarms(t.Context(), &cw.DescribeAlarmsInput{NextToken: aws.String("x")})
	wantError(t, err, "InvalidNextToken")
	_, err = w.client.DeleteAlarms(t.Context(), &cw.DeleteAlarmsInput{AlarmNames: []string{"db", "none"}})
	w.must(err)
	out, err := w.client.DescribeAlarmsForMetric(t.Context(), &cw.DescribeAlarmsForMetricInput{Namespace: aws.String("Web"), MetricName: aws.String("Errors"), Statistic: types.StatisticSum})
	w.must(err)
	if len(out.MetricAlarms) != 3 {
		t.Errorf("%d alarms of the metric", len(out.MetricAlarms))
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.putAlarm("5xx")
	for _, value := range []types.StateValue{types.StateValueAlarm, types.StateValueAlarm, types.StateValueOk} {
		w.clock.Advance(time.Minute)
		w.set("5xx", value)
	}
	_, err := w.client.DisableAlarmActions(t.Context(), &cw.DisableAlarmActionsInput{AlarmNames: []string{"5xx", "none"}})
	w.must(err)
	if *w.describe("5xx").ActionsEnabled {
		t.Error("the actions are enabled")
	}
	in := &cw.DescribeAlarmHistoryInput{AlarmName: aws.String("5xx"), MaxRecords: aws.Int32(2)}
	summaries := func() string {
		var got []string
		pages := cw.NewDescribeAlarmHistoryPaginator(w.client, in)
		for pages.HasMorePages() {
			out, err := pages.NextPage(t.Context())
			w.must(err)
			for _, i := range out.AlarmHistoryItems {
				got = append(got, *i.HistorySummary)
			}
		}
		return strings.Join(got, "; ")
	}
	want := `Alarm "5xx" updated; Alarm updated from ALARM to OK; Alarm updated from INSUFFICIENT_DATA to ALARM; Alarm "5xx" created`
	if got := summaries(); got != want {
		t.Errorf("history is %s", got)
	}
	in.HistoryItemType, in.ScanBy = types.HistoryItemTypeStateUpdate, types.ScanByTimestampAscending
	if got, want := summaries(), "Alarm updated from INSUFFICIENT_DATA to ALARM; Alarm updated from ALARM to OK"; got != want {
		t.Errorf("history is %s", got)
	}
	in.StartDate = aws.Time(w.clock.Now().Add(-time.Second))
	if got, want := summaries(), "Alarm updated from ALARM to OK"; got != want {
		t.Errorf("history is %s", got)
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.putAlarm("5xx", func(in *cw.PutMetricAlarmInput) { in.Tags = []types.Tag{tag("a")} })
	arn := w.describe("5xx").AlarmArn
	_, err := w.client.TagResource(t.Context(), &cw.TagResourceInput{ResourceARN: arn, Tags: []types.Tag{tag("b"), tag("c")}})
	w.must(err)
	_, err = w.client.UntagResource(t.Context(), &cw.UntagResourceInput{ResourceARN: arn, TagKeys: []string{"a", "c"}})
	w.must(err)
	out, err := w.client.ListTagsForResource(t.Context(), &cw.ListTagsForResourceInput{ResourceARN: arn})
	w.must(err)
	if len(out.Tags) != 1 || *out.Tags[0].Key != "b" {
		t.Errorf("tags %v", out.Tags)
	}
	_, err = w.client.TagResource(t.Context(), &cw.TagResourceInput{ResourceARN: aws.String(*arn + "x"), Tags: []types.Tag{tag("b")}})
	wantError(t, err, "ResourceNotFoundException")
}

// data puts one value.
func (w *world) data(value float64, change ...func(*types.MetricDatum)) {
	w.Helper()
	d := types.MetricDatum{MetricName: aws.String("Errors"), Value: &value}
	for _, f := range change {
		f(&d)
	}
	_, err := w.client.PutMetricData(w.Context(), &cw.PutMetricDataInput{Namespace: aws.String("Web"), MetricData: []types.MetricDatum{d}})
	w.must(err)
}

func TestAlarmFollowsItsData(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.putAlarm("5xx")
	minute := func(values ...float64) {
		for _, v := range values {
			w.data(v)
		}
		w.clock.Advance(time.Minute)
	}
	w.clock.Advance(30 * time.Second)
	minute(1, 2) // three errors
	w.wantState("5xx", types.StateValueOk)
	minute(6)
	minute(3, 4)
	w.wantState("5xx", types.StateValueOk)
	minute(9)
	w.wantState("5xx", types.StateValueAlarm)
	a := w.describe("5xx")
	want := "Threshold Crossed: 3 datapoints [9.0 (22/11/26 08:03:00), 7.0 (22/11/26 08:02:00), 6.0 (22/11/26 08:01:00)] were greater than the threshold (5.0)."
	if *a.StateReason != want {
		t.Errorf("reason %q, want %q", *a.StateReason, want)
	}
	w.set("5xx", types.StateValueOk) // lasts until the next evaluation
	minute(9)
	w.wantState("5xx", types.StateValueAlarm)
	minute(0)
	w.wantState("5xx", types.StateValueOk)
	w.clock.Advance(time.Hour) // and no data
	w.wantState("5xx", types.StateValueInsufficientData)
}

// TestMissingData is the tables of the user guide: data points, newest last, and what becomes of an alarm that was OK.
func TestMissingData(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		m                                        int32
		points                                   string
		missing, ignore, breaching, notBreaching string
	}{
		{3, "0-X-X", "OK", "OK", "OK", "OK"},
		{3, "0----", "OK", "OK", "OK", "OK"},
		{3, "0XX-X", "ALARM", "ALARM", "ALARM", "ALARM"},
		{3, "--X--", "ALARM", "OK", "ALARM", "OK"},
		{2, "0-X-X", "ALARM", "ALARM", "ALARM", "ALARM"},
		{2, "00X0X", "ALARM", "ALARM", "ALARM", "ALARM"},
		{2, "0-X--", "OK", "OK", "ALARM", "OK"},
		{2, "----0", "OK", "OK", "ALARM", "OK"},
		{2, "---X-", "ALARM", "OK", "ALARM", "OK"},
	} {
		for treat, want := range map[string]string{"missing": c.missing, "ignore": c.ignore, "breaching": c.breaching, "notBreaching": c.notBreaching} {
			t.Run(fmt.Sprint(c.points, c.m, treat), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.putAlarm("5xx", func(in *cw.PutMetricAlarmInput) { in.TreatMissingData, in.DatapointsToAlarm = &treat, &c.m })
				w.set("5xx", types.StateValueOk)
				for i, p := range c.points {
					value := map[rune]float64{'0': 0, 'X': 9}
					if p != '-' {
						w.data(value[p], func(d *types.MetricDatum) {
							d.Timestamp = aws.Time(w.clock.Now().Add(time.Duration(i-4) * time.Minute))
						})
					}
				}
				w.clock.Advance(time.Minute)
				w.wantState("5xx", types.StateValue(want))
			})
		}
	}
}

func TestHighResolution(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.putAlarm("fast", func(in *cw.PutMetricAlarmInput) { in.Period, in.EvaluationPeriods = aws.Int32(10), aws.Int32(1) })
	w.data(9, func(d *types.MetricDatum) { d.StorageResolution = aws.Int32(1) })
	w.clock.Advance(10 * time.Second)
	w.wantState("fast", types.StateValueAlarm)
}

func TestDataRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for code, in := range map[string]*cw.PutMetricDataInput{
		"InvalidParameterValue":       {Namespace: aws.String("AWS/EC2"), MetricData: []types.MetricDatum{{MetricName: aws.String("x"), Value: aws.Float64(1)}}},
		"MissingParameter":            {Namespace: aws.String("Web"), MetricData: []types.MetricDatum{{MetricName: aws.String("x")}}},
		"InvalidParameterCombination": {Namespace: aws.String("Web"), MetricData: []types.MetricDatum{{MetricName: aws.String("x"), Value: aws.Float64(1), Values: []float64{1}}}},
	} {
		_, err := w.client.PutMetricData(t.Context(), in)
		wantError(t, err, code)
	}
}

func TestStatistics(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	from := w.clock.Now()
	w.data(1)
	w.data(0, func(d *types.MetricDatum) { d.Value, d.Values, d.Counts = nil, []float64{3, 5}, []float64{2, 1} })
	w.clock.Advance(time.Minute)
	w.data(0, func(d *types.MetricDatum) {
		d.Value, d.StatisticValues = nil, &types.StatisticSet{SampleCount: aws.Float64(2), Sum: aws.Float64(8), Minimum: aws.Float64(1), Maximum: aws.Float64(7)}
	})
	ask := func(period int32) string {
		out, err := w.client.GetMetricStatistics(t.Context(), &cw.GetMetricStatisticsInput{
			Namespace: aws.String("Web"), MetricName: aws.String("Errors"), StartTime: &from, EndTime: aws.Time(from.Add(time.Hour)), Period: &period,
			Statistics: []types.Statistic{"Sum", "Minimum", "Maximum", "SampleCount", "Average"},
		})
		w.must(err)
		var got []string
		for _, p := range out.Datapoints {
			got = append(got, fmt.Sprint(*p.Sum, *p.Minimum, *p.Maximum, *p.SampleCount, *p.Average))
		}
		return strings.Join(got, "; ")
	}
	if got := ask(60); got != "12 1 5 4 3; 8 1 7 2 4" {
		t.Errorf("by minute %s", got)
	}
	if got := ask(300); got != "20 1 7 6 3.3333333333333335" {
		t.Errorf("by five minutes %s", got)
	}
	_, err := w.client.GetMetricStatistics(t.Context(), &cw.GetMetricStatisticsInput{
		Namespace: aws.String("Web"), MetricName: aws.String("Errors"), StartTime: &from, EndTime: aws.Time(from.Add(48 * time.Hour)), Period: aws.Int32(60), Statistics: []types.Statistic{"Sum"},
	})
	wantError(t, err, "InvalidParameterCombination")
}
