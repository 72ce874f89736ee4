package autoscaling

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
)

const (
	launching   = "autoscaling:EC2_INSTANCE_LAUNCHING"
	ending      = "autoscaling:EC2_INSTANCE_TERMINATING"
	toContinue  = "CONTINUE"
	toAbandon   = "ABANDON"
	healthy     = "Healthy"
	unhealthy   = "Unhealthy"
	processElb  = "AddToLoadBalancer"
	processHeal = "ReplaceUnhealthy"
)

// step moves an instance on in its lifecycle.
func (l *look) step(m *state.Member) {
	switch {
	case terminating(m):
		l.stepEnding(m)
	case m.LifecycleState == astypes.LifecycleStatePending:
		l.stepPending(m)
	case m.LifecycleState == astypes.LifecycleStatePendingWait:
		l.stepPendingWait(m)
	case m.LifecycleState == astypes.LifecycleStatePendingProceed:
		if l.due(m.DueAt) {
			l.enterService(m)
		}
	case m.LifecycleState == astypes.LifecycleStateEnteringStandby:
		if l.due(m.DueAt) {
			m.LifecycleState, m.DueAt = astypes.LifecycleStateStandby, time.Time{}
			l.finish(m)
		}
	case m.Detach:
		if l.due(m.DueAt) {
			l.leave(m)
		}
	case replacingRoot(m):
		l.stepRoot(m)
	}
}

// instance returns the EC2 instance of a member, and its state: terminated where there is no record of it any more.
func (l *look) instance(m *state.Member) (*state.Instance, ec2types.InstanceStateName) {
	in := l.region.Instances.Get(aws.ToString(m.InstanceId))
	if in == nil || in.State == nil {
		return in, ec2types.InstanceStateNameTerminated
	}
	return in, in.State.Name
}

// stepPending waits until the instance runs.
func (l *look) stepPending(m *state.Member) {
	in, current := l.instance(m)
	switch current {
	case ec2types.InstanceStateNamePending:
	case ec2types.InstanceStateNameRunning:
		if m.DueAt.IsZero() {
			m.DueAt = l.now.Add(inServiceDelay)
		}
		if l.due(m.DueAt) {
			l.launched(m)
		}
	case ec2types.InstanceStateNameStopping, ec2types.InstanceStateNameStopped, ec2types.InstanceStateNameShuttingDown, ec2types.InstanceStateNameTerminated:
		l.failLaunch(m, in)
	}
}

// launched comes when an instance runs: it waits for its hooks, or goes into service.
func (l *look) launched(m *state.Member) {
	l.group.LaunchFailure, l.group.Failures, l.group.RetryAt = "", 0, time.Time{}
	if m.Actions = l.actions(launching); len(m.Actions) > 0 {
		m.LifecycleState, m.DueAt = astypes.LifecycleStatePendingWait, time.Time{}
		l.note(m, astypes.ScalingActivityStatusCodeMidLifecycleAction, 0)
		l.stepPendingWait(m)
		return
	}
	l.enterService(m)
}

func (l *look) stepPendingWait(m *state.Member) {
	if _, current := l.instance(m); current != ec2types.InstanceStateNameRunning {
		in, _ := l.instance(m)
		l.failLaunch(m, in)
		return
	}
	results, over := l.waitForActions(m)
	switch {
	case slices.Contains(results, toAbandon):
		l.abandon(m)
	case over:
		m.Actions = nil
		m.LifecycleState, m.DueAt = astypes.LifecycleStatePendingProceed, l.now.Add(inServiceDelay)
		l.due(m.DueAt)
	}
}

// abandon ends an instance whose launch a hook did not want.
func (l *look) abandon(m *state.Member) {
	l.end(m, astypes.ScalingActivityStatusCodeCancelled, "Lifecycle Action with token "+m.Actions[0].Token+" was abandoned.")
	m.Actions = nil
	l.group.ActsAt = l.now.Add(pollInterval)
	l.terminate(m, "At "+stamp(l.now)+" an instance was taken out of service in response to a lifecycle action that was abandoned.")
}

