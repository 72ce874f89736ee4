package bake_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
)

func TestChanges(t *testing.T) {
	dir := repository(t)
	first, err := bake.ReadCommit(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{"two: with → signs", "three"} {
		run(t, dir, "-c", "user.name=Ada L", "-c", "user.email=a@example.com", "commit", "-q", "--allow-empty", "-m", subject+"\n\nand a body")
	}
	last, err := bake.ReadCommit(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	got, err := bake.Changes(t.Context(), dir, first.Hash, last.Hash)
	if err != nil || len(got) != 2 || got[0].Subject != "three" || got[1].Subject != "two: with → signs" || got[0].Author != "Ada L" || got[0].Commit != last.Short {
		t.Errorf("got %+v, %v", got, err)
	}
	if back, err := bake.Changes(t.Context(), dir, last.Hash, first.Hash); err != nil || len(back) != 0 {
		t.Errorf("the other way: %+v, %v", back, err)
	}
	if _, err := bake.Changes(t.Context(), dir, strings.Repeat("a", 40), last.Hash); !errors.Is(err, bake.ErrNotFound) {
		t.Errorf("of another repository: %v", err)
	}
	if _, err := bake.Changes(t.Context(), dir, "--output=/x", last.Hash); !errors.Is(err, bake.ErrInvalid) {
		t.Errorf("an option: %v", err)
	}
}
