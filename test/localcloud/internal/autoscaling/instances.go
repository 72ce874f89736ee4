package autoscaling

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

func (s *Service) registerInstances(svc *wire.Service) {
	wire.Handle(svc, s.describeAutoScalingInstances)
	wire.Handle(svc, s.terminateInstance)
	wire.Handle(svc, s.setInstanceHealth)
	wire.Handle(svc, s.setInstanceProtection)
	wire.Handle(svc, s.enterStandby)
	wire.Handle(svc, s.exitStandby)
	wire.Handle(svc, s.attachInstances)
	wire.Handle(svc, s.detachInstances)
}

// lookNow returns a look at a group for a handler that changes it.
func (s *Service) lookNow(r *state.Region, g *state.Group) *look {
	return &look{service: s, region: r, group: g, key: state.Key(g.Account, aws.ToString(g.AutoScalingGroupName)), now: r.Now()}
}

// editMember calls f with an instance, of whatever group, to be changed.
func (s *Service) editMember(c *wire.Call, id *string, f func(l *look, m *state.Member) error) error {
	return s.store.Update(c.Region, func(r *state.Region) error {
		g := groupOf(r, c.Account, aws.ToString(id))
		if g == nil {
			return noInstance(aws.ToString(id))
		}
		l := s.lookNow(r, r.Groups.Edit(state.Key(c.Account, aws.ToString(g.AutoScalingGroupName))))
		if err := f(l, member(l.group, aws.ToString(id))); err != nil {
			return err
		}
		s.wake(r, l.key)
		return nil
	})
}

// groupOf returns the group that an instance is a member of, or nil.
func groupOf(r *state.Region, account, id string) *state.Group {
	in := r.Instances.Get(id)
	if in == nil || in.Group == "" {
		return nil
	}
	g := r.Groups.Get(state.Key(account, in.Group))
	if g == nil || member(g, id) == nil {
		return nil
	}
	return g
}

func (s *Service) describeAutoScalingInstances(_ context.Context, c *wire.Call, in *as.DescribeAutoScalingInstancesInput) (*as.DescribeAutoScalingInstancesOutput, error) {
	out := &as.DescribeAutoScalingInstancesOutput{AutoScalingInstances: []astypes.AutoScalingInstanceDetails{}}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		var found []astypes.AutoScalingInstanceDetails
		if len(in.InstanceIds) > 0 {
			for _, id := range slices.Compact(slices.Sorted(slices.Values(in.InstanceIds))) {
				if g := groupOf(r, c.Account, id); g != nil {
					found = append(found, instanceDetails(g, member(g, id)))
				}
			}
		} else {
			for _, g := range groupsOf(r, c.Account) {
				for i := range g.Members {
					found = append(found, instanceDetails(g, &g.Members[i]))
				}
			}
			slices.SortFunc(found, func(a, b astypes.AutoScalingInstanceDetails) int {
				return strings.Compare(*a.InstanceId, *b.InstanceId)
			})
		}
		id := func(d astypes.AutoScalingInstanceDetails) string { return *d.InstanceId }
		var err error
		out.AutoScalingInstances, out.NextToken, err = kit.PaginateBy(found, id, page(c, in.MaxRecords, in.NextToken, 50, 50))
		return err
	})
}

// instanceDetails describes an instance by itself. Recorded: its health is in capitals here.
func instanceDetails(g *state.Group, m *state.Member) astypes.AutoScalingInstanceDetails {
	return astypes.AutoScalingInstanceDetails{
		AutoScalingGroupName: g.AutoScalingGroupName, AvailabilityZone: m.AvailabilityZone, AvailabilityZoneId: m.AvailabilityZoneId,
		HealthStatus: aws.String(strings.ToUpper(aws.ToString(m.HealthStatus))), InstanceId: m.InstanceId, ImageId: m.ImageId, InstanceType: m.InstanceType,
		LaunchTemplate: m.LaunchTemplate, LifecycleState: aws.String(string(m.LifecycleState)), ProtectedFromScaleIn: m.ProtectedFromScaleIn,
	}
}

func (s *Service) terminateInstance(_ context.Context, c *wire.Call, in *as.TerminateInstanceInAutoScalingGroupInput) (*as.TerminateInstanceInAutoScalingGroupOutput, error) {
	out := &as.TerminateInstanceInAutoScalingGroupOutput{}
	ids := in.InstanceIds
	if in.InstanceId != nil {
		ids = append(slices.Clone(ids), *in.InstanceId)
	}
	if len(ids) != 1 {
		return nil, unsupported("A request to terminate any other number of instances than one")
	}
	return out, s.editMember(c, &ids[0], func(l *look, m *state.Member) error {
		if in.AutoScalingGroupName != nil && *in.AutoScalingGroupName != aws.ToString(l.group.AutoScalingGroupName) {
			return notOfGroup(ids[0], *in.AutoScalingGroupName)
		}
		if terminating(m) {
			return invalid("Instance %s is already terminating.", ids[0])
		}
		cause, err := l.shrink(aws.ToBool(in.ShouldDecrementDesiredCapacity), 1, "At "+stamp(l.now)+" instance "+ids[0]+" was taken out of service in response to a user request")
		if err != nil {
			return err
		}
		l.terminate(m, cause)
		out.Activity = l.underWay(m)
		return nil
	})
}

