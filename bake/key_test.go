package bake_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake"
)

// project is a template in a repository of its own, and what its source stands for.
type project struct {
	bake.Template
	source bake.Resolution
}

func newProject(t *testing.T) *project {
	t.Helper()
	dir := t.TempDir()
	for name, body := range map[string]string{
		"site/index.html": "hello", "site/css/a.css": "a", "site/.b": "b", "harden.sh": "#!/bin/sh\n", "real.sh": "echo", "goss.yaml": "port: {}",
	} {
		write(t, dir, name, body)
	}
	must(t, os.Symlink("index.html", filepath.Join(dir, "site/home.html")))
	must(t, os.Symlink("real.sh", filepath.Join(dir, "link.sh")))
	return &project{
		Template: bake.Template{
			Name: "web", Arch: bake.AMD64, Dir: dir, DiskSize: 2 * bake.GiB,
			Source: bake.Source{Debian: &bake.Debian{Suite: "bookworm", Packages: []string{"curl"}}},
			Steps: []bake.Step{
				{Apt: &bake.Packages{Install: []string{"nginx"}}},
				{Env: map[string]bake.Value{"LEVEL": {Text: "strict"}, "A": {Text: "1"}, "B": {Text: "2"}}},
				{Copy: &bake.Copy{From: "site/", To: "/var/www"}},
				{Script: &bake.Script{File: "harden.sh"}, Env: map[string]bake.Value{"TOKEN": {Secret: &bake.Secret{Env: "IIBAKE_TEST_TOKEN"}}}},
				{Script: &bake.Script{File: "link.sh"}},
			},
			Tests: bake.Tests{Goss: "goss.yaml"},
		},
		source: bake.Resolution{At: time.Unix(1, 0), Archives: []bake.Archive{{URL: "http://example.com", Suite: "bookworm", Release: "sha256:1"}}},
	}
}

func write(t *testing.T, dir, name, body string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, name), []byte(body), 0o644))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (p *project) keys(t *testing.T) bake.Keys {
	t.Helper()
	keys, err := p.Keys(p.source)
	must(t, err)
	if len(keys.Steps) != len(p.Steps) || keys.Steps[len(keys.Steps)-1] != keys.Bake {
		t.Fatalf("got %+v", keys)
	}
	return keys
}

