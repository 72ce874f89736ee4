package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/template"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/promote"
)

// planView is a plan with what only the project and the store know about its images, as people and programs read it.
type planView struct {
	promote.Plan

	Commits     []bake.Change `json:"commits,omitempty"` // newest first; those that are taken back, on the way back
	CommitsNote string        `json:"commits_note,omitempty"`
	Blocks      *blockChange  `json:"blocks,omitempty"` // of the disk; nil where there is nothing to compare, or it cannot be read
}

// view adds what lies between the images of a plan.
func (r *record) view(ctx context.Context, p *template.Project, plan promote.Plan) planView {
	v := planView{Plan: plan}
	if plan.Image == nil || plan.Before == nil || plan.Image.Ref == plan.Before.Ref {
		return v
	}
	from, to := plan.Before.Commit, plan.Image.Commit
	if plan.Promotion.Back {
		from, to = to, from
	}
	var err error
	if v.Commits, err = bake.Changes(ctx, p.Dir, from, to); err != nil {
		v.CommitsNote = err.Error()
		if errors.Is(err, bake.ErrNotFound) {
			v.CommitsNote += ": fetch it, to see the commits between"
		}
	}
	if v.Blocks, err = r.diffBlocks(ctx, *plan.Before, *plan.Image); err != nil {
		v.Blocks = nil // disks are collected in time, and belong to root
	}
	return v
}

// write writes the plan in the form that was asked for: text, json or markdown.
func (v planView) write(con *console, form string, now time.Time) error {
	switch form {
	case "json":
		return con.printJSON(movement{Plan: &v})
	case "markdown":
		return con.printf("%s", v.markdown(now))
	}
	return v.text(con, now)
}

// title says what moves from where to where.
func (v planView) title() string {
	p := v.Promotion
	from, to := "nothing", toText(p)
	if p.From != nil {
		from = p.From.Version
	}
	what := fmt.Sprintf("%s@%s", p.To.Name, p.Channel)
	switch {
	case v.Aborts != nil:
		return fmt.Sprintf("%s: end the promotion to %s, and go back", p.ID(), p.To.Version)
	case v.There:
		return fmt.Sprintf("%s: %s is there already", what, to)
	case p.Only:
		return fmt.Sprintf("%s: %s alone, to %s; %s", what, ui.Count(len(v.Fleets), "fleet"), to, stays(p))
	case p.From != nil && *p.From == p.To:
		return fmt.Sprintf("%s: fleets that are not at %s", what, p.To.Version)
	}
	return fmt.Sprintf("%s: %s → %s", what, from, to)
}

// waves counts the waves of the plan.
func (v planView) waves() int {
	n := 0
	for _, f := range v.Fleets {
		n = max(n, f.Wave+1)
	}
	return n
}

// moving counts the fleets that do not have yet what they shall have, and their instances.
func (v planView) moving() (fleets, instances int) {
	for _, f := range v.Fleets {
		if !f.There {
			fleets++
			instances += f.Instances
		}
	}
	return fleets, instances
}

// already says what there is nothing to do about.
func (v planView) already() string {
	who, what := string(v.Promotion.Channel), v.Promotion.To.String()
	if v.Promotion.Only {
		who = memberNames(slices.Concat(v.Promotion.Waves...))
	}
	if v.Promotion.To.Version == "" {
		what = toText(v.Promotion)
	}
	return who + " has " + what + " already"
}

// reason is why it is done. Who ends a promotion has a reason of their own.
func (v planView) reason() string {
	if v.Aborts != nil {
		return v.Aborts.Reason
	}
	return v.Promotion.Reason
}

// duration says how long it takes, and why.
func (v planView) duration() string {
	if len(v.Fleets) == 0 {
		return "at once: no fleet follows the channel"
	}
	if !slices.ContainsFunc(v.Fleets, func(f promote.FleetPlan) bool { return !f.There }) {
		return "at once: the fleets have it already"
	}
	if v.Estimate == 0 {
		return "" // nothing is known of the fleets
	}
	text := "about " + roughly(v.Estimate) + " in " + ui.Count(v.waves(), "wave")
	if soak := v.Promotion.Soak; soak > 0 && !v.Promotion.Back {
		text += ", each watched for " + soak.String()
	}
	return text
}

