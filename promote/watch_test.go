package promote_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/promote"
)

// Who watches sees the same as who drives, changes nothing, and learns how it ended.
func TestWatch(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	if _, err := s.spawn(0, none).promoter().Watch(t.Context(), "web", production); !errors.Is(err, bake.ErrNotFound) {
		t.Errorf("nothing is under way: %v", err)
	}
	if _, err := s.spawn(0, none).promoter().Glance(t.Context(), "web", production); !errors.Is(err, bake.ErrNotFound) {
		t.Errorf("nothing is under way: %v", err)
	}
	s.told = nil
	var wg sync.WaitGroup
	var seen promote.Outcome
	var err error
	s.onceSo(s.replaced("canary", "2"), func() {
		watcher := s.spawn(0, none)
		wg.Go(func() { seen, err = watcher.promoter().Watch(context.Background(), "web", production) })
	})
	if o, err := s.spawn(0, none).promoted(2, nil); err != nil || o.Result != promote.Promoted {
		t.Errorf("%+v, %v", o, err)
	}
	wg.Wait()
	if err != nil && !errors.Is(err, bake.ErrNotFound) || err == nil && seen.Result != promote.Promoted { // it may have come too late
		t.Errorf("watched: %+v, %v", seen, err)
	}
	s.wantFleets(t, "2")
	s.wantOver(t)
}

// Who looks on ends as who drives does.
func TestWatchEnds(t *testing.T) {
	t.Parallel()
	for want, bad := range map[promote.Result]bool{promote.Promoted: false, promote.Reverted: true} {
		t.Run(string(want), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.settled(t)
			s.yard.alarm["2"] = bad
			s.interruptedWhen(t, s.replaced("canary", "2"))
			var drives sync.WaitGroup
			s.onceSo(func() bool { return true }, func() { drives.Go(func() { _, _ = s.spawn(0, none).resumed() }) })
			o, err := s.spawn(0, none).promoter().Watch(t.Context(), "web", production)
			drives.Wait()
			if o.Result != want || bad != errors.Is(err, promote.ErrRolledBack) || !bad && err != nil || bad && !strings.Contains(err.Error(), "alarm") {
				t.Errorf("%+v, %v", o, err)
			}
		})
	}
}

// A watcher tells what stands on record at each moment of a promotion that nobody drives any more.
func TestWatchSteps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stop    func(*stage) func() bool // when the driver dies
		prepare func(*stage)
		want    promote.Step
		phase   promote.Phase // of the canary
	}{
		"moving":  {func(s *stage) func() bool { return s.replaced("canary", "2") }, func(*stage) {}, promote.Moving, promote.Refreshing},
		"soaking": {arrivedCanary, func(*stage) {}, promote.Watching, promote.Done},
		"back": {func(s *stage) func() bool {
			return func() bool { return s.yard.groups["canary"].refreshes[1].state == promote.GoingBack }
		}, func(s *stage) { s.yard.alarm["2"] = true }, promote.Backing, promote.Returning},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.settled(t)
			c.prepare(s)
			stop := c.stop(s)
			s.interruptedWhen(t, func() bool { return len(s.yard.groups["canary"].refreshes) > 1 && stop() })
			s.wantWatched(t, c.want, c.phase)
		})
	}
}

func arrivedCanary(s *stage) func() bool {
	return func() bool {
		latest, err := promote.NewRollouts(s.catalog).Latest(context.Background(), promote.Promotion{Channel: production, Number: 2, To: web(2)})
		return err == nil && latest["canary"].Phase == promote.Done
	}
}

// wantWatched watches until something is told, and checks that.
func (s *stage) wantWatched(t *testing.T, step promote.Step, phase promote.Phase) {
	t.Helper()
	s.yard.onTick = func() {}
	s.told = nil
	ctx, cancel := context.WithCancel(t.Context())
	s.yard.onTick = cancel
	if _, err := s.spawn(0, none).promoter().Watch(ctx, "web", production); !errors.Is(err, context.Canceled) {
		t.Errorf("watch: %v", err)
	}
	if len(s.told) == 0 || s.told[0].Step != step || s.told[0].Fleets[0].Phase != phase || len(s.told[0].Fleets) != 3 {
		t.Errorf("told %+v, want %s with the canary %s", s.told, step, phase)
	}
	s.told = nil
	seen, err := s.spawn(0, none).promoter().Glance(t.Context(), "web", production)
	if err != nil || seen.Step != step || seen.Fleets[0].Phase != phase || seen.Active.Driver == "" || len(s.told) != 0 {
		t.Errorf("one look: %+v, %v; told %+v", seen, err, s.told)
	}
}

// Each fleet has a line that says where it is, what it waits for and how long it will take.
func TestProgress(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	s.told = nil
	if o, err := s.spawn(0, none).promoted(2, nil); err != nil || o.Result != promote.Promoted {
		t.Fatalf("%+v, %v", o, err)
	}
	var phases []promote.Phase
	var percents []int
	for _, p := range s.told {
		f := p.Fleets[2]
		if f.Fleet != "west" || f.Wave != 1 {
			t.Fatalf("%+v", f)
		}
		phases, percents = append(phases, f.Phase), append(percents, f.Percent)
		if f.Phase == promote.Refreshing && (f.Desired != 4 || f.Old+f.New != 4 || f.Healthy != 4 || f.Since.IsZero() || f.Expected == 0) {
			t.Errorf("%+v", f)
		}
		if f.Phase == promote.Done && f.Ended.IsZero() {
			t.Errorf("%+v", f)
		}
	}
	if want := []promote.Phase{promote.Planned, promote.Staged, promote.Refreshing, promote.Done}; !slices.Equal(slices.Compact(phases), want) {
		t.Errorf("phases %v, want %v", slices.Compact(phases), want)
	}
	if got := slices.Compact(percents); !slices.IsSorted(got) || got[len(got)-1] != 100 {
		t.Errorf("percents %v", got)
	}
	if last := s.told[len(s.told)-1]; last.Step != promote.Ended || last.Outcome == nil || last.Outcome.Result != promote.Promoted {
		t.Errorf("the last: %+v", last)
	}
}
