package ui_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
)

// told returns what a reporter writes about events and fleets, a line for each line.
func told(t *testing.T, o ui.Options, tell func(r ui.Reporter)) []string {
	t.Helper()
	var b strings.Builder
	r, err := ui.New(&b, o)
	if err != nil {
		t.Fatal(err)
	}
	tell(r)
	r.Close()
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

func sameLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
}

// begin is the time at which the tests below begin.
func begin() time.Time { return time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC) }

func after(seconds int) time.Time { return begin().Add(time.Duration(seconds) * time.Second) }

// TestPlainProgressIsRare: lines stay, so that one task writes about its progress every ten seconds at most.
func TestPlainProgressIsRare(t *testing.T) {
	t.Parallel()
	got := told(t, ui.Options{Mode: ui.Plain}, func(r ui.Reporter) {
		r.Report(bake.Event{Kind: bake.EventStart, Image: "web", Task: "fetch", Time: after(0)})
		for _, p := range []struct {
			second      int
			done, total int64
		}{
			{1, 1 << 20, 0}, {9, 2 << 20, 0}, {10, 3 << 20, 0}, {19, 4 << 20, 0}, {20, 5 << 20, 20 << 20}, {21, 6 << 20, 20 << 20}, {40, 30 << 20, 20 << 20},
		} {
			r.Report(bake.Event{Kind: bake.EventProgress, Image: "web", Task: "fetch", Time: after(p.second), Done: p.done, Total: p.total})
		}
		r.Report(bake.Event{Kind: bake.EventDone, Image: "web", Task: "fetch", Took: time.Second})
	})
	sameLines(t, got, "web: fetch ...", "web: fetch: 3.0 MiB", "web: fetch: 5.0 MiB of 20 MiB (25%)", "web: fetch: 30 MiB of 20 MiB (100%)", "web: fetch: done in 1.0s")
}

// TestTasksOfOneName: tasks that follow each other under one name do not see each other's output.
func TestTasksOfOneName(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		o    ui.Options
		want []string
	}{
		"plain": {ui.Options{Mode: ui.Plain}, []string{
			"web: step ...", "web: step: done in 0.0s", "web: step ...", "web: | two", "web: step: failed after 0.0s",
		}},
		"actions": {ui.Options{Actions: &ui.Actions{}}, []string{
			"web: step ...", "::group::web: step", "| one", "::endgroup::", "web: step: done in 0.0s",
			"web: step ...", "| two", "::error::web: step: exit status 1", "web: step: failed after 0.0s",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sameLines(t, told(t, c.o, func(r ui.Reporter) {
				e := bake.Event{Image: "web", Task: "step"}
				for _, said := range []struct {
					kind bake.EventKind
					text string
				}{
					{bake.EventStart, ""},
					{bake.EventLog, "one"},
					{bake.EventDone, ""},
					{bake.EventStart, ""},
					{bake.EventLog, "two"},
					{bake.EventFail, "exit status 1\nand more"},
				} {
					e.Kind, e.Text = said.kind, said.text
					r.Report(e)
				}
			}), c.want...)
		})
	}
}

// TestOutputKeepsItsEnd: of what a program wrote the last lines are shown when it fails, however much there was.
func TestOutputKeepsItsEnd(t *testing.T) {
	t.Parallel()
	for _, lines := range []int{0, 1, 19, 20, 21, 39, 40, 41, 1000} {
		var s screen
		for mode, got := range map[string]func(tell func(ui.Reporter)) string{
			ui.Plain: func(tell func(ui.Reporter)) string {
				return strings.Join(told(t, ui.Options{Mode: ui.Plain}, tell), "\n")
			},
			ui.Bars: func(tell func(ui.Reporter)) string {
				s = screen{}
				r, err := ui.New(&s, ui.Options{Mode: ui.Bars})
				if err != nil {
					t.Fatal(err)
				}
				tell(r)
				r.Close()
				return s.String()
			},
		} {
			out := got(func(r ui.Reporter) {
				task := bake.StartTask(r, "web", "step", nil)
				for i := range lines {
					task.Log(fmt.Sprintf("line %d.", i))
				}
				_ = task.End(os.ErrInvalid)
			})
			for i := range lines {
				if shown, want := strings.Contains(out, fmt.Sprintf(" line %d.", i)), i >= lines-20; shown != want {
					t.Fatalf("%s: line %d of %d is shown: %v", mode, i, lines, shown)
				}
			}
		}
	}
}

