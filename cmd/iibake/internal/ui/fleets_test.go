package ui_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/cmd/iibake/internal/uitest"
)

// rollouts is a wave of three fleets: one arrives, one is rolled back, and one cannot be.
func rollouts() []ui.Fleet {
	start := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	at := func(seconds int, f ui.Fleet) ui.Fleet {
		f.Time, f.Since, f.Expected = start.Add(time.Duration(seconds)*time.Second), start, bake.Duration(8*time.Minute)
		return f
	}
	return []ui.Fleet{
		at(0, ui.Fleet{Name: "web-eu", Phase: "staging", Old: 4, Healthy: 4, Desired: 4}),
		at(1, ui.Fleet{Name: "web-us", Phase: "staging", Old: 2, Healthy: 2, Desired: 2}),
		at(2, ui.Fleet{Name: "web-eu", Phase: "refreshing", Old: 4, Healthy: 4, Desired: 4, Reason: "Waiting for instances to launch. For example: i-1\x1b[2J"}),
		at(5, ui.Fleet{Name: "web-eu", Phase: "refreshing", Old: 4, New: 1, Healthy: 4, Desired: 4}),
		at(70, ui.Fleet{Name: "web-eu", Phase: "refreshing", Percent: 25, Old: 3, New: 1, Healthy: 4, Desired: 4}),
		at(75, ui.Fleet{Name: "web-eu", Phase: "refreshing", Percent: 25, Old: 3, New: 1, Healthy: 4, Desired: 4}),
		at(80, ui.Fleet{Name: "web-us", Phase: "going back", Percent: 50, Old: 1, New: 1, Healthy: 1, Desired: 2, Reason: "alarm web-5xx"}),
		at(90, ui.Fleet{Name: "web-us", Phase: "rolled back", End: ui.TurnedBack, Old: 0, New: 2, Healthy: 2, Desired: 2, Reason: "alarm web-5xx"}),
		at(91, ui.Fleet{Name: "web-ap", Phase: "failed", End: ui.Stuck, Desired: 1, Reason: "the group is gone"}),
		at(400, ui.Fleet{Name: "web-eu", Phase: "done", End: ui.Arrived, Percent: 100, New: 4, Healthy: 4, Desired: 4}),
	}
}

func show(t *testing.T, w interface{ Write([]byte) (int, error) }, o ui.Options, look func()) {
	t.Helper()
	var now time.Time
	o.Now = func() time.Time { return now }
	r, err := ui.New(w, o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, f := range rollouts() {
		now = f.Time
		r.Show(f)
		if look != nil {
			look()
		}
	}
}

func TestFleetsOnATerminal(t *testing.T) {
	for name, o := range map[string]ui.Options{
		"wide":   {Size: size(160, 40)},
		"middle": {Size: size(80, 40)},
		"narrow": {Size: size(50, 40)},
	} {
		t.Run(name, func(t *testing.T) {
			var s screen
			var pictures strings.Builder
			n := 0
			show(t, &s, o, func() {
				fmt.Fprintf(&pictures, "--- %d\n%s", n, &s)
				n++
			})
			fmt.Fprintf(&pictures, "--- closed\n%s", &s)
			uitest.Golden(t, "fleets-"+name, pictures.String())
			for line := range strings.Lines(s.String()) {
				if columns, _ := o.Size(); ui.Width(strings.TrimSuffix(line, "\n")) >= columns {
					t.Errorf("too long: %s", line)
				}
			}
		})
	}
}

func TestFleetsElsewhere(t *testing.T) {
	for name, o := range map[string]ui.Options{
		"plain":   {Mode: ui.Plain},
		"colour":  {Mode: ui.Plain, Paint: true},
		"json":    {Mode: ui.JSON},
		"none":    {Mode: ui.None},
		"actions": {Actions: &ui.Actions{}},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			show(t, &b, o, nil)
			uitest.Golden(t, "fleets-"+name, b.String())
		})
	}
}

func TestFleetsBelowTasks(t *testing.T) {
	var s screen
	r, err := ui.New(&s, ui.Options{Size: size(100, 6), Now: func() time.Time { return time.Time{} }})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i := range 5 {
		r.Show(ui.Fleet{Name: fmt.Sprintf("fleet%d", i), Phase: "refreshing"})
	}
	task := bake.StartTask(r, "web", "publish", nil)
	lines := strings.Split(strings.TrimSpace(s.String()), "\n")
	if len(lines) != 4 || !strings.Contains(lines[0], "publish") || !strings.Contains(lines[1], "fleet0") || !strings.Contains(lines[3], "and 3 more") {
		t.Errorf("got\n%s", &s)
	}
	_ = task.End(nil)
}
