package promote_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/test"
)

// staging is the channel before production in these tests.
const staging promote.Channel = "staging"

// shut returns the names and details of the gates that are shut.
func shut(gates []promote.Gate) string {
	var all []string
	for _, g := range gates {
		if !g.Open {
			all = append(all, g.Name+": "+g.Detail)
		}
	}
	return strings.Join(all, "; ")
}

func names(gates []promote.Gate) string {
	var all []string
	for _, g := range gates {
		all = append(all, g.Name)
	}
	return strings.Join(all, " ")
}

// image returns the record of a version that judge made.
func (w world) image(t *testing.T, version int) bake.Image {
	t.Helper()
	img, err := bake.NewImages(w.catalog).Get(t.Context(), web(version))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func (w world) check(t *testing.T, img bake.Image, rule promote.Rule, now time.Time) []promote.Gate {
	t.Helper()
	gates, err := promote.NewGates(w.catalog).Check(t.Context(), img, rule, now)
	if err != nil {
		t.Fatal(err)
	}
	return gates
}

func TestGatesThatAChannelHas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.judge(t, 1, test.Pass)
	img := w.image(t, 1)
	full := promote.Rule{
		Channel: production, After: staging, Age: bake.Duration(time.Hour), Approvals: 1,
		Freeze: []promote.Freeze{freeze(t, "Fri 16:00", "Mon 08:00", "")},
	}
	back := full
	back.Back = true
	held := full
	held.Held = true
	for _, c := range []struct {
		rule promote.Rule
		want string
	}{
		{promote.Rule{Channel: promote.Candidate}, "verdict revoked"},
		{promote.Rule{Channel: "dev"}, "verdict revoked commit"},
		{full, "verdict revoked commit age approvals freeze"},
		{back, "verdict revoked"},
		{held, "verdict revoked freeze"},
	} {
		if have := names(w.check(t, img, c.rule, at)); have != c.want {
			t.Errorf("gates of %+v: %s: want %s", c.rule, have, c.want)
		}
	}
}

// Every gate that is shut is named at once, with what to do.
func TestAllGatesAreShut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.judge(t, 1, test.Fail)
	img := w.image(t, 1)
	img.Dirty = true
	w.revoke(t, img.Ref, "leaks a key", false)
	rule := promote.Rule{
		Channel: production, After: staging, Age: bake.Duration(24 * time.Hour), Approvals: 2, NotAuthor: true,
		Freeze: []promote.Freeze{{From: moment(t, "Sat 20:00"), Until: moment(t, "Mon 08:00"), Reason: "weekend"}},
	}
	gates := w.check(t, img, rule, at) // a Sunday
	want := "verdict: it did not pass its tests at 2026-11-22 03:00:00 UTC; " +
		"revoked: it was revoked by eve at 2026-11-22 03:00:00 UTC: leaks a key; " +
		"commit: it holds changes that are in no commit; " +
		"age: it was never in staging; " +
		"approvals: 0 of 2 approvals; " +
		"freeze: production is frozen until 2026-11-23 08:00:00 UTC (weekend)"
	if have := shut(gates); have != want {
		t.Errorf("shut are\n%s\nwant\n%s", have, want)
	}
	err := promote.Refused(gates)
	if !errors.Is(err, bake.ErrRefused) {
		t.Errorf("error %v", err)
	}
	for _, g := range gates {
		if g.Remedy == "" || !strings.Contains(err.Error(), g.Detail+": "+g.Remedy) {
			t.Errorf("%s: what to do is not in %v", g.Name, err)
		}
	}
	if opens := gates[len(gates)-1].Opens; !opens.Equal(time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)) {
		t.Errorf("the freeze ends at %s", opens)
	}
}

func TestVerdictGate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.judge(t, 1, test.Pass)
	rule := promote.Rule{Channel: production}
	img := w.image(t, 1)
	gates := w.check(t, img, rule, at)
	if err := promote.Refused(gates); err != nil || !gates[0].At.Equal(at) {
		t.Errorf("%v, at %s", err, gates[0].At)
	}
	img.Disk = bake.DigestOf([]byte("another disk"))
	if have := shut(w.check(t, img, rule, at)); !strings.Contains(have, "was tested at 2026-11-22 03:00:00 UTC, not its disk "+img.Disk.Short()) {
		t.Errorf("of another disk: %s", have)
	}
	img.Ref = web(2)
	if have := shut(w.check(t, img, rule, at)); have != "verdict: it was never tested" {
		t.Errorf("never tested: %s", have)
	}
	w.judge(t, 1, test.Fail)
	if have := shut(w.check(t, w.image(t, 1), rule, at)); !strings.HasPrefix(have, "verdict: it did not pass") {
		t.Errorf("failed after a pass: %s", have)
	}
}

func TestCommitGate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.judge(t, 1, test.Pass)
	for name, change := range map[string]func(*bake.Image){
		"dirty":     func(i *bake.Image) { i.Dirty = true },
		"no commit": func(i *bake.Image) { i.Commit = "" },
	} {
		img := w.image(t, 1)
		change(&img)
		if have := shut(w.check(t, img, promote.Rule{Channel: production}, at)); have != "commit: it holds changes that are in no commit" {
			t.Errorf("%s: %s", name, have)
		}
		for _, rule := range []promote.Rule{{Channel: promote.Candidate}, {Channel: production, Back: true}} {
			if have := shut(w.check(t, img, rule, at)); have != "" {
				t.Errorf("%s, %+v: %s", name, rule, have)
			}
		}
	}
}

// in is a move of staging, some hours after the day began.
type in struct {
	version int
	hours   int
	back    bool
}

