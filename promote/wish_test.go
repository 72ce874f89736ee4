package promote_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/promote"
)

// onceSo calls f as soon as time has passed and cond holds; it is called once.
func (s *stage) onceSo(cond func() bool, f func()) {
	var once sync.Once
	s.yard.onTick = func() {
		if cond() {
			once.Do(f)
		}
	}
}

// replaced reports whether an instance of a fleet has a version.
func (s *stage) replaced(fleet, version string) func() bool {
	return func() bool { return slices.Contains(s.yard.running(fleet), version) }
}

// interruptedWhen is interrupted as soon as time has passed and cond holds.
func (s *stage) interruptedWhen(t *testing.T, cond func() bool) *process {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s.onceSo(cond, cancel)
	return s.interrupted(ctx, t)
}

// interrupted has a process promote version 2 until ctx ends, which is told as no result, and returns the process.
func (s *stage) interrupted(ctx context.Context, t *testing.T) *process {
	t.Helper()
	p := s.spawn(0, none)
	plan, err := p.promoter().Plan(ctx, promote.Request{Image: web(2), Channel: production})
	if err != nil {
		t.Fatal(err)
	}
	if o, err := p.promoter().Run(ctx, plan); !errors.Is(err, context.Canceled) || o.Result != "" {
		t.Fatalf("%+v, %v", o, err)
	}
	return p
}

func (s *stage) wish(t *testing.T, w promote.Wish, reason string) {
	t.Helper()
	if _, err := s.spawn(0, none).promoter().Wish(context.Background(), "web", production, w, "bob", reason); err != nil {
		t.Errorf("%s: %v", w, err)
	}
}

func TestAbort(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]string{"in the first wave": "canary", "in the second wave": "east"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.settled(t)
			s.onceSo(s.replaced(at, "2"), func() { s.wish(t, promote.Abort, "lunch") })
			o, err := s.spawn(0, none).promoted(2, func(r *promote.Request) { r.Keep = true }) // an abort goes back all the same
			if o.Result != promote.Reverted || !errors.Is(err, promote.ErrRolledBack) || !strings.Contains(err.Error(), "aborted by bob: lunch") {
				t.Errorf("%+v, %v", o, err)
			}
			s.wantFleets(t, "1")
			s.wantHeld(t, "1")
			s.wantOver(t)
		})
	}
}

// A pause lets go on to its end what is being replaced, and starts nothing more.
func TestPause(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	var paused time.Time
	s.yard.onTick = func() {
		switch {
		case paused.IsZero() && s.replaced("canary", "2")():
			paused = s.yard.Now()
			s.wish(t, promote.Pause, "lunch")
		case !paused.IsZero() && s.yard.Now().Sub(paused) > time.Hour:
			s.yard.onTick = func() {}
			if got := s.yard.running("canary"); len(got) != 1 || got[0] != "2" {
				t.Errorf("the canary has %v", got)
			}
			if starts := s.yard.newStarts(); len(starts) != 1 {
				t.Errorf("started while it was paused: %v", starts)
			}
			s.wish(t, promote.Proceed, "")
		}
	}
	o, err := s.spawn(0, none).promoted(2, nil)
	if err != nil || o.Result != promote.Promoted {
		t.Errorf("%+v, %v", o, err)
	}
	s.wantFleets(t, "2")
	s.wantOver(t)
	if took := s.yard.Now().Sub(paused); took < time.Hour {
		t.Errorf("it took %s", took)
	}
}

// What was found before a wait does not count after it.
func TestGatesAreAskedAgain(t *testing.T) {
	t.Parallel()
	for name, shut := range map[string]func(*testing.T, *stage){
		"the image is revoked": func(t *testing.T, s *stage) {
			t.Helper()
			r := promote.Revocation{Image: web(2), By: "eve", Reason: "CVE", At: s.yard.Now()}
			if err := promote.NewRevocations(s.catalog).Record(context.Background(), r); err != nil {
				t.Error(err)
			}
		},
		"the channel is moved": func(t *testing.T, s *stage) {
			t.Helper()
			if err := s.catalog.Swap(context.Background(), bake.ChannelHead("web", string(production)), []byte("1"), []byte("3")); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.settled(t)
			s.onceSo(s.replaced("canary", "2"), func() { shut(t, s) })
			o, err := s.spawn(0, none).promoted(2, nil)
			if o.Result != promote.Reverted || !errors.Is(err, promote.ErrRolledBack) || errors.Is(err, bake.ErrRefused) == errors.Is(err, catalog.ErrMoved) {
				t.Errorf("%+v, %v", o, err)
			}
			s.wantFleets(t, "1")
			s.wantOver(t)
			if starts := s.yard.newStarts(); len(starts) != 1 {
				t.Errorf("started %v", starts)
			}
		})
	}
}

