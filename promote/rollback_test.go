package promote_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/promote"
)

// promoted brings production to a version.
func (s *stage) promoted(t *testing.T, versions ...int) {
	t.Helper()
	for _, v := range versions {
		if o, err := s.spawn(0, none).promoted(v, nil); err != nil || o.Result != promote.Promoted {
			t.Fatalf("%d: %+v, %v", v, o, err)
		}
	}
	s.yard.order = nil
}

func (s *stage) rolledBack(t *testing.T, change func(*promote.RollbackRequest)) {
	t.Helper()
	if o, err := s.spawn(0, none).rolledBack(change); err != nil || o.Result != promote.Promoted {
		t.Errorf("rollback: %+v, %v", o, err)
	}
	s.wantOver(t)
	s.wantJournal(t)
}

func TestRollback(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.promoted(t, 1, 2, 3)
	made := len(s.yard.groups["east"].versions)
	s.rolledBack(t, nil)
	s.wantFleets(t, "2")
	s.wantHeld(t, "2")
	if s.yard.alias["eu"] != "ami-2" {
		t.Errorf("the alias holds %v", s.yard.alias)
	}
	s.rolledBack(t, nil) // not to 3, which was rolled back, but to what was before 2
	s.wantFleets(t, "1")
	s.wantHeld(t, "1")
	s.rolledBack(t, func(r *promote.RollbackRequest) { r.To = "3" })
	s.wantFleets(t, "3")
	s.wantHeld(t, "3")
	if now := len(s.yard.groups["east"].versions); now != made {
		t.Errorf("east has %d launch template versions, it had %d", now, made)
	}
	history, err := s.channels.History(t.Context(), "web", production)
	if last := history[len(history)-1]; err != nil || !last.Back || last.Reason != "it smells" || *last.From != web(1) || last.To != web(3) {
		t.Errorf("history: %+v, %v", last, err)
	}
}

// The way back from the first deployment leads to what iibake did not make.
func TestRollbackToTheStart(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.promoted(t, 1)
	s.rolledBack(t, nil)
	s.wantFleets(t, "0")
	s.wantHeld(t, "")
	if _, err := s.spawn(0, none).rolledBack(nil); !errors.Is(err, bake.ErrNotFound) {
		t.Errorf("once more: %v", err)
	}
	s.promoted(t, 2)
	s.wantFleets(t, "2")
	s.wantHeld(t, "2")
}

