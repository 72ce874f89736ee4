package local_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/local"
)

// TestMain makes the test binary what it re-executes: a sandbox.
func TestMain(m *testing.M) {
	if code, ran := local.Main(); ran {
		os.Exit(code)
	}
	if dir, ok := os.LookupEnv(bakeProcess); ok {
		os.Exit(bakeInProcess(dir))
	}
	os.Exit(m.Run())
}

// kitchen is a repository, a catalog and a store to bake in.
type kitchen struct {
	repo, state string
	images      bake.Images
	store       *disk.Store
	events      *events
}

// events remembers what was reported.
type events struct {
	mu  sync.Mutex
	all []bake.Event
}

func (e *events) Report(ev bake.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, ev)
}

// tasks returns the names of the tasks that ended with an event of this kind, and forgets everything.
func (e *events) tasks(kind bake.EventKind) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var names []string
	for _, ev := range e.all {
		if ev.Kind == kind {
			names = append(names, ev.Task)
		}
	}
	e.all = nil
	return names
}

func (e *events) text() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return fmt.Sprintf("%+v", e.all)
}

func newKitchen(t *testing.T) *kitchen {
	t.Helper()
	k := &kitchen{repo: t.TempDir(), state: t.TempDir()}
	if err := k.open(); err != nil {
		t.Fatal(err)
	}
	k.write(t, "disk.raw", smallDisk(t))
	k.write(t, "hello.txt", []byte("hello\n"))
	return k
}

// open opens catalog and store; again and again it is what another process would see.
func (k *kitchen) open() error {
	c, err := catalog.OpenDir(filepath.Join(k.state, "catalog"))
	if err != nil {
		return err
	}
	k.images, k.events = bake.NewImages(c), &events{}
	k.store, err = disk.Open(filepath.Join(k.state, "store"))
	return err
}

