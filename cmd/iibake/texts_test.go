package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/test"
	"github.com/iibake/iibake/test/localcloud/admin"
)

// printed returns what a function writes to standard output.
func printed(t *testing.T, write func(con *console) error) string {
	t.Helper()
	var b strings.Builder
	if err := write(newConsole(streams{strings.NewReader(""), &b, &b})); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// same compares two texts of several lines.
func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got\n%s\nwant\n%s", what, got, want)
	}
}

// TestNotPassed: what failed is said check by check, with what was seen, and the end of the console.
func TestNotPassed(t *testing.T) {
	v := test.Verdict{Image: bake.Ref{Name: "web", Version: "1"}, Results: []test.Result{
		{Boot: "bios", Name: "ssh", Status: test.Pass, Detail: "not of interest"},
		{Boot: "bios", Name: "goss: Port: tcp:80", Status: test.Fail, Detail: "want listening\r\n  have nothing\n"},
		{Boot: "uefi", Name: "reboot", Status: test.Skip, Detail: "why"},
		{Boot: "uefi", Name: "units", Status: test.Fail},
	}}
	const failures = "web:1 did not pass: 2 of 4 checks failed\n  bios: goss: Port: tcp:80\n    want listening\n    have nothing\n  uefi: units"
	same(t, "without a console", notPassed(v).Error(), failures)
	for i := range 25 {
		v.Console = append(v.Console, fmt.Sprintf("line %d", i))
	}
	got := notPassed(v).Error()
	if !strings.HasPrefix(got, failures+"\n  the serial console ended with:\n    line 5\n") || !strings.HasSuffix(got, "\n    line 24") || strings.Count(got, "\n    line ") != 20 {
		t.Errorf("got\n%s", got)
	}
	same(t, "no check at all", notPassed(test.Verdict{Image: v.Image}).Error(), "web:1 did not pass: 0 of 0 checks failed")
}

// TestJUnitFile: the file appears where one was named, and what cannot be written is an error.
func TestJUnitFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "junit.xml")
	v := test.Verdict{Image: bake.Ref{Name: "web", Version: "1"}, Results: []test.Result{{Boot: "bios", Name: "<ssh>", Status: test.Fail, Detail: "a\x00b"}}}
	b := building{results: []*result{{Name: "base"}, {Name: "web", verdict: &v}}}
	if err := b.writeJUnit(name); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(name)
	if err != nil || strings.Count(string(body), "<testsuite ") != 1 || !strings.Contains(string(body), "&lt;ssh&gt;") || strings.Contains(string(body), "\x00") {
		t.Errorf("got %s, %v", body, err)
	}
	if err := b.writeJUnit(""); err != nil {
		t.Errorf("no file was named: %v", err)
	}
	if err := b.writeJUnit(filepath.Join(name, "below", "a", "file")); err == nil {
		t.Error("a file below a file was written")
	}
}

// changes returns n changed packages.
func changes(n int) []bake.PackageChange {
	var list []bake.PackageChange
	for i := range n {
		list = append(list, bake.PackageChange{Name: fmt.Sprintf("p%02d", i), Arch: "all", Old: "1", New: "2"})
	}
	return list
}

// TestChangedPackages: a list that is a little too long is shown whole, since "and 1 more" would take the line, too.
func TestChangedPackages(t *testing.T) {
	for n, c := range map[int]struct {
		lines int
		end   string
	}{0: {0, ""}, 1: {1, "p00"}, 20: {20, "p19"}, 21: {21, "p20"}, 22: {21, "and 2 more: iibake diff web:1 web:2"}, 300: {21, "and 280 more: iibake diff web:1 web:2"}} {
		r := &result{Name: "web", Version: "2", Previous: "1", Packages: changes(n)}
		got := printed(t, func(con *console) error { return r.writePackages(con, false) })
		lines := strings.Split(strings.Trim(got, "\n"), "\n")
		if n == 0 {
			same(t, "nothing changed", got, "")
			continue
		}
		if want := "web: " + ui.Count(n, "changed package") + " since 1"; lines[0] != want || len(lines) != 1+c.lines || !strings.Contains(lines[len(lines)-1], c.end) {
			t.Errorf("%d packages: got\n%s", n, got)
		}
	}
}