// Fleets that ran an image of iibake before the channel held anything go back to that, too, each to its own; not to one that is revoked meanwhile.
func TestRollbackToWhatFleetsHadBefore(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for _, name := range []string{"canary", "east"} {
		s.yard.groups[name].versions[0] = "ami-1"
	}
	s.promoted(t, 2)
	p := s.spawn(0, none).promoter()
	d, err := p.Drill(t.Context(), promote.DrillRequest{Channel: production, Fleet: member("east"), Try: func(_ context.Context, img bake.Image) error {
		if img.Ref != web(1) {
			t.Errorf("tried %s", img.Ref)
		}
		return nil
	}})
	if err != nil || !d.Passed() || !d.Tried || *d.Image != web(1) || d.Moves[0].FromAMI != "ami-1" {
		t.Errorf("%+v, %v", d, err)
	}
	revocations := promote.NewRevocations(s.catalog)
	if err := revocations.Record(t.Context(), promote.Revocation{Image: web(1), By: "ada", At: at, Reason: "a leak"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.spawn(0, none).rolledBack(nil); !errors.Is(err, bake.ErrRefused) || !strings.Contains(err.Error(), "east: web:1: revoked") {
		t.Errorf("to one that is revoked: %v", err)
	}
	if err := revocations.Record(t.Context(), promote.Revocation{Image: web(1), By: "ada", At: at.Add(1), Reason: "no leak", Lifted: true}); err != nil {
		t.Fatal(err)
	}
	s.rolledBack(t, nil)
	s.wantHeld(t, "")
	for name, want := range map[string]string{"canary": "ami-1", "east": "ami-1", "west": "ami-0"} {
		if g := s.yard.groups[name]; g.ami(g.version) != want || slices.ContainsFunc(g.instances, func(v string) bool { return v != g.version }) {
			t.Errorf("%s has version %s and %v", name, g.version, g.instances)
		}
	}
}

func TestRollbackOfOneFleet(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.promoted(t, 1, 2)
	s.rolledBack(t, func(r *promote.RollbackRequest) { r.Fleets = []string{"east"} })
	s.wantHeld(t, "2")
	if got, others := s.yard.running("east"), s.yard.running("west"); got[0] != "1" || others[0] != "2" {
		t.Errorf("east has %v, west %v", got, others)
	}
	if want := []string{"east>ami-1"}; !slices.Equal(s.yard.order, want) {
		t.Errorf("started %v, want %v", s.yard.order, want)
	}
	if _, err := s.spawn(0, none).rolledBack(func(r *promote.RollbackRequest) { r.Fleets = []string{"north"} }); !errors.Is(err, bake.ErrNotFound) {
		t.Errorf("a fleet that is not there: %v", err)
	}
	s.promoted(t, 2) // brings it where the channel is
	s.wantFleets(t, "2")
	s.wantOver(t)
}

// A fleet that went ahead of a channel that holds nothing goes back alone, and the others stay as they are.
func TestRollbackOfAVanguard(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	alone := []string{"canary"}
	if o, err := s.spawn(0, none).promoted(1, func(r *promote.Request) { r.Fleets = alone }); err != nil || o.Result != promote.Promoted {
		t.Fatalf("%+v, %v", o, err)
	}
	s.wantHeld(t, "")
	s.rolledBack(t, func(r *promote.RollbackRequest) { r.Fleets = alone })
	s.wantFleets(t, "0")
	s.wantHeld(t, "")
}

// A fleet that came later has no launch template version with the older image: it gets one.
func TestRollbackOfANewFleet(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.promoted(t, 1, 2)
	late := member("north")
	late.Target = "north"
	s.yard.add(late, 2, "ami-2")
	s.rule.Waves = append(s.rule.Waves, []promote.Member{late})
	s.rolledBack(t, nil)
	s.wantFleets(t, "1")
	s.wantHeld(t, "1")
	if _, err := s.spawn(0, none).rolledBack(nil); !errors.Is(err, bake.ErrRefused) || !strings.Contains(err.Error(), "north: no record tells what it ran") {
		t.Errorf("to the start, of which nobody knows what it was: %v", err)
	}
}

func TestRollbackIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(*testing.T, *stage)
		want    string
	}{
		"a revoked image": {func(t *testing.T, s *stage) {
			t.Helper()
			r := promote.Revocation{Image: web(1), By: "eve", Reason: "CVE", At: s.yard.Now()}
			if err := promote.NewRevocations(s.catalog).Record(t.Context(), r); err != nil {
				t.Error(err)
			}
		}, "revoked"},
		"a launch template version that is gone": {func(_ *testing.T, s *stage) { s.yard.groups["west"].versions[1] = "" }, "west: launch template version 2 is not there"},
		"a fleet that nobody knows": {func(_ *testing.T, s *stage) {
			s.rule.Waves = append(s.rule.Waves, []promote.Member{member("nowhere")})
		}, "nowhere: no group nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.promoted(t, 1, 2)
			c.prepare(t, s)
			_, err := s.spawn(0, none).rolledBack(nil)
			if !errors.Is(err, bake.ErrRefused) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
			s.wantHeld(t, "2")
			s.wantOver(t)
		})
	}
}

// While a promotion is under way the way back is to end it, whoever drives it.
func TestRollbackDuringAPromotion(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	s.interruptedWhen(t, s.replaced("east", "2"))
	back, err := s.spawn(0, none).promoter().PlanRollback(t.Context(), promote.RollbackRequest{Name: "web", Channel: production, By: "ada", Reason: "it smells"})
	if err != nil || back.Aborts == nil || back.Promotion.Number != 2 || len(back.Fleets) != 3 || back.Fleets[0].Moves[0].FromAMI != "ami-1" {
		t.Fatalf("plan: %+v, %v", back, err)
	}
	if odd, err := s.spawn(0, none).promoter().PlanRollback(t.Context(), promote.RollbackRequest{Name: "web", Channel: production, To: "3"}); err != nil || len(odd.Refusals) != 1 {
		t.Errorf("to another version: %+v, %v", odd, err)
	}
	o, err := s.spawn(0, none).promoter().Run(t.Context(), back)
	if o.Result != promote.Reverted || !strings.Contains(o.Reason, "aborted by ada: it smells") || !errors.Is(err, promote.ErrRolledBack) {
		t.Errorf("%+v, %v", o, err)
	}
	s.wantFleets(t, "1")
	s.wantHeld(t, "1")
	s.wantOver(t)
	if _, err := s.spawn(0, none).promoter().Run(t.Context(), back); !errors.Is(err, bake.ErrNotFound) && !errors.Is(err, catalog.ErrMoved) {
		t.Errorf("once more: %v", err)
	}
}

