package promote_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/test"
)

// world is a catalog with verdicts on versions of one image.
type world struct {
	catalog  catalog.Catalog
	channels promote.Channels
	verdicts test.Verdicts
}

func newWorld(t *testing.T) world {
	t.Helper()
	c, err := catalog.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return world{c, promote.NewChannels(c), test.NewVerdicts(c)}
}

var at = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

func web(version int) bake.Ref { return bake.Ref{Name: "web", Version: strconv.Itoa(version)} }

// judge records a verdict on a version.
func (w world) judge(t *testing.T, version int, status test.Status) {
	t.Helper()
	img := bake.Image{Ref: web(version), Disk: bake.DigestOf([]byte(strconv.Itoa(version))), Key: bake.DigestOf(nil), Commit: "abc1234", Created: at}
	if _, err := bake.NewImages(w.catalog).Record(t.Context(), img, nil); err != nil {
		t.Fatal(err)
	}
	v := test.Verdict{Image: img.Ref, Disk: img.Disk, At: at, Results: []test.Result{{Name: "ssh", Status: status}}}
	if err := w.verdicts.Record(t.Context(), v); err != nil {
		t.Fatal(err)
	}
}

func move(from *bake.Ref, to bake.Ref) promote.Promotion {
	return promote.Promotion{Channel: promote.Candidate, From: from, To: to, By: "me", At: at}
}

func TestMove(t *testing.T) {
	w := newWorld(t)
	if _, err := w.channels.Get(t.Context(), "web", promote.Candidate); !errors.Is(err, bake.ErrNotFound) {
		t.Errorf("before the first move: %v", err)
	}
	w.judge(t, 1, test.Pass)
	w.judge(t, 2, test.Pass)
	first, second := web(1), web(2)
	if p, err := w.channels.Move(t.Context(), move(nil, first)); err != nil || !p.Proof.Equal(at) {
		t.Fatalf("first move: %+v, %v", p, err)
	}
	if _, err := w.channels.Move(t.Context(), move(&first, second)); err != nil {
		t.Fatal(err)
	}
	if got, err := w.channels.Get(t.Context(), "web", promote.Candidate); err != nil || got != second {
		t.Errorf("got %v, %v", got, err)
	}
	history, err := w.channels.History(t.Context(), "web", promote.Candidate)
	if err != nil || len(history) != 2 || history[0].From != nil || *history[1].From != first || history[1].To != second {
		t.Errorf("history: %+v, %v", history, err)
	}
}

func TestMoveRefusesWhatHasNotPassed(t *testing.T) {
	w := newWorld(t)
	w.judge(t, 2, test.Fail)
	w.judge(t, 3, test.Pass)
	w.judge(t, 3, test.Fail)
	for version, want := range map[int]error{1: bake.ErrNotFound, 2: bake.ErrRefused, 3: bake.ErrRefused} {
		if _, err := w.channels.Move(t.Context(), move(nil, web(version))); !errors.Is(err, want) {
			t.Errorf("version %d: %v", version, err)
		}
	}
	if history, err := w.channels.History(t.Context(), "web", promote.Candidate); err != nil || len(history) != 0 {
		t.Errorf("a refused move is on record: %v, %v", history, err)
	}
}

func TestMoveComparesWhatTheChannelHolds(t *testing.T) {
	w := newWorld(t)
	for v := range 3 {
		w.judge(t, v, test.Pass)
	}
	zero, one := web(0), web(1)
	if _, err := w.channels.Move(t.Context(), move(&zero, one)); !errors.Is(err, catalog.ErrMoved) {
		t.Errorf("from a version, where the channel holds none: %v", err)
	}
	if _, err := w.channels.Move(t.Context(), move(nil, one)); err != nil {
		t.Fatal(err)
	}
	for _, from := range []*bake.Ref{nil, &zero} {
		if _, err := w.channels.Move(t.Context(), move(from, web(2))); !errors.Is(err, catalog.ErrMoved) {
			t.Errorf("from %v, where the channel holds %v: %v", from, one, err)
		}
	}
	if got, err := w.channels.Get(t.Context(), "web", promote.Candidate); err != nil || got != one {
		t.Errorf("got %v, %v", got, err)
	}
}

// Of several who want to replace the same version, one wins, and every intent is on record.
func TestMoveOfMany(t *testing.T) {
	const movers = 8
	w := newWorld(t)
	for v := range movers {
		w.judge(t, v, test.Pass)
	}
	errs := make([]error, movers)
	var all sync.WaitGroup
	for v := range movers {
		all.Go(func() { _, errs[v] = w.channels.Move(context.Background(), move(nil, web(v))) })
	}
	all.Wait()
	won := -1
	for v, err := range errs {
		switch {
		case err == nil && won < 0:
			won = v
		case !errors.Is(err, catalog.ErrMoved):
			t.Errorf("mover %d: %v", v, err)
		}
	}
	if got, err := w.channels.Get(t.Context(), "web", promote.Candidate); err != nil || won < 0 || got != web(won) {
		t.Errorf("mover %d won, the channel holds %v, %v", won, got, err)
	}
	history, err := w.channels.History(t.Context(), "web", promote.Candidate)
	if err != nil || len(history) != movers {
		t.Errorf("%d of %d intents are on record: %v", len(history), movers, err)
	}
}

func TestOf(t *testing.T) {
	w := newWorld(t)
	w.judge(t, 1, test.Pass)
	w.judge(t, 2, test.Pass)
	for ch, v := range map[promote.Channel]int{"staging": 1, "candidate": 1, "production": 2} {
		p := move(nil, web(v))
		p.Channel = ch
		if _, err := w.channels.Move(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	got, err := w.channels.Of(t.Context(), web(1))
	if want := []promote.Channel{"candidate", "staging"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, want %v, %v", got, want, err)
	}
	if got, err := w.channels.Of(t.Context(), web(3)); err != nil || len(got) != 0 {
		t.Errorf("a version in no channel: %v, %v", got, err)
	}
}
