package disk_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
)

// childVariable makes this test binary one of the processes below instead of running tests.
const childVariable = "IIBAKE_DISK_TEST_CHILD"

func TestMain(m *testing.M) {
	if role := os.Getenv(childVariable); role != "" {
		if err := children()[role](os.Args[1:]); err != nil {
			panic(err) // the parent sees the exit code and the text
		}
		return
	}
	m.Run()
}

// children are the processes that tests start. Arguments: the store, then the child's own.
func children() map[string]func(args []string) error {
	return map[string]func([]string) error{
		"import":  childImport,
		"use":     childUse,
		"collect": childCollect,
		"memory":  childMemory,
	}
}

// child returns a process in a role. It dies with the test.
func child(ctx context.Context, role string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), childVariable+"="+role)
	cmd.Stderr = os.Stderr
	return cmd
}

// childImport imports a file on top of a base and prints a line for each block looked at, so that it can be killed at any.
func childImport(args []string) error {
	s, err := disk.Open(args[0])
	if err != nil {
		return err
	}
	f, err := os.Open(args[1])
	if err != nil {
		return err
	}
	d, err := s.Import(context.Background(), f, bake.Digest(args[2]), func(done, _ int64) { fmt.Println(done) })
	fmt.Println(d)
	return err
}

// childUse imports and reads back disks that other processes import and collect at the same time.
func childUse(args []string) error {
	for _, seed := range args[1:] {
		n, err := strconv.Atoi(seed)
		if err != nil {
			return err
		}
		if err := importAndCompare(args[0], byte(n)); err != nil {
			return fmt.Errorf("disk %s: %w", seed, err)
		}
	}
	return nil
}

// childCollect collects everything, again and again, until its input ends.
func childCollect(args []string) error {
	s, err := disk.Open(args[0])
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	for {
		if _, err := s.Collect(context.Background(), nil, 0, false); err != nil {
			return err
		}
		fmt.Println("collected")
		select {
		case <-ended:
			return nil
		default:
		}
	}
}

// Many processes import, read and collect at once; none sees half of anything, and in the end nothing is left.
func TestManyProcesses(t *testing.T) {
	dir := t.TempDir()
	openStore(t, dir)
	collector := child(t.Context(), "collect", dir)
	stop, err := collector.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := collector.Start(); err != nil {
		t.Fatal(err)
	}
	var users []*exec.Cmd
	for i := range 4 {
		user := child(t.Context(), "use", dir, strconv.Itoa(i%2), "2", strconv.Itoa(3+i%2), "1")
		if err := user.Start(); err != nil {
			t.Fatal(err)
		}
		users = append(users, user)
	}
	for _, user := range users {
		if err := user.Wait(); err != nil {
			t.Errorf("user: %v", err)
		}
	}
	if err := errors.Join(stop.Close(), collector.Wait()); err != nil {
		t.Errorf("collector: %v", err)
	}
	s := openStore(t, dir)
	wantClean(t, s)
	wantEmptied(t, s, dir)
}

// wantEmptied collects everything and fails if a file is left.
func wantEmptied(t *testing.T, s *disk.Store, dir string) {
	t.Helper()
	if _, err := s.Collect(t.Context(), nil, 0, false); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"blocks", "manifests", "layers", "sessions", "tmp"} {
		wantFiles(t, dir, sub, 0)
	}
}

// An import killed at any moment leaves whole disks and no trace once the next one is through.
func TestKilledImport(t *testing.T) {
	const blocks = 12
	dir := t.TempDir()
	s := openStore(t, dir)
	f := noiseFile(t, 1, blocks)
	base := mustImport(t, s, f, "")
	for round := range 8 {
		for i := range int64(blocks) {
			writeAt(t, f, i*disk.BlockSize, noise(byte(2+round), 64))
		}
		killAfter(t, rand.IntN(blocks+1), "import", dir, f.Name(), string(base))
		wantClean(t, s, base)
		d := mustImport(t, s, f, base)
		if string(materialised(t, s, d)) != string(content(t, f)) {
			t.Fatal("the disk differs")
		}
		wantFiles(t, dir, "tmp", 0)
		wantFiles(t, dir, "sessions", 1) // that of s
		base = d
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantEmptied(t, s, dir)
}

// A collection killed at any moment leaves garbage at most, and never a disk without a block.
func TestKilledCollection(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	kept := mustImport(t, s, noiseFile(t, 1, 2), "")
	for round := range 6 {
		for seed := range 8 {
			imported(t, dir, byte(round*8+seed), 2)
		}
		killAfter(t, rand.IntN(2), "collect", dir)
		wantClean(t, s, kept)
	}
	if _, err := s.Collect(t.Context(), []bake.Digest{kept}, 0, false); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, "blocks", 2)
	wantFiles(t, dir, "sessions", 1)
}

// killAfter kills a child as soon as it has printed so many lines, unless it ends before.
func killAfter(t *testing.T, lines int, role string, args ...string) {
	t.Helper()
	cmd := child(t.Context(), role, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil { // stays open
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	scan := bufio.NewScanner(out)
	for range lines {
		scan.Scan()
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil && !strings.Contains(err.Error(), "killed") {
		t.Errorf("%s: %v", role, err)
	}
}
