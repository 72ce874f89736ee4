package ui

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/iibake/iibake/bake"
)

// maxLine is where a line ends at the latest: times at the far edge of a wide screen are hard to match with their task.
const maxLine = 100 // columns

// terminal shows a line for every task that ended, and below them a block of the running ones.
type terminal struct {
	w io.Writer
	o Options

	mu      sync.Mutex
	names   int // columns of the names of images
	running []*running
	fleets  []Fleet      // that are on their way
	block   int          // lines of the block that are on the screen
	out     bytes.Buffer // what goes to the screen in one write
	frame   int
	close   func() // ends redraw
	stopped sync.WaitGroup
}

// running is a task that has begun and not ended.
type running struct {
	id          taskID
	start       time.Time
	done, total int64
	logs        []string
}

func newTerminal(w io.Writer, o Options) *terminal {
	stop := make(chan struct{})
	t := &terminal{w: w, o: o, names: nameWidth(o.Names), close: sync.OnceFunc(func() { close(stop) })}
	if t.o.Now == nil {
		t.o.Now = time.Now
	}
	if o.Every > 0 {
		t.stopped.Go(func() { t.redraw(stop) })
	}
	return t
}

// redraw keeps the elapsed times going.
func (t *terminal) redraw(stop <-chan struct{}) {
	tick := time.NewTicker(t.o.Every)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			t.mu.Lock()
			t.draw()
			t.mu.Unlock()
		}
	}
}

// Close erases the block.
func (t *terminal) Close() {
	t.close()
	t.stopped.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running, t.fleets = nil, nil
	t.draw()
}

// Report takes an event in. What it adds for good waits for the next picture, so that a flood of events costs little.
func (t *terminal) Report(e bake.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.names = max(t.names, len(e.Image))
	t.take(e)
	if t.o.Every == 0 {
		t.draw()
	}
}

func (t *terminal) take(e bake.Event) {
	task := t.find(idOf(e))
	switch e.Kind {
	case bake.EventStart:
		t.running = append(t.running, &running{id: idOf(e), start: t.o.Now()})
	case bake.EventProgress:
		if task != nil {
			task.done, task.total = e.Done, e.Total
		}
	case bake.EventLog:
		t.takeLog(task, e)
	case bake.EventDone, bake.EventSkip, bake.EventStop, bake.EventFail:
		t.end(e, task)
	case bake.EventNote:
		t.line(e.Image, " ", Clean(e.Text), "")
	case bake.EventWarn:
		t.line(e.Image, t.o.Paint.Warn("!"), t.o.Paint.Warn(Clean(e.Text)), "")
	}
}

func (t *terminal) takeLog(task *running, e bake.Event) {
	text := Clean(e.Text)
	if t.o.Verbose {
		t.line(e.Image, " ", t.o.Paint.Dim("│ "+text), "")
		return
	}
	if task != nil {
		task.logs = tail(task.logs, text, shownTail)
	}
}

func (t *terminal) end(e bake.Event, task *running) {
	t.running = slices.DeleteFunc(t.running, func(r *running) bool { return r == task })
	p, took := t.o.Paint, Took(e.Took)
	switch e.Kind {
	case bake.EventDone:
		t.line(e.Image, p.Good("✓"), cut(Clean(e.Task), t.textWidth(took)), took)
	case bake.EventSkip, bake.EventStop:
		text := Clean(e.Task)
		if e.Text != "" {
			text += " · " + Clean(e.Text)
		}
		t.line(e.Image, p.Dim("–"), p.Dim(cut(text, t.textWidth(""))), "")
	case bake.EventFail:
		t.line(e.Image, p.Bad("✗"), p.Bad(cut(Clean(e.Task), t.textWidth(took))), took)
		if task == nil || cancelled(e) {
			return
		}
		for _, line := range last(task.logs, shownTail) {
			t.line("", " ", p.Dim("│ "+line), "")
		}
	case bake.EventStart, bake.EventProgress, bake.EventLog, bake.EventNote, bake.EventWarn:
	}
}

