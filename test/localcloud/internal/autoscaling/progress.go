package autoscaling

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/iibake/iibake/test/localcloud/internal/autoscaling/refresh"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// How long a refresh is pending. Recorded, one sample each: an empty group was done by +5 s, one without a desired configuration began at +6 s,
// and one with such at +10 s.
const (
	startDelayEmpty   = 4 * time.Second
	startDelay        = 6 * time.Second
	startDelayDesired = 10 * time.Second
)

// rootTime is how long the replacement of a root volume takes at least. Inferred.
const rootTime = 30 * time.Second

// activeRefresh returns the refresh of the group that is not at its end, for changing it, or nil.
func (l *look) activeRefresh() *state.Refresh {
	if l.group.ActiveRefresh == "" {
		return nil
	}
	return l.region.Refreshes.Edit(l.group.ActiveRefresh)
}

// wanted returns what instances that are launched now are to be.
func (l *look) wanted() config {
	r := l.activeRefresh()
	switch {
	case r == nil:
		return configOf(l.group)
	case r.Progress.Rollback != nil:
		return before(r)
	case r.DesiredConfiguration != nil && (replacing(r) || r.Progress.Status == astypes.InstanceRefreshStatusBaking):
		return after(r)
	}
	return configOf(l.group)
}

// before is what the group was when the refresh was started.
func before(r *state.Refresh) config { return config{r.BeforeTemplate, r.BeforePolicy} }

// after is what the group is to be.
func after(r *state.Refresh) config {
	return config{r.DesiredConfiguration.LaunchTemplate, r.DesiredConfiguration.MixedInstancesPolicy}
}

// preferencesOf returns the preferences of a refresh as its decisions need them.
func preferencesOf(r *state.Refresh) refresh.Preferences {
	given := r.Preferences
	p := refresh.Preferences{
		MinHealthy: int(aws.ToInt32(given.MinHealthyPercentage)), MaxHealthy: int(aws.ToInt32(given.MaxHealthyPercentage)),
		Warmup: seconds(given.InstanceWarmup), CheckpointDelay: time.Hour, Bake: seconds(given.BakeTime),
		Protected: given.ScaleInProtectedInstances, Standby: given.StandbyInstances,
		Rollback: aws.ToBool(given.AutoRollback), InPlace: r.Strategy == astypes.RefreshStrategyReplaceRootVolume,
	}
	if given.CheckpointDelay != nil {
		p.CheckpointDelay = seconds(given.CheckpointDelay)
	}
	for _, c := range given.CheckpointPercentages {
		p.Checkpoints = append(p.Checkpoints, int(c))
	}
	return p
}

// refresh moves the refresh of the group on, where there is one.
func (l *look) refresh() {
	r := l.activeRefresh()
	if r == nil {
		return
	}
	alarmed := l.alarmed(r)
	if !l.due(r.Progress.Next) && !alarmed {
		return
	}
	var act refresh.Actions
	r.Progress, act = refresh.Step(preferencesOf(r), r.Progress, l.fleet(r))
	l.act(act)
	show(r)
	if !refresh.Active(r.Progress.Status) {
		l.conclude(r)
		return
	}
	l.due(r.Progress.Next)
}

// alarmed reports whether an alarm of the refresh is in ALARM, and asks for the next look at them.
func (l *look) alarmed(r *state.Refresh) bool {
	if r.Preferences.AlarmSpecification == nil || len(r.Preferences.AlarmSpecification.Alarms) == 0 {
		return false
	}
	l.due(l.now.Add(refresh.Interval))
	return l.alarm(r) != ""
}

func (l *look) alarm(r *state.Refresh) string {
	if r.Preferences.AlarmSpecification == nil {
		return ""
	}
	for _, name := range r.Preferences.AlarmSpecification.Alarms {
		if a := l.region.Alarms.Get(state.Key(r.Account, name)); a != nil && a.StateValue == cwtypes.StateValueAlarm {
			return name
		}
	}
	return ""
}

// fleet returns the group as its refresh sees it.
func (l *look) fleet(r *state.Refresh) refresh.Fleet {
	f := refresh.Fleet{Now: l.now, Desired: desired(l.group), Alarm: l.alarm(r), Paused: l.paused()}
	if !l.mayLaunch() {
		f.Refused = l.group.LaunchFailure
	}
	updated, err := l.updated(r)
	if err != nil {
		f.Refused = err.Error()
	}
	for i := range l.group.Members {
		m := &l.group.Members[i]
		if m.Detach {
			continue
		}
		f.Instances = append(f.Instances, refresh.Instance{
			ID: aws.ToString(m.InstanceId), Zone: aws.ToString(m.AvailabilityZone), Phase: phase(m),
			Healthy: aws.ToString(m.HealthStatus) == healthy, Since: m.InService, Updated: updated(m),
			Protected: aws.ToBool(m.ProtectedFromScaleIn), NoData: l.missing(m),
		})
	}
	return f
}