func TestAgeGate(t *testing.T) {
	t.Parallel()
	const age = 24
	for name, c := range map[string]struct {
		moves []in
		now   int // hours
		want  string
		opens int
	}{
		"never":              {nil, 0, "it was never in staging", 0},
		"another version":    {[]in{{2, 0, false}}, 99, "it was never in staging", 0},
		"just now":           {[]in{{1, 0, false}}, 0, "it is in staging for 0s, and must be there for 1d: until 2026-11-23 03:00:00 UTC", 24},
		"not long enough":    {[]in{{1, 0, false}}, 23, "it is in staging for 23h, and must be there for 1d: until 2026-11-23 03:00:00 UTC", 24},
		"long enough":        {[]in{{1, 0, false}}, 24, "", 0},
		"gone":               {[]in{{1, 0, false}, {2, 12, false}}, 99, "it was in staging for 12h, and must be there for 1d", 0},
		"gone after a day":   {[]in{{1, 0, false}, {2, 24, false}}, 25, "", 0},
		"twice a while":      {[]in{{1, 0, false}, {2, 16, false}, {1, 17, false}}, 33, "it is in staging for 16h, and must be there for 1d: until 2026-11-23 20:00:00 UTC", 41},
		"again for itself":   {[]in{{1, 0, false}, {1, 16, false}}, 24, "", 0},
		"rolled back out":    {[]in{{2, 0, false}, {1, 1, false}, {2, 90, true}}, 99, "it was rolled back out of staging at 2026-11-25 21:00:00 UTC", 0},
		"in again":           {[]in{{2, 0, false}, {1, 1, false}, {2, 90, true}, {1, 91, false}}, 95, "it is in staging for 4h, and must be there for 1d: until 2026-11-26 22:00:00 UTC", 115},
		"in again for a day": {[]in{{2, 0, false}, {1, 1, false}, {2, 90, true}, {1, 91, false}}, 115, "", 0},
		"rolled back to":     {[]in{{1, 0, false}, {2, 12, false}, {1, 13, true}}, 37, "", 0},
		"clock is wrong":     {[]in{{1, 5, false}}, 0, "it is in staging for 0s, and must be there for 1d: until 2026-11-23 08:00:00 UTC", 29},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.judge(t, 1, test.Pass)
			w.judge(t, 2, test.Pass)
			var from *bake.Ref
			for _, m := range c.moves {
				p := move(from, web(m.version))
				p.Channel, p.Back, p.At = staging, m.back, at.Add(time.Duration(m.hours)*time.Hour)
				if _, err := w.channels.Move(t.Context(), p); err != nil {
					t.Fatal(err)
				}
				to := web(m.version)
				from = &to
			}
			rule := promote.Rule{Channel: production, After: staging, Age: bake.Duration(age * time.Hour)}
			gates := w.check(t, w.image(t, 1), rule, at.Add(time.Duration(c.now)*time.Hour))
			if have := strings.TrimPrefix(shut(gates), "age: "); have != c.want {
				t.Errorf("shut: %q: want %q", have, c.want)
			}
			opens := time.Time{}
			if c.opens > 0 {
				opens = at.Add(time.Duration(c.opens) * time.Hour)
			}
			if have := gates[len(gates)-1].Opens; !have.Equal(opens) {
				t.Errorf("opens at %s: want %s", have, opens)
			}
		})
	}
}

// A channel that asks for the one before, and for no time, wants the image to have been there at all.
func TestAgeGateWithoutAge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.judge(t, 1, test.Pass)
	rule := promote.Rule{Channel: production, After: promote.Candidate}
	if have := shut(w.check(t, w.image(t, 1), rule, at)); have != "age: it was never in candidate" {
		t.Errorf("before: %s", have)
	}
	if _, err := w.channels.Move(t.Context(), move(nil, web(1))); err != nil {
		t.Fatal(err)
	}
	if have := shut(w.check(t, w.image(t, 1), rule, at)); have != "" {
		t.Errorf("behind: %s", have)
	}
}

// A gate that a freeze shuts opens when the last of the freezes that follow each other ends.
func TestFreezesFollowEachOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.judge(t, 1, test.Pass)
	rule := promote.Rule{Channel: production, Freeze: []promote.Freeze{
		freeze(t, "Sat 00:00", "Mon 08:00", ""), freeze(t, "2026-11-23 07:00", "2026-11-24 12:00", ""), freeze(t, "2026-11-24 12:00", "2026-11-25 00:00", ""),
	}}
	gates := w.check(t, w.image(t, 1), rule, at)
	if opens := gates[len(gates)-1].Opens; !opens.Equal(time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("opens at %s", opens)
	}
	if have := shut(w.check(t, w.image(t, 1), rule, time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC))); have != "" {
		t.Errorf("behind it: %s", have)
	}
	always := promote.Rule{Channel: production, Freeze: []promote.Freeze{freeze(t, "Mon 00:00", "Thu 00:00", ""), freeze(t, "Thu 00:00", "Mon 00:00", "")}}
	if have := shut(w.check(t, w.image(t, 1), always, at)); !strings.HasPrefix(have, "freeze: production is frozen until 202") {
		t.Errorf("for ever: %s", have)
	}
	unknown := promote.Rule{Channel: production, Freeze: []promote.Freeze{freeze(t, "Mon 00:00", "Thu 00:00", "Mars/Olympus")}}
	if _, err := promote.NewGates(w.catalog).Check(t.Context(), w.image(t, 1), unknown, at); err == nil || !strings.Contains(fmt.Sprint(err), "Mars/Olympus") {
		t.Errorf("in no zone: %v", err)
	}
}
