package template_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/template"
)

const (
	small = "version: 1\ntemplates: [web.yaml]\n"
	web   = "version: 1\nname: web\nsource: { debian: { suite: bookworm } }\n"
)

// project writes a project with one template and returns its folder.
func project(t testing.TB, iibake, image string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"iibake.yaml": iibake, "web.yaml": image} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func load(t *testing.T, dir string) *template.Project {
	t.Helper()
	p, err := template.Load(dir, template.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestFindLooksUpwards(t *testing.T) {
	t.Parallel()
	dir := project(t, small, web)
	deep := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{dir, deep} {
		if found, err := template.Find(from); err != nil || found != dir {
			t.Errorf("Find(%s) = %s, %v: want %s", from, found, err, dir)
		}
	}
	_, err := template.Find(t.TempDir())
	if !errors.Is(err, bake.ErrNotFound) || !strings.Contains(err.Error(), "iibake init") {
		t.Errorf("without a project the error is %v: want ErrNotFound and what to do", err)
	}
}

func TestLoadWithoutProject(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "nothing")} {
		if _, err := template.Load(dir, template.Options{}); err == nil || errors.Is(err, bake.ErrInvalid) {
			t.Errorf("error %v: want one that is not about the content of files", err)
		}
	}
}

func TestTemplateIsComplete(t *testing.T) {
	t.Parallel()
	dir := project(t, small, web+`steps: [{ run: "true" }]`+"\n")
	image := load(t, dir).Images[0]
	if image.Dir != dir || image.File != "web.yaml" {
		t.Errorf("template of %s in %s: want web.yaml in %s", image.File, image.Dir, dir)
	}
	for what, places := range map[string][2]string{
		"name":   {image.Pos.String(), "web.yaml:2:7"},
		"source": {image.Source.Pos.String(), "web.yaml:3:9"},
		"step":   {image.Steps[0].Pos.String(), "web.yaml:4:9"},
	} {
		if places[0] != places[1] {
			t.Errorf("the %s is at %s: want %s", what, places[0], places[1])
		}
	}
	if image.DiskSize != 2*bake.GiB || image.Tests.Reboot == nil || !*image.Tests.Reboot || image.Steps[0].Timeout == 0 {
		t.Errorf("defaults are missing: %+v", image)
	}
}

// What looks like an address and is none must not become a folder of that name.
func TestCatalogOfAWrongAddress(t *testing.T) {
	t.Parallel()
	for address, hint := range map[string]string{
		"s3:/bucket/x": "write s3://bucket/x", "s3:bucket": "write s3://bucket", "S3://bucket": "write s3://bucket", "s3:": "write s3://bucket/prefix",
		"gs:bucket": "write the path of a folder, or s3://bucket/prefix", "https://x": "write the path of a folder, or s3://bucket/prefix",
	} {
		_, err := template.Load(project(t, small+"catalog: '"+address+"'\n", web), template.Options{})
		if want := `"catalog" cannot be "` + address + `": ` + hint; err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "iibake.yaml:") {
			t.Errorf("%v: want %s, with its place", err, want)
		}
	}
	for _, folder := range []string{"record", "./a:b", "../x", "a/b:c"} {
		load(t, project(t, small+"catalog: '"+folder+"'\n", web))
	}
}

func TestCatalogAndStore(t *testing.T) {
	t.Parallel()
	elsewhere := t.TempDir()
	for _, c := range []struct{ lines, catalog, work, store string }{
		{"", "DIR/.iibake", "DIR/.iibake", "DIR/.iibake/store"},
		{"catalog: build/record", "DIR/build/record", "DIR/build/record", "DIR/build/record/store"},
		{"catalog: " + elsewhere, elsewhere, elsewhere, elsewhere + "/store"},
		{"store: " + elsewhere, "DIR/.iibake", "DIR/.iibake", elsewhere},
		{"catalog: s3://bucket/prefix", "s3://bucket/prefix", "DIR/.iibake", "DIR/.iibake/store"},
		{"catalog: s3://bucket/prefix\nstore: " + elsewhere, "s3://bucket/prefix", "DIR/.iibake", elsewhere},
	} {
		dir := project(t, small+c.lines+"\n", web)
		p := load(t, dir)
		if want := strings.ReplaceAll(c.catalog, "DIR", dir); p.CatalogAddress() != want {
			t.Errorf("%s: catalog in %q: want %q", c.lines, p.CatalogAddress(), want)
		}
		if want := strings.ReplaceAll(c.work, "DIR", dir); p.WorkDir() != want {
			t.Errorf("%s: work in %q: want %q", c.lines, p.WorkDir(), want)
		}
		if want := strings.ReplaceAll(c.store, "DIR", dir); p.StoreDir() != want {
			t.Errorf("%s: store in %q: want %q", c.lines, p.StoreDir(), want)
		}
	}
}

