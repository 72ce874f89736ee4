package promote_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/promote"
)

const hour = bake.Duration(time.Hour)

// inSoak calls f at each tick after the canary has arrived, with the time since then.
func (s *stage) inSoak(f func(since time.Duration, g *group)) {
	var since time.Time
	arrived := arrivedCanary(s)
	s.yard.onTick = func() {
		if !arrived() {
			return
		}
		s.yard.mu.Lock()
		defer s.yard.mu.Unlock()
		if since.IsZero() {
			since = s.yard.now
		}
		f(s.yard.now.Sub(since), s.yard.groups["canary"])
	}
}

// A group that grows after it has arrived is not ill for what is not there yet, however long that takes; one whose instances die is.
func TestAFleetThatGrows(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(since time.Duration, g *group)
		want   promote.Result
		reason string
	}{
		"slowly": {func(since time.Duration, g *group) {
			if g.growth = 4; since > 20*time.Minute {
				g.growth = 0
			}
		}, promote.Promoted, ""},
		"and others die": {func(_ time.Duration, g *group) { g.growth, g.ill = 4, 1 }, promote.Reverted, "2 of 3 instances are healthy, for 3m"},
		"and comes to be well, and then its instances die": {func(since time.Duration, g *group) {
			if g.growth = 4; since > 5*time.Minute {
				g.growth, g.ill = 0, 1
			}
		}, promote.Reverted, "2 of 3 instances"},
		"and shrinks": {func(since time.Duration, g *group) {
			if g.growth, g.ill = 4, 0; since > 5*time.Minute {
				g.growth, g.ill = -1, 1 // 2 of 3 are left, and 2 are wanted
			}
		}, promote.Promoted, ""},
		"from nothing": {func(since time.Duration, g *group) {
			if g.growth, g.ill = -3, 3; since > 5*time.Minute {
				g.growth = 0
			}
			if since > 20*time.Minute {
				g.ill = 0
			}
		}, promote.Promoted, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.settled(t)
			s.rule.Soak = hour
			s.inSoak(c.change)
			o, err := s.spawn(0, none).promoted(2, nil)
			if o.Result != c.want || !strings.Contains(o.Reason, c.reason) {
				t.Errorf("%+v, %v", o, err)
			}
		})
	}
}

// Who takes over knows how many there were to be when the fleet arrived.
func TestAFleetThatGrowsUnderAnotherProcess(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	s.rule.Soak = hour
	ctx, die := context.WithCancel(t.Context())
	s.inSoak(func(_ time.Duration, g *group) {
		g.growth = 4
		die()
	})
	s.interrupted(ctx, t)
	if o, err := s.spawn(0, none).resumed(); err != nil || o.Result != promote.Promoted {
		t.Errorf("%+v, %v", o, err)
	}
}

// A process that was stopped for an hour between two looks has not seen an hour of illness.
func TestAProcessThatWasStopped(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	s.rule.Soak = hour
	stopped := false
	s.inSoak(func(since time.Duration, g *group) {
		switch {
		case !stopped && since > time.Minute:
			g.ill = 1
			if since > 2*time.Minute {
				stopped = true
				s.yard.now = s.yard.now.Add(30 * time.Minute)
			}
		case stopped:
			g.ill = 0
		}
	})
	if o, err := s.spawn(0, none).promoted(2, nil); err != nil || o.Result != promote.Promoted {
		t.Errorf("%+v, %v", o, err)
	}
}

// A clock that is set back while a fleet is guarded delays neither the end of the soak by as much, nor the next look at the fleet.
func TestAClockThatIsSetBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		alarm bool
		want  promote.Result
	}{"well": {false, promote.Promoted}, "ill": {true, promote.Reverted}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.settled(t)
			if c.alarm {
				s.rule.Soak = hour
			}
			var back time.Time
			s.inSoak(func(since time.Duration, _ *group) {
				if back.IsZero() && since >= 40*time.Second {
					s.yard.now = s.yard.now.Add(-24 * time.Hour)
					back, s.yard.alarm["2"] = s.yard.now, c.alarm
				}
			})
			if o, err := s.spawn(0, none).promoted(2, nil); o.Result != c.want || back.IsZero() {
				t.Errorf("%+v, %v", o, err)
			}
			if took := s.yard.Now().Sub(back); took > 12*time.Minute {
				t.Errorf("it took %s", took)
			}
			s.wantOver(t)
		})
	}
}
