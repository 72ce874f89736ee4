package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/promote"
)

// follower tells a reporter how a promotion goes: each step is a task, and each fleet on its way has a line.
type follower struct {
	rep   ui.Reporter
	plan  *planView // that this process carries out; nil where it carries on what another one began
	last  promote.Progress
	task  *bake.Task
	title string                   // of task
	ended map[string]promote.Phase // fleets whose end was told

	watches bool   // another process drives
	driver  string // that was told of last
	dead    bool   // and that it is dead
}

func newFollower(rep ui.Reporter) *follower {
	return &follower{rep: rep, ended: map[string]promote.Phase{}}
}

// take tells what is new in p. Looks come one after another.
func (f *follower) take(p promote.Progress) {
	if f.watches && p.Outcome == nil {
		f.look(p)
	}
	f.step(p)
	for _, fleet := range p.Fleets {
		f.fleet(fleet, p)
	}
	f.last = p
}

// look tells who drives a promotion, again when another process does, and what to type when that one is dead.
func (f *follower) look(p promote.Progress) {
	tell := func(kind bake.EventKind, text string) {
		f.rep.Report(bake.Event{Time: time.Now().UTC(), Kind: kind, Image: placeOf(p.Promotion), Text: text})
	}
	if f.driver != p.Active.Driver {
		f.driver, f.dead = p.Active.Driver, false
		tell(bake.EventNote, p.Promotion.ID()+" is driven by "+f.driver)
	}
	life := lifeOf(p.Active, p.At)
	if life.dead && !f.dead {
		tell(bake.EventWarn, life.text(false, placeOf(p.Promotion)))
	}
	f.dead = life.dead
}

// step ends the task of the step before and begins one for the next.
func (f *follower) step(p promote.Progress) {
	name := fmt.Sprintf("%s@%s", p.Promotion.To.Name, p.Promotion.Channel)
	title := stepTitle(p)
	if title == f.title {
		return
	}
	if f.task != nil {
		f.endStep(p)
	}
	if p.Reason != "" && p.Reason != f.last.Reason && !waits(p.Step) { // whose title says it
		f.rep.Report(bake.Event{Time: time.Now().UTC(), Kind: bake.EventWarn, Image: name, Text: p.Reason})
	}
	f.title, f.task = title, nil
	if title != "" {
		f.task = bake.StartTask(f.rep, name, title, nil)
	}
}

// endStep tells how the task of the step before ended. One that was paused is not done, and one that gave way to the way back failed.
func (f *follower) endStep(p promote.Progress) {
	turned := p.Step == promote.Backing || p.Step == promote.Halting
	switch {
	case waits(f.last.Step):
		_ = f.task.End(nil)
	case waits(p.Step) && !f.stepDone(p):
		f.task.Stop(string(p.Step))
	case turned:
		_ = f.task.End(errors.New(p.Reason))
	case p.Outcome != nil && !leadsTo(f.last.Step, p.Outcome.Result): // what lay between was not seen
		_ = f.task.End(errors.New(p.Outcome.Reason))
	default:
		_ = f.task.End(nil)
	}
}

// waits reports whether nothing moves at a step, by somebody's wish or by a freeze.
func waits(s promote.Step) bool { return s == promote.Paused || s == promote.Frozen }

// stepDone reports whether the step before was at its end when the promotion came to wait.
func (f *follower) stepDone(p promote.Progress) bool {
	switch f.last.Step {
	case promote.Publishing: // no fleet begins before
		return slices.ContainsFunc(p.Fleets, func(m promote.FleetProgress) bool { return m.Phase != promote.Planned })
	case promote.Moving:
		return !slices.ContainsFunc(p.Fleets, func(m promote.FleetProgress) bool {
			return m.Wave == f.last.Wave && endingOf(m.Phase, p.Promotion.Back) != ui.Arrived
		})
	case promote.Watching:
		return !f.last.Until.IsZero() && !p.At.Before(f.last.Until)
	case promote.Paused, promote.Frozen, promote.Backing, promote.Halting, promote.Finishing, promote.Ended:
	}
	return false
}

