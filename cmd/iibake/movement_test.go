package main

import (
	"encoding/json"
	"flag"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/cmd/iibake/internal/uitest"
	"github.com/iibake/iibake/promote"
)

// seen is a promotion in its first wave, as another process drives it.
func seen() promote.Progress {
	p := looks()[2]
	p.At = planned.Add(50 * time.Second)
	p.Active = promote.Active{Number: 7, Driver: "ada on another-host, process 12, ABCDEF", Wish: promote.Proceed, Seen: planned.Add(20 * time.Second)}
	p.Fleets[0].Percent, p.Fleets[0].Reason, p.Fleets[0].Expected = 45, "Waiting for instances.\x1b[2J", bake.Duration(4*time.Minute)
	p.Fleets[1].Wave = 1
	return p
}

// ended is the same when it has come to an end.
func ended(p promote.Progress, o promote.Outcome) promote.Progress {
	p.Step, p.Outcome = promote.Ended, &o
	return p
}

func TestGlance(t *testing.T) {
	paused, frozen, dead, alone, back := seen(), seen(), seen(), seen(), seen()
	paused.Step, paused.Active.Wish, paused.Active.By, paused.Active.Reason, paused.Reason = promote.Paused, promote.Pause, "grace", "lunch", "by grace: lunch"
	frozen.Step, frozen.Wave, frozen.Reason = promote.Frozen, 1, "production is frozen until 2026-11-23 08:00:00 UTC (weekend)"
	dead.At = planned.Add(10 * time.Minute)
	dead.Step, dead.Reason = promote.Backing, "web-eu: probe: status 500"
	alone.Promotion.Only = true
	back.Promotion.Back, back.Promotion.To.Version = true, ""
	back.Fleets[0].Phase = promote.RolledBack
	for name, p := range map[string]promote.Progress{
		"moving": seen(), "paused": paused, "frozen": frozen, "dead": dead, "alone": alone, "back": back,
		"over": ended(seen(), promote.Outcome{Result: promote.Promoted, At: planned}),
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			if err := writeGlance(newConsole(streams{out: &b, err: io.Discard}), p, p.At); err != nil {
				t.Fatal(err)
			}
			uitest.Golden(t, "glance-"+name, b.String())
		})
	}
	body, err := json.MarshalIndent(movementOf(seen()), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	uitest.Golden(t, "glance-json", string(body)+"\n")
}

// The same end has the same word in every form, and what did not move is not said to.
func TestEnding(t *testing.T) {
	plan := fullPlan()
	for name, c := range map[string]struct {
		change  func(*promote.Promotion)
		outcome promote.Outcome
		phase   promote.Phase
		want    string
	}{
		"forward": {nil, promote.Outcome{Result: promote.Promoted}, promote.Done, "promoted: production holds web:2026.11.22-1-gbbbbbbb"},
		"alone": {
			func(p *promote.Promotion) { p.Only = true },
			promote.Outcome{Result: promote.Promoted},
			promote.Done, "promoted: web-canary; production still holds web:2026.11.21-1-gaaaaaaa",
		},
		"alone, first": {
			func(p *promote.Promotion) { p.Only, p.From = true, nil },
			promote.Outcome{Result: promote.Promoted},
			promote.Done, "promoted: web-canary; production still holds nothing",
		},
		"back": {
			func(p *promote.Promotion) { p.Back, p.To.Version = true, "" },
			promote.Outcome{Result: promote.Promoted},
			promote.RolledBack, "went back: production holds nothing",
		},
		"turned round": {nil, promote.Outcome{Result: promote.Reverted, Reason: "an alarm\x1b[2J"}, promote.RolledBack, "rolled back: an alarm"},
		"stopped back": {
			func(p *promote.Promotion) { p.Back = true },
			promote.Outcome{Result: promote.Stopped, Reason: "it failed"},
			promote.Failed, "stopped: it failed",
		},
		"alias left": {
			nil,
			promote.Outcome{Result: promote.Promoted, Reason: "the alias was not set"},
			promote.Done,
			"promoted: production holds web:2026.11.22-1-gbbbbbbb; the alias was not set",
		},
	} {
		t.Run(name, func(t *testing.T) {
			last := ended(seen(), c.outcome)
			if c.change != nil {
				c.change(&last.Promotion)
			}
			last.Fleets[0].Phase, last.Fleets[0].Ended = c.phase, planned.Add(time.Minute)
			e := &engine{follow: &follower{last: last, plan: &plan}}
			text := func(form string) string {
				var b strings.Builder
				set := flag.NewFlagSet("", 0)
				set.String("output", form, "")
				con := newConsole(streams{out: &b, err: io.Discard})
				if err := e.writeEnding(con, cli.NewContext(nil, set, nil), last.Promotion, c.outcome); err != nil {
					t.Fatal(err)
				}
				return b.String()
			}
			if got := text("text"); got != "web@production#7: "+c.want+"\n" {
				t.Errorf("got %q", got)
			}
			word, rest, _ := strings.Cut(c.want, ": ")
			if got := text("markdown"); !strings.HasPrefix(got, "\n### web@production#7: "+word+"\n\n"+rest+"\n\n| wave ") || strings.Contains(got, "web-eu") {
				t.Errorf("got %q", got)
			}
			var m movement
			if err := json.Unmarshal([]byte(text("json")), &m); err != nil {
				t.Fatal(err)
			}
			if m.ID != "web@production#7" || m.Plan == nil || m.UnderWay != nil || m.Outcome.Result != c.outcome.Result || len(m.Fleets) != 2 || m.Fleets[1].Wave != 1 {
				t.Errorf("got %+v", m)
			}
			if past := (promote.Past{Promotion: last.Promotion, Outcome: &c.outcome}); resultOf(past, 0) != word {
				t.Errorf("history says %q", resultOf(past, 0))
			}
		})
	}
}
