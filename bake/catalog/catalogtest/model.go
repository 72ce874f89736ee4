package catalogtest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake/catalog"
)

// testModel plays random moves on the backend and on a map, and wants the same answers from both.
func testModel(t suite) {
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++ // every run has keys of its own: records are for ever
		m := model{c: t.open(), run: fmt.Sprintf("run%d/", runs), values: map[string]string{}}
		rt.Repeat(map[string]func(*rapid.T){
			"put": m.put, "swap": m.swap, "get": m.get, "list": m.list,
			"reopen": func(*rapid.T) { m.c = t.open() },
		})
	})
}

type model struct {
	c      catalog.Catalog
	run    string
	values map[string]string
}

func (m *model) put(t *rapid.T) {
	key, body := rapid.SampledFrom(m.records()).Draw(t, "key"), modelValue().Draw(t, "body")
	err := m.c.Put(t.Context(), key, []byte(body))
	if old, ok := m.values[key]; ok && old != body {
		wantModelErr(t, err, catalog.ErrExists)
		return
	}
	wantModelErr(t, err, nil)
	m.values[key] = body
}

func (m *model) swap(t *rapid.T) {
	head := rapid.SampledFrom(m.heads()).Draw(t, "head")
	now, exists := m.values[head]
	old, value := rapid.Ptr(modelValue(), true).Draw(t, "old"), rapid.Ptr(modelValue(), true).Draw(t, "new")
	if exists && rapid.Bool().Draw(t, "right") {
		old = &now
	}
	err := m.c.Swap(t.Context(), head, bytesOf(old), bytesOf(value))
	switch {
	case exists != (old != nil) || exists && *old != now:
		wantModelErr(t, err, catalog.ErrMoved)
	case value == nil:
		wantModelErr(t, err, nil)
		delete(m.values, head)
	default:
		wantModelErr(t, err, nil)
		m.values[head] = *value
	}
}

func (m *model) get(t *rapid.T) {
	key := rapid.SampledFrom(append(m.records(), m.heads()...)).Draw(t, "key")
	got, err := m.c.Get(t.Context(), key)
	want, ok := m.values[key]
	if !ok {
		wantModelErr(t, err, catalog.ErrNotFound)
		return
	}
	wantModelErr(t, err, nil)
	if string(got) != want {
		t.Fatalf("get %s: got %q, want %q", key, got, want)
	}
}

func (m *model) list(t *rapid.T) {
	key := rapid.SampledFrom(append(m.records(), m.heads()...)).Draw(t, "key")
	least := strings.Index(key, m.run) + len(m.run)
	prefix := key[:rapid.IntRange(least, len(key)).Draw(t, "length")]
	got, err := m.c.List(t.Context(), prefix)
	wantModelErr(t, err, nil)
	var want []string
	for _, key := range slices.Sorted(maps.Keys(m.values)) {
		if strings.HasPrefix(key, prefix) {
			want = append(want, key)
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("list %q: got %q, want %q", prefix, got, want)
	}
}

func (m *model) records() []string {
	return m.below(m.run, "a", "a/b", "a/b-c", "a/b/c", "a.b", "b/a/a", "b/a/b")
}

func (m *model) heads() []string { return m.below(catalog.Heads+m.run, "a", "a/b", "b") }

func (m *model) below(prefix string, keys ...string) []string {
	for i := range keys {
		keys[i] = prefix + keys[i]
	}
	return keys
}

func modelValue() *rapid.Generator[string] { return rapid.SampledFrom([]string{"", "x", "y"}) }

func bytesOf(s *string) []byte {
	if s == nil {
		return nil
	}
	return []byte(*s)
}

func wantModelErr(t *rapid.T, got, want error) {
	if !errors.Is(got, want) {
		t.Fatalf("got error %v, want %v", got, want)
	}
}