func (l *look) enterService(m *state.Member) {
	m.LifecycleState, m.HealthStatus = astypes.LifecycleStateInService, aws.String(healthy)
	m.InService, m.DueAt, m.Unhealthy, m.Standby = l.now, time.Time{}, "", false
	if !l.suspended(processElb) {
		l.attach(m)
	}
	l.finish(m)
	l.cool()
	if r := l.activeRefresh(); r != nil && r.Progress.Next.After(l.now.Add(pollInterval)) {
		r.Progress.Next = l.now.Add(pollInterval)
	}
}

// cool begins the cooldown that comes after every scaling activity.
func (l *look) cool() {
	l.group.CooledAt = l.now.Add(time.Duration(aws.ToInt32(l.group.DefaultCooldown)) * time.Second)
}

func (l *look) attach(m *state.Member) {
	for _, arn := range targetGroups(l.group) {
		l.service.targets.RegisterTargets(l.region, arn, []string{aws.ToString(m.InstanceId)})
	}
}

func (l *look) detach(m *state.Member) {
	for _, arn := range targetGroups(l.group) {
		l.service.targets.DeregisterTargets(l.region, arn, []string{aws.ToString(m.InstanceId)})
	}
}

// terminate begins the end of an instance, which takes it out of service at once. What it had under way is over.
func (l *look) terminate(m *state.Member, cause string) {
	if terminating(m) {
		return
	}
	if m.Activity != "" {
		l.end(m, astypes.ScalingActivityStatusCodeCancelled, "")
	}
	wasServing := inService(m) || m.Standby
	m.EndingAt, m.DueAt, m.Standby, m.Detach = l.now, time.Time{}, false, false
	m.LifecycleState = astypes.LifecycleStateTerminating
	l.begin(m, "Terminating EC2 instance: "+aws.ToString(m.InstanceId), cause, 0)
	l.detach(m)
	m.Actions = nil
	if wasServing {
		m.Actions = l.actions(ending)
	}
	if len(m.Actions) > 0 {
		m.LifecycleState = astypes.LifecycleStateTerminatingWait
		l.note(m, astypes.ScalingActivityStatusCodeMidLifecycleAction, 60)
	}
	l.stepEnding(m)
}

// stepEnding waits for load balancers, hooks and EC2, in this order.
func (l *look) stepEnding(m *state.Member) {
	if !m.Ended && l.draining(m) {
		l.due(l.now.Add(healthInterval))
		return
	}
	if len(m.Actions) > 0 {
		if _, over := l.waitForActions(m); !over {
			return
		}
		m.Actions, m.LifecycleState = nil, astypes.LifecycleStateTerminatingProceed
	}
	id := aws.ToString(m.InstanceId)
	if !m.Ended {
		m.Ended = true
		l.service.instances.Terminate(l.region, []string{id})
	}
	if _, current := l.instance(m); current == ec2types.InstanceStateNameTerminated && l.due(m.EndingAt.Add(terminationTime)) {
		l.finish(m)
		l.cool()
		m.LifecycleState = gone
	}
}

// draining reports whether a load balancer still sends requests to an instance.
func (l *look) draining(m *state.Member) bool {
	if _, current := l.instance(m); current != ec2types.InstanceStateNameRunning || !l.group.DeletedAt.IsZero() {
		return false
	}
	for _, arn := range targetGroups(l.group) {
		if health, _ := l.service.targets.Health(l.region, arn, aws.ToString(m.InstanceId)); health == elbtypes.TargetHealthStateEnumDraining {
			return true
		}
	}
	return false
}

// leave takes an instance off the group that lives on.
func (l *look) leave(m *state.Member) {
	if in := l.region.Instances.Edit(aws.ToString(m.InstanceId)); in != nil {
		in.Group = ""
		in.Tags = slices.DeleteFunc(slices.Clone(in.Tags), func(t ec2types.Tag) bool { return aws.ToString(t.Key) == groupTag })
	}
	l.finish(m)
	m.LifecycleState = gone
}
