package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/urfave/cli/v2"
	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/test"
)

// typed runs the program with arguments, and returns its exit code and what it wrote.
func typed(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e strings.Builder
	code = run(t.Context(), streams{strings.NewReader(""), &o, &e}, append([]string{"iibake"}, args...))
	return code, o.String(), e.String()
}

// TestOperands: each verb takes as many operands as it says, and tells what it wants otherwise.
func TestOperands(t *testing.T) {
	app := newApp(newConsole(streams{}))
	for _, c := range []struct {
		names, args []string
		want        string // the operands, or the error
	}{
		{nil, nil, "[]"},
		{nil, []string{"--"}, "[]"},
		{nil, []string{"a"}, "usage: iibake x: want no operands, got 1"},
		{[]string{"IMAGE"}, []string{"a"}, "[a]"},
		{[]string{"IMAGE"}, []string{"--", "-a"}, "[-a]"},
		{[]string{"IMAGE"}, nil, "usage: iibake x: want IMAGE, got 0"},
		{[]string{"IMAGE", "CHANNEL"}, []string{"a", "b", "c"}, "usage: iibake x: want IMAGE CHANNEL, got 3"},
		{[]string{"NAME..."}, nil, "[]"},
		{[]string{"NAME..."}, []string{"a", "--", "b"}, "[a -- b]"},
		{[]string{"IMAGE", "NAME..."}, []string{"a"}, "[a]"},
		{[]string{"IMAGE", "NAME..."}, nil, "usage: iibake x: want IMAGE NAME..., got 0"},
	} {
		set := flag.NewFlagSet("x", flag.ContinueOnError)
		if err := set.Parse(append([]string{"--"}, c.args...)); err != nil {
			t.Fatal(err)
		}
		ctx := cli.NewContext(app, set, nil)
		ctx.Command = &cli.Command{Name: "x", HelpName: "iibake x"}
		args, err := operands(ctx, c.names...)
		got := fmt.Sprint(args)
		if err != nil {
			got = err.Error()
			if h := hints(err); !errors.Is(err, errUsage) || !slices.Equal(h, []string{"iibake x --help says more"}) {
				t.Errorf("%v: error %v with hints %q", c.args, err, h)
			}
		}
		same(t, fmt.Sprint(c.names, c.args), got, c.want)
	}
}

