package template_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/template"
)

// FuzzLoad feeds anything as a project and as a template: it loads and can be shown and shown again, or every error has a
// place and a hint.
func FuzzLoad(f *testing.F) {
	f.Add(small, web)
	f.Add(small, "? &a [*a]\n: <<: *a\n")
	f.Add(small, "a: !!binary x\n<<: [{<<: 1}]\n\"\": ${{ vars.}}")
	files, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, member := range archive.Files {
			if strings.HasPrefix(member.Name, "images/") {
				f.Add(small, string(member.Data))
			} else if member.Name == "iibake.yaml" {
				f.Add(string(member.Data), web)
			}
		}
	}
	f.Fuzz(func(t *testing.T, iibake, image string) {
		dir := project(t, iibake, image)
		p, err := template.Load(dir, template.Options{})
		if err != nil {
			checkErrors(t, err)
			return
		}
		shown, err := template.Show(p)
		if err != nil {
			t.Fatal(err)
		}
		checkReadsBack(t, dir, string(shown))
		for _, image := range p.Images {
			if image.Dir != dir || image.Pos.Line == 0 || image.Source.Pos.Line == 0 {
				t.Errorf("%s: incomplete: %+v", image.File, image)
			}
		}
	})
}

// FuzzVarFile feeds anything as a file of variables.
func FuzzVarFile(f *testing.F) {
	f.Add("level: high\n")
	f.Add("level: { secret: { env: X } }\n")
	f.Add("level: ${{ vars.level }}\n<<: {level: 1}")
	f.Fuzz(func(t *testing.T, vars string) {
		dir := project(t, small, web+"vars: { level: strict }\nsteps: [{ run: 'echo ${{ vars.level }}' }]\n")
		file := filepath.Join(dir, "vars.yaml")
		if err := os.WriteFile(file, []byte(vars), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := template.Load(dir, template.Options{VarFiles: []string{file}}); err != nil {
			checkErrors(t, err)
			if !errors.Is(err, bake.ErrInvalid) {
				t.Errorf("error %v: want ErrInvalid", err)
			}
		}
	})
}
