package catalogtest

import (
	"errors"
	"slices"
	"testing"

	"github.com/iibake/iibake/bake/catalog"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got error %v, want %v", got, want)
	}
}

func wantValue(t *testing.T, c catalog.Catalog, key, want string) {
	t.Helper()
	got, err := c.Get(t.Context(), key)
	if err != nil {
		t.Error(err)
	} else if got == nil || string(got) != want {
		t.Errorf("%s: got %q, want %q", key, got, want)
	}
}

func wantAbsent(t *testing.T, c catalog.Catalog, key string) {
	t.Helper()
	got, err := c.Get(t.Context(), key)
	if got != nil || !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("%s: got %q and %v, want nothing and %v", key, got, err, catalog.ErrNotFound)
	}
}

func wantKeys(t *testing.T, c catalog.Catalog, prefix string, want ...string) {
	t.Helper()
	got, err := c.List(t.Context(), prefix)
	if err != nil {
		t.Error(err)
	} else if !slices.Equal(got, want) {
		t.Errorf("list %q: got %q, want %q", prefix, got, want)
	}
}

func wantClean(t *testing.T, c catalog.Catalog) {
	t.Helper()
	problems, err := c.Verify(t.Context())
	if err != nil {
		t.Error(err)
	}
	for _, p := range problems {
		t.Errorf("verify: %s", p)
	}
}