// missing is noData of instances in service: only those can have any.
func (l *look) missing(m *state.Member) string {
	if !inService(m) {
		return ""
	}
	return l.noData(m)
}

// paused returns the suspended process without which a refresh can do nothing, or nothing.
func (l *look) paused() string {
	for _, process := range []string{"InstanceRefresh", "Launch", "Terminate"} {
		if l.suspended(process) {
			return process
		}
	}
	return ""
}

func phase(m *state.Member) refresh.Phase {
	switch {
	case terminating(m):
		return refresh.Terminating
	case m.Standby:
		return refresh.Standby
	case replacingRoot(m):
		return refresh.Replacing
	case inService(m):
		return refresh.InService
	}
	return refresh.Pending
}

// updated returns a test for instances that are what the refresh, or its rollback, wants. Documented: an instance that is so already is left alone
// with skip matching only, and one that was replaced is replaced again when $Latest or $Default have come to mean something else.
func (l *look) updated(r *state.Refresh) (func(*state.Member) bool, error) {
	c := configOf(l.group)
	rollback := r.Progress.Rollback != nil
	if rollback {
		c = before(r)
	} else if r.DesiredConfiguration != nil {
		c = after(r)
	}
	options, err := c.options(l.region, l.group.Account)
	if err != nil {
		return func(*state.Member) bool { return false }, err
	}
	started := r.Progress.Started
	made := func(m *state.Member) bool { return !started.IsZero() && !m.Launched.Before(started) }
	skip := aws.ToBool(r.Preferences.SkipMatching)
	return func(m *state.Member) bool {
		if rollback && !made(m) {
			return true // not replaced by the refresh
		}
		return matches(options, m) && (skip || rollback || made(m))
	}, nil
}

// act does what a refresh decided.
func (l *look) act(a refresh.Actions) {
	for _, id := range a.Terminate {
		if m := member(l.group, id); m != nil {
			l.terminate(m, "At "+stamp(l.now)+" an instance was taken out of service in response to an instance refresh.")
		}
	}
	for _, id := range a.Replace {
		if m := member(l.group, id); m != nil {
			l.replaceRoot(m)
		}
	}
	if a.Launch > 0 {
		l.launch(a.Launch, "At "+stamp(l.now)+" an instance was launched in response to an instance refresh.")
	}
}

// conclude takes a refresh that is at its end off its group. Success makes the group what was desired, a rollback what it was before.
func (l *look) conclude(r *state.Refresh) {
	g := l.group
	g.ActiveRefresh = ""
	c := configOf(g)
	switch {
	case r.Progress.Status == astypes.InstanceRefreshStatusSuccessful && r.DesiredConfiguration != nil:
		c = after(r)
	case r.Progress.Status == astypes.InstanceRefreshStatusRollbackSuccessful:
		c = before(r)
	}
	g.LaunchTemplate, g.MixedInstancesPolicy = c.template, c.mixed
	l.reconcile()
}

// show writes the progress of a refresh into what requests are answered with.
func show(r *state.Refresh) {
	p := &r.Progress
	r.Status = p.Status
	r.StatusReason = nil
	if p.Reason != "" {
		r.StatusReason = aws.String(p.Reason)
	}
	if !p.Started.IsZero() {
		r.StartTime = aws.Time(p.Started.Truncate(time.Second))
		r.PercentageComplete, r.InstancesToUpdate = aws.Int32(int32(p.Percent)), aws.Int32(int32(p.ToUpdate)) //nolint:gosec // both are small
	}
	if !p.Ended.IsZero() {
		r.EndTime = aws.Time(p.Ended.Truncate(time.Second))
	}
	if b := p.Rollback; b != nil && !b.Started.IsZero() {
		r.RollbackDetails = &astypes.RollbackDetails{
			RollbackReason: aws.String(b.Reason), RollbackStartTime: aws.Time(b.Started.Truncate(time.Millisecond)),
			PercentageCompleteOnRollback: aws.Int32(int32(b.Percent)), InstancesToUpdateOnRollback: aws.Int32(int32(b.ToUpdate)), //nolint:gosec // both are small
		}
	}
}

// member returns an instance of a group for changing it, or nil.
func member(g *state.Group, id string) *state.Member {
	i := slices.IndexFunc(g.Members, func(m state.Member) bool { return aws.ToString(m.InstanceId) == id })
	if i < 0 {
		return nil
	}
	return &g.Members[i]
}
