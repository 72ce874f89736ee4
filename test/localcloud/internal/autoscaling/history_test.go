package autoscaling_test

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	"pgregory.net/rapid"

	"github.com/iibake/iibake/test/localcloud/internal/autoscaling/refresh"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

const most = 8 // instances of the group

// history is a group that its users, EC2 and time do whatever they like to. What it promises is looked at after everything that happens.
type history struct {
	*world
	t *rapid.T

	template string                             // version that the group has, as far as requests and refreshes have set it
	before   string                             // the same when the active refresh began
	ended    map[string]astypes.InstanceRefresh // what refreshes were at their end
	told     map[string]bool                    // activities that were there before
	last     astypes.InstanceRefresh            // the newest refresh when it was looked at last
	members  map[string]state.Member            // at the last look
	refuse   string                             // subnet in which nothing can be launched
	dies     string                             // version whose instances do not boot
}

// Whatever happens to a group, it keeps its promises, and once it is left alone it comes to rest as it should be.
func TestAnyHistory(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := &history{world: newWorld(t), t: rt, template: "1", ended: map[string]astypes.InstanceRefresh{}, told: map[string]bool{}}
		h.arm()
		_ = h.store.Update(region, func(r *state.Region) error {
			r.Alarms.Put(state.Key(account, "errors"), &state.Alarm{Account: account})
			return nil
		})
		h.create("g", rapid.Int32Range(0, 5).Draw(rt, "desired"), func(in *as.CreateAutoScalingGroupInput) {
			in.MaxSize, in.VPCZoneIdentifier = aws.Int32(most), aws.String(subnetA+","+subnetB)
		})
		rt.Repeat(map[string]func(*rapid.T){
			"": h.check, "a while": h.while, "longer": h.longer, "desire": h.wish, "refresh": h.start, "cancel": h.cancel, "roll back": h.rollBack, "kill": h.kill,
			"ill": h.ill, "standby": h.standby, "back": h.back, "protect": h.protect, "suspend": h.suspend, "resume": h.resume, "update": h.update, "terminate": h.end,
			"capacity": h.capacity, "boot": h.boot, "hook": h.wait, "alarm": h.alarm, "detach": h.detach, "attach": h.attach, "version": h.version, "restart": h.again,
		})
		h.rest(rt)
	})
}

// arm gives EC2 the faults of the history.
func (h *history) arm() {
	h.ec2.refuse = func(in *ec2.RunInstancesInput) error {
		if *in.SubnetId == h.refuse {
			return wire.Errorf("InsufficientInstanceCapacity", "We currently do not have sufficient capacity.")
		}
		return nil
	}
	h.ec2.dies = func(in *ec2.RunInstancesInput) string {
		if *in.LaunchTemplate.Version == h.dies {
			return "Client.InternalError: Client error on launch"
		}
		return ""
	}
}

// allowed fails where a call failed for any other reason than one that a client can help.
func (h *history) allowed(err error) bool {
	var e smithy.APIError
	if err != nil && (!errors.As(err, &e) || !slices.Contains([]string{
		"ValidationError", "InstanceRefreshInProgress", "ActiveInstanceRefreshNotFound", "IrreversibleInstanceRefresh",
	}, e.ErrorCode())) {
		h.t.Fatalf("%v", err)
	}
	return err == nil
}

// check is what is looked at after every call.
func (h *history) check(t *rapid.T) {
	h.t = t
	h.look()
}

// look holds the group against its promises.
func (h *history) look() {
	_ = h.store.View(region, func(r *state.Region) error {
		g := r.Groups.Get(state.Key(account, "g"))
		rec := h.newest(r, g)
		h.checkMembers(r, g)
		h.checkActivities(g, rec)
		h.members = map[string]state.Member{}
		for _, m := range g.Members {
			h.members[*m.InstanceId] = m
		}
		return nil
	})
}