func (t *terminal) find(id taskID) *running {
	i := slices.IndexFunc(t.running, func(r *running) bool { return r.id == id })
	if i < 0 {
		return nil
	}
	return t.running[i]
}

// line puts a line above the block, for good.
func (t *terminal) line(image, mark, text, right string) {
	if t.out.Len() == 0 {
		t.rewind()
	}
	t.out.WriteString(t.compose(image, mark, text, right) + "\x1b[K\n")
}

// compose lines up the parts of a line; right ends where lines end.
func (t *terminal) compose(image, mark, text, right string) string {
	line := t.o.Paint.Name(pad(image, t.names)) + "  " + mark + " " + text
	if right == "" {
		return strings.TrimRight(line, " ")
	}
	return pad(line, t.columns()-Width(right)) + t.o.Paint.Dim(right)
}

// columns is the length of a line. The last column stays free: some terminals wrap when it is written to.
func (t *terminal) columns() int {
	columns, _ := t.o.Size()
	return min(max(columns-1, 20), maxLine)
}

// textWidth is what is left for a task's name beside the image's name, the mark and what stands at the right.
func (t *terminal) textWidth(right string) int {
	return t.columns() - t.names - Width("  ✓ ") - Width(right) - 2
}

// draw writes everything that is new and the block below it, in one go.
func (t *terminal) draw() {
	lines := t.pictures()
	if t.out.Len() == 0 {
		if len(lines) == 0 && t.block == 0 {
			return
		}
		t.rewind()
	}
	t.out.WriteString("\x1b[?7l") // a line of the block must not wrap, or rewind goes back too little
	for _, line := range lines {
		t.out.WriteString(line + "\x1b[K\n")
	}
	t.out.WriteString("\x1b[J\x1b[?7h")
	t.block = len(lines)
	t.frame++
	_, _ = t.w.Write(t.out.Bytes())
	t.out.Reset()
}

// rewind goes back to the first line of the block.
func (t *terminal) rewind() {
	t.out.WriteByte('\r')
	if t.block > 0 {
		fmt.Fprintf(&t.out, "\x1b[%dA", t.block)
	}
}

// pictures returns a line for each running task and each fleet on its way, as many as the screen can hold.
func (t *terminal) pictures() []string {
	_, rows := t.o.Size()
	room, all := max(rows-2, 1), len(t.running)+len(t.fleets)
	spinner := []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}
	spin := spinner[t.frame%len(spinner)]
	var lines []string
	for i := range all {
		switch {
		case i == room-1 && all > room:
			more := fmt.Sprintf("and %d more", all-i)
			return append(lines, t.compose("", " ", t.o.Paint.Dim(more), ""))
		case i < len(t.running):
			lines = append(lines, t.picture(t.running[i], spin))
		default:
			lines = append(lines, t.fleetPicture(t.fleets[i-len(t.running)], spin))
		}
	}
	return lines
}

func (t *terminal) picture(task *running, mark string) string {
	took := fmt.Sprintf("%6s", Took(t.o.Now().Sub(task.start))) // a steady place for the meter
	meter := t.meter(task)
	room := t.textWidth(took)
	if meter != "" && room-Width(meter)-2 < 16 {
		meter = fmt.Sprintf("%d%%", percent(task.done, task.total)) // a narrow screen
	}
	if meter != "" {
		room -= Width(meter) + 2
		took = meter + "  " + t.o.Paint.Dim(took)
	}
	return t.compose(task.id.image, t.o.Paint.Name(mark), cut(Clean(task.id.task), room), took)
}

const meterCells = 24

// meter shows how far a task is: a bar where the total is known, bytes where not, nothing where there are none.
func (t *terminal) meter(task *running) string {
	switch {
	case task.total > 0:
		bar := t.bar(task.done, task.total, meterCells)
		return fmt.Sprintf("%8s %s %3d%%", Bytes(task.done), bar, percent(task.done, task.total))
	case task.done > 0:
		return Bytes(task.done)
	}
	return ""
}

func percent(done, total int64) int64 {
	if total <= 0 {
		return 0
	}
	return min(done, total) * 100 / total
}
