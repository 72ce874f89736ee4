package promote

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
)

// leg is the rollout of one fleet as a process that drives it sees it. It belongs to one goroutine at a time: to the drive, or to the
// worker that steps it.
type leg struct {
	*kit

	r     Rollout
	fleet Fleet
	home  bool // the way back is what the promotion is for
	keep  bool // it is not brought back after a failure

	seen     Observation
	unwell   spell     // of calls of the fleet, or of the journal, that fail
	err      error     // of the last call
	unsure   bool      // the answer to the last record was lost: it may be there
	stuck    bool      // patience is at an end: nothing more is tried by this process
	sick     spell     // of too few healthy instances
	well     int       // instances that there were to be when they were last healthy, or unknown
	began    time.Time // of the refresh
	due      time.Time // of the next look, where it is not every time
	examined exam

	want order
	why  string // it is ordered back, or to stop
	busy bool   // with a worker
}

// unknown is a number of instances that nobody looked up.
const unknown = -1

// kit is what every leg of a promotion works with. It does not change while legs are stepped.
type kit struct {
	c         Config
	p         Promotion
	journal   Rollouts
	watch     *lookout
	img       bake.Image
	artifacts map[string]bake.Artifact
	checked   map[string]FleetPlan // of the plan: fleets that need not be looked at again while it is fresh
	checkedAt time.Time
}

// freshPlan is how old a plan may be whose fleets are not looked at again before they are touched.
const freshPlan = 3 * time.Minute

// order is what a leg shall do next.
type order int

const (
	hold  order = iota // begin nothing
	stage              // make what instances are launched from
	goOn               // towards where the promotion goes
	back               // to what the fleet had
	halt               // stay where it is
)

// errAgain says that the step of a rollout was taken before, and is to be looked at anew.
var errAgain = errors.New("look again")

// goal is the phase in which a leg has arrived.
func (l *leg) goal() Phase {
	if l.home {
		return RolledBack
	}
	return Done
}

// ended reports whether the leg has come to an end, good or bad.
func (l *leg) ended() bool {
	return l.r.Phase == Done || l.r.Phase == RolledBack || l.r.Phase == Failed
}

// settled reports whether nothing is left to be done for the leg under its order.
func (l *leg) settled() bool {
	switch l.r.Phase {
	case Planned, Failed, RolledBack:
		return true
	case Done:
		return l.want == halt
	case Staging, Staged, Starting, Refreshing, Stopping, Reverting, Returning:
	}
	return false
}

// idle reports whether a step would do nothing.
func (l *leg) idle() bool {
	switch l.r.Phase {
	case Planned:
		return l.want != stage && l.want != goOn
	case Staging, Starting:
		return l.want == hold
	case Staged:
		return l.want == hold || l.want == stage
	case Done:
		waits := l.r.Refresh == "" || l.waits(l.due)
		return l.want == halt || l.want != back && waits
	case RolledBack, Failed:
		return true
	case Refreshing, Stopping, Reverting, Returning:
	}
	return false
}

// amiss reports whether the leg went another way than the promotion shall.
func (l *leg) amiss() bool {
	switch l.r.Phase {
	case Failed, Stopping:
		return true
	case Reverting, Returning, RolledBack:
		return !l.home
	case Planned, Staging, Staged, Starting, Refreshing, Done:
	}
	return false
}

// step does what the order and the phase of the leg ask for. It is called again after an error.
func (l *leg) step(ctx context.Context) {
	err := l.try(ctx)
	if errors.Is(err, errAgain) {
		err = nil
	}
	if err == nil || ctx.Err() != nil {
		l.err = nil
		l.unwell.over()
		return
	}
	l.complain(ctx, err)
}

