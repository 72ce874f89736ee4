package promote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
)

// drive is one process carrying out one promotion. All that it decides follows from what is on record, from what people wish and from
// how the fleets are, so that a process that takes over decides the same.
type drive struct {
	*kit

	rule     Rule
	channels Channels
	gates    Gates
	legs     []*leg // wave by wave
	crew     *crew

	active    Active
	failure   error           // why the promotion does not go on; nil: it does
	published bool            // artifacts are known
	gated     int             // number of the wave for which the gates were found open since the last wait, from 1
	arrivals  []time.Time     // by wave: when this process saw that it had arrived
	ended     bool            // the outcome is on record
	trouble   map[task]*spell // of a catalog that does not answer, by what it is asked for
	view      Progress
}

// newDrive prepares to carry out p, of which latest is on record. Nothing is begun by it.
func (p *Promoter) newDrive(ctx context.Context, pro Promotion, a Active, latest map[string]Rollout) (*drive, error) {
	rule, err := p.c.Rules(pro.To.Name, pro.Channel)
	if err != nil {
		return nil, err
	}
	rule.Back, rule.Held = rule.Back || pro.Back, same(pro.From, &pro.To)
	k := &kit{c: p.c, p: pro, journal: NewRollouts(p.c.Catalog)}
	k.watch = &lookout{actives: NewActives(p.c.Catalog), p: pro, driver: p.c.Driver, clock: p.c.Clock, every: 2 * p.c.Poll}
	if pro.To.Version != "" {
		if k.img, err = bake.NewImages(p.c.Catalog).Get(ctx, pro.To); err != nil {
			return nil, err
		}
	}
	d := &drive{kit: k, rule: rule, channels: NewChannels(p.c.Catalog), gates: NewGates(p.c.Catalog), active: a, trouble: map[task]*spell{}}
	d.arrivals = make([]time.Time, len(pro.Waves))
	if d.legs, err = p.legs(ctx, k, latest); err != nil {
		return nil, err
	}
	d.crew = newCrew(min(p.c.Workers, max(len(d.legs), 1)), len(d.legs))
	d.view = Progress{Promotion: pro, Fleets: make([]FleetProgress, len(d.legs))}
	return d, nil
}

// legs returns the rollouts of a promotion, as they are on record or as they are planned.
func (p *Promoter) legs(ctx context.Context, k *kit, latest map[string]Rollout) ([]*leg, error) {
	var legs []*leg
	for wave, members := range k.p.Waves {
		for _, m := range members {
			l := &leg{kit: k, keep: k.p.Keep || k.p.Back}
			var known bool
			if l.r, known = latest[m.Name]; !known {
				l.r = Rollout{Promotion: k.p.ID(), Wave: wave, Fleet: m, To: k.p.To, Phase: Planned}
			}
			l.began, l.well = l.r.At, cmp.Or(l.r.Desired, unknown)
			legs = append(legs, l)
		}
	}
	if k.p.Back {
		if err := p.sendHome(ctx, k.p, legs); err != nil {
			return nil, err
		}
	}
	return legs, p.reach(ctx, legs)
}

// reach connects to the fleets. One that is out of reach fails, or does not, when something is asked of it: the others are not to wait for it.
func (p *Promoter) reach(ctx context.Context, legs []*leg) error {
	var all errgroup.Group
	all.SetLimit(p.c.Workers)
	for _, l := range legs {
		all.Go(func() error {
			f, err := p.c.Fleet(ctx, l.r.Fleet)
			if err != nil {
				f = distant{func(ctx context.Context) (Fleet, error) { return p.c.Fleet(ctx, l.r.Fleet) }}
			}
			l.fleet = f
			return ctx.Err()
		})
	}
	return all.Wait()
}

// run carries the promotion on to its end.
func (d *drive) run(ctx context.Context) (Outcome, error) {
	working, stop := context.WithCancel(ctx)
	defer d.crew.dismiss() // after stop: what is under way is cancelled, and waited for
	defer stop()
	d.crew.hire(working)
	for {
		end, err := d.turn(working)
		if err != nil {
			return d.leave(ctx, err)
		}
		if end.Result != "" {
			return end, d.verdict(end)
		}
		if err := d.c.Clock.Sleep(working, d.c.Poll); err != nil {
			return Outcome{}, fmt.Errorf("%s: %w", d.p.ID(), err)
		}
		d.crew.collect(0)
	}
}

