package promote_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/promote"
)

// wantFleets checks which version every fleet has.
func (s *stage) wantFleets(t rapid.TB, version string) {
	t.Helper()
	for _, wave := range s.rule.Waves {
		for _, m := range wave {
			if got := s.yard.running(m.Name); !slices.Equal(got, []string{version}) {
				t.Errorf("%s has %v, want %s", m.Name, got, version)
			}
		}
	}
}

// wantHeld checks what the channel holds; an empty version is nothing.
func (s *stage) wantHeld(t rapid.TB, version string) {
	t.Helper()
	held, err := s.channels.Get(context.Background(), "web", production)
	if version == "" {
		if !errors.Is(err, bake.ErrNotFound) {
			t.Errorf("the channel holds %v, %v, want nothing", held, err)
		}
		return
	}
	if err != nil || held.Version != version {
		t.Errorf("the channel holds %v, %v, want %s", held, err, version)
	}
}

// wantOver checks that nothing is left behind.
func (s *stage) wantOver(t rapid.TB) {
	t.Helper()
	if left := s.yard.Leaked(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if len(s.wrong) > 0 {
		t.Errorf("acts that nothing announced: %q", s.wrong)
	}
	if a, err := promote.NewActives(s.catalog).Get(context.Background(), "web", production); !errors.Is(err, bake.ErrNotFound) {
		t.Errorf("still under way: %+v, %v", a, err)
	}
}

func (s *stage) wantResult(t rapid.TB, number int, want promote.Result) {
	t.Helper()
	o, err := s.channels.Outcome(context.Background(), promote.Promotion{Channel: production, Number: number, To: bake.Ref{Name: "web"}})
	if err != nil || o.Result != want {
		t.Errorf("promotion %d: %+v, %v, want %s", number, o, err, want)
	}
}

// settled brings production and its fleets to web:1.
func (s *stage) settled(t rapid.TB) {
	t.Helper()
	if o, err := s.spawn(0, none).promoted(1, nil); err != nil || o.Result != promote.Promoted {
		t.Fatalf("first deployment: %+v, %v", o, err)
	}
	s.yard.order = nil
}

func TestPromote(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	s.wantFleets(t, "1")
	s.wantHeld(t, "1")
	began := s.yard.Now()
	o, err := s.spawn(0, none).promoted(2, nil)
	if err != nil || o.Result != promote.Promoted {
		t.Fatalf("%+v, %v", o, err)
	}
	s.wantFleets(t, "2")
	s.wantHeld(t, "2")
	s.wantResult(t, 2, promote.Promoted)
	s.wantOver(t)
	if s.yard.alias["eu"] != "ami-2" {
		t.Errorf("the alias holds %v", s.yard.alias)
	}
	slices.Sort(s.yard.order[1:])
	if want := []string{"canary>ami-2", "east>ami-2", "west>ami-2"}; !slices.Equal(s.yard.order, want) {
		t.Errorf("started %v, want %v", s.yard.order, want)
	}
	if took, atLeast := s.yard.Now().Sub(began), 2*(2*time.Minute+checkpoint); took < atLeast || took > atLeast+3*time.Minute {
		t.Errorf("it took %s", took)
	}
	steps := stepsOf(s.told, 2)
	if want := []promote.Step{promote.Publishing, promote.Moving, promote.Watching, promote.Moving, promote.Watching, promote.Finishing, promote.Ended}; !slices.Equal(steps, want) {
		t.Errorf("told %v, want %v", steps, want)
	}
}

// stepsOf returns the steps that were told of a promotion, in their order.
func stepsOf(told []promote.Progress, number int) []promote.Step {
	var steps []promote.Step
	for _, p := range told {
		if p.Promotion.Number == number {
			steps = append(steps, p.Step)
		}
	}
	return slices.Compact(steps)
}

func TestPromoteWithoutFleets(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.rule.Waves = nil
	for v, want := range []promote.Result{1: promote.Promoted, 2: promote.Promoted} {
		if want == "" {
			continue
		}
		if o, err := s.spawn(0, none).promoted(v, nil); err != nil || o.Result != want {
			t.Errorf("%d: %+v, %v", v, o, err)
		}
	}
	s.wantHeld(t, "2")
	s.wantFleets(t, "0")
	s.wantOver(t)
}

// What a first bad sign does, wherever it shows.
func TestFailure(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(*stage)
		change  func(*promote.Request)
		result  promote.Result
		fleets  string // that all have in the end; empty: they differ
		started []string
		reason  string
	}{
		"an alarm": {
			prepare: func(s *stage) { s.yard.alarm["2"] = true },
			result:  promote.Reverted, fleets: "1", started: []string{"canary>ami-2"}, reason: "canary: alarm web-5xx",
		},
		"instances that do not get healthy": {
			prepare: func(s *stage) { s.yard.broken["2"] = true },
			result:  promote.Reverted, fleets: "1", started: []string{"canary>ami-2", "canary>ami-1"}, reason: "instances do not become healthy",
		},
		"a refresh that goes back by itself": {
			prepare: func(s *stage) { s.yard.broken["2"], s.yard.goes["canary"] = true, true },
			result:  promote.Reverted, fleets: "1", started: []string{"canary>ami-2"}, reason: "instances did not become healthy",
		},
		"an alarm in the second wave": {
			prepare: func(s *stage) {
				s.yard.onTick = func() {
					s.yard.mu.Lock()
					defer s.yard.mu.Unlock()
					s.yard.alarm["2"] = s.yard.alarm["2"] || slices.Contains(s.yard.groups["west"].instances, "3")
				}
			},
			result: promote.Reverted, fleets: "1", started: []string{"canary>ami-2", "east>ami-2", "west>ami-2", "canary>ami-1"}, reason: "alarm web-5xx",
		},
		"an alarm while it soaks": {
			prepare: func(s *stage) {
				s.yard.onTick = func() {
					s.yard.mu.Lock()
					defer s.yard.mu.Unlock()
					n := len(s.yard.groups["canary"].refreshes)
					s.yard.alarm["2"] = n > 1 && s.yard.groups["canary"].refreshes[1].state == promote.Succeeded
				}
			},
			result: promote.Reverted, fleets: "1", started: []string{"canary>ami-2", "canary>ami-1"}, reason: "canary: alarm web-5xx",
		},
		"kept where it is": {
			prepare: func(s *stage) { s.yard.alarm["2"] = true },
			change:  func(r *promote.Request) { r.Keep = true },
			result:  promote.Stopped, started: []string{"canary>ami-2"}, reason: "canary: alarm web-5xx",
		},
		"kept in the second wave": {
			prepare: func(s *stage) { s.yard.onTick = s.alarmInWest },
			change:  func(r *promote.Request) { r.Keep = true },
			result:  promote.Stopped, started: []string{"canary>ami-2", "east>ami-2", "west>ami-2"}, reason: "alarm web-5xx",
		},
		"a way back that fails": {
			prepare: func(s *stage) { s.yard.alarm["2"], s.yard.lame["canary"] = true, true },
			result:  promote.Stopped, started: []string{"canary>ami-2", "canary>ami-1"}, reason: "canary: alarm web-5xx",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.settled(t)
			c.prepare(s)
			o, err := s.spawn(0, none).promoted(2, c.change)
			if err == nil || o.Result != c.result || !strings.Contains(o.Reason, c.reason) || !strings.Contains(err.Error(), c.reason) {
				t.Errorf("%+v, %v", o, err)
			}
			if errors.Is(err, promote.ErrRolledBack) != (c.result == promote.Reverted) {
				t.Errorf("%v", err)
			}
			if c.fleets != "" {
				s.wantFleets(t, c.fleets)
			}
			slices.Sort(s.yard.order[:len(s.yard.order)])
			slices.Sort(c.started)
			if !slices.Equal(s.yard.order, c.started) {
				t.Errorf("started %v, want %v", s.yard.order, c.started)
			}
			s.wantHeld(t, "1")
			s.wantResult(t, 2, c.result)
			s.wantOver(t)
		})
	}
}