// checkMembers: every instance is there once, exists, and is of one zone and of one numbered version.
func (h *history) checkMembers(r *state.Region, g *state.Group) {
	seen := map[string]bool{}
	for _, m := range g.Members {
		id := *m.InstanceId
		in := r.Instances.Get(id)
		if seen[id] || in == nil || in.Group != "g" {
			h.t.Fatalf("instance %s twice, without a record or of another group: %+v", id, in)
		}
		seen[id] = true
		if _, err := strconv.Atoi(versionOf(&m)); err != nil && m.LaunchTemplate != nil || m.Launched.After(r.Now()) {
			h.t.Fatalf("%s has version %s, launched %v", id, versionOf(&m), m.Launched)
		}
		if zone := map[string]string{subnetA: "us-east-1a", subnetB: "us-east-1b"}[m.Subnet]; *m.AvailabilityZone != zone || *in.Placement.AvailabilityZone != zone {
			h.t.Fatalf("%s is in %s and in %s", id, m.Subnet, *m.AvailabilityZone)
		}
		if before, known := h.members[id]; known && before.Launched.Equal(m.Launched) && (versionOf(&before) != versionOf(&m) || *before.AvailabilityZone != *m.AvailabilityZone) {
			h.t.Fatalf("%s changed: %+v, %+v", id, before, m)
		}
	}
}

// newest follows the newest refresh, and checks what it says of itself.
func (h *history) newest(r *state.Region, g *state.Group) *state.Refresh {
	for _, id := range g.RefreshIDs {
		rec := r.Refreshes.Get(id)
		if active := refresh.Active(rec.Status); active != (g.ActiveRefresh == id) || active != (rec.EndTime == nil) {
			h.t.Fatalf("%s is %s, ended %v, and active is %q", id, rec.Status, rec.EndTime, g.ActiveRefresh)
		}
		if was, over := h.ended[id]; over && was.Status != rec.Status {
			h.t.Fatalf("%s was %s, and is %s", id, was.Status, rec.Status)
		}
	}
	if len(g.RefreshIDs) == 0 {
		return nil
	}
	rec := r.Refreshes.Get(g.RefreshIDs[len(g.RefreshIDs)-1])
	h.follow(g, rec)
	h.last = rec.InstanceRefresh
	return rec
}

func (h *history) follow(g *state.Group, rec *state.Refresh) {
	id, was := *rec.InstanceRefreshId, h.last
	if was.InstanceRefreshId == nil || *was.InstanceRefreshId != id {
		was = astypes.InstanceRefresh{Status: astypes.InstanceRefreshStatusPending}
	}
	if !follows(was.Status, rec.Status) {
		h.t.Fatalf("from %s to %s", was.Status, rec.Status)
	}
	if p, before := rec.PercentageComplete, was.PercentageComplete; p != nil && before != nil {
		if back := rec.Progress.Rollback != nil; !back && *p < *before || back && *p > *before || *p < 0 || *p > 100 || *rec.InstancesToUpdate < 0 {
			h.t.Fatalf("%s: from %d %% to %d %%", rec.Status, *before, *p)
		}
	}
	if _, over := h.ended[id]; !over && rec.EndTime != nil {
		h.ended[id] = rec.InstanceRefresh
		h.conclude(g, rec)
	}
	if was.Status == astypes.InstanceRefreshStatusInProgress && (rec.Status == astypes.InstanceRefreshStatusBaking || rec.Status == astypes.InstanceRefreshStatusSuccessful) {
		h.complete(g, rec)
	}
	if got := aws.ToString(g.LaunchTemplate.Version); got != h.template {
		h.t.Fatalf("with a refresh that is %s the group has version %s, not %s", rec.Status, got, h.template)
	}
}