// TestKeys changes a template, and wants the first key that changes to be that of a given step: all before it stay as they
// are, and all behind it change too.
func TestKeys(t *testing.T) {
	const root, none = -1, 5
	for name, c := range map[string]struct {
		first  int
		change func(t *testing.T, p *project)
	}{
		"nothing":               {none, func(*testing.T, *project) {}},
		"name":                  {none, func(_ *testing.T, p *project) { p.Name = "other" }},
		"description":           {none, func(_ *testing.T, p *project) { p.Description = "other" }},
		"tests":                 {none, func(_ *testing.T, p *project) { p.Tests.Goss = "other" }},
		"retention":             {none, func(_ *testing.T, p *project) { p.Retain.Last = 3 }},
		"moment of resolution":  {none, func(_ *testing.T, p *project) { p.source.At = time.Now() }},
		"name of a step":        {none, func(_ *testing.T, p *project) { p.Steps[2].Name = "copy the site" }},
		"timeout of a step":     {none, func(_ *testing.T, p *project) { p.Steps[2].Timeout = 5 }},
		"place of a step":       {none, func(_ *testing.T, p *project) { p.Steps[2].Pos.Line = 7 }},
		"place of the template": {none, func(_ *testing.T, p *project) { p.File, p.Pos.Line = "b.yaml", 3 }},
		"arch":                  {root, func(_ *testing.T, p *project) { p.Arch = bake.ARM64 }},
		"disk size":             {root, func(_ *testing.T, p *project) { p.DiskSize++ }},
		"suite":                 {root, func(_ *testing.T, p *project) { p.Source.Debian.Suite = "trixie" }},
		"packages of the base":  {root, func(_ *testing.T, p *project) { p.Source.Debian.Packages = nil }},
		"release of an archive": {root, func(_ *testing.T, p *project) { p.source.Archives[0].Release = "sha256:2" }},
		"parent's disk":         {root, func(_ *testing.T, p *project) { p.source.Disk = "sha256:3" }},
		"package":               {0, func(_ *testing.T, p *project) { p.Steps[0].Apt.Install[0] = "apache2" }},
		"another manager":       {0, func(_ *testing.T, p *project) { p.Steps[0].Dnf, p.Steps[0].Apt = p.Steps[0].Apt, nil }},
		"value of a variable":   {1, func(_ *testing.T, p *project) { p.Steps[1].Env["LEVEL"] = bake.Value{Text: "lax"} }},
		"destination":           {2, func(_ *testing.T, p *project) { p.Steps[2].Copy.To = "/srv" }},
		"mode of the copy":      {2, func(_ *testing.T, p *project) { p.Steps[2].Copy.Mode = 0o600 }},
		"arguments":             {3, func(_ *testing.T, p *project) { p.Steps[3].Script.Args = []string{"-v"} }},
		"order of steps":        {2, func(_ *testing.T, p *project) { p.Steps[2], p.Steps[3] = p.Steps[3], p.Steps[2] }},

		"content":          {2, edit("site/css/a.css", "b")},
		"new file":         {2, edit("site/new", "")},
		"hidden file":      {2, edit("site/.b", "c")},
		"script":           {3, edit("harden.sh", "#!/bin/bash\n")},
		"target of a link": {4, edit("real.sh", "exit 1")},
		"other file":       {none, edit("README.md", "words")},
		"same content":     {none, edit("site/index.html", "hello")},
		"time of a file": {none, func(t *testing.T, p *project) {
			t.Helper()
			must(t, os.Chtimes(filepath.Join(p.Dir, "site/index.html"), time.Unix(0, 0), time.Unix(0, 0)))
		}},
		"read bits":      {none, chmod("site/index.html", 0o600)},
		"executable bit": {2, chmod("site/index.html", 0o755)},
		"renamed file": {2, func(t *testing.T, p *project) {
			t.Helper()
			must(t, os.Rename(filepath.Join(p.Dir, "site/.b"), filepath.Join(p.Dir, "site/b")))
		}},
		"empty folder": {2, func(t *testing.T, p *project) {
			t.Helper()
			must(t, os.Mkdir(filepath.Join(p.Dir, "site/empty"), 0o755))
		}},
		"link in the tree": {2, func(t *testing.T, p *project) {
			t.Helper()
			link := filepath.Join(p.Dir, "site/home.html")
			must(t, os.Remove(link))
			must(t, os.Symlink(".b", link))
		}},
		"file instead of a link": {2, func(t *testing.T, p *project) {
			t.Helper()
			must(t, os.Remove(filepath.Join(p.Dir, "site/home.html")))
			write(t, p.Dir, "site/home.html", "hello")
		}},
		"link instead of a file": {none, func(t *testing.T, p *project) {
			t.Helper()
			script := filepath.Join(p.Dir, "harden.sh")
			must(t, os.Rename(script, filepath.Join(p.Dir, "moved.sh")))
			must(t, os.Symlink("moved.sh", script))
		}},
		"value of a secret": {none, func(t *testing.T, p *project) {
			t.Helper()
			t.Setenv("IIBAKE_TEST_TOKEN", "another")
			p.Steps[3].Env["TOKEN"].Secret.Dir = "/elsewhere"
		}},
		"place of a secret": {3, func(_ *testing.T, p *project) { p.Steps[3].Env["TOKEN"].Secret.Env = "OTHER" }},
		"another repository": {none, func(t *testing.T, p *project) {
			t.Helper()
			p.Dir = newProject(t).Dir
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProject(t)
			before := p.keys(t)
			c.change(t, p)
			after := p.keys(t)
			if (before.Root != after.Root) != (c.first == root) {
				t.Errorf("root: before %s, after %s", before.Root.Short(), after.Root.Short())
			}
			for i := range before.Steps {
				if changed := before.Steps[i] != after.Steps[i]; changed != (i >= c.first) {
					t.Errorf("step %d: changed is %v, want %v", i, changed, !changed)
				}
			}
			if (before.Bake != after.Bake) != (c.first != none) {
				t.Error("the bake key does not follow")
			}
		})
	}
}

