package promote_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/test"
)

// fate is where a promotion got to before its process died, or ended.
type fate int

const (
	intended fate = iota // on record, and nothing more
	swapped              // the channel moved, and nobody said so
	promoted
	reverted
)

// past is a promotion of version to over version from, 0 for none.
type past struct {
	from, to int
	fate     fate
}

// happen puts promotions into a catalog as processes that died would.
func happen(t testing.TB, c catalog.Catalog, all ...past) {
	t.Helper()
	channels := promote.NewChannels(c)
	for i, one := range all {
		p := plan(one.to, "ada")
		p.At = at.Add(time.Duration(i) * time.Hour)
		if one.from != 0 {
			from := web(one.from)
			p.From = &from
		}
		p, err := channels.Intend(t.Context(), p)
		if err == nil && (one.fate == swapped || one.fate == promoted) {
			err = channels.Set(t.Context(), p)
		}
		switch one.fate {
		case promoted:
			err = errors.Join(err, channels.End(t.Context(), p, promote.Outcome{Result: promote.Promoted, At: p.At.Add(time.Minute)}))
		case reverted:
			err = errors.Join(err, channels.End(t.Context(), p, promote.Outcome{Result: promote.Reverted, At: p.At.Add(time.Minute)}))
		case intended, swapped:
		}
		if err != nil {
			t.Fatalf("promotion %d: %v", i+1, err)
		}
	}
}

func TestHistoryOfThoseWhoDied(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		all   []past
		moved string // numbers of the promotions that moved the channel
	}{
		"nothing":                            {nil, ""},
		"all told":                           {[]past{{0, 1, promoted}, {1, 2, promoted}}, "1 2"},
		"rolled back":                        {[]past{{0, 1, promoted}, {1, 2, reverted}}, "1"},
		"died before":                        {[]past{{0, 1, promoted}, {1, 2, intended}}, "1"},
		"died behind":                        {[]past{{0, 1, promoted}, {1, 2, swapped}}, "1 2"},
		"died behind, and another one came":  {[]past{{0, 1, swapped}, {1, 2, promoted}}, "1 2"},
		"died before, and once more":         {[]past{{0, 1, promoted}, {1, 2, intended}, {1, 2, promoted}}, "1 3"},
		"died before, and another one came":  {[]past{{0, 1, promoted}, {1, 2, intended}, {1, 3, promoted}}, "1 3"},
		"the first releases told nobody":     {[]past{{0, 1, swapped}, {1, 2, swapped}, {2, 1, swapped}}, "1 2 3"},
		"the same version for its fleets":    {[]past{{0, 1, promoted}, {1, 1, intended}}, "1"},
		"the same version again, told":       {[]past{{0, 1, promoted}, {1, 1, promoted}}, "1 2"},
		"died before the first":              {[]past{{0, 1, intended}}, ""},
		"died behind, rolled back, and died": {[]past{{0, 1, swapped}, {1, 2, reverted}, {1, 2, intended}, {1, 3, swapped}}, "1 4"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMemory()
			happen(t, m, c.all...)
			history, err := promote.NewChannels(m).History(t.Context(), "web", production)
			if err != nil || len(history) != len(c.all) {
				t.Fatalf("%d promotions, %v: want %d", len(history), err, len(c.all))
			}
			var moved []string
			for i, p := range history {
				if p.Number != i+1 {
					t.Errorf("promotion %d has the number %d", i+1, p.Number)
				}
				if p.Moved() {
					moved = append(moved, strconv.Itoa(p.Number))
				}
			}
			if have := strings.Join(moved, " "); have != c.moved {
				t.Errorf("the channel was moved by %q: want %q", have, c.moved)
			}
		})
	}
}

// TestHistoryIsAChain lets processes die anywhere and wants a history whose moves lead from nothing to what the channel holds.
func TestHistoryIsAChain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := newMemory()
		held := 0
		for range rapid.IntRange(0, 12).Draw(rt, "promotions") {
			one := past{held, rapid.IntRange(1, 4).Draw(rt, "to"), fate(rapid.IntRange(0, 3).Draw(rt, "fate"))}
			happen(t, m, one)
			if one.fate == swapped || one.fate == promoted {
				held = one.to
			}
		}
		history, err := promote.NewChannels(m).History(t.Context(), "web", production)
		if err != nil {
			rt.Fatal(err)
		}
		var at *bake.Ref
		for _, p := range history {
			if !p.Moved() {
				continue
			}
			if fmt.Sprint(p.From) != fmt.Sprint(at) {
				rt.Fatalf("%s goes from %v, and the channel held %v", p.ID(), p.From, at)
			}
			at = &p.To
		}
		if held == 0 && at != nil || held != 0 && (at == nil || *at != web(held)) {
			rt.Fatalf("the history ends at %v, and the channel holds %d", at, held)
		}
	})
}