// TestWrongWords: a verb, an option or a value that there is not ends with code 2 and what was probably meant, before anything is done.
func TestWrongWords(t *testing.T) {
	dir := t.TempDir()
	for typing, want := range map[string]string{
		"biuld":                  `there is no verb "biuld"` + "\nhint: did you mean \"build\"?",
		"local statsu":           `there is no verb "local statsu"` + "\nhint: did you mean \"status\"?",
		"help local upp":         `there is no verb "local upp"` + "\nhint: did you mean \"up\"?",
		"help nope":              `there is no verb "nope"` + "\nhint: iibake --help lists the verbs",
		"drill web":              `there is no verb "drill web"` + "\nhint: iibake drill rollback web",
		"drill rolback web":      `there is no verb "drill rolback"` + "\nhint: did you mean \"rollback\"?",
		"web@candidate promote":  `there is no verb "web@candidate"` + "\nhint: the verb comes first: iibake promote web@candidate",
		"web@candidate":          `there is no verb "web@candidate"` + "\nhint: the verb comes first: iibake show web@candidate",
		"-o json images":         "flag provided but not defined: -o\nhint: it is an option of verbs, and comes behind the verb: iibake VERB -o",
		"build --forec":          "flag provided but not defined: -forec\nhint: did you mean \"--force\"?",
		"build --zzz":            "flag provided but not defined: -zzz\nhint: iibake build --help lists the options",
		"--zzz":                  "flag provided but not defined: -zzz\nhint: iibake --help lists the options",
		"images -o yaml":         "--output yaml: want text or json",
		"export web -f iso":      "--format iso: want raw, qcow2, vmdk or vhd",
		"run web --firmware efi": "--firmware efi: want bios or uefi",
		"--progress loud images": "--progress loud: want auto, bars, plain, json or none",
		"run":                    "iibake run: want one IMAGE or FILE, got 0",
		"run a b -- ls":          "iibake run: want one IMAGE or FILE, got 2",
		"run web -p 0":           "--port 0: want 1 to 65535",
		"run web -p 22 -p 70000": "--port 70000: want 1 to 65535",
		"run web --memory lots":  `--memory: "lots" is not a size`,
		"show":                   "want IMAGE, got 0",
		"diff a":                 "want IMAGE IMAGE, got 1",
		"verify x":               "want no operands, got 1",
		"gc x":                   "want no operands, got 1",
		"completion tcsh":        "completion tcsh: want bash, zsh or fish",
		"gc --older-than soon":   `invalid value "soon" for flag -older-than`,
		"build -j many":          `invalid value "many" for flag -j`,
		"approve web":            "want",
	} {
		code, out, errs := typed(t, append([]string{"-C", dir}, strings.Fields(typing)...)...)
		if code != exitInvalid || out != "" || !strings.Contains(errs, want) || !strings.HasPrefix(errs, "iibake: ") || strings.Contains(errs, "NAME:") {
			t.Errorf("%s: code %d, stdout %q, stderr\n%s\nwant\n%s", typing, code, out, errs, want)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("something was written: %v, %v", left, err)
	}
}

// TestWithoutProject: whoever stands in the wrong folder is told so, by every verb that needs a project.
func TestWithoutProject(t *testing.T) {
	dir := t.TempDir()
	for _, verb := range []string{"build", "check", "images", "show web", "diff a b", "export web", "channels", "history candidate", "status", "verify", "gc", "run web"} {
		code, out, errs := typed(t, append([]string{"-C", dir}, strings.Fields(verb)...)...)
		if code != exitNotFound || out != "" || !strings.Contains(errs, "iibake.yaml") || !strings.Contains(errs, "iibake init") {
			t.Errorf("%s: code %d, stdout %q, stderr\n%s", verb, code, out, errs)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("something was written: %v, %v", left, err)
	}
}

// TestOneOf reads as a sentence however many values there are.
func TestOneOf(t *testing.T) {
	for want, values := range map[string][]string{"--x z: want a or b": {"a", "b"}, "--x z: want a, b or c": {"a", "b", "c"}} {
		if err := oneOf("x", values...)(nil, "z"); !errors.Is(err, errUsage) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if err := oneOf("x", values...)(nil, "b"); err != nil {
			t.Errorf("got %v", err)
		}
	}
}

// TestSplitCommand: what stands behind -- is the machine's, also another --.
func TestSplitCommand(t *testing.T) {
	for typing, want := range map[string]string{
		"web": "web []", "web --": "web []", "web -- ls -l": "web [ls -l]", "web -- --": "web [--]", "web -- a -- b": "web [a -- b]", "./disk.raw -- sh": "./disk.raw [sh]",
	} {
		set := flag.NewFlagSet("run", flag.ContinueOnError)
		if err := set.Parse(append([]string{"--"}, strings.Fields(typing)...)); err != nil {
			t.Fatal(err)
		}
		what, command, err := splitCommand(cli.NewContext(newApp(newConsole(streams{})), set, nil))
		if got := fmt.Sprint(what, " ", command); got != want || err != nil {
			t.Errorf("%s: got %s, %v", typing, got, err)
		}
	}
}

// TestDiskFiles: a disk that is not there, or is none, is no machine.
func TestDiskFiles(t *testing.T) {
	dir := t.TempDir()
	raw := filepath.Join(dir, "web.2026.raw")
	if err := os.WriteFile(raw, []byte("disk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if name := diskFile(raw).name(); name != "web.2026" {
		t.Errorf("the machine is named %s", name)
	}
	f, err := diskFile(raw).open(t.Context(), bake.Discard())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("x"); err == nil {
		t.Error("the disk of somebody can be written to")
	}
	_ = f.Close()
	if _, err := diskFile(dir).open(t.Context(), bake.Discard()); !errors.Is(err, bake.ErrInvalid) {
		t.Errorf("a folder: %v", err)
	}
	if _, err := diskFile(raw+"x").open(t.Context(), bake.Discard()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
	for what, want := range map[string]bool{"web@candidate": false, "sha256:abc": false, "./web": true, "/x": true, "a/b": true, "disk.raw": false} {
		if got := isFile(what); got != want {
			t.Errorf("%s is a file: %v", what, got)
		}
	}
}

// TestWriteNew: init adds what is missing, and neither overwrites nor leaves the folder.
func TestWriteNew(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "mine"), []byte("mine"), 0o600), os.Symlink("nowhere", filepath.Join(dir, "dangling")), os.Symlink(outside, filepath.Join(dir, "out"))); err != nil {
		t.Fatal(err)
	}
	file := func(content string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(content)} }
	told := map[string]bool{}
	tell := func(name string, isNew bool) error { told[name] = isNew; return nil }
	files := fstest.MapFS{"mine": file("theirs"), "dangling": file("x"), "new": file("new"), "deep/er/new": file("deep"), ".hidden": file("")}
	if err := writeNew(dir, files, tell); err != nil {
		t.Fatal(err)
	}
	if want := map[string]bool{"mine": false, "dangling": false, "new": true, "deep/er/new": true, ".hidden": true}; fmt.Sprint(told) != fmt.Sprint(want) {
		t.Errorf("told %v, want %v", told, want)
	}
	for name, want := range map[string]string{"mine": "mine", "new": "new", "deep/er/new": "deep", ".hidden": ""} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if err := writeNew(dir, fstest.MapFS{"out/x": file("x")}, tell); err == nil {
		t.Error("a file was written outside of the folder")
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("outside: %v, %v", left, err)
	}
	if err := writeNew(dir, fstest.MapFS{"again": file("x")}, func(string, bool) error { return os.ErrClosed }); !errors.Is(err, os.ErrClosed) {
		t.Errorf("what could not be told: %v", err)
	}
}