// TestJobSummary pins what GitHub Actions shows of a build, and what later steps get of it.
func TestJobSummary(t *testing.T) {
	dir := t.TempDir()
	b := building{results: []*result{
		{Name: "base", Version: "1", Status: upToDate, Verdict: passed, Disk: bake.DigestOf([]byte("x")), Seconds: 0.25},
		{Name: "web", Version: "2", Status: baked, Verdict: failed, Disk: bake.DigestOf([]byte("y")), Seconds: 72, Previous: "1", Packages: changes(1)},
		{Name: "db", Status: notBaked, Verdict: noResult},
	}}
	con := newConsole(streams{strings.NewReader(""), &strings.Builder{}, &strings.Builder{}})
	if con.actions = nil; b.tellActions(con) != nil {
		t.Error("outside of a job")
	}
	con.actions = &ui.Actions{Output: filepath.Join(dir, "output"), Summary: filepath.Join(dir, "summary")}
	if err := b.tellActions(con); err != nil {
		t.Fatal(err)
	}
	summary, err := os.ReadFile(con.actions.Summary)
	if err != nil {
		t.Fatal(err)
	}
	x, y := bake.DigestOf([]byte("x")).Short(), bake.DigestOf([]byte("y")).Short()
	same(t, "summary", string(summary), "| image | version | bake | test | disk | time |\n|---|---|---|---|---|---|\n"+
		"| base | `1` | up to date | passed | `"+x+"` | 0.2s |\n| web | `2` | baked | failed | `"+y+"` | 1m12s |\n| db |  | not baked | not tested |  | 0.0s |\n"+
		"\n<details><summary>web: 1 changed package since `1`</summary>\n\n```\n"+changes(1)[0].String()+"\n```\n\n</details>\n\n")
	output, err := os.ReadFile(con.actions.Output)
	if err != nil || !strings.HasPrefix(string(output), "image=db\nversion=\ndisk=\nverdict=none\nimages=[{\"name\":\"base\"") || strings.Count(string(output), "\n") != 5 {
		t.Errorf("outputs %s, %v", output, err)
	}
	con.actions = &ui.Actions{Output: dir, Summary: dir}
	if err := b.tellActions(con); err == nil {
		t.Error("what could not be written was")
	}
}

