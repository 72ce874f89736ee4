package cloudwatch

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
)

const (
	// beat is how often alarms with a period of less than a minute are evaluated; the others are every minute.
	beat = 10 * time.Second
	// spare is how many periods more than its own an alarm looks back when some have no data. The service does not say how many; the tables of
	// its user guide show two.
	spare = 2
)

// schedule has the alarms of a region evaluated at the next beat, and so on as long as there are metrics.
func (s *Service) schedule(r *state.Region) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timed[r.Name] {
		return
	}
	s.timed[r.Name] = true
	region, now := r.Name, r.Now()
	s.store.Clock().AfterFunc(now.Truncate(beat).Add(beat).Sub(now), func() { s.evaluate(region) })
}

func (s *Service) evaluate(region string) {
	_ = s.store.Update(region, func(r *state.Region) error {
		s.mu.Lock()
		s.timed[region] = false
		s.mu.Unlock()
		if r.Metrics.Len() == 0 || r.Alarms.Len() == 0 {
			return nil // the next datum or alarm schedules again
		}
		now := r.Now()
		for key, a := range r.Alarms.Sorted() {
			step := min(time.Duration(*a.Period)*time.Second, time.Minute)
			if m := r.Metrics.Get(metricOf(a)); m != nil && (step < time.Minute || now.Sub(now.Truncate(time.Minute)) < beat) {
				judge(r, key, m, now.Truncate(min(step, beat)))
			}
		}
		s.schedule(r)
		return nil
	})
}

// judge sets an alarm to the state that its data call for. An alarm whose metric nobody ever put data of is not judged: it stays in the
// state that the API set it to, which on AWS would last until the next evaluation.
func judge(r *state.Region, key string, m *state.Metric, end time.Time) {
	a := r.Alarms.Get(key)
	points := collect(a, m, end)
	value, why := decide(a, points)
	if value == a.StateValue {
		return
	}
	become(r.Alarms.Edit(key), r.Now(), value, why, reasonData(a, points, r.Now()))
}

// collect returns the data that an alarm looks at, newest first; nil stands for none.
func collect(a *state.Alarm, m *state.Metric, end time.Time) []*state.MetricPoint {
	period := time.Duration(*a.Period) * time.Second
	points := make([]*state.MetricPoint, 0, int(*a.EvaluationPeriods)+spare)
	from := end
	for range cap(points) {
		from = from.Add(-period)
		if p, ok := aggregate(m, from, from.Add(period), a.Unit); ok {
			points = append(points, &p)
		} else {
			points = append(points, nil)
		}
	}
	return points
}

// decide returns the state that data, newest first, call for, and the reason, as the tables of the user guide have it: if there are as many as the
// alarm has periods, the newest of them alone count; otherwise what is missing is treated as the alarm says.
func decide(a *state.Alarm, points []*state.MetricPoint) (types.StateValue, string) {
	n, m := int(*a.EvaluationPeriods), int(*a.EvaluationPeriods)
	if a.DatapointsToAlarm != nil {
		m = int(*a.DatapointsToAlarm)
	}
	var known []*state.MetricPoint
	for _, p := range points {
		if p != nil && len(known) < n {
			known = append(known, p)
		}
	}
	bad := 0
	for _, p := range known {
		if breaches(a, statistic(*p, a.Statistic)) {
			bad++
		}
	}
	lacking := n - len(known)
	switch treat := aws.ToString(a.TreatMissingData); {
	case treat == "breaching" && lacking > 0:
		return verdict(bad+lacking >= m), reason(a, known, lacking, "Breaching")
	case treat == "notBreaching" && lacking > 0:
		return verdict(bad >= m), reason(a, known, lacking, "NonBreaching")
	case bad >= m, bad < len(known):
		return verdict(bad >= m), reason(a, known, lacking, "")
	case treat == "ignore":
		return a.StateValue, ""
	case len(known) == 0:
		return types.StateValueInsufficientData, fmt.Sprintf("Insufficient Data: %s no datapoints were received.", plural(n, "period has", "periods have"))
	}
	return types.StateValueAlarm, reason(a, known, lacking, "")
}

func verdict(alarm bool) types.StateValue {
	if alarm {
		return types.StateValueAlarm
	}
	return types.StateValueOk
}

func breaches(a *state.Alarm, v float64) bool {
	switch a.ComparisonOperator {
	case types.ComparisonOperatorGreaterThanOrEqualToThreshold:
		return v >= *a.Threshold
	case types.ComparisonOperatorGreaterThanThreshold:
		return v > *a.Threshold
	case types.ComparisonOperatorLessThanThreshold:
		return v < *a.Threshold
	case types.ComparisonOperatorLessThanOrEqualToThreshold:
		return v <= *a.Threshold
	case types.ComparisonOperatorLessThanLowerOrGreaterThanUpperThreshold, types.ComparisonOperatorLessThanLowerThreshold, types.ComparisonOperatorGreaterThanUpperThreshold:
	}
	return false
}

// reason is a StateReason; filled says what the missing data count as, where they do.
func reason(a *state.Alarm, known []*state.MetricPoint, lacking int, filled string) string {
	var parts []string
	if len(known) == 0 {
		parts = append(parts, fmt.Sprintf("no datapoints were received for %s", plural(int(*a.EvaluationPeriods), "period", "periods")))
	} else {
		not := ""
		if !breaches(a, statistic(*known[0], a.Statistic)) {
			not = "not "
		}
		parts = append(parts, fmt.Sprintf("%s [%s] %s %s%s the threshold (%s)", plural(len(known), "datapoint", "datapoints"), listed(a, known),
			was(len(known)), not, relation(a.ComparisonOperator), decimal(*a.Threshold)))
	}
	if filled != "" {
		parts = append(parts, fmt.Sprintf("%s %s treated as [%s]", plural(lacking, "missing datapoint", "missing datapoints"), was(lacking), filled))
	}
	return "Threshold Crossed: " + strings.Join(parts, " and ") + "."
}

// listed returns up to five data of an alarm as texts.
func listed(a *state.Alarm, known []*state.MetricPoint) string {
	var texts []string
	for _, p := range known[:min(5, len(known))] {
		texts = append(texts, decimal(statistic(*p, a.Statistic))+" ("+p.Time.Format("02/01/06 15:04:05")+")")
	}
	return strings.Join(texts, ", ")
}

func relation(op types.ComparisonOperator) string {
	words := map[types.ComparisonOperator]string{
		types.ComparisonOperatorGreaterThanOrEqualToThreshold: "greater than or equal to",
		types.ComparisonOperatorGreaterThanThreshold:          "greater than",
		types.ComparisonOperatorLessThanThreshold:             "less than",
		types.ComparisonOperatorLessThanOrEqualToThreshold:    "less than or equal to",
	}
	return words[op]
}

func was(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + more
}

// decimal writes a number as the service does: with a point, always.
func decimal(f float64) string {
	text := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(text, ".eN") {
		text += ".0"
	}
	return text
}

// reasonData is the StateReasonData of an evaluation.
func reasonData(a *state.Alarm, points []*state.MetricPoint, now time.Time) string {
	recent := []float64{}
	for _, p := range slices.Backward(points) {
		if p != nil {
			recent = append(recent, statistic(*p, a.Statistic))
		}
	}
	text, _ := json.Marshal(map[string]any{ //nolint:errchkjson // numbers that are finite, and strings
		"version": "1.0", "queryDate": now.Format("2006-01-02T15:04:05.000-0700"), "statistic": a.Statistic,
		"period": *a.Period, "recentDatapoints": recent, "threshold": *a.Threshold,
	})
	return string(text)
}
