package promote_test

import (
	"context"
	"errors"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/test"
)

// mortal is a catalog for a process that dies: after some changes, or just when one was made, nothing is answered any more.
type mortal struct {
	catalog.Catalog

	lives int  // changes that are made and answered
	made  bool // the change at which the process dies is made nevertheless
}

var errDied = errors.New("the process died")

func (m *mortal) change(do func() error) error {
	if m.lives--; m.lives >= 0 {
		return do()
	}
	if m.made {
		m.made = false
		return errors.Join(do(), errDied)
	}
	return errDied
}

func (m *mortal) Put(ctx context.Context, key string, body []byte) error {
	return m.change(func() error { return m.Catalog.Put(ctx, key, body) })
}

func (m *mortal) Swap(ctx context.Context, head string, old, next []byte) error {
	return m.change(func() error { return m.Catalog.Swap(ctx, head, old, next) })
}

// deaths calls live with a process that dies at every change that it makes, before and behind it, until it lives on.
func deaths(t *testing.T, live func(t *testing.T, m *memory, c catalog.Catalog) error) int {
	t.Helper()
	for n := 0; ; n++ {
		for _, made := range []bool{false, true} {
			m := newMemory()
			w := world{m, promote.NewChannels(m), test.NewVerdicts(m)}
			w.judge(t, 1, test.Pass)
			w.judge(t, 2, test.Pass)
			if err := live(t, m, &mortal{m, n, made}); err == nil {
				return n
			}
		}
	}
}

// Wherever the process of a move dies, the next one goes on from what the channel holds, and the history leads there.
func TestMoveOfAProcessThatDies(t *testing.T) {
	t.Parallel()
	n := deaths(t, func(t *testing.T, m *memory, c catalog.Catalog) error {
		t.Helper()
		_, died := promote.NewChannels(c).Move(t.Context(), move(nil, web(1)))
		channels := promote.NewChannels(m)
		p := move(nil, web(2))
		if held, err := channels.Get(t.Context(), "web", promote.Candidate); err == nil {
			p.From = &held
		}
		if _, err := channels.Move(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		history, err := channels.History(t.Context(), "web", promote.Candidate)
		if err != nil {
			t.Fatal(err)
		}
		last := history[len(history)-1]
		for _, past := range history[:len(history)-1] {
			if past.Moved() != (p.From != nil) {
				t.Errorf("the channel held %v, and of %s it is said: %+v", p.From, past.ID(), past.Outcome)
			}
		}
		if !last.Moved() || last.To != web(2) {
			t.Errorf("it ends with %+v", last)
		}
		return died
	})
	if n != 3 {
		t.Errorf("a move makes %d changes: want the intent, the channel and the outcome", n)
	}
}

// Wherever the process dies that begins a promotion, the channel is free, or somebody can take the promotion over.
func TestBeginOfAProcessThatDies(t *testing.T) {
	t.Parallel()
	n := deaths(t, func(t *testing.T, m *memory, c catalog.Catalog) error {
		t.Helper()
		_, _, died := promote.NewActives(c).Begin(t.Context(), plan(1, "ada"), "a", at)
		actives := promote.NewActives(m)
		active, err := actives.Get(t.Context(), "web", production)
		if errors.Is(err, bake.ErrNotFound) {
			if _, _, err := actives.Begin(t.Context(), plan(2, "bob"), "b", at); err != nil {
				t.Errorf("the channel is not free: %v", err)
			}
			return died
		}
		p, again := promote.NewChannels(m).Promotion(t.Context(), "web", production, active.Number)
		if err != nil || again != nil {
			t.Fatalf("under way is what nobody knows: %v, %v", err, again)
		}
		if _, _, err := actives.Begin(t.Context(), plan(2, "bob"), "b", at); !errors.Is(err, catalog.ErrMoved) {
			t.Errorf("another one begins: %v", err)
		}
		if _, err := actives.Drive(t.Context(), p, active, "b", at); err != nil {
			t.Errorf("nobody can take it over: %v", err)
		}
		return died
	})
	if n != 2 {
		t.Errorf("it takes %d changes to begin: want the intent and the head", n)
	}
}

// A refresh that nobody put on record, and that is waiting to begin when the promotion is aborted, is stopped before it replaces anything.
func TestAbortOfARefreshThatNobodyKnows(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	ctx, die := context.WithCancel(t.Context())
	p := s.spawn(0, none)
	started := false
	s.started = func() { // before its answer is on record
		started = true
		p.mu.Lock()
		p.dead = true
		p.mu.Unlock()
		die()
	}
	plan, err := p.promoter().Plan(ctx, promote.Request{Image: web(2), Channel: production})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.promoter().Run(ctx, plan); err == nil || !started {
		t.Fatalf("it lives on: %v", err)
	}
	s.started = nil
	s.wish(t, promote.Abort, "no")
	s.yard.onTick = func() {
		if s.replaced("canary", "2")() {
			t.Error("an instance has the image")
		}
	}
	if o, err := s.spawn(0, none).resumed(); o.Result != promote.Reverted {
		t.Errorf("%+v, %v", o, err)
	}
	s.wantFleets(t, "1")
	s.wantOver(t)
}
