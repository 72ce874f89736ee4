package promote

import (
	"context"
	"fmt"
	"strings"

	"github.com/iibake/iibake/bake"
)

// goForward takes the next step towards where the promotion goes.
func (l *leg) goForward(ctx context.Context) error {
	switch l.r.Phase {
	case Planned:
		if l.want == hold {
			return nil
		}
		return l.begin(ctx)
	case Staging:
		if l.want == hold {
			return nil
		}
		return l.stage(ctx)
	case Staged:
		if l.want != goOn {
			return nil
		}
		if err := l.record(ctx, Starting, nil); err != nil {
			return err
		}
		return l.start(ctx)
	case Starting:
		if l.want != goOn {
			return nil
		}
		return l.start(ctx)
	case Refreshing:
		return l.refreshing(ctx)
	case Done:
		return l.guard(ctx)
	case Stopping:
		return l.stop(ctx)
	case Reverting, Returning:
		return l.goBack(ctx) // as was begun
	case RolledBack, Failed:
	}
	return nil
}

// begin looks at the fleet once more, and makes the first record of the rollout.
func (l *leg) begin(ctx context.Context) error {
	q := Query{Image: l.img, Artifact: l.artifacts[l.r.Fleet.Target], Pin: l.p.Pin}
	if l.home {
		q.Artifact, q.Moves = bake.Artifact{}, l.r.Moves
	}
	if !l.home && q.Artifact.AMI == "" {
		return fmt.Errorf("%w: %s is not published in target %s", bake.ErrRefused, l.r.To, l.r.Fleet.Target)
	}
	pre, known := l.planned(q)
	if !known {
		var err error
		if pre, err = l.fleet.Preflight(ctx, q); err != nil {
			return l.fleetError("look at the fleet", err)
		}
	}
	if len(pre.Refusals) > 0 {
		return fmt.Errorf("%w: %s", bake.ErrRefused, strings.Join(pre.Refusals, "; "))
	}
	if l.home {
		return l.turn(ctx, func(r *Rollout) { r.Expected = pre.Estimate })
	}
	err := l.record(ctx, Staging, func(r *Rollout) {
		r.AMI, r.Expected = q.Artifact.AMI, pre.Estimate
		if len(pre.Current) > 0 {
			r.From = pre.Current[0].Image
		}
	})
	if err != nil {
		return err
	}
	return l.stage(ctx)
}

// planned returns what the plan found, as long as that is fresh and about the AMI that the fleet gets: of one that was not published then, the
// plan knows neither how it boots nor whether the account may launch it.
func (l *leg) planned(q Query) (Preflight, bool) {
	f, known := l.checked[l.r.Fleet.Name]
	fresh := l.c.Clock.Now().Sub(l.checkedAt) <= freshPlan
	return f.Preflight, known && fresh && (l.home || f.AMI == q.Artifact.AMI)
}

// stage comes with no record of its own: who finds that it was announced calls it again, and gets the same. The next record has its moves.
func (l *leg) stage(ctx context.Context) error {
	r, err := l.fleet.Stage(ctx, l.r)
	if err != nil {
		return l.fleetError("stage", err)
	}
	l.r.Moves, l.r.Phase = r.Moves, Staged
	return nil
}

func (l *leg) start(ctx context.Context) error {
	r, err := l.fleet.Start(ctx, l.r)
	if err != nil {
		return l.fleetError("start", err)
	}
	l.began = l.c.Clock.Now()
	if r.Refresh == "" {
		return l.record(ctx, Done, because("there was nothing to replace"))
	}
	if err := l.record(ctx, Refreshing, func(next *Rollout) { next.Refresh = r.Refresh }); err != nil {
		return err
	}
	return l.observe(ctx)
}

// observe looks at the refresh, for the reader of the progress too.
func (l *leg) observe(ctx context.Context) error {
	o, err := l.fleet.Observe(ctx, l.r)
	if err != nil {
		return l.fleetError("observe", err)
	}
	l.seen = o
	return nil
}

func (l *leg) refreshing(ctx context.Context) error {
	if err := l.observe(ctx); err != nil {
		return err
	}
	switch o := l.seen; o.State {
	case GoingBack:
		return l.record(ctx, Returning, because(orElse(o.Reason, "the refresh goes back by itself")))
	case WentBack:
		return l.record(ctx, RolledBack, because(orElse(o.Reason, "the refresh went back by itself")))
	case Failing, NotGoneBack, Cancelling, Cancelled:
		return l.fail(ctx, orElse(o.Reason, "the refresh "+string(o.State)))
	case Waiting, Replacing, Soaking, Succeeded:
	}
	if l.seen.Alarm != "" {
		return l.fail(ctx, "alarm "+l.seen.Alarm)
	}
	return l.checkpoint(ctx)
}

// checkpoint asks the probes where the refresh has come to a point at which they are to be asked, and ends it when they are well.
func (l *leg) checkpoint(ctx context.Context) error {
	ended := l.seen.State == Succeeded
	well, why := l.examined.at(ctx, l, l.reached())
	switch {
	case why != nil:
		return l.fail(ctx, why.Error())
	case !well || !ended:
		return nil
	}
	l.well = l.seen.Desired
	return l.record(ctx, Done, func(r *Rollout) { r.Desired = l.well })
}

// fail gives up the way forward, and at once goes back, or stays where it is.
func (l *leg) fail(ctx context.Context, reason string) error {
	switch {
	case l.keep && l.r.Phase == Done:
		return l.record(ctx, Failed, because(reason))
	case l.keep:
		return l.halt(ctx, because(reason))
	}
	return l.revert(ctx, because(reason))
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
