package main

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/template"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/promote/asg/survey"
)

// TestStatusSaysTheSame has people, programs and the exit code count the same findings, of every kind and for every operand, with the same commands.
func TestStatusSaysTheSame(t *testing.T) {
	t.Parallel()
	p := &template.Project{
		Images: []bake.Template{{Name: "web"}}, Channels: map[string]template.Channel{"production": {}, "candidate": {}, "empty": {}},
		Fleets: map[string]template.Fleet{"web-gone": {}, "web-drifted": {}, "web-alias": {}},
	}
	for _, operands := range [][]string{nil, {"production"}, {"web"}, {"web@production"}, {"web-gone"}, {"web-drifted"}, {"web-alias", "web-gone"}, {"empty"}} {
		s, err := only(fullStatus(), p, operands)
		if err != nil {
			t.Fatal(err)
		}
		testMender().fill(s.Drift)
		var text, object bytes.Buffer
		if err := (statusText{s, ui.Paint(false)}).write(newConsole(streams{out: &text})); err != nil {
			t.Fatal(err)
		}
		if err := newConsole(streams{out: &object}).printJSON(s); err != nil {
			t.Fatal(err)
		}
		var told struct {
			Drift []promote.Drift `json:"drift"`
		}
		if err := json.Unmarshal(object.Bytes(), &told); err != nil {
			t.Fatal(err)
		}
		urgent := slices.DeleteFunc(told.Drift, func(d promote.Drift) bool { return d.Notice })
		_, below, _ := strings.Cut(text.String(), "\nto mend:\n")
		below, _, _ = strings.Cut(below, "\nworth knowing:\n")
		findings := strings.Count("\n"+below, "\n  ") - strings.Count("\n"+below, "\n    ")
		if findings != len(urgent) || s.Urgent() != len(urgent) || (exitCode(t.Context(), statusFailure(s)) == exitDrift) != (len(urgent) > 0) {
			t.Errorf("%q: text has %d findings, JSON %d, the status %d:\n%s", operands, findings, len(urgent), s.Urgent(), below)
		}
		for _, d := range urgent {
			for _, help := range append([]string{d.What}, mendOf(d.Mend, d.Remedy)...) {
				if !strings.Contains(below, help) {
					t.Errorf("%q: JSON alone has %q", operands, help)
				}
			}
		}
		missing := slices.ContainsFunc(urgent, func(d promote.Drift) bool { return d.Kind == promote.DriftMissing })
		if missing != strings.Contains(object.String(), `"missing": true`) {
			t.Errorf("%q: a group that is missing is not among the findings", operands)
		}
	}
}

func mendOf(commands []string, words string) []string {
	if len(commands) > 0 {
		return commands
	}
	return []string{words}
}

// TestMendingHelps: what is to be typed does not answer that there is nothing to do.
func TestMendingHelps(t *testing.T) {
	t.Parallel()
	ref := bake.Ref{Name: "web", Version: "2026.11.22-1-gbbbbbbb"}
	for want, d := range map[string]promote.Drift{
		"iibake build web --refresh": {Kind: promote.DriftRevoked, Image: "web", Channel: promote.Candidate},
		"iibake publish web:2026.11.22-1-gbbbbbbb --target eu\niibake promote web:2026.11.22-1-gbbbbbbb production": {
			Kind: promote.DriftAlias, Image: "web", Channel: "production", Target: "eu", Want: &ref, Parameter: "/web",
		},
		"iibake promote web@staging production --pin": {Kind: promote.DriftTemplate, Image: "web", Channel: "production", Fleet: "web-eu"},
		"iibake promote web:2026.11.22-1-gbbbbbbb production --only web-eu --pin": {
			Kind: promote.DriftTemplate, Image: "web", Channel: "production", Fleet: "web-eu", Want: &ref,
		},
	} {
		if got := strings.Join(testMender().commands(d), "\n"); got != want {
			t.Errorf("%s: got %q, want %q", d.Kind, got, want)
		}
	}
	d := promote.Drift{Kind: promote.DriftRevoked, Image: "web", Channel: promote.Candidate, Remedy: "change the template"}
	d.Mend = testMender().commands(d)
	if text := (statusText{}).about([]promote.Drift{d}); !strings.Contains(text, "    change the template\n    iibake build web --refresh\n") {
		t.Errorf("got %s", text)
	}
}

// mute is a catalog that never answers.
type mute struct{ catalog.Catalog }

func (mute) Get(ctx context.Context, _ string) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }

func (mute) List(ctx context.Context, _ string) ([]string, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestStatusOfAMuteCatalog(t *testing.T) {
	t.Parallel()
	r := newRecord(mute{}, t.TempDir(), t.TempDir())
	_, err := r.status(t.Context(), &template.Project{}, survey.Surveyor{}, time.Nanosecond)
	if err == nil || !strings.Contains(err.Error(), "the catalog did not answer within 1ns: ") || len(hints(err)) != 1 {
		t.Errorf("got %v", err)
	}
	p := patient{mute{}, time.Nanosecond, time.Now()}
	if _, err := p.Get(t.Context(), "key"); err == nil || !strings.Contains(err.Error(), "did not answer within 1ns") {
		t.Errorf("got %v", err)
	}
}
