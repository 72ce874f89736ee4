package promote

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
)

// lookout knows whether this process is still the one that drives a promotion. It is safe for concurrent use.
type lookout struct {
	actives Actives
	p       Promotion
	driver  string
	clock   Clock
	every   time.Duration // how old an answer may be that something is done upon

	mu   sync.Mutex
	at   time.Time
	lost error
}

// look asks the catalog, and renews the sign of life.
func (l *lookout) look(ctx context.Context) (Active, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ask(ctx)
}

func (l *lookout) ask(ctx context.Context) (Active, error) {
	if l.lost != nil {
		return Active{}, l.lost
	}
	now := l.clock.Now()
	a, err := l.actives.Look(ctx, l.p, l.driver, now)
	if errors.Is(err, catalog.ErrMoved) || errors.Is(err, bake.ErrNotFound) {
		l.lost = err
	}
	if err == nil {
		l.at = now
	}
	return a, err
}

// fresh returns an error unless this process drives the promotion, as it knows from not long ago: a machine that slept asks before it acts.
func (l *lookout) fresh(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost != nil {
		return l.lost
	}
	if age := l.clock.Now().Round(0).Sub(l.at.Round(0)); age >= 0 && age <= l.every { // of the wall: the other clock sleeps with the machine
		return nil
	}
	_, err := l.ask(ctx)
	return err
}
