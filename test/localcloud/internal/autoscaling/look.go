package autoscaling

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/test/localcloud/internal/autoscaling/refresh"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// look is one look at a group, inside an Update. It changes the group's lists in place: who hands them out copies them.
type look struct {
	service *Service
	region  *state.Region
	group   *state.Group
	key     string
	now     time.Time
	next    time.Time // earliest time for which somebody asked; zero if nobody did
}

// due asks for a look at a time, and reports whether that has come. The zero time never does.
func (l *look) due(t time.Time) bool {
	if t.IsZero() {
		return false
	}
	if !t.After(l.now) {
		return true
	}
	if l.next.IsZero() || t.Before(l.next) {
		l.next = t
	}
	return false
}

// do brings the group up to date.
func (l *look) do() {
	g := l.group
	l.advance()
	if !g.DeletedAt.IsZero() {
		l.deletion()
		return
	}
	l.checkHealth()
	l.reconcile()
	l.refresh()
	l.advance() // what was begun may be due at once
}

// advance moves all instances on, and takes those off that are gone.
func (l *look) advance() {
	for i := range l.group.Members {
		l.step(&l.group.Members[i])
	}
	l.group.Members = slices.DeleteFunc(l.group.Members, func(m state.Member) bool { return m.LifecycleState == gone })
}

// gone marks a member that is to be taken off the group within the current look.
const gone astypes.LifecycleState = "gone"

// suspended reports whether a process of the group is.
func (l *look) suspended(process string) bool { return suspended(l.group, process) }

func suspended(g *state.Group, process string) bool {
	return slices.ContainsFunc(g.SuspendedProcesses, func(p astypes.SuspendedProcess) bool { return aws.ToString(p.ProcessName) == process })
}

// pending reports whether an instance is on its way into service.
func pending(m *state.Member) bool {
	return !m.Standby && !m.Detach && strings.HasPrefix(string(m.LifecycleState), string(astypes.LifecycleStatePending))
}

func inService(m *state.Member) bool { return m.LifecycleState == astypes.LifecycleStateInService }

func terminating(m *state.Member) bool { return !m.EndingAt.IsZero() }

func replacingRoot(m *state.Member) bool {
	return strings.HasPrefix(string(m.LifecycleState), string(astypes.LifecycleStateReplacingRootVolume))
}

// counts reports whether an instance is part of the capacity.
func counts(m *state.Member) bool { return pending(m) || inService(m) || replacingRoot(m) }

// capacity returns how many instances there are, without the unhealthy ones that stay until they are replaced.
func (l *look) capacity() int {
	held, ill := l.launchesFirst(), 0
	for i := range l.group.Members {
		if m := &l.group.Members[i]; held > 0 && inService(m) && unwell(m) {
			ill++
		}
	}
	return capacity(l.group) - min(held, ill)
}

func capacity(g *state.Group) int {
	n := 0
	for i := range g.Members {
		if counts(&g.Members[i]) {
			n++
		}
	}
	return n
}

func desired(g *state.Group) int { return int(aws.ToInt32(g.DesiredCapacity)) }

// reconcile launches what is missing and terminates what is too much, some time after the difference came up.
func (l *look) reconcile() {
	g, count := l.group, l.capacity()
	want, most := desired(g), desired(g)
	if r := l.activeRefresh(); r != nil && refresh.Replaces(r.Progress.Status) {
		_, most = preferencesOf(r).Bounds(want)
	}
	if count >= want && count <= most && !l.unbalanced(count) {
		g.ActsAt = time.Time{}
		if count == want {
			g.Cause = ""
		}
		return
	}
	if g.ActsAt.IsZero() {
		g.ActsAt = l.now.Add(pollInterval)
	}
	if !l.due(g.ActsAt) {
		return
	}
	switch {
	case count < want:
		l.launch(want-count, l.causeOut(count, want))
	case count > most && l.balancing(): // what is too much goes when the new one is in service
		return
	case count > most:
		l.scaleIn(count, most)
	default:
		l.rebalance()
	}
	if c := l.capacity(); c >= want && c <= most {
		g.ActsAt = time.Time{}
	}
}

// deletion ends all instances, and then the group.
func (l *look) deletion() {
	g := l.group
	for i := range g.Members {
		if m := &g.Members[i]; !terminating(m) && l.due(g.DeletedAt.Add(pollInterval)) {
			m.Actions = nil
			l.terminate(m, "At "+stamp(l.now)+" an instance was taken out of service in response to a user request.")
		} else if terminating(m) {
			m.Actions = nil // documented: lifecycle actions end with the deletion
		}
	}
	l.advance()
	if len(g.Members) > 0 {
		return
	}
	if g.EmptyAt.IsZero() {
		g.EmptyAt = l.now
	}
	wait := deletionTime
	if g.EmptyAt.Equal(g.DeletedAt) {
		wait = emptyDeletionTime
	}
	if l.due(g.EmptyAt.Add(wait)) {
		l.bury()
	}
}

// bury takes the group and its refreshes off the records.
func (l *look) bury() {
	for _, id := range l.group.RefreshIDs {
		l.region.Refreshes.Delete(id)
	}
	l.region.Groups.Delete(l.key)
	l.next = time.Time{}
}
