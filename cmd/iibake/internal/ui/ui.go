// Package ui is everything that iibake shows. These are the rules of our output:
//
//   - Standard output carries the result: text for people, or JSON where it was asked for. Everything else goes to standard
//     error. Either can be thrown away without losing the other.
//   - A line that has been written stays as it is. Only the block of running tasks at the bottom of a terminal changes, ten
//     times a second, in one write each; it is gone when the command ends.
//   - One line per task that ended: the image, a mark, the task, and its time at the right. What is normal is plain, what
//     was not needed is dimmed and says why, what failed is red.
//   - One line per fleet that is on its way: its phase, a bar, instances by kind, the time, and in the words of AWS what it
//     waits for. Where lines stay, a fleet gets one at each change of its phase, and one in ten seconds at most between them.
//   - The output of programs is shown when their task failed (the last lines), or on --verbose. It is cleaned of control
//     characters first: an image must not be able to paint the screen.
//   - Errors are printed once, at the end, one per line, and then what to do about them. A place in a file comes first, as
//     editors and compilers have it: file:line:column.
//   - Colour repeats what words and marks say, and says nothing alone. NO_COLOR, --no-color, TERM=dumb and anything that is
//     no terminal switch it off.
//   - Sizes are in KiB, MiB and GiB, times in s, m and h; both have at most three digits that matter.
//   - Texts are lower case, without a full stop and without exclamation.
package ui

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/iibake/iibake/bake"
)

// Modes are the ways to show progress.
const (
	Auto  = "auto"  // bars on a terminal, plain elsewhere
	Bars  = "bars"  // a live block of running tasks
	Plain = "plain" // a line when a task begins and one when it ends
	JSON  = "json"  // an event a line
	None  = "none"  // nothing
)

// Reporter is a [bake.Reporter] that holds on to the terminal until it is closed.
type Reporter interface {
	bake.Reporter
	// Show tells how the rollout of a fleet goes. One whose rollout has ended may go on its way again: back.
	Show(f Fleet)
	// Close takes what is temporary off the screen. Nothing may be reported after it.
	Close()
}

// Options say how to show progress.
type Options struct {
	Mode    string   // one of the modes; empty means Auto
	Paint   Paint    // colours, or none
	Verbose bool     // show the output of programs as it comes
	Names   []string // of the images that will be reported about, to line them up
	// Size returns the columns and rows of the terminal; nil where there is none.
	Size func() (columns, rows int)
	// Now is the clock.
	Now func() time.Time
	// Every is the time between two pictures of the running tasks. Zero draws one for every event.
	Every time.Duration
	// Actions is set inside GitHub Actions: logs in groups, and annotations on the lines of templates.
	Actions *Actions
}

// New returns the reporter that writes to w.
func New(w io.Writer, o Options) (Reporter, error) {
	switch o.Mode {
	case Auto, "":
		if o.Size != nil && o.Actions == nil {
			return newTerminal(w, o), nil
		}
		return decorate(w, newPlain(w, o), o), nil
	case Bars:
		if o.Size == nil {
			o.Size = func() (int, int) { return 80, 24 }
		}
		return decorate(w, newTerminal(w, o), o), nil
	case Plain:
		return decorate(w, newPlain(w, o), o), nil
	case JSON:
		return newEvents(w), nil
	case None:
		return silent{}, nil
	}
	return nil, fmt.Errorf("%w: --progress %s: want auto, bars, plain, json or none", bake.ErrInvalid, o.Mode)
}

func decorate(w io.Writer, r Reporter, o Options) Reporter {
	if o.Actions == nil {
		return r
	}
	return &grouped{w: w, next: r, actions: *o.Actions, logs: map[taskID][]string{}}
}

type silent struct{}

func (silent) Report(bake.Event) {}
func (silent) Close()            {}

// taskID tells running tasks apart.
type taskID struct{ image, task string }

func idOf(e bake.Event) taskID { return taskID{e.Image, e.Task} }

// nameWidth returns how many columns the names of images take.
func nameWidth(names []string) int {
	width := 0
	for _, n := range names {
		width = max(width, len(n))
	}
	return width
}

// shownTail is how many lines of a failed task's output are shown.
const shownTail = 20

// tail appends a line and forgets older ones now and then: the last n are always there.
func tail(lines []string, line string, n int) []string {
	if len(lines) == 2*n {
		lines = append(lines[:0], lines[n:]...)
	}
	return append(lines, line)
}

// last returns the last n lines.
func last(lines []string, n int) []string { return lines[max(0, len(lines)-n):] }

// cancelled reports whether a task failed only because the user wanted it to end: its output explains nothing.
func cancelled(e bake.Event) bool {
	return strings.Contains(e.Text, context.Canceled.Error()) || strings.Contains(e.Text, "signal received")
}

// pad fills s up to width columns.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-Width(s)))
}
