package s3_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/catalog/catalogtest"
	"github.com/iibake/iibake/bake/catalog/s3"
)

func TestKeepsTheContract(t *testing.T) {
	t.Parallel()
	catalogtest.Run(t, func(t *testing.T) func() catalog.Catalog {
		t.Helper()
		w := newWorld(t)
		return func() catalog.Catalog {
			c := w.open(nil)
			s3.Page(c, 7)
			return c
		}
	})
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for in, want := range map[string]string{
		"s3://bucket": "s3://bucket", "s3://bucket/": "s3://bucket", "s3://bucket/a/b/": "s3://bucket/a/b", "s3://my.bucket-1/x": "s3://my.bucket-1/x",
	} {
		c, err := s3.New(w.config(nil), in)
		must(t, err)
		if c.String() != want {
			t.Errorf("%s is %s, want %s", in, c, want)
		}
	}
	for _, in := range []string{
		"", "bucket", "s3://", "s3:///x", "s3://ab", "s3://Bucket", "s3://buck et", "s3://bucket//x", "s3://bucket/a//b", "s3://bucket/../x", "s3://bucket/ä",
		"s3://-bucket", "s3://bucket/" + strings.Repeat("a/", 250) + "a", "https://bucket/x",
	} {
		_, err := s3.New(w.config(nil), in)
		if !errors.Is(err, s3.ErrAddress) {
			t.Errorf("%q: got %v", in, err)
		}
		if _, err := s3.Open(t.Context(), in); !errors.Is(err, s3.ErrAddress) {
			t.Errorf("open %q: got %v", in, err)
		}
	}
}

// TestPrefixesAreApart has catalogs side by side, of which one has no prefix.
func TestPrefixesAreApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, address := range []string{"s3://bucket", "s3://bucket/a", "s3://bucket/a/b", "s3://bucket/ab"} {
		c, err := s3.New(w.config(nil), address)
		must(t, err)
		must(t, c.Put(t.Context(), "key", fmt.Append(nil, i)))
		keys, err := c.List(t.Context(), "")
		must(t, err)
		if !slices.Equal(keys, []string{"key"}) {
			t.Errorf("%s: %q", address, keys)
		}
		wantProblems(t, c)
	}
}

// TestCalls pins what the package comment says.
func TestCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	must(t, w.open(nil).Put(t.Context(), "before", []byte("x")))
	l := w.line(nil)
	c := w.open(l)
	for _, step := range []struct {
		what string
		want int
		do   func() error
	}{
		{"first put", 6, func() error { return c.Put(t.Context(), "a", []byte("1")) }},
		{"put", 3, func() error { return c.Put(t.Context(), "b", []byte("2")) }},
		{"put again", 1, func() error { return c.Put(t.Context(), "b", []byte("2")) }},
		{"swap", 3, func() error { return c.Swap(t.Context(), "heads/a", nil, []byte("1")) }},
		{"swap what moved", 1, func() error { return ignore(c.Swap(t.Context(), "heads/a", nil, []byte("1")), catalog.ErrMoved) }},
		{"remove", 3, func() error { return c.Swap(t.Context(), "heads/a", []byte("1"), nil) }},
		{"get", 1, func() error { _, err := c.Get(t.Context(), "a"); return err }},
		{"get what is not there", 1, func() error { _, err := c.Get(t.Context(), "heads/a"); return ignore(err, catalog.ErrNotFound) }},
		{"list", 1, func() error { _, err := c.List(t.Context(), ""); return err }},
		{"put behind another writer", 0, func() error { return w.open(nil).Put(t.Context(), "other", nil) }},
		{"forestalled", 9, func() error { return c.Put(t.Context(), "c", []byte("3")) }},
	} {
		before := l.count()
		must(t, step.do())
		if got := l.count() - before; got != step.want {
			t.Errorf("%s: %d calls, want %d: %q", step.what, got, step.want, l.calls[before:])
		}
	}
	wantProblems(t, c)
}

func ignore(err, want error) error {
	if errors.Is(err, want) {
		return nil
	}
	return fmt.Errorf("got %w instead of %w", err, want)
}

// TestChangesShareEntries makes many changes while one is under way.
func TestChangesShareEntries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.open(nil)
	const many = 300
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			if err := c.Put(t.Context(), fmt.Sprint("records/", i), fmt.Append(nil, i)); err != nil {
				t.Error(err)
			}
			if err := c.Swap(t.Context(), "heads/winner", nil, fmt.Append(nil, i)); err != nil && !errors.Is(err, catalog.ErrMoved) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	entries := 0
	for name := range w.objects() {
		if strings.Contains(name, "/journal/") {
			entries++
		}
	}
	if entries > many/4 {
		t.Errorf("%d entries for %d changes", entries, many+1)
	}
	keys, err := c.List(t.Context(), "")
	must(t, err)
	if len(keys) != many+1 {
		t.Errorf("%d keys", len(keys))
	}
	wantProblems(t, c)
}
