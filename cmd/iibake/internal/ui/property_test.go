package ui_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
)

// anything draws what programs write: letters of every width, ends of lines, and what moves a cursor or changes a terminal.
func anything() *rapid.Generator[string] {
	piece := rapid.OneOf(
		rapid.StringN(0, 8, 24),
		rapid.SampledFrom([]string{
			"\x1b[2J", "\x1b[31m", "\x1b[0m", "\x1b[", "\x1b", "\x1b]0;title\x07", "\x1b]8;;x\x1b\\", "\x1b[999A", "\x1b7", "\x9b1A", "\r", "\n", "\r\n", "\b", "\t", "\x00", "\x7f", "\xff", "\xc3",
			"::error::x", "::add-mask::x", "::group::", "##[error]x", "日本語", "e\u0301", "🙂", "\u202e", "\u2066", "\u200b", "\u2028", "\ufeff", "\u0085", "m", "%0A", " ", "-----",
		}),
	)
	return rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(piece, 0, 6).Draw(t, "pieces"), "") })
}

// TestCleanIsHarmless: nothing that a program writes can do more to a terminal than be read on it.
func TestCleanIsHarmless(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		dirty := anything().Draw(t, "line")
		clean := ui.Clean(dirty)
		if !utf8.ValidString(clean) || strings.ContainsFunc(clean, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }) {
			t.Fatalf("%q is left of %q", clean, dirty)
		}
		if again := ui.Clean(clean); again != clean {
			t.Fatalf("%q is cleaned to %q, and that to %q", dirty, clean, again)
		}
	})
}

// TestCleanKeepsText: what harms nobody stays as it is.
func TestCleanKeepsText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.RuneFrom(nil, unicode.Letter, unicode.Digit, unicode.Punct, unicode.Sm, unicode.Zs)).Draw(t, "text")
		if got := ui.Clean(text); got != text {
			t.Fatalf("%q became %q", text, got)
		}
		if got := ui.Clean("\x1b[1;32m" + text + "\x1b[0m\r\n"); got != text {
			t.Fatalf("%q with colours became %q", text, got)
		}
	})
}

// TestTablesLineUp: every column begins where it begins in the line above, whatever the cells hold and however they are coloured.
func TestTablesLineUp(t *testing.T) {
	t.Parallel()
	cell := rapid.StringOfN(rapid.SampledFrom([]rune("abc 日本é🙂✓-")), 1, 12, -1).Filter(func(s string) bool { return strings.TrimSpace(s) == s })
	rapid.Check(t, func(t *rapid.T) {
		columns := rapid.IntRange(1, 5).Draw(t, "columns")
		paint := ui.Paint(rapid.Bool().Draw(t, "colours"))
		rows := rapid.SliceOfN(rapid.SliceOfN(cell, columns, columns), 1, 6).Draw(t, "rows")
		table := ui.NewTable(rows[0]...)
		for _, row := range rows[1:] {
			painted := make([]string, len(row))
			for i, c := range row {
				painted[i] = paint.Good(c)
			}
			table.Row(painted...)
		}
		var b strings.Builder
		if err := table.Write(&b, paint); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		starts := make([]int, columns) // columns of the screen
		for _, row := range rows {
			at := 0
			for i, c := range row {
				starts[i] = max(starts[i], at)
				at = starts[i] + ui.Width(c) + 3
			}
		}
		for i := 1; i < columns; i++ { // the widest cell so far counts for all
			for _, row := range rows {
				starts[i] = max(starts[i], starts[i-1]+ui.Width(row[i-1])+3)
			}
		}
		for n, row := range rows {
			plain := ui.Clean(lines[n])
			for i, c := range row {
				before, behind := "", plain
				for ui.Width(before) < starts[i] && behind != "" {
					_, size := utf8.DecodeRuneInString(behind)
					before, behind = before+behind[:size], behind[size:]
				}
				if ui.Width(before) != starts[i] || !strings.HasPrefix(behind, c) {
					t.Fatalf("row %d: cell %d %q does not begin in column %d:\n%s", n, i, c, starts[i], b.String())
				}
			}
		}
	})
}

// stage is a reporter in the middle of something, and the clock that it has.
type stage struct {
	ui.Reporter
	now time.Time
}

// act reports something that might come next: tasks that begin and end in any order, and fleets.
func (s *stage) act(t *rapid.T, text *rapid.Generator[string]) {
	s.now = s.now.Add(time.Duration(rapid.IntRange(0, 7000).Draw(t, "milliseconds")) * time.Millisecond)
	if rapid.IntRange(0, 3).Draw(t, "what") == 0 {
		n := func(name string) int { return rapid.IntRange(0, 120).Draw(t, name) }
		s.Show(ui.Fleet{
			Name: rapid.SampledFrom([]string{"web-eu", "web-us", "db"}).Draw(t, "fleet"), Phase: text.Draw(t, "phase"), Reason: text.Draw(t, "reason"), Time: s.now, Since: s.now.Add(-time.Minute),
			Percent: n("percent"), Old: n("old"), New: n("new"), Healthy: n("healthy"), Desired: n("desired"), Expected: bake.Duration(n("expected")) * bake.Duration(time.Second),
			End: rapid.SampledFrom([]ui.Ending{ui.GoesOn, ui.GoesOn, ui.GoesOn, ui.Arrived, ui.TurnedBack, ui.Stuck}).Draw(t, "end"),
		})
		return
	}
	s.Report(bake.Event{
		Time: s.now, Image: rapid.SampledFrom([]string{"web", "base"}).Draw(t, "image"), Task: rapid.SampledFrom([]string{"boot", "step 1/2 apt nginx"}).Draw(t, "task"), Text: text.Draw(t, "text"),
		Kind: rapid.SampledFrom([]bake.EventKind{
			bake.EventStart, bake.EventStart, bake.EventProgress, bake.EventLog, bake.EventLog, bake.EventDone, bake.EventSkip, bake.EventStop, bake.EventFail, bake.EventNote, bake.EventWarn,
		}).Draw(t, "kind"),
		Done: rapid.Int64Range(-5, 1<<50).Draw(t, "done"), Total: rapid.Int64Range(-5, 1<<50).Draw(t, "total"), Took: time.Duration(rapid.Int64Range(0, int64(30*time.Hour)).Draw(t, "took")),
	})
}

