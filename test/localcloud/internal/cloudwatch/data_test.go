package cloudwatch_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cw "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"pgregory.net/rapid"

	"github.com/iibake/iibake/test/localcloud/internal/cloudwatch"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// refused checks the status, the code and the message of an error.
func (w *world) refused(name string, err error, status int, code, message string) {
	w.Helper()
	var e smithy.APIError
	var h *smithyhttp.ResponseError
	if !errors.As(err, &e) || !errors.As(err, &h) || h.HTTPStatusCode() != status || e.ErrorCode() != code || e.ErrorMessage() != message {
		w.Errorf("%s: got %v\nwant %d %s: %s", name, err, status, code, message)
	}
}

// What data must be like, and what is said of it where it is not.
func TestDataThatIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const value, combination, missing = "InvalidParameterValue", "InvalidParameterCombination", "MissingParameter"
	for name, test := range map[string]struct {
		change        func(*types.MetricDatum)
		code, message string
	}{
		"no name":     {func(d *types.MetricDatum) { d.MetricName = aws.String("") }, "ValidationError", ""},
		"no value":    {func(d *types.MetricDatum) { d.Value = nil }, missing, "The parameter MetricData.member.Value is required."},
		"not a value": {func(d *types.MetricDatum) { d.Value = aws.Float64(math.NaN()) }, value, "The value NaN for parameter MetricData.member.Value is invalid."},
		"infinite":    {func(d *types.MetricDatum) { d.Value = aws.Float64(math.Inf(-1)) }, value, "The value -Inf for parameter MetricData.member.Value is invalid."},
		"too large":   {func(d *types.MetricDatum) { d.Value = aws.Float64(math.Pow(2, 361)) }, value, "The value 4.6970851655476665e+108 for parameter MetricData.member.Value is invalid."},
		"two ways": {
			func(d *types.MetricDatum) { d.Values = []float64{1} }, combination,
			"The parameters MetricData.member.Value, Values and StatisticValues are mutually exclusive and you have specified more than one.",
		},
		"fewer counts than values": {
			func(d *types.MetricDatum) { d.Value, d.Values, d.Counts = nil, []float64{1, 2}, []float64{1} }, combination,
			"The parameters MetricData.member.Values and MetricData.member.Counts must have the same size.",
		},
		"a negative count": {
			func(d *types.MetricDatum) { d.Value, d.Values, d.Counts = nil, []float64{1, 2}, []float64{3, -1} }, value,
			"The parameter MetricData.member.Counts must not be negative, and not 0 for all values.",
		},
		"nothing counted": {
			func(d *types.MetricDatum) { d.Value, d.Values, d.Counts = nil, []float64{1, 2}, []float64{0, 0} }, value,
			"The parameter MetricData.member.Counts must not be negative, and not 0 for all values.",
		},
		"a set without samples": {func(d *types.MetricDatum) {
			d.Value, d.StatisticValues = nil, &types.StatisticSet{SampleCount: aws.Float64(0), Sum: aws.Float64(0), Minimum: aws.Float64(0), Maximum: aws.Float64(0)}
		}, value, "StatisticValues must have SampleCount, Sum, Minimum and Maximum, with a SampleCount above 0 and Minimum not above Maximum."},
		"a set upside down": {func(d *types.MetricDatum) {
			d.Value, d.StatisticValues = nil, &types.StatisticSet{SampleCount: aws.Float64(1), Sum: aws.Float64(1), Minimum: aws.Float64(2), Maximum: aws.Float64(1)}
		}, value, "StatisticValues must have SampleCount, Sum, Minimum and Maximum, with a SampleCount above 0 and Minimum not above Maximum."},
		"resolution": {func(d *types.MetricDatum) { d.StorageResolution = aws.Int32(10) }, value, "StorageResolution must be 1 or 60."},
		"too old": {
			func(d *types.MetricDatum) { d.Timestamp = aws.Time(w.clock.Now().Add(-14*24*time.Hour - time.Second)) }, value,
			"The parameter MetricData.member.Timestamp must be within the past two weeks, and no more than two hours in the future.",
		},
		"too new": {
			func(d *types.MetricDatum) { d.Timestamp = aws.Time(w.clock.Now().Add(2*time.Hour + time.Second)) }, value,
			"The parameter MetricData.member.Timestamp must be within the past two weeks, and no more than two hours in the future.",
		},
	} {
		d := types.MetricDatum{MetricName: aws.String("Errors"), Value: aws.Float64(1)}
		test.change(&d)
		_, err := w.client.PutMetricData(t.Context(), &cw.PutMetricDataInput{Namespace: aws.String("Web"), MetricData: []types.MetricDatum{d}})
		if test.message != "" {
			w.refused(name, err, 400, test.code, test.message)
		} else if err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	_ = w.store.View(region, func(r *state.Region) error {
		if r.Metrics.Len() != 0 {
			t.Errorf("%d metrics of refused data", r.Metrics.Len())
		}
		return nil
	})
}

