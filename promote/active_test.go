package promote_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/promote"
)

const production promote.Channel = "production"

// plan is a promotion of a version to production, which holds nothing yet.
func plan(version int, by string) promote.Promotion {
	return promote.Promotion{Channel: production, To: web(version), By: by, At: at, Proof: at}
}

// Of several who begin at once, one gets the channel; the others are told who it is, and are on record as stopped.
func TestBeginOfMany(t *testing.T) {
	t.Parallel()
	const movers = 12
	w := newWorld(t)
	actives := promote.NewActives(w.catalog)
	errs, won := make([]error, movers), make([]promote.Promotion, movers)
	var all sync.WaitGroup
	for i := range movers {
		all.Go(func() {
			won[i], _, errs[i] = actives.Begin(context.Background(), plan(i, "ada"), "driver "+strconv.Itoa(i), at)
		})
	}
	all.Wait()
	active, err := actives.Get(t.Context(), "web", production)
	if err != nil {
		t.Fatal(err)
	}
	for i, err := range errs {
		driver := "driver " + strconv.Itoa(i)
		if (err == nil) != (driver == active.Driver) {
			t.Errorf("%s drives, and to %s it was said: %v", active.Driver, driver, err)
		}
		var busy *promote.BusyError
		if err != nil && (!errors.Is(err, catalog.ErrMoved) || !errors.As(err, &busy) || busy.Active.Driver != active.Driver || !strings.Contains(err.Error(), active.Driver)) {
			t.Errorf("mover %d does not know who was faster: %v", i, err)
		}
		if err == nil && won[i].Number != active.Number {
			t.Errorf("mover %d has number %d: want %d", i, won[i].Number, active.Number)
		}
	}
	history, err := w.channels.History(t.Context(), "web", production)
	if err != nil || len(history) != movers {
		t.Fatalf("%d of %d are on record: %v", len(history), movers, err)
	}
	for _, past := range history {
		if stopped := past.Outcome != nil && past.Outcome.Result == promote.Stopped; stopped == (past.Number == active.Number) {
			t.Errorf("%s ended with %+v, and %d is under way", past.ID(), past.Outcome, active.Number)
		}
	}
}

// Who planned with what the channel held before learns who moved it, although nobody is at it any more.
func TestBeginTooLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	actives := promote.NewActives(w.catalog)
	p, _, err := actives.Begin(t.Context(), plan(1, "ada"), "a", at)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.channels.Set(t.Context(), p), w.channels.End(t.Context(), p, promote.Outcome{Result: promote.Promoted, At: at}),
		actives.Release(t.Context(), p, "a")); err != nil {
		t.Fatal(err)
	}
	_, _, err = actives.Begin(t.Context(), plan(2, "bob"), "b", at)
	if want := "channel web@production holds web:1, moved by ada at 2026-11-22 03:00:00 UTC, by web@production#1"; !errors.Is(err, catalog.ErrMoved) || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v: want one with %s", err, want)
	}
	if _, err := actives.Get(t.Context(), "web", production); !errors.Is(err, bake.ErrNotFound) {
		t.Errorf("who was too late still holds the channel: %v", err)
	}
}

// begun returns a promotion under way.
func begun(t *testing.T, w world) (promote.Actives, promote.Promotion, promote.Active) {
	t.Helper()
	actives := promote.NewActives(w.catalog)
	p, a, err := actives.Begin(t.Context(), plan(1, "ada"), "a", at)
	if err != nil {
		t.Fatal(err)
	}
	return actives, p, a
}

