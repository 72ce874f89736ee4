package ui

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/iibake/iibake/bake"
)

// Fleet is how the rollout of a fleet goes at one moment.
type Fleet struct {
	Time     time.Time     `json:"time"` // of the look, or when it ended
	Name     string        `json:"fleet"`
	Wave     int           `json:"wave"`  // from 0
	Phase    string        `json:"phase"` // in a word or two
	End      Ending        `json:"end,omitempty"`
	Percent  int           `json:"percent"` // of the instances that are replaced
	Old      int           `json:"old"`     // instances
	New      int           `json:"new"`     // instances
	Healthy  int           `json:"healthy"` // instances of both
	Desired  int           `json:"desired"` // instances
	Reason   string        `json:"reason,omitempty"`
	Since    time.Time     `json:"since"`              // when the rollout began
	Expected bake.Duration `json:"expected,omitempty"` // of the whole rollout; 0 where it is not known
}

// Ending says how a rollout ended, if it has.
type Ending string

// The endings of a rollout.
const (
	GoesOn     Ending = ""
	Arrived    Ending = "arrived"
	TurnedBack Ending = "rolled back"
	Stuck      Ending = "failed"
)

// State writes the phase, and how far the fleet is in it.
func (f Fleet) State() string {
	if f.Percent == 0 || f.End == GoesOn && f.Percent == 100 {
		return f.Phase
	}
	return fmt.Sprintf("%s %d%%", f.Phase, f.Percent)
}

// Counts writes how many instances of which kind there are, or nothing where nobody has looked yet.
func (f Fleet) Counts() string {
	if f.Old+f.New+f.Desired == 0 {
		return ""
	}
	return fmt.Sprintf("%d old %d new %d/%d healthy", f.Old, f.New, f.Healthy, f.Desired)
}

// Clock writes how long the rollout has been going, and how long it will take; nothing of one that had ended before anybody looked.
func (f Fleet) Clock(now time.Time) string {
	if f.End != GoesOn && !f.Since.Before(now) {
		return ""
	}
	took := Took(max(now.Sub(f.Since), 0))
	if f.Expected <= 0 || f.End != GoesOn {
		return took
	}
	return took + " of ~" + Took(time.Duration(f.Expected))
}

// differs reports whether there is something to tell beside that time has passed.
func (f Fleet) differs(before Fleet) bool {
	f.Time, f.Expected = before.Time, before.Expected
	return f != before
}

func (p Paint) ending(e Ending) (mark string, colour func(string) string) {
	switch e {
	case Arrived:
		return p.Good("✓"), p.Good
	case TurnedBack:
		return p.Warn("↩"), p.Warn
	case Stuck:
		return p.Bad("✗"), p.Bad
	case GoesOn:
	}
	return " ", func(s string) string { return s }
}

// Show takes in how a fleet does.
func (t *terminal) Show(f Fleet) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f.Phase, f.Reason = Clean(f.Phase), Clean(f.Reason)
	t.names = max(t.names, Width(f.Name))
	i := slices.IndexFunc(t.fleets, func(g Fleet) bool { return g.Name == f.Name })
	switch {
	case f.End != GoesOn:
		if i >= 0 {
			t.fleets = slices.Delete(t.fleets, i, i+1)
		}
		t.endFleet(f)
	case i >= 0:
		t.fleets[i] = f
	default:
		t.fleets = append(t.fleets, f)
	}
	if t.o.Every == 0 {
		t.draw()
	}
}

// endFleet leaves the line of a fleet for good.
func (t *terminal) endFleet(f Fleet) {
	mark, colour := t.o.Paint.ending(f.End)
	took := f.Clock(f.Time)
	text := cut(joinNonEmpty(" · ", f.Phase, f.Counts()), t.textWidth(took))
	t.line(f.Name, mark, colour(text), took)
	if f.Reason != "" {
		t.line("", " ", t.o.Paint.Dim("│ "+f.Reason), "")
	}
}

// The parts of a fleet's line, in columns.
const (
	phaseCells  = 11
	minBarCells = 6
	barCells    = 16
)

// fleetPicture is the line of a fleet that is on its way. On a narrow screen the reason goes first, then the bar gets shorter.
func (t *terminal) fleetPicture(f Fleet, spin string) string {
	p := t.o.Paint
	screen, _ := t.o.Size()
	head := p.Name(pad(f.Name, t.names)) + "  " + p.Name(spin) + " " + pad(f.Phase, phaseCells)
	tail := fmt.Sprintf(" %3d%%  %s  ", f.Percent, f.Counts()) + p.Dim(f.Clock(t.o.Now()))
	room := max(screen-1, 20)
	cells := min(room-Width(head)-Width(tail)-2, barCells)
	if cells < minBarCells {
		return cut(f.Name+" "+f.Phase+" "+fmt.Sprintf("%d%% %s", f.Percent, f.Counts()), room)
	}
	line := head + "  " + t.bar(int64(f.Percent), 100, cells) + tail
	if left := room - Width(line) - 2; f.Reason != "" && left >= 12 {
		line += "  " + p.Dim(cut(f.Reason, left))
	}
	return line
}

// bar is a line of which as much is full as is done.
func (t *terminal) bar(done, total int64, cells int) string {
	full := int(min(max(done, 0), total) * int64(cells) / total)
	return t.o.Paint.Good(strings.Repeat("━", full)) + t.o.Paint.Dim(strings.Repeat("─", cells-full))
}

// Show writes a line when a fleet comes to another phase, and now and then one about its instances.
func (r *plain) Show(f Fleet) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f.Phase, f.Reason = Clean(f.Phase), Clean(f.Reason)
	before, known := r.fleets[f.Name]
	news := !known || f.Phase != before.Phase || f.End != before.End
	if known && !news && (!f.differs(before) || f.Time.Sub(before.Time) < plainEvery) {
		return
	}
	r.fleets[f.Name] = f
	_, colour := r.p.ending(f.End)
	text := joinNonEmpty(": ", f.State(), joinNonEmpty(", ", f.Counts(), f.Clock(f.Time)), f.Reason)
	r.line(f.Name, colour(text))
}

// Show writes how a fleet does as an event of its own kind, unless nothing has changed.
func (r *events) Show(f Fleet) {
	r.mu.Lock()
	before, known := r.fleets[f.Name]
	r.fleets[f.Name] = f
	r.mu.Unlock()
	if known && !f.differs(before) {
		return
	}
	line, err := json.Marshal(struct {
		Kind string `json:"kind"`
		Fleet
	}{"fleet", f})
	if err != nil {
		return // a fleet is texts, numbers and times: none of them can fail
	}
	r.write(line)
}

func (silent) Show(Fleet) {}

// Show annotates a rollout that did not arrive.
func (r *grouped) Show(f Fleet) {
	r.next.Show(f)
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.End == Stuck || f.End == TurnedBack {
		r.actions.Annotate(r.w, "error", nil, Clean(joinNonEmpty(": ", f.Name, f.Phase, f.Reason)))
	}
}
