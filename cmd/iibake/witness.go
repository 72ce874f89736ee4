package main

import (
	"strings"
	"sync"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
)

// witness decorates a reporter. It remembers the output of the tasks that failed, which has been shown: an error that ends
// with the same lines need not show them again.
type witness struct {
	ui.Reporter

	mu    sync.Mutex
	logs  map[[2]string][]string // image, task → its last lines
	shown map[string]bool
}

// witnessed is how many lines of a task are remembered, about as many as an error ends with.
const witnessed = 50

func newWitness(r ui.Reporter) *witness {
	return &witness{Reporter: r, logs: map[[2]string][]string{}, shown: map[string]bool{}}
}

func (w *witness) Report(e bake.Event) {
	w.note(e)
	w.Reporter.Report(e)
}

func (w *witness) note(e bake.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	task := [2]string{e.Image, e.Task}
	switch e.Kind {
	case bake.EventLog:
		w.logs[task] = append(w.logs[task], essence(e.Text))
		w.logs[task] = w.logs[task][max(0, len(w.logs[task])-witnessed):]
	case bake.EventFail:
		for _, line := range w.logs[task] {
			w.shown[line] = true
		}
		delete(w.logs, task)
	case bake.EventDone, bake.EventSkip, bake.EventStop:
		delete(w.logs, task)
	case bake.EventStart, bake.EventProgress, bake.EventNote, bake.EventWarn:
	}
}

func essence(line string) string { return strings.TrimSpace(ui.Clean(line)) }

// quoted is the indentation of the output of programs in the text of an error.
const quoted = "    "

// withoutShown leaves out each run of quoted lines of which one has been shown already.
func withoutShown(text string, shown map[string]bool) string {
	var kept, run []string
	known := false
	flush := func() {
		if !known {
			kept = append(kept, run...)
		}
		run, known = nil, false
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, quoted) {
			flush()
			kept = append(kept, line)
			continue
		}
		run = append(run, line)
		trimmed := essence(line)
		known = known || trimmed != "" && shown[trimmed]
	}
	flush()
	return strings.Join(kept, "")
}
