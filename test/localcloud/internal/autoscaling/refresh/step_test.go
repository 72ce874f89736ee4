package refresh_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"pgregory.net/rapid"

	"github.com/iibake/iibake/test/localcloud/internal/autoscaling/refresh"
)

const (
	inProgress = astypes.InstanceRefreshStatusInProgress
	successful = astypes.InstanceRefreshStatusSuccessful
	failed     = astypes.InstanceRefreshStatusFailed
	baking     = astypes.InstanceRefreshStatusBaking
	rolling    = astypes.InstanceRefreshStatusRollbackInProgress
	rolledBack = astypes.InstanceRefreshStatusRollbackSuccessful
)

// member is an instance of a make-believe group.
type member struct {
	refresh.Instance
	config  int       // 1 before the refresh, 2 what it wants
	made    time.Time // when it was launched
	changes time.Time // when what it waits for is over
	doomed  bool      // will never be healthy
}

// group keeps its desired capacity as the service does, and has its instances replaced.
type group struct {
	t       testing.TB
	start   time.Time
	now     time.Time
	p       refresh.Preferences
	s       refresh.Progress
	desired int
	members []*member
	made    int
	boot    time.Duration
	doom    func() bool // of new instances of configuration 2
	alarm   string
	log     []string
}

func newGroup(t testing.TB, desired int, p refresh.Preferences) *group {
	t.Helper()
	start := time.Date(2026, 9, 27, 14, 42, 0, 0, time.UTC)
	g := &group{t: t, start: start, now: start, p: p, desired: desired, boot: 6 * time.Second, doom: func() bool { return false }}
	g.s.Status = astypes.InstanceRefreshStatusPending
	for range desired {
		g.launch(1)
	}
	for _, m := range g.members {
		m.Phase, m.Healthy, m.Since, m.made = refresh.InService, true, start.Add(-time.Hour), start.Add(-time.Hour)
	}
	return g
}

func (g *group) launch(config int) {
	g.made++
	m := &member{config: config, made: g.now, changes: g.now.Add(g.boot), doomed: config == 2 && g.doom()}
	m.ID, m.Zone, m.Healthy = fmt.Sprintf("i-%d", g.made), string(rune('a'+g.made%3)), true
	g.members = append(g.members, m)
}

func (g *group) config() int {
	if slices.Contains([]astypes.InstanceRefreshStatus{inProgress, baking, successful}, g.s.Status) {
		return 2
	}
	return 1
}

func (g *group) find(id string) *member {
	i := slices.IndexFunc(g.members, func(m *member) bool { return m.ID == id })
	if i < 0 {
		g.t.Fatalf("%s is not in the group", id)
	}
	return g.members[i]
}

func (g *group) terminate(m *member) {
	m.Phase, m.changes = refresh.Terminating, g.now.Add(21*time.Second)
}

// live is what the loop of a group does besides: instances boot, end, are found unhealthy and replaced, gaps are filled.
func (g *group) live() {
	g.members = slices.DeleteFunc(g.members, func(m *member) bool {
		return m.Phase == refresh.Terminating && !g.now.Before(m.changes)
	})
	count := 0
	for _, m := range g.members {
		if due := !g.now.Before(m.changes); due && m.Phase == refresh.Pending {
			m.Phase, m.Since = refresh.InService, m.changes
			m.Healthy = !m.doomed
		} else if due && m.Phase == refresh.Replacing {
			m.Phase, m.Since, m.made, m.config = refresh.InService, m.changes, m.changes, g.config()
		}
		if m.Phase == refresh.InService && !m.Healthy {
			g.terminate(m)
		}
		if m.Phase != refresh.Terminating && m.Phase != refresh.Standby {
			count++
		}
	}
	for ; count < g.desired; count++ {
		g.launch(g.config())
	}
	if _, most := g.p.Bounds(g.desired); count > most || count > g.desired && !refresh.Replaces(g.s.Status) {
		g.scaleIn(count - g.desired)
	}
}

func (g *group) scaleIn(n int) {
	for _, m := range g.members {
		if n > 0 && (m.Phase == refresh.InService || m.Phase == refresh.Pending) && !m.Protected {
			g.terminate(m)
			n--
		}
	}
}