func (k *kitchen) write(t *testing.T, name string, body []byte) {
	t.Helper()
	path := filepath.Join(k.repo, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (k *kitchen) config() local.Config {
	return local.Config{
		Images: k.images, Store: k.store, Dir: k.state,
		Commit: bake.Commit{Dir: k.repo, Hash: strings.Repeat("ab", 20), Short: "abababa"},
	}
}

func (k *kitchen) bake(ctx context.Context, t bake.Template, change ...func(*local.Config)) (bake.Image, error) {
	c := k.config()
	for _, f := range change {
		f(&c)
	}
	return local.New(c).Bake(ctx, t, k.events)
}

func (k *kitchen) mustBake(t *testing.T, tpl bake.Template, change ...func(*local.Config)) bake.Image {
	t.Helper()
	img, err := k.bake(t.Context(), tpl, change...)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// template returns a template that starts from the small disk.
func (k *kitchen) template(name string, steps ...bake.Step) bake.Template {
	for i := range steps {
		steps[i].Pos = bake.Position{File: name + ".yaml", Line: i + 10, Column: 5}
		steps[i].Timeout = bake.Duration(10 * time.Minute)
	}
	return bake.Template{
		Version: 1, Name: name, Arch: bake.AMD64, Source: bake.Source{Disk: &bake.DiskImage{Path: "disk.raw"}, Pos: bake.Position{File: name + ".yaml", Line: 5, Column: 1}},
		Steps: steps, Dir: k.repo, File: name + ".yaml", Pos: bake.Position{File: name + ".yaml", Line: 2, Column: 7},
	}
}

func run(script string) bake.Step { return bake.Step{Run: script} }

func copyStep(from, to string) bake.Step {
	return bake.Step{Copy: &bake.Copy{From: from, To: to, Owner: "root:root"}}
}

// smallDisk returns a disk with a bare ext4 filesystem, in which busybox is all there is.
func smallDisk(t *testing.T) []byte {
	t.Helper()
	root, out := t.TempDir(), filepath.Join(t.TempDir(), "disk.raw")
	for _, dir := range []string{"bin", "etc", "proc", "sys", "dev", "tmp", "run", "root", "usr/sbin", "var/log", "var/lib"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script := `cp /bin/busybox bin/busybox
		for a in sh cat echo mkdir rm chmod sleep touch true false sync ln dd head ls; do ln -s busybox bin/$a; done
		echo root:x:0:0:root:/root:/bin/sh > etc/passwd; echo root:x:0: > etc/group; echo 'root:*:19000::::::' > etc/shadow; chmod 600 etc/shadow
		mkfs.ext4 -q -d . "$1" 64M`
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", script, "sh", out)
	cmd.Dir = root
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	body, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// cat reads a file of an image with debugfs, which is nobody's code here.
func (k *kitchen) cat(t *testing.T, img bake.Image, path string) string {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := k.store.Materialise(t.Context(), img.Disk, f, nil); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "debugfs", "-R", "cat "+path, f.Name()).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestBakeRecordsAnImageAndFindsItUpToDate(t *testing.T) {
	k := newKitchen(t)
	tpl := k.template("web", run("echo one > /etc/one"), copyStep("hello.txt", "/srv/hello.txt"))
	img := k.mustBake(t, tpl)
	if got := k.cat(t, img, "/etc/one") + k.cat(t, img, "/srv/hello.txt"); got != "one\nhello\n" {
		t.Fatalf("the image holds %q", got)
	}
	again, err := k.bake(t.Context(), tpl)
	if !errors.Is(err, bake.ErrUpToDate) || again.Ref != img.Ref {
		t.Fatalf("second bake: %v, %v", again.Ref, err)
	}
	forced := k.mustBake(t, tpl, func(c *local.Config) { c.Force = true })
	if forced.Version == img.Version || forced.Key != img.Key || slices.ContainsFunc(forced.Steps, func(s bake.StepResult) bool { return s.Cached }) {
		t.Fatalf("forced bake: %+v", forced)
	}
	noTraces(t)
}

func TestOnlyChangedStepsRun(t *testing.T) {
	k := newKitchen(t)
	steps := func(last string) []bake.Step {
		return []bake.Step{run("echo 1 > /one"), {Env: map[string]bake.Value{"WHO": {Text: "world"}}}, run(last)}
	}
	k.mustBake(t, k.template("web", steps("echo $WHO > /two")...))
	k.events.tasks(bake.EventDone)
	img := k.mustBake(t, k.template("web", steps("echo changed $WHO > /two")...))
	if got := k.cat(t, img, "/one") + k.cat(t, img, "/two"); got != "1\nchanged world\n" {
		t.Fatalf("the image holds %q", got)
	}
	if got := k.events.tasks(bake.EventDone); !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "step 3/3") }) ||
		slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "step 1/3") }) {
		t.Fatalf("done: %q", got)
	}
}

func TestFailedStepIsNamedAndResumed(t *testing.T) {
	k := newKitchen(t)
	first := run("echo first > /first")
	_, err := k.bake(t.Context(), k.template("web", first, run("echo before; echo oh dear >&2; false; echo behind")),
		func(c *local.Config) { c.Retain = true })
	var failed *local.StepError
	if !errors.As(err, &failed) {
		t.Fatalf("got %v", err)
	}
	if text := err.Error(); !strings.Contains(text, "web.yaml:11:5") || !strings.Contains(text, "oh dear") || strings.Contains(text, "behind\n") {
		t.Fatalf("got %v", err)
	}
	out, err := exec.CommandContext(t.Context(), "debugfs", "-R", "cat /first", failed.Wreck).Output()
	if err != nil || string(out) != "first\n" {
		t.Fatalf("wreck %s holds %q (%v)", failed.Wreck, out, err)
	}
	k.events.tasks(bake.EventDone)
	img := k.mustBake(t, k.template("web", first, run("echo fine > /second")))
	if got := k.events.tasks(bake.EventSkip); len(got) != 1 || !strings.HasPrefix(got[0], "step 1/2") {
		t.Fatalf("skipped: %q", got)
	}
	if !img.Steps[0].Cached || img.Steps[1].Cached {
		t.Fatalf("steps: %+v", img.Steps)
	}
	noTraces(t)
}