// Of two promoters one wins, and the other is told who.
func TestTwoPromoters(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	s.onceSo(s.replaced("canary", "2"), func() {
		var busy *promote.BusyError
		_, err := s.spawn(0, none).promoted(3, nil)
		if !errors.Is(err, catalog.ErrMoved) || !errors.As(err, &busy) || busy.Promotion.To != web(2) || busy.Active.Driver != "process 2" {
			t.Errorf("the second: %v", err)
		}
	})
	if o, err := s.spawn(0, none).promoted(2, nil); err != nil || o.Result != promote.Promoted {
		t.Errorf("%+v, %v", o, err)
	}
	s.wantFleets(t, "2")
	s.wantOver(t)
}

// Two that plan at the same time and say yes at the same time are told apart by the head.
func TestTwoPlans(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	outcomes, errs := make([]promote.Outcome, 2), make([]error, 2)
	promoters, plans := make([]*promote.Promoter, 2), make([]promote.Plan, 2)
	for i := range 2 {
		promoters[i] = s.spawn(0, none).promoter()
		var err error
		if plans[i], err = promoters[i].Plan(t.Context(), promote.Request{Image: web(2 + i), Channel: production, By: "ada"}); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for i, p := range promoters {
		wg.Go(func() { outcomes[i], errs[i] = p.Run(context.Background(), plans[i]) })
	}
	wg.Wait()
	if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), catalog.ErrMoved) {
		t.Errorf("%+v, %v", outcomes, errs)
	}
	want := "2"
	if errs[0] != nil {
		want = "3"
	}
	s.wantFleets(t, want)
	s.wantHeld(t, want)
	s.wantOver(t)
}

// Who plans while somebody else promotes is told who that is, and not that there are refreshes.
func TestPlanBesideAPromotion(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	first, second := s.spawn(0, none).promoter(), s.spawn(0, none).promoter()
	plan, err := first.Plan(t.Context(), promote.Request{Image: web(2), Channel: production, By: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := first.Run(context.Background(), plan)
		done <- err
	}()
	for {
		late, err := second.Plan(t.Context(), promote.Request{Image: web(3), Channel: production, By: "bob"})
		if err != nil && !errors.Is(err, catalog.ErrMoved) || len(late.Refusals) > 0 {
			t.Errorf("%q, %v", late.Refusals, err)
		}
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
	}
}

// Who was driven out of the seat stops, does nothing more, and says why.
func TestTakeover(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	var wg sync.WaitGroup
	var o promote.Outcome
	var err error
	s.onceSo(s.replaced("canary", "2"), func() {
		p := s.spawn(0, none)
		wg.Go(func() { o, err = p.resumed() })
		for driver := ""; driver != p.name; runtime.Gosched() {
			a, err := promote.NewActives(s.catalog).Get(context.Background(), "web", production)
			if err != nil {
				t.Error(err)
				return
			}
			driver = a.Driver
		}
	})
	_, first := s.spawn(0, none).promoted(2, nil)
	wg.Wait()
	if !errors.Is(first, catalog.ErrMoved) {
		t.Errorf("the first: %v", first)
	}
	if err != nil || o.Result != promote.Promoted {
		t.Errorf("the second: %+v, %v", o, err)
	}
	s.wantFleets(t, "2")
	s.wantHeld(t, "2")
	s.wantOver(t)
}

// A terminal that is closed leaves the promotion as it is, for whoever takes it up.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	s.interruptedWhen(t, s.replaced("east", "2"))
	if !s.underWay() {
		t.Error("it is not under way any more")
	}
	if o, err := s.spawn(0, none).resumed(); err != nil || o.Result != promote.Promoted {
		t.Errorf("resumed: %+v, %v", o, err)
	}
	s.wantFleets(t, "2")
	s.wantOver(t)
}

// Who takes over with a clock that is a day behind lets the wave soak as long as it shall, not a day longer.
func TestSoakByAnotherClock(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	s.interruptedWhen(t, arrivedCanary(s))
	s.yard.now = s.yard.now.Add(-24 * time.Hour)
	began := s.yard.now
	if o, err := s.spawn(0, none).resumed(); err != nil || o.Result != promote.Promoted {
		t.Errorf("resumed: %+v, %v", o, err)
	}
	if took := s.yard.Now().Sub(began); took < 2*2*time.Minute || took > 10*time.Minute {
		t.Errorf("it took %s", took)
	}
	s.wantFleets(t, "2")
	s.wantOver(t)
}

