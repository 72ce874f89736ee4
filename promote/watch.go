package promote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/iibake/iibake/bake"
)

// Watch reports how the promotion under way in ch goes until it has ended, and changes nothing. It returns how it ended, with the error that
// [Promoter.Run] has for that. The error wraps [bake.ErrNotFound] where none is under way.
func (p *Promoter) Watch(ctx context.Context, name string, ch Channel) (Outcome, error) {
	pro, a, err := p.underWay(ctx, name, ch)
	if err != nil {
		return Outcome{}, err
	}
	d, err := p.newDrive(ctx, pro, a, nil)
	if err != nil {
		return Outcome{}, err
	}
	w := watcher{d, map[string]string{}}
	for {
		end, err := w.turn(ctx)
		if err != nil {
			return end, err
		}
		if end.Result != "" {
			return end, w.verdict(end)
		}
		if err := p.c.Clock.Sleep(ctx, p.c.Poll); err != nil {
			return Outcome{}, err
		}
	}
}

// watcher looks at a promotion that another process drives.
type watcher struct {
	*drive

	last map[string]string // key of the newest record that was read, by fleet
}

// turn looks at everything once. It returns the outcome when there is one.
func (w *watcher) turn(ctx context.Context) (Outcome, error) {
	a, err := w.watch.actives.Get(ctx, w.p.To.Name, w.p.Channel)
	gone := errors.Is(err, bake.ErrNotFound) || err == nil && a.Number != w.p.Number
	if err != nil && !gone {
		return Outcome{}, w.bear(looking, err)
	}
	if err := w.read(ctx); err != nil {
		return Outcome{}, w.bear(looking, err)
	}
	end, err := w.channels.Outcome(ctx, w.p)
	if err != nil && !errors.Is(err, bake.ErrNotFound) {
		return Outcome{}, w.bear(looking, err)
	}
	w.fine(looking)
	if err == nil {
		w.view.Step, w.view.Outcome = Ended, &end
		w.tell()
		if w.failure = nil; end.Reason != "" { // what is on record is why, whatever was to be seen on the way
			w.failure = errors.New(end.Reason)
		}
		return end, nil
	}
	if gone {
		return Outcome{}, fmt.Errorf("%s is not under way any more, and nobody said how it ended: %w", w.p.ID(), bake.ErrNotFound)
	}
	w.active = a
	w.guess()
	err = w.observe(ctx)
	w.tell()
	return Outcome{}, err
}

// read takes in what the driver put on record since the last time.
func (w *watcher) read(ctx context.Context) error {
	prefix := rolloutPrefix(w.p, "")
	keys, err := w.journal.c.List(ctx, prefix)
	if err != nil {
		return err
	}
	newest := map[string]string{}
	for _, key := range keys {
		fleet, _, _ := strings.Cut(strings.TrimPrefix(key, prefix), "/")
		newest[fleet] = key
	}
	for _, l := range w.legs {
		key := newest[l.r.Fleet.Name]
		if key == "" || key == w.last[l.r.Fleet.Name] {
			continue
		}
		if l.r, err = recordGet[Rollout](ctx, w.journal.c, key); err != nil {
			return err
		}
		w.last[l.r.Fleet.Name] = key
		l.began = l.r.At
	}
	return nil
}

// observe looks at the refreshes that are under way. What cannot be seen is told as the reason of that fleet.
func (w *watcher) observe(ctx context.Context) error {
	var all errgroup.Group
	all.SetLimit(w.c.Workers)
	for _, l := range w.legs {
		if l.r.Refresh == "" || !slices.Contains([]Phase{Refreshing, Stopping, Reverting, Returning}, l.r.Phase) {
			continue
		}
		all.Go(func() error {
			l.err = l.observe(ctx)
			return ctx.Err()
		})
	}
	return all.Wait()
}

// guess tells from what is on record what the driver is at.
func (w *watcher) guess() {
	w.failure = nil
	w.blame()
	w.view.Reason, w.view.Until = "", time.Time{}
	switch {
	case w.active.Final:
		w.view.Step = Finishing
	case w.failure != nil:
		w.retreat()
	case w.active.Wish == Pause:
		w.view.Step, w.view.Reason = Paused, "by "+w.active.By+joined(": ", w.active.Reason)
	case w.untouched() && w.needsImage():
		w.view.Step = Publishing
	default:
		w.guessWave()
	}
}

func (w *watcher) guessWave() {
	for i := range w.p.Waves {
		legs := w.wave(i)
		w.view.Wave, w.view.Step = i, Moving
		if !arrived(legs) {
			if !slices.ContainsFunc(legs, w.moving) {
				w.guessFreeze()
			}
			return
		}
		if until := w.soaksUntil(i, legs); w.c.Clock.Now().Before(until) {
			w.view.Step, w.view.Until = Watching, until
			return
		}
	}
	w.view.Step = Finishing
	w.guessFreeze()
}

// guessFreeze takes a promotion of which nothing moves for one that waits, where a freeze holds.
func (w *watcher) guessFreeze() {
	if w.rule.Back || w.untouched() {
		return
	}
	if g, err := freezeGate(w.rule, w.c.Clock.Now()); err == nil && !g.Open {
		w.freeze(g)
	}
}
