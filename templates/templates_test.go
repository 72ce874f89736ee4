package templates_test

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/template"
	"github.com/iibake/iibake/templates"
)

var update = flag.Bool("update", false, "write the schema files")

// TestProjectsLoad checks each project as a user would: in an empty folder.
func TestProjectsLoad(t *testing.T) {
	t.Parallel()
	for name, files := range projects(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.CopyFS(dir, files); err != nil {
				t.Fatal(err)
			}
			p, err := template.Load(dir, template.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := bake.NewPlan(p.Images, nil); err != nil {
				t.Fatal(err)
			}
			for _, image := range p.Images {
				if image.Description == "" || image.Tests.Goss == "" {
					t.Errorf("%s: want a description and a goss file", image.File)
				}
			}
		})
	}
}

func TestProjectsHaveWhatAllShare(t *testing.T) {
	t.Parallel()
	for name, files := range projects(t) {
		var have []string
		err := fs.WalkDir(files, ".", func(p string, _ fs.DirEntry, err error) error {
			have = append(have, p)
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, want := range []string{"iibake.yaml", ".gitignore", ".github/workflows/images.yaml", "images", "tests"} {
			if n := len(slices.DeleteFunc(slices.Clone(have), func(p string) bool { return p != want })); n != 1 {
				t.Errorf("%s: %s is there %d times, want once", name, want, n)
			}
		}
	}
}

// TestTextsEndWell keeps the files such that git and editors have nothing to complain about.
func TestTextsEndWell(t *testing.T) {
	t.Parallel()
	for name, files := range projects(t) {
		err := fs.WalkDir(files, ".", func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := fs.ReadFile(files, p)
			if !bytes.HasSuffix(b, []byte("\n")) || bytes.Contains(b, []byte(" \n")) || bytes.Contains(b, []byte("\t")) {
				t.Errorf("%s: %s: want a newline at the end, no tabs and no trailing spaces", name, p)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestDefaultProjectHasTwoLayers(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"images/base.yaml", "images/web.yaml", "tests/base.goss.yaml", "tests/web.goss.yaml", "site/index.html"} {
		if _, err := fs.Stat(templates.Project(), name); err != nil {
			t.Error(err)
		}
	}
}

func TestNamedKnowsWhatThereIs(t *testing.T) {
	t.Parallel()
	_, err := templates.Named("debain-base")
	if !errors.Is(err, bake.ErrNotFound) || !strings.Contains(err.Error(), "debian-base, debian-nginx") {
		t.Errorf("error %v: want one that lists the names", err)
	}
}

// TestSchemaFiles pins the committed schemas, which editors fetch, to the code. Run it with -update to write them.
func TestSchemaFiles(t *testing.T) {
	t.Parallel()
	for _, kind := range []template.Kind{template.ProjectFile, template.TemplateFile} {
		want, err := template.Schema(kind)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("schema", string(kind)+".schema.json")
		if *update {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if have, err := os.ReadFile(file); err != nil || !bytes.Equal(have, want) {
			t.Errorf("%s is not what the code says (%v): run go test ./templates -update", file, err)
		}
	}
}

func projects(t *testing.T) map[string]fs.FS {
	t.Helper()
	all := map[string]fs.FS{"default": templates.Project()}
	for _, s := range templates.Starters() {
		files, err := templates.Named(s.Name)
		if err != nil {
			t.Fatal(err)
		}
		all[s.Name] = files
	}
	return all
}

// TestWorkflowKeepsTheEnvironment pins that a build under sudo still knows that it runs in GitHub Actions: without, it
// writes no annotations, no outputs and no summary.
func TestWorkflowKeepsTheEnvironment(t *testing.T) {
	t.Parallel()
	b, err := fs.ReadFile(templates.Project(), ".github/workflows/images.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if text := string(b); !strings.Contains(text, "run: sudo --preserve-env iibake build ") || strings.Contains(text, "sudo iibake") {
		t.Error("iibake is run without its environment")
	}
}
