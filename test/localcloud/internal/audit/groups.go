package audit

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/autoscaling/refresh"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// groups: their instances exist, belong to them alone, and are no more than they may be.
func (c *checker) groups() {
	owners := map[string]string{} // of instances
	for key, g := range c.Groups.All() {
		if g.Account == "" {
			c.say("group %s has no owner", key)
		}
		if least, most, want := aws.ToInt32(g.MinSize), aws.ToInt32(g.MaxSize), aws.ToInt32(g.DesiredCapacity); want < least || want > most {
			c.say("group %s wants %d instances, which is not from %d to %d", key, want, least, most)
		}
		for i := range g.Members {
			id := aws.ToString(g.Members[i].InstanceId)
			if other := owners[id]; other != "" {
				c.say("instance %s is in the groups %s and %s", id, min(key, other), max(key, other))
			}
			owners[id] = key
			c.memberOf(key, g, &g.Members[i])
		}
		c.healthy(key, g)
	}
}

// memberOf: an instance knows its group, and one that is gone is on its way out of it, unless it stands by, where nobody looks at its health.
func (c *checker) memberOf(key string, g *state.Group, m *state.Member) {
	id := aws.ToString(m.InstanceId)
	in := c.Instances.Get(id)
	if in == nil {
		if m.EndingAt.IsZero() && !m.Standby {
			c.say("group %s has instance %s, which does not exist, as %s", key, id, m.LifecycleState)
		}
		return
	}
	if in.Account != g.Account || in.Group != aws.ToString(g.AutoScalingGroupName) {
		c.say("group %s has instance %s, which is of %s/%s", key, id, in.Account, in.Group)
	}
}

// healthy: a refresh takes instances out of service only while its group keeps the healthy ones that it must have, but for those that others took
// away: what is missing of the desired capacity, what was launched for that, what is not well or never came into service, and what was taken out
// lately for another reason, which an earlier refresh is, too.
func (c *checker) healthy(key string, g *state.Group) {
	r := c.Refreshes.Get(g.ActiveRefresh)
	if r == nil || !refresh.Replaces(r.Progress.Status) || !g.DeletedAt.IsZero() {
		return
	}
	var available, present, ended int
	lost := c.taken(g)
	for i := range g.Members {
		m := &g.Members[i]
		switch {
		case !m.EndingAt.IsZero() && ofRefresh(g, m) && !m.InService.IsZero() && !m.EndingAt.Before(r.Progress.Started):
			ended++
		case !m.EndingAt.IsZero() && ofRefresh(g, m):
			lost++
		case !m.EndingAt.IsZero() || m.Standby || m.Detach:
		case m.LifecycleState == astypes.LifecycleStateInService && c.well(m):
			present++
			available++
		case m.LifecycleState == astypes.LifecycleStateInService || !ofRefresh(g, m) || m.Launched.Before(r.Progress.Started):
			present++
			lost++
		default:
			present++
		}
	}
	want := int(aws.ToInt32(g.DesiredCapacity))
	least := least(r, want)
	if lost += max(0, want-present); ended > 0 && available+lost < least {
		c.say("group %s has %d healthy instances of at least %d during refresh %s, and lost only %d to others", key, available, least, g.ActiveRefresh, lost)
	}
}

// lately is how long a replacement may take.
const lately = 2 * time.Minute

// taken returns how many instances left the capacity of a group lately, but for those that a refresh ended.
func (c *checker) taken(g *state.Group) (n int) {
	for i := range g.Activities {
		a := &g.Activities[i]
		what := aws.ToString(a.Description)
		back := strings.HasPrefix(what, "Launching") || strings.Contains(what, "out of Standby")
		if !back && !strings.Contains(aws.ToString(a.Cause), "instance refresh") && aws.ToTime(a.StartTime).After(c.Now().Add(-lately)) {
			n++
		}
	}
	return n
}

// least returns how many instances must be healthy during a refresh. One less is allowed where otherwise nothing could be replaced: see
// refresh.Preferences.Bounds.
func least(r *state.Refresh, want int) int {
	p := refresh.Preferences{InPlace: r.Strategy == astypes.RefreshStrategyReplaceRootVolume}
	if r.Preferences != nil {
		p.MinHealthy = int(aws.ToInt32(r.Preferences.MinHealthyPercentage))
		p.MaxHealthy = int(aws.ToInt32(r.Preferences.MaxHealthyPercentage))
	}
	n, _ := p.Bounds(want)
	return n
}

func (c *checker) well(m *state.Member) bool {
	in := c.Instances.Get(aws.ToString(m.InstanceId))
	return aws.ToString(m.HealthStatus) == "Healthy" && m.Unhealthy == "" && stateOf(in) == ec2types.InstanceStateNameRunning && in.Impaired.IsZero()
}

// ofRefresh reports whether an instance is on its way into service, or to its end, because of a refresh.
func ofRefresh(g *state.Group, m *state.Member) bool {
	for i := range g.Activities {
		if a := &g.Activities[i]; aws.ToString(a.ActivityId) == m.Activity {
			return strings.Contains(aws.ToString(a.Cause), "instance refresh")
		}
	}
	return false
}

// refreshes: one that is active is that of its group, and the other way round.
func (c *checker) refreshes() {
	active := map[string]string{} // by ARN of the group
	for key, g := range c.Groups.All() {
		active[aws.ToString(g.AutoScalingGroupARN)] = g.ActiveRefresh
		if r := c.Refreshes.Get(g.ActiveRefresh); g.ActiveRefresh != "" && (r == nil || !refresh.Active(r.Progress.Status)) {
			c.say("group %s is refreshed by %s, which is not active", key, g.ActiveRefresh)
		}
	}
	for id, r := range c.Refreshes.All() {
		if now, exists := active[r.GroupARN]; !exists {
			c.say("refresh %s is of the group %s, which does not exist", id, r.GroupARN)
		} else if refresh.Active(r.Progress.Status) && now != id {
			c.say("refresh %s is active, but its group is refreshed by %q", id, now)
		}
	}
}
