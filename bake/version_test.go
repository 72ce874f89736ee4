package bake_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake"
)

func versions() *rapid.Generator[bake.Version] {
	return rapid.Custom(func(t *rapid.T) bake.Version {
		return bake.Version{
			Day:   time.Date(2026, 1, rapid.IntRange(1, 1000).Draw(t, "day"), 0, 0, 0, 0, time.UTC),
			N:     rapid.IntRange(1, 200).Draw(t, "n"),
			Short: rapid.StringMatching("[0-9a-f]{7,40}").Draw(t, "short"),
			Dirty: rapid.Bool().Draw(t, "dirty"),
		}
	})
}

func TestVersion(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := versions().Draw(t, "version")
		got, err := bake.ParseVersion(v.String())
		if err != nil || got != v {
			t.Fatalf("%s: got %+v and %v", v, got, err)
		}
		if other := versions().Draw(t, "other"); v.Compare(other) != -other.Compare(v) {
			t.Fatalf("%s and %s are both older than each other", v, other)
		}
	})
}

func TestVersionForm(t *testing.T) {
	t.Parallel()
	v := bake.Version{Day: time.Date(2026, 11, 2, 23, 59, 0, 0, time.UTC), N: 12, Short: "abc1234"}
	if got := v.String(); got != "2026.11.02-12-gabc1234" {
		t.Error(got)
	}
	v.Dirty = true
	if got := v.String(); got != "2026.11.02-12-gabc1234-dirty" {
		t.Error(got)
	}
	for _, s := range []string{
		"", "1.0", "2026.11.22", "2026.11.22-1", "2026.11.22-1-abc1234", "2026.11.22-1-g", "2026.11.22-0-gabc1234", "2026.11.22-01-gabc1234",
		"2026.11.22-+1-gabc1234", "2026.11.31-1-gabc1234", "2026.1.2-1-gabc1234", "2026.11.22-1-gabc1234-", "2026.11.22-1-gxyz",
		"2026.11.22-1-gabc1234-dirty-dirty", "2026.11.22-1-gABC1234", "2026.11.22-99999999999999999999-gabc1234",
	} {
		if got, err := bake.ParseVersion(s); !errors.Is(err, bake.ErrInvalid) {
			t.Errorf("%q: got %v and %v", s, got, err)
		}
	}
}

func TestVersionsSortByAge(t *testing.T) {
	t.Parallel()
	want := []string{
		"2025.12.31-7-gfffffff", "2026.01.01-1-gabc1234", "2026.01.01-2-g0000000", "2026.01.01-10-gabc1234",
		"2026.01.01-10-gabc1235", "2026.02.01-1-g0000000-dirty",
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, func(a, b string) int {
		va, errA := bake.ParseVersion(a)
		vb, errB := bake.ParseVersion(b)
		if errA != nil || errB != nil {
			t.Error(errA, errB)
		}
		return va.Compare(vb)
	})
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestNextVersion(t *testing.T) {
	t.Parallel()
	images := newImages(t)
	commit := bake.Commit{Short: "abc1234"}
	next := func(name string, now time.Time) string {
		t.Helper()
		v, err := images.NextVersion(t.Context(), name, commit, now)
		if err != nil {
			t.Fatal(err)
		}
		return v.String()
	}
	evening := time.Date(2026, 11, 22, 20, 30, 0, 0, time.FixedZone("here", -6*3600)) // already tomorrow by UTC
	if got := next("web", evening); got != "2026.11.23-1-gabc1234" {
		t.Errorf("first: got %s", got)
	}
	for range 11 {
		record(t, images, bake.Image{Ref: bake.Ref{Name: "web", Version: next("web", evening)}})
	}
	record(t, images, bake.Image{Ref: bake.Ref{Name: "web", Version: "2026.11.23-final"}}) // as somebody else might call it
	if got := next("web", evening); got != "2026.11.23-12-gabc1234" {
		t.Errorf("twelfth: got %s", got)
	}
	if got := next("web", evening.Add(24*time.Hour)); got != "2026.11.24-1-gabc1234" {
		t.Errorf("next day: got %s", got)
	}
	if got := next("web-2", evening); got != "2026.11.23-1-gabc1234" {
		t.Errorf("another image: got %s", got)
	}
	commit.Dirty = true
	if got := next("base", evening); got != "2026.11.23-1-gabc1234-dirty" {
		t.Errorf("dirty: got %s", got)
	}
}
