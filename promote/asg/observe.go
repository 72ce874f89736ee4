package asg

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
)

// Observe asks for the group, its refresh and, on the way forward, the alarms of the strategy. A rollout that had nothing to replace has
// succeeded as long as that is so.
func (f *Fleet) Observe(ctx context.Context, r promote.Rollout) (promote.Observation, error) {
	o, err := f.observe(ctx, r)
	if err != nil {
		return promote.Observation{}, f.fail(err)
	}
	return o, nil
}

func (f *Fleet) observe(ctx context.Context, r promote.Rollout) (promote.Observation, error) {
	refresh, err := f.own(ctx, r)
	if err != nil {
		return promote.Observation{}, err
	}
	if refresh == nil && r.Refresh != "" && f.recent(r) {
		return promote.Observation{}, fmt.Errorf("instance refresh %s: %w", r.Refresh, errLag)
	}
	g, err := f.group(ctx) // after the refresh: of one that has ended nothing moves any more
	if err != nil {
		return promote.Observation{}, err
	}
	o := promote.Observation{Healthy: g.healthy(), Desired: g.desired(), At: f.t.Now()}
	wanted := towards(r, refresh, g)
	for _, in := range g.Instances {
		switch {
		case leaving(in):
		case wanted.has(in):
			o.New += weight(in)
		default:
			o.Old += weight(in)
		}
	}
	switch {
	case refresh != nil:
		o.State, o.Percent, o.Reason = stateOf(refresh.Status), int(aws.ToInt32(refresh.PercentageComplete)), reasonOf(refresh)
	case g.config().same(wanted) && o.Old == 0:
		o.State, o.Percent = promote.Succeeded, 100
	default:
		o.State, o.Reason = promote.Failing, "AWS knows nothing of the refresh any more, and the group is not where it should have gone"
	}
	if !r.Back {
		o.Alarm, err = f.alarm(ctx, r.Fleet.Strategy.Alarms)
	}
	return o, err
}

// reasonOf returns why a refresh does what it does. Of one that goes back, or did, that is why it turned: what it waits for on its way tells nobody
// what was wrong.
func reasonOf(refresh *astypes.InstanceRefresh) string {
	switch stateOf(refresh.Status) {
	case promote.GoingBack, promote.WentBack, promote.NotGoneBack:
		if d := refresh.RollbackDetails; d != nil && aws.ToString(d.RollbackReason) != "" {
			return *d.RollbackReason
		}
	case promote.Waiting, promote.Replacing, promote.Soaking, promote.Succeeded, promote.Failing, promote.Cancelling, promote.Cancelled:
	}
	return aws.ToString(refresh.StatusReason)
}

// leaving reports whether an instance is about to be gone: it is neither old nor new.
func leaving(in astypes.Instance) bool {
	return strings.HasPrefix(string(in.LifecycleState), "Terminat") || strings.HasPrefix(string(in.LifecycleState), "Detach")
}

// towards returns where a refresh goes, or went.
func towards(r promote.Rollout, refresh *astypes.InstanceRefresh, g *group) config {
	if refresh != nil && refresh.DesiredConfiguration != nil {
		return configOf(refresh.DesiredConfiguration)
	}
	wanted, err := wantedOf(g.config(), r)
	if err != nil {
		return config{}
	}
	return wanted
}

// refresh returns a refresh, or nil where there is none of this id.
func (f *Fleet) refresh(ctx context.Context, id string) (*astypes.InstanceRefresh, error) {
	out, err := target.AutoScaling(f.t).DescribeInstanceRefreshes(ctx, &autoscaling.DescribeInstanceRefreshesInput{
		AutoScalingGroupName: &f.m.Group, InstanceRefreshIds: []string{id},
	})
	if err != nil || len(out.InstanceRefreshes) == 0 {
		return nil, err
	}
	return &out.InstanceRefreshes[0], nil
}

func stateOf(s astypes.InstanceRefreshStatus) promote.State {
	switch s {
	case astypes.InstanceRefreshStatusPending:
		return promote.Waiting
	case astypes.InstanceRefreshStatusInProgress:
		return promote.Replacing
	case astypes.InstanceRefreshStatusBaking:
		return promote.Soaking
	case astypes.InstanceRefreshStatusSuccessful:
		return promote.Succeeded
	case astypes.InstanceRefreshStatusFailed:
		return promote.Failing
	case astypes.InstanceRefreshStatusCancelling:
		return promote.Cancelling
	case astypes.InstanceRefreshStatusCancelled:
		return promote.Cancelled
	case astypes.InstanceRefreshStatusRollbackInProgress:
		return promote.GoingBack
	case astypes.InstanceRefreshStatusRollbackSuccessful:
		return promote.WentBack
	case astypes.InstanceRefreshStatusRollbackFailed:
		return promote.NotGoneBack
	}
	return promote.Replacing // one that AWS has thought of since
}

// alarm returns the first of some alarms that is in ALARM.
func (f *Fleet) alarm(ctx context.Context, names []string) (string, error) {
	states, err := f.alarms(ctx, names)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		if states[name] == cwtypes.StateValueAlarm {
			return name, nil
		}
	}
	return "", nil
}

// alarms returns the states of those alarms that exist.
func (f *Fleet) alarms(ctx context.Context, names []string) (map[string]cwtypes.StateValue, error) {
	states := map[string]cwtypes.StateValue{}
	if len(names) == 0 {
		return states, nil
	}
	out, err := target.CloudWatch(f.t).DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{
		AlarmNames: names, AlarmTypes: []cwtypes.AlarmType{cwtypes.AlarmTypeMetricAlarm, cwtypes.AlarmTypeCompositeAlarm},
	})
	if err != nil {
		return nil, err
	}
	for _, a := range out.MetricAlarms {
		states[aws.ToString(a.AlarmName)] = a.StateValue
	}
	for _, a := range out.CompositeAlarms {
		states[aws.ToString(a.AlarmName)] = a.StateValue
	}
	return states, nil
}
