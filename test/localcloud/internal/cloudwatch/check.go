package cloudwatch

import (
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	cw "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// checkAlarm checks an alarm by the rules of the API reference.
func checkAlarm(in *cw.PutMetricAlarmInput) error {
	name := aws.ToString(in.AlarmName)
	if name == "" || utf8.RuneCountInString(name) > 255 || strings.ContainsFunc(name, unicode.IsControl) {
		return badValue("The alarm name must have 1 to 255 characters, and none of them may be a control character.")
	}
	if err := checkModelled(in); err != nil {
		return err
	}
	if err := checkTags(in.Tags); err != nil {
		return err
	}
	switch {
	case in.MetricName == nil:
		return missing("MetricName")
	case in.Namespace == nil:
		return missing("Namespace")
	case in.Statistic == "":
		return missing("Statistic")
	case in.Threshold == nil:
		return missing("Threshold")
	case in.Period == nil:
		return missing("Period")
	case in.EvaluationPeriods == nil:
		return missing("EvaluationPeriods")
	case in.ComparisonOperator == "":
		return missing("ComparisonOperator")
	case math.IsNaN(*in.Threshold) || math.IsInf(*in.Threshold, 0):
		return badValue("The value %v for parameter Threshold is invalid.", *in.Threshold)
	case !slices.Contains([]string{"", "breaching", "notBreaching", "ignore", "missing"}, aws.ToString(in.TreatMissingData)):
		return badValue("TreatMissingData must be one of breaching, notBreaching, ignore, missing.")
	}
	return checkTimes(in)
}

// checkModelled refuses what would change the meaning of the alarm.
func checkModelled(in *cw.PutMetricAlarmInput) error {
	refuse := func(what string) error {
		return badValue("%s is not supported by this endpoint.", what)
	}
	switch {
	case len(in.Metrics) > 0:
		return refuse("Metric math (Metrics)")
	case in.ThresholdMetricId != nil:
		return refuse("Anomaly detection (ThresholdMetricId)")
	case in.ExtendedStatistic != nil || in.EvaluateLowSampleCountPercentile != nil:
		return refuse("ExtendedStatistic")
	case in.EvaluationCriteria != nil || in.EvaluationInterval != nil || in.EvaluationWindow != nil:
		return refuse("EvaluationCriteria, EvaluationInterval or EvaluationWindow")
	case in.WarmUpConfiguration != nil || in.ActionConfiguration != nil:
		return refuse("WarmUpConfiguration or ActionConfiguration")
	}
	switch in.ComparisonOperator {
	case types.ComparisonOperatorLessThanLowerOrGreaterThanUpperThreshold, types.ComparisonOperatorLessThanLowerThreshold, types.ComparisonOperatorGreaterThanUpperThreshold:
		return refuse("Anomaly detection (ComparisonOperator)")
	case types.ComparisonOperatorGreaterThanOrEqualToThreshold, types.ComparisonOperatorGreaterThanThreshold,
		types.ComparisonOperatorLessThanThreshold, types.ComparisonOperatorLessThanOrEqualToThreshold:
	}
	return nil
}

func checkTimes(in *cw.PutMetricAlarmInput) error {
	period, n := int64(*in.Period), int64(*in.EvaluationPeriods)
	switch {
	case period != 10 && period != 20 && period != 30 && (period <= 0 || period%60 != 0):
		return badValue("The value %d for parameter Period is not supported: valid values are 10, 20, 30, and any multiple of 60.", period)
	case n < 1:
		return badValue("EvaluationPeriods must be at least 1.")
	case period < 3600 && period*n > 86400, period*n > 604800:
		return wire.Errorf("ValidationError", "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400), or a week with periods of an hour and more.")
	case in.DatapointsToAlarm != nil && (*in.DatapointsToAlarm < 1 || int64(*in.DatapointsToAlarm) > n):
		return badValue("DatapointsToAlarm must be between 1 and EvaluationPeriods.")
	}
	return nil
}
