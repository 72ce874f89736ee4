package cloudwatch

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cw "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

const (
	maxHistory = 200                 // items of an alarm that are kept
	keeps      = 30 * 24 * time.Hour // how long the service keeps them, as documented
)

// remember adds an item to the history of an alarm. The list is replaced, for an answer may still hold the old one.
func remember(a *state.Alarm, now time.Time, kind types.HistoryItemType, summary string, data any) {
	text, _ := json.Marshal(data) //nolint:errchkjson // strings and maps of them
	item := types.AlarmHistoryItem{
		AlarmName: a.AlarmName, AlarmType: types.AlarmTypeMetricAlarm, Timestamp: aws.Time(now),
		HistoryItemType: kind, HistorySummary: aws.String(summary), HistoryData: aws.String(string(text)),
	}
	old := a.History
	for len(old) > 0 && (len(old) >= maxHistory || now.Sub(*old[0].Timestamp) > keeps) {
		old = old[1:]
	}
	a.History = append(slices.Clone(old), item)
}

// stateChange is the HistoryData of a change of state.
func stateChange(before, after types.MetricAlarm) map[string]any {
	one := func(a types.MetricAlarm) map[string]any {
		m := map[string]any{"stateValue": a.StateValue, "stateReason": aws.ToString(a.StateReason)}
		if a.StateReasonData != nil {
			m["stateReasonData"] = json.RawMessage(*a.StateReasonData)
		}
		return m
	}
	return map[string]any{"version": "1.0", "oldState": one(before), "newState": one(after)}
}

// configChange is the HistoryData of a change of the configuration; kind is Create, Update or Delete.
func configChange(kind string, a types.MetricAlarm) map[string]any {
	return map[string]any{"version": "1.0", "type": kind, "alarmName": aws.ToString(a.AlarmName), "alarmArn": aws.ToString(a.AlarmArn)}
}

func (s *Service) describeAlarmHistory(_ context.Context, c *wire.Call, in *cw.DescribeAlarmHistoryInput) (*cw.DescribeAlarmHistoryOutput, error) {
	if in.AlarmContributorId != nil {
		return nil, badValue("Contributors of alarms are not supported by this endpoint.")
	}
	out := &cw.DescribeAlarmHistoryOutput{AlarmHistoryItems: []types.AlarmHistoryItem{}}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		var items []types.AlarmHistoryItem
		for _, a := range r.Alarms.Sorted() {
			if a.Account == c.Account && (in.AlarmName == nil || *in.AlarmName == *a.AlarmName) {
				items = append(items, chosen(a.History, in)...)
			}
		}
		slices.SortStableFunc(items, func(a, b types.AlarmHistoryItem) int { return a.Timestamp.Compare(*b.Timestamp) })
		if in.ScanBy != types.ScanByTimestampAscending {
			slices.Reverse(items)
		}
		var err error
		out.AlarmHistoryItems, out.NextToken, err = kit.Paginate(items, page(c, in.MaxRecords, in.NextToken))
		return err
	})
}

// chosen returns the items that a request asks for.
func chosen(items []types.AlarmHistoryItem, in *cw.DescribeAlarmHistoryInput) []types.AlarmHistoryItem {
	if len(in.AlarmTypes) > 0 && !slices.Contains(in.AlarmTypes, types.AlarmTypeMetricAlarm) {
		return nil
	}
	var found []types.AlarmHistoryItem
	for _, i := range items {
		switch {
		case in.HistoryItemType != "" && i.HistoryItemType != in.HistoryItemType:
		case in.StartDate != nil && i.Timestamp.Before(*in.StartDate):
		case in.EndDate != nil && i.Timestamp.After(*in.EndDate):
		default:
			found = append(found, i)
		}
	}
	return found
}

// page is how the service pages: 50 records, up to 100.
func page(c *wire.Call, size *int32, token *string) kit.Page {
	return kit.Page{
		Max: size, Token: token, Min: 1, Default: 50, Limit: 100, Scope: c.Operation + c.Region + c.Account,
		BadToken: wire.Errorf("InvalidNextToken", "The next token specified is invalid."),
	}
}
