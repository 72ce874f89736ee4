package main

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/promote"
)

// movement is what promote, rollback and watch write as JSON, each with the parts that there are: what is planned, how it goes, how it ended.
type movement struct {
	ID        string             `json:"id,omitempty"`        // NAME@CHANNEL#NUMBER; nothing before it has begun
	Promotion *promote.Promotion `json:"promotion,omitempty"` // as it is on record
	Plan      *planView          `json:"plan,omitempty"`      // of whoever began it
	UnderWay  *course            `json:"under_way,omitempty"` // until it has ended
	Outcome   *promote.Outcome   `json:"outcome,omitempty"`   // when it has ended
	Fleets    []ui.Fleet         `json:"fleets,omitempty"`    // wave by wave
}

// course is what a promotion is at, and who drives it.
type course struct {
	promote.Active

	Step  promote.Step `json:"step,omitempty"`
	Wave  int          `json:"wave,omitempty"` // from 0
	Why   string       `json:"why,omitempty"`  // it waits or goes back
	Until time.Time    `json:"until,omitzero"`
	Dead  bool         `json:"dead,omitempty"` // the driver was a process of this host, and is gone, or gives no sign of life
}

// movementOf is a promotion as it was last seen.
func movementOf(p promote.Progress) movement {
	m := movement{ID: p.Promotion.ID(), Promotion: &p.Promotion, Outcome: p.Outcome}
	if p.Outcome == nil && p.Step != "" {
		m.UnderWay = &course{p.Active, p.Step, p.Wave, p.Reason, p.Until, lifeOf(p.Active, p.At).dead}
	}
	for _, f := range p.Fleets {
		m.Fleets = append(m.Fleets, fleetOf(f, p))
	}
	return m
}

// resultOf says in one or two words how a promotion ended; active is the number of the one that is under way.
func resultOf(past promote.Past, active int) string {
	switch {
	case past.Outcome != nil:
		return resultWord(past.Promotion, *past.Outcome)
	case past.Number == active:
		return onItsWay
	}
	return unfinished
}

// wentBack is the good end of a rollback. One that did not arrive, and a promotion that was turned round, have the words of the record.
const wentBack = "went back"

// resultWord is the same word for the same end in every view.
func resultWord(p promote.Promotion, o promote.Outcome) string {
	if p.Back && o.Result == promote.Promoted {
		return wentBack
	}
	return string(o.Result)
}

// phaseWord is the phase of a fleet. On the way back, to be back is to have arrived.
func phaseWord(phase promote.Phase, back bool) string {
	if back && phase == promote.RolledBack {
		return wentBack
	}
	return string(phase)
}

// endingText says what came of a promotion beside its result.
func (e *engine) endingText(p promote.Promotion, o promote.Outcome) string {
	var words []string
	if o.Result == promote.Promoted {
		words = append(words, e.gladText(p))
	}
	if o.Reason != "" {
		words = append(words, o.Reason)
	}
	return strings.Join(words, "; ")
}

// gladText says who has what, after a promotion that ended as it was meant to.
func (e *engine) gladText(p promote.Promotion) string {
	holds := func(verb, what string) string { return fmt.Sprintf("%s %s %s", p.Channel, verb, what) }
	switch {
	case p.Only:
		return strings.Join(e.follow.arrived(), ", ") + "; " + stays(p)
	case p.To.Version == "":
		return holds("holds", "nothing")
	}
	return holds("holds", p.To.String())
}

// stays says that fleets move alone, which must not be taken for the channel's move.
func stays(p promote.Promotion) string {
	if p.From == nil {
		return string(p.Channel) + " still holds nothing"
	}
	return string(p.Channel) + " still holds " + p.From.String()
}

