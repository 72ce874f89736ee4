package bake_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
)

func TestTask(t *testing.T) {
	t.Parallel()
	var events []bake.Event
	pos := &bake.Position{File: "web.yaml", Line: 3, Column: 5}
	collect := bake.ReporterFunc(func(e bake.Event) {
		if e.Image != "web" || e.Task != "step 1/2" || e.Pos != pos || e.Time.Location() != time.UTC || e.Took < 0 {
			t.Errorf("got %+v", e)
		}
		e.Time, e.Took, e.Image, e.Task, e.Pos = time.Time{}, 0, "", "", nil
		events = append(events, e)
	})
	broken := errors.New("broken")
	task := bake.StartTask(collect, "web", "step 1/2", pos)
	task.Log("a line")
	task.Progress(3, 7)
	task.Note("%d packages", 2)
	task.Warn("%s", "careful")
	if err := task.End(broken); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if err := task.End(nil); err != nil {
		t.Errorf("got %v", err)
	}
	task.Skip("up to date")
	want := []bake.Event{
		{Kind: bake.EventStart},
		{Kind: bake.EventLog, Text: "a line"},
		{Kind: bake.EventProgress, Done: 3, Total: 7},
		{Kind: bake.EventNote, Text: "2 packages"},
		{Kind: bake.EventWarn, Text: "careful"},
		{Kind: bake.EventFail, Text: "broken"},
		{Kind: bake.EventDone},
		{Kind: bake.EventSkip, Text: "up to date"},
	}
	if !slices.Equal(events, want) {
		t.Errorf("got %+v", events)
	}
	bake.Discard().Report(want[0])
}

func TestPosition(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]bake.Position{
		"": {}, "a.yaml": {File: "a.yaml"}, "a.yaml:3:5": {File: "a.yaml", Line: 3, Column: 5},
	} {
		if got := p.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