// TestNextSteps: who begins is told what is missing, and no more.
func TestNextSteps(t *testing.T) {
	dir := t.TempDir()
	const rest = "   git add . && git commit -m 'Describe our images'\n   sudo iibake build\n"
	same(t, "without git", nextSteps(false, dir), "   cd "+dir+"\n   git init\n"+rest)
	inner := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "git", "init", "-q", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	same(t, "below a repository", nextSteps(false, inner), "   cd "+inner+"\n"+rest)
}

// TestVerdictTexts pins what iibake test writes of each check.
func TestVerdictTexts(t *testing.T) {
	v := test.Verdict{Results: []test.Result{
		{Boot: "bios", Name: "ssh", Status: test.Pass, Took: bake.Duration(9 * time.Second)},
		{Boot: "uefi, rebooted", Name: "goss: Port: tcp:80", Status: test.Fail, Took: bake.Duration(72 * time.Second)},
		{Boot: "uefi", Name: "reboot", Status: test.Skip},
	}}
	same(t, "text", printed(t, func(con *console) error { return writeVerdict(con, contextWith(t, "text"), v) }),
		"pass   bios             ssh                  9.0s\nfail   uefi, rebooted   goss: Port: tcp:80   1m12s\nskip   uefi             reboot               0.0s\n")
	if got := printed(t, func(con *console) error { return writeVerdict(con, contextWith(t, "json"), v) }); !strings.Contains(got, `"took": "1m12s"`) || !strings.HasSuffix(got, "}\n") {
		t.Errorf("got %s", got)
	}
	for status, want := range map[test.Status]string{test.Pass: "\x1b[32mpass\x1b[0m", test.Fail: "\x1b[31mfail\x1b[0m", test.Skip: "\x1b[2mskip\x1b[0m", "odd": "\x1b[31modd\x1b[0m"} {
		same(t, string(status), paintCheck(true, status), want)
	}
}

// TestJSONIsNotForBrowsers: what people paste stands in JSON as they typed it.
func TestJSONIsNotForBrowsers(t *testing.T) {
	same(t, "json", printed(t, func(con *console) error { return con.printJSON(map[string]string{"a": "<x> && 'y'"}) }), "{\n  \"a\": \"<x> && 'y'\"\n}\n")
}

// TestErrorsAreLines: whatever an error holds, each line of it is printed once, harmless and marked, in the order of the text.
func TestErrorsAreLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SampledFrom([]string{
			"bake web", "a.yaml:3:7: unknown key", "    output of a program", "\x1b[2J", "\x1b]0;x\x07", "\r", "", " ", "\t", "größer 日本", "\u202e", "x:y:z: w", "C:\\a:1:2: b",
		}), 0, 10).Draw(t, "lines")
		text := strings.Join(parts, "\n")
		var b strings.Builder
		con := newConsole(streams{strings.NewReader(""), &b, &b})
		con.actions = nil
		code := con.fail(context.Background(), errors.New(text))
		var want []string
		for line := range strings.Lines(text) {
			if line = ui.Clean(line); strings.TrimSpace(line) != "" {
				want = append(want, strings.TrimSpace(line))
			}
		}
		var got []string
		for line := range strings.Lines(b.String()) {
			marked := strings.HasPrefix(line, "iibake: ") || strings.HasPrefix(line, " ") || strings.HasPrefix(line, "a.yaml:3:7: ") || strings.HasPrefix(line, "x:y")
			if !marked || strings.ContainsAny(line, "\x1b\r\t") {
				t.Fatalf("%q of %q", line, text)
			}
			got = append(got, strings.TrimSpace(strings.TrimPrefix(line, "iibake: ")))
		}
		if code != exitError || !slices.Equal(got, want) {
			t.Fatalf("code %d, %q became %q, want %q", code, text, got, want)
		}
	})
}

// TestHintsOnceOutsideIn: a hint that several errors share is given once, and that of the whole comes before those of its parts.
func TestHintsOnceOutsideIn(t *testing.T) {
	inner := withHint(errors.New("x"), "inner", "both")
	err := withHint(fmt.Errorf("y: %w", errors.Join(inner, withHint(inStage(errBake, errors.New("z")), "both", "last"))), "outer", "inner")
	if got, want := hints(err), []string{"outer", "inner", "both", "last"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := hints(errors.New("x")); len(got) != 0 {
		t.Errorf("got %q", got)
	}
	if code := exitCode(t.Context(), err); code != exitBake {
		t.Errorf("code %d", code)
	}
}
