package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/local"
	"github.com/iibake/iibake/bake/template"
	"github.com/iibake/iibake/promote"
)

// contextWith returns what a verb sees that was called with --output.
func contextWith(t *testing.T, output string) *cli.Context {
	t.Helper()
	set := flag.NewFlagSet("iibake", flag.ContinueOnError)
	set.String("output", output, "")
	return cli.NewContext(newApp(newConsole(streams{})), set, nil)
}

func TestArrange(t *testing.T) {
	app := newApp(newConsole(streams{}))
	for in, want := range map[string]string{
		"":                              "",
		"build":                         "build",
		"build web":                     "build -- web",
		"build web base --force":        "build --force -- web base",
		"build --var a=b web -j 2":      "build --var a=b -j 2 -- web",
		"build web --var=a=b -C x":      "-C x build --var=a=b -- web",
		"-C x build --no-color":         "-C x --no-color build",
		"show web -o json":              "show -o json -- web",
		"run web -p 80 -- ls -l":        "run -p 80 -- web -- ls -l",
		"show -- -x":                    "show -- -- -x",
		"--what build":                  "--what build",
		"build --what web":              "build --what -- web",
		"export web -o -":               "export -o - -- web",
		"images --output":               "images --output",
		"nothing such --dir x":          "--dir x nothing such",
		"local":                         "local",
		"local up --port 1 -C x":        "-C x local up --port 1",
		"local --state s up --simulate": "local up --state s --simulate",
		"local console i-1 -f":          "local console -f -- i-1",
		"local what up":                 "local -- what up",
		"bu --generate-bash-completion": "bu --generate-bash-completion",
	} {
		got := strings.Join(arrange(app, append([]string{"iibake"}, strings.Fields(in)...))[1:], " ")
		if got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestExitCode(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context //nolint:containedctx // a test case
		err  error
		want int
	}{
		{"nothing", t.Context(), nil, 0},
		{"nothing, though the signal came at the end", cancelled, nil, 0},
		{"anything", t.Context(), errors.New("x"), 1},
		{"usage", t.Context(), withHint(errUsage, "h"), 2},
		{"template", t.Context(), template.Errors{{Text: "x"}}, 2},
		{"bake", t.Context(), inStage(errBake, errors.New("x")), 10},
		{"test", t.Context(), inStage(errTest, errors.New("x")), 11},
		{"bake before test", t.Context(), errors.Join(inStage(errTest, errors.New("x")), inStage(errBake, errors.New("y"))), 10},
		{"moved", t.Context(), fmt.Errorf("x: %w", catalog.ErrMoved), 12},
		{"rolled back for a gate", t.Context(), fmt.Errorf("x: %w: %w", promote.ErrRolledBack, bake.ErrRefused), 13},
		{"gate in a bake", t.Context(), inStage(errBake, bake.ErrRefused), 14},
		{"not found", t.Context(), inStage(errBake, bake.ErrNotFound), 15},
		{"status of a command", t.Context(), errors.Join(statusError(42)), 42},
		{"interrupted", cancelled, inStage(errBake, context.Canceled), 130},
	} {
		if got := exitCode(c.ctx, c.err); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

// what returns what fail writes about err.
func what(ctx context.Context, err error) string {
	var b strings.Builder
	con := newConsole(streams{strings.NewReader(""), &b, &b})
	con.fail(ctx, err)
	return b.String()
}

func TestFail(t *testing.T) {
	err := errors.Join(
		template.Errors{{Pos: bake.Position{File: "a.yaml", Line: 3, Column: 7}, Text: "unknown key x", Hint: "write y"}},
		withHint(errors.New("bake web: step 2 failed\n  last line\x1b[2J\n\n  of the script"), "one", "two"),
		withHint(errors.New("other"), "two"),
	)
	want := "a.yaml:3:7: unknown key x: write y\niibake: bake web: step 2 failed\n  last line\n  of the script\niibake: other\nhint: one\nhint: two\n"
	if got := what(t.Context(), err); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := what(t.Context(), statusError(3)); got != "" {
		t.Errorf("the status of a command in a machine is no error of ours: %q", got)
	}
}

func TestFailWhenInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := errors.Join(fmt.Errorf("bake web: %w", context.Canceled), errors.New("cannot remove /x"))
	if got := what(ctx, err); got != "iibake: interrupted\niibake: cannot remove /x\n" {
		t.Errorf("got %q", got)
	}
}

func TestHintOfPermission(t *testing.T) {
	got := hints(withHint(&fs.PathError{Op: "open", Path: "/x", Err: fs.ErrPermission}, "first"))
	if want := []string{"first"}; os.Geteuid() == 0 && !slices.Equal(got, want) {
		t.Errorf("root: got %q, want %q", got, want)
	}
	if withHint(nil, "x") != nil || inStage(errBake, nil) != nil {
		t.Error("no error became one")
	}
}

func TestSudoCommand(t *testing.T) {
	secret := func(s bake.Secret) map[string]bake.Value { return map[string]bake.Value{"X": {Secret: &s}} }
	templates := []bake.Template{{Steps: []bake.Step{
		{Run: "x", Env: secret(bake.Secret{Env: "TOKEN"})}, {Run: "y", Env: secret(bake.Secret{File: "f"})}, {Run: "z", Env: secret(bake.Secret{Env: "TOKEN"})},
	}}}
	set := flag.NewFlagSet("build", flag.ContinueOnError)
	if err := set.Parse([]string{"web"}); err != nil {
		t.Fatal(err)
	}
	c := cli.NewContext(newApp(newConsole(streams{})), set, nil)
	got := sudoCommand(c, templates, []string{"IIBAKE_VAR_level=1", "HOME=/x", "GITHUB_ACTIONS=true"})
	if want := "run sudo --preserve-env=GITHUB_ACTIONS,IIBAKE_VAR_level,TOKEN iibake build web"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := sudoCommand(c, nil, nil); got != "run sudo iibake build web" {
		t.Errorf("got %q", got)
	}
}

func TestActor(t *testing.T) {
	name := fmt.Sprintf("uid %d", os.Getuid()) // of who has no account, as in some containers
	if me, err := user.Current(); err == nil && me.Username != "" {
		name = me.Username
	}
	for what, c := range map[string]struct {
		env  map[string]string
		want string
	}{
		"under sudo, who called it":            {map[string]string{"USER": "root", "SUDO_USER": "ada"}, "ada"},
		"in CI, who triggered the job":         {map[string]string{"USER": "runner", "SUDO_USER": "runner", "GITHUB_ACTOR": "ada"}, "ada"},
		"in another CI":                        {map[string]string{"USER": "root", "GITLAB_USER_LOGIN": "ada"}, "ada"},
		"no environment: the account's name":   {nil, name},
		"a variable that is empty says nobody": {map[string]string{"GITHUB_ACTOR": "", "USER": "ada"}, "ada"},
	} {
		t.Run(what, func(t *testing.T) {
			if got := actor(func(k string) string { return c.env[k] }); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if inJob := actorOfJob(func(k string) string { return c.env[k] }) != ""; inJob != strings.Contains(what, "CI") {
				t.Errorf("of a job: %t", inJob)
			}
		})
	}
}

func TestWantsColour(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		want bool
	}{
		"nothing said":   {nil, true},
		"NO_COLOR":       {map[string]string{"NO_COLOR": "1"}, false},
		"empty NO_COLOR": {map[string]string{"NO_COLOR": ""}, true},
		"dumb":           {map[string]string{"TERM": "dumb"}, false},
	} {
		if got := wantsColour(func(k string) (string, bool) { v, ok := c.env[k]; return v, ok }); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestShellCommand(t *testing.T) {
	for want, words := range map[string][]string{
		"":                    nil,
		"ls -l | wc":          {"ls -l | wc"},
		`'echo' 'it'\''s' ''`: {"echo", "it's", ""},
	} {
		if got := shellCommand(words); got != want {
			t.Errorf("%q: got %s, want %s", words, got, want)
		}
	}
}

// The output of a failed step is shown when it fails, and again only where it was not.
func TestFailShowsOutputOnce(t *testing.T) {
	step := "a.yaml:3:5: step \"x\": exit status 1\n    older line\n    line 1\n    line 2\n  the disk is kept in /x"
	err := errors.Join(errors.New(step), errors.New("test web: \n    console"))
	for mode, want := range map[string]string{
		"plain": "a.yaml:3:5: step \"x\": exit status 1\n  the disk is kept in /x\niibake: test web: \n    console\n",
		"none":  "a.yaml:3:5: step \"x\": exit status 1\n    older line\n    line 1\n    line 2\n  the disk is kept in /x\niibake: test web: \n    console\n",
	} {
		var b strings.Builder
		con := newConsole(streams{strings.NewReader(""), &b, &b})
		con.progress = mode
		r, failed := con.reporter("")
		if failed != nil {
			t.Fatal(failed)
		}
		task := bake.StartTask(r, "web", "step x", nil)
		task.Log("line 1\r\n")
		task.Log("  line 2")
		_ = task.End(errors.New("exit status 1"))
		r.Close()
		b.Reset()
		con.fail(t.Context(), err)
		if b.String() != want {
			t.Errorf("%s: got\n%s\nwant\n%s", mode, &b, want)
		}
	}
}

func TestStepHint(t *testing.T) {
	if got := stepHint(&local.StepError{}); !strings.Contains(got, "--retain") {
		t.Errorf("got %q", got)
	}
	if got := stepHint(&local.StepError{Wreck: "/x/y.raw"}); !strings.Contains(got, "sudo iibake run /x/y.raw;") {
		t.Errorf("got %q", got)
	}
}