// underWay returns a copy of the activity that an instance has under way.
func (l *look) underWay(m *state.Member) *astypes.Activity {
	if a := l.activity(m); a != nil {
		told := *a
		return &told
	}
	return nil
}

// shrink lowers the desired capacity by n where that is asked for, and returns the cause with what it says of that.
func (l *look) shrink(lower bool, n int32, cause string) (string, error) {
	if !lower {
		return cause + ".", nil
	}
	from := aws.ToInt32(l.group.DesiredCapacity)
	if from-n < *l.group.MinSize {
		return "", invalid("Currently, desiredSize equals minSize (%d). Terminating instance without replacement will violate group's min size constraint. "+
			"Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.", *l.group.MinSize)
	}
	l.group.DesiredCapacity = aws.Int32(from - n)
	return cause + ", shrinking the capacity from " + number(from) + " to " + number(from-n) + ".", nil
}

func (s *Service) setInstanceHealth(_ context.Context, c *wire.Call, in *as.SetInstanceHealthInput) (*as.SetInstanceHealthOutput, error) {
	return &as.SetInstanceHealthOutput{}, s.editMember(c, in.InstanceId, func(l *look, m *state.Member) error {
		switch aws.ToString(in.HealthStatus) {
		case healthy:
			m.HealthStatus, m.Unhealthy = aws.String(healthy), ""
		case unhealthy:
			if (in.ShouldRespectGracePeriod == nil || *in.ShouldRespectGracePeriod) && l.now.Before(l.graceEnds(m)) {
				return nil // documented: within the grace period it is ignored
			}
			m.HealthStatus, m.Unhealthy = aws.String(unhealthy), userCheck
		default:
			return invalid("HealthStatus should be either Healthy or Unhealthy")
		}
		return nil
	})
}

func (s *Service) setInstanceProtection(_ context.Context, c *wire.Call, in *as.SetInstanceProtectionInput) (*as.SetInstanceProtectionOutput, error) {
	return &as.SetInstanceProtectionOutput{}, s.edit(c, in.AutoScalingGroupName, func(r *state.Region, g *state.Group) error {
		members, err := members(g, in.InstanceIds)
		if err != nil {
			return err
		}
		for _, m := range members {
			if !inService(m) && !pending(m) {
				return invalid("The instance %s is not in InService or Pending state.", aws.ToString(m.InstanceId))
			}
		}
		for _, m := range members {
			m.ProtectedFromScaleIn = aws.Bool(aws.ToBool(in.ProtectedFromScaleIn))
		}
		if g.ActsAt.IsZero() {
			g.ActsAt = r.Now().Add(pollInterval)
		}
		hurry(r, g)
		return nil
	})
}

// members returns instances of a group for changing them: each once, however often a request names it.
func members(g *state.Group, ids []string) ([]*state.Member, error) {
	var all []*state.Member
	for _, id := range once(ids) {
		m := member(g, id)
		if m == nil {
			return nil, notOfGroup(id, aws.ToString(g.AutoScalingGroupName))
		}
		all = append(all, m)
	}
	return all, nil
}

