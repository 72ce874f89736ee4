package ui

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/iibake/iibake/bake"
)

// plainEvery is the least time between two lines about the progress of one task.
const plainEvery = 10 * time.Second

// plain writes lines that need no terminal: they are what a log of a job shows.
type plain struct {
	mu      sync.Mutex
	w       io.Writer
	p       Paint
	verbose bool
	tasks   map[taskID]*plainTask
	fleets  map[string]Fleet // by name, as they were last told
}

type plainTask struct {
	logs []string
	told time.Time // when its progress was last written
}

func newPlain(w io.Writer, o Options) *plain {
	return &plain{w: w, p: o.Paint, verbose: o.Verbose, tasks: map[taskID]*plainTask{}, fleets: map[string]Fleet{}}
}

func (r *plain) Close() {}

func (r *plain) Report(e bake.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	task := r.tasks[idOf(e)]
	if task == nil {
		task = &plainTask{}
	}
	text := Clean(e.Text)
	switch e.Kind {
	case bake.EventStart:
		r.tasks[idOf(e)] = &plainTask{told: e.Time}
		r.line(e.Image, Clean(e.Task)+" ...")
	case bake.EventProgress:
		r.progress(e, task)
	case bake.EventLog:
		r.log(e, task, text)
	case bake.EventDone:
		r.say(e, r.p.Good("done")+" in "+Took(e.Took))
	case bake.EventSkip:
		r.say(e, r.p.Dim(joinNonEmpty(": ", "skipped", text)))
	case bake.EventStop:
		r.say(e, r.p.Dim(joinNonEmpty(": ", "not done", text)))
	case bake.EventFail:
		if !cancelled(e) {
			r.tail(e.Image, task)
		}
		r.say(e, r.p.Bad("failed")+" after "+Took(e.Took))
	case bake.EventNote:
		r.line(e.Image, text)
	case bake.EventWarn:
		r.line(e.Image, r.p.Warn("warning: "+text))
	}
	switch e.Kind {
	case bake.EventDone, bake.EventSkip, bake.EventStop, bake.EventFail:
		delete(r.tasks, idOf(e))
	case bake.EventStart, bake.EventProgress, bake.EventLog, bake.EventNote, bake.EventWarn:
	}
}

func (r *plain) progress(e bake.Event, task *plainTask) {
	if e.Time.Sub(task.told) < plainEvery {
		return
	}
	task.told = e.Time
	if e.Total > 0 {
		r.say(e, fmt.Sprintf("%s of %s (%d%%)", Bytes(e.Done), Bytes(e.Total), percent(e.Done, e.Total)))
		return
	}
	r.say(e, Bytes(e.Done))
}

func (r *plain) log(e bake.Event, task *plainTask, text string) {
	if r.verbose {
		r.line(e.Image, r.p.Dim("| "+text))
		return
	}
	task.logs = tail(task.logs, text, shownTail)
}

func (r *plain) tail(image string, task *plainTask) {
	for _, line := range last(task.logs, shownTail) {
		r.line(image, r.p.Dim("| "+line))
	}
}

// say writes something about a task.
func (r *plain) say(e bake.Event, what string) {
	r.line(e.Image, joinNonEmpty(": ", Clean(e.Task), what))
}

func (r *plain) line(image, text string) {
	_, _ = io.WriteString(r.w, joinNonEmpty(": ", r.p.Name(image), text)+"\n")
}

func joinNonEmpty(sep string, parts ...string) string {
	var kept []string
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, sep)
}
