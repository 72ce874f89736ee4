package refresh_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"pgregory.net/rapid"

	"github.com/iibake/iibake/test/localcloud/internal/autoscaling/refresh"
)

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