// What a question about statistics must be like.
func TestQuestionsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for message, change := range map[string]func(*cw.GetMetricStatisticsInput){
		"At least one of the parameters Statistics and ExtendedStatistics must be specified.":                            func(in *cw.GetMetricStatisticsInput) { in.Statistics = nil },
		"ExtendedStatistics are not supported by this endpoint.":                                                         func(in *cw.GetMetricStatisticsInput) { in.ExtendedStatistics = []string{"p99"} },
		"The value 45 for parameter Period is not supported: valid values are 1, 5, 10, 20, 30, and any multiple of 60.": func(in *cw.GetMetricStatisticsInput) { in.Period = aws.Int32(45) },
		"The parameter StartTime must be less than the parameter EndTime.":                                               func(in *cw.GetMetricStatisticsInput) { in.EndTime = in.StartTime },
	} {
		in := &cw.GetMetricStatisticsInput{
			Namespace: aws.String("Web"), MetricName: aws.String("Errors"), Period: aws.Int32(60), Statistics: []types.Statistic{types.StatisticSum},
			StartTime: aws.Time(w.clock.Now()), EndTime: aws.Time(w.clock.Now().Add(time.Hour)),
		}
		change(in)
		_, err := w.client.GetMetricStatistics(t.Context(), in)
		var e smithy.APIError
		if !errors.As(err, &e) || e.ErrorMessage() != message || !strings.HasPrefix(e.ErrorCode(), "InvalidParameter") {
			t.Errorf("got %v\nwant %s", err, message)
		}
	}
	out, err := w.client.GetMetricStatistics(t.Context(), &cw.GetMetricStatisticsInput{
		Namespace: aws.String("Web"), MetricName: aws.String("None"), Period: aws.Int32(60), Statistics: []types.Statistic{types.StatisticSum},
		StartTime: aws.Time(w.clock.Now()), EndTime: aws.Time(w.clock.Now().Add(time.Hour)),
	})
	if err != nil || len(out.Datapoints) != 0 || *out.Label != "None" {
		t.Errorf("%+v %v", out, err)
	}
}

// naive is a value and how often it was put.
type naive struct {
	at           time.Time
	value, count float64
}

// Whatever data come in whatever order, the statistics of every minute are those of plain arithmetic, and so is what an alarm makes of the sum.
func TestStatisticsArePlainArithmetic(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rapid.Check(t, func(rt *rapid.T) {
		w.clock.Advance(10 * time.Minute) // away from the data of the run before
		var all []naive
		for range rapid.IntRange(1, 6).Draw(rt, "data") {
			at := w.clock.Now().Add(-time.Duration(rapid.IntRange(0, 239).Draw(rt, "seconds ago")) * time.Second)
			value := float64(rapid.IntRange(-50, 50).Draw(rt, "value"))
			count := float64(rapid.IntRange(1, 4).Draw(rt, "count"))
			all = append(all, naive{at, value, count})
			w.data(value, func(d *types.MetricDatum) {
				d.Timestamp = &at
				switch {
				case count == 4:
					d.Value, d.StatisticValues = nil, &types.StatisticSet{SampleCount: &count, Sum: aws.Float64(value * count), Minimum: &value, Maximum: &value}
				case count > 1:
					d.Value, d.Values, d.Counts = nil, []float64{value}, []float64{count}
				}
			})
		}
		from := w.clock.Now().Add(-4 * time.Minute)
		out, err := w.client.GetMetricStatistics(t.Context(), &cw.GetMetricStatisticsInput{
			Namespace: aws.String("Web"), MetricName: aws.String("Errors"), StartTime: &from, EndTime: aws.Time(w.clock.Now().Add(time.Minute)), Period: aws.Int32(60),
			Statistics: []types.Statistic{"Sum", "Minimum", "Maximum", "SampleCount", "Average"},
		})
		if err != nil {
			rt.Fatal(err)
		}
		got := map[time.Time]string{}
		for _, p := range out.Datapoints {
			got[p.Timestamp.UTC()] = fmt.Sprint(*p.Sum, *p.Minimum, *p.Maximum, *p.SampleCount, *p.Average)
		}
		if want := byMinute(all); fmt.Sprint(got) != fmt.Sprint(want) {
			rt.Fatalf("got %v, want %v", got, want)
		}
	})
}

