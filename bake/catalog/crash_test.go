package catalog_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake/catalog"
)

// childEnv names the catalog that this test binary works on until it is killed.
const childEnv = "IIBAKE_TEST_CATALOG"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		fmt.Fprintln(os.Stderr, work(context.Background(), dir))
		return
	}
	m.Run()
}

// work counts up for ever and writes down what is done: a number once its record is put and the head has moved to it.
func work(ctx context.Context, dir string) error {
	d, err := catalog.OpenDir(dir)
	if err != nil {
		return err
	}
	for {
		n, err := count(ctx, d)
		if err != nil {
			return err
		}
		if err := d.Put(ctx, fmt.Sprintf("counts/%d/%d", n, os.Getpid()), []byte(strconv.Itoa(n))); err != nil {
			return err
		}
		if err := d.Swap(ctx, "heads/flicker", nil, []byte("x")); err == nil {
			err = d.Swap(ctx, "heads/flicker", []byte("x"), nil)
			if err != nil && !errors.Is(err, catalog.ErrMoved) {
				return err
			}
		}
		if _, err := fmt.Fprintln(os.Stdout, n, os.Getpid()); err != nil {
			return err
		}
	}
}

func count(ctx context.Context, d *catalog.Dir) (int, error) {
	for {
		old, err := d.Get(ctx, "heads/count")
		if err != nil && !errors.Is(err, catalog.ErrNotFound) {
			return 0, err
		}
		n, _ := strconv.Atoi(string(old))
		if err := d.Swap(ctx, "heads/count", old, []byte(strconv.Itoa(n+1))); !errors.Is(err, catalog.ErrMoved) {
			return n + 1, err
		}
	}
}

// TestKilled kills two processes at random moments, again and again: what they had done is there, and nothing is half done.
func TestKilled(t *testing.T) {
	t.Parallel()
	const rounds, perCatalog = 50, 5
	var d *catalog.Dir
	var dir string
	for round := range rounds {
		if round%perCatalog == 0 {
			dir = t.TempDir()
			d = openDir(t, dir)
		}
		first, second := startWorker(t, dir), startWorker(t, dir)
		done := first.killAt(t, rand.N(20*time.Millisecond)) + second.killAt(t, rand.N(5*time.Millisecond))
		wantProblems(t, d) // d was open before: nothing is mended yet
		d = openDir(t, dir)
		wantDone(t, d, done)
		_, err := count(t.Context(), d)
		must(t, err)
		wantProblems(t, d)
		if t.Failed() {
			t.Fatalf("after round %d", round)
		}
	}
}

type worker struct {
	cmd    *exec.Cmd
	stdout io.ReadCloser
}

func startWorker(t *testing.T, dir string) worker {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.Stderr = t.Output()
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	return worker{cmd, stdout}
}

// killAt lets the worker do something, waits for longer, kills it and returns what it says it has done.
func (w worker) killAt(t *testing.T, longer time.Duration) string {
	t.Helper()
	out := bufio.NewReader(w.stdout)
	line, err := out.ReadString('\n')
	must(t, err)
	<-time.After(longer)
	must(t, w.cmd.Process.Kill())
	rest, err := io.ReadAll(out)
	must(t, err)
	_ = w.cmd.Wait() // it was killed
	return line + string(rest)
}

func wantDone(t *testing.T, d *catalog.Dir, done string) {
	t.Helper()
	head, err := d.Get(t.Context(), "heads/count")
	must(t, err)
	reached, err := strconv.Atoi(string(head))
	must(t, err)
	for line := range strings.Lines(done) {
		var n, pid int
		if _, err := fmt.Sscan(line, &n, &pid); err != nil {
			t.Fatalf("worker says %q: %v", line, err)
		}
		if n > reached {
			t.Errorf("the count went back from %d to %d", n, reached)
		}
		if _, err := d.Get(t.Context(), fmt.Sprintf("counts/%d/%d", n, pid)); err != nil {
			t.Errorf("lost: %v", err)
		}
	}
}