func TestSecretsAreUsedHiddenAndKeptOut(t *testing.T) {
	k := newKitchen(t)
	const secret = "correct-horse-battery"
	t.Setenv("TEST_TOKEN", secret)
	with := func(script string) bake.Template {
		s := run(script)
		s.Env = map[string]bake.Value{"TOKEN": {Secret: &bake.Secret{Env: "TEST_TOKEN"}}}
		return k.template("web", s)
	}
	k.mustBake(t, with(`echo "token is $TOKEN"; test "$TOKEN" = correct-horse-battery`))
	if strings.Contains(k.events.text(), secret) || !strings.Contains(k.events.text(), "token is") {
		t.Fatalf("events: %s", k.events.text())
	}
	for name, script := range map[string]string{
		"kept":  `echo "$TOKEN" > /etc/token`,
		"freed": `echo "$TOKEN" > /etc/token; sync; rm /etc/token`, // trimmed away: nothing to find
		"fail":  `echo "$TOKEN" >&2; false`,
	} {
		_, err := k.bake(t.Context(), with(script))
		switch {
		case name == "freed" && err != nil:
			t.Errorf("%s: got %v", name, err)
		case name == "kept" && !errors.Is(err, bake.ErrRefused):
			t.Errorf("%s: got %v", name, err)
		case name == "fail" && err == nil:
			t.Errorf("%s: no error", name)
		case err != nil && strings.Contains(err.Error(), secret):
			t.Errorf("%s: the error tells the secret: %v", name, err)
		}
	}
	t.Setenv("TEST_TOKEN", "another")
	if _, err := k.bake(t.Context(), with(`echo "token is $TOKEN"; test "$TOKEN" = correct-horse-battery`)); !errors.Is(err, bake.ErrUpToDate) {
		t.Errorf("the value of a secret is part of the bake key: %v", err)
	}
}

func TestChildFollowsItsParent(t *testing.T) {
	k := newKitchen(t)
	child := k.template("child", run("echo child > /child"))
	child.Source = bake.Source{Image: "base"}
	if _, err := k.bake(t.Context(), child); !errors.Is(err, bake.ErrNotFound) {
		t.Fatalf("without a parent: %v", err)
	}
	base := k.mustBake(t, k.template("base", run("echo 1 > /base")))
	one := k.mustBake(t, child)
	if one.Parent == nil || *one.Parent != base.Ref || k.cat(t, one, "/base") != "1\n" {
		t.Fatalf("child: %+v", one)
	}
	if _, err := k.bake(t.Context(), child); !errors.Is(err, bake.ErrUpToDate) {
		t.Fatalf("unchanged: %v", err)
	}
	k.mustBake(t, k.template("base", run("echo 2 > /base")))
	if two := k.mustBake(t, child); k.cat(t, two, "/base") != "2\n" || k.cat(t, two, "/child") != "child\n" {
		t.Fatalf("child: %+v", two)
	}
}

func TestDirtyTreesDoNotBakeUnlessTold(t *testing.T) {
	k := newKitchen(t)
	dirty := func(c *local.Config) { c.Commit.Dirty = true }
	if _, err := k.bake(t.Context(), k.template("web"), dirty); !errors.Is(err, bake.ErrRefused) || !strings.Contains(err.Error(), "--allow-dirty") {
		t.Fatalf("got %v", err)
	}
	img := k.mustBake(t, k.template("web"), dirty, func(c *local.Config) { c.AllowDirty = true })
	if !img.Dirty || !strings.HasSuffix(img.Version, "-dirty") {
		t.Fatalf("got %+v", img)
	}
}

