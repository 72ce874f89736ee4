package refresh_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

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