// Of several who take over from a dead driver, one drives; the dead one learns so when it comes back to life.
func TestDriveOfMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	actives, p, seen := begun(t, w)
	errs := make([]error, 8)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { _, errs[i] = actives.Drive(context.Background(), p, seen, "driver "+strconv.Itoa(i), at) })
	}
	all.Wait()
	active, err := actives.Get(t.Context(), "web", production)
	if err != nil {
		t.Fatal(err)
	}
	for i, err := range errs {
		if drives := active.Driver == "driver "+strconv.Itoa(i); drives != (err == nil) || !drives && !errors.Is(err, catalog.ErrMoved) {
			t.Errorf("%s drives, and to driver %d it was said: %v", active.Driver, i, err)
		}
	}
	if _, err := actives.Look(t.Context(), p, "a", at); !errors.Is(err, catalog.ErrMoved) {
		t.Errorf("the driver before looks: %v", err)
	}
	if err := actives.Release(t.Context(), p, "a"); !errors.Is(err, catalog.ErrMoved) {
		t.Errorf("the driver before lets go: %v", err)
	}
}

func TestLookTellsWishesAndSignsOfLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	actives, p, _ := begun(t, w)
	for _, step := range []struct {
		after, seen time.Duration
	}{{10 * time.Second, 0}, {59 * time.Second, 0}, {time.Minute, time.Minute}, {90 * time.Second, time.Minute}, {-time.Hour, -time.Hour}} {
		a, err := actives.Look(t.Context(), p, "a", at.Add(step.after))
		if err != nil || !a.Seen.Equal(at.Add(step.seen)) || a.Wish != promote.Proceed {
			t.Errorf("after %s: %+v, %v: want it seen after %s", step.after, a, err, step.seen)
		}
	}
	if _, err := actives.Wish(t.Context(), "web", production, promote.Pause, "bob", "lunch"); err != nil {
		t.Fatal(err)
	}
	if a, err := actives.Look(t.Context(), p, "a", at); err != nil || a.Wish != promote.Pause || a.By != "bob" || a.Reason != "lunch" {
		t.Errorf("looks at %+v, %v", a, err)
	}
	if list, err := actives.List(t.Context()); err != nil || len(list) != 1 || list[0].ID() != p.ID() {
		t.Errorf("under way: %+v, %v", list, err)
	}
}

func TestAbortIsFinal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	actives, _, _ := begun(t, w)
	for _, step := range []struct {
		wish promote.Wish
		by   string
		want error
	}{
		{promote.Pause, "bob", nil},
		{promote.Proceed, "bob", nil},
		{promote.Abort, "bob", nil},
		{promote.Abort, "eve", nil},
		{promote.Proceed, "eve", bake.ErrRefused},
		{promote.Pause, "eve", bake.ErrRefused},
	} {
		if _, err := actives.Wish(t.Context(), "web", production, step.wish, step.by, ""); !errors.Is(err, step.want) {
			t.Errorf("%s by %s: %v", step.wish, step.by, err)
		}
	}
	if a, err := actives.Get(t.Context(), "web", production); err != nil || a.By != "bob" {
		t.Errorf("aborted by %q, %v: want bob, who was first", a.By, err)
	}
	if _, err := actives.Wish(t.Context(), "web", "staging", promote.Abort, "bob", ""); !errors.Is(err, bake.ErrNotFound) {
		t.Errorf("where nothing is under way: %v", err)
	}
}

// A process that died between saying how it ended and letting go keeps nobody out.
func TestTakeWhatIsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	actives, p, _ := begun(t, w)
	if err := w.channels.End(t.Context(), p, promote.Outcome{Result: promote.Reverted, At: at}); err != nil {
		t.Fatal(err)
	}
	next, a, err := actives.Begin(t.Context(), plan(2, "bob"), "b", at)
	if err != nil || next.Number != 2 || a.Driver != "b" {
		t.Fatalf("%+v, %+v, %v", next, a, err)
	}
	if err := actives.Release(t.Context(), p, "a"); err != nil {
		t.Errorf("the one before lets go at last: %v", err)
	}
	if _, err := actives.Look(t.Context(), next, "b", at); err != nil {
		t.Errorf("and took the channel from the next one: %v", err)
	}
}

