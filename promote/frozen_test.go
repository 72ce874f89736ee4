package promote_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/promote"
)

// frozen freezes the channel from some time after now on, for two hours, and returns when that ends.
func (s *stage) frozen(t *testing.T, after time.Duration) time.Time {
	t.Helper()
	from := s.yard.Now().Add(after).Truncate(time.Minute)
	until := from.Add(2 * time.Hour)
	const layout = "2006-01-02 15:04"
	s.rule.Freeze = []promote.Freeze{{From: moment(t, from.Format(layout)), Until: moment(t, until.Format(layout)), Reason: "the holidays"}}
	return until
}

// toldFrozen returns what was told while the promotion waited.
func (s *stage) toldFrozen() []promote.Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []promote.Progress
	for _, p := range s.told {
		if p.Step == promote.Frozen {
			all = append(all, p)
		}
	}
	return all
}

// wantStill checks at each tick until then that the second wave does not move.
func (s *stage) wantStill(t *testing.T, until time.Time) {
	t.Helper()
	s.yard.onTick = func() {
		if now := s.yard.Now(); now.Before(until) && (s.replaced("east", "2")() || s.replaced("west", "2")()) {
			t.Errorf("it moves at %s, in the freeze", now)
		}
	}
}

// A freeze that begins between two waves keeps everything where it is, and the promotion goes on when it ends.
func TestFreezeOnTheWay(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	s.rule.Soak = hour
	until := s.frozen(t, 30*time.Minute)
	s.wantStill(t, until)
	o, err := s.spawn(0, none).promoted(2, nil)
	if err != nil || o.Result != promote.Promoted || o.At.Before(until) {
		t.Errorf("%+v, %v: the freeze ends at %s", o, err, until)
	}
	told := s.toldFrozen()
	if len(told) == 0 {
		t.Fatal("nobody was told")
	}
	want := "production is frozen until " + until.Format(time.DateTime) + " UTC (the holidays)"
	if p := told[0]; p.Reason != want || !p.Until.Equal(until) || p.Wave != 1 || p.Fleets[0].Phase != promote.Done || p.Fleets[1].Phase != promote.Planned {
		t.Errorf("told %+v, want %s", p, want)
	}
	s.wantFleets(t, "2")
	s.wantHeld(t, "2")
	s.wantOver(t)
}

// One that begins while the last wave soaks keeps the channel, too.
func TestFreezeBeforeTheChannelMoves(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	s.rule.Soak = hour
	until := s.frozen(t, 100*time.Minute)
	held := 0
	s.yard.onTick = func() {
		if len(s.toldFrozen()) > 0 && s.yard.Now().Before(until) {
			s.wantHeld(t, "1")
			held++
		}
	}
	if o, err := s.spawn(0, none).promoted(2, nil); err != nil || o.Result != promote.Promoted || held == 0 || o.At.Before(until) {
		t.Errorf("%+v, %v: held %d times, until %s", o, err, held, until)
	}
	s.wantHeld(t, "2")
	s.wantOver(t)
}

// While it waits, all that sends a promotion back does so.
func TestTroubleInAFreeze(t *testing.T) {
	t.Parallel()
	for reason, happens := range map[string]func(*testing.T, *stage){
		"alarm":      func(_ *testing.T, s *stage) { s.yard.alarm["2"] = true },
		"revoked":    func(t *testing.T, s *stage) { t.Helper(); s.revoke(t) },
		"bob: lunch": func(_ *testing.T, s *stage) { s.aborted() },
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.settled(t)
			s.rule.Soak = hour
			until := s.frozen(t, 30*time.Minute)
			s.onceSo(func() bool { return len(s.toldFrozen()) > 0 }, func() { happens(t, s) })
			o, err := s.spawn(0, none).promoted(2, nil)
			if o.Result != promote.Reverted || !errors.Is(err, promote.ErrRolledBack) || !strings.Contains(o.Reason, reason) || o.At.After(until) {
				t.Errorf("%+v, %v", o, err)
			}
			s.wantFleets(t, "1")
			s.wantHeld(t, "1")
			s.wantOver(t)
		})
	}
}

// Who takes over in a freeze lets what is being replaced go on to its end, begins nothing, and goes on when the freeze ends.
func TestResumedInAFreeze(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	s.interruptedWhen(t, s.replaced("canary", "2"))
	until := s.frozen(t, 0)
	s.told = nil
	s.wantStill(t, until)
	o, err := s.spawn(0, none).resumed()
	if err != nil || o.Result != promote.Promoted || o.At.Before(until) {
		t.Errorf("%+v, %v: the freeze ends at %s", o, err, until)
	}
	told := s.toldFrozen()
	if len(told) == 0 || told[0].Wave != 0 || told[0].Fleets[0].Phase != promote.Refreshing || told[len(told)-1].Fleets[0].Phase != promote.Done {
		t.Errorf("told %+v", told)
	}
	s.wantFleets(t, "2")
	s.wantOver(t)
}

// Where nothing has moved yet there is nothing to wait with.
func TestFreezeBeforeAnythingMoves(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	p := s.spawn(0, none).promoter()
	plan, err := p.Plan(t.Context(), promote.Request{Image: web(2), Channel: production})
	if err != nil {
		t.Fatal(err)
	}
	s.frozen(t, 0)
	o, err := p.Run(t.Context(), plan)
	if o.Result != promote.Stopped || !errors.Is(err, bake.ErrRefused) || !strings.Contains(o.Reason, "production is frozen until") {
		t.Errorf("%+v, %v", o, err)
	}
	if told := s.toldFrozen(); len(told) > 0 {
		t.Errorf("it waits: %+v", told[0])
	}
	s.wantFleets(t, "1")
	s.wantOver(t)
}

// A watcher tells of the freeze as the driver does, and of what goes on in it.
func TestWatchInAFreeze(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stop  func(*stage) func() bool // when the driver dies
		want  promote.Step
		phase promote.Phase // of the canary
	}{
		"between waves": {arrivedCanary, promote.Frozen, promote.Done},
		"in a wave":     {func(s *stage) func() bool { return s.replaced("canary", "2") }, promote.Moving, promote.Refreshing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.settled(t)
			s.rule.Soak = 0
			s.interruptedWhen(t, c.stop(s))
			s.frozen(t, 0)
			s.wantWatched(t, c.want, c.phase)
		})
	}
}
