package promote

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
)

// ErrRolledBack is wrapped when a promotion ended with every fleet back at what it had. What led to it is wrapped beside it.
var ErrRolledBack = errors.New("rolled back")

// Promoter carries promotions out: it plans them, moves fleets wave by wave, and then the channel. It keeps no state of its own.
// What was decided stands in the catalog before it is done, so that another promoter can go on at any point. It is safe for concurrent use.
type Promoter struct{ c Config }

// Config is what a [Promoter] works with.
type Config struct {
	Catalog   catalog.Catalog
	Rules     func(name string, ch Channel) (Rule, error)        // the channel as it is configured, with the fleets that run image name
	Fleet     func(ctx context.Context, m Member) (Fleet, error) // called once for each fleet of a run, and where that fails again with each call; nil where there are no fleets
	Publisher Publisher                                          // nil where there are no fleets
	Alias     Alias                                              // nil where nothing outside follows a channel
	Probe     func(ctx context.Context, m Member, p Probe) error // makes one try of one probe; nil: [Probe.Ask]
	Clock     Clock                                              // nil: the system's
	Report    func(Progress)                                     // called after every look at the fleets, from one goroutine at a time; nil: nobody listens
	Driver    string                                             // this process: unique, and readable by people
	Poll      time.Duration                                      // between two looks at the fleets; default 5s
	Patience  time.Duration                                      // how long a call that fails is tried again; default 5m
	Workers   int                                                // fleets that are dealt with at once; default 128
}

// Publisher makes images exist where fleets are. Both methods return the artifacts by target, and errors that say what was done with which image.
type Publisher interface {
	// Publish makes img usable in every target, and returns when it is. What exists is not made again, whoever made it and whether
	// that process is still alive.
	Publish(ctx context.Context, img bake.Image, targets []string) (map[string]bake.Artifact, error)
	// Find returns what exists of img and is usable, and changes nothing. A target where nothing is has no entry.
	Find(ctx context.Context, img bake.Image, targets []string) (map[string]bake.Artifact, error)
}

// Alias is a name outside of the catalog that follows a channel.
type Alias interface {
	// Set makes the alias, which has the name that Rule.Parameter gives it, hold the artifact of each target there, and returns when
	// reading it shows that.
	Set(ctx context.Context, alias string, artifacts map[string]bake.Artifact) error
}

// Clock is time as a promoter sees it.
type Clock interface {
	Now() time.Time
	// Sleep returns when d has passed, or the error of ctx as soon as that is done.
	Sleep(ctx context.Context, d time.Duration) error
}

// New returns a promoter.
func New(c Config) *Promoter { return &Promoter{c.withDefaults()} }

const (
	defaultPoll     = 5 * time.Second
	defaultPatience = 5 * time.Minute
	defaultWorkers  = 128
)

func (c Config) withDefaults() Config {
	if c.Clock == nil {
		c.Clock = SystemClock{}
	}
	if c.Probe == nil {
		c.Probe = func(ctx context.Context, m Member, p Probe) error { return p.Ask(ctx, m) }
	}
	if c.Report == nil {
		c.Report = func(Progress) {}
	}
	if c.Poll <= 0 {
		c.Poll = defaultPoll
	}
	if c.Patience <= 0 {
		c.Patience = defaultPatience
	}
	if c.Workers <= 0 {
		c.Workers = defaultWorkers
	}
	return c
}

// SystemClock is the [Clock] of this machine.
type SystemClock struct{}

// Now implements [Clock].
func (SystemClock) Now() time.Time { return time.Now() }

// Sleep implements [Clock].
func (SystemClock) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run carries out a plan that has no refusals. Whatever the error, the outcome is true where its Result is not empty; where it is
// empty the promotion was left as it is, on record, for [Promoter.Resume].
//
// The error wraps [catalog.ErrMoved] where somebody else promotes in the channel, took this promotion over, or moved the channel,
// [bake.ErrRefused] where a gate or a preflight refuses, and [ErrRolledBack] where fleets were brought back.
func (p *Promoter) Run(ctx context.Context, plan Plan) (Outcome, error) {
	switch {
	case plan.There:
		return p.stay(ctx, plan)
	case len(plan.Refusals) > 0:
		return Outcome{}, fmt.Errorf("%w: %s", bake.ErrRefused, strings.Join(plan.Refusals, "; "))
	case plan.Aborts != nil:
		return p.abort(ctx, plan)
	}
	pro, a, err := NewActives(p.c.Catalog).Begin(ctx, plan.Promotion, p.c.Driver, p.c.Clock.Now())
	if err != nil {
		return Outcome{}, err
	}
	d, err := p.newDrive(ctx, pro, a, nil)
	if err != nil {
		return Outcome{}, fmt.Errorf("%s: %w", pro.ID(), err)
	}
	d.checked, d.checkedAt = map[string]FleetPlan{}, plan.At
	for _, f := range plan.Fleets {
		d.checked[f.Fleet.Name] = f
	}
	return d.run(ctx)
}

