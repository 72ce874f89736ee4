package refresh_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/test/localcloud/internal/autoscaling/refresh"
)

func preferences(p refresh.Preferences) refresh.Preferences {
	if p.MinHealthy == 0 && p.MaxHealthy == 0 {
		p.MinHealthy = 90
	}
	return p
}

func expectLog(t *testing.T, g *group, want ...string) {
	t.Helper()
	if !slices.Equal(g.log, want) {
		t.Errorf("it went\n%s\nwant\n%s", strings.Join(g.log, "\n"), strings.Join(want, "\n"))
	}
}

// Recorded: one instance, both bounds at 100 %, bake time of a minute, in seconds from its start 10 s after the call.
func TestOneInstanceIsReplacedByLaunchingFirst(t *testing.T) {
	g := newGroup(t, 1, refresh.Preferences{MinHealthy: 100, MaxHealthy: 100, Bake: time.Minute})
	g.run(time.Hour)
	expectLog(t, g,
		`+0 InProgress 0% 1 ""`,
		`+10 InProgress 25% 1 "Waiting for remaining instances to be available. For example: i-1 has insufficient data to evaluate its health with Amazon EC2."`,
		`+76 InProgress 50% 1 "Waiting for remaining instances to be available. For example: i-1 has insufficient data to evaluate its health with Amazon EC2."`,
		`+86 InProgress 100% 0 "Waiting for terminating instances before continuing. For example: i-1 is terminating."`,
		`+106 Baking 100% 0 "Waiting for bake time to finish before continuing. There are 60 seconds left."`,
		`+166 Successful 100% 0 ""`)
}

// Recorded: the same, rolled back by its user while it bakes.
func TestARollbackCountsDown(t *testing.T) {
	g := newGroup(t, 1, refresh.Preferences{MinHealthy: 100, MaxHealthy: 100, Bake: time.Minute})
	g.run(110 * time.Second)
	g.start, g.log = g.now, nil
	g.s = g.s.RollBack(g.now, "user request")
	if g.s.Percent != 100 || !g.s.Rollback.Started.IsZero() {
		t.Errorf("at once %+v", g.s)
	}
	g.run(time.Hour)
	expectLog(t, g,
		`+0 RollbackInProgress 100% 0 "Rollback triggered due to user request."`,
		`+13 RollbackInProgress 50% 1 "Waiting for a health check interval to pass before continuing."`,
		`+99 RollbackInProgress 0% 1 "Waiting for a health check interval to pass before continuing."`,
		`+139 RollbackSuccessful 0% 1 ""`)
	if b := g.s.Rollback; b.Percent != 100 || b.ToUpdate != 0 || b.Reason != "Rollback triggered due to user request." || b.Started.Sub(g.start) != 3*time.Second {
		t.Errorf("details %+v", b)
	}
	if len(g.members) != 1 || g.members[0].config != 1 || g.members[0].ID != "i-3" {
		t.Errorf("left %+v", g.members[0])
	}
}

// Recorded: a protected instance is waited for; documented: for an hour.
func TestAProtectedInstanceIsWaitedForAnHour(t *testing.T) {
	g := newGroup(t, 1, preferences(refresh.Preferences{}))
	g.members[0].Protected = true
	g.run(2 * time.Hour)
	expectLog(t, g,
		`+0 InProgress 0% 1 "Waiting for remaining instances to be available. For example: i-1 is protected. Remove instance scale-in protection to continue."`,
		`+3600 Failed 0% 1 "Instance refresh failed due to no progress for an hour. Waiting for remaining instances to be available. For example: i-1 is protected. Remove instance scale-in protection to continue."`)
}

// Recorded: cancelled without waiting, it is over after five seconds and keeps its figures.
func TestCancelWithoutWaiting(t *testing.T) {
	g := newGroup(t, 1, preferences(refresh.Preferences{}))
	g.members[0].Protected = true
	g.run(10 * time.Second)
	g.s = g.s.Cancel(g.now, false)
	g.run(time.Hour)
	expectLog(t, g,
		`+0 InProgress 0% 1 "Waiting for remaining instances to be available. For example: i-1 is protected. Remove instance scale-in protection to continue."`,
		`+10 Cancelling 0% 1 "Cancelled without waiting for ongoing instance launches and terminations due to user request."`,
		`+15 Cancelled 0% 1 "Cancelled without waiting for ongoing instance launches and terminations due to user request."`)
}