// complain remembers an error, and draws the consequence when there is no use in trying again. What is refused before anything was begun
// is; later on it is given the time to go away that everything is given, for what is under way is not worse for it.
func (l *leg) complain(ctx context.Context, err error) {
	lasted := l.unwell.on(l.c.Clock.Now(), l.c.Patience/2)
	l.err = err
	refused := errors.Is(err, bake.ErrRefused)
	begun := l.r.Phase != Planned && l.r.Phase != Staging && l.r.Phase != Starting
	if (begun || !refused) && lasted < l.c.Patience {
		return
	}
	var journal *journalError
	if errors.As(err, &journal) || !refused {
		l.stuck = true // out of reach: whoever resumes the promotion finds it as it is
		return
	}
	if err := l.giveUp(ctx); err != nil && !errors.Is(err, errAgain) {
		l.err, l.stuck = err, true
	}
}

// giveUp ends the way that the leg is on, of which l.err says why it is refused.
func (l *leg) giveUp(ctx context.Context) error {
	switch l.r.Phase {
	case Planned, Staging:
		end := RolledBack
		if l.home {
			end = Failed
		}
		return l.record(ctx, end, because("nothing was changed: "+l.err.Error()))
	case Starting, Refreshing, Done:
		return l.fail(ctx, l.err.Error())
	case Reverting, Returning, Stopping:
		return l.record(ctx, Failed, because(l.err.Error()))
	case Staged, RolledBack, Failed:
	}
	return nil
}

// try takes the next step.
func (l *leg) try(ctx context.Context) error {
	if l.unsure {
		if err := l.adopt(ctx); err != nil {
			return err
		}
	}
	switch l.want {
	case back:
		return l.goBack(ctx)
	case halt:
		return l.goHalt(ctx)
	case hold, stage, goOn:
	}
	return l.goForward(ctx)
}

// record puts the next phase of the rollout into the journal. Nothing is done before that which it announces.
func (l *leg) record(ctx context.Context, phase Phase, change func(*Rollout)) error {
	if err := l.watch.fresh(ctx); err != nil {
		return &journalError{err}
	}
	next := l.r
	next.Phase, next.Reason, next.Driver, next.At = phase, "", l.c.Driver, l.c.Clock.Now().UTC()
	if change != nil {
		change(&next)
	}
	put, err := l.journal.Append(ctx, l.p, next)
	l.unsure = err != nil
	if errors.Is(err, catalog.ErrMoved) {
		return errAgain // whose record stands there tells the next step
	}
	if err != nil {
		return &journalError{err}
	}
	l.r = put
	return nil
}

// adopt takes over the record that an earlier step put without hearing of it, if there is one, and then wants the leg to be looked at anew. One of
// another process is taken over as well, as long as the head says that this one drives: who drove before may have put it before he knew that he had
// lost the seat.
func (l *leg) adopt(ctx context.Context) error {
	r, err := recordGet[Rollout](ctx, l.journal.c, recordKey(rolloutPrefix(l.p, l.r.Fleet.Name), l.r.Step+1))
	switch {
	case errors.Is(err, bake.ErrNotFound):
		l.unsure = false
		return nil
	case err != nil:
		return &journalError{err}
	case r.Driver != l.c.Driver:
		if _, err := l.watch.look(ctx); err != nil {
			return &journalError{err}
		}
	}
	l.r, l.unsure = r, false
	return errAgain
}

// journalError is one of the record, not of a fleet.
type journalError struct{ err error }

func (e *journalError) Error() string { return e.err.Error() }
func (e *journalError) Unwrap() error { return e.err }

func because(reason string) func(*Rollout) { return func(r *Rollout) { r.Reason = oneLine(reason) } }

// notStarted begins the reason of a fleet that was not touched.
const notStarted = "nothing was started: "

// along is because for a leg that is ordered back, or to stop, for what happened elsewhere.
func (l *leg) along(before string) func(*Rollout) {
	return func(r *Rollout) { r.Reason, r.Along = before+l.why, true }
}

// fleetError names the fleet whose call failed.
func (l *leg) fleetError(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