// follows reports whether a status may come after another, perhaps with some between that nobody saw.
func follows(before, after astypes.InstanceRefreshStatus) bool {
	if before == after {
		return true
	}
	switch before {
	case astypes.InstanceRefreshStatusPending, astypes.InstanceRefreshStatusInProgress:
		return after != astypes.InstanceRefreshStatusPending
	case astypes.InstanceRefreshStatusBaking:
		return after != astypes.InstanceRefreshStatusPending && after != astypes.InstanceRefreshStatusInProgress
	case astypes.InstanceRefreshStatusCancelling:
		return after == astypes.InstanceRefreshStatusCancelled
	case astypes.InstanceRefreshStatusRollbackInProgress:
		return slices.Contains([]astypes.InstanceRefreshStatus{
			astypes.InstanceRefreshStatusRollbackSuccessful, astypes.InstanceRefreshStatusRollbackFailed, astypes.InstanceRefreshStatusCancelling, astypes.InstanceRefreshStatusCancelled,
		}, after)
	case astypes.InstanceRefreshStatusSuccessful, astypes.InstanceRefreshStatusFailed, astypes.InstanceRefreshStatusCancelled,
		astypes.InstanceRefreshStatusRollbackFailed, astypes.InstanceRefreshStatusRollbackSuccessful:
	}
	return false
}

// conclude keeps the version that the group must have now: a refresh changes it only where it, or its rollback, succeeds.
func (h *history) conclude(g *state.Group, rec *state.Refresh) {
	switch {
	case rec.Status == astypes.InstanceRefreshStatusSuccessful && rec.DesiredConfiguration != nil:
		h.template = *rec.DesiredConfiguration.LaunchTemplate.Version
	case rec.Status == astypes.InstanceRefreshStatusRollbackSuccessful:
		h.template = h.before
		for _, m := range g.Members {
			if serves(&m) && !ignored(rec, &m) && !m.Launched.Before(rec.Progress.Started) && versionOf(&m) != h.number(h.before) {
				h.t.Fatalf("rolled back with %s of version %s", *m.InstanceId, versionOf(&m))
			}
		}
	}
	if rec.StartTime != nil && rec.EndTime.Before(*rec.StartTime) {
		h.t.Fatalf("it ended at %v and began at %v", rec.EndTime, rec.StartTime)
	}
	if rolled := rec.Status == astypes.InstanceRefreshStatusRollbackSuccessful || rec.Status == astypes.InstanceRefreshStatusRollbackFailed; rolled && rec.RollbackDetails == nil {
		h.t.Fatalf("%s without details", rec.Status)
	}
}

// complete: a refresh that goes to the end has left nothing old behind but what it was told to leave.
func (h *history) complete(g *state.Group, rec *state.Refresh) {
	if c := rec.Preferences.CheckpointPercentages; len(c) > 0 && c[len(c)-1] != 100 {
		return
	}
	want := h.template
	if rec.DesiredConfiguration != nil {
		want = *rec.DesiredConfiguration.LaunchTemplate.Version
	}
	for _, m := range g.Members {
		if versionOf(&m) != h.number(want) && serves(&m) && !ignored(rec, &m) {
			h.t.Fatalf("%s with %s %s of version %s, wanted is %s", rec.Status, *m.InstanceId, m.LifecycleState, versionOf(&m), want)
		}
	}
}

// ignored reports whether a refresh leaves an instance alone because it is protected.
func ignored(rec *state.Refresh, m *state.Member) bool {
	return rec.Preferences.ScaleInProtectedInstances == astypes.ScaleInProtectedInstancesIgnore && *m.ProtectedFromScaleIn
}

// versionOf is the version that an instance was launched from, and nothing for one that was attached.
func versionOf(m *state.Member) string {
	if m.LaunchTemplate == nil {
		return ""
	}
	return *m.LaunchTemplate.Version
}

// number is what a version means now.
func (h *history) number(version string) string {
	if version == "$Latest" {
		version = ""
		_ = h.store.View(region, func(r *state.Region) error {
			version = strconv.FormatInt(*r.LaunchTemplates.Get("lt-0aaaaaaaaaaaaaaaa").LatestVersionNumber, 10)
			return nil
		})
	}
	return version
}

// serves reports whether an instance is capacity, or will be.
func serves(m *state.Member) bool {
	return m.LifecycleState == astypes.LifecycleStateInService || strings.HasPrefix(string(m.LifecycleState), "Pending")
}