func TestCancelWaitsForWhatIsUnderWay(t *testing.T) {
	g := newGroup(t, 1, preferences(refresh.Preferences{}))
	g.run(2 * time.Second)
	g.s = g.s.Cancel(g.now, true)
	g.run(time.Hour)
	expectLog(t, g, `+0 InProgress 0% 1 ""`, `+2 Cancelling 0% 1 "Cancelled due to user request."`, `+22 Cancelled 0% 1 "Cancelled due to user request."`)
}

// Recorded: an empty group succeeds with its first look.
func TestAnEmptyGroupIsDone(t *testing.T) {
	g := newGroup(t, 0, preferences(refresh.Preferences{Bake: time.Hour}))
	g.run(time.Minute)
	expectLog(t, g, `+0 Successful 100% 0 ""`)
	if !g.s.Started.Equal(g.s.Ended) {
		t.Errorf("started %v, ended %v", g.s.Started, g.s.Ended)
	}
}

func TestBounds(t *testing.T) {
	for _, test := range []struct{ min, max, desired, least, most int }{
		{90, 0, 10, 9, 10},
		{90, 0, 1, 0, 1}, // one at a time where nothing else would move
		{100, 0, 1, 0, 1},
		{100, 0, 20, 19, 20},
		{100, 100, 1, 1, 2}, // an explicit maximum launches first
		{100, 100, 20, 20, 21},
		{90, 100, 10, 9, 10},
		{95, 104, 10, 10, 11},
		{100, 110, 20, 20, 22},
		{0, 100, 4, 0, 4},
		{50, 150, 5, 3, 7},
		{90, 110, 0, 0, 0},
	} {
		if least, most := (refresh.Preferences{MinHealthy: test.min, MaxHealthy: test.max}).Bounds(test.desired); least != test.least || most != test.most {
			t.Errorf("%+v: %d to %d", test, least, most)
		}
	}
	if least, most := (refresh.Preferences{MinHealthy: 100, MaxHealthy: 100, InPlace: true}).Bounds(3); least != 2 || most != 3 {
		t.Errorf("a root volume cannot be replaced ahead: %d to %d", least, most)
	}
}

// What begins with the first look at ten instances.
func TestHowManyAreReplacedAtOnce(t *testing.T) {
	for _, test := range []struct {
		p                 refresh.Preferences
		launch, terminate int
	}{
		{refresh.Preferences{MinHealthy: 90}, 1, 1},
		{refresh.Preferences{MinHealthy: 100}, 1, 1},
		{refresh.Preferences{MinHealthy: 50}, 5, 5},
		{refresh.Preferences{}, 10, 10},
		{refresh.Preferences{MinHealthy: 100, MaxHealthy: 100}, 1, 0},
		{refresh.Preferences{MinHealthy: 100, MaxHealthy: 150}, 5, 0},
		{refresh.Preferences{MinHealthy: 90, MaxHealthy: 110}, 2, 1},
		{refresh.Preferences{MinHealthy: 50, Checkpoints: []int{20, 100}}, 2, 2},
		{refresh.Preferences{MinHealthy: 100, MaxHealthy: 200, Checkpoints: []int{25, 100}}, 3, 0},
	} {
		act := newGroup(t, 10, test.p).step()
		if act.Launch != test.launch || len(act.Terminate) != test.terminate {
			t.Errorf("%+v: launches %d, terminates %d", test.p, act.Launch, len(act.Terminate))
		}
	}
}

func TestCheckpoints(t *testing.T) {
	g := newGroup(t, 2, refresh.Preferences{MinHealthy: 50, Checkpoints: []int{10, 40, 100}, CheckpointDelay: time.Hour})
	g.run(90 * time.Second)
	if g.s.Checkpoint != 40 || g.s.Percent != 50 || g.s.ToUpdate != 1 {
		t.Errorf("half the group is new, so that the checkpoint at 10 is skipped: %+v", g.s)
	}
	if text := g.s.Text(g.now); text != "Waiting for checkpoint delay to finish before continuing. There are 3586 seconds left." {
		t.Error(text)
	}
	g.run(time.Hour - 20*time.Second)
	if g.s.Percent != 50 {
		t.Errorf("it went on during the delay: %+v", g.s)
	}
	g.run(4 * time.Minute)
	if g.s.Status != successful || g.s.Percent != 100 {
		t.Errorf("%+v", g.s)
	}
}

