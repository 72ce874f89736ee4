package catalog_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/iibake/iibake/bake/catalog"
)

// fill puts what m has: keys below heads/ become heads.
func fill(t *testing.T, c catalog.Catalog, m map[string]string) {
	t.Helper()
	for key, value := range m {
		var err error
		if strings.HasPrefix(key, catalog.Heads) {
			err = c.Swap(t.Context(), key, nil, []byte(value))
		} else {
			err = c.Put(t.Context(), key, []byte(value))
		}
		must(t, err)
	}
}

// holdings returns everything that a catalog holds.
func holdings(t *testing.T, c catalog.Catalog) map[string]string {
	t.Helper()
	keys, err := c.List(t.Context(), "")
	must(t, err)
	m := map[string]string{}
	for _, key := range keys {
		body, err := c.Get(t.Context(), key)
		must(t, err)
		m[key] = string(body)
	}
	return m
}

// A copy holds what was copied and what was there before; where these contradict each other nothing is replaced.
func TestCopy(t *testing.T) {
	t.Parallel()
	const head = "heads/channels/web/candidate"
	for name, c := range map[string]struct {
		here, there map[string]string
		want        catalog.Copied
		err         error
	}{
		"nothing":               {nil, nil, catalog.Copied{}, nil},
		"into an empty one":     {map[string]string{"images/web/1": "one", "images/web/1/x": "", head: "1"}, nil, catalog.Copied{Records: 2, Heads: 1, New: 3}, nil},
		"beside something else": {map[string]string{"images/web/1": "one"}, map[string]string{"images/db/1": "x", head: "1"}, catalog.Copied{Records: 1, New: 1}, nil},
		"what is there already": {map[string]string{"images/web/1": "one", head: ""}, map[string]string{"images/web/1": "one", head: ""}, catalog.Copied{Records: 1, Heads: 1}, nil},
		"another record":        {map[string]string{"images/web/1": "one"}, map[string]string{"images/web/1": "two"}, catalog.Copied{}, catalog.ErrExists},
		"another head":          {map[string]string{"images/web/1": "one", head: "1"}, map[string]string{head: "2"}, catalog.Copied{}, catalog.ErrMoved},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, to := openDir(t, t.TempDir()), openDir(t, t.TempDir())
			fill(t, from, c.here)
			fill(t, to, c.there)
			got, err := catalog.Copy(t.Context(), from, to)
			if got != c.want || !errors.Is(err, c.err) {
				t.Fatalf("got %+v, %v, want %+v, %v", got, err, c.want, c.err)
			}
			want := maps.Clone(c.here)
			maps.Insert(want, maps.All(c.there))
			if c.err == nil && !maps.Equal(holdings(t, to), want) {
				t.Errorf("got %v, want %v", holdings(t, to), want)
			}
			for key, value := range c.there {
				if holdings(t, to)[key] != value {
					t.Errorf("%s was replaced", key)
				}
			}
			problems, err := to.Verify(t.Context())
			if must(t, err); len(problems) > 0 {
				t.Errorf("the copy is damaged: %v", problems)
			}
		})
	}
}

// tired fails once it has done some changes.
type tired struct {
	*catalog.Dir

	left atomic.Int64
}

var errTired = errors.New("tired")

func (c *tired) Put(ctx context.Context, key string, body []byte) error {
	if c.left.Add(-1) < 0 {
		return errTired
	}
	return c.Dir.Put(ctx, key, body)
}

// A copy that was interrupted has no head whose records are missing, and is completed by the next one.
func TestCopyAgain(t *testing.T) {
	contents := map[string]string{"heads/channels/web/candidate": "20"}
	for i := range 20 {
		contents["images/web/"+string(rune('a'+i))] = "x"
	}
	from, dir := openDir(t, t.TempDir()), t.TempDir()
	fill(t, from, contents)
	weak := &tired{Dir: openDir(t, dir)}
	weak.left.Store(7)
	if _, err := catalog.Copy(t.Context(), from, weak); !errors.Is(err, errTired) || !strings.Contains(err.Error(), "copy images/web/") {
		t.Fatalf("got %v", err)
	}
	first := holdings(t, weak)
	if _, known := first["heads/channels/web/candidate"]; known || len(first) > 7 {
		t.Fatalf("got %v, want seven records at most and no head", first)
	}
	done, err := catalog.Copy(t.Context(), from, openDir(t, dir))
	if err != nil || done != (catalog.Copied{Records: 20, Heads: 1, New: 21 - len(first)}) {
		t.Fatalf("got %+v, %v", done, err)
	}
	if again, err := catalog.Copy(t.Context(), from, openDir(t, dir)); err != nil || again.New != 0 {
		t.Fatalf("once more: got %+v, %v", again, err)
	}
}