// TestLinksOutOfRepository: a link may lead anywhere within the repository and nowhere else.
func TestLinksOutOfRepository(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "secret")
	write(t, filepath.Dir(outside), "secret", "hunter2")
	step := web + "steps: [{ script: link }]\n"
	for _, c := range []struct{ image, target, want string }{
		{step, outside, `web.yaml:4:19: "script": a symbolic link in "link" leads out of the repository`},
		{step, "../" + filepath.Base(filepath.Dir(outside)) + "/secret", "leads out of the repository"},
		{step, "web.yaml", ""},
	} {
		dir := project(t, small, c.image)
		if err := os.Symlink(c.target, filepath.Join(dir, "link")); err != nil {
			t.Fatal(err)
		}
		_, err := template.Load(dir, template.Options{})
		if have := fmt.Sprint(err); (err == nil) != (c.want == "") || !strings.Contains(have, c.want) {
			t.Errorf("link to %s: error %v: want %q", c.target, err, c.want)
		}
	}
}

// TestTemplateOutOfRepository: nor may the template itself be anywhere else, or be no file.
func TestTemplateOutOfRepository(t *testing.T) {
	t.Parallel()
	outside := project(t, small, web)
	dir := project(t, "version: 1\ntemplates: [\"*.yaml\"]\n", web)
	if err := errors.Join(os.Symlink(filepath.Join(outside, "web.yaml"), filepath.Join(dir, "link.yaml")),
		os.Mkdir(filepath.Join(dir, "folder.yaml"), 0o755)); err != nil {
		t.Fatal(err)
	}
	_, err := template.Load(dir, template.Options{})
	for _, want := range []string{"path escapes from parent", "folder.yaml:1:1: cannot read the file: this is no regular file"} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("error %v: want %s", err, want)
		}
	}
}

// TestHostileFiles: a file is refused with its place whatever is in it, and at once.
func TestHostileFiles(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 1000 {
		names = append(names, fmt.Sprintf("x%d", i))
	}
	laughs := web + "steps:\n- apt: &a [" + strings.Join(names, ",") + "]\n" + strings.Repeat("- apt: *a\n", 1000)
	merges := "version: 1\nsource: &a0 {x: 1}\n"
	for i := range 40 {
		merges += fmt.Sprintf("k%d: &a%d { <<: [*a%d, *a%d] }\n", i+1, i+1, i, i)
	}
	for name, c := range map[string]struct{ content, want string }{
		"10 MB":          {web + "#" + strings.Repeat("x", 10<<20), "web.yaml:1:1: the file is larger than 256 KiB"},
		"latin 1":        {"version: 1\nname: caf\xe9\n", "web.yaml:2:10: the text is not UTF-8"},
		"UTF-16":         {"\xff\xfev\x00e\x00", "web.yaml:1:1: the text is not UTF-8"},
		"control bytes":  {"version: 1\nname: \"a\x01\"\n", "web.yaml:2:"},
		"zero byte":      {web + `description: "a\0b"`, `web.yaml:4:14: "description" holds a zero byte`},
		"billion laughs": {laughs, "the file stands for more than 50000 values"},
		"merges":         {merges, "web.yaml:"},
		"own alias":      {"version: &a [*a]\n", "web.yaml:1:"},
		"deep":           {strings.Repeat("[", 20000), "web.yaml:1:"},
		"long key":       {web + "? " + strings.Repeat("x", 200_000) + "\n: 1\n", "…"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := template.Load(project(t, small, c.content), template.Options{})
			checkErrors(t, err)
			if !strings.Contains(err.Error(), c.want) || len(err.Error()) > 10_000 {
				t.Errorf("error %.300v: want %s", err, c.want)
			}
		})
	}
}

func TestByteOrderMarkAndCarriageReturns(t *testing.T) {
	t.Parallel()
	p := load(t, project(t, "\ufeff"+strings.ReplaceAll(small, "\n", "\r\n"), "\ufeff"+strings.ReplaceAll(web, "\n", "\r\n")))
	if p.Images[0].Name != "web" {
		t.Errorf("name %q: want web", p.Images[0].Name)
	}
}

