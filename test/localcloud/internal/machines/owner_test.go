package machines_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud/internal/machines"
)

// ownerDir makes this program the owner of a machine instead of a test: see owner.
const ownerDir = "IIBAKE_TEST_OWNER_DIR"

func TestMain(m *testing.M) {
	dir := os.Getenv(ownerDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	fmt.Fprintln(os.Stderr, owner(dir, bake.Digest(os.Args[1])))
	os.Exit(1)
}

// owner runs an instance until it is killed, and says when its guest has written.
func owner(dir string, root bake.Digest) error {
	s, err := disk.Open(filepath.Join(dir, "store"))
	if err != nil {
		return err
	}
	d, err := machines.New(machines.Config{Blocks: s, Dir: filepath.Join(dir, "machines"), Observer: &observer{}})
	if err != nil {
		return err
	}
	d.Start(small("i-1", root))
	for !strings.Contains(string(d.Console("i-1")), "written") {
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Println("written")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// qemus returns the processes of machines of an instance.
func qemus(t *testing.T, dir string) (pids []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range all {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, dir) {
			pids = append(pids, fd)
		}
	}
	return pids
}

func TestKilledOwner(t *testing.T) {
	dir := t.TempDir()
	s, err := disk.Open(filepath.Join(dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	root := biosDisk(t, s, overwrite(), say("written"), hang())
	if err := s.Close(); err != nil { // nobody holds the image but the killed one
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", string(root))
	cmd.Env, cmd.Stderr = append(os.Environ(), ownerDir+"="+dir), os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "written\n" {
		t.Fatal(line, err)
	}
	state := filepath.Join(dir, "machines")
	if d, err := machines.New(machines.Config{Blocks: s, Dir: state, Observer: &observer{}}); !errors.Is(err, machines.ErrInUse) {
		t.Errorf("a second one: %v, %v", d, err)
	}
	if len(qemus(t, state)) == 0 {
		t.Error("no process has the disks")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if s, err = disk.Open(filepath.Join(dir, "store")); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := s.Collect(t.Context(), nil, 0, false); err != nil {
		t.Fatal(err)
	}
	d, seen := driver(t, machines.Config{Blocks: s, Dir: state})
	d.Start(small("i-1", root)) // goes on with the disk that it had, although it may have to wait for the old QEMU to be gone
	seen.running(t, "i-1")
	d.Stop("i-1", true)
	seen.ended(t, "i-1")
	until(t, "all processes are gone", func() bool { return len(qemus(t, filepath.Join(state, "instances"))) == 0 })
	if got, err := d.Snapshot(t.Context(), "i-1", "/dev/xvda"); err != nil || got == root {
		t.Errorf("snapshot: %v, %v", got, err)
	}
}

func TestWhatIsLeftIsKeptOrRemoved(t *testing.T) {
	s := blocks(t)
	root := biosDisk(t, s, say("up"), hang())
	dir := t.TempDir()
	seen := &observer{}
	d, err := machines.New(machines.Config{Blocks: s, Dir: dir, Observer: seen})
	if err != nil {
		t.Fatal(err)
	}
	d.Start(small("i-1", root))
	seen.running(t, "i-1")
	d.Start(small("i-2", root))
	seen.running(t, "i-2")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d.Start(small("i-3", root)) // nobody is there
	if rest := seen.rest(); len(rest) > 0 || d.Known() != 2 {
		t.Errorf("told %+v of its own end, %d known", rest, d.Known())
	}
	d, seen = driver(t, machines.Config{Blocks: s, Dir: dir, Keep: func(id string) bool { return id == "i-1" }})
	if left, err := os.ReadDir(filepath.Join(dir, "instances")); err != nil || len(left) != 1 || left[0].Name() != "i-1" {
		t.Errorf("left: %v, %v", left, err)
	}
	d.Terminate("i-1") // without having been started by this one
	seen.ended(t, "i-1")
	if left, err := os.ReadDir(filepath.Join(dir, "instances")); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestNew(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if d, err := machines.New(machines.Config{Blocks: blocks(t), Dir: file}); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Error(d, err)
	}
	t.Setenv("PATH", t.TempDir())
	if d, err := machines.New(machines.Config{Blocks: blocks(t), Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "install the package qemu-system-x86") {
		t.Error(d, err)
	}
}