// TestInterrupted builds every state in which a process may die during a change: the value is announced in part, the entry
// is written in part, the value is in its place or not.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before func(context.Context, *catalog.Dir) error
		change func(context.Context, *catalog.Dir) error
		key    string
		value  string
	}{
		"first record": {nil, putRecord, "images/web/1", "one"},
		"record":       {moveHead, putRecord, "images/web/1", "one"},
		"new head":     {putRecord, moveHead, "heads/web", "v1"},
		"head":         {moveHead, moveHeadOn, "heads/web", "v2"},
		"removal":      {moveHead, removeHead, "heads/web", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old, finished := t.TempDir(), t.TempDir()
			if c.before != nil {
				must(t, c.before(t.Context(), openDir(t, old)))
			}
			must(t, os.CopyFS(finished, os.DirFS(old)))
			must(t, c.change(t.Context(), openDir(t, finished)))
			was, _ := openDir(t, old).Get(t.Context(), c.key)
			for _, s := range interruptions(t, old, finished, c.value) {
				want := string(was)
				if s.fact {
					want = c.value
				}
				s.check(t, c.key, want)
			}
		})
	}
}

func putRecord(ctx context.Context, d *catalog.Dir) error {
	return d.Put(ctx, "images/web/1", []byte("one"))
}

func moveHead(ctx context.Context, d *catalog.Dir) error {
	return d.Swap(ctx, "heads/web", nil, []byte("v1"))
}

func moveHeadOn(ctx context.Context, d *catalog.Dir) error {
	return d.Swap(ctx, "heads/web", []byte("v1"), []byte("v2"))
}

func removeHead(ctx context.Context, d *catalog.Dir) error {
	return d.Swap(ctx, "heads/web", []byte("v1"), nil)
}

type interruption struct {
	name    string
	base    string // folder whose data is there
	journal string
	pending string
	fact    bool // the change counts
}

func interruptions(t *testing.T, old, finished, value string) []interruption {
	t.Helper()
	before, _ := os.ReadFile(filepath.Join(old, "journal")) // none before the first change
	after, err := os.ReadFile(filepath.Join(finished, "journal"))
	must(t, err)
	var all []interruption
	for n := range len(value) + 1 {
		all = append(all, interruption{fmt.Sprintf("%d bytes announced", n), old, string(before), value[:n], false})
	}
	for n := len(before); n < len(after); n += 1 + (len(after)-len(before))/12 {
		all = append(all, interruption{fmt.Sprintf("journal of %d bytes", n), old, string(after[:n]), value, false})
	}
	if len(before) > 0 {
		all = append(all, interruption{"zeros", old, string(before) + strings.Repeat("\x00", 100), value, false})
	}
	return append(all,
		interruption{"no newline", old, string(after[:len(after)-1]), value, false},
		interruption{"not in its place", old, string(after), value, true},
		interruption{"not cleaned up", finished, string(after), value, true},
		interruption{"next change announced", finished, string(after), "next", true},
	)
}

func (s interruption) check(t *testing.T, key, want string) {
	t.Helper()
	dir := t.TempDir()
	d := openDir(t, dir)
	must(t, os.CopyFS(dir, os.DirFS(s.base)))
	must(t, os.WriteFile(filepath.Join(dir, "journal"), []byte(s.journal), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "pending"), []byte(s.pending), 0o600))
	wantProblems(t, d)
	for _, d := range []*catalog.Dir{openDir(t, dir), d} {
		got, err := d.Get(t.Context(), key)
		if string(got) != want || err != nil && !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("%s: got %q and %v, want %q", s.name, got, err, want)
		}
		wantProblems(t, d)
		must(t, d.Put(t.Context(), "after/it", []byte("x")))
		wantProblems(t, d)
	}
	if t.Failed() {
		t.Fatalf("state %q of %s", s.name, dir)
	}
}