// Only the driver itself may take what it has taken.
func TestTakeTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	actives, p, first := begun(t, w)
	if a, err := actives.Take(t.Context(), p, "a", at); err != nil || a != first {
		t.Errorf("the same driver: %+v, %v: want %+v", a, err, first)
	}
	if _, err := actives.Take(t.Context(), p, "b", at); !errors.Is(err, catalog.ErrMoved) {
		t.Errorf("another driver: %v", err)
	}
}

// TestActives drives the head of a channel as several processes and people may, and holds it against what it should be.
func TestActives(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		c := newMemory()
		m := &head{ctx: t.Context(), actives: promote.NewActives(c), channels: promote.NewChannels(c), ended: map[int]bool{}, now: at}
		rt.Repeat(map[string]func(*rapid.T){
			"begin": m.begin, "drive": m.drive, "look": m.look, "wish": m.wish, "end": m.end, "release": m.release, "": m.check,
		})
	})
}

// head is what the head of a channel should be: nil for nothing under way.
type head struct {
	ctx      context.Context //nolint:containedctx // a model of rapid has no other place for it
	actives  promote.Actives
	channels promote.Channels
	all      []promote.Promotion
	under    *promote.Active
	ended    map[int]bool
	now      time.Time
}

func (m *head) driver(t *rapid.T) string {
	return rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "driver")
}

func (m *head) some(t *rapid.T) promote.Promotion {
	if len(m.all) == 0 {
		t.Skip("nothing was ever begun")
	}
	return rapid.SampledFrom(m.all).Draw(t, "promotion")
}

func (m *head) want(t *rapid.T, what string, err, want error) {
	if !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Fatalf("%s: %v: want %v, with %+v under way", what, err, want, m.under)
	}
}

func (m *head) begin(t *rapid.T) {
	driver := m.driver(t)
	p, a, err := m.actives.Begin(m.ctx, plan(len(m.all), "ada"), driver, m.now)
	if m.under != nil && !m.ended[m.under.Number] {
		m.want(t, "begin", err, catalog.ErrMoved)
		m.all = append(m.all, plan(len(m.all), "ada"))
		m.all[len(m.all)-1].Number = len(m.all)
		m.ended[len(m.all)] = true
		return
	}
	m.want(t, "begin", err, nil)
	m.all, m.under = append(m.all, p), &a
	if p.Number != len(m.all) || a.Driver != driver {
		t.Fatalf("begun as %+v, %+v: want number %d", p, a, len(m.all))
	}
}

// held is what is said to a driver of p: nil where it drives.
func (m *head) held(p promote.Promotion, driver string) error {
	switch {
	case m.under == nil:
		return bake.ErrNotFound
	case m.under.Number != p.Number || m.under.Driver != driver:
		return catalog.ErrMoved
	}
	return nil
}

func (m *head) drive(t *rapid.T) {
	p, from, to := m.some(t), m.driver(t), m.driver(t)
	want := m.held(p, from)
	if m.held(p, to) == nil {
		want = nil // it has taken over already
	}
	a, err := m.actives.Drive(m.ctx, p, promote.Active{Number: p.Number, Driver: from}, to, m.now)
	m.want(t, fmt.Sprintf("%s takes %d over from %s", to, p.Number, from), err, want)
	if err == nil {
		m.under = &a
	}
}

func (m *head) look(t *rapid.T) {
	p, driver := m.some(t), m.driver(t)
	m.now = m.now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "seconds")) * time.Second)
	a, err := m.actives.Look(m.ctx, p, driver, m.now)
	m.want(t, fmt.Sprintf("%s looks at %d", driver, p.Number), err, m.held(p, driver))
	if err == nil {
		if m.now.Sub(a.Seen) >= time.Minute || a.Wish != m.under.Wish {
			t.Fatalf("looks at %s: %+v", m.now, a)
		}
		m.under = &a
	}
}

