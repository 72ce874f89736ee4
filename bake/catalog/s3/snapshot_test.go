package s3_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/catalog/catalogtest"
)

// TestSnapshotKeepsTheContract looks anew each time: what a snapshot says is what there was when it was taken.
func TestSnapshotKeepsTheContract(t *testing.T) {
	t.Parallel()
	catalogtest.Run(t, func(t *testing.T) func() catalog.Catalog {
		t.Helper()
		w, cache := newWorld(t), t.TempDir()
		return func() catalog.Catalog {
			c := w.open(nil)
			return fresh{c, func() catalog.Catalog { return c.Snapshot(cache) }}
		}
	})
}

// fresh reads from a new snapshot each time.
type fresh struct {
	catalog.Catalog
	snapshot func() catalog.Catalog
}

func (f fresh) Get(ctx context.Context, key string) ([]byte, error) {
	return f.snapshot().Get(ctx, key)
}

func (f fresh) List(ctx context.Context, prefix string) ([]string, error) {
	return f.snapshot().List(ctx, prefix)
}

// TestSnapshotMakesFewCalls reads everything from nothing, and then with what the cache has.
func TestSnapshotMakesFewCalls(t *testing.T) {
	t.Parallel()
	w, cache := newWorld(t), t.TempDir()
	c := w.open(nil)
	for i := range 20 {
		must(t, c.Put(t.Context(), fmt.Sprintf("images/web/%02d", i), fmt.Append(nil, i)))
	}
	must(t, c.Put(t.Context(), "packages/large", []byte(strings.Repeat("x", 100_000))))
	must(t, c.Put(t.Context(), "packages/larger", []byte(strings.Repeat("x", 200_000))))
	must(t, c.Swap(t.Context(), "heads/latest/web", nil, []byte("1")))
	must(t, c.Swap(t.Context(), "heads/latest/base", nil, []byte("1")))
	must(t, c.Swap(t.Context(), "heads/latest/base", []byte("1"), nil))
	for _, round := range []struct {
		what  string
		cache string
		want  int // a listing, and every value but the larger one, which nobody asks for
	}{
		{"without a cache", "", 1 + 20 + 1 + 1}, {"from nothing", cache, 1 + 20 + 1 + 1}, {"again", cache, 1}, {"one head moved", cache, 2}, {"again", cache, 1},
	} {
		if round.what == "one head moved" {
			must(t, c.Swap(t.Context(), "heads/latest/web", []byte("1"), []byte("2")))
		}
		l := w.line(nil)
		s := w.open(l).Snapshot(round.cache)
		keys, err := s.List(t.Context(), "images/")
		must(t, err)
		for i, key := range keys {
			if body, err := s.Get(t.Context(), key); err != nil || string(body) != strconv.Itoa(i) {
				t.Errorf("%s: %q, %v", key, body, err)
			}
		}
		for key, want := range map[string]string{"packages/large": strings.Repeat("x", 100_000), "heads/latest/web": ""} {
			if body, err := s.Get(t.Context(), key); err != nil || want != "" && string(body) != want {
				t.Errorf("%s: %d bytes, %v", key, len(body), err)
			}
		}
		if _, err := s.Get(t.Context(), "heads/latest/base"); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("a head that was removed: %v", err)
		}
		if len(keys) != 20 || l.count() != round.want {
			t.Errorf("%s: %d keys by %d calls, want %d: %q", round.what, len(keys), l.count(), round.want, l.calls)
		}
	}
}

// TestSnapshotIsOfOneMoment until a change is made through it.
func TestSnapshotIsOfOneMoment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.open(nil)
	s := c.Snapshot("")
	must(t, c.Swap(t.Context(), "heads/a", nil, []byte("1")))
	wantHeld(t, s, "heads/a", "1")
	must(t, c.Swap(t.Context(), "heads/a", []byte("1"), []byte("2")))
	must(t, c.Put(t.Context(), "new", nil))
	wantHeld(t, s, "heads/a", "1")
	if _, err := s.Get(t.Context(), "new"); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if err := s.Swap(t.Context(), "heads/a", []byte("1"), []byte("3")); !errors.Is(err, catalog.ErrMoved) {
		t.Errorf("got %v", err)
	}
	wantHeld(t, s, "heads/a", "2")
	must(t, s.Swap(t.Context(), "heads/a", []byte("2"), []byte("3")))
	wantHeld(t, s, "heads/a", "3")
	wantProblems(t, s)
}

func wantHeld(t *testing.T, c catalog.Catalog, key, want string) {
	t.Helper()
	if got, err := c.Get(t.Context(), key); err != nil || string(got) != want {
		t.Errorf("%s: got %q, %v, want %q", key, got, err, want)
	}
}

// TestDamagedCache does no harm.
func TestDamagedCache(t *testing.T) {
	t.Parallel()
	w, cache := newWorld(t), t.TempDir()
	must(t, w.open(nil).Put(t.Context(), "a", []byte("value")))
	wantHeld(t, w.open(nil).Snapshot(cache), "a", "value")
	files, err := filepath.Glob(filepath.Join(cache, "*", "*"))
	must(t, err)
	if len(files) != 1 {
		t.Fatalf("files %q", files)
	}
	body, err := os.ReadFile(files[0])
	must(t, err)
	for _, damaged := range []string{"", string(body[:40]), strings.Replace(string(body), "value", "other", 1), "x\n" + string(body)} {
		must(t, os.WriteFile(files[0], []byte(damaged), 0o600))
		wantHeld(t, w.open(nil).Snapshot(cache), "a", "value")
		mended, err := os.ReadFile(files[0])
		must(t, err)
		if !slices.Equal(mended, body) {
			t.Errorf("%q was left in the cache", mended)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	wantHeld(t, w.open(nil).Snapshot(file), "a", "value") // where no folder can be
}
