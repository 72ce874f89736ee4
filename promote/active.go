package promote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
)

// Actives is the view of a catalog that knows which promotion is under way in each channel, and which process drives it. All of its
// changes are made by compare-and-set: of several processes that want the same, one gets it.
type Actives struct {
	c        catalog.Catalog
	channels Channels
}

// NewActives returns the promotions under way in c.
func NewActives(c catalog.Catalog) Actives { return Actives{c, NewChannels(c)} }

// BusyError says that somebody else drives the promotion of an image in a channel. It wraps [catalog.ErrMoved].
type BusyError struct {
	Promotion Promotion // that is under way
	Active    Active
}

// Error says who drives what, and since when nothing was heard of them.
func (e *BusyError) Error() string {
	p := e.Promotion
	return fmt.Sprintf("%s: %s %s, driven by %s, last seen at %s", p.ID(), p.By, p.doing(), e.Active.Driver, e.Active.Seen.UTC().Format(time.DateTime+" UTC"))
}

// Unwrap returns [catalog.ErrMoved].
func (e *BusyError) Unwrap() error { return catalog.ErrMoved }

// seenEvery is how old the sign of life of a driver becomes: a head is a write of several syncs, or a request to S3.
const seenEvery = time.Minute

func activeHead(name string, ch Channel) string { return activePrefix + name + "/" + string(ch) }

// Get returns the promotion under way in a channel, or an error wrapping [bake.ErrNotFound].
func (v Actives) Get(ctx context.Context, name string, ch Channel) (Active, error) {
	_, a, err := v.read(ctx, name, ch)
	if err == nil && a == nil {
		err = fmt.Errorf("a promotion under way in %s@%s: %w", name, ch, bake.ErrNotFound)
	}
	if err != nil {
		return Active{}, err
	}
	return *a, nil
}