func byMinute(all []naive) map[time.Time]string {
	minutes := map[time.Time][]naive{}
	for _, n := range all {
		at := n.at.UTC().Truncate(time.Minute)
		minutes[at] = append(minutes[at], n)
	}
	want := map[time.Time]string{}
	for at, list := range minutes {
		sum, num, low, high := 0.0, 0.0, math.Inf(1), math.Inf(-1)
		for _, n := range list {
			sum, num, low, high = sum+n.value*n.count, num+n.count, min(low, n.value), max(high, n.value)
		}
		want[at] = fmt.Sprint(sum, low, high, num, sum/num)
	}
	return want
}

// Each way to compare, at the threshold and on both sides of it.
func TestComparisons(t *testing.T) {
	t.Parallel()
	for operator, want := range map[types.ComparisonOperator]string{
		types.ComparisonOperatorGreaterThanThreshold: "OK OK ALARM", types.ComparisonOperatorGreaterThanOrEqualToThreshold: "OK ALARM ALARM",
		types.ComparisonOperatorLessThanThreshold: "ALARM OK OK", types.ComparisonOperatorLessThanOrEqualToThreshold: "ALARM ALARM OK",
	} {
		var got []string
		for _, value := range []float64{4, 5, 6} {
			w := newWorld(t)
			w.putAlarm("5xx", func(in *cw.PutMetricAlarmInput) { in.ComparisonOperator, in.EvaluationPeriods = operator, aws.Int32(1) })
			w.data(value)
			w.clock.Advance(time.Minute)
			a := w.describe("5xx")
			got = append(got, string(a.StateValue))
			if words := strings.ReplaceAll(strings.ToLower(string(operator)), "threshold", ""); !strings.Contains(strings.ReplaceAll(*a.StateReason, " ", ""), words) {
				t.Errorf("%s: %s", operator, *a.StateReason)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", operator, got, want)
		}
	}
}

// Dimensions are a set: in another order they are the same metric, and one more makes another.
func TestDimensionsAreASet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := func(names ...string) (all []types.Dimension) {
		for _, n := range names {
			all = append(all, types.Dimension{Name: aws.String(n), Value: aws.String("ü " + n)})
		}
		return all
	}
	w.putAlarm("5xx", func(in *cw.PutMetricAlarmInput) { in.Dimensions, in.EvaluationPeriods = d("a", "b"), aws.Int32(1) })
	w.data(9, func(m *types.MetricDatum) { m.Dimensions = d("a") })
	w.data(9, func(m *types.MetricDatum) { m.Dimensions = d("a", "b", "c") })
	w.clock.Advance(time.Minute)
	w.wantState("5xx", types.StateValueInsufficientData)
	w.data(9, func(m *types.MetricDatum) { m.Dimensions = d("b", "a") })
	w.clock.Advance(time.Minute)
	w.wantState("5xx", types.StateValueAlarm)
	out, err := w.client.DescribeAlarmsForMetric(t.Context(), &cw.DescribeAlarmsForMetricInput{Namespace: aws.String("Web"), MetricName: aws.String("Errors"), Dimensions: d("b", "a")})
	if err != nil || len(out.MetricAlarms) != 1 {
		t.Errorf("%+v %v", out, err)
	}
}

// Actions are switched off and on by name; names of nothing are no error, and what did not change leaves no trace.
func TestActionsAreSwitched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.putAlarm("a")
	w.putAlarm("b")
	off := func() error {
		_, err := w.client.DisableAlarmActions(t.Context(), &cw.DisableAlarmActionsInput{AlarmNames: []string{"a", "none"}})
		return err
	}
	if err := errors.Join(off(), off()); err != nil || *w.describe("a").ActionsEnabled || !*w.describe("b").ActionsEnabled {
		t.Errorf("%v: %+v", err, w.describe("a"))
	}
	if _, err := w.client.EnableAlarmActions(t.Context(), &cw.EnableAlarmActionsInput{AlarmNames: []string{"a", "b"}}); err != nil || !*w.describe("a").ActionsEnabled {
		t.Errorf("%v: %+v", err, w.describe("a"))
	}
	for name, want := range map[string]int{"a": 3, "b": 1} {
		out, err := w.client.DescribeAlarmHistory(t.Context(), &cw.DescribeAlarmHistoryInput{AlarmName: &name})
		if err != nil || len(out.AlarmHistoryItems) != want {
			t.Errorf("%s: %d items, %v", name, len(out.AlarmHistoryItems), err)
		}
	}
}

