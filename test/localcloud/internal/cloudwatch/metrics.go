package cloudwatch

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cw "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// retention is how long data are kept: as long as an alarm can look back.
const retention = 7*24*time.Hour + time.Hour

// metricKey is the key of a metric. Dimensions are a set.
func metricKey(account, namespace, name string, dimensions []types.Dimension) string {
	var pairs []string
	for _, d := range dimensions {
		pairs = append(pairs, aws.ToString(d.Name)+"\x00"+aws.ToString(d.Value))
	}
	slices.Sort(pairs)
	return state.Key(account, strings.Join(append([]string{namespace, name}, pairs...), "\x00"))
}

// metricOf is the key of the metric that an alarm watches.
func metricOf(a *state.Alarm) string {
	return metricKey(a.Account, aws.ToString(a.Namespace), aws.ToString(a.MetricName), a.Dimensions)
}

func (s *Service) putMetricData(_ context.Context, c *wire.Call, in *cw.PutMetricDataInput) (*cw.PutMetricDataOutput, error) {
	if err := checkData(c, in); err != nil {
		return nil, err
	}
	return &cw.PutMetricDataOutput{}, s.store.Update(c.Region, func(r *state.Region) error {
		for _, d := range in.MetricData {
			key := metricKey(c.Account, *in.Namespace, *d.MetricName, d.Dimensions)
			m := r.Metrics.Edit(key)
			if m == nil {
				m = &state.Metric{Account: c.Account, Namespace: *in.Namespace, Name: *d.MetricName, Dimensions: slices.Clone(d.Dimensions)}
				r.Metrics.Put(key, m)
			}
			add(m, point(d, r.Now()))
			i := slices.IndexFunc(m.Points, func(p state.MetricPoint) bool { return r.Now().Sub(p.Time) < retention })
			m.Points = m.Points[max(0, i):]
		}
		s.schedule(r)
		return nil
	})
}

// checkData checks data by the rules of the API reference.
func checkData(c *wire.Call, in *cw.PutMetricDataInput) error {
	switch name := aws.ToString(in.Namespace); {
	case len(in.EntityMetricData) > 0 || in.StrictEntityValidation != nil:
		return badValue("Entities are not supported by this endpoint.")
	case name == "":
		return missing("Namespace")
	case strings.HasPrefix(name, "AWS/"):
		return badValue("The value AWS/ for parameter Namespace is invalid.")
	case len(in.MetricData) == 0:
		return missing("MetricData")
	case len(in.MetricData) > 1000:
		return badValue("The collection MetricData must not have a size greater than 1000.")
	}
	for _, d := range in.MetricData {
		if err := checkDatum(c, d); err != nil {
			return err
		}
	}
	return nil
}

func checkDatum(c *wire.Call, d types.MetricDatum) error {
	ways := 0
	for _, given := range []bool{d.Value != nil, d.StatisticValues != nil, len(d.Values) > 0} {
		if given {
			ways++
		}
	}
	switch v := d.StatisticValues; {
	case aws.ToString(d.MetricName) == "":
		return missing("MetricData.member.MetricName")
	case len(d.Dimensions) > 30:
		return badValue("A metric can have up to 30 dimensions.")
	case ways == 0:
		return missing("MetricData.member.Value")
	case ways > 1:
		return badCombination("The parameters MetricData.member.Value, Values and StatisticValues are mutually exclusive and you have specified more than one.")
	case len(d.Counts) > 0 && len(d.Counts) != len(d.Values):
		return badCombination("The parameters MetricData.member.Values and MetricData.member.Counts must have the same size.")
	case len(d.Counts) > 0 && !counted(d.Counts):
		return badValue("The parameter MetricData.member.Counts must not be negative, and not 0 for all values.")
	case v != nil && (v.Sum == nil || v.Minimum == nil || v.Maximum == nil || v.SampleCount == nil || *v.SampleCount <= 0 || *v.Minimum > *v.Maximum):
		return badValue("StatisticValues must have SampleCount, Sum, Minimum and Maximum, with a SampleCount above 0 and Minimum not above Maximum.")
	case d.StorageResolution != nil && *d.StorageResolution != 1 && *d.StorageResolution != 60:
		return badValue("StorageResolution must be 1 or 60.")
	case d.Timestamp != nil && (c.Time.Sub(*d.Timestamp) > 14*24*time.Hour || d.Timestamp.Sub(c.Time) > 2*time.Hour):
		return badValue("The parameter MetricData.member.Timestamp must be within the past two weeks, and no more than two hours in the future.")
	}
	for _, n := range numbers(d) {
		if math.IsNaN(n) || math.Abs(n) > math.Pow(2, 360) {
			return badValue("The value %v for parameter MetricData.member.Value is invalid.", n)
		}
	}
	return nil
}

// counted reports whether there is anything in a datum, so that it has an average.
func counted(counts []float64) bool {
	return slices.Min(counts) >= 0 && slices.Max(counts) > 0
}

func numbers(d types.MetricDatum) []float64 {
	all := slices.Concat(d.Values, d.Counts)
	if d.Value != nil {
		all = append(all, *d.Value)
	}
	if v := d.StatisticValues; v != nil {
		all = append(all, *v.Sum, *v.Minimum, *v.Maximum, *v.SampleCount)
	}
	return all
}

