package local_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/local"
)

// bakeProcess is the environment variable that makes the test binary a process that bakes in the folder that it names.
const bakeProcess = "IIBAKE_TEST_BAKE_IN"

// killTemplate has steps that are long enough to be killed in, and a service that would outlive them.
func killTemplate(k *kitchen) bake.Template {
	return k.template("web",
		run("echo 1 > /one; sleep 60 & sleep 0.1"), copyStep("hello.txt", "/srv/hello.txt"), run("echo 3 > /three; sleep 0.1"))
}

// bakeInProcess is the process that gets killed.
func bakeInProcess(dir string) int {
	k := &kitchen{repo: filepath.Join(dir, "repo"), state: filepath.Join(dir, "state")}
	if err := k.open(); err != nil {
		return 1
	}
	_, err := local.New(k.config()).Bake(context.Background(), killTemplate(k), bake.Discard())
	if err != nil && !errors.Is(err, bake.ErrUpToDate) {
		return 1
	}
	return 0
}

// TestKillAtAnyMoment kills builds with SIGKILL at random moments. No process, loop device or mount may be left, catalog
// and store must verify, and the build that is let through must give what an undisturbed one gives.
func TestKillAtAnyMoment(t *testing.T) {
	rounds := 50
	if testing.Short() {
		rounds = 5
	}
	k := newKitchen(t)
	want := k.mustBake(t, killTemplate(k))
	dir := t.TempDir()
	if err := os.Symlink(k.repo, filepath.Join(dir, "repo")); err != nil {
		t.Fatal(err)
	}
	buildWithoutRace(t, filepath.Join(dir, program))
	length := timeOfBake(t, dir)
	for range rounds {
		if err := os.RemoveAll(filepath.Join(dir, "state")); err != nil {
			t.Fatal(err)
		}
		killBake(t, dir, time.Duration(rand.Int64N(int64(length))))
		checkAfterKill(t, dir, want, k)
	}
}

// program is the test binary that gets killed.
const program = "bake.test"

// buildWithoutRace builds this test binary as users have the program: the race detector makes each sandbox start a hundred
// times slower.
func buildWithoutRace(t *testing.T, name string) {
	t.Helper()
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", name, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// timeOfBake returns how long an undisturbed bake takes here.
func timeOfBake(t *testing.T, dir string) time.Duration {
	t.Helper()
	began := time.Now()
	if out, err := bakeCommand(t, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return time.Since(began)
}

func bakeCommand(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, program))
	cmd.Env = append(os.Environ(), bakeProcess+"="+dir)
	return cmd
}

func killBake(t *testing.T, dir string, after time.Duration) {
	t.Helper()
	cmd := bakeCommand(t, dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(after, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
	_ = cmd.Wait()
}

func checkAfterKill(t *testing.T, dir string, want bake.Image, k *kitchen) {
	t.Helper()
	waitForNoProcess(t, filepath.Join(dir, program))
	noTraces(t)
	c, err := catalog.OpenDir(filepath.Join(dir, "state", "catalog"))
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := c.Verify(t.Context()); err != nil || len(problems) != 0 {
		t.Fatalf("catalog: %v, %v", problems, err)
	}
	if out, err := bakeCommand(t, dir).CombinedOutput(); err != nil {
		t.Fatalf("the next build: %v: %s", err, out)
	}
	got := &kitchen{repo: k.repo, state: filepath.Join(dir, "state")}
	if err := got.open(); err != nil {
		t.Fatal(err)
	}
	img, err := got.images.Latest(t.Context(), want.Name)
	if err != nil {
		t.Fatal(err)
	}
	a, b := k.files(t, want), got.files(t, img)
	if a != b || img.Packages != want.Packages {
		t.Fatalf("the image after a kill differs:\n%s\nwant\n%s", b, a)
	}
	if problems, err := got.store.Verify(t.Context(), []bake.Digest{img.Disk}, nil); err != nil || len(problems) != 0 {
		t.Fatalf("store: %v, %v", problems, err)
	}
}

// patience is how often it is looked, 50 ms apart, whether the kernel has cleaned up behind a killed program: for two minutes.
const patience = 2400

// waitForNoProcess waits until no process runs a program: the kernel takes a moment to end a namespace.
func waitForNoProcess(t *testing.T, program string) {
	t.Helper()
	var left []string
	for range patience {
		left = nil
		exes, _ := filepath.Glob("/proc/[0-9]*/exe")
		for _, exe := range exes {
			if target, _ := os.Readlink(exe); target == program {
				left = append(left, exe)
			}
		}
		if len(left) == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("processes left: %s", strings.Join(left, " "))
}

// files returns everything that an image holds but times, as text.
func (k *kitchen) files(t *testing.T, img bake.Image) string {
	t.Helper()
	files, err := local.Files(t.Context(), k.store, img.Disk, filepath.Join(k.state, "scratch"))
	if err != nil {
		t.Fatal(err)
	}
	var s strings.Builder
	for _, f := range files {
		f.Time = time.Time{}
		fmt.Fprintf(&s, "%+v\n", f)
	}
	return s.String()
}