// Nothing is brought back any more when the channel is being moved, and nobody who asks for it is told otherwise.
func TestTooLateToAbort(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	p := s.spawn(0, none)
	tried := false
	s.aliasSet = func() {
		tried = true
		if _, err := s.spawn(0, none).promoter().Wish(context.Background(), "web", production, promote.Abort, "bob", ""); !errors.Is(err, promote.ErrTooLate) {
			t.Errorf("%v", err)
		}
		plan, err := s.spawn(0, none).promoter().PlanRollback(context.Background(), promote.RollbackRequest{Name: "web", Channel: production})
		if err != nil || len(plan.Refusals) != 1 {
			t.Errorf("%+v, %v", plan, err)
		}
	}
	if o, err := p.promoted(2, nil); err != nil || o.Result != promote.Promoted || !tried {
		t.Errorf("%+v, %v, %v", o, err, tried)
	}
	s.wantHeld(t, "2")
	s.wantOver(t)
}

// An alias that cannot be set does not hide that the channel moved, and is set by the next promotion of the same image.
func TestAliasFails(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	s.aliasErr = errors.New("the parameter is of another type")
	o, err := s.spawn(0, none).promoted(2, nil)
	if err == nil || o.Result != promote.Promoted || !strings.Contains(o.Reason, "of another type") {
		t.Errorf("%+v, %v", o, err)
	}
	s.wantHeld(t, "2")
	s.wantOver(t)
	s.aliasErr = nil
	if o, err := s.spawn(0, none).promoted(2, nil); err != nil || o.Result != promote.Promoted || s.yard.alias["eu"] != "ami-2" {
		t.Errorf("%+v, %v, the alias holds %s", o, err, s.yard.alias["eu"])
	}
	if history, err := s.channels.History(t.Context(), "web", production); err != nil || len(history) != 2 {
		t.Errorf("%d promotions, %v", len(history), err)
	}
}

// An account that is out of reach says nothing about the image: the promotion is left as it is, and goes on when the account is back.
func TestOutOfReach(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	s.onceSo(s.replaced("east", "2"), func() { s.away = "east" })
	o, err := s.spawn(0, none).promoted(2, nil)
	if o.Result != "" || err == nil || !strings.Contains(err.Error(), "east: observe: no route to host") {
		t.Errorf("%+v, %v", o, err)
	}
	if got := s.yard.running("west"); !slices.Equal(got, []string{"2"}) {
		t.Errorf("west has %v: it had to go on", got)
	}
	last := s.told[len(s.told)-1].Fleets[1]
	if !strings.Contains(last.Reason, "no route to host; it was tried for 5m") {
		t.Errorf("told %+v", last)
	}
	s.away = ""
	if o, err := s.spawn(0, none).resumed(); err != nil || o.Result != promote.Promoted {
		t.Errorf("resumed: %+v, %v", o, err)
	}
	s.wantFleets(t, "2")
	s.wantHeld(t, "2")
	s.wantOver(t)
}

// No fleet of a wave is touched before all of them have what their instances are to be launched from.
func TestWaveWaitsForAll(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	s.unstaged = "west"
	o, err := s.spawn(0, none).promoted(2, nil)
	if o.Result != "" || err == nil || !strings.Contains(err.Error(), "west: stage: out of launch template versions") {
		t.Errorf("%+v, %v", o, err)
	}
	if starts := s.yard.newStarts(); !slices.Equal(starts, []string{"canary>ami-2"}) {
		t.Errorf("started %v", starts)
	}
	s.aborted()
	if o, err := s.spawn(0, none).resumed(); o.Result != promote.Reverted || !errors.Is(err, promote.ErrRolledBack) {
		t.Errorf("aborted: %+v, %v", o, err)
	}
	s.wantFleets(t, "1")
	s.wantOver(t)
	s.wantJournal(t)
}

// On the way back one fleet that does not get there keeps no other one from it.
func TestRollbackGoesOn(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.promoted(t, 1, 2)
	s.yard.lame["canary"] = true
	o, err := s.spawn(0, none).rolledBack(nil)
	if o.Result != promote.Stopped || err == nil || !strings.Contains(o.Reason, "canary: ") {
		t.Errorf("%+v, %v", o, err)
	}
	for _, name := range []string{"east", "west"} {
		if got := s.yard.running(name); !slices.Equal(got, []string{"1"}) {
			t.Errorf("%s has %v", name, got)
		}
	}
	s.wantHeld(t, "2")
	s.wantOver(t)
	s.yard.lame["canary"] = false
	s.rolledBack(t, nil)
	s.wantFleets(t, "1")
	s.wantHeld(t, "1")
}