// What history says is JSON, also where reasons have quotes, and data of a reason are kept as they are.
func TestHistoryIsJSON(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.putAlarm(`a "b" <c> ü`)
	_, err := w.client.SetAlarmState(t.Context(), &cw.SetAlarmStateInput{
		AlarmName: aws.String(`a "b" <c> ü`), StateValue: types.StateValueAlarm, StateReason: aws.String(`it said "no"`), StateReasonData: aws.String(`{"n": [1, 1e300]}`),
	})
	w.must(err)
	out, err := w.client.DescribeAlarmHistory(t.Context(), &cw.DescribeAlarmHistoryInput{HistoryItemType: types.HistoryItemTypeStateUpdate})
	w.must(err)
	var data struct {
		NewState struct {
			StateValue      string          `json:"stateValue"`
			StateReason     string          `json:"stateReason"`
			StateReasonData json.RawMessage `json:"stateReasonData"`
		} `json:"newState"`
	}
	if err := json.Unmarshal([]byte(*out.AlarmHistoryItems[0].HistoryData), &data); err != nil || data.NewState.StateValue != "ALARM" || data.NewState.StateReason != `it said "no"` || string(data.NewState.StateReasonData) != `{"n":[1,1e300]}` {
		t.Errorf("%v: %s", err, *out.AlarmHistoryItems[0].HistoryData)
	}
	if *out.AlarmHistoryItems[0].AlarmName != `a "b" <c> ü` || *out.AlarmHistoryItems[0].HistorySummary != "Alarm updated from INSUFFICIENT_DATA to ALARM" {
		t.Errorf("%+v", out.AlarmHistoryItems[0])
	}
}

// A threshold is a number, or nothing could be kept on record from then on.
func TestThresholdsAreNumbers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for value, text := range map[float64]string{math.NaN(): "NaN", math.Inf(1): "+Inf", math.Inf(-1): "-Inf"} {
		_, err := w.client.PutMetricAlarm(t.Context(), alarm("x", func(in *cw.PutMetricAlarmInput) { in.Threshold = &value }))
		w.refused(text, err, 400, "InvalidParameterValue", "The value "+text+" for parameter Threshold is invalid.")
	}
	w.putAlarm("x", func(in *cw.PutMetricAlarmInput) { in.Threshold = aws.Float64(-math.MaxFloat64) })
	if a := w.describe("x"); *a.Threshold != -math.MaxFloat64 {
		t.Errorf("the threshold is %v", *a.Threshold)
	}
}

// Names are counted in characters, up to 255 of them.
func TestLongNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.putAlarm(strings.Repeat("ü", 255))
	if a := w.describe(strings.Repeat("ü", 255)); a.AlarmName == nil {
		t.Error("it is not there")
	}
	_, err := w.client.PutMetricAlarm(t.Context(), alarm(strings.Repeat("ü", 256)))
	if err == nil {
		t.Error("one character more is accepted")
	}
}

// A process that starts again judges alarms by the data that it finds.
func TestAlarmsAreJudgedAfterARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.putAlarm("5xx", func(in *cw.PutMetricAlarmInput) { in.EvaluationPeriods = aws.Int32(1) })
	w.data(9)
	again := newWorld(t)
	w.must(w.store.View(region, func(from *state.Region) error {
		return again.store.Update(region, func(to *state.Region) error {
			to.Alarms, to.Metrics = from.Alarms, from.Metrics
			return nil
		})
	}))
	again.clock.Advance(time.Minute)
	again.wantState("5xx", types.StateValueInsufficientData)
	service := cloudwatch.New(again.store)
	service.Register(wire.NewService("monitoring"))
	service.Resume(region)
	again.clock.Advance(time.Minute)
	again.wantState("5xx", types.StateValueAlarm)
}
