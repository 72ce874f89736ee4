package autoscaling

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// scaleIn terminates instances until the group has want of them, but none that is protected.
func (l *look) scaleIn(count, want int) {
	if l.suspended("Terminate") {
		return
	}
	reason := l.group.Cause
	if reason != "" {
		reason += "  "
	}
	cause := fmt.Sprintf("%sAt %s an instance was taken out of service in response to a difference between desired and actual capacity, shrinking the capacity from %d to %d.",
		reason, stamp(l.now), count, want)
	for range count - want {
		m := l.surplus()
		if m == nil {
			return
		}
		l.terminate(m, fmt.Sprintf("%s  At %s instance %s was selected for termination.", cause, stamp(l.now), aws.ToString(m.InstanceId)))
	}
}

// surplus returns the instance that the group misses least, or nil where all are protected: in the zone with most instances, by the group's
// termination policies.
func (l *look) surplus() *state.Member {
	zones := map[string]int{}
	var candidates []*state.Member
	for i := range l.group.Members {
		if m := &l.group.Members[i]; counts(m) {
			zones[aws.ToString(m.AvailabilityZone)]++
			if !aws.ToBool(m.ProtectedFromScaleIn) {
				candidates = append(candidates, m)
			}
		}
	}
	if len(candidates) == 0 {
		return nil
	}
	policies := l.group.TerminationPolicies
	if len(policies) == 0 {
		policies = []string{"Default"}
	}
	rank := []func(*state.Member) int64{
		func(m *state.Member) int64 { return l.misfit(m) },
		func(m *state.Member) int64 { return -int64(zones[aws.ToString(m.AvailabilityZone)]) },
	}
	for _, p := range policies {
		rank = append(rank, l.policy(p)...)
	}
	return slices.MinFunc(candidates, func(a, b *state.Member) int {
		for _, r := range rank {
			if c := cmp.Compare(r(a), r(b)); c != 0 {
				return c
			}
		}
		return 0
	})
}

// misfit is least for instances that are unhealthy, or not what a refresh that replaces instances wants.
func (l *look) misfit(m *state.Member) int64 {
	if unwell(m) {
		return 0
	}
	if r := l.activeRefresh(); r != nil {
		if options, err := l.wanted().options(l.region, l.group.Account); err == nil && !matches(options, m) {
			return 1
		}
	}
	return 2
}

// policy returns what a termination policy goes by; the least value goes first.
func (l *look) policy(name string) []func(*state.Member) int64 {
	launched := func(m *state.Member) int64 { return m.Launched.UnixNano() }
	switch name {
	case "OldestInstance":
		return []func(*state.Member) int64{launched}
	case "NewestInstance":
		return []func(*state.Member) int64{func(m *state.Member) int64 { return -launched(m) }}
	case "OldestLaunchTemplate":
		return []func(*state.Member) int64{l.templateAge}
	case "ClosestToNextInstanceHour":
		return []func(*state.Member) int64{func(m *state.Member) int64 { return 3600 - int64(l.now.Sub(m.Launched).Seconds())%3600 }}
	case "AllocationStrategy", "OldestLaunchConfiguration":
		return nil
	}
	return []func(*state.Member) int64{l.templateAge, func(m *state.Member) int64 { return 3600 - int64(l.now.Sub(m.Launched).Seconds())%3600 }}
}

// templateAge orders instances by the version of their launch template; those of another template than the group's come first.
func (l *look) templateAge(m *state.Member) int64 {
	base := configOf(l.group).base()
	if m.LaunchTemplate == nil || base == nil || aws.ToString(base.LaunchTemplateId) != aws.ToString(m.LaunchTemplate.LaunchTemplateId) {
		return -1
	}
	n, err := strconv.ParseInt(aws.ToString(m.LaunchTemplate.Version), 10, 64)
	if err != nil {
		return math.MaxInt64
	}
	return n
}

// balance returns the zones of the group with their numbers of instances.
func (l *look) balance() (zones map[string]int, fewest, most int) {
	zones = map[string]int{}
	for _, s := range l.spots() {
		zones[s.zone] = 0
	}
	for i := range l.group.Members {
		if m := &l.group.Members[i]; counts(m) {
			zones[aws.ToString(m.AvailabilityZone)]++
		}
	}
	fewest = math.MaxInt
	for _, n := range zones {
		fewest, most = min(fewest, n), max(most, n)
	}
	return zones, fewest, most
}

// unbalanced reports whether the group, at its desired capacity of count and with nothing under way, has two instances more in one zone than in
// another that it could launch into.
func (l *look) unbalanced(count int) bool {
	g := l.group
	if count < 2 || l.suspended("AZRebalance") || l.suspended("Launch") || l.suspended("Terminate") || g.ActiveRefresh != "" || len(g.BadZones) > 0 && !l.balancedOnly() && l.recentlyBad() {
		return false
	}
	for i := range g.Members {
		if m := &g.Members[i]; m.LifecycleState == astypes.LifecycleStateStandby {
			continue // nothing is under way with it, and it is no capacity
		} else if !inService(m) || unwell(m) || aws.ToBool(m.ProtectedFromScaleIn) {
			return false
		}
	}
	_, fewest, most := l.balance()
	return most-fewest > 1
}

func (l *look) recentlyBad() bool {
	for _, at := range l.group.BadZones {
		if l.now.Before(at.Add(zoneMemory)) {
			l.due(at.Add(zoneMemory))
			return true
		}
	}
	return false
}

// rebalance launches an instance where there are too few; what is too much then goes where there are too many. Documented: it launches first, and
// may go beyond the maximum for it.
func (l *look) rebalance() {
	zones, fewest, most := l.balance()
	var lack, plenty []string
	for zone, n := range zones {
		switch n {
		case fewest:
			lack = append(lack, zone)
		case most:
			plenty = append(plenty, zone)
		}
	}
	slices.Sort(lack)
	slices.Sort(plenty)
	l.launch(1, fmt.Sprintf("At %s instances were launched to balance instances in zones %s with other zones resulting in more than desired number of instances in the group.",
		stamp(l.now), strings.Join(plenty, " ")))
	l.group.ActsAt = l.now.Add(pollInterval)
	l.due(l.group.ActsAt)
}

// balancing reports whether an instance that balances the zones is on its way.
func (l *look) balancing() bool {
	return slices.ContainsFunc(l.group.Members, func(m state.Member) bool {
		a := l.activity(&m)
		return pending(&m) && a != nil && strings.Contains(aws.ToString(a.Cause), "to balance instances")
	})
}

// policies are the termination policies that groups can have.
func policies() []string {
	return []string{
		"AllocationStrategy", "ClosestToNextInstanceHour", "Default", "NewestInstance", "OldestInstance", "OldestLaunchConfiguration", "OldestLaunchTemplate",
	}
}

func checkPolicies(names []string) error {
	for _, n := range names {
		if !slices.Contains(policies(), n) {
			return invalid("Invalid termination policy: %s. Valid termination policies are: %v", n, policies())
		}
	}
	return nil
}
