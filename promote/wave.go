package promote

import (
	"context"
	"errors"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
)

// advance finds the wave that is to move or to soak, and orders its legs on. When all have arrived and soaked, the step is Finishing.
func (d *drive) advance(ctx context.Context) error {
	if err := d.publish(ctx); err != nil || d.failure != nil {
		return err
	}
	now := d.c.Clock.Now()
	for i := range d.p.Waves {
		legs := d.wave(i)
		d.view.Wave = i
		if !arrived(legs) {
			return d.move(ctx, i, legs)
		}
		if until := d.soaksUntil(i, legs); now.Before(until) {
			d.view.Step, d.view.Until, d.gated = Watching, until, 0
			d.order(legs, hold)
			return nil
		}
		d.order(legs, goOn)
	}
	if open, err := d.ask(ctx); err != nil || !open {
		return err
	}
	d.view.Step = Finishing
	return nil
}

// wave returns the legs of one wave.
func (d *drive) wave(i int) []*leg {
	from := 0
	for _, members := range d.p.Waves[:i] {
		from += len(members)
	}
	return d.legs[from : from+len(d.p.Waves[i])]
}

func arrived(legs []*leg) bool {
	for _, l := range legs {
		if l.busy || l.r.Phase != l.goal() {
			return false
		}
	}
	return true
}

// soaksUntil returns when the soak of a wave that has arrived is over. A clock that was wrong when the wave arrived does not make it
// longer than it shall be, nor does one that is set back while it soaks.
func (d *drive) soaksUntil(i int, legs []*leg) time.Time {
	var last time.Time
	for _, l := range legs {
		if l.r.At.After(last) {
			last = l.r.At
		}
	}
	now := d.c.Clock.Now()
	if d.arrivals[i].IsZero() || d.arrivals[i].After(now) {
		d.arrivals[i] = now
	}
	if last.After(d.arrivals[i]) {
		last = d.arrivals[i]
	}
	return last.Add(time.Duration(d.p.Soak))
}

// move orders a wave on: first all of its fleets make what instances are launched from, so that a fleet that cannot stops the wave before
// an instance is touched.
func (d *drive) move(ctx context.Context, i int, legs []*leg) error {
	if d.gated != i+1 {
		if open, err := d.ask(ctx); err != nil || !open {
			return err
		}
		d.gated = i + 1
	}
	d.view.Step = Moving
	want := goOn
	for _, l := range legs {
		if l.busy || !l.home && (l.r.Phase == Planned || l.r.Phase == Staging) {
			want = stage
		}
	}
	for _, l := range legs {
		if l.home {
			d.order([]*leg{l}, goOn)
			continue
		}
		d.order([]*leg{l}, want)
	}
	return nil
}

// ask holds the promotion against the gates and against what the channel holds, and reports whether it may go on. What is shut is a failure, but
// for a freeze that began on the way: it keeps everything where it is, as going back would not, and the promotion waits for its end. The error is
// for what kept it from looking.
func (d *drive) ask(ctx context.Context) (open bool, err error) {
	err = d.channels.Holds(ctx, d.p)
	if err == nil && d.p.To.Version != "" { // what iibake did not make has no verdict: it is what the fleets ran before
		var gates []Gate
		if gates, err = d.gates.Check(ctx, d.img, d.rule, d.c.Clock.Now()); err == nil {
			if g, alone := onlyFrozen(gates); alone && !d.untouched() {
				d.freeze(g)
				return false, nil
			}
			err = Refused(gates)
		}
	}
	if errors.Is(err, catalog.ErrMoved) || errors.Is(err, bake.ErrRefused) {
		d.refuse(err)
		return false, nil
	}
	return err == nil, err
}

// freeze has every leg that has not arrived begin nothing until a gate opens by itself.
func (d *drive) freeze(g Gate) {
	d.view.Step, d.view.Reason, d.view.Until = Frozen, g.Detail, g.Opens
	for i := range d.p.Waves {
		if legs := d.wave(i); !arrived(legs) {
			d.order(legs, hold)
		}
	}
}