// TestDiffTexts: what is the same in both is left out, and of steps and files everything that differs is said.
func TestDiffTexts(t *testing.T) {
	parent := bake.Ref{Name: "base", Version: "1"}
	a := bake.Image{Arch: bake.AMD64, Size: bake.GiB, Stored: bake.MiB, Template: "a.yaml", Commit: "abc"}
	if got := diffFields(a, a); len(got) != 0 {
		t.Errorf("of equal images differ %v", got)
	}
	b := bake.Image{Arch: bake.ARM64, Size: 2 * bake.GiB, Stored: 2 * bake.MiB, Template: "b.yaml", Commit: "abd", Parent: &parent}
	same(t, "fields", fmt.Sprint(diffFields(a, b)), "[{arch amd64 arm64} {size 1.0 GiB 2.0 GiB} {stored 1.0 MiB 2.0 MiB} {template a.yaml b.yaml} {commit abc abd} {parent  base:1}]")
	near := a
	near.Stored += 4 * bake.KiB
	same(t, "sizes that round alike", fmt.Sprint(diffFields(a, near)), "[{stored 1048576 bytes 1052672 bytes}]")
	steps := func(titles ...string) (list []bake.StepResult) {
		for _, title := range titles {
			list = append(list, bake.StepResult{Title: title})
		}
		return list
	}
	for want, pair := range map[string][2][]bake.StepResult{
		"[]":                           {steps("x", "y"), steps("x", "y")},
		"[{step 2 y z}]":               {steps("x", "y"), steps("x", "z")},
		"[{step 1 x }]":                {steps("x"), nil},
		"[{step 2  y} {step 3  z}]":    {steps("x"), steps("x", "y", "z")},
		"[{step 1 x new} {step 2  x}]": {steps("x"), steps("new", "x")},
	} {
		same(t, "steps", fmt.Sprint(diffSteps(pair[0], pair[1])), want)
	}
	old := &local.File{Type: "file", Mode: 0o644, Size: 10, Digest: "sha256:1"}
	for want, now := range map[string]local.File{
		"/f":                               *old,
		"/f  mode 0644 → 4755":             {Type: "file", Mode: 0o4755, Size: 10, Digest: "sha256:1"},
		"/f  owner 0:0 → 33:34":            {Type: "file", Mode: 0o644, UID: 33, GID: 34, Size: 10, Digest: "sha256:1"},
		"/f  content":                      {Type: "file", Mode: 0o644, Size: 10, Digest: "sha256:2"},
		"/f  size 10 B → 2.0 KiB  content": {Type: "file", Mode: 0o644, Size: 2048, Digest: "sha256:2"},
		"/f  type file → link  mode 0644 → 0777  target + /x  size 10 B → 0 B  content": {Type: "link", Mode: 0o777, Target: "/x"},
	} {
		same(t, "file", describeFile(false, local.FileChange{Path: "/f", Old: old, New: &now}), want)
	}
	same(t, "added", describeFile(false, local.FileChange{Path: "/f", New: old}), "+ /f")
	same(t, "removed", describeFile(false, local.FileChange{Path: "/f", Old: old}), "- /f")
	same(t, "whole", printed(t, difference{
		From: parent, To: bake.Ref{Name: "base", Version: "2"}, Fields: []fieldChange{{"arch", "amd64", "arm64"}}, Steps: []fieldChange{{"step 1", "", "run x"}},
		Packages: []bake.PackageChange{{Name: "vim", New: "9"}, {Name: "nano", Old: "7"}, {Name: "bash", Old: "1", New: "2"}}, Skipped: "gc removed one of the disks",
		Files: []local.FileChange{{Path: "/f", New: old}},
	}.write), "from      base:1\nto        base:2\narch      amd64 → arm64\nstep 1    + run x\nblocks    not compared: gc removed one of the disks\n"+
		"package   vim + 9\npackage   nano - 7\npackage   bash 1 → 2\nfile      + /f\n")
}

// TestShowTexts: everything that is on record is said, and nothing of what is not.
func TestShowTexts(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	least := shown{listed: listed{Image: bake.Image{Ref: bake.Ref{Name: "web", Version: "1"}, Created: now}, Verdict: noResult}}
	write := func(s shown, packages bool) string {
		return printed(t, func(con *console) error { return s.write(con, packages, now) })
	}
	same(t, "the least", write(least, true), "image     web:1\nverdict   none\ncreated   2026-11-22 12:00:00 UTC (just now), in 0.0s\nsize      0 B, 0 B of it stored\n")
	most := least
	most.Revoked, most.Commit, most.Dirty, most.Author, most.By = "CVE\x1b[2J", "abc", true, "Ada \u202e<a@b>", "ci"
	most.Created = now.Add(-49 * time.Hour)
	most.Steps = []bake.StepResult{{Title: "apt nginx", Took: bake.Duration(8 * time.Second)}, {Title: "run x", Cached: true}}
	most.PackageList = []bake.Package{{Name: "bash", Version: "5.2", Arch: "amd64"}}
	got := write(most, true)
	for _, line := range []string{
		"revoked   CVE\n", "(2d ago)", "commit    abc, with changes that were not committed\n", "author    Ada <a@b>\n", "baked by   ci\n", "step 1     apt nginx  8.0s\n", "step 2     run x  unchanged\n", "package    bash 5.2 amd64\n",
	} {
		if squeezed := strings.Join(strings.Fields(line), " "); !strings.Contains(strings.Join(strings.Fields(got), " "), squeezed) {
			t.Errorf("%q is missing in\n%s", line, got)
		}
	}
	if strings.Contains(got, "\x1b") || strings.Contains(write(most, false), "bash") {
		t.Errorf("got\n%s", got)
	}
}

