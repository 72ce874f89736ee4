package promote

import (
	"context"
	"errors"
	"fmt"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
)

// finish moves the channel, when every fleet has arrived and the gates were found open, and then what follows it. From the moment on at which
// the head says Final, whoever takes over goes on from here, so that no process brings fleets back while another one moves the channel.
func (d *drive) finish(ctx context.Context) (Outcome, error) {
	d.view.Step = Finishing
	d.tell()
	if !d.active.Final {
		a, err := d.watch.settle(ctx, true)
		if err != nil || !a.Final {
			return Outcome{}, d.bear(settling, err) // a wish came in between
		}
		d.fine(settling)
		d.active = a
	}
	if !d.p.Only {
		err := d.setChannel(ctx)
		if errors.Is(err, catalog.ErrMoved) {
			return Outcome{}, d.beaten(ctx, err)
		}
		if err != nil {
			return Outcome{}, d.bear(moving, err)
		}
		d.fine(moving)
	}
	o := Outcome{Result: Promoted}
	if err := d.setAlias(ctx); err != nil {
		if ctx.Err() != nil {
			return Outcome{}, err
		}
		d.failure = fmt.Errorf("the channel moved, but what follows it did not everywhere: %w", err)
		o.Reason = d.failure.Error()
	}
	return d.end(ctx, o)
}

// setChannel moves the head of the channel. To find it moved already is no error.
func (d *drive) setChannel(ctx context.Context) error {
	if d.p.To.Version != "" {
		return d.channels.Set(ctx, d.p)
	}
	held, err := d.channels.Get(ctx, d.p.To.Name, d.p.Channel)
	switch {
	case errors.Is(err, bake.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	if d.p.From == nil || held != *d.p.From {
		return d.channels.Holds(ctx, d.p)
	}
	return d.c.Catalog.Swap(ctx, bake.ChannelHead(held.Name, string(d.p.Channel)), []byte(held.Version), nil)
}

// beaten is for a channel that somebody else moved in the meantime, without fleets: this promotion has lost, and goes back.
func (d *drive) beaten(ctx context.Context, cause error) error {
	a, err := d.watch.settle(ctx, false)
	if err != nil {
		return d.bear(settling, err)
	}
	d.fine(settling)
	d.active, d.failure = a, cause
	return nil
}

// failed says how a promotion ended that did not move its channel.
func (d *drive) failed() Outcome {
	o := Outcome{Result: Stopped, Reason: oneLine(d.failure.Error())}
	var returned, stayed bool
	for _, l := range d.legs {
		switch l.r.Phase {
		case RolledBack:
			returned = returned || l.r.Back || l.r.Refresh != ""
		case Done, Failed:
			stayed = true
		case Planned, Staging, Staged, Starting, Refreshing, Stopping, Reverting, Returning:
		}
	}
	if returned && !stayed && !d.p.Back {
		o.Result = Reverted
	}
	return o
}

// end puts the outcome on record and lets go of the channel.
func (d *drive) end(ctx context.Context, o Outcome) (Outcome, error) {
	o.At = d.c.Clock.Now().UTC()
	if err := d.watch.fresh(ctx); err != nil {
		return Outcome{}, d.bear(ending, err)
	}
	err := d.channels.End(ctx, d.p, o)
	if errors.Is(err, catalog.ErrExists) { // a process that drove it before came to another end
		o, err = d.channels.Outcome(ctx, d.p)
	}
	if err == nil {
		d.ended = true
		err = d.watch.actives.Release(ctx, d.p, d.c.Driver)
	}
	if err != nil {
		return Outcome{}, d.bear(ending, err)
	}
	d.view.Step, d.view.Outcome = Ended, &o
	d.tell()
	return o, nil
}

// verdict is the error of a promotion that ended with o.
func (d *drive) verdict(o Outcome) error {
	switch {
	case o.Result == Promoted && d.failure == nil:
		return nil
	case d.failure == nil:
		d.failure = errors.New(o.Reason)
	}
	if o.Result == Reverted {
		return fmt.Errorf("%s: %w: %w", d.p.ID(), ErrRolledBack, d.failure)
	}
	return fmt.Errorf("%s: %s: %w", d.p.ID(), o.Result, d.failure)
}

// settle says on the head that there is no way back any more, or that there is one again. Where somebody wishes otherwise it changes nothing.
func (l *lookout) settle(ctx context.Context, final bool) (Active, error) {
	return l.actives.change(ctx, l.p.To.Name, l.p.Channel, func(a *Active) (*Active, error) {
		if err := l.actives.driven(ctx, l.p, a, l.driver); err != nil {
			return nil, err
		}
		next := *a
		next.Final = final && a.Wish == Proceed
		return &next, nil
	})
}
