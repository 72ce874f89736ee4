package provision_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/provision"
	"github.com/iibake/iibake/bake/local/internal/sandbox"
	"github.com/iibake/iibake/bake/local/internal/sandbox/sandboxtest"
)

func TestMain(m *testing.M) {
	if code, ran := sandbox.Main(map[string]sandbox.Task{provision.TaskName: provision.Task, "sh": shell}); ran {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// shell runs a script outside of the image, at its root, and returns the output.
func shell(ctx context.Context, e *sandbox.Env, input json.RawMessage) (any, error) {
	var script string
	if err := json.Unmarshal(input, &script); err != nil {
		return nil, err
	}
	var out strings.Builder
	err := e.Command(ctx, sandbox.Command{Argv: []string{"sh", "-ec", script}, Stdout: &out})
	return out.String(), err
}

// look returns the output of a script that looks at the image as it is on the disk.
func look(t *testing.T, disk *os.File, script string) string {
	t.Helper()
	var out string
	err := sandbox.Run(t.Context(), sandbox.Job{Task: "sh", Root: &sandbox.Root{Disk: disk, ReadOnly: true}, Input: script}, &out)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// bench is an image and a repository to try steps with.
type bench struct {
	t    *testing.T
	disk *os.File
	repo string
	log  []string
}

func newBench(t *testing.T, files sandboxtest.Files) *bench {
	t.Helper()
	b := &bench{t: t, repo: t.TempDir(), disk: sandboxtest.Disk(t, 64<<20, sandboxtest.Busybox(t))}
	files.Write(t, b.repo)
	return b
}

func (b *bench) do(s bake.Step) error {
	b.log = nil
	spec := provision.Spec{Step: s, Dir: b.repo, Env: map[string]string{"LEVEL": "strict", "TOKEN": "hunter2hunter2"}}
	err := provision.Run(b.t.Context(), sandbox.Root{Disk: b.disk}, spec, func(line string) { b.log = append(b.log, line) })
	sandboxtest.NothingLeft(b.t)
	return err
}

func (b *bench) must(s bake.Step) {
	b.t.Helper()
	if err := b.do(s); err != nil {
		b.t.Fatalf("%v\n%s", err, strings.Join(b.log, "\n"))
	}
}

func (b *bench) want(script, want string) {
	b.t.Helper()
	if got := look(b.t, b.disk, script); got != want {
		b.t.Errorf("%s:\n%s\nwant:\n%s", script, got, want)
	}
}

func TestRunAndScript(t *testing.T) {
	b := newBench(t, sandboxtest.Files{
		"scripts/harden.sh": "#!/bin/sh -e\necho \"$0 $1 $LEVEL\" > /etc/hardened\n",
		"plain":             "echo $# >> /etc/hardened",
	})
	b.must(bake.Step{Script: &bake.Script{File: "scripts/harden.sh", Args: []string{"a b"}}})
	b.must(bake.Step{Script: &bake.Script{File: "plain", Args: []string{"1", "2"}}})
	b.must(bake.Step{Run: "echo $LEVEL\necho $TOKEN; printf $TOKEN > /etc/token"})
	b.want("cat /etc/hardened; ls /tmp", "/tmp/iibake/harden.sh a b strict\n2")
	b.want("cat /etc/token", "hunter2hunter2") // the step's own doing: hygiene finds it
	if !slices.Equal(b.log, []string{"strict", "hunter2hunter2"}) {
		t.Error(b.log)
	}
}

func TestFailure(t *testing.T) {
	b := newBench(t, nil)
	err := b.do(bake.Step{Run: "echo fine\necho oh dear >&2\nfalse\necho never"})
	f := (*provision.Failure)(nil)
	if !errors.As(err, &f) || !slices.Equal(f.Tail, []string{"fine", "oh dear"}) {
		t.Fatalf("%+v", err)
	}
	if want := `sh: exit status 1: oh dear`; err.Error() != want {
		t.Error(err)
	}
	if err := b.do(bake.Step{Run: "cat /dev/zero > /big"}); !errors.Is(err, sandbox.ErrGuestFull) {
		t.Error(err)
	}
	if err := b.do(bake.Step{Apt: &bake.Packages{Install: []string{"nginx"}}}); err == nil || !strings.Contains(err.Error(), "the image has no apt-get") {
		t.Error(err)
	}
	if err := b.do(bake.Step{Packages: &bake.Packages{Install: []string{"nginx"}}}); !errors.Is(err, bake.ErrInvalid) {
		t.Error(err)
	}
}

func TestTimeoutSaysWhatToRaise(t *testing.T) {
	b := newBench(t, nil)
	err := b.do(bake.Step{Run: "echo waiting; sleep 1000", Timeout: bake.Duration(200 * time.Millisecond)})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "took longer than 200ms: raise its timeout") {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = provision.Run(ctx, sandbox.Root{Disk: b.disk}, provision.Spec{Step: bake.Step{Run: "sleep 1000"}}, nil)
	if f := (*provision.Failure)(nil); !errors.Is(err, context.Canceled) || errors.As(err, &f) {
		t.Fatal(err)
	}
}

func TestCopy(t *testing.T) {
	b := newBench(t, sandboxtest.Files{
		"app.conf": "a=1\n", "site/index.html": "hi", "site/css/x.css": "x", "site/bin/tool": "#!/bin/sh\n",
		"site/link": "->index.html", ".git/config": "private", "site/.git": "gitdir: elsewhere",
	})
	for _, c := range []bake.Copy{
		{From: "app.conf", To: "/etc/app/app.conf", Mode: 0o640, Owner: "root:www-data"},
		{From: "app.conf", To: "/opt/conf/", Owner: "www-data"},
		{From: "site/", To: "/var/www/html", Owner: "33:33"},
		{From: "site", To: "/srv/", Owner: "root:root"},
		{From: ".", To: "/repo", Owner: "root:root"},
	} {
		b.must(bake.Step{Copy: &c})
	}
	b.want("cd /; stat -c '%n %a %u:%g' etc/app etc/app/app.conf opt/conf/app.conf", "etc/app 755 0:0\netc/app/app.conf 640 0:33\nopt/conf/app.conf 644 33:33")
	b.want("cd /var/www; stat -c '%n %a %u:%g' . html html/css html/css/x.css html/bin/tool html/link; readlink html/link",
		". 755 0:0\nhtml 755 33:33\nhtml/css 755 33:33\nhtml/css/x.css 644 33:33\nhtml/bin/tool 755 33:33\nhtml/link 777 33:33\nindex.html")
	b.want("ls /srv /srv/site; ls -A /repo", "/srv:\nsite\n\n/srv/site:\nbin\ncss\nindex.html\nlink\napp.conf\nsite")
}

func TestCopyAgainWritesNothing(t *testing.T) {
	b := newBench(t, sandboxtest.Files{"app.conf": "a=1\n", "link": "->app.conf"})
	step := bake.Step{Copy: &bake.Copy{From: "./", To: "/etc/app", Owner: "root"}}
	b.must(step)
	inode := look(t, b.disk, "stat -c '%i %Z' /etc/app/*")
	b.must(step)
	b.want("stat -c '%i %Z' /etc/app/*", inode)
	step.Copy.Mode = 0o600
	b.must(step)
	b.want("stat -c '%a' /etc/app/app.conf", "600")
	sandboxtest.Files{"app.conf": "a=2\n"}.Write(t, b.repo)
	b.must(step)
	b.want("cat /etc/app/app.conf; ls -A /etc/app", "a=2\napp.conf\nlink")
}

// Links of an image lead to where its own programs would be led, never to this machine.
func TestCopyStaysInTheImage(t *testing.T) {
	outside := t.TempDir()
	b := newBench(t, sandboxtest.Files{"f": "new", "d/f": "new"})
	b.must(bake.Step{Run: "mkdir /srv; ln -s /srv /www; ln -s ../../../../srv /up; ln -s " + outside + " /out; ln -s /srv/target /file; echo old > /srv/target"})
	for to, at := range map[string]string{"/www/": "/srv/f", "/up/a": "/srv/a", "/out/f": outside + "/f", "/file": "/file"} {
		err := b.do(bake.Step{Copy: &bake.Copy{From: "f", To: to}})
		if to == "/out/f" {
			if err == nil { // a dangling link, as seen by the image
				t.Error("copied through a dangling link")
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		b.want("cat "+at, "new")
	}
	b.want("cat /srv/target; test ! -L /file", "old") // the link itself was replaced
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Fatal(left, err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(b.repo, "escape")); err != nil {
		t.Fatal(err)
	}
	if err := b.do(bake.Step{Script: &bake.Script{File: "escape"}}); err == nil || !strings.Contains(err.Error(), "escapes") {
		t.Error(err)
	}
	if err := b.do(bake.Step{Copy: &bake.Copy{From: "escape", To: "/etc/escape"}}); err == nil || !strings.Contains(err.Error(), "escapes") {
		t.Error(err)
	}
}

// A link that a step names stands for what it leads to, as the bake key has it; one below a folder is copied as a link.
func TestCopyFollowsWhatIsNamed(t *testing.T) {
	b := newBench(t, sandboxtest.Files{"releases/1/a": "one", "releases/1/b": "->a", "current": "->releases/1", "newest": "->releases/1/a"})
	b.must(bake.Step{Copy: &bake.Copy{From: "current/", To: "/srv/site"}})
	b.must(bake.Step{Copy: &bake.Copy{From: "current", To: "/srv/"}})
	b.must(bake.Step{Copy: &bake.Copy{From: "newest", To: "/srv/file"}})
	b.want("cat /srv/site/a; readlink /srv/site/b", "onea")
	b.want("cat /srv/current/a /srv/file; test -d /srv/current && test ! -L /srv/current && test ! -L /srv/file && echo .", "oneone.")
}

func TestCopyRefuses(t *testing.T) {
	b := newBench(t, sandboxtest.Files{"f": "new", "d/f": "new", "d/passwd/f": ""})
	for want, c := range map[string]bake.Copy{
		"/etc is a folder in the image: write /etc/": {From: "f", To: "/etc"},
		"/etc/passwd is a file in the image":         {From: "d/passwd", To: "/etc/passwd"},
		"the image has no user nobody-here":          {From: "f", To: "/f", Owner: "nobody-here:root"},
		"the image has no group staff-here":          {From: "f", To: "/f", Owner: "root:staff-here"},
		"no such file":                               {From: "missing", To: "/f"},
		"path escapes from parent":                   {From: "../f", To: "/f"},
		"not a directory":                            {From: "f", To: "/etc/passwd/x/y"},
	} {
		err := b.do(bake.Step{Copy: &c})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func TestEnvStepDoesNothing(t *testing.T) {
	err := provision.Run(t.Context(), sandbox.Root{}, provision.Spec{Step: bake.Step{Env: map[string]bake.Value{"A": {Text: "b"}}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
}
