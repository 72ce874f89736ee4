package bake

import (
	"fmt"
	"time"
)

// Position is a place in a file that a user wrote. Line and column count from one; the zero value is nowhere.
type Position struct {
	File   string `json:"file,omitempty"` // relative to the repository
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// String returns file:line:column, as compilers and editors write it.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// EventKind says what an [Event] tells.
type EventKind string

// The kinds of events. A task begins with a Start and ends with exactly one Done, Skip, Stop or Fail.
const (
	EventStart    EventKind = "start"    // a task begins
	EventProgress EventKind = "progress" // Done of Total bytes
	EventLog      EventKind = "log"      // one line of output of a program that the task runs
	EventDone     EventKind = "done"     // the task ended well
	EventSkip     EventKind = "skip"     // the task was not needed; Text says why
	EventStop     EventKind = "stop"     // the task was left before its end; Text says why
	EventFail     EventKind = "fail"     // the task failed; Text is the error
	EventNote     EventKind = "note"     // something the user wants to know
	EventWarn     EventKind = "warn"     // something the user should look at
)

// Event is one thing that happened during a run.
type Event struct {
	Time  time.Time     `json:"time"`
	Kind  EventKind     `json:"kind"`
	Image string        `json:"image,omitempty"` // name of the template whose image it is about
	Task  string        `json:"task,omitempty"`  // for example "step 2/5 apt nginx"; unique among the running tasks of an image
	Text  string        `json:"text,omitempty"`
	Done  int64         `json:"done,omitempty"`  // bytes
	Total int64         `json:"total,omitempty"` // bytes; 0 where it is not known
	Took  time.Duration `json:"took,omitempty"`  // of a task that ended
	Pos   *Position     `json:"pos,omitempty"`   // the template's line that the event is about
}

// Reporter receives what happens during a run. Implementations are safe for concurrent use and do not block for long:
// they are called from the middle of the work.
type Reporter interface {
	Report(Event)
}

// ReporterFunc is a function as a [Reporter].
type ReporterFunc func(Event)

// Report calls f.
func (f ReporterFunc) Report(e Event) { f(e) }

// Discard is the reporter that tells nobody.
func Discard() Reporter { return ReporterFunc(func(Event) {}) }

// Task is one piece of work that is being reported.
type Task struct {
	r     Reporter
	image string
	name  string
	pos   *Position
	start time.Time
}

// StartTask reports the beginning of a task. pos may be nil.
func StartTask(r Reporter, image, name string, pos *Position) *Task {
	t := &Task{r: r, image: image, name: name, pos: pos, start: time.Now()}
	t.report(Event{Kind: EventStart})
	return t
}

// Log reports a line of output.
func (t *Task) Log(line string) { t.report(Event{Kind: EventLog, Text: line}) }

// Progress reports that done of total bytes are through.
func (t *Task) Progress(done, total int64) {
	t.report(Event{Kind: EventProgress, Done: done, Total: total})
}

// Note reports something worth knowing.
func (t *Task) Note(format string, args ...any) {
	t.report(Event{Kind: EventNote, Text: fmt.Sprintf(format, args...)})
}

// Warn reports something worth a look.
func (t *Task) Warn(format string, args ...any) {
	t.report(Event{Kind: EventWarn, Text: fmt.Sprintf(format, args...)})
}

// Skip ends the task without it having run.
func (t *Task) Skip(why string) { t.report(Event{Kind: EventSkip, Text: why, Took: t.Elapsed()}) }

// Stop ends the task before it is done, without it having failed.
func (t *Task) Stop(why string) { t.report(Event{Kind: EventStop, Text: why, Took: t.Elapsed()}) }

// End ends the task: well where err is nil, else as failed. It returns err.
func (t *Task) End(err error) error {
	if err != nil {
		t.report(Event{Kind: EventFail, Text: err.Error(), Took: t.Elapsed()})
		return err
	}
	t.report(Event{Kind: EventDone, Took: t.Elapsed()})
	return nil
}

// Elapsed returns how long the task has been running.
func (t *Task) Elapsed() time.Duration { return time.Since(t.start) }

func (t *Task) report(e Event) {
	e.Time, e.Image, e.Task, e.Pos = time.Now().UTC(), t.image, t.name, t.pos
	t.r.Report(e)
}
