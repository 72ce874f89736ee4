package promote_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/promote"
)

func (s *stage) plan(t *testing.T, version int, change func(*promote.Request)) (promote.Plan, error) {
	t.Helper()
	r := promote.Request{Image: web(version), Channel: production, By: "ada"}
	if change != nil {
		change(&r)
	}
	return s.spawn(0, none).promoter().Plan(t.Context(), r)
}

func TestPlan(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	entries := len(s.catalog.(*memory).values)
	p, err := s.plan(t, 2, func(r *promote.Request) { r.Targets = []string{"us"} })
	if err != nil {
		t.Fatal(err)
	}
	if *p.Promotion.From != web(1) || p.Image.Ref != web(2) || p.Before.Ref != web(1) || p.Verdict != at || p.There || len(p.Refusals) != 0 || len(p.Notes) != 0 {
		t.Errorf("%+v", p)
	}
	if want := (bake.PackageChange{Name: "nginx", Arch: "amd64", Old: "1", New: "2"}); !slices.Equal(p.Packages, []bake.PackageChange{want}) {
		t.Errorf("packages: %v", p.Packages)
	}
	if !slices.Equal(p.Publish, []string{"eu", "us"}) || !slices.Equal(p.Promotion.Targets, p.Publish) {
		t.Errorf("publishes in %v of %v", p.Publish, p.Promotion.Targets)
	}
	if len(p.Gates) == 0 || !p.Gates[0].Open {
		t.Errorf("gates: %+v", p.Gates)
	}
	if len(p.Fleets) != 3 || p.Fleets[0].Wave != 0 || p.Fleets[2].Wave != 1 || p.Fleets[2].Fleet.Name != "west" || p.Fleets[2].Instances != 4 {
		t.Errorf("fleets: %+v", p.Fleets)
	}
	if back := p.Fleets[1].Current[0]; back.Version != "2" || back.AMI != "ami-1" || *back.Image != web(1) {
		t.Errorf("way back: %+v", back)
	}
	waves := checkpoint + 3*perInstance + checkpoint + 4*perInstance // the longest fleet of each
	if want := waves + 2*2*time.Minute; time.Duration(p.Estimate) != want {
		t.Errorf("estimate %s, want %s", p.Estimate, want)
	}
	if now := len(s.catalog.(*memory).values); now != entries || len(s.yard.amis["us"]) != 0 {
		t.Errorf("the plan changed something: %d entries instead of %d", now, entries)
	}
}

func TestPlanOfWhatIsThere(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	p, err := s.plan(t, 1, nil)
	if err != nil || !p.There {
		t.Fatalf("%+v, %v", p, err)
	}
	if o, err := s.spawn(0, none).promoter().Run(t.Context(), p); err != nil || o.Result != promote.Promoted {
		t.Errorf("%+v, %v", o, err)
	}
	if history, err := s.channels.History(t.Context(), "web", production); err != nil || len(history) != 1 {
		t.Errorf("%d promotions: %v", len(history), err)
	}
}

// A plan collects all that speaks against it.
func TestPlanRefuses(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	s.rule.Approvals = 1
	s.rule.Waves = append(s.rule.Waves, []promote.Member{member("nowhere")})
	s.yard.groups["east"].refreshes = append(s.yard.groups["east"].refreshes, &refresh{id: "by hand", state: promote.Replacing})
	p, err := s.plan(t, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"approvals: ", "east: a refresh is running: wait", "nowhere: no group nowhere"} {
		if i >= len(p.Refusals) || !strings.HasPrefix(p.Refusals[i], want) {
			t.Errorf("refusals %q, want %q", p.Refusals, want)
		}
	}
	if o, err := s.spawn(0, none).promoter().Run(t.Context(), p); !errors.Is(err, bake.ErrRefused) || o.Result != "" {
		t.Errorf("%+v, %v", o, err)
	}
	if history, err := s.channels.History(t.Context(), "web", production); err != nil || len(history) != 1 {
		t.Errorf("%d promotions: %v", len(history), err)
	}
}

func TestPlanNotes(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.promoted(t, 2)
	s.rule.Waves[0][0].Strategy.Probes = []promote.Probe{{HTTP: "http://web/", Timeout: bake.Duration(time.Minute)}}
	p, err := s.plan(t, 1, nil)
	if err != nil || len(p.Notes) != 2 || !strings.Contains(p.Notes[0], "canary: a probe that fails is known to fail after 3m") || p.Notes[1] != "web:1 is older than web:2, which the channel holds" {
		t.Errorf("%q, %v", p.Notes, err)
	}
}

// Who begins shortly before a freeze is told.
func TestPlanForeseesAFreeze(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	begins := s.yard.now.Add(2 * time.Minute)
	s.rule.Freeze = []promote.Freeze{{
		From: moment(t, begins.Format("2006-01-02 15:04")), Until: moment(t, begins.AddDate(0, 0, 1).Format("2006-01-02 15:04")), Reason: "the holidays",
	}}
	p, err := s.plan(t, 2, nil)
	if err != nil || len(p.Refusals) != 0 || len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "the channel is frozen for the holidays when this is expected to end") {
		t.Errorf("refusals %q, notes %q, %v", p.Refusals, p.Notes, err)
	}
}