// writeEnding writes how a promotion ended.
func (e *engine) writeEnding(con *console, c *cli.Context, p promote.Promotion, o promote.Outcome) error {
	if con.actions != nil {
		if err := con.actions.AddSummary(e.endingMarkdown(p, o) + "\n"); err != nil {
			return err
		}
	}
	paint := con.paint(con.out)
	switch c.String("output") {
	case "json":
		m := movementOf(e.follow.last)
		m.ID, m.Promotion, m.Plan, m.UnderWay, m.Outcome = p.ID(), &p, e.follow.plan, nil, &o
		return con.printJSON(m)
	case "markdown":
		return con.printf("\n%s", e.endingMarkdown(p, o))
	}
	colour := map[promote.Result]func(string) string{promote.Promoted: paint.Good, promote.Reverted: paint.Warn, promote.Stopped: paint.Bad}[o.Result]
	if colour == nil {
		colour = paint.Bold
	}
	line := strings.TrimSuffix(fmt.Sprintf("%s: %s: %s", p.ID(), colour(resultWord(p, o)), ui.Clean(e.endingText(p, o))), ": ")
	return con.printf("%s\n", line)
}

// endingMarkdown writes how a promotion ended for a pull request, or the summary of a job.
func (e *engine) endingMarkdown(p promote.Promotion, o promote.Outcome) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s: %s\n\n", escapeMarkdown(p.ID()), resultWord(p, o))
	if text := e.endingText(p, o); text != "" {
		b.WriteString(escapeMarkdown(ui.Clean(text)) + "\n")
	}
	var rows strings.Builder
	for _, f := range e.follow.last.Fleets {
		seen := fleetOf(f, e.follow.last)
		if seen.Phase == string(promote.Planned) {
			continue
		}
		fmt.Fprintf(&rows, "| %d | %s | %s | %s | %s | %s |\n", f.Wave+1, escapeMarkdown(f.Fleet), seen.Phase, seen.Counts(), seen.Clock(seen.Time), escapeMarkdown(ui.Clean(f.Reason)))
	}
	if rows.Len() > 0 {
		b.WriteString("\n| wave | fleet | phase | instances | time | reason |\n|---|---|---|---|---|---|\n" + rows.String())
	}
	return b.String()
}

// glance writes how the promotion is now.
func (e *engine) glance(con *console, c *cli.Context, p promote.Promotion) error {
	seen, err := e.promoter.Glance(c.Context, p.To.Name, p.Channel)
	if err != nil {
		return withTargetHint(err)
	}
	e.rep.Close()
	if wantsJSON(c) {
		return con.printJSON(movementOf(seen))
	}
	return writeGlance(con, seen, time.Now())
}

// writeGlance writes for people what a promotion is at, who drives it, and a line for each fleet.
func writeGlance(con *console, p promote.Progress, now time.Time) error {
	paint := con.paint(con.out)
	at := cmp.Or(stepTitle(p), string(p.Step))
	if p.Reason != "" && !waits(p.Step) { // whose title says it
		at += ": " + p.Reason
	}
	if o := p.Outcome; o != nil {
		at = resultWord(p.Promotion, *o)
	}
	life := lifeOf(p.Active, now)
	if err := con.printf("%s: %s: %s\n", p.Promotion.ID(), versionText(p.Promotion), ui.Clean(at)); err != nil {
		return err
	}
	if p.Outcome == nil {
		if err := con.printf("driven by %s: %s\n", p.Active.Driver, life.text(paint, placeOf(p.Promotion))); err != nil {
			return err
		}
	}
	table := ui.NewTable("FLEET", "WAVE", "PHASE", "OLD", "NEW", "HEALTHY", "TIME", "REASON")
	for _, f := range p.Fleets {
		seen := fleetOf(f, p)
		row := []string{paint.Name(f.Fleet), strconv.Itoa(f.Wave + 1), seen.State(), "", "", "", "", ui.Clean(f.Reason)}
		if seen.Counts() != "" {
			row[3], row[4], row[5] = strconv.Itoa(f.Old), strconv.Itoa(f.New), fmt.Sprintf("%d of %d", f.Healthy, f.Desired)
		}
		if f.Phase != promote.Planned {
			row[6] = seen.Clock(seen.Time)
		}
		table.Row(row...)
	}
	return table.Write(con.out, paint)
}

// versionText says from where to where a promotion goes.
func versionText(p promote.Promotion) string {
	from, to := "nothing", toText(p)
	if p.From != nil {
		from = p.From.Version
	}
	if p.Only || from == to {
		return "some fleets to " + to
	}
	return from + " → " + to
}

// placeOf names the channel that a promotion is of.
func placeOf(p promote.Promotion) string { return fmt.Sprintf("%s@%s", p.To.Name, p.Channel) }