// leave ends the work of this process, which does not end the promotion. Where that has ended, by this process or by the one that took it
// over, it returns how.
func (d *drive) leave(ctx context.Context, cause error) (Outcome, error) {
	err := fmt.Errorf("%s: %w", d.p.ID(), cause)
	if !errors.Is(cause, catalog.ErrMoved) && !errors.Is(cause, bake.ErrNotFound) {
		return Outcome{}, err
	}
	o, unknown := d.channels.Outcome(ctx, d.p)
	switch {
	case unknown != nil:
		return Outcome{}, d.taken(ctx, err)
	case d.ended: // only letting go of the channel seemed to fail
		return o, d.verdict(o)
	}
	return o, fmt.Errorf("%w: another process ended it: %s: %w", err, o.Result, catalog.ErrMoved)
}

// taken names who drives the promotion now, where that is why this process leaves: a record that stands where its own should have does not.
func (d *drive) taken(ctx context.Context, err error) error {
	a, unknown := d.watch.actives.Get(ctx, d.p.To.Name, d.p.Channel)
	if unknown != nil || d.watch.actives.driven(ctx, d.p, &a, d.c.Driver) == nil {
		return err
	}
	return d.watch.actives.busy(ctx, d.p, a)
}

// turn looks at everything once, and does what is to be done. It takes no longer than there is time between two turns: what a fleet that is
// slow to answer has to say is taken in later. It returns the outcome when there is one.
func (d *drive) turn(ctx context.Context) (Outcome, error) {
	a, err := d.watch.look(ctx)
	if err != nil {
		return Outcome{}, d.bear(looking, err)
	}
	d.fine(looking)
	d.active = a
	if a.Final {
		return d.finish(ctx)
	}
	for range 2 { // a failure that the first look finds is answered at once
		before := d.failure
		d.blame()
		if err := d.decide(ctx); err != nil {
			return Outcome{}, d.bear(deciding, err)
		}
		d.fine(deciding)
		if d.view.Step == Finishing {
			return d.finish(ctx)
		}
		d.crew.work(d.legs)
		d.crew.collect(d.c.Poll)
		if d.blame(); (before == nil) == (d.failure == nil) {
			break
		}
	}
	d.tell()
	end, err := d.over()
	if err != nil || end.Result == "" {
		return end, err
	}
	return d.end(ctx, end)
}

// decide gives every leg its order.
func (d *drive) decide(ctx context.Context) error {
	d.view.Until, d.view.Reason = time.Time{}, ""
	failed, paused := d.failure != nil, d.active.Wish == Pause
	switch {
	case failed:
		d.retreat()
	case paused:
		d.view.Step, d.view.Reason = Paused, "by "+d.active.By+joined(": ", d.active.Reason)
		d.order(d.legs, hold)
		d.gated = 0
	default:
		return d.advance(ctx)
	}
	return nil
}

// refuse ends the way forward.
func (d *drive) refuse(cause error) {
	d.failure = cause
	d.retreat()
}

// retreat orders back what moved, or stops it where it is.
func (d *drive) retreat() {
	d.view.Step, d.view.Reason = Backing, d.failure.Error()
	want := back
	if d.p.Back || d.p.Keep && d.active.Wish != Abort {
		d.view.Step, want = Halting, halt
	}
	d.order(d.legs, want)
}

// order gives legs an order. One that a worker has in hand gets it with the next turn.
func (d *drive) order(legs []*leg, want order) {
	why := ""
	if want == back || want == halt {
		why = d.cause()
	}
	for _, l := range legs {
		if !l.busy {
			l.want, l.why = want, why
		}
	}
}

// over returns the outcome of a promotion that failed, when no leg has a way to go, and an error when the only ones that have are out
// of reach.
func (d *drive) over() (Outcome, error) {
	var lost []error
	for _, l := range d.legs {
		switch {
		case l.busy || !l.stuck && d.moving(l):
			return Outcome{}, nil
		case l.stuck && (d.failure == nil || !l.settled()):
			lost = append(lost, l.failure())
		}
	}
	switch err := errors.Join(lost...); {
	case d.failure == nil:
		return Outcome{}, err
	case err != nil:
		return Outcome{}, fmt.Errorf("%w\nit does not go on, for %v", err, d.failure) //nolint:errorlint // why it leaves is why it cannot
	}
	return d.failed(), nil
}

// moving reports whether something is to be expected of the leg.
func (d *drive) moving(l *leg) bool {
	if d.failure != nil {
		return !l.settled()
	}
	switch l.r.Phase {
	case Starting, Refreshing, Stopping, Reverting, Returning:
		return true
	case Planned, Staging, Staged, Done, RolledBack, Failed:
	}
	return false
}