// point returns a datum as a point.
func point(d types.MetricDatum, now time.Time) state.MetricPoint {
	p := state.MetricPoint{Time: now, Unit: string(d.Unit), Min: math.Inf(1), Max: math.Inf(-1)}
	if p.Unit == "" {
		p.Unit = string(types.StandardUnitNone)
	}
	if d.Timestamp != nil {
		p.Time = *d.Timestamp
	}
	resolution := time.Minute
	if d.StorageResolution != nil && *d.StorageResolution == 1 {
		resolution = time.Second
	}
	p.Time = p.Time.UTC().Truncate(resolution)
	sample := func(value, count float64) {
		p.Sum, p.Num, p.Min, p.Max = p.Sum+value*count, p.Num+count, min(p.Min, value), max(p.Max, value)
	}
	switch {
	case d.Value != nil:
		sample(*d.Value, 1)
	case d.StatisticValues != nil:
		v := d.StatisticValues
		p.Sum, p.Num, p.Min, p.Max = *v.Sum, *v.SampleCount, *v.Minimum, *v.Maximum
	}
	for i, value := range d.Values {
		count := 1.0
		if len(d.Counts) > 0 {
			count = d.Counts[i]
		}
		sample(value, count)
	}
	return p
}

// add adds a point to those of its time and unit.
func add(m *state.Metric, p state.MetricPoint) {
	i, _ := slices.BinarySearchFunc(m.Points, p.Time, func(p state.MetricPoint, t time.Time) int { return p.Time.Compare(t) })
	for j := i; j < len(m.Points) && m.Points[j].Time.Equal(p.Time); j++ {
		if m.Points[j].Unit == p.Unit {
			m.Points[j] = join(m.Points[j], p)
			return
		}
	}
	m.Points = slices.Insert(m.Points, i, p)
}

func join(a, b state.MetricPoint) state.MetricPoint {
	a.Sum, a.Num, a.Min, a.Max = a.Sum+b.Sum, a.Num+b.Num, min(a.Min, b.Min), max(a.Max, b.Max)
	return a
}

// aggregate returns the points of [from, to) as one, and whether there are any. An empty unit stands for all.
func aggregate(m *state.Metric, from, to time.Time, unit types.StandardUnit) (state.MetricPoint, bool) {
	i, _ := slices.BinarySearchFunc(m.Points, from, func(p state.MetricPoint, t time.Time) int { return p.Time.Compare(t) })
	var all state.MetricPoint
	found := false
	for ; i < len(m.Points) && m.Points[i].Time.Before(to); i++ {
		p := m.Points[i]
		switch {
		case unit != "" && p.Unit != string(unit):
		case !found:
			all, found = p, true
		default:
			all = join(all, p)
		}
	}
	all.Time = from
	return all, found
}

func statistic(p state.MetricPoint, s types.Statistic) float64 {
	switch s {
	case types.StatisticSum:
		return p.Sum
	case types.StatisticMinimum:
		return p.Min
	case types.StatisticMaximum:
		return p.Max
	case types.StatisticSampleCount:
		return p.Num
	case types.StatisticAverage:
	}
	return p.Sum / p.Num
}

func (s *Service) getMetricStatistics(_ context.Context, c *wire.Call, in *cw.GetMetricStatisticsInput) (*cw.GetMetricStatisticsOutput, error) {
	if err := checkQuestion(in); err != nil {
		return nil, err
	}
	period := time.Duration(*in.Period) * time.Second
	out := &cw.GetMetricStatisticsOutput{Label: in.MetricName, Datapoints: []types.Datapoint{}}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		m := r.Metrics.Get(metricKey(c.Account, *in.Namespace, *in.MetricName, in.Dimensions))
		if m == nil {
			return nil
		}
		for at := in.StartTime.UTC().Truncate(min(period, time.Minute)); at.Before(*in.EndTime); at = at.Add(period) {
			if p, ok := aggregate(m, at, at.Add(period), in.Unit); ok {
				out.Datapoints = append(out.Datapoints, datapoint(p, in.Statistics))
			}
		}
		return nil
	})
}

func datapoint(p state.MetricPoint, statistics []types.Statistic) types.Datapoint {
	d := types.Datapoint{Timestamp: aws.Time(p.Time), Unit: types.StandardUnit(p.Unit)}
	for _, s := range statistics {
		value := aws.Float64(statistic(p, s))
		switch s {
		case types.StatisticSum:
			d.Sum = value
		case types.StatisticMinimum:
			d.Minimum = value
		case types.StatisticMaximum:
			d.Maximum = value
		case types.StatisticSampleCount:
			d.SampleCount = value
		case types.StatisticAverage:
			d.Average = value
		}
	}
	return d
}

func checkQuestion(in *cw.GetMetricStatisticsInput) error {
	switch {
	case in.Namespace == nil || in.MetricName == nil || in.StartTime == nil || in.EndTime == nil || in.Period == nil:
		return missing("Namespace, MetricName, StartTime, EndTime and Period")
	case len(in.ExtendedStatistics) > 0:
		return badValue("ExtendedStatistics are not supported by this endpoint.")
	case len(in.Statistics) == 0:
		return wire.Errorf("InvalidParameterCombinationException", "At least one of the parameters Statistics and ExtendedStatistics must be specified.")
	case *in.Period < 1 || *in.Period%60 != 0 && !slices.Contains([]int32{1, 5, 10, 20, 30}, *in.Period):
		return badValue("The value %d for parameter Period is not supported: valid values are 1, 5, 10, 20, 30, and any multiple of 60.", *in.Period)
	case !in.StartTime.Before(*in.EndTime):
		return badValue("The parameter StartTime must be less than the parameter EndTime.")
	}
	if n := in.EndTime.Sub(*in.StartTime) / (time.Duration(*in.Period) * time.Second); n > 1440 {
		return badCombination("You have requested up to %d datapoints, which exceeds the limit of 1,440. You may reduce the datapoints requested by increasing Period, or decreasing the time range.", n)
	}
	return nil
}