// stay is for a channel that holds the image already, with fleets that have it: only what follows the channel may have been left behind.
func (p *Promoter) stay(ctx context.Context, plan Plan) (Outcome, error) {
	d, err := p.newDrive(ctx, plan.Promotion, Active{}, nil)
	if err == nil && d.linked() {
		if err = d.channels.Holds(ctx, plan.Promotion); err == nil {
			_, err = d.tryAlias(ctx, following{})
		}
	}
	if err != nil {
		return Outcome{}, err
	}
	return Outcome{Result: Promoted, Reason: "it was there already", At: p.c.Clock.Now().UTC()}, nil
}

// abort takes over the promotion that stands in the way of a rollback, and ends it.
func (p *Promoter) abort(ctx context.Context, plan Plan) (Outcome, error) {
	pro := plan.Promotion
	a, err := NewActives(p.c.Catalog).wish(ctx, pro.To.Name, pro.Channel, *plan.Aborts)
	if err != nil {
		return Outcome{}, err
	}
	return p.resume(ctx, pro, a)
}

// Resume takes over the promotion of image name that is under way in ch, from whichever process drives it, and carries it out as
// [Promoter.Run] does. The error wraps [bake.ErrNotFound] where none is under way.
func (p *Promoter) Resume(ctx context.Context, name string, ch Channel) (Outcome, error) {
	pro, a, err := p.underWay(ctx, name, ch)
	if err != nil {
		return Outcome{}, err
	}
	return p.resume(ctx, pro, a)
}

// underWay returns the promotion of image name that is under way in ch, or an error wrapping [bake.ErrNotFound].
func (p *Promoter) underWay(ctx context.Context, name string, ch Channel) (Promotion, Active, error) {
	a, err := NewActives(p.c.Catalog).Get(ctx, name, ch)
	if err != nil {
		return Promotion{}, Active{}, err
	}
	pro, err := NewChannels(p.c.Catalog).Promotion(ctx, name, ch, a.Number)
	return pro, a, err
}

// resume takes over pro, which was driven as a says.
func (p *Promoter) resume(ctx context.Context, pro Promotion, a Active) (Outcome, error) {
	actives, channels := NewActives(p.c.Catalog), NewChannels(p.c.Catalog)
	var err error
	if a, err = actives.Drive(ctx, pro, a, p.c.Driver, p.c.Clock.Now()); err != nil {
		return Outcome{}, err
	}
	if o, err := channels.Outcome(ctx, pro); !errors.Is(err, bake.ErrNotFound) {
		return p.letGo(ctx, pro, o, err)
	}
	latest, err := NewRollouts(p.c.Catalog).Latest(ctx, pro)
	if err != nil {
		return Outcome{}, err
	}
	d, err := p.newDrive(ctx, pro, a, latest)
	if err != nil {
		return Outcome{}, fmt.Errorf("%s: %w", pro.ID(), err)
	}
	return d.run(ctx)
}

// letGo ends what a process left that died between saying how its promotion ended and letting go of the channel.
func (p *Promoter) letGo(ctx context.Context, pro Promotion, o Outcome, err error) (Outcome, error) {
	if err == nil {
		err = NewActives(p.c.Catalog).Release(ctx, pro, p.c.Driver)
	}
	if err != nil {
		return Outcome{}, err
	}
	return o, (&drive{kit: &kit{p: pro}}).verdict(o)
}

// Wish tells the driver of the promotion under way in ch what is wanted of it, and returns what is on record then. The error wraps
// [bake.ErrNotFound] where none is under way, and [ErrTooLate] where all fleets have arrived.
func (p *Promoter) Wish(ctx context.Context, name string, ch Channel, w Wish, by, reason string) (Active, error) {
	return NewActives(p.c.Catalog).Wish(ctx, name, ch, w, by, reason)
}
