package catalogtest

import (
	"errors"
	"slices"
	"testing"

	"github.com/iibake/iibake/bake/catalog"
)

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func wantErr(tb testing.TB, got, want error) {
	tb.Helper()
	if !errors.Is(got, want) {
		tb.Errorf("got error %v, want %v", got, want)
	}
}

func wantValue(tb testing.TB, c catalog.Catalog, key, want string) {
	tb.Helper()
	got, err := c.Get(tb.Context(), key)
	if err != nil {
		tb.Error(err)
	} else if got == nil || string(got) != want {
		tb.Errorf("%s: got %q, want %q", key, got, want)
	}
}

func wantAbsent(tb testing.TB, c catalog.Catalog, key string) {
	tb.Helper()
	got, err := c.Get(tb.Context(), key)
	if got != nil || !errors.Is(err, catalog.ErrNotFound) {
		tb.Errorf("%s: got %q and %v, want nothing and %v", key, got, err, catalog.ErrNotFound)
	}
}

func wantKeys(tb testing.TB, c catalog.Catalog, prefix string, want ...string) {
	tb.Helper()
	got, err := c.List(tb.Context(), prefix)
	if err != nil {
		tb.Error(err)
	} else if !slices.Equal(got, want) {
		tb.Errorf("list %q: got %q, want %q", prefix, got, want)
	}
}

func wantClean(tb testing.TB, c catalog.Catalog) {
	tb.Helper()
	problems, err := c.Verify(tb.Context())
	if err != nil {
		tb.Error(err)
	}
	for _, p := range problems {
		tb.Errorf("verify: %s", p)
	}
}