// once returns a list without what was there before.
func once(ids []string) []string {
	var all []string
	for _, id := range ids {
		if !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all
}

// move is a request that takes instances through a state of their own, each with an activity.
type move struct {
	ids                []string
	from               func(*state.Member) bool
	fromText           string // the state that they must be in
	what, why          string // Moving EC2 instance to Standby; was moved to standby in response to a user request
	lower              bool
	begin              func(l *look, m *state.Member)
	raises             bool // the desired capacity
	startedProgress    int32
	startedStatus      astypes.ScalingActivityStatusCode
	changesAfterDelay  time.Duration
	activitiesReturned *[]astypes.Activity
}

// do makes the move.
func (v *move) do(s *Service, r *state.Region, g *state.Group) error {
	l := s.lookNow(r, g)
	all, err := members(g, v.ids)
	if err != nil {
		return err
	}
	for _, m := range all {
		if !v.from(m) {
			return invalid("The instance %s is not in %s.", aws.ToString(m.InstanceId), v.fromText)
		}
	}
	n := int32(len(all)) //nolint:gosec // instances of one group
	if from := aws.ToInt32(g.DesiredCapacity); v.lower && from-n < *g.MinSize {
		return invalid("AutoScalingGroup %s has min-size=%d, max-size=%d, and desired-size=%d. To place into standby %d instances, please update the AutoScalingGroup sizes appropriately.",
			aws.ToString(g.AutoScalingGroupName), *g.MinSize, *g.MaxSize, from, n)
	} else if v.raises && from+n > *g.MaxSize {
		return invalid("AutoScalingGroup %s has min-size=%d, max-size=%d, and desired-size=%d. To add %d instances, please update the AutoScalingGroup sizes appropriately.",
			aws.ToString(g.AutoScalingGroupName), *g.MinSize, *g.MaxSize, from, n)
	}
	for _, m := range all {
		cause, err := v.cause(l, m)
		if err != nil {
			return err
		}
		l.begin(m, v.what+": "+aws.ToString(m.InstanceId), cause, v.startedProgress)
		l.note(m, v.startedStatus, v.startedProgress)
		v.begin(l, m)
		m.DueAt = l.now.Add(v.changesAfterDelay)
		*v.activitiesReturned = append(*v.activitiesReturned, *l.underWay(m))
	}
	g.ActsAt = time.Time{}
	hurry(r, g)
	return nil
}

func (v *move) cause(l *look, m *state.Member) (string, error) {
	text := "At " + stamp(l.now) + " instance " + aws.ToString(m.InstanceId) + " " + v.why
	if !v.raises {
		return l.shrink(v.lower, 1, text)
	}
	from := aws.ToInt32(l.group.DesiredCapacity)
	l.group.DesiredCapacity = aws.Int32(from + 1)
	return text + ", increasing the capacity from " + number(from) + " to " + number(from+1) + ".", nil
}

func (s *Service) enterStandby(_ context.Context, c *wire.Call, in *as.EnterStandbyInput) (*as.EnterStandbyOutput, error) {
	out := &as.EnterStandbyOutput{Activities: []astypes.Activity{}}
	v := &move{
		ids: in.InstanceIds, from: inService, fromText: "InService", lower: aws.ToBool(in.ShouldDecrementDesiredCapacity),
		what: "Moving EC2 instance to Standby", why: "was moved to standby in response to a user request",
		startedProgress: 50, startedStatus: astypes.ScalingActivityStatusCodeInProgress, changesAfterDelay: moveTime, activitiesReturned: &out.Activities,
		begin: func(l *look, m *state.Member) {
			l.detach(m)
			m.Standby, m.LifecycleState = true, astypes.LifecycleStateEnteringStandby
		},
	}
	return out, s.edit(c, in.AutoScalingGroupName, func(r *state.Region, g *state.Group) error { return v.do(s, r, g) })
}

func (s *Service) exitStandby(_ context.Context, c *wire.Call, in *as.ExitStandbyInput) (*as.ExitStandbyOutput, error) {
	out := &as.ExitStandbyOutput{Activities: []astypes.Activity{}}
	v := &move{
		ids: in.InstanceIds, from: func(m *state.Member) bool { return m.LifecycleState == astypes.LifecycleStateStandby }, fromText: "Standby", raises: true,
		what: "Moving EC2 instance out of Standby", why: "was moved out of standby in response to a user request",
		startedProgress: 30, startedStatus: astypes.ScalingActivityStatusCodePreInService, changesAfterDelay: inServiceDelay, activitiesReturned: &out.Activities,
		begin: func(_ *look, m *state.Member) { m.Standby, m.LifecycleState = false, astypes.LifecycleStatePending },
	}
	return out, s.edit(c, in.AutoScalingGroupName, func(r *state.Region, g *state.Group) error { return v.do(s, r, g) })
}

func (s *Service) detachInstances(_ context.Context, c *wire.Call, in *as.DetachInstancesInput) (*as.DetachInstancesOutput, error) {
	out := &as.DetachInstancesOutput{Activities: []astypes.Activity{}}
	v := &move{
		ids: in.InstanceIds, from: func(m *state.Member) bool { return inService(m) || m.LifecycleState == astypes.LifecycleStateStandby },
		fromText: "InService or Standby", lower: aws.ToBool(in.ShouldDecrementDesiredCapacity),
		what: "Detaching EC2 instance", why: "was detached in response to a user request",
		startedProgress: 50, startedStatus: astypes.ScalingActivityStatusCodeInProgress, changesAfterDelay: moveTime, activitiesReturned: &out.Activities,
		begin: func(l *look, m *state.Member) {
			l.detach(m)
			m.Detach, m.Standby, m.LifecycleState = true, false, astypes.LifecycleStateDetaching
		},
	}
	return out, s.edit(c, in.AutoScalingGroupName, func(r *state.Region, g *state.Group) error { return v.do(s, r, g) })
}