// TestInterruptedTasksShowNoOutput: of a task that ended because the user wanted it to, whichever program says so, nothing is shown.
func TestInterruptedTasksShowNoOutput(t *testing.T) {
	t.Parallel()
	for text, shown := range map[string]bool{"x: context canceled": false, "qemu: signal received": false, "signal: killed": true, "context deadline exceeded": true} {
		got := told(t, ui.Options{Mode: ui.Plain}, func(r ui.Reporter) {
			for _, e := range []bake.Event{{Kind: bake.EventStart}, {Kind: bake.EventLog, Text: "output"}, {Kind: bake.EventFail, Text: text}} {
				e.Image, e.Task = "web", "step"
				r.Report(e)
			}
		})
		if slices.Contains(got, "web: | output") != shown {
			t.Errorf("%s: got %q", text, got)
		}
	}
}

// TestEventsWithoutTheirTask: who joins late, or reports out of order, is shown all the same.
func TestEventsWithoutTheirTask(t *testing.T) {
	t.Parallel()
	tell := func(r ui.Reporter) {
		for _, k := range []bake.EventKind{bake.EventLog, bake.EventProgress, bake.EventFail, bake.EventDone, bake.EventSkip, bake.EventStop, bake.EventNote, bake.EventWarn} {
			r.Report(bake.Event{Kind: k, Image: "web", Task: "lost", Text: "why", Done: 1})
		}
	}
	sameLines(t, told(t, ui.Options{Mode: ui.Plain}, tell),
		"web: lost: failed after 0.0s", "web: lost: done in 0.0s", "web: lost: skipped: why", "web: lost: not done: why", "web: why", "web: warning: why")
	var s screen
	r, err := ui.New(&s, ui.Options{Size: size(40, 10)})
	if err != nil {
		t.Fatal(err)
	}
	tell(r)
	r.Close()
	sameLines(t, strings.Split(strings.TrimSpace(s.String()), "\n"),
		"web  ✗ lost                        0.0s", "web  ✓ lost                        0.0s", "web  – lost · why", "web  – lost · why", "web    why", "web  ! why")
}

// TestPlainFleets: a fleet gets a line at each change of its phase, and one in ten seconds at most about its instances.
func TestPlainFleets(t *testing.T) {
	t.Parallel()
	fleet := func(second int, phase string, percent int, change func(*ui.Fleet)) ui.Fleet {
		f := ui.Fleet{Name: "web-eu", Phase: phase, Percent: percent, Time: after(second), Since: begin(), Desired: 2, Old: 2}
		if change != nil {
			change(&f)
		}
		return f
	}
	shows := []ui.Fleet{
		fleet(0, "staging", 0, nil),
		fleet(1, "staging", 0, nil), // nothing is new
		fleet(30, "staging", 0, nil),
		fleet(31, "refreshing", 0, nil), // another phase, at once
		fleet(32, "refreshing", 10, nil),
		fleet(41, "refreshing", 20, nil), // ten seconds after the last line
		fleet(50, "refreshing", 30, nil),
		fleet(60, "refreshing", 30, func(f *ui.Fleet) { f.Expected = bake.Duration(time.Hour) }),
		fleet(61, "refreshing", 30, func(f *ui.Fleet) { f.End, f.Reason = ui.Stuck, "alarm\x1b[2J" }), // the end, at once
		fleet(62, "refreshing", 30, nil), // goes on its way again
	}
	sameLines(t, told(t, ui.Options{Mode: ui.Plain}, func(r ui.Reporter) {
		for _, f := range shows {
			r.Show(f)
		}
	}),
		"web-eu: staging: 2 old 0 new 0/2 healthy, 0.0s",
		"web-eu: refreshing: 2 old 0 new 0/2 healthy, 31s",
		"web-eu: refreshing 20%: 2 old 0 new 0/2 healthy, 41s",
		"web-eu: refreshing 30%: 2 old 0 new 0/2 healthy, 1m00s of ~1h00m",
		"web-eu: refreshing 30%: 2 old 0 new 0/2 healthy, 1m01s: alarm",
		"web-eu: refreshing 30%: 2 old 0 new 0/2 healthy, 1m02s")
	lines := told(t, ui.Options{Mode: ui.JSON}, func(r ui.Reporter) {
		for _, f := range shows {
			r.Show(f)
		}
	})
	if len(lines) != 7 { // all but those in which only time passed, or what is expected
		t.Errorf("%d lines of JSON:\n%s", len(lines), strings.Join(lines, "\n"))
	}
}

