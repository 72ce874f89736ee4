package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/catalog/catalogtest"
)

func TestDirKeepsTheContract(t *testing.T) {
	t.Parallel()
	catalogtest.Run(t, func(t *testing.T) func() catalog.Catalog {
		t.Helper()
		dir := t.TempDir()
		return func() catalog.Catalog { return openDir(t, dir) }
	})
}

func TestReadingMakesNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "not", "there")
	d := openDir(t, dir)
	if _, err := d.Get(t.Context(), "a"); !errors.Is(err, catalog.ErrNotFound) {
		t.Error(err)
	}
	wantProblems(t, d)
	if _, err := os.Stat(filepath.Dir(dir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("reading made a folder: %v", err)
	}
	must(t, d.Put(t.Context(), "a", []byte("x")))
	wantProblems(t, openDir(t, dir))
}

func TestOpenDirRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, body, want string }{
		"a file":          {"", "", "not a folder: name another place"},
		"a newer format":  {"journal", "iibake catalog 2\nwhatever\n", "format 2, and this release knows format 1: use a newer release"},
		"an older format": {"journal", "iibake catalog 0\n", "use an older release"},
		"another journal": {"journal", "-- Journal begins at Mon\n", `begins with "-- Journal begins at"`},
		"half a line":     {"journal", "iibake cab", `begins with "iibake cab"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			d := openDir(t, dir)
			if c.file == "" {
				dir = filepath.Join(dir, "file")
				must(t, os.WriteFile(dir, nil, 0o600))
			} else {
				must(t, os.WriteFile(filepath.Join(dir, c.file), []byte(c.body), 0o600))
				wantText(t, d.Put(t.Context(), "a", nil), c.want) // one that was there before
			}
			_, err := catalog.OpenDir(dir)
			wantText(t, err, c.want)
			wantText(t, err, dir)
		})
	}
}

func TestDamagedEndIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := openDir(t, dir)
	must(t, d.Put(t.Context(), "a", []byte("x")))
	appendTo(t, filepath.Join(dir, "journal"), "garbage\n")
	wantText(t, d.Put(t.Context(), "b", nil), "damaged at its end")
	wantProblems(t, d, `journal:3: unreadable entry "garbage": it was altered or torn`)
	must(t, os.WriteFile(filepath.Join(dir, "journal"), []byte("iibake catalog 1\n"+strings.Repeat("\x00", 20<<10)), 0o600))
	wantText(t, d.Put(t.Context(), "b", nil), "no line ends")
}

// TestWaitingEnds holds the lock as another process would.
func TestWaitingEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := openDir(t, dir)
	must(t, d.Put(t.Context(), "a", []byte("x")))
	f, err := os.Open(filepath.Join(dir, "journal"))
	must(t, err)
	must(t, unix.Flock(int(f.Fd()), unix.LOCK_EX))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	for range 2 { // in the second round nobody may have kept the turn
		err = d.Put(ctx, "b", []byte("x"))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("put: got %v", err)
		}
	}
	if _, err := d.Verify(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("verify: got %v", err)
	}
	if _, err := d.Get(t.Context(), "a"); err != nil {
		t.Errorf("a reader waits: %v", err)
	}
	must(t, f.Close())
	must(t, d.Put(t.Context(), "b", []byte("x")))
}

func BenchmarkOpenAndGet(b *testing.B) {
	dir := filled(b, 100)
	for b.Loop() {
		d, err := catalog.OpenDir(dir)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := d.Get(b.Context(), "images/web/7"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPut(b *testing.B) {
	d := openDir(b, b.TempDir())
	for i := 0; b.Loop(); i++ {
		must(b, d.Put(b.Context(), fmt.Sprintf("images/web/%d", i), make([]byte, 4096)))
	}
}

func BenchmarkList1000(b *testing.B) {
	d := openDir(b, filled(b, 1000))
	for b.Loop() {
		if _, err := d.List(b.Context(), "images/web/"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify1000(b *testing.B) {
	d := openDir(b, filled(b, 1000))
	for b.Loop() {
		if _, err := d.Verify(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func filled(b *testing.B, records int) string {
	b.Helper()
	dir := b.TempDir()
	d := openDir(b, dir)
	for i := range records {
		must(b, d.Put(b.Context(), fmt.Sprintf("images/web/%d", i), make([]byte, 4096)))
	}
	return dir
}

func openDir(tb testing.TB, dir string) *catalog.Dir {
	tb.Helper()
	d, err := catalog.OpenDir(dir)
	must(tb, err)
	return d
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func wantText(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want one with %q", err, want)
	}
}

// wantProblems wants exactly these, each beginning with the given text.
func wantProblems(t *testing.T, d *catalog.Dir, want ...string) {
	t.Helper()
	got, err := d.Verify(t.Context())
	must(t, err)
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(want):
			t.Errorf("unexpected problem: %s", got[i])
		case i >= len(got):
			t.Errorf("not found: %s", want[i])
		case !strings.HasPrefix(got[i].String(), want[i]):
			t.Errorf("got problem %q, want %q", got[i], want[i])
		}
	}
}

func appendTo(t *testing.T, name, text string) {
	t.Helper()
	b, err := os.ReadFile(name)
	must(t, err)
	must(t, os.WriteFile(name, append(b, text...), 0o600))
}
