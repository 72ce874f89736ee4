package promote_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/promote"
)

// story is a promotion or a rollback that goes as it goes when nothing goes wrong beside.
type story struct {
	name    string
	prepare func(*stage)
	run     func(*process) (promote.Outcome, error)
	result  promote.Result
	held    string // in the end
	fleets  string // in the end; empty: they differ
}

func stories() []story {
	to2 := func(p *process) (promote.Outcome, error) { return p.promoted(2, nil) }
	return []story{
		{"good", func(*stage) {}, to2, promote.Promoted, "2", "2"},
		{"alarm", func(s *stage) { s.yard.alarm["2"] = true }, to2, promote.Reverted, "1", "1"},
		{"broken", func(s *stage) { s.yard.broken["2"] = true }, to2, promote.Reverted, "1", "1"},
		{"kept", func(s *stage) { s.yard.alarm["2"] = true }, func(p *process) (promote.Outcome, error) {
			return p.promoted(2, func(r *promote.Request) { r.Keep = true })
		}, promote.Stopped, "1", ""},
		{"second wave", func(s *stage) { s.yard.alarm["2"] = false; s.yard.onTick = s.alarmInWest }, to2, promote.Reverted, "1", "1"},
		{"abort", func(s *stage) { s.onceSo(s.replaced("east", "2"), s.aborted) }, to2, promote.Reverted, "1", "1"},
		{"rollback", func(s *stage) { _, _ = s.spawn(0, none).promoted(2, nil) }, func(p *process) (promote.Outcome, error) {
			return p.rolledBack(nil)
		}, promote.Promoted, "1", "1"},
		{"rollback to the start", func(*stage) {}, func(p *process) (promote.Outcome, error) {
			return p.rolledBack(nil)
		}, promote.Promoted, "", "0"},
	}
}

// alarmInWest lets the alarm ring as soon as an instance of the second wave has web:2.
func (s *stage) alarmInWest() {
	s.yard.mu.Lock()
	defer s.yard.mu.Unlock()
	g := s.yard.groups["west"]
	for _, v := range g.instances {
		if versionOf(g.ami(v)) == "2" {
			s.yard.alarm["2"] = true
		}
	}
}

// aborted is somebody who does not want it.
func (s *stage) aborted() {
	_, _ = promote.NewActives(s.catalog).Wish(context.Background(), "web", production, promote.Abort, "bob", "lunch")
}

// finish resumes what is under way, or promotes afresh where nothing is on record, until it is over.
func (s *stage) finish(t rapid.TB, st story, o promote.Outcome) promote.Outcome {
	t.Helper()
	for range 5 {
		if o.Result != "" && !s.underWay() && !accident(o) {
			return o
		}
		var err error
		p := s.spawn(0, none)
		if o, err = p.resumed(); errors.Is(err, bake.ErrNotFound) {
			if o = s.ended(); o.Result == "" || accident(o) {
				o, _ = st.run(p)
			}
		}
	}
	t.Errorf("it never ends: %+v", o)
	return o
}

// accident reports whether a promotion was stopped by a call that went wrong before anything had moved.
func accident(o promote.Outcome) bool {
	return o.Result == promote.Stopped && (strings.Contains(o.Reason, "no answer") || strings.Contains(o.Reason, "connection reset"))
}

func (s *stage) underWay() bool {
	_, err := promote.NewActives(s.catalog).Get(context.Background(), "web", production)
	return err == nil
}

// ended returns the outcome of the newest promotion that the story made.
func (s *stage) ended() promote.Outcome {
	history, err := s.channels.History(context.Background(), "web", production)
	if err != nil || len(history) <= s.before || history[len(history)-1].Outcome == nil {
		return promote.Outcome{}
	}
	return *history[len(history)-1].Outcome
}

// prepared makes a stage for a story.
func prepared(t rapid.TB, st story) *stage {
	t.Helper()
	s := newStage(t)
	s.settled(t)
	st.prepare(s)
	history, err := s.channels.History(context.Background(), "web", production)
	if err != nil {
		t.Fatalf("history: %v", err)
	}
	s.before, s.yard.order = len(history), nil
	return s
}

// TestFaults lets every single call of every story go wrong in every way. After that somebody resumes it, or begins anew where it never
// began, and it ends as it would have.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, st := range stories() {
		t.Run(st.name, func(t *testing.T) {
			t.Parallel()
			whole := prepared(t, st)
			p := whole.spawn(0, none)
			_, _ = st.run(p)
			for what := killBefore; what <= lost; what++ {
				for at := 1; at <= p.calls; at++ {
					if testing.Short() && at%int(lost) != int(what)%int(lost) {
						continue // each call meets one
					}
					if oneFault(t, st, at, what); t.Failed() {
						t.Fatalf("call %d of %d: %s", at, p.calls, what)
					}
				}
			}
		})
	}
}

