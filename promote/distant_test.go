package promote_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/promote"
)

// A fleet that could not be connected to as the process began moves as soon as it can be.
func TestAFleetThatIsReachedLater(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	p := s.spawn(0, none)
	plan, err := p.promoter().Plan(t.Context(), promote.Request{Image: web(2), Channel: production})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	tries := 0
	s.unreached = func(fleet string) bool {
		mu.Lock()
		defer mu.Unlock()
		if fleet == "west" {
			tries++
		}
		return fleet == "west" && tries < 4
	}
	if o, err := p.promoter().Run(t.Context(), plan); err != nil || o.Result != promote.Promoted {
		t.Errorf("%+v, %v", o, err)
	}
	s.wantFleets(t, "2")
	s.wantOver(t)
}

// Where one fleet stays out of reach while the others go back, it is told why they do.
func TestOutOfReachOnTheWayBack(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	s.onceSo(s.replaced("east", "2"), func() { s.away = "east" })
	s.probing(func(fleet string) error {
		if fleet == "west" {
			return errors.New("the page is blank")
		}
		return nil
	})
	o, err := s.spawn(0, none).promoted(2, nil)
	if o.Result != "" || err == nil || !strings.Contains(err.Error(), "east: ") || !strings.Contains(err.Error(), "west: probe http://web/: the page is blank") {
		t.Errorf("%+v, %v", o, err)
	}
	if got := s.yard.running("west"); !slices.Equal(got, []string{"1"}) {
		t.Errorf("west has %v", got)
	}
	s.away = ""
	if o, err := s.spawn(0, none).resumed(); o.Result != promote.Reverted || !strings.Contains(o.Reason, "the page is blank") {
		t.Errorf("resumed: %+v, %v", o, err)
	}
	s.wantFleets(t, "1")
	s.wantOver(t)
}

// A rollback takes over and ends what is under way, unless that goes back itself, or is more than what shall go back.
func TestRollbackOfWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.promoted(t, 1, 2)
	plan := func(fleets ...string) promote.Plan {
		p, err := s.spawn(0, none).promoter().PlanRollback(context.Background(), promote.RollbackRequest{Name: "web", Channel: production, Fleets: fleets, By: "bob"})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	s.onceSo(s.replaced("canary", "3"), func() {
		if p := plan("canary"); len(p.Refusals) != 1 || !strings.Contains(p.Refusals[0], "as a whole") {
			t.Errorf("one of several fleets: %q", p.Refusals)
		}
		if p := plan(); len(p.Refusals) != 0 || p.Aborts == nil {
			t.Errorf("the channel: %q", p.Refusals)
		}
		_, err := s.spawn(0, none).promoter().Drill(context.Background(), promote.DrillRequest{Channel: production, Fleet: member("canary"), By: "cron"})
		if !errors.Is(err, catalog.ErrMoved) {
			t.Errorf("a drill: %v", err)
		}
	})
	if o, err := s.spawn(0, none).promoted(3, nil); err != nil || o.Result != promote.Promoted {
		t.Fatalf("%+v, %v", o, err)
	}
	s.onceSo(s.replaced("canary", "2"), func() {
		if p := plan(); len(p.Refusals) != 1 || !strings.Contains(p.Refusals[0], "goes back already") {
			t.Errorf("a rollback: %q", p.Refusals)
		}
		p, err := s.spawn(0, none).promoter().PlanRollback(context.Background(), promote.RollbackRequest{Name: "web", Channel: production})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.spawn(0, none).promoter().Run(context.Background(), p); !errors.Is(err, bake.ErrRefused) {
			t.Errorf("carried out: %v", err)
		}
	})
	if o, err := s.spawn(0, none).rolledBack(nil); err != nil || o.Result != promote.Promoted {
		t.Errorf("%+v, %v", o, err)
	}
	s.wantFleets(t, "2")
	s.wantOver(t)
}