// TestFleetNobodyLookedAt: nothing is claimed of instances that nobody has counted, nor of a time that nobody knows.
func TestFleetNobodyLookedAt(t *testing.T) {
	t.Parallel()
	for _, expected := range []time.Duration{0, -time.Minute} {
		f := ui.Fleet{Name: "web", Phase: "waiting", Time: begin(), Since: after(5), Expected: bake.Duration(expected)}
		sameLines(t, told(t, ui.Options{Mode: ui.Plain}, func(r ui.Reporter) { r.Show(f) }), "web: waiting: 0.0s")
		var s screen
		r, err := ui.New(&s, ui.Options{Size: size(100, 10), Now: begin})
		if err != nil {
			t.Fatal(err)
		}
		r.Show(f)
		if strings.Contains(s.String(), "old") || strings.Contains(s.String(), "~") || !strings.Contains(s.String(), "waiting") {
			t.Errorf("expected %v: got %s", expected, &s)
		}
		r.Close()
	}
}

// TestOddNumbers: what a service says is shown, also where it makes no sense.
func TestOddNumbers(t *testing.T) {
	t.Parallel()
	var s screen
	r, err := ui.New(&s, ui.Options{Size: size(120, 20), Now: begin})
	if err != nil {
		t.Fatal(err)
	}
	for i, percent := range []int{-5, 0, 1, 99, 100, 250} {
		r.Show(ui.Fleet{Name: fmt.Sprint("fleet", i), Phase: "refreshing", Percent: percent, Since: after(60)})
	}
	for i, done := range []int64{-1, 0, 1 << 62} {
		r.Report(bake.Event{Kind: bake.EventStart, Image: fmt.Sprint("image", i), Task: "fetch"})
		r.Report(bake.Event{Kind: bake.EventProgress, Image: fmt.Sprint("image", i), Task: "fetch", Done: done, Total: 1 << 30})
	}
	for line := range strings.SplitSeq(strings.TrimSpace(s.String()), "\n") {
		if bar := strings.Count(line, "━") + strings.Count(line, "─"); bar != 16 && bar != 24 {
			t.Errorf("a bar of %d: %s", bar, line)
		}
	}
	r.Close()
}

// TestTerminalWaitsForItsPicture: with a rhythm set, no event draws by itself: a flood of them costs little.
func TestTerminalWaitsForItsPicture(t *testing.T) {
	t.Parallel()
	writes := 0
	r, err := ui.New(writer(func(p []byte) (int, error) { writes++; return len(p), nil }), ui.Options{Size: size(80, 24), Every: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		r.Report(bake.Event{Kind: bake.EventNote, Image: "web", Text: "x"})
		r.Show(ui.Fleet{Name: strconv.Itoa(i), Phase: "x"})
	}
	if writes != 0 {
		t.Errorf("%d writes before the first picture", writes)
	}
	if r.Close(); writes != 1 {
		t.Errorf("%d writes at the end: want one", writes)
	}
}

// TestActionsWithBars: who asks for bars in a job gets them, and they are gone in the end.
func TestActionsWithBars(t *testing.T) {
	t.Parallel()
	var s screen
	r, err := ui.New(&s, ui.Options{Mode: ui.Bars, Actions: &ui.Actions{}})
	if err != nil {
		t.Fatal(err)
	}
	r.Report(bake.Event{Kind: bake.EventStart, Image: "web", Task: "boot"})
	if !strings.Contains(s.String(), "boot") {
		t.Errorf("got %s", &s)
	}
	if r.Close(); strings.Contains(s.String(), "boot") {
		t.Errorf("closed, and still there: %s", &s)
	}
}

// TestActionsOnlyNameWhatIsInTheRepository pins where annotations point.
func TestActionsOnlyNameWhatIsInTheRepository(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		workspace, project string
		pos                bake.Position
		want               string
	}{
		{"/w", "/w", bake.Position{File: "a.yaml", Line: 1, Column: 2}, "::notice file=a.yaml,line=1,col=2::x\n"},
		{"/w", "/w", bake.Position{File: "a.yaml"}, "::notice file=a.yaml::x\n"},
		{"/w", "/w", bake.Position{Line: 4, Column: 2}, "::notice::x\n"},
		{"/w", "/elsewhere", bake.Position{File: "a.yaml", Line: 1, Column: 1}, "::notice file=a.yaml,line=1,col=1::x\n"},
		{"", "/w", bake.Position{File: "a:b%.yaml", Line: 1, Column: 1}, "::notice file=a%3Ab%25.yaml,line=1,col=1::x\n"},
		{"/w/repo", "/w/repository", bake.Position{File: "a.yaml", Line: 1, Column: 1}, "::notice file=a.yaml,line=1,col=1::x\n"},
	} {
		var b strings.Builder
		ui.Actions{Workspace: c.workspace, Project: c.project}.Annotate(&b, "notice", &c.pos, "x")
		if b.String() != c.want {
			t.Errorf("%+v: got %q, want %q", c, b.String(), c.want)
		}
	}
}

func TestOutputsThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"/dev/full", filepath.Join(t.TempDir(), "no", "folder")} {
		if _, err := os.Stat("/dev/full"); err != nil && file == "/dev/full" {
			continue // this system has no disk that is full
		}
		if err := (ui.Actions{Output: file}).SetOutputs("a", "b"); err == nil {
			t.Errorf("%s took outputs", file)
		}
		if err := (ui.Actions{Summary: file}).AddSummary("x"); err == nil {
			t.Errorf("%s took a summary", file)
		}
	}
	file := filepath.Join(t.TempDir(), "output")
	if err := (ui.Actions{Output: file}).SetOutputs("a", "1\r\nb=2", "left alone"); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "a=1  b=2\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestNumbersAtTheirEdges pins where one unit ends and the next one begins.
func TestNumbersAtTheirEdges(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		1048063: "1023 KiB", 1048064: "1.0 MiB", 10188: "9.9 KiB", 10189: "10 KiB", -1: "-1 B", 1<<63 - 1: "8388608 TiB",
	} {
		if got := ui.Bytes(n); got != want {
			t.Errorf("%d bytes: got %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		9949 * time.Millisecond: "9.9s", 9950 * time.Millisecond: "10s", 59499 * time.Millisecond: "59s", 59500 * time.Millisecond: "1m00s",
		time.Hour: "1h00m", time.Hour + 29*time.Second: "1h00m", time.Hour + 30*time.Second: "1h01m", 100 * time.Hour: "100h00m", -time.Second: "-1.0s",
	} {
		if got := ui.Took(d); got != want {
			t.Errorf("took %v: got %q, want %q", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		time.Minute - 1: "now", time.Minute: "1m", time.Hour - 1: "59m", time.Hour: "1h", 48*time.Hour - 1: "47h", 48 * time.Hour: "2d",
	} {
		if got := ui.Age(d); got != want {
			t.Errorf("age %v: got %q, want %q", d, got, want)
		}
	}
	for s, want := range map[string]int{"Ａｂ": 4, "한글": 4, "\u200d\u2060": 0, "a\x1b[0m\x1b[1;31mb": 2, "\x1b[": 2, "🙂": 2, "\xff": 1} {
		if got := ui.Width(s); got != want {
			t.Errorf("%q is %d columns wide, want %d", s, got, want)
		}
	}
}

// TestJSONIsOneLineAnEvent: whatever an event holds, it is one line that reads back as what it was.
func TestJSONIsOneLineAnEvent(t *testing.T) {
	t.Parallel()
	want := bake.Event{
		Time: begin(), Kind: bake.EventFail, Image: "web", Task: "a \"b\"\n\u2028<&>", Text: "x\ny\x00\x1b[31m", Took: time.Second, Done: 1, Total: 2,
		Pos: &bake.Position{File: "a.yaml", Line: 3, Column: 7},
	}
	lines := told(t, ui.Options{Mode: ui.JSON}, func(r ui.Reporter) { r.Report(want) })
	var got struct {
		bake.Event
		Took bake.Duration `json:"took"`
	}
	if err := json.Unmarshal([]byte(lines[0]), &got); err != nil || len(lines) != 1 {
		t.Fatalf("%v: %q", err, lines)
	}
	got.Event.Took = time.Duration(got.Took)
	if *got.Pos != *want.Pos {
		t.Errorf("got %v", got.Pos)
	}
	if got.Pos = want.Pos; got.Event != want {
		t.Errorf("got %+v\nwant %+v", got.Event, want)
	}
}

// TestTableOddRows: rows may be longer and shorter than the heading, and cells empty.
func TestTableOddRows(t *testing.T) {
	t.Parallel()
	table := ui.NewTable("A", "B")
	table.Row()
	table.Row("1")
	table.Row("", "22", "333", "")
	table.Row("1", "2", "3", "4")
	var b strings.Builder
	if err := table.Write(&b, false); err != nil || b.String() != "A   B\n\n1\n    22   333\n1   2    3     4\n" {
		t.Errorf("got %q, %v", b.String(), err)
	}
	broken := writer(func([]byte) (int, error) { return 0, os.ErrClosed })
	if err := table.Write(broken, false); err == nil {
		t.Error("a table that could not be written was")
	}
}