// TestSecretsAreNotRead: a secret that is nowhere does not keep a project from loading, and one that is there stays there.
func TestSecretsAreNotRead(t *testing.T) {
	const name = "IIBAKE_TEST_SECRET"
	t.Setenv(name, "hunter2")
	dir := project(t, small, web+`
vars: { token: { secret: { file: not/yet/there } } }
steps: [{ run: "true", env: { A: "${{ vars.token }}", B: { secret: { env: `+name+` } } } }]
`)
	p := load(t, dir)
	shown, err := template.Show(p)
	if err != nil || strings.Contains(string(shown)+fmt.Sprintf("%+v", p), "hunter2") {
		t.Errorf("the secret was read (%v):\n%s", err, shown)
	}
	env := p.Images[0].Steps[0].Env
	if value, err := env["B"].Resolve(); err != nil || value != "hunter2" {
		t.Errorf("resolved to %q, %v: want the value", value, err)
	}
	write(t, dir, "not/yet/there", "from a file\n")
	if value, err := env["A"].Resolve(); err != nil || value != "from a file" {
		t.Errorf("resolved to %q, %v: want the content of the file, seen from the repository", value, err)
	}
}

// TestVarFileCanMoveSecrets: a file of variables may say where else a secret is, for example outside of CI.
func TestVarFileCanMoveSecrets(t *testing.T) {
	t.Parallel()
	dir := project(t, small, web+`
vars: { token: { secret: { env: TOKEN } } }
steps: [{ run: "true", env: { A: "${{ vars.token }}" } }]
`)
	write(t, dir, "vars.yaml", "token: { secret: { file: token.txt } }\n")
	p, err := template.Load(dir, template.Options{VarFiles: []string{filepath.Join(dir, "vars.yaml")}})
	if err != nil {
		t.Fatal(err)
	}
	if secret := p.Images[0].Steps[0].Env["A"].Secret; secret == nil || secret.File != "token.txt" || secret.Dir != dir {
		t.Errorf("secret %+v: want token.txt in the repository", secret)
	}
}

// TestLoadIsSteady: the same files give the same errors in the same order, also from many goroutines at once.
func TestLoadIsSteady(t *testing.T) {
	t.Parallel()
	dir := project(t, small+"targets: { a: { region: x }, b: { region: x }, c: {} }\nfleets: { a: { target: x }, b: {}, c: { target: y } }\n",
		"version: 1\nvars: { a: [], b: [], c: [] }\nsteps: [{ env: { A: [], B: [], C: \"${{ vars.x }}\" } }]\n")
	said := make([]string, 8)
	var loads sync.WaitGroup
	for i := range said {
		loads.Go(func() {
			_, err := template.Load(dir, template.Options{})
			said[i] = fmt.Sprint(err)
		})
	}
	loads.Wait()
	if unique := slices.Compact(said); len(unique) != 1 || !strings.Contains(unique[0], "web.yaml") {
		t.Errorf("errors differ: %s", strings.Join(unique, "\n\n"))
	}
}

// TestEqualProjectsHaveEqualKeys: two clones of a repository in different folders bake the same image.
func TestEqualProjectsHaveEqualKeys(t *testing.T) {
	t.Parallel()
	image := web + `steps: [{ run: "true", env: { A: { secret: { file: token } } } }]` + "\n"
	var keys []bake.Digest
	for range 2 {
		k, err := load(t, project(t, small, image)).Images[0].Keys(bake.Resolution{})
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k.Bake)
	}
	if len(slices.Compact(keys)) != 1 {
		t.Errorf("keys %v: want one", keys)
	}
}

// LoadSettings knows nothing of templates, and everything else that Load knows.
func TestLoadSettingsReadsNoTemplates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "iibake.yaml")
	if _, err := template.LoadSettings(dir); !errors.Is(err, bake.ErrNotFound) {
		t.Errorf("without a project: %v", err)
	}
	text := "version: 1\ntemplates: [images/*.yaml]\ncatalog: record\n"
	if err := errors.Join(os.WriteFile(file, []byte(text), 0o644), os.Mkdir(filepath.Join(dir, "images"), 0o755),
		os.WriteFile(filepath.Join(dir, "images", "web.yaml"), []byte("nonsense: ["), 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, err := template.Load(dir, template.Options{}); !errors.Is(err, bake.ErrInvalid) {
		t.Fatalf("the template is broken: %v", err)
	}
	p, err := template.LoadSettings(dir)
	if err != nil {
		t.Fatal(err)
	}
	if at := p.CatalogAddress(); at != filepath.Join(dir, "record") || p.StoreDir() != filepath.Join(dir, "record/store") || p.Images != nil {
		t.Errorf("got %s, %+v", at, p)
	}
	if err := os.WriteFile(file, []byte(text+"catalogue: x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := template.LoadSettings(dir); !errors.Is(err, bake.ErrInvalid) {
		t.Errorf("the settings are broken: %v", err)
	}
}