func TestPlanOfSomeFleets(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	only := func(r *promote.Request) { r.Fleets = []string{"west"} }
	p, err := s.plan(t, 2, only)
	if err != nil || !p.Promotion.Only || len(p.Fleets) != 1 || p.Fleets[0].Wave != 0 {
		t.Fatalf("%+v, %v", p, err)
	}
	if o, err := s.spawn(0, none).promoter().Run(t.Context(), p); err != nil || o.Result != promote.Promoted {
		t.Errorf("%+v, %v", o, err)
	}
	s.wantHeld(t, "1")
	if got := s.yard.running("west"); got[0] != "2" {
		t.Errorf("west has %v", got)
	}
	s.wantOver(t)
	if p, err = s.plan(t, 2, only); err != nil || !p.There {
		t.Errorf("once more: %+v, %v", p, err)
	}
	if _, err := s.plan(t, 2, func(r *promote.Request) { r.Fleets = []string{"north"} }); !errors.Is(err, bake.ErrNotFound) {
		t.Errorf("a fleet that is not there: %v", err)
	}
}

// What shall stay where it is after a failure is not to be brought back by AWS either.
func TestPlanKeeps(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.rule.Waves[0][0].Strategy.AutoRollback = true
	p, err := s.plan(t, 2, func(r *promote.Request) { r.Keep = true })
	if err != nil || !p.Promotion.Keep || p.Promotion.Waves[0][0].Strategy.AutoRollback || p.Fleets[0].Fleet.Strategy.AutoRollback {
		t.Errorf("%+v, %v", p.Promotion, err)
	}
	if !s.rule.Waves[0][0].Strategy.AutoRollback {
		t.Error("the rule was changed")
	}
}

func TestPlanErrors(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	if _, err := s.plan(t, 9, nil); !errors.Is(err, bake.ErrNotFound) {
		t.Errorf("an image that is not there: %v", err)
	}
	s.onceSo(s.replaced("canary", "1"), func() {
		if _, err := s.plan(t, 2, nil); !errors.Is(err, catalog.ErrMoved) {
			t.Errorf("while a promotion is under way: %v", err)
		}
	})
	s.settled(t)
}

// A fleet that changed since the plan was made stops the wave before an instance of any fleet is touched.
func TestPreflightAgain(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	s.onceSo(s.replaced("canary", "2"), func() {
		s.yard.groups["west"].refreshes = append(s.yard.groups["west"].refreshes, &refresh{id: "by hand", state: promote.Replacing, began: s.yard.Now().Add(time.Hour)})
	})
	o, err := s.spawn(0, none).promoted(2, nil)
	if o.Result != promote.Reverted || !errors.Is(err, bake.ErrRefused) || !strings.Contains(o.Reason, "west: refused: a refresh is running") {
		t.Errorf("%+v, %v", o, err)
	}
	if starts := s.yard.newStarts(); !slices.Equal(starts, []string{"canary>ami-2"}) {
		t.Errorf("started %v", starts)
	}
	s.wantHeld(t, "1")
	s.wantJournal(t)
}

// What the plan found of a fleet says nothing about an AMI that was not there yet: the fleet is looked at again when it is.
func TestPublishedSinceThePlan(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	for _, want := range []int{3 + 1 + 2, 3 + 2} { // all by the plan, the canary where its AMI is new, and the second wave, for which the plan is too old
		s.yard.calls["Preflight"] = 0
		if o, err := s.spawn(0, none).promoted(2, nil); err != nil || o.Result != promote.Promoted {
			t.Fatalf("%+v, %v", o, err)
		}
		if got := s.yard.calls["Preflight"]; got != want {
			t.Errorf("%d preflights, want %d", got, want)
		}
		s.promoted(t, 1)
	}
}

// askedTwice is a catalog that calls before when it is asked for the second time what is under way.
type askedTwice struct {
	catalog.Catalog

	asked  int
	before func()
}

func (c *askedTwice) Get(ctx context.Context, key string) ([]byte, error) {
	if key == activeKey {
		if c.asked++; c.asked == 2 {
			c.before()
		}
	}
	return c.Catalog.Get(ctx, key)
}

// A promotion that begins when a plan has begun, and ends before the plan does, moved the channel, and leaves no refusal of its refreshes behind.
func TestPlanAroundAPromotion(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	moving, goOn, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	s.onceSo(s.replaced("canary", "2"), func() {
		close(moving)
		<-goOn
	})
	begin := func() {
		go func() {
			_, err := s.spawn(0, none).promoted(2, nil)
			done <- err
		}()
		<-moving
	}
	var first sync.Once
	p := promote.New(promote.Config{
		Catalog: &askedTwice{Catalog: s.catalog, before: func() {
			close(goOn)
			if err := <-done; err != nil {
				t.Error(err)
			}
		}},
		Clock: s.yard, Driver: "me", Publisher: s.yard, Rules: func(string, promote.Channel) (promote.Rule, error) { return s.rule, nil },
		Fleet: func(_ context.Context, m promote.Member) (promote.Fleet, error) {
			first.Do(begin)
			return fleet{s.yard, s.yard.groups[m.Name]}, nil
		},
	})
	late, err := p.Plan(t.Context(), promote.Request{Image: web(3), Channel: production, By: "bob"})
	if !errors.Is(err, catalog.ErrMoved) || !strings.Contains(err.Error(), "web@production#2") || len(late.Refusals) > 0 {
		t.Errorf("%q, %v", late.Refusals, err)
	}
}
