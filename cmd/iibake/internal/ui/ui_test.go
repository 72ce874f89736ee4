package ui_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/cmd/iibake/internal/uitest"
)

// story is a run with everything that can happen in one. The clock stands at the time of the event.
func story() []bake.Event {
	start := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	pos := &bake.Position{File: "images/web.yaml", Line: 9, Column: 5}
	at := func(seconds int, e bake.Event) bake.Event {
		e.Time = start.Add(time.Duration(seconds) * time.Second)
		return e
	}
	events := []bake.Event{
		at(0, bake.Event{Kind: bake.EventStart, Image: "base", Task: "download debian-12.qcow2"}),
		at(5, bake.Event{Kind: bake.EventProgress, Image: "base", Task: "download debian-12.qcow2", Done: 120 << 20, Total: 350 << 20}),
		at(12, bake.Event{Kind: bake.EventProgress, Image: "base", Task: "download debian-12.qcow2", Done: 290 << 20, Total: 350 << 20}),
		at(15, bake.Event{Kind: bake.EventDone, Image: "base", Task: "download debian-12.qcow2", Took: 15 * time.Second}),
		at(15, bake.Event{Kind: bake.EventSkip, Image: "base", Task: "step 1/1 apt curl", Text: "unchanged"}),
		at(15, bake.Event{Kind: bake.EventNote, Image: "base", Text: "debian-security moved: 3 packages differ"}),
		at(16, bake.Event{Kind: bake.EventStart, Image: "web", Task: "step 1/2 apt nginx"}),
		at(16, bake.Event{Kind: bake.EventStart, Image: "database", Task: "materialise"}),
		at(17, bake.Event{Kind: bake.EventProgress, Image: "database", Task: "materialise", Done: 3 << 20}),
		at(18, bake.Event{Kind: bake.EventLog, Image: "web", Task: "step 1/2 apt nginx", Text: "Setting up \x1b[32mnginx\x1b[0m ...\r\n"}),
		at(78, bake.Event{Kind: bake.EventDone, Image: "web", Task: "step 1/2 apt nginx", Took: 62 * time.Second}),
		at(78, bake.Event{Kind: bake.EventWarn, Image: "web", Text: "the mirror is slow", Pos: pos}),
		at(79, bake.Event{Kind: bake.EventStart, Image: "web", Task: "step 2/2 script scripts/harden.sh", Pos: pos}),
	}
	for i := range 25 {
		events = append(events, at(80, bake.Event{Kind: bake.EventLog, Image: "web", Task: "step 2/2 script scripts/harden.sh", Text: fmt.Sprintf("line %d", i+1)}))
	}
	return append(events,
		at(80, bake.Event{Kind: bake.EventLog, Image: "web", Task: "step 2/2 script scripts/harden.sh", Text: "::error::not a command ##[error]nor this"}),
		at(81, bake.Event{Kind: bake.EventFail, Image: "web", Task: "step 2/2 script scripts/harden.sh", Text: "exit status 3\nmore", Took: 2 * time.Second, Pos: pos}),
	)
}

// play reports the story and hands each picture of the screen to look, where it is not nil.
func play(t *testing.T, w interface{ Write([]byte) (int, error) }, o ui.Options, look func()) ui.Reporter {
	t.Helper()
	var now time.Time
	o.Now = func() time.Time { return now }
	r, err := ui.New(w, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range story() {
		now = e.Time
		r.Report(e)
		if look != nil {
			look()
		}
	}
	return r
}

func size(columns, rows int) func() (int, int) { return func() (int, int) { return columns, rows } }

func TestTerminal(t *testing.T) {
	for _, c := range []struct {
		name string
		o    ui.Options
	}{
		{"wide", ui.Options{Size: size(160, 40), Names: []string{"base", "web", "database"}}},
		{"narrow", ui.Options{Size: size(50, 40)}},
		{"verbose", ui.Options{Size: size(80, 24), Verbose: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s screen
			var pictures strings.Builder
			n, last := 0, ""
			r := play(t, &s, c.o, func() {
				if now := s.String(); now != last && n < 14 {
					fmt.Fprintf(&pictures, "--- %d\n%s", n, now)
					last = now
				}
				n++
			})
			fmt.Fprintf(&pictures, "--- end\n%s", s.String())
			r.Close()
			r.Close()
			fmt.Fprintf(&pictures, "--- closed\n%s", s.String())
			uitest.Golden(t, "terminal-"+c.name, pictures.String())
		})
	}
}

func TestTerminalKeepsToTheScreen(t *testing.T) {
	var s screen
	r, err := ui.New(&s, ui.Options{Size: size(60, 6), Now: func() time.Time { return time.Time{} }})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 9 {
		r.Report(bake.Event{Kind: bake.EventStart, Image: fmt.Sprintf("image%d", i), Task: strings.Repeat("very ", 40) + "long"})
	}
	if got := strings.Count(s.String(), "\n"); got != 4 {
		t.Errorf("a screen of six rows shows %d:\n%s", got, &s)
	}
	if !strings.Contains(s.String(), "and 6 more") {
		t.Errorf("the rest is not counted:\n%s", &s)
	}
	for line := range strings.Lines(s.String()) {
		if w := ui.Width(strings.TrimSuffix(line, "\n")); w > 59 {
			t.Errorf("%d columns: %s", w, line)
		}
	}
}

func TestTerminalRedrawsAndCloses(t *testing.T) {
	drawn := make(chan struct{}, 1)
	w := writer(func(p []byte) (int, error) {
		select {
		case drawn <- struct{}{}:
		default:
		}
		return len(p), nil
	})
	r, err := ui.New(w, ui.Options{Size: size(80, 24), Every: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	r.Report(bake.Event{Kind: bake.EventStart, Image: "web", Task: "boot"})
	for range 3 {
		<-drawn
	}
	r.Close()
	r.Close()
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestPlain(t *testing.T) {
	for name, o := range map[string]ui.Options{
		"plain":         {},
		"plain-verbose": {Mode: ui.Plain, Verbose: true},
		"plain-colour":  {Mode: ui.Plain, Paint: true},
		"json":          {Mode: ui.JSON},
		"none":          {Mode: ui.None},
		"actions":       {Size: size(80, 24), Actions: &ui.Actions{Workspace: "/w/repo", Project: "/w/repo/sub"}},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			play(t, &b, o, nil).Close()
			uitest.Golden(t, name, b.String())
		})
	}
}

func TestUnknownMode(t *testing.T) {
	if _, err := ui.New(&strings.Builder{}, ui.Options{Mode: "loud"}); !errors.Is(err, bake.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

// Who presses Ctrl-C knows why the task ended.
func TestCancelledTaskShowsNoOutput(t *testing.T) {
	for _, mode := range []string{ui.Bars, ui.Plain} {
		var s screen
		r, err := ui.New(&s, ui.Options{Mode: mode, Size: size(80, 24)})
		if err != nil {
			t.Fatal(err)
		}
		task := bake.StartTask(r, "web", "step", nil)
		task.Log("Setting up nginx")
		_ = task.End(fmt.Errorf("step: %w", context.Canceled))
		r.Close()
		if strings.Contains(s.String(), "nginx") {
			t.Errorf("%s: got\n%s", mode, &s)
		}
	}
}