// Documented: the last checkpoint is where the refresh ends.
func TestTheLastCheckpointIsTheEnd(t *testing.T) {
	g := newGroup(t, 10, refresh.Preferences{MinHealthy: 90, Checkpoints: []int{30}})
	g.run(time.Hour)
	renewed := 0
	for _, m := range g.members {
		renewed += m.config - 1
	}
	if g.s.Status != successful || renewed != 3 {
		t.Errorf("%d of 10 are new: %+v", renewed, g.s)
	}
}

func TestStandbyInstances(t *testing.T) {
	for policy, want := range map[astypes.StandbyInstances]astypes.InstanceRefreshStatus{
		astypes.StandbyInstancesIgnore: successful, astypes.StandbyInstancesTerminate: successful, astypes.StandbyInstancesWait: failed,
	} {
		g := newGroup(t, 2, preferences(refresh.Preferences{Standby: policy}))
		g.members[0].Phase, g.desired = refresh.Standby, 1
		g.run(3 * time.Hour)
		if g.s.Status != want {
			t.Errorf("%s: %+v", policy, g.s)
		}
		if gone := !slices.ContainsFunc(g.members, func(m *member) bool { return m.ID == "i-1" }); gone != (policy == astypes.StandbyInstancesTerminate) {
			t.Errorf("%s: the instance is gone: %v", policy, gone)
		}
	}
}

func TestAnAlarm(t *testing.T) {
	for _, rollback := range []bool{false, true} {
		g := newGroup(t, 3, refresh.Preferences{MinHealthy: 90, Bake: time.Hour, Rollback: rollback})
		g.run(20 * time.Minute)
		if g.s.Status != baking {
			t.Fatalf("%+v", g.s)
		}
		g.alarm = "errors"
		g.run(20 * time.Minute)
		if want := map[bool]astypes.InstanceRefreshStatus{false: failed, true: rolledBack}[rollback]; g.s.Status != want {
			t.Errorf("auto rollback %v: %+v", rollback, g.s)
		}
	}
}

// Instances that never get healthy are replaced by the loop of the group for an hour, and then it is enough.
func TestItGivesUp(t *testing.T) {
	g := newGroup(t, 4, refresh.Preferences{MinHealthy: 100, MaxHealthy: 150, Rollback: true})
	g.doom = func() bool { return true }
	g.run(3 * time.Hour)
	if g.s.Status != rolledBack || g.s.Percent != 0 || g.s.Rollback.Percent != 0 {
		t.Errorf("%+v", g.s)
	}
	if len(g.members) != 4 {
		t.Errorf("%d instances", len(g.members))
	}
}

func TestNothingIsTerminatedThatCannotBeLaunchedAgain(t *testing.T) {
	p := refresh.Preferences{MinHealthy: 50}
	g := newGroup(t, 4, p)
	f := g.fleet()
	f.Refused = "no capacity"
	s, act := refresh.Step(p, g.s, f)
	if act.Launch != 0 || len(act.Terminate) != 0 || !strings.HasSuffix(s.Reason, "no capacity") {
		t.Errorf("%+v, %+v", s, act)
	}
	f.Refused, f.Paused = "", "Launch"
	if _, act := refresh.Step(p, g.s, f); act.Launch != 0 || len(act.Terminate) != 0 {
		t.Errorf("%+v", act)
	}
}

func TestRootVolumesAreReplacedInPlace(t *testing.T) {
	g := newGroup(t, 4, refresh.Preferences{MinHealthy: 50, InPlace: true})
	if act := g.step(); len(act.Replace) != 2 || act.Launch != 0 || len(act.Terminate) != 0 {
		t.Errorf("%+v", act)
	}
	g.run(time.Hour)
	if g.s.Status != successful || len(g.members) != 4 || g.made != 4 {
		t.Errorf("%+v, %d made", g.s, g.made)
	}
}