// A rollback that is aborted stops where it is: there is no way back from the way back.
func TestAbortOfARollback(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.promoted(t, 1, 2)
	s.onceSo(s.replaced("east", "1"), func() { s.wish(t, promote.Abort, "no") })
	o, err := s.spawn(0, none).rolledBack(nil)
	if o.Result != promote.Stopped || err == nil || errors.Is(err, promote.ErrRolledBack) {
		t.Errorf("%+v, %v", o, err)
	}
	s.wantHeld(t, "2")
	s.wantOver(t)
	s.rolledBack(t, nil)
	s.wantFleets(t, "1")
	s.wantHeld(t, "1")
}

func TestDrill(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.promoted(t, 1, 2)
	p := s.spawn(0, none).promoter()
	var tried []bake.Ref
	r := promote.DrillRequest{Channel: production, Fleet: member("east"), By: "cron", Try: func(_ context.Context, img bake.Image) error {
		tried = append(tried, img.Ref)
		return nil
	}}
	d, err := p.Drill(t.Context(), r)
	if err != nil || !d.Passed() || !d.Tried || *d.Image != web(1) || d.Moves[0].FromAMI != "ami-1" || d.Preflight.Estimate == 0 {
		t.Errorf("%+v, %v", d, err)
	}
	if len(tried) != 1 || tried[0] != web(1) {
		t.Errorf("tried %v", tried)
	}
	r.Try = func(context.Context, bake.Image) error { return errors.New("no boot") }
	s.yard.groups["east"].versions[1] = ""
	d, err = p.Drill(t.Context(), r)
	if err != nil || d.Passed() || len(d.Failures) != 2 || !strings.Contains(d.Failures[1], "no boot") {
		t.Errorf("%+v, %v", d, err)
	}
	drills, err := p.Drills(t.Context(), "east")
	if err != nil || len(drills) != 2 || !drills[0].Passed() || drills[1].Passed() {
		t.Errorf("%+v, %v", drills, err)
	}
	s.wantFleets(t, "2")
}

// Before the first deployment there is nothing to go back to; after it there is what iibake did not make.
func TestDrillOfTheFirstDeployment(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.spawn(0, none).promoter()
	r := promote.DrillRequest{Channel: production, Fleet: member("east"), Try: func(context.Context, bake.Image) error { panic("it cannot be tried") }}
	if _, err := p.Drill(t.Context(), r); !errors.Is(err, bake.ErrNotFound) {
		t.Errorf("%v", err)
	}
	s.promoted(t, 1)
	d, err := p.Drill(t.Context(), r)
	if err != nil || !d.Passed() || d.Image != nil || d.Moves[0].FromAMI != "ami-0" || len(d.Notes) == 0 {
		t.Errorf("%+v, %v", d, err)
	}
}

// A fleet that is ahead of its channel goes back to what the channel holds, which it had before, and not to what the channel held before that.
func TestRollbackOfAFleetAhead(t *testing.T) {
	t.Parallel()
	for name, goAhead := range map[string]func(*testing.T, *stage){
		"alone": func(t *testing.T, s *stage) {
			t.Helper()
			if _, err := s.spawn(0, none).promoted(3, func(r *promote.Request) { r.Fleets = []string{"canary"} }); err != nil {
				t.Fatal(err)
			}
		},
		"by a promotion that was stopped": func(t *testing.T, s *stage) {
			t.Helper()
			s.onceSo(s.replaced("canary", "3"), func() {
				err := promote.NewRevocations(s.catalog).Record(t.Context(), promote.Revocation{Image: web(3), By: "eve", At: s.yard.Now()})
				if err != nil {
					t.Error(err)
				}
			})
			if _, err := s.spawn(0, none).promoted(3, func(r *promote.Request) { r.Keep = true }); !errors.Is(err, bake.ErrRefused) {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.promoted(t, 1, 2)
			goAhead(t, s)
			if got := s.yard.running("canary"); !slices.Equal(got, []string{"3"}) {
				t.Fatalf("canary has %v", got)
			}
			alone := func(r *promote.RollbackRequest) { r.Fleets = []string{"canary"} }
			s.rolledBack(t, alone)
			s.wantFleets(t, "2")
			s.wantHeld(t, "2")
			s.rolledBack(t, alone) // once more: it is where the channel is, and goes further
			if got := s.yard.running("canary"); !slices.Equal(got, []string{"1"}) {
				t.Errorf("canary has %v", got)
			}
		})
	}
}
