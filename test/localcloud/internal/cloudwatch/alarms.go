package cloudwatch

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	cw "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

func (s *Service) putMetricAlarm(_ context.Context, c *wire.Call, in *cw.PutMetricAlarmInput) (*cw.PutMetricAlarmOutput, error) {
	if err := checkAlarm(in); err != nil {
		return nil, err
	}
	return &cw.PutMetricAlarmOutput{}, s.store.Update(c.Region, func(r *state.Region) error {
		key := state.Key(c.Account, *in.AlarmName)
		a, now := &state.Alarm{Account: c.Account}, r.Now()
		a.MetricAlarm = configured(in)
		a.AlarmArn = aws.String("arn:aws:cloudwatch:" + c.Region + ":" + c.Account + ":alarm:" + *in.AlarmName)
		a.AlarmConfigurationUpdatedTimestamp = aws.Time(now)
		if old := r.Alarms.Get(key); old != nil { // as documented, state and tags stay and all else is replaced
			a.Tags, a.History = old.Tags, old.History
			a.StateValue, a.StateReason, a.StateReasonData = old.StateValue, old.StateReason, old.StateReasonData
			a.StateUpdatedTimestamp, a.StateTransitionedTimestamp = old.StateUpdatedTimestamp, old.StateTransitionedTimestamp
			remember(a, now, types.HistoryItemTypeConfigurationUpdate, `Alarm "`+*in.AlarmName+`" updated`, configChange("Update", a.MetricAlarm))
		} else {
			a.Tags = slices.Clone(in.Tags)
			a.StateValue, a.StateReason = types.StateValueInsufficientData, aws.String("Unchecked: Initial alarm creation")
			a.StateUpdatedTimestamp, a.StateTransitionedTimestamp = aws.Time(now), aws.Time(now)
			remember(a, now, types.HistoryItemTypeConfigurationUpdate, `Alarm "`+*in.AlarmName+`" created`, configChange("Create", a.MetricAlarm))
		}
		r.Alarms.Put(key, a)
		if r.Metrics.Len() > 0 {
			s.schedule(r)
		}
		return nil
	})
}

// configured returns the alarm that a request describes.
func configured(in *cw.PutMetricAlarmInput) types.MetricAlarm {
	a := types.MetricAlarm{
		AlarmName: in.AlarmName, AlarmDescription: in.AlarmDescription, ActionsEnabled: aws.Bool(true),
		AlarmActions: append([]string{}, in.AlarmActions...), OKActions: append([]string{}, in.OKActions...),
		InsufficientDataActions: append([]string{}, in.InsufficientDataActions...),
		MetricName:              in.MetricName, Namespace: in.Namespace, Dimensions: append([]types.Dimension{}, in.Dimensions...),
		Statistic: in.Statistic, Period: in.Period, Unit: in.Unit,
		EvaluationPeriods: in.EvaluationPeriods, DatapointsToAlarm: in.DatapointsToAlarm,
		Threshold: in.Threshold, ComparisonOperator: in.ComparisonOperator, TreatMissingData: in.TreatMissingData,
	}
	if in.ActionsEnabled != nil {
		a.ActionsEnabled = in.ActionsEnabled
	}
	return a
}

func (s *Service) describeAlarms(_ context.Context, c *wire.Call, in *cw.DescribeAlarmsInput) (*cw.DescribeAlarmsOutput, error) {
	switch {
	case len(in.AlarmNames) > 0 && in.AlarmNamePrefix != nil:
		return nil, badCombination("AlarmNamePrefix and AlarmNames cannot be specified together.")
	case in.ChildrenOfAlarmName != nil || in.ParentsOfAlarmName != nil:
		return nil, badValue("Composite alarms are not supported by this endpoint.")
	}
	out := &cw.DescribeAlarmsOutput{MetricAlarms: []types.MetricAlarm{}, CompositeAlarms: []types.CompositeAlarm{}}
	if len(in.AlarmTypes) > 0 && !slices.Contains(in.AlarmTypes, types.AlarmTypeMetricAlarm) {
		return out, nil
	}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		alarms := []types.MetricAlarm{}
		for a := range alarmsOf(r, c.Account, in.AlarmNames) {
			switch {
			case in.StateValue != "" && a.StateValue != in.StateValue:
			case !strings.HasPrefix(*a.AlarmName, aws.ToString(in.AlarmNamePrefix)):
			case in.ActionPrefix != nil && !acts(a.MetricAlarm, *in.ActionPrefix):
			default:
				alarms = append(alarms, a.MetricAlarm)
			}
		}
		var err error
		name := func(a types.MetricAlarm) string { return *a.AlarmName }
		out.MetricAlarms, out.NextToken, err = kit.PaginateBy(alarms, name, page(c, in.MaxRecords, in.NextToken))
		return err
	})
}

