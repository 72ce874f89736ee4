package promote_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/promote"
)

// weather is what happens around a promotion, tick by tick.
type weather struct {
	s       *stage
	tick    int
	events  map[int][]string
	current *process
	paused  int // tick since which it is; 0: it is not
	calm    int // tick from which everybody answers again
	aborted bool
}

// patientTicks is how long a pause lasts at most, so that every story ends.
const patientTicks = 30

func (w *weather) pass() {
	w.tick++
	if w.calm != 0 && w.tick >= w.calm {
		w.s.away, w.s.deaf, w.calm = "", nil, 0
	}
	for _, event := range w.events[w.tick] {
		w.happen(event)
	}
	if w.paused != 0 && w.tick-w.paused > patientTicks {
		w.wish(promote.Proceed)
	}
}

func (w *weather) happen(event string) {
	switch event {
	case "pause":
		w.wish(promote.Pause)
	case "proceed":
		w.wish(promote.Proceed)
	case "abort":
		w.wish(promote.Abort)
	case "kill":
		w.current.mu.Lock()
		w.current.dead = true
		w.current.mu.Unlock()
	case "canary", "east", "west":
		w.s.away, w.calm = event, w.tick+20 // longer than patience lasts
	case "deaf":
		w.s.deaf, w.calm = func(string) bool { return true }, w.tick+7
	}
}

func (w *weather) wish(wish promote.Wish) {
	if _, err := promote.NewActives(w.s.catalog).Wish(context.Background(), "web", production, wish, "bob", "storm"); err != nil {
		return // it is over, or too late
	}
	switch wish {
	case promote.Abort:
		w.aborted = true
	case promote.Pause:
		if w.paused == 0 {
			w.paused = w.tick
		}
	case promote.Proceed:
		w.paused = 0
	}
}

// TestStorm lets processes die, people change their minds, fleets and the catalog be out of reach, in any order. An abort that was taken
// brings everything back; without one everything arrives.
func TestStorm(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		st := rapid.SampledFrom(calmStories()).Draw(t, "story")
		s := prepared(t, st)
		w := &weather{s: s, events: map[int][]string{}}
		kinds := rapid.SampledFrom([]string{"pause", "proceed", "abort", "kill", "kill", "canary", "east", "west", "deaf"})
		for range rapid.IntRange(1, 8).Draw(t, "events") {
			at := rapid.IntRange(1, 70).Draw(t, "tick")
			w.events[at] = append(w.events[at], kinds.Draw(t, "event"))
		}
		s.yard.onTick = w.pass
		w.current = s.spawn(0, none)
		o, err := st.run(w.current)
		for range 60 {
			if o.Result != "" && !s.underWay() {
				break
			}
			w.current = s.spawn(0, none)
			if o, err = w.current.resumed(); errors.Is(err, bake.ErrNotFound) {
				o = s.ended()
			}
			_ = s.yard.Sleep(context.Background(), 20*time.Second)
		}
		if w.aborted && (o.Result == promote.Stopped || o.Result == promote.Reverted) {
			st = st.aborted(o.Result)
		}
		if o.Result == "" {
			t.Errorf("it never ends: %v", err)
		}
		s.wantStory(t, st, o)
	})
}

// calmStories are those in which nothing happens by the tick of the clock.
func calmStories() []story {
	return slices.DeleteFunc(stories(), func(st story) bool { return st.name == "second wave" || st.name == "abort" })
}

// aborted is how a story ends that was aborted: a promotion leaves everything as it was, a rollback is stopped where it is.
func (st story) aborted(r promote.Result) story {
	st.result = r
	switch st.name {
	case "rollback":
		st.held, st.fleets = "2", ""
	case "rollback to the start":
		st.held, st.fleets = "1", ""
	case "kept":
		st.held, st.fleets = "1", "" // what was stopped before the abort stays
	default:
		st.held, st.fleets = "1", "1"
	}
	return st
}