func TestTwoBuildsOfOneTemplate(t *testing.T) {
	k := newKitchen(t)
	tpl := k.template("web", run("echo begun; echo done > /done"))
	waits, second := make(chan struct{}), make(chan error, 1)
	begin := sync.OnceFunc(func() {
		said := sync.OnceFunc(func() { close(waits) })
		go func() {
			_, err := local.New(k.config()).Bake(t.Context(), tpl, bake.ReporterFunc(func(e bake.Event) {
				if strings.Contains(e.Text, "another build of web is running") {
					said()
				}
			}))
			second <- err
		}()
		select { // until then the step does not get on
		case <-waits:
		case err := <-second:
			t.Errorf("the second did not say that it waits: %v", err)
			second <- err
		case <-time.After(5 * time.Minute): // a hang must not end in the timeout of the whole package
			t.Error("the second does not say that it waits")
		}
	})
	first := bake.ReporterFunc(func(e bake.Event) {
		if e.Text == "begun" {
			begin()
		}
	})
	if _, err := local.New(k.config()).Bake(t.Context(), tpl, first); err != nil {
		t.Errorf("the first: %v", err)
	}
	begin() // where the first has failed before
	if err := <-second; !errors.Is(err, bake.ErrUpToDate) {
		t.Errorf("the second: %v", err)
	}
}

func TestBakeLeavesNothingWhenItIsCancelled(t *testing.T) {
	k := newKitchen(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("enough")
	tpl := k.template("web", run("echo begun; sleep 60"))
	r := bake.ReporterFunc(func(e bake.Event) {
		if e.Text == "begun" {
			cancel(stop)
		}
	})
	if _, err := local.New(k.config()).Bake(ctx, tpl, r); !errors.Is(err, stop) {
		t.Fatalf("got %v", err)
	}
	if images, err := k.images.List(t.Context(), ""); err != nil || len(images) != 0 {
		t.Fatalf("images: %v, %v", images, err)
	}
	noTraces(t)
}

func TestTimeoutNamesTheStep(t *testing.T) {
	k := newKitchen(t)
	tpl := k.template("web", run("sleep 60"))
	tpl.Steps[0].Timeout = bake.Duration(500 * time.Millisecond)
	_, err := k.bake(t.Context(), tpl)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "web.yaml:10:5") || !strings.Contains(err.Error(), "timeout") {
		t.Fatalf("got %v", err)
	}
}

func TestDiskSourceGrowsAndIsChecked(t *testing.T) {
	k := newKitchen(t)
	tpl := k.template("web")
	tpl.DiskSize = 128 * bake.MiB
	if img := k.mustBake(t, tpl); img.Size != 128*bake.MiB {
		t.Fatalf("size %s", img.Size)
	}
	tpl.DiskSize = 32 * bake.MiB
	if _, err := k.bake(t.Context(), tpl); !errors.Is(err, bake.ErrInvalid) || !strings.Contains(err.Error(), "64MiB") {
		t.Fatalf("smaller: %v", err)
	}
	tpl.DiskSize = 0
	tpl.Source.Disk = &bake.DiskImage{Path: "disk.raw", SHA256: strings.Repeat("0", 64)}
	if _, err := k.bake(t.Context(), tpl); !errors.Is(err, bake.ErrInvalid) || !strings.Contains(err.Error(), "SHA-256") {
		t.Fatalf("wrong digest: %v", err)
	}
	tpl.Source.Disk = &bake.DiskImage{Path: "hello.txt"}
	if _, err := k.bake(t.Context(), tpl); err == nil || !strings.Contains(err.Error(), "web.yaml") {
		t.Fatalf("no disk: %v", err)
	}
}

// noTraces fails if a loop device of a scratch file of this test, or a mount, is left. The kernel takes a moment to detach a
// device whose owner was killed.
func noTraces(t *testing.T) {
	t.Helper()
	var left []string
	for range patience {
		if left = loopsOf(t); len(left) == 0 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if len(left) > 0 {
		t.Errorf("loop devices left: %q", left)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) { // others of this host mount loop devices too
		if strings.Contains(line, t.Name()) || strings.Contains(line, " /boot/root ") {
			t.Errorf("mount left: %s", line)
		}
	}
}

func loopsOf(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		t.Fatal(err)
	}
	var ours []string
	for _, f := range files {
		b, _ := os.ReadFile(f) // gone is what it should be
		if strings.Contains(string(b), t.Name()) {
			ours = append(ours, string(b))
		}
	}
	return ours
}
