package promote

import (
	"context"
	"fmt"
	"time"
)

const (
	guardEvery = 30 * time.Second // between two looks at a fleet that has arrived while others move
	sickFor    = 3 * time.Minute  // how long a fleet that has arrived may have too few healthy instances: one that is replaced takes that long
)

// guard watches a fleet that has arrived, until the promotion is over.
func (l *leg) guard(ctx context.Context) error {
	now := l.c.Clock.Now()
	if l.waits(l.due) || l.r.Refresh == "" {
		return nil
	}
	if err := l.observe(ctx); err != nil {
		return err
	}
	l.due = now.Add(guardEvery)
	if l.want == hold { // it soaks
		l.due = now.Add(l.c.Poll)
	}
	if l.seen.Alarm != "" {
		return l.fail(ctx, "alarm "+l.seen.Alarm)
	}
	if why := l.ails(now); why != "" {
		return l.fail(ctx, why)
	}
	return l.askAgain(ctx, now)
}

// ails says what is wrong with the fleet's instances, if it has been for too long. The bar is what was desired when the fleet was last well,
// at first when it arrived: of a group that grows, those that are not there yet are not ill.
func (l *leg) ails(now time.Time) string {
	o, least := l.seen, l.r.Fleet.Strategy.MinHealthy
	enough := func(desired int) bool { return o.Healthy*100 >= desired*least }
	if enough(o.Desired) {
		l.well = o.Desired
	}
	bar := o.Desired
	if l.well != unknown {
		bar = min(bar, l.well)
	}
	if enough(bar) {
		l.sick.over()
		return ""
	}
	lasted := l.sick.on(now, sickFor/2)
	if lasted < max(sickFor, time.Duration(l.r.Fleet.Strategy.Warmup)) {
		return ""
	}
	return fmt.Sprintf("%d of %d instances are healthy, for %s", o.Healthy, bar, lasted.Round(time.Second))
}

// waits reports whether something is due later. What is due later than anything ever is was made due by a clock that was set back since.
func (l *leg) waits(due time.Time) bool {
	left := due.Sub(l.c.Clock.Now())
	return left > 0 && left <= max(guardEvery, l.c.Poll)
}

// askAgain asks the probes of a fleet that has arrived.
func (l *leg) askAgain(ctx context.Context, now time.Time) error {
	if l.waits(l.examined.next) {
		return nil
	}
	well, why := l.examined.at(ctx, l, l.examined.passed+1)
	if why != nil {
		return l.fail(ctx, why.Error())
	}
	if well {
		l.examined.next = now.Add(guardEvery)
	}
	return nil
}

// exam is what probes said of a fleet.
type exam struct {
	passed int   // points of the refresh at which all were well
	failed []int // tries in a row, by probe
	next   time.Time
}

// at asks the probes once, where they were not yet well at the given point, and returns whether all are well there. The error says why
// the fleet is not: a probe used up its tries.
func (e *exam) at(ctx context.Context, l *leg, point int) (bool, error) {
	probes := l.r.Fleet.Strategy.Probes
	if point <= e.passed || len(probes) == 0 || l.seen.empty() {
		return true, nil
	}
	if e.failed == nil {
		e.failed = make([]int, len(probes))
	}
	well := true
	for i, p := range probes {
		err := l.c.Probe(ctx, l.r.Fleet, p)
		switch {
		case ctx.Err() != nil:
			return false, nil //nolint:nilerr // nobody wants to know any more: the fleet is not to blame
		case err == nil:
			e.failed[i] = 0
			continue
		}
		well = false
		if e.failed[i]++; e.failed[i] >= p.tries() {
			return false, fmt.Errorf("probe %s: %w", p, err)
		}
	}
	if well {
		e.passed = point
	}
	return well, nil
}

// reached counts the points of the refresh that it has come to: one instance alone, each checkpoint, and the end.
func (l *leg) reached() int {
	s, o := l.r.Fleet.Strategy, l.seen
	n := 0
	if s.Canary && (o.New > 0 && o.Percent > 0) {
		n++
	}
	for _, percent := range s.Checkpoints {
		if o.Percent >= percent {
			n++
		}
	}
	if o.State == Succeeded || o.State == Soaking {
		n = len(s.Checkpoints) + 2
	}
	if o.State == Succeeded {
		n++
	}
	return n
}