// TestWithoutShownKeepsWhatIsNew: an error loses the lines that were shown already, and never one that was not.
func TestWithoutShownKeepsWhatIsNew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SampledFrom([]string{"head one", "head two", "    old a", "    old b", "    new a", "    new b", "    ", "  half", "\told a", "    old a\x1b[0m"})
		lines := rapid.SliceOfN(words, 0, 12).Draw(t, "lines")
		shown := map[string]bool{"old a": true, "old b": true, "head one": true, "half": true}
		got := withoutShown(strings.Join(lines, "\n"), shown)
		var want []string
		for i := 0; i < len(lines); {
			end := i
			for end < len(lines) && strings.HasPrefix(lines[end], "    ") {
				end++
			}
			if !slices.ContainsFunc(lines[i:end], func(l string) bool { return strings.Contains(l, "old") }) {
				want = append(want, lines[i:end]...)
			}
			if i = end; i < len(lines) {
				want = append(want, lines[i])
				i++
			}
		}
		if g, w := strings.TrimRight(got, "\n"), strings.TrimRight(strings.Join(want, "\n"), "\n"); g != w {
			t.Fatalf("of %q is left %q, want %q", lines, g, w)
		}
	})
}

// TestWitnessForgets: of a task that went well nothing is remembered, and of one that failed the last lines.
func TestWitnessForgets(t *testing.T) {
	r, err := ui.New(&strings.Builder{}, ui.Options{Mode: ui.None})
	if err != nil {
		t.Fatal(err)
	}
	w := newWitness(r)
	for _, end := range []bake.EventKind{bake.EventDone, bake.EventSkip, bake.EventStop, bake.EventFail} {
		for i := range 60 {
			w.Report(bake.Event{Kind: bake.EventLog, Image: "web", Task: string(end), Text: fmt.Sprintf(" \x1b[1m%s %d\r\n", end, i)})
		}
		w.Report(bake.Event{Kind: bake.EventLog, Image: "base", Task: string(end), Text: "another task"})
		w.Report(bake.Event{Kind: end, Image: "web", Task: string(end)})
	}
	if len(w.shown) != 50 || !w.shown["fail 59"] || !w.shown["fail 10"] || w.shown["fail 9"] || w.shown["another task"] {
		t.Errorf("%d lines are remembered", len(w.shown))
	}
}

// TestCountWords: what is in a region is said in AWS's words, sorted, and what every account has is not said.
func TestCountWords(t *testing.T) {
	for want, counts := range map[string]map[string]int{
		"nothing yet": {"Subnets": 3, "VPCs": 1},
		"1 Auto Scaling group, 2 instances, 1 launch template, 0 volumes": {"Volumes": 0, "LaunchTemplates": 1, "Instances": 2, "Groups": 1, "Subnets": 3},
	} {
		same(t, "words", countWords(counts), want)
	}
	same(t, "no region", countWords(nil), "nothing yet")
}

// TestCloudStatus pins the two faces of iibake local status: with machines, and simulated.
func TestCloudStatus(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	s := cloudStatus{Endpoint: "http://127.0.0.1:4566", PID: 7, Status: admin.Status{Started: now.Add(-72 * time.Second), Time: now.Add(time.Hour), Folder: "/state", Accounts: []string{"1", "2"}}}
	write := func() string { return printed(t, func(con *console) error { return s.write(con, now) }) }
	same(t, "machines", write(), "endpoint    http://127.0.0.1:4566\nup for      1m12s, process 7\ninstances   machines on this host\nstate       /state\naccounts    1 2\n")
	s.Simulated, s.Speed = true, "60x"
	s.Instances = append(s.Instances, admin.Instance{ID: "i-1", State: "running", Launched: s.Time.Add(-3 * time.Hour)}, admin.Instance{ID: "i-2", State: "pending", Launched: s.Time})
	got := write()
	if !strings.Contains(got, "instances   simulated, at 2026-11-22 13:00:00 UTC, speed 60x\n") || !strings.Contains(got, "running") || !strings.Contains(got, "3h\n") || !strings.Contains(got, "now\n") {
		t.Errorf("got\n%s", got)
	}
}