func (g *group) fleet() refresh.Fleet {
	f := refresh.Fleet{Now: g.now, Desired: g.desired, Alarm: g.alarm}
	for _, m := range g.members {
		in := m.Instance
		in.Updated = m.config == 2 && !m.made.Before(g.start)
		if g.s.Rollback != nil {
			in.Updated = m.config == 1
		}
		f.Instances = append(f.Instances, in)
	}
	return f
}

func (g *group) step() refresh.Actions {
	g.live()
	before := g.s
	var act refresh.Actions
	g.s, act = refresh.Step(g.p, g.s, g.fleet())
	for _, id := range act.Terminate {
		g.terminate(g.find(id))
	}
	for range act.Launch {
		g.launch(g.config())
	}
	for _, id := range act.Replace {
		m := g.find(id)
		m.Phase, m.changes = refresh.Replacing, g.now.Add(30*time.Second)
	}
	if line := fmt.Sprintf("%s %d%% %d %q", g.s.Status, g.s.Percent, g.s.ToUpdate, g.s.Reason); g.log == nil || before.Status != g.s.Status || !strings.HasSuffix(g.log[len(g.log)-1], line) {
		g.log = append(g.log, fmt.Sprintf("+%.0f %s", g.now.Sub(g.start).Seconds(), line))
	}
	return act
}

// run steps second by second until the refresh ends or a time has passed.
func (g *group) run(d time.Duration) {
	for until := g.now.Add(d); g.now.Before(until) && refresh.Active(g.s.Status); g.now = g.now.Add(time.Second) {
		g.step()
	}
}

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

// The promises, over any history.
func TestPromises(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) { checkPromises(t, rt) })
}

func checkPromises(t *testing.T, rt *rapid.T) {
	t.Helper()
	p := drawPreferences(rt)
	g := newGroup(t, rapid.IntRange(0, 9).Draw(rt, "desired"), p)
	g.boot = time.Duration(rapid.IntRange(1, 90).Draw(rt, "boot")) * time.Second
	every := rapid.IntRange(0, 4).Draw(rt, "one in so many is doomed")
	g.doom = func() bool { return every > 0 && g.made%every == 0 }
	patience := 40
	for n := 0; refresh.Active(g.s.Status); n++ {
		if n > 20000 {
			rt.Fatalf("it does not end: %+v\n%s", g.s, strings.Join(g.log, "\n"))
		}
		if n < 300 && rapid.IntRange(0, patience).Draw(rt, "event") == 0 {
			g.disturb(rt)
		}
		g.checkStep(rt)
		g.now = g.now.Add(time.Duration(1+n/300*5) * time.Second)
	}
	if s := g.s; s.Status == rolledBack {
		for _, m := range g.members {
			if m.config != 1 && m.Phase != refresh.Terminating && m.Phase != refresh.Standby && !m.Protected {
				rt.Fatalf("rolled back with %+v\n%s", m, strings.Join(g.log, "\n"))
			}
		}
	}
	if g.s.Ended.IsZero() {
		rt.Fatalf("%+v", g.s)
	}
}

func drawPreferences(t *rapid.T) refresh.Preferences {
	p := refresh.Preferences{
		MinHealthy: rapid.IntRange(0, 100).Draw(t, "min"),
		Warmup:     time.Duration(rapid.IntRange(0, 200).Draw(t, "warmup")) * time.Second,
		Bake:       time.Duration(rapid.IntRange(0, 100).Draw(t, "bake")) * time.Second,
		Protected:  rapid.SampledFrom(astypes.ScaleInProtectedInstances("").Values()).Draw(t, "protected"),
		Standby:    rapid.SampledFrom(astypes.StandbyInstances("").Values()).Draw(t, "standby"),
		Rollback:   rapid.Bool().Draw(t, "rollback"),
		InPlace:    rapid.IntRange(0, 5).Draw(t, "in place") == 0,
	}
	if rapid.Bool().Draw(t, "has max") && !p.InPlace {
		p.MaxHealthy = rapid.IntRange(100, 100+p.MinHealthy).Draw(t, "max")
	}
	p.Checkpoints = rapid.SliceOfNDistinct(rapid.IntRange(1, 100), 0, 3, rapid.ID[int]).Draw(t, "checkpoints")
	slices.Sort(p.Checkpoints)
	if len(p.Checkpoints) > 0 {
		p.CheckpointDelay = time.Duration(rapid.IntRange(0, 100).Draw(t, "delay")) * time.Second
	}
	return p
}