// A channel that moved on since the plan found that nothing is to be done keeps its alias.
// A fleet that has drifted is brought to what the channel holds without being asked again what the channel demanded then.
func TestBringingFleetsToWhatTheChannelHolds(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.promoted(t, 1, 2)
	s.rule.Approvals = 2
	if _, err := s.spawn(0, none).promoted(3, nil); !errors.Is(err, bake.ErrRefused) {
		t.Errorf("another version: %v", err)
	}
	east := s.yard.groups["east"]
	east.version, east.instances = "1", slices.Repeat([]string{"1"}, len(east.instances))
	o, err := s.spawn(0, none).promoted(2, nil)
	if err != nil || o.Result != promote.Promoted {
		t.Errorf("%+v, %v", o, err)
	}
	s.wantFleets(t, "2")
	s.wantHeld(t, "2")
}

func TestThereNoMore(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.promoted(t, 1)
	p := s.spawn(0, none).promoter()
	plan, err := p.Plan(t.Context(), promote.Request{Image: web(1), Channel: production})
	if err != nil || !plan.There {
		t.Fatalf("%+v, %v", plan, err)
	}
	s.promoted(t, 2)
	if _, err := p.Run(t.Context(), plan); !errors.Is(err, catalog.ErrMoved) {
		t.Errorf("got %v", err)
	}
	if s.yard.alias["eu"] != "ami-2" {
		t.Errorf("the alias holds %v", s.yard.alias)
	}
}

// Who wants to end one promotion does not end the next one.
func TestAbortOfAPromotionThatHasEnded(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	var back promote.Plan
	s.onceSo(s.replaced("canary", "2"), func() {
		var err error
		back, err = s.spawn(0, none).promoter().PlanRollback(t.Context(), promote.RollbackRequest{Name: "web", Channel: production, By: "ada"})
		if err != nil || back.Aborts == nil {
			t.Errorf("%+v, %v", back, err)
		}
	})
	s.promoted(t, 2)
	s.onceSo(s.replaced("canary", "3"), func() {
		if _, err := s.spawn(0, none).promoter().Run(t.Context(), back); !errors.Is(err, catalog.ErrMoved) {
			t.Errorf("got %v", err)
		}
	})
	s.promoted(t, 3)
	s.wantFleets(t, "3")
	s.wantHeld(t, "3")
	s.wantOver(t)
}