// leadsTo reports whether a promotion ends so when all goes well at a step.
func leadsTo(s promote.Step, r promote.Result) bool {
	switch s {
	case promote.Backing:
		return r == promote.Reverted
	case promote.Halting:
		return r == promote.Stopped
	case promote.Publishing, promote.Moving, promote.Watching, promote.Paused, promote.Frozen, promote.Finishing, promote.Ended:
	}
	return r == promote.Promoted
}

// stepTitle says in words what a promotion is at, the same while it lasts. It is empty where the fleets say it all, and at the end.
func stepTitle(p promote.Progress) string {
	waves := len(p.Promotion.Waves)
	wave := fmt.Sprintf("wave %d of %d", p.Wave+1, waves)
	switch p.Step {
	case promote.Publishing:
		return "publish"
	case promote.Moving:
		if p.Promotion.Back {
			return "bring back " + memberNames(slices.Concat(p.Promotion.Waves...))
		}
		if p.Wave < waves {
			return wave + ": " + memberNames(p.Promotion.Waves[p.Wave])
		}
		return "move the fleets"
	case promote.Watching:
		if p.Until.IsZero() {
			return "soak after " + wave
		}
		return "soak after " + wave + ", until " + p.Until.UTC().Format("15:04:05 UTC")
	case promote.Paused:
		return strings.TrimSuffix("paused by "+p.Active.By+": "+p.Active.Reason, ": ")
	case promote.Frozen:
		return p.Reason
	case promote.Backing:
		return "bring the fleets back"
	case promote.Halting:
		return "stop the fleets"
	case promote.Finishing:
		if p.Promotion.Only {
			return "" // the channel stays
		}
		return "move the channel"
	case promote.Ended:
	}
	return ""
}

// maxNamed is how many fleets of a wave are named.
const maxNamed = 4

func memberNames(members []promote.Member) string {
	var names []string
	for i, m := range members {
		if i == maxNamed && len(members) > maxNamed+1 {
			return strings.Join(names, ", ") + fmt.Sprintf(" and %d more", len(members)-i)
		}
		names = append(names, m.Name)
	}
	return strings.Join(names, ", ")
}

// fleet shows a fleet that has begun, and its end once.
func (f *follower) fleet(p promote.FleetProgress, of promote.Progress) {
	end := endingOf(p.Phase, of.Promotion.Back)
	if p.Phase == "" || p.Phase == promote.Planned || end != ui.GoesOn && f.ended[p.Fleet] == p.Phase {
		return
	}
	delete(f.ended, p.Fleet)
	if end != ui.GoesOn {
		f.ended[p.Fleet] = p.Phase
	}
	seen := fleetOf(p, of)
	if seen.End == ui.TurnedBack && f.plan != nil && f.plan.Aborts != nil {
		seen.End = ui.Arrived // as was asked for
	}
	f.rep.Show(seen)
}

// fleetOf is how a fleet does, for people and programs.
func fleetOf(p promote.FleetProgress, of promote.Progress) ui.Fleet {
	since, now := p.Since, of.At
	if since.IsZero() {
		since = now
	}
	if !p.Ended.IsZero() {
		now = p.Ended
	}
	return ui.Fleet{
		Time: now, Name: p.Fleet, Wave: p.Wave, Phase: phaseWord(p.Phase, of.Promotion.Back), End: endingOf(p.Phase, of.Promotion.Back),
		Percent: p.Percent, Old: p.Old, New: p.New, Healthy: p.Healthy, Desired: p.Desired, Reason: p.Reason, Since: since, Expected: p.Expected,
	}
}

// endingOf says what a phase is the end of. On the way back, to be back is to have arrived.
func endingOf(p promote.Phase, back bool) ui.Ending {
	switch p {
	case promote.Done:
		return ui.Arrived
	case promote.RolledBack:
		if back {
			return ui.Arrived
		}
		return ui.TurnedBack
	case promote.Failed:
		return ui.Stuck
	case promote.Planned, promote.Staging, promote.Staged, promote.Starting, promote.Refreshing, promote.Stopping, promote.Reverting, promote.Returning:
	}
	return ui.GoesOn
}

// arrived are the fleets of the last look, by the names of those that ended well.
func (f *follower) arrived() []string {
	var names []string
	for _, fleet := range f.last.Fleets {
		if endingOf(fleet.Phase, f.last.Promotion.Back) == ui.Arrived {
			names = append(names, fleet.Fleet)
		}
	}
	slices.Sort(names)
	return names
}