// checkActivities: what a refresh terminates leaves as many healthy instances as it promised, and what it launches is no more than it may.
func (h *history) checkActivities(g *state.Group, rec *state.Refresh) {
	served, healthy := 0, 0
	for _, m := range g.Members {
		if serves(&m) {
			served++
		}
		if m.LifecycleState == astypes.LifecycleStateInService && *m.HealthStatus == "Healthy" {
			healthy++
		}
	}
	for _, a := range g.Activities {
		if h.told[*a.ActivityId] {
			continue
		}
		h.told[*a.ActivityId] = true
		if rec == nil || !strings.HasSuffix(*a.Cause, "in response to an instance refresh.") {
			continue
		}
		least, most := boundsOf(rec, int(*g.DesiredCapacity))
		was, known := h.members[idOf(&a)]
		if known && was.LifecycleState == astypes.LifecycleStateInService && *was.HealthStatus == "Healthy" && healthy < least {
			h.t.Fatalf("%s leaves %d healthy ones of %d, at least %d must be", *a.Description, healthy, *g.DesiredCapacity, least)
		}
		if strings.HasPrefix(*a.Description, "Launching") && served > max(most, int(*g.DesiredCapacity)) {
			h.t.Fatalf("%s makes %d, at most %d may be", *a.Description, served, most)
		}
	}
}

func idOf(a *astypes.Activity) string {
	_, id, _ := strings.Cut(*a.Description, ": ")
	return id
}

func boundsOf(rec *state.Refresh, desired int) (least, most int) {
	p := rec.Preferences
	return refresh.Preferences{MinHealthy: int(*p.MinHealthyPercentage), MaxHealthy: int(aws.ToInt32(p.MaxHealthyPercentage))}.Bounds(desired)
}

// rest takes all troubles away, and waits until nothing happens any more.
func (h *history) rest(t *rapid.T) {
	h.t, h.refuse, h.dies = t, "", ""
	_, _ = h.client.DeleteLifecycleHook(h.Context(), &as.DeleteLifecycleHookInput{AutoScalingGroupName: aws.String("g"), LifecycleHookName: aws.String("h")})
	h.resume(t)
	if ids := h.ids(func(m *state.Member) bool { return *m.ProtectedFromScaleIn && serves(m) }); len(ids) > 0 {
		h.world.protect(false, ids...)
	}
	h.pass(6 * time.Hour)
	_ = h.store.View(region, func(r *state.Region) error {
		h.settled(r, r.Groups.Get(state.Key(account, "g")))
		return nil
	})
	calls := len(h.ec2.launches)
	h.pass(6 * time.Hour)
	if again := len(h.ec2.launches); again != calls {
		t.Fatalf("%d launches more in a group that had come to rest", again-calls)
	}
}

func (h *history) settled(r *state.Region, g *state.Group) {
	zones := map[string]int{"us-east-1a": 0, "us-east-1b": 0}
	ids := map[string]bool{}
	for _, m := range g.Members {
		ids[*m.InstanceId] = true
		if m.LifecycleState == astypes.LifecycleStateStandby {
			continue
		}
		zones[*m.AvailabilityZone]++
		if m.LifecycleState != astypes.LifecycleStateInService || *m.HealthStatus != "Healthy" {
			h.t.Errorf("%s is %s and %s", *m.InstanceId, m.LifecycleState, *m.HealthStatus)
		}
	}
	if a, b := zones["us-east-1a"], zones["us-east-1b"]; a+b != int(*g.DesiredCapacity) || max(a, b)-min(a, b) > 1 || g.ActiveRefresh != "" {
		h.t.Errorf("%d are wanted, %v are there, refresh %q", *g.DesiredCapacity, zones, g.ActiveRefresh)
	}
	for _, a := range g.Activities {
		if a.EndTime == nil || a.EndTime.Before(a.StartTime.Truncate(time.Second)) || *a.Progress != 100 {
			h.t.Errorf("%s is %s, ended %v", *a.Description, a.StatusCode, a.EndTime)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(maps.Collect(r.Instances.All()))) {
		if in := r.Instances.Get(id); in.Group == "g" && !ids[id] && in.State.Name != ec2types.InstanceStateNameTerminated {
			h.t.Errorf("%s is %s, and nobody knows of it", id, in.State.Name)
		}
	}
}
