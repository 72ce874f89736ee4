package main

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/local"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/test"
)

func TestMain(m *testing.M) {
	if code, ran := local.Main(); ran {
		os.Exit(code)
	}
	testscript.Main(hermetic{m}, map[string]func(){"iibake": main})
}

// hermetic are tests that see nothing of the shell or the CI job that runs them: what iibake says, and where its things are, follows from
// the environment. The program itself, which the stories start, gets the environment of its story.
type hermetic struct{ *testing.M }

// Run implements [testscript.TestingM].
func (h hermetic) Run() int {
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if name == "NO_COLOR" || slices.ContainsFunc([]string{"IIBAKE_", "GITHUB_", "GITLAB_", "AWS_", "GIT_", "XDG_STATE_", "SUDO_"}, func(p string) bool { return strings.HasPrefix(name, p) }) {
			_ = os.Unsetenv(name)
		}
	}
	return h.M.Run()
}

// TestScripts runs the stories below testdata/script: each is one person's way through the program.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Setup:         setup,
		Cmds:          commands(),
	})
}

func commands() map[string]func(*testscript.TestScript, bool, []string) {
	all := localCommands()
	maps.Copy(all, fleetCommands())
	maps.Copy(all, sharedCommands())
	maps.Copy(all, map[string]func(*testscript.TestScript, bool, []string){"seed": seed, "status": status, "json": isJSON, "byhand": byHand})
	return all
}

// setup gives each story a user of git, and nothing of the machine that runs it.
func setup(e *testscript.Env) error {
	for _, pair := range [][2]string{
		{"GIT_AUTHOR_NAME", "Ada"},
		{"GIT_AUTHOR_EMAIL", "ada@example.com"},
		{"GIT_COMMITTER_NAME", "Ada"},
		{"GIT_COMMITTER_EMAIL", "ada@example.com"},
		{"GIT_CONFIG_GLOBAL", os.DevNull},
		{"GIT_CONFIG_NOSYSTEM", "1"},
		{"GIT_CEILING_DIRECTORIES", filepath.Dir(e.WorkDir)},
		{"USER", "ada"},
		{"GITHUB_ACTIONS", ""},
		{"TERM", "xterm"},
		{"XDG_STATE_HOME", filepath.Join(e.WorkDir, ".state")},
		{"STATE", filepath.Join(e.WorkDir, ".state", "iibake", "local")},
	} {
		e.Setenv(pair[0], pair[1])
	}
	e.Defer(func() { endClouds(e) })
	return nil
}

// status runs iibake and compares its exit code: status CODE ARGUMENTS...
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: status CODE ARGUMENTS...")
	}
	err := ts.Exec("iibake", args[1:]...)
	got := "0"
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) {
		got = strconv.Itoa(exit.ExitCode())
	}
	if got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

// isJSON checks that stdout is a JSON document, or stderr a line of JSON for each event: json [stderr]
func isJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("json cannot be negated")
	}
	d := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	if len(args) > 0 {
		d = json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	}
	n := 0
	for ; d.More(); n++ {
		var v any
		if err := d.Decode(&v); err != nil {
			ts.Fatalf("document %d is no JSON: %v", n+1, err)
		}
	}
	if n == 0 {
		ts.Fatalf("no JSON at all")
	}
}

// seed fills a catalog: two versions of web, the second of which failed, and one of base: seed FOLDER
func seed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: seed FOLDER")
	}
	ts.Check(fill(context.Background(), ts.MkAbs(args[0])))
}

func fill(ctx context.Context, dir string) error {
	c, err := catalog.OpenDir(dir)
	if err != nil {
		return err
	}
	store, err := disk.Open(filepath.Join(dir, "store"))
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	for _, s := range []struct {
		name, version, content string
		days                   int
		pass                   bool
		packages               []bake.Package
	}{
		{"base", "2026.11.01-1-gaaaaaaa", "base", 1, true, []bake.Package{{Name: "bash", Version: "5.2", Arch: "amd64"}}},
		{"web", "2026.11.02-1-gbbbbbbb", "web one", 2, true, []bake.Package{
			{Name: "bash", Version: "5.2", Arch: "amd64"}, {Name: "nano", Version: "7.2", Arch: "amd64"}, {Name: "nginx", Version: "1.22", Arch: "amd64"},
		}},
		{"web", "2026.11.03-1-gccccccc", "web two", 3, false, []bake.Package{
			{Name: "bash", Version: "5.2", Arch: "amd64"}, {Name: "nginx", Version: "1.24", Arch: "amd64"}, {Name: "vim", Version: "9.0", Arch: "amd64"},
		}},
	} {
		digest, err := importDisk(ctx, store, s.content)
		if err != nil {
			return err
		}
		img := bake.Image{
			Ref: bake.Ref{Name: s.name, Version: s.version}, Arch: bake.AMD64, Key: bake.DigestOf([]byte(s.content + " key")), Disk: digest,
			Size: 8 * bake.MiB, Stored: 512 * bake.KiB, Repo: "https://example.com/images.git", Commit: strings.Repeat(s.version[len(s.version)-1:], 40), Author: "Ada <ada@example.com>",
			Template: "images/" + s.name + ".yaml", Created: time.Date(2026, 11, s.days, 3, 0, 0, 0, time.UTC), Took: bake.Duration(42 * time.Second),
			Steps: []bake.StepResult{{Title: "apt nginx", Kind: bake.StepApt, Took: bake.Duration(8 * time.Second)}, {Title: s.content, Kind: bake.StepRun, Cached: true}},
		}
		if s.name == "web" {
			img.Parent = &bake.Ref{Name: "base", Version: "2026.11.01-1-gaaaaaaa"}
		}
		if err := recordImage(ctx, c, img, s.packages, s.pass); err != nil {
			return err
		}
	}
	return nil
}

// recordImage records an image with a verdict, and makes it a candidate if it passed.
func recordImage(ctx context.Context, c catalog.Catalog, img bake.Image, packages []bake.Package, pass bool) error {
	img, err := bake.NewImages(c).Record(ctx, img, packages)
	if err != nil {
		return err
	}
	v := test.Verdict{Image: img.Ref, Disk: img.Disk, At: img.Created, Results: []test.Result{{Boot: "bios", Name: "ssh", Status: test.Pass}}}
	if !pass {
		v.Results[0].Status = test.Fail
	}
	if err := test.NewVerdicts(c).Record(ctx, v); err != nil || !pass {
		return err
	}
	_, err = promote.NewChannels(c).Move(ctx, promote.Promotion{Channel: promote.Candidate, To: img.Ref, By: "ada", At: img.Created})
	return err
}

// importDisk stores a disk of 8 MiB that begins with content.
func importDisk(ctx context.Context, store *disk.Store, content string) (bake.Digest, error) {
	f, err := os.CreateTemp("", "disk-*")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	defer func() { _ = f.Close() }()
	if _, err := f.WriteString(content); err != nil {
		return "", err
	}
	if err := f.Truncate(int64(8 * bake.MiB)); err != nil {
		return "", err
	}
	return store.Import(ctx, f, "", nil)
}