// Some fleets alone got the version that the channel holds: that is not how it got there.
func TestHistoryOfFleetsAlone(t *testing.T) {
	t.Parallel()
	m := newMemory()
	happen(t, m, past{0, 1, swapped})
	channels := promote.NewChannels(m)
	p := plan(1, "ada")
	held := web(1)
	p.Only, p.From = true, &held
	for _, told := range []bool{false, true} {
		only, err := channels.Intend(t.Context(), p)
		if err == nil && told {
			err = channels.End(t.Context(), only, promote.Outcome{Result: promote.Promoted, At: at})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	history, err := channels.History(t.Context(), "web", production)
	if err != nil || len(history) != 3 || !history[0].Moved() || history[1].Moved() || history[2].Moved() {
		t.Errorf("history %+v, %v: want the first one alone to have moved the channel", history, err)
	}
}

func TestEndTwice(t *testing.T) {
	t.Parallel()
	m := newMemory()
	happen(t, m, past{0, 1, promoted})
	channels := promote.NewChannels(m)
	p, err := channels.Promotion(t.Context(), "web", production, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := channels.End(t.Context(), p, promote.Outcome{Result: promote.Promoted, Reason: "again", At: at}); err != nil {
		t.Errorf("the same end once more: %v", err)
	}
	if err := channels.End(t.Context(), p, promote.Outcome{Result: promote.Reverted, At: at}); !errors.Is(err, catalog.ErrExists) {
		t.Errorf("another end: %v", err)
	}
	if err := channels.Set(t.Context(), p); err != nil {
		t.Errorf("the same move once more: %v", err)
	}
	if _, err := channels.Promotion(t.Context(), "web", production, 2); !errors.Is(err, bake.ErrNotFound) {
		t.Errorf("a promotion that never was: %v", err)
	}
}

// The first releases put neither numbers nor outcomes on record.
func TestHistoryOfTheFirstReleases(t *testing.T) {
	t.Parallel()
	m := newMemory()
	body := `{"channel":"candidate","to":{"name":"web","version":"1"},"proof":"2026-11-22T03:00:00Z","by":"ada","at":"2026-11-22T03:00:01Z"}`
	if err := errors.Join(m.Put(t.Context(), "promotions/web/candidate/000001", []byte(body)),
		m.Swap(t.Context(), bake.ChannelHead("web", "candidate"), nil, []byte("1"))); err != nil {
		t.Fatal(err)
	}
	history, err := promote.NewChannels(m).History(t.Context(), "web", promote.Candidate)
	if err != nil || len(history) != 1 || history[0].ID() != "web@candidate#1" || !history[0].Moved() || !history[0].Outcome.At.Equal(at.Add(time.Second)) {
		t.Errorf("history %+v, %v", history, err)
	}
}

func TestUnreadableRecords(t *testing.T) {
	t.Parallel()
	m := newMemory()
	for _, key := range []string{"promotions/web/production/000001", "promotions/web/staging/first", "rollouts/web/production/000001/web-eu/000001"} {
		if err := m.Put(t.Context(), key, []byte("{")); err != nil {
			t.Fatal(err)
		}
	}
	channels := promote.NewChannels(m)
	for _, ch := range []promote.Channel{production, "staging"} {
		if _, err := channels.History(t.Context(), "web", ch); err == nil || !strings.Contains(err.Error(), "promotions/web/"+string(ch)) {
			t.Errorf("history of %s: %v: want the key of the record", ch, err)
		}
	}
	p := plan(1, "ada")
	p.Number = 1
	if _, err := promote.NewRollouts(m).Latest(t.Context(), p); err == nil || !strings.Contains(err.Error(), "rollouts/web/production/000001/web-eu") {
		t.Errorf("rollouts: %v", err)
	}
	if err := m.Swap(t.Context(), "heads/active/web/production", nil, []byte("{")); err != nil {
		t.Fatal(err)
	}
	if _, err := promote.NewActives(m).Get(t.Context(), "web", production); err == nil || !strings.Contains(err.Error(), "web@production") {
		t.Errorf("under way: %v", err)
	}
}

// A move that failed because somebody was faster says who, and is on record as stopped.
func TestMoveSaysWhoWasFaster(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.judge(t, 1, test.Pass)
	w.judge(t, 2, test.Pass)
	if _, err := w.channels.Move(t.Context(), move(nil, web(1))); err != nil {
		t.Fatal(err)
	}
	_, err := w.channels.Move(t.Context(), move(nil, web(2)))
	if want := "channel web@candidate holds web:1, moved by me at 2026-11-22 03:00:00 UTC, by web@candidate#1"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v: want %s in it", err, want)
	}
	history, err := w.channels.History(t.Context(), "web", promote.Candidate)
	if err != nil || len(history) != 2 || history[1].Outcome == nil || history[1].Outcome.Result != promote.Stopped {
		t.Errorf("history %+v, %v", history, err)
	}
}