// alarmsOf calls f with the alarms of an account, or with those of them that have these names, sorted by name.
func alarmsOf(r *state.Region, account string, names []string) func(f func(*state.Alarm) bool) {
	return func(f func(*state.Alarm) bool) {
		if len(names) > 0 {
			for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
				if a := r.Alarms.Get(state.Key(account, name)); a != nil && !f(a) {
					return
				}
			}
			return
		}
		for _, a := range r.Alarms.Sorted() {
			if a.Account == account && !f(a) {
				return
			}
		}
	}
}

// acts says whether an alarm has an action that begins so.
func acts(a types.MetricAlarm, prefix string) bool {
	return slices.ContainsFunc(slices.Concat(a.AlarmActions, a.OKActions, a.InsufficientDataActions), func(action string) bool {
		return strings.HasPrefix(action, prefix)
	})
}

func (s *Service) describeAlarmsForMetric(_ context.Context, c *wire.Call, in *cw.DescribeAlarmsForMetricInput) (*cw.DescribeAlarmsForMetricOutput, error) {
	out := &cw.DescribeAlarmsForMetricOutput{MetricAlarms: []types.MetricAlarm{}}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		wanted := metricKey(c.Account, aws.ToString(in.Namespace), aws.ToString(in.MetricName), in.Dimensions)
		for a := range alarmsOf(r, c.Account, nil) {
			switch {
			case metricOf(a) != wanted:
			case in.Statistic != "" && in.Statistic != a.Statistic:
			case in.ExtendedStatistic != nil:
			case in.Period != nil && *in.Period != *a.Period:
			case in.Unit != "" && in.Unit != a.Unit:
			default:
				out.MetricAlarms = append(out.MetricAlarms, a.MetricAlarm)
			}
		}
		return nil
	})
}

// deleteAlarms deletes those that are there, as documented.
func (s *Service) deleteAlarms(_ context.Context, c *wire.Call, in *cw.DeleteAlarmsInput) (*cw.DeleteAlarmsOutput, error) {
	if len(in.AlarmNames) == 0 {
		return nil, missing("AlarmNames")
	}
	return &cw.DeleteAlarmsOutput{}, s.store.Update(c.Region, func(r *state.Region) error {
		for _, name := range in.AlarmNames {
			r.Alarms.Delete(state.Key(c.Account, name))
		}
		return nil
	})
}

func (s *Service) setAlarmState(_ context.Context, c *wire.Call, in *cw.SetAlarmStateInput) (*cw.SetAlarmStateOutput, error) {
	switch {
	case in.StateReason == nil:
		return nil, missing("StateReason")
	case in.StateReasonData != nil && !json.Valid([]byte(*in.StateReasonData)):
		return nil, wire.Errorf("InvalidFormatFault", "StateReasonData is not valid JSON")
	case !slices.Contains(in.StateValue.Values(), in.StateValue):
		return nil, badValue("%q is no state of an alarm", in.StateValue)
	}
	return &cw.SetAlarmStateOutput{}, s.store.Update(c.Region, func(r *state.Region) error {
		a := r.Alarms.Edit(state.Key(c.Account, aws.ToString(in.AlarmName)))
		if a == nil {
			return notFound("ResourceNotFound", "Alarm with name %s does not exist", aws.ToString(in.AlarmName))
		}
		become(a, r.Now(), in.StateValue, *in.StateReason, aws.ToString(in.StateReasonData))
		return nil
	})
}

func (s *Service) enableAlarmActions(_ context.Context, c *wire.Call, in *cw.EnableAlarmActionsInput) (*cw.EnableAlarmActionsOutput, error) {
	return &cw.EnableAlarmActionsOutput{}, s.switchActions(c, in.AlarmNames, true)
}

func (s *Service) disableAlarmActions(_ context.Context, c *wire.Call, in *cw.DisableAlarmActionsInput) (*cw.DisableAlarmActionsOutput, error) {
	return &cw.DisableAlarmActionsOutput{}, s.switchActions(c, in.AlarmNames, false)
}

func (s *Service) switchActions(c *wire.Call, names []string, on bool) error {
	return s.store.Update(c.Region, func(r *state.Region) error {
		for _, name := range names {
			if a := r.Alarms.Edit(state.Key(c.Account, name)); a != nil && *a.ActionsEnabled != on {
				a.ActionsEnabled = aws.Bool(on)
				remember(a, r.Now(), types.HistoryItemTypeConfigurationUpdate, `Alarm "`+name+`" updated`, configChange("Update", a.MetricAlarm))
			}
		}
		return nil
	})
}