func oneFault(t *testing.T, st story, at int, what fault) {
	t.Helper()
	s := prepared(t, st)
	hurt := s.spawn(at, what)
	o, err := st.run(hurt)
	if hurt.killed() && err == nil {
		t.Errorf("a process that died says %+v", o)
	}
	o = s.finish(t, st, o)
	s.wantStory(t, st, o)
}

// wantStory checks the end of a story in which something went wrong.
func (s *stage) wantStory(t rapid.TB, st story, o promote.Outcome) {
	t.Helper()
	if o.Result != st.result {
		t.Errorf("it ended %+v, want %s", o, st.result)
	}
	if st.fleets != "" {
		s.wantFleets(t, st.fleets)
	}
	s.wantHeld(t, st.held)
	s.wantOver(t)
	s.wantJournal(t)
}

// wantJournal checks that every rollout has ended, and that what its last record says is how its fleet is.
func (s *stage) wantJournal(t rapid.TB) {
	t.Helper()
	history, err := s.channels.History(context.Background(), "web", production)
	if err != nil {
		t.Fatalf("history: %v", err)
	}
	last := map[string]promote.Rollout{}
	for _, past := range history {
		latest, err := promote.NewRollouts(s.catalog).Latest(context.Background(), past.Promotion)
		if err != nil {
			t.Fatalf("rollouts: %v", err)
		}
		for fleet, r := range latest {
			last[fleet] = r
			if r.Phase != promote.Done && r.Phase != promote.RolledBack && r.Phase != promote.Failed {
				t.Errorf("%s is left %s", r.ID(), r.Phase)
			}
		}
	}
	for fleet, r := range last {
		want := r.To.Version
		if r.Phase == promote.RolledBack {
			if want = "0"; r.From != nil {
				want = r.From.Version
			}
		}
		got := s.yard.running(fleet)
		if r.Phase != promote.Failed && len(r.Moves) > 0 && !slices.Equal(got, []string{want}) {
			t.Errorf("the journal says that %s has %s (%s), it has %v", fleet, want, r.Phase, got)
		}
	}
}

// TestKilledAnywhere kills processes wherever it likes, one after another or two at a time, and also those that take over.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	all := stories()
	rapid.Check(t, func(t *rapid.T) {
		st := rapid.SampledFrom(all).Draw(t, "story")
		s := prepared(t, st)
		what := rapid.SampledFrom([]fault{killBefore, killAfter})
		at := rapid.IntRange(1, 160) // of about as many calls as a story has
		o, _ := st.run(s.spawn(at.Draw(t, "first"), what.Draw(t, "how")))
		for range rapid.IntRange(0, 4).Draw(t, "deaths") {
			if !s.underWay() {
				break
			}
			s.resumeBy(t, rapid.IntRange(1, 2).Draw(t, "processes"), at, what)
			o = promote.Outcome{}
		}
		o = s.finish(t, st, o)
		if o.Result != st.result {
			t.Errorf("%s ended %+v", st.name, o)
		}
		s.wantStory(t, st, o)
		if starts := s.yard.newStarts(); st.result == promote.Reverted && st.name != "second wave" && st.name != "abort" && slices.ContainsFunc(starts, inSecondWave) {
			t.Errorf("a failing image reached the second wave: %v", starts)
		}
	})
}

// resumeBy lets processes take over at once; they may die at it.
func (s *stage) resumeBy(t *rapid.T, n int, at *rapid.Generator[int], what *rapid.Generator[fault]) {
	t.Helper()
	var wg sync.WaitGroup
	for range n {
		p := s.spawn(at.Draw(t, "call"), what.Draw(t, "how"))
		wg.Go(func() {
			_, err := p.resumed()
			if err != nil && !p.killed() && !errors.Is(err, catalog.ErrMoved) && !errors.Is(err, bake.ErrNotFound) &&
				!errors.Is(err, promote.ErrRolledBack) && !strings.Contains(err.Error(), "stopped") {
				t.Errorf("%s: %v", p.name, err)
			}
		})
	}
	wg.Wait()
}

func inSecondWave(start string) bool { return !strings.HasPrefix(start, "canary") }

// newStarts returns the refreshes that were started with web:2.
func (y *yard) newStarts() []string {
	y.mu.Lock()
	defer y.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(y.order), func(s string) bool { return versionOf(s) != "2" })
}