// roughly writes an estimate: to minutes, where it is some of them.
func roughly(d bake.Duration) string {
	if time.Duration(d) < 2*time.Minute {
		return ui.Took(time.Duration(d))
	}
	return bake.Duration(time.Duration(d).Round(time.Minute)).String()
}

// size says how large the disk is, and how much of it is new.
func (v planView) size() string {
	if v.Image == nil {
		return ""
	}
	text := ui.Bytes(int64(v.Image.Size))
	if v.Blocks != nil {
		text += fmt.Sprintf(", %s of %s changed (%s)", strconv.Itoa(v.Blocks.Changed), ui.Count(v.Blocks.Of, "block"), ui.Bytes(int64(v.Blocks.Changed)*disk.BlockSize))
	}
	return text
}

func (v planView) verdict(now time.Time) string {
	if v.Verdict.IsZero() {
		return ""
	}
	return "given " + ago(now.Sub(v.Verdict)) + ", at " + v.Verdict.UTC().Format(time.DateTime+" UTC")
}

// current says what a fleet is launched from, and what it goes back to.
func current(f promote.FleetPlan) (from, back string) {
	var names, backs []string
	for _, l := range f.Current {
		version := l.Version
		if l.Alias != "" {
			version = l.Alias + " (" + l.Version + ")"
		}
		names = append(names, l.Name+" "+version)
		backs = append(backs, l.Version+": "+imageOrAMI(l.Image, l.AMI))
	}
	return strings.Join(names, ", "), strings.Join(backs, ", ")
}

func imageOrAMI(image *bake.Ref, ami string) string {
	if image != nil {
		return image.String() + " (" + ami + ")"
	}
	return ami
}

// strategy says in few words how the instances of a fleet are replaced.
func strategy(s promote.Strategy) string {
	words := []string{"rolling"}
	if s.Kind == promote.ReplaceRootVolume {
		words[0] = "root volumes"
	}
	words[0] += fmt.Sprintf(" %d-%d %%", s.MinHealthy, s.MaxHealthy)
	if s.Canary {
		words = append(words, "one first")
	}
	if len(s.Checkpoints) > 0 {
		at := make([]string, len(s.Checkpoints))
		for i, c := range s.Checkpoints {
			at[i] = strconv.Itoa(c)
		}
		words = append(words, "checkpoints "+strings.Join(at, " "))
	}
	if s.Soak > 0 {
		words = append(words, "soak "+s.Soak.String())
	}
	if len(s.Alarms) > 0 {
		words = append(words, ui.Count(len(s.Alarms), "alarm"))
	}
	if len(s.Probes) > 0 {
		words = append(words, ui.Count(len(s.Probes), "probe"))
	}
	return strings.Join(words, ", ")
}

// sizeOf says how many instances a fleet has: a group that could not be looked at, or was not, may have any number.
func sizeOf(f promote.FleetPlan) string {
	if f.Instances == 0 && len(f.Current) == 0 {
		return "?"
	}
	return strconv.Itoa(f.Instances)
}

// estimateOf says how long a fleet takes.
func estimateOf(f promote.FleetPlan) string {
	if f.There || f.Estimate == 0 {
		return "-"
	}
	return "~" + roughly(f.Estimate)
}

// strategies says how the instances of the fleets are replaced: once, where it is the same for all.
func (v planView) strategies() []string {
	var lines []string
	by := map[string][]string{}
	for _, f := range v.Fleets {
		words := strategy(f.Fleet.Strategy)
		if by[words] == nil {
			lines = append(lines, words)
		}
		by[words] = append(by[words], f.Fleet.Name)
	}
	if len(lines) > 1 {
		for i, words := range lines {
			lines[i] = strings.Join(by[words], ", ") + ": " + words
		}
	}
	return lines
}

// moves says from which to which version the launch templates of a fleet go.
func (v planView) moves(f promote.FleetPlan) string {
	switch {
	case f.There:
		return "has it already"
	case len(f.Moves) == 0 && v.Aborts != nil:
		return "what it had"
	case len(f.Moves) == 0:
		return "a new version"
	}
	var words []string
	for _, m := range f.Moves {
		words = append(words, m.Name+" "+m.From)
	}
	return strings.Join(words, ", ")
}