// List returns all promotions that are under way, sorted by the name of their image and channel.
func (v Actives) List(ctx context.Context) ([]Promotion, error) {
	heads, err := v.c.List(ctx, activePrefix)
	if err != nil {
		return nil, fmt.Errorf("promotions under way: %w", err)
	}
	var list []Promotion
	for _, head := range heads {
		name, channel, _ := strings.Cut(strings.TrimPrefix(head, activePrefix), "/")
		a, err := v.Get(ctx, name, Channel(channel))
		if errors.Is(err, bake.ErrNotFound) {
			continue // ended since it was listed
		}
		if err != nil {
			return nil, err
		}
		p, err := v.channels.Promotion(ctx, name, Channel(channel), a.Number)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// Begin puts p on record and makes it the one under way in its channel, driven by driver from now, where the channel holds p.From. It
// returns p with its number and proof. Its error wraps [catalog.ErrMoved] where somebody was faster, a [BusyError] where they are
// still at it; p then is on record as stopped.
func (v Actives) Begin(ctx context.Context, p Promotion, driver string, now time.Time) (Promotion, Active, error) {
	p, err := v.channels.Intend(ctx, p)
	if err != nil {
		return Promotion{}, Active{}, err
	}
	a, err := v.Take(ctx, p, driver, now)
	if err == nil {
		if err = v.channels.Holds(ctx, p); err == nil {
			return p, a, nil
		}
	}
	ctx = context.WithoutCancel(ctx)
	late := v.channels.End(ctx, p, Outcome{Result: Stopped, Reason: err.Error(), At: now.UTC()})
	if a.Number != 0 {
		late = errors.Join(late, v.Release(ctx, p, driver))
	}
	return Promotion{}, Active{}, errors.Join(err, late)
}

// Take makes p, which is on record, the one under way in its channel. To have done so before is no error. One whose end is on record
// does not stand in the way: its process died before it could let go.
func (v Actives) Take(ctx context.Context, p Promotion, driver string, now time.Time) (Active, error) {
	mine := Active{Number: p.Number, Driver: driver, Wish: Proceed, Seen: now.UTC()}
	return v.change(ctx, p.To.Name, p.Channel, func(a *Active) (*Active, error) {
		if a == nil || a.Number == p.Number && a.Driver == driver {
			return &mine, nil
		}
		return &mine, v.busyUnlessOver(ctx, p, *a)
	})
}

// Drive makes driver the one that carries on what seen drove when the caller looked. Whatever drove it before learns so at its next
// look. The error wraps [catalog.ErrMoved] where another process was faster, and [bake.ErrNotFound] where nothing is under way.
func (v Actives) Drive(ctx context.Context, p Promotion, seen Active, driver string, now time.Time) (Active, error) {
	return v.change(ctx, p.To.Name, p.Channel, func(a *Active) (*Active, error) {
		if err := v.driven(ctx, p, a, seen.Driver, driver); err != nil {
			return nil, err
		}
		next := *a
		next.Driver, next.Seen = driver, now.UTC()
		return &next, nil
	})
}

// Look returns what is under way for the process that drives p, with what people wish, and renews its sign of life. The error wraps
// [catalog.ErrMoved] where another process drives it now, and [bake.ErrNotFound] where nothing is under way any more.
func (v Actives) Look(ctx context.Context, p Promotion, driver string, now time.Time) (Active, error) {
	return v.change(ctx, p.To.Name, p.Channel, func(a *Active) (*Active, error) {
		if err := v.driven(ctx, p, a, driver); err != nil {
			return nil, err
		}
		next := *a
		if now.Sub(a.Seen).Abs() >= seenEvery {
			next.Seen = now.UTC()
		}
		return &next, nil
	})
}

// Wish tells the driver of what is under way in a channel what people want of it, and why. An abort is final: another wish is refused
// with an error wrapping [bake.ErrRefused]. The error wraps [bake.ErrNotFound] where nothing is under way, and [ErrTooLate] where every
// fleet has arrived.
func (v Actives) Wish(ctx context.Context, name string, ch Channel, wish Wish, by, reason string) (Active, error) {
	return v.wish(ctx, name, ch, Active{Wish: wish, By: by, Reason: reason})
}

// wish is Wish for the promotion of w.Number, where that is not 0: the error wraps [catalog.ErrMoved] where another one is under way.
func (v Actives) wish(ctx context.Context, name string, ch Channel, w Active) (Active, error) {
	return v.change(ctx, name, ch, func(a *Active) (*Active, error) {
		switch {
		case a == nil:
			return nil, fmt.Errorf("a promotion under way in %s@%s: %w", name, ch, bake.ErrNotFound)
		case w.Number != 0 && w.Number != a.Number:
			return nil, fmt.Errorf("%s@%s#%d has ended, and #%d has begun: %w", name, ch, w.Number, a.Number, catalog.ErrMoved)
		case a.Final && w.Wish != Proceed:
			return nil, fmt.Errorf("%s@%s#%d: every fleet has arrived, and it %w any more", name, ch, a.Number, ErrTooLate)
		case a.Wish == Abort && w.Wish != Abort:
			return nil, fmt.Errorf("%s@%s#%d: %w: it was aborted by %s and goes back", name, ch, a.Number, bake.ErrRefused, a.By)
		case a.Wish == w.Wish:
			return a, nil // who wished it first is the one to ask
		}
		next := *a
		next.Wish, next.By, next.Reason = w.Wish, w.By, w.Reason
		return &next, nil
	})
}

// Release ends what driver drives: the channel is free for the next promotion. To have done so before is no error. The error wraps
// [catalog.ErrMoved] where another process drives p now.
func (v Actives) Release(ctx context.Context, p Promotion, driver string) error {
	_, err := v.change(ctx, p.To.Name, p.Channel, func(a *Active) (*Active, error) {
		if a == nil || a.Number != p.Number {
			return a, nil
		}
		return nil, v.driven(ctx, p, a, driver)
	})
	return err
}

// driven returns an error unless p is under way and driven by one of drivers.
func (v Actives) driven(ctx context.Context, p Promotion, a *Active, drivers ...string) error {
	if a == nil {
		return fmt.Errorf("%s is not under way any more: %w", p.ID(), bake.ErrNotFound)
	}
	for _, d := range drivers {
		if a.Number == p.Number && a.Driver == d {
			return nil
		}
	}
	return v.busy(ctx, p, *a)
}

func (v Actives) busyUnlessOver(ctx context.Context, p Promotion, a Active) error {
	other := p
	other.Number = a.Number
	_, err := v.channels.Outcome(ctx, other)
	if errors.Is(err, bake.ErrNotFound) {
		return v.busy(ctx, p, a)
	}
	return err
}

func (v Actives) busy(ctx context.Context, p Promotion, a Active) error {
	other, err := v.channels.Promotion(ctx, p.To.Name, p.Channel, a.Number)
	if err != nil {
		return err
	}
	return &BusyError{other, a}
}

// change moves the head of a channel to what next makes of it, until nobody comes in between. Nil is no promotion.
func (v Actives) change(ctx context.Context, name string, ch Channel, next func(*Active) (*Active, error)) (Active, error) {
	for {
		old, a, err := v.read(ctx, name, ch)
		if err != nil {
			return Active{}, err
		}
		to, err := next(a)
		if err != nil {
			return Active{}, err
		}
		value, err := encodeActive(to)
		if err != nil {
			return Active{}, err
		}
		if string(value) != string(old) {
			err = v.c.Swap(ctx, activeHead(name, ch), old, value)
		}
		switch {
		case errors.Is(err, catalog.ErrMoved):
		case err != nil:
			return Active{}, fmt.Errorf("promotion under way in %s@%s: %w", name, ch, err)
		case to == nil:
			return Active{}, nil
		default:
			return *to, nil
		}
	}
}

func encodeActive(a *Active) ([]byte, error) {
	if a == nil {
		return nil, nil
	}
	return json.Marshal(a)
}

// read returns the head of a channel, which is nil where nothing is under way.
func (v Actives) read(ctx context.Context, name string, ch Channel) ([]byte, *Active, error) {
	raw, err := v.c.Get(ctx, activeHead(name, ch))
	if errors.Is(err, catalog.ErrNotFound) {
		return nil, nil, nil
	}
	var a Active
	if err == nil {
		err = json.Unmarshal(raw, &a)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("promotion under way in %s@%s: %w", name, ch, err)
	}
	return raw, &a, nil
}
