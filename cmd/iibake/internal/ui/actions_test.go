package ui_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
)

func env(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func TestNewActions(t *testing.T) {
	if a := ui.NewActions(env(nil)); a != nil {
		t.Errorf("outside GitHub Actions: got %+v", a)
	}
	a := ui.NewActions(env(map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": "/o"}))
	if a == nil || a.Output != "/o" {
		t.Errorf("got %+v", a)
	}
}

func TestAnnotate(t *testing.T) {
	a := ui.Actions{Workspace: "/w", Project: "/w/machines"}
	for _, c := range []struct {
		pos  *bake.Position
		want string
	}{
		{nil, "::error::50%25 of%0Ait, gone\n"},
		{&bake.Position{File: "images/a,b.yaml", Line: 3, Column: 7}, "::error file=machines/images/a%2Cb.yaml,line=3,col=7::50%25 of%0Ait, gone\n"},
		{&bake.Position{File: "../../etc/x.yaml"}, "::error file=../../etc/x.yaml::50%25 of%0Ait, gone\n"},
	} {
		var b strings.Builder
		a.Annotate(&b, "error", c.pos, "50% of\nit, gone")
		if b.String() != c.want {
			t.Errorf("got %q, want %q", b.String(), c.want)
		}
	}
}

func TestOutputsAndSummary(t *testing.T) {
	dir := t.TempDir()
	a := ui.Actions{Output: filepath.Join(dir, "output"), Summary: filepath.Join(dir, "summary")}
	for range 2 {
		if err := a.SetOutputs("image", "web", "text", "a\nb=c"); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.AddSummary("| a |\n"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"output": "image=web\ntext=a b=c\nimage=web\ntext=a b=c\n", "summary": "| a |\n"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	if err := (ui.Actions{}).SetOutputs("a", "b"); err != nil {
		t.Errorf("without a file: %v", err)
	}
	if err := (ui.Actions{Output: dir}).SetOutputs("a", "b"); err == nil {
		t.Error("a folder took outputs")
	}
}