func edit(name, body string) func(*testing.T, *project) {
	return func(t *testing.T, p *project) {
		t.Helper()
		write(t, p.Dir, name, body)
	}
}

func chmod(name string, mode fs.FileMode) func(*testing.T, *project) {
	return func(t *testing.T, p *project) {
		t.Helper()
		must(t, os.Chmod(filepath.Join(p.Dir, name), mode))
	}
}

func TestKeysOfNoSteps(t *testing.T) {
	t.Parallel()
	keys, err := bake.Template{Arch: bake.AMD64}.Keys(bake.Resolution{})
	if err != nil || keys.Bake != keys.Root || len(keys.Steps) != 0 {
		t.Errorf("got %+v and %v", keys, err)
	}
}

// TestKeysDoNotReachOutside wants every way out of the repository refused, and the step's line in the error.
func TestKeysDoNotReachOutside(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	write(t, outside, "secret", "x")
	for name, want := range map[string]string{
		"../" + filepath.Base(outside) + "/secret": "escapes", filepath.Join(outside, "secret"): "escapes",
		"link": "escapes", "folder/secret": "escapes", "folder": "escapes", "none": "no such file", "site/pipe/none": "not a directory",
	} {
		p := newProject(t)
		must(t, os.Symlink(filepath.Join(outside, "secret"), filepath.Join(p.Dir, "link")))
		must(t, os.Symlink(outside, filepath.Join(p.Dir, "folder")))
		write(t, p.Dir, "site/pipe", "")
		p.Steps[2].Copy.From = name
		p.Steps[2].Pos = bake.Position{File: "web.yaml", Line: 12, Column: 5}
		_, err := p.Keys(p.source)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "web.yaml:12:5: read "+name) {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
}

// TestTreeDigestReadsNoLinks puts links that lead out into a tree: they are copied as links, so that nothing is read.
func TestTreeDigestReadsNoLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "tree/a", "a")
	must(t, os.Symlink("/etc/passwd", filepath.Join(dir, "tree/out")))
	must(t, os.Symlink("nowhere", filepath.Join(dir, "tree/dangling")))
	whole, err := bake.TreeDigest(dir, "tree")
	must(t, err)
	for _, same := range []string{"tree/", "./tree", "tree/."} {
		if d, err := bake.TreeDigest(dir, same); err != nil || d != whole {
			t.Errorf("%s: got %s and %v, want %s", same, d, err, whole)
		}
	}
	if d, err := bake.TreeDigest(filepath.Join(dir, "tree"), "."); err != nil || d != whole {
		t.Errorf("got %s and %v, want %s", d, err, whole)
	}
}

// Steps do not copy what git keeps for itself, and git changes it with every commit.
func TestTreeDigestPassesOverGit(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "tree/a", "a")
	write(t, dir, "tree/sub/z", "z")
	digest := func(name string) bake.Digest {
		t.Helper()
		d, err := bake.TreeDigest(dir, name)
		must(t, err)
		return d
	}
	before := digest("tree")
	write(t, dir, "tree/.git/HEAD", "ref: main")
	write(t, dir, "tree/sub/.git", "gitdir: ../.git/modules/sub")
	if got := digest("tree"); got != before {
		t.Error("what git keeps counts as content")
	}
	write(t, dir, "tree/sub/z", "another")
	if got := digest("tree"); got == before {
		t.Error("what lies beside .git does not count")
	}
	if digest("tree/.git") == digest("tree/sub/.git") {
		t.Error("what is named itself does not count")
	}
}

func TestTreeDigestRefusesPipes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "tree"), 0o755))
	must(t, unix.Mkfifo(filepath.Join(dir, "tree/pipe"), 0o600))
	for _, name := range []string{"tree", "tree/pipe"} {
		if _, err := bake.TreeDigest(dir, name); err == nil || !strings.Contains(err.Error(), "pipe is neither a file nor a folder nor a link") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := bake.TreeDigest(filepath.Join(dir, "none"), "a"); err == nil {
		t.Error("no repository and no error")
	}
}