// open returns a stage with a reporter that writes to w.
func open(t *rapid.T, w interface{ Write([]byte) (int, error) }, o ui.Options) *stage {
	s := &stage{now: begin()}
	o.Now = func() time.Time { return s.now }
	var err error
	if s.Reporter, err = ui.New(w, o); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestAnyStoryOnAnyScreen: the block of what is running fits on the screen, line by line, and it is gone in the end.
func TestAnyStoryOnAnyScreen(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		columns, rows := rapid.IntRange(40, 200).Draw(t, "columns"), rapid.IntRange(3, 12).Draw(t, "rows")
		var s screen
		var block []string // what the last picture ended with
		w := writer(func(p []byte) (int, error) {
			_, picture, _ := strings.Cut(string(p), "\x1b[?7l")
			picture, ok := strings.CutSuffix(picture, "\x1b[J\x1b[?7h")
			if !ok {
				t.Fatalf("%q does not end with a picture", p)
			}
			block = strings.Split(strings.TrimSuffix(picture, "\x1b[K\n"), "\x1b[K\n")
			return s.Write(p)
		})
		stage := open(t, w, ui.Options{Mode: ui.Bars, Size: size(columns, rows), Names: []string{"web", "base"}, Paint: ui.Paint(rapid.Bool().Draw(t, "colours"))})
		for range rapid.IntRange(1, 25).Draw(t, "events") {
			stage.act(t, anything())
			if len(block) > max(1, rows-2) {
				t.Fatalf("%d lines on a screen of %d: %q", len(block), rows, block)
			}
			for _, line := range block {
				if ui.Width(line) >= columns {
					t.Fatalf("%d columns on a screen of %d: %q", ui.Width(line), columns, line)
				}
			}
		}
		lines := s.row
		stage.Close()
		if strings.Join(block, "") != "" || s.row > lines {
			t.Fatalf("closed, and something still runs: %q", block)
		}
	})
}

// TestNoOutputIsACommandOfTheJob: whatever programs and services say, only iibake's own commands reach GitHub Actions.
func TestNoOutputIsACommandOfTheJob(t *testing.T) {
	t.Parallel()
	own := []string{"::group::web: boot", "::group::web: step 1/2 apt nginx", "::group::base: boot", "::group::base: step 1/2 apt nginx", "::endgroup::", "::error::", "::warning::"}
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		stage := open(t, &b, ui.Options{Actions: &ui.Actions{}, Verbose: rapid.Bool().Draw(t, "verbose")})
		for range rapid.IntRange(1, 25).Draw(t, "events") {
			stage.act(t, anything())
		}
		stage.Close()
		groups := 0
		for line := range strings.Lines(b.String()) {
			line = strings.TrimSuffix(line, "\n")
			if strings.ContainsAny(line, "\r\x1b\x00") {
				t.Fatalf("%q is not one line of text", line)
			}
			switch {
			case strings.HasPrefix(line, "::group::"):
				groups++
			case line == "::endgroup::":
				groups--
			}
			if strings.HasPrefix(line, "::") && !hasAnyPrefix(line, own) || groups < 0 || groups > 1 {
				t.Fatalf("%q is not ours, with %d groups open:\n%s", line, groups, &b)
			}
			if strings.HasPrefix(line, "| ") && strings.Contains(line, "##[") {
				t.Fatalf("%q is a command of the second kind", line)
			}
		}
		if groups != 0 {
			t.Fatalf("a group is open:\n%s", &b)
		}
	})
}

func hasAnyPrefix(line string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(line, p) {
			return true
		}
	}
	return false
}

// TestPlainLinesBelongToSomething: every line of a log says of which image or fleet it is, and nothing in it begins another line.
func TestPlainLinesBelongToSomething(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		stage := open(t, &b, ui.Options{Mode: ui.Plain, Verbose: rapid.Bool().Draw(t, "verbose")})
		n := rapid.IntRange(1, 25).Draw(t, "events")
		for range n {
			stage.act(t, anything())
		}
		stage.Close()
		for line := range strings.Lines(b.String()) {
			if !hasAnyPrefix(line, []string{"web: ", "base: ", "web-eu: ", "web-us: ", "db: ", "web\n", "base\n"}) || strings.ContainsAny(line, "\r\x1b\x00") {
				t.Fatalf("%q is of nobody", line)
			}
		}
	})
}

// TestTwoPicturesNeverMix: a screen that is too small counts what it cannot show.
func TestTwoPicturesNeverMix(t *testing.T) {
	t.Parallel()
	for rows := range 8 {
		var s screen
		r, err := ui.New(&s, ui.Options{Size: size(80, rows), Now: begin})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			r.Report(bake.Event{Kind: bake.EventStart, Image: fmt.Sprint("image", i), Task: "boot"})
		}
		shown := strings.Count(s.String(), "boot")
		if room := max(rows-2, 1); strings.Count(strings.TrimSpace(s.String()), "\n")+1 > room || shown < 4 && !strings.Contains(s.String(), fmt.Sprintf("and %d more", 4-shown)) {
			t.Errorf("%d rows: %d shown:\n%s", rows, shown, &s)
		}
		r.Close()
	}
}
