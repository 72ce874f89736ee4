package test_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test"
)

// tree writes files below a new folder.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestGossFiles(t *testing.T) {
	dir := tree(t, map[string]string{
		"tests/web.yaml":         "gossfile:\n  common/*.yaml: {}\n  ../shared.yml: {}\n  alias:\n    file: by-file.yaml\n  /etc/in-the-guest.yaml: {}\n",
		"tests/common/a.yaml":    "gossfile:\n  b.json: {}\n  ../web.yaml: {}\nfile: {}\n", // and in circles
		"tests/common/b.json":    `{"gossfile": {"missing.yaml": {}}}`,
		"tests/by-file.yaml":     "file: {}",
		"tests/other.yaml":       "file: {}",
		"shared.yml":             "file: {}",
		"tests/template.yaml":    "{{ $x := 1 }}\ngossfile:\n  os-{{ .Vars.os }}.yaml: {}\n{{ if eq .Vars.os `debian` }}\nport:\n  tcp:{{ .Vars.port }}: {listening: true}\n{{ end }}\n",
		"tests/os-debian.yaml":   "file: {}",
		"tests/os-fedora.yaml":   "file: {}",
		"tests/unreadable.yaml":  "{{ range $i := seq }}x{{ end }}: [",
		"tests/not-a-goss.yaml":  "gossfile: [a, b]",
		"tests/outside.yaml":     "gossfile: {../../etc/passwd: {}}",
		"tests/with-broken.yaml": "gossfile: {not-a-goss.yaml: {}}",
	})
	for goss, want := range map[string][]string{
		"":                      nil,
		"tests/web.yaml":        {"shared.yml", "tests/by-file.yaml", "tests/common/a.yaml", "tests/common/b.json", "tests/web.yaml"},
		"./tests/template.yaml": {"tests/os-debian.yaml", "tests/os-fedora.yaml", "tests/template.yaml"},
		"tests/unreadable.yaml": {"tests/unreadable.yaml"},
		"tests/outside.yaml":    {"tests/outside.yaml"},
	} {
		files, err := test.GossFiles(bake.Template{Name: "web", Dir: dir, Tests: bake.Tests{Goss: goss}})
		if got := slices.Sorted(maps.Keys(files)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %v, %v, want %v", goss, got, err, want)
		}
	}
	for goss, want := range map[string]string{
		"tests/nowhere.yaml":     "no such file",
		"tests/with-broken.yaml": "goss file of web: tests/not-a-goss.yaml: yaml",
	} {
		if _, err := test.GossFiles(bake.Template{Name: "web", Dir: dir, Tests: bake.Tests{Goss: goss}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", goss, err, want)
		}
	}
}

func TestGossFilesAreLimited(t *testing.T) {
	dir := tree(t, map[string]string{"a.yaml": "gossfile: {b.yaml: {}}", "b.yaml": strings.Repeat("#", 9<<20)})
	if _, err := test.GossFiles(bake.Template{Dir: dir, Tests: bake.Tests{Goss: "a.yaml"}}); err == nil || !strings.Contains(err.Error(), "larger than 8 MiB") {
		t.Errorf("got %v", err)
	}
}
