package promote

import (
	"context"
	"errors"
	"fmt"
)

// goBack takes the next step towards what the fleet had.
func (l *leg) goBack(ctx context.Context) error {
	switch l.r.Phase {
	case Staging, Staged:
		return l.record(ctx, RolledBack, l.along(notStarted))
	case Starting, Refreshing, Done:
		return l.revert(ctx, l.along(""))
	case Stopping:
		return l.stopAndTurn(ctx)
	case Reverting:
		return l.reverting(ctx)
	case Returning:
		return l.returning(ctx)
	case Planned, RolledBack, Failed:
	}
	return nil
}

// revert announces the way back, and begins it. A refresh that has not ended is turned round; otherwise the way back is another one.
func (l *leg) revert(ctx context.Context, why func(*Rollout)) error {
	if l.r.Phase == Done {
		return l.turn(ctx, why)
	}
	if err := l.record(ctx, Reverting, why); err != nil {
		return err
	}
	return l.reverting(ctx)
}

// turn announces a refresh of its own that goes back, and begins it.
func (l *leg) turn(ctx context.Context, change func(*Rollout)) error {
	err := l.record(ctx, Reverting, func(r *Rollout) {
		r.Back, r.Refresh = true, ""
		change(r)
	})
	if err != nil {
		return err
	}
	return l.reverting(ctx)
}

func (l *leg) reverting(ctx context.Context) error {
	if l.r.Back {
		return l.startBack(ctx)
	}
	err := l.fleet.Rollback(ctx, l.r)
	if errors.Is(err, ErrTooLate) {
		return l.tooLate(ctx)
	}
	if err != nil {
		return l.fleetError("roll back", err)
	}
	return l.record(ctx, Returning, because(l.r.Reason))
}

// tooLate sees to it that a refresh that cannot be turned round has ended, before another one begins.
func (l *leg) tooLate(ctx context.Context) error {
	if err := l.observe(ctx); err != nil {
		return err
	}
	switch {
	case l.seen.State == WentBack:
		return l.record(ctx, RolledBack, because(l.r.Reason))
	case l.seen.State == Cancelling:
		return nil
	case !l.seen.State.Ended():
		return l.fleetError("cancel", l.fleet.Cancel(ctx, l.r))
	}
	return l.turn(ctx, because(l.r.Reason))
}

func (l *leg) startBack(ctx context.Context) error {
	r, err := l.fleet.Start(ctx, l.r)
	if err != nil {
		return l.fleetError("start the way back", err)
	}
	l.began = l.c.Clock.Now()
	if r.Refresh == "" {
		return l.record(ctx, RolledBack, because(orElse(l.r.Reason, "there was nothing to replace")))
	}
	return l.record(ctx, Returning, func(next *Rollout) { next.Refresh, next.Reason = r.Refresh, l.r.Reason })
}

func (l *leg) returning(ctx context.Context) error {
	if err := l.observe(ctx); err != nil {
		return err
	}
	if l.r.Back {
		return l.returningAnew(ctx)
	}
	switch l.seen.State {
	case WentBack:
		return l.record(ctx, RolledBack, because(l.r.Reason))
	case Succeeded, Failing, Cancelled, NotGoneBack: // it ended before it turned, or on its way
		return l.turn(ctx, because(l.r.Reason))
	case Waiting, Replacing, Soaking, Cancelling, GoingBack:
	}
	return nil
}

// returningAnew follows a refresh that was begun in order to go back.
func (l *leg) returningAnew(ctx context.Context) error {
	switch o := l.seen; o.State {
	case Failing, NotGoneBack, Cancelled, WentBack:
		return l.record(ctx, Failed, because(fmt.Sprintf("the way back %s at %d%%: %s", o.State, o.Percent, o.Reason)))
	case Succeeded:
		if !l.home {
			return l.record(ctx, RolledBack, because(l.r.Reason))
		}
		return l.backHome(ctx)
	case Waiting, Replacing, Soaking, Cancelling, GoingBack:
	}
	return nil
}

// backHome asks the probes of a fleet that has what it had. On the way there they were not asked: instances that are ill, for which the
// fleet goes back, still answer them, and would keep it where it is.
func (l *leg) backHome(ctx context.Context) error {
	well, why := l.examined.at(ctx, l, l.reached())
	switch {
	case why != nil:
		return l.halt(ctx, because(why.Error()))
	case well:
		return l.record(ctx, RolledBack, nil)
	}
	return nil
}

// goHalt takes the next step towards staying where the fleet is.
func (l *leg) goHalt(ctx context.Context) error {
	switch l.r.Phase {
	case Refreshing:
		return l.halt(ctx, l.along(""))
	case Reverting, Returning:
		if l.home && l.r.Refresh != "" {
			return l.halt(ctx, l.along(""))
		}
		return l.goBack(ctx)
	case Planned, Staging, Staged, Starting:
		return l.goBack(ctx) // of Starting nobody knows whether there is a refresh to be stopped
	case Stopping:
		return l.stop(ctx)
	case Done, RolledBack, Failed:
	}
	return nil
}

// halt announces that the refresh is stopped where it is, and stops it.
func (l *leg) halt(ctx context.Context, why func(*Rollout)) error {
	if l.r.Refresh == "" {
		return l.record(ctx, Failed, why)
	}
	if err := l.record(ctx, Stopping, why); err != nil {
		return err
	}
	return l.stop(ctx)
}

func (l *leg) stop(ctx context.Context) error {
	if ended, err := l.cancelled(ctx); !ended {
		return err
	}
	o := l.seen
	return l.record(ctx, Failed, because(fmt.Sprintf("stopped with %d instances old and %d new: %s", o.Old, o.New, l.r.Reason)))
}

// stopAndTurn is for a leg that was to stay where it is, until somebody wanted it back.
func (l *leg) stopAndTurn(ctx context.Context) error {
	if l.home {
		return l.stop(ctx)
	}
	if ended, err := l.cancelled(ctx); !ended {
		return err
	}
	return l.turn(ctx, because(l.r.Reason))
}

// cancelled reports whether the refresh has ended, and sees to it that it does.
func (l *leg) cancelled(ctx context.Context) (bool, error) {
	if err := l.observe(ctx); err != nil {
		return false, err
	}
	if state := l.seen.State; state.Ended() || state == Cancelling {
		return state.Ended(), nil
	}
	return false, l.fleetError("cancel", l.fleet.Cancel(ctx, l.r))
}