// disturb does what users and fate do to a group during a refresh.
func (g *group) disturb(t *rapid.T) {
	switch rapid.IntRange(0, 7).Draw(t, "kind") {
	case 0:
		g.desired = rapid.IntRange(0, 9).Draw(t, "new desired")
	case 1:
		g.alarm = "alarm"
	case 2:
		if g.s.Status == inProgress || g.s.Status == baking {
			g.s = g.s.RollBack(g.now, "user request")
		}
	case 3:
		if g.s.Status == inProgress || g.s.Status == rolling {
			g.s = g.s.Cancel(g.now, rapid.Bool().Draw(t, "wait"))
		}
	default:
		g.disturbInstance(t)
	}
}

func (g *group) disturbInstance(t *rapid.T) {
	if len(g.members) == 0 {
		return
	}
	switch m := rapid.SampledFrom(g.members).Draw(t, "instance"); {
	case m.Phase == refresh.Standby:
		m.Phase = refresh.InService
		g.desired++
	case m.Phase != refresh.InService:
	case rapid.Bool().Draw(t, "falls ill"):
		m.Healthy = false
	case rapid.Bool().Draw(t, "protected"):
		m.Protected = !m.Protected
	case g.desired > 0:
		m.Phase = refresh.Standby
		g.desired--
	}
}

// checkStep makes a step and looks at what it did.
func (g *group) checkStep(t *rapid.T) {
	before := g.s
	g.live()
	fleet := g.fleet()
	count := g.count()
	byID := map[string]refresh.Instance{}
	available := 0
	for _, in := range fleet.Instances {
		byID[in.ID] = in
		if in.Phase == refresh.InService && in.Healthy && (!in.Updated || g.ready(in)) {
			available++
		}
	}
	act := g.step()
	least, most := g.p.Bounds(g.desired)
	cost := 0
	for _, id := range slices.Concat(act.Terminate, act.Replace) {
		in := byID[id]
		if in.Updated {
			t.Fatalf("%s is replaced although it is new", id)
		}
		if in.Phase == refresh.InService && in.Healthy {
			cost++
		}
	}
	if cost > 0 && available-cost < least {
		t.Fatalf("%d of %d are left, at least %d must be\n%s", available-cost, available, least, strings.Join(g.log, "\n"))
	}
	if now := g.count(); act.Launch > 0 && now > max(most, g.desired) || now > max(count, most) {
		t.Fatalf("%d instances after %d, at most %d may be\n%s", now, count, most, strings.Join(g.log, "\n"))
	}
	g.checkPercent(t, before)
	if refresh.Active(g.s.Status) && !g.s.Next.After(g.now) {
		t.Fatalf("it looks again at %v, now is %v", g.s.Next, g.now)
	}
}

func (g *group) checkPercent(t *rapid.T, before refresh.Progress) {
	if g.s.Percent < 0 || g.s.Percent > 100 {
		t.Fatalf("%+v", g.s)
	}
	switch {
	case g.s.Rollback == nil && g.s.Percent < before.Percent, g.s.Rollback != nil && g.s.Percent > before.Percent:
		t.Fatalf("from %d %% to %d %% in %s", before.Percent, g.s.Percent, g.s.Status)
	}
}

func (g *group) count() int {
	n := 0
	for _, m := range g.members {
		if m.Phase != refresh.Terminating && m.Phase != refresh.Standby {
			n++
		}
	}
	return n
}

func (g *group) ready(in refresh.Instance) bool {
	wait, from := refresh.HealthInterval, g.s.Started
	if g.s.Rollback != nil {
		wait, from = refresh.RollbackHealthInterval, g.s.Rollback.Started
		if from.IsZero() { // it begins with this step
			from = g.now
		}
	}
	return in.Since.Before(from) || !g.now.Before(in.Since.Add(max(wait, g.p.Warmup)))
}