// TestFollowedConsoleIsWhole: a console that is followed is written once and whole, also where its beginning is dropped meanwhile.
func TestFollowedConsoleIsWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream, seen, before []byte
		const window = 2000
		for i := range rapid.IntRange(1, 20).Draw(t, "looks") {
			for range rapid.IntRange(0, 30).Draw(t, "lines") {
				stream = fmt.Appendf(stream, "[%d.%d] kernel: %s\n", i, len(stream), rapid.StringMatching(`[a-z]{0,10}`).Draw(t, "text"))
			}
			now := stream[max(0, len(stream)-window):]
			seen = append(seen, newText(before, now)...)
			before = slices.Clone(now)
			if len(now) == window {
				break // what was dropped between two looks is gone
			}
		}
		if len(stream) <= window && string(seen) != string(stream) {
			t.Fatalf("seen %q of %q", seen, stream)
		}
		if len(stream) > window && !strings.HasSuffix(string(stream), string(seen[max(0, len(seen)-100):])) {
			t.Fatalf("seen %q of %q", seen, stream)
		}
	})
}

// TestStaleFiles: what builds left behind goes when nobody has touched it for a while, and nothing else.
func TestStaleFiles(t *testing.T) {
	work := t.TempDir()
	r, err := openDir(t.TempDir(), work)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for name, age := range map[string]time.Duration{
		"scratch/old": 48 * time.Hour, "scratch/deep/er/old": 48 * time.Hour, "scratch/new": time.Hour, "retained/old.raw": 48 * time.Hour, "downloads/old": 48 * time.Hour,
		"elsewhere/old": 48 * time.Hour, "old": 48 * time.Hour,
	} {
		file := filepath.Join(r.work(), name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte("x"), 0o644), os.Chtimes(file, now, now.Add(-age))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(r.work(), "scratch", "link")); err != nil {
		t.Fatal(err)
	}
	files, err := r.stale(now.Add(-24 * time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, f := range files {
		name, err := filepath.Rel(r.work(), f.Name)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	if want := []string{"downloads/old", "retained/old.raw", "scratch/deep/er/old", "scratch/old"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	other, err := openDir(t.TempDir(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if files, err := other.stale(now); err != nil || len(files) != 0 {
		t.Errorf("nothing was ever built: %v, %v", files, err)
	}
}

// TestGarbageTexts pins what gc says before, after, and where there is nothing to do.
func TestGarbageTexts(t *testing.T) {
	write := func(g garbage) string {
		return printed(t, func(con *console) error { return g.write(con, contextWith(t, "text")) })
	}
	same(t, "nothing", write(garbage{}), "nothing to remove\n")
	g := garbage{Files: []staleFile{{"/a", 512}, {"/b/c", 2 << 20}}, Cloud: []string{"snapshot snap-1 in eu"}}
	g.Store.Layers, g.Store.Manifests, g.Store.Blocks, g.Store.Bytes = 1, 0, 2, 1<<20
	same(t, "plan", write(g), "snapshot snap-1 in eu\n/a                                                 512 B\n/b/c                                               2.0 MiB\n1 step result, 0 disks and 2 blocks of the store   1.0 MiB\n")
	g.Gone = true
	same(t, "done", write(g), "snapshot snap-1 in eu\nremoved 3.0 MiB\n")
	same(t, "only blocks", write(garbage{Store: g.Store}), "1 step result, 0 disks and 2 blocks of the store   1.0 MiB\n")
}