func (m *head) wish(t *rapid.T) {
	wish := rapid.SampledFrom([]promote.Wish{promote.Proceed, promote.Pause, promote.Abort}).Draw(t, "wish")
	var want error
	switch {
	case m.under == nil:
		want = bake.ErrNotFound
	case m.under.Wish == promote.Abort && wish != promote.Abort:
		want = bake.ErrRefused
	}
	a, err := m.actives.Wish(m.ctx, "web", production, wish, "bob", "why")
	m.want(t, string(wish), err, want)
	if err == nil {
		m.under = &a
	}
}

func (m *head) end(t *rapid.T) {
	p := m.some(t)
	if m.ended[p.Number] {
		t.Skip("it has ended")
	}
	m.want(t, "end", m.channels.End(m.ctx, p, promote.Outcome{Result: promote.Reverted, At: m.now}), nil)
	m.ended[p.Number] = true
}

func (m *head) release(t *rapid.T) {
	p, driver := m.some(t), m.driver(t)
	want := m.held(p, driver)
	if m.under == nil || m.under.Number != p.Number {
		want = nil
	}
	m.want(t, fmt.Sprintf("%s lets go of %d", driver, p.Number), m.actives.Release(m.ctx, p, driver), want)
	if want == nil && m.held(p, driver) == nil {
		m.under = nil
	}
}

func (m *head) check(t *rapid.T) {
	a, err := m.actives.Get(m.ctx, "web", production)
	if m.under == nil {
		m.want(t, "get", err, bake.ErrNotFound)
		return
	}
	if err != nil || a != *m.under {
		t.Fatalf("under way is %+v, %v: want %+v", a, err, *m.under)
	}
}

// A record of the journal that two processes write is written by one.
func TestJournalOfTwoDrivers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	journal := promote.NewRollouts(w.catalog)
	p := plan(1, "ada")
	p.Number = 7
	r := promote.Rollout{Promotion: p.ID(), Fleet: promote.Member{Name: "web-eu"}, To: p.To, Phase: promote.Staging, At: at}
	first, err := journal.Append(t.Context(), p, r)
	if err != nil || first.Step != 1 {
		t.Fatalf("%+v, %v", first, err)
	}
	if again, err := journal.Append(t.Context(), p, r); err != nil || again.Step != 1 {
		t.Errorf("the same once more: %+v, %v", again, err)
	}
	mine, others := first, first
	mine.Phase, others.Phase = promote.Staged, promote.Failed
	if mine, err = journal.Append(t.Context(), p, mine); err != nil || mine.Step != 2 {
		t.Fatalf("%+v, %v", mine, err)
	}
	if _, err := journal.Append(t.Context(), p, others); !errors.Is(err, catalog.ErrMoved) || !strings.Contains(err.Error(), "web@production#7/web-eu") {
		t.Errorf("another driver: %v", err)
	}
	list, err := journal.Of(t.Context(), p, "web-eu")
	if err != nil || len(list) != 2 || list[1].Phase != promote.Staged {
		t.Errorf("on record: %+v, %v", list, err)
	}
}

func TestLatestRollouts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	journal := promote.NewRollouts(w.catalog)
	p, other := plan(1, "ada"), plan(1, "ada")
	p.Number, other.Number = 1, 10 // whose keys begin alike but for the zeros
	for fleet, steps := range map[string]int{"web": 1, "web-eu": 12, "web-eu.2": 3} {
		for _, p := range []promote.Promotion{p, other} {
			r := promote.Rollout{Promotion: p.ID(), Fleet: promote.Member{Name: fleet}, At: at}
			for n := range steps * p.Number {
				r.Reason = strconv.Itoa(n + 1)
				var err error
				if r, err = journal.Append(t.Context(), p, r); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	latest, err := journal.Latest(t.Context(), p)
	if err != nil || len(latest) != 3 || latest["web"].Reason != "1" || latest["web-eu"].Reason != "12" || latest["web-eu.2"].Reason != "3" {
		t.Errorf("latest: %+v, %v", latest, err)
	}
	if latest, err := journal.Latest(t.Context(), plan(9, "ada")); err != nil || len(latest) != 0 {
		t.Errorf("of a promotion without rollouts: %+v, %v", latest, err)
	}
}
