package template_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/template"
)

var update = flag.Bool("update", false, "write the golden files")

// TestErrors pins what users read when something is wrong. Each file of testdata/errors is a project, and at its end what
// Load says about it. Lines of the comment before the files set options: var, varfile and env.
func TestErrors(t *testing.T) {
	t.Parallel()
	golden(t, "testdata/errors/*.txtar", func(t *testing.T, dir string, o template.Options) string {
		t.Helper()
		_, err := template.Load(dir, o)
		if !errors.Is(err, bake.ErrInvalid) {
			t.Fatalf("error %v: want one that wraps bake.ErrInvalid", err)
		}
		checkErrors(t, err)
		return strings.ReplaceAll(err.Error(), dir+"/", "") + "\n"
	})
}

// checkErrors checks what holds for every error: it has a place and a hint.
func checkErrors(t *testing.T, err error) {
	t.Helper()
	var list template.Errors
	if !errors.As(err, &list) || len(list) == 0 {
		t.Fatalf("error %T %v: want Errors", err, err)
	}
	for _, e := range list {
		inFile := e.Pos.Line > 0 && e.Pos.Column > 0
		if e.Pos.File == "" || !inFile && !strings.HasPrefix(e.Pos.File, "--") && !strings.HasPrefix(e.Pos.File, "IIBAKE_VAR_") {
			t.Errorf("%q has no place", e)
		}
		if e.Text == "" || e.Hint == "" || strings.ContainsAny(e.Error(), "\n\x00") {
			t.Errorf("%q: want one line with a text and a hint", e)
		}
	}
}

// TestShow pins the complete form of projects, and that it means what the files mean: shown again it is the same.
func TestShow(t *testing.T) {
	t.Parallel()
	golden(t, "testdata/show/*.txtar", func(t *testing.T, dir string, o template.Options) string {
		t.Helper()
		p, err := template.Load(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		shown, err := template.Show(p)
		if err != nil {
			t.Fatal(err)
		}
		checkReadsBack(t, dir, string(shown))
		return string(shown)
	})
}

func checkReadsBack(t *testing.T, dir, shown string) {
	t.Helper()
	for doc := range strings.SplitSeq(shown, "---\n") {
		header, _, _ := strings.Cut(doc, "\n")
		write(t, dir, strings.TrimPrefix(header, "# "), doc)
	}
	p, err := template.Load(dir, template.Options{})
	if err != nil {
		t.Fatalf("the shown files do not load: %v\n%s", err, shown)
	}
	again, err := template.Show(p)
	if err != nil {
		t.Fatal(err)
	}
	if have, want := string(again), strings.ReplaceAll(shown, " # default", ""); have != want {
		t.Errorf("the shown files show as\n%s\nwant\n%s", have, want)
	}
}

// golden runs the projects that match a pattern and compares what run says with their last file, "want".
func golden(t *testing.T, pattern string, run func(t *testing.T, dir string, o template.Options) string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no file matches %s: %v", pattern, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			want := &archive.Files[len(archive.Files)-1]
			if want.Name != "want" {
				t.Fatalf("the last file is %s: want it to be want", want.Name)
			}
			for _, f := range archive.Files[:len(archive.Files)-1] {
				write(t, dir, f.Name, string(f.Data))
			}
			have := run(t, dir, options(t, dir, string(archive.Comment)))
			if *update {
				want.Data = []byte(have)
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if have != string(want.Data) {
				t.Errorf("have\n%s\nwant\n%s", have, want.Data)
			}
		})
	}
}

func options(t *testing.T, dir, comment string) template.Options {
	t.Helper()
	o := template.Options{Vars: map[string]string{}}
	for line := range strings.Lines(comment) {
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch verb {
		case "var":
			name, value, _ := strings.Cut(rest, "=")
			o.Vars[name] = value
		case "varfile":
			o.VarFiles = append(o.VarFiles, filepath.Join(dir, rest))
		case "env":
			o.Environ = append(o.Environ, rest)
		}
	}
	return o
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	file := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
