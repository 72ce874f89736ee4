package refresh

import (
	"cmp"
	"slices"
	"time"

	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// view is a fleet sorted by what its instances mean to a refresh.
type view struct {
	old         []Instance // to be replaced, in the order in which that is done
	blocked     []Instance // to be replaced once somebody lets go of them
	fresh       []Instance // updated, pending or not ready yet
	ready       int        // updated, in service, healthy and warm
	ignored     int        // neither old nor new as far as this refresh cares
	replacing   int        // old, with a root volume on its way
	terminating []Instance
	count       int       // in service or pending
	available   int       // in service, healthy and ready
	readyAt     time.Time // when the next of the fresh ones is ready; zero where that is not known
}

func (p Preferences) look(s Progress, f Fleet) view {
	var v view
	for _, in := range f.Instances {
		switch in.Phase {
		case Terminating:
			v.terminating = append(v.terminating, in)
		case Standby:
			v.standby(p, in)
		case Replacing:
			v.count++
			v.replacing++
		case Pending, InService:
			v.count++
			v.capacity(p, s, f.Now, in)
		}
	}
	v.order()
	return v
}

// standby sorts an instance in standby, which is no capacity.
func (v *view) standby(p Preferences, in Instance) {
	switch {
	case in.Updated:
	case p.Standby == astypes.StandbyInstancesIgnore:
	case p.Standby == astypes.StandbyInstancesTerminate:
		v.old = append(v.old, in)
	default:
		v.blocked = append(v.blocked, in)
	}
}

func (v *view) capacity(p Preferences, s Progress, now time.Time, in Instance) {
	up := in.Phase == InService && in.Healthy
	if in.Updated {
		if at := p.readyAt(s, in); up && !at.After(now) && in.NoData == "" {
			v.ready++
			v.available++
			return
		} else if up && at.After(now) && (v.readyAt.IsZero() || at.Before(v.readyAt)) {
			v.readyAt = at
		}
		v.fresh = append(v.fresh, in)
		return
	}
	if up {
		v.available++
	}
	switch {
	case in.Protected && p.Protected == astypes.ScaleInProtectedInstancesIgnore:
		v.ignored++
	case in.Protected && p.Protected != astypes.ScaleInProtectedInstancesRefresh:
		v.blocked = append(v.blocked, in)
	default:
		v.old = append(v.old, in)
	}
}

// readyAt returns when an updated instance that is in service has warmed up and its health counts. One that was there before the refresh is
// ready as it is.
func (p Preferences) readyAt(s Progress, in Instance) time.Time {
	wait, from := HealthInterval, s.Started
	if s.Rollback != nil {
		wait, from = RollbackHealthInterval, s.Rollback.Started
	}
	if in.Since.Before(from) {
		return in.Since
	}
	return in.Since.Add(max(wait, p.Warmup))
}

// order puts first what costs nothing, then what is in the zone with most instances to be replaced, then the oldest, so that zones are
// worked off evenly. Inferred: the order of the service is not documented.
func (v *view) order() {
	zones := map[string]int{}
	rank := make(map[string]int, len(v.old))
	for _, in := range slices.Backward(v.old) {
		zones[in.Zone]++
		rank[in.ID] = zones[in.Zone] // how many are left in its zone when it comes from the oldest on
	}
	slices.SortStableFunc(v.old, func(a, b Instance) int {
		if c := cmp.Compare(cost(a), cost(b)); c != 0 {
			return c
		}
		return -cmp.Compare(rank[a.ID], rank[b.ID])
	})
}

// cost is what the termination of an old instance takes from the healthy capacity.
func cost(in Instance) int {
	if in.Phase == InService && in.Healthy {
		return 1
	}
	return 0
}

// left returns how many instances are still to be updated: those that are old, and the places of those that are gone and whose replacement is
// not ready.
func (v *view) left(desired int) int {
	held := len(v.old) + len(v.blocked) + v.replacing
	serving := held
	for _, in := range slices.Concat(v.old, v.blocked) {
		if in.Phase == Standby {
			serving--
		}
	}
	empty := desired - v.ignored - v.ready - serving
	return held + max(0, empty)
}
