// Package cloudwatch is Amazon CloudWatch as far as its alarms go: they are put, set to a state by the API or by the data of their metric, and
// read by those whom they stop. Their actions are kept and never carried out.
package cloudwatch

import (
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// Service is CloudWatch in all regions.
type Service struct {
	store *state.Store

	mu    sync.Mutex      // taken under the lock of a region, never the other way round
	timed map[string]bool // regions whose next evaluation is due at some time
}

// New returns the service over the records of store.
func New(store *state.Store) *Service {
	return &Service{store: store, timed: map[string]bool{}}
}

// Register adds the operations to svc, whose signing name is monitoring.
func (s *Service) Register(svc *wire.Service) {
	wire.Handle(svc, s.putMetricAlarm)
	wire.Handle(svc, s.describeAlarms)
	wire.Handle(svc, s.describeAlarmsForMetric)
	wire.Handle(svc, s.describeAlarmHistory)
	wire.Handle(svc, s.deleteAlarms)
	wire.Handle(svc, s.setAlarmState)
	wire.Handle(svc, s.enableAlarmActions)
	wire.Handle(svc, s.disableAlarmActions)
	wire.Handle(svc, s.tagResource)
	wire.Handle(svc, s.untagResource)
	wire.Handle(svc, s.listTagsForResource)
	wire.Handle(svc, s.putMetricData)
	wire.Handle(svc, s.getMetricStatistics)
}

// Resume takes up the evaluation of a region's alarms after a start of the process.
func (s *Service) Resume(region string) {
	_ = s.store.Update(region, func(r *state.Region) error {
		if r.Metrics.Len() > 0 {
			s.schedule(r)
		}
		return nil
	})
}

func badValue(format string, args ...any) *wire.Error {
	return wire.Errorf("InvalidParameterValueException", format, args...)
}

func badCombination(format string, args ...any) *wire.Error {
	return wire.Errorf("InvalidParameterCombinationException", format, args...)
}

func missing(name string) *wire.Error {
	return wire.Errorf("MissingRequiredParameterException", "The parameter %s is required.", name)
}

// become sets an alarm to a state and remembers it, if it is another one than before. A reason alone changes nothing but itself.
func become(a *state.Alarm, now time.Time, value types.StateValue, reason, data string) {
	before := a.MetricAlarm
	a.StateReason, a.StateReasonData = aws.String(reason), nil
	if data != "" {
		a.StateReasonData = aws.String(data)
	}
	a.StateUpdatedTimestamp = aws.Time(now)
	if value == before.StateValue {
		return
	}
	a.StateValue, a.StateTransitionedTimestamp = value, aws.Time(now)
	remember(a, now, types.HistoryItemTypeStateUpdate, "Alarm updated from "+string(before.StateValue)+" to "+string(value), stateChange(before, a.MetricAlarm))
}
