package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/cmd/iibake/internal/uitest"
	"github.com/iibake/iibake/promote"
)

// looks is a promotion in two waves: the second one fails, and the first goes back.
func looks() []promote.Progress {
	p := fullPlan().Promotion
	p.Number = 7
	step := func(seconds int, s promote.Step, wave int, reason string, fleets ...promote.FleetProgress) promote.Progress {
		return promote.Progress{Promotion: p, Step: s, Wave: wave, Reason: reason, Fleets: fleets, At: planned.Add(time.Duration(seconds) * time.Second)}
	}
	fleet := func(name string, phase promote.Phase, old, fresh int) promote.FleetProgress {
		return promote.FleetProgress{Fleet: name, Phase: phase, Old: old, New: fresh, Healthy: old + fresh, Desired: old + fresh, Since: planned}
	}
	canary, eu := "web-canary", "web-eu"
	all := []promote.Progress{
		step(0, promote.Publishing, 0, ""),
		step(5, promote.Moving, 0, "", fleet(canary, promote.Staging, 1, 0), fleet(eu, promote.Planned, 12, 0)),
		step(15, promote.Moving, 0, "", fleet(canary, promote.Refreshing, 1, 1), fleet(eu, promote.Planned, 12, 0)),
		step(65, promote.Watching, 0, "", fleet(canary, promote.Done, 0, 1), fleet(eu, promote.Planned, 12, 0)),
		step(70, promote.Watching, 0, "", fleet(canary, promote.Done, 0, 1), fleet(eu, promote.Planned, 12, 0)),
		step(80, promote.Paused, 1, "", fleet(canary, promote.Done, 0, 1), fleet(eu, promote.Planned, 12, 0)),
		step(90, promote.Moving, 1, "", fleet(canary, promote.Done, 0, 1), fleet(eu, promote.Refreshing, 12, 0)),
		step(99, promote.Backing, 1, "web-eu: probe: status 500", fleet(canary, promote.Returning, 0, 1), fleet(eu, promote.Returning, 11, 1)),
		step(150, promote.Backing, 1, "web-eu: probe: status 500", fleet(canary, promote.RolledBack, 1, 0), fleet(eu, promote.RolledBack, 12, 0)),
		step(151, promote.Ended, 1, "", fleet(canary, promote.RolledBack, 1, 0), fleet(eu, promote.RolledBack, 12, 0)),
	}
	all[5].Active = promote.Active{By: "grace", Reason: "lunch"}
	return all
}

func TestFollower(t *testing.T) {
	var b strings.Builder
	rep, err := ui.New(&b, ui.Options{Mode: ui.Plain})
	if err != nil {
		t.Fatal(err)
	}
	f := newFollower(rep)
	for _, look := range looks() {
		f.take(look)
	}
	uitest.Golden(t, "follow", regexp.MustCompile(`(done in|failed after) \S+`).ReplaceAllString(b.String(), "$1 TIME"))
	if got := f.arrived(); len(got) != 0 {
		t.Errorf("arrived: %q", got)
	}
}

// A step ends as done only where it is.
func TestFollowerEndsSteps(t *testing.T) {
	past := func(o promote.Result) *promote.Outcome { return &promote.Outcome{Result: o, Reason: "why"} }
	for name, c := range map[string]struct {
		before, after promote.Step
		arrived       bool // the wave
		outcome       *promote.Outcome
		want          string
	}{
		"paused before anything began": {promote.Publishing, promote.Paused, false, nil, "publish: not done: paused"},
		"paused behind it":             {promote.Publishing, promote.Paused, true, nil, "publish: done in "},
		"a wave paused":                {promote.Moving, promote.Paused, false, nil, "wave 1 of 2: web-canary: not done: paused"},
		"a wave that had arrived":      {promote.Moving, promote.Paused, true, nil, "wave 1 of 2: web-canary: done in "},
		"a soak paused":                {promote.Watching, promote.Paused, true, nil, "soak after wave 1 of 2: not done: paused"},
		"a wave aborted":               {promote.Moving, promote.Backing, false, nil, "wave 1 of 2: web-canary: failed after "},
		"a rollback aborted":           {promote.Moving, promote.Halting, false, nil, "wave 1 of 2: web-canary: failed after "},
		"frozen before anything else":  {promote.Moving, promote.Frozen, false, nil, "wave 1 of 2: web-canary: not done: frozen"},
		"frozen behind a wave":         {promote.Moving, promote.Frozen, true, nil, "wave 1 of 2: web-canary: done in "},
		"a freeze that ends":           {promote.Frozen, promote.Moving, true, nil, "it is frozen: done in "},
		"an alarm in a freeze":         {promote.Frozen, promote.Backing, true, nil, "it is frozen: done in "},
		"aborted unseen":               {promote.Moving, promote.Ended, false, past(promote.Reverted), "wave 1 of 2: web-canary: failed after "},
		"a pause aborted":              {promote.Paused, promote.Backing, false, nil, "paused by : done in "},
		"promoted":                     {promote.Finishing, promote.Ended, true, past(promote.Promoted), "move the channel: done in "},
		"the channel moved away":       {promote.Finishing, promote.Ended, true, past(promote.Stopped), "move the channel: failed after "},
		"went back":                    {promote.Backing, promote.Ended, true, past(promote.Reverted), "bring the fleets back: done in "},
		"could not go back":            {promote.Backing, promote.Ended, true, past(promote.Stopped), "bring the fleets back: failed after "},
		"stopped":                      {promote.Halting, promote.Ended, true, past(promote.Stopped), "stop the fleets: done in "},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			rep, err := ui.New(&b, ui.Options{Mode: ui.Plain})
			if err != nil {
				t.Fatal(err)
			}
			first := looks()[0]
			first.Step = c.before
			if c.before == promote.Frozen {
				first.Reason = "it is frozen"
			}
			first.Fleets = []promote.FleetProgress{{Fleet: "web-canary", Phase: promote.Planned}, {Fleet: "web-eu", Wave: 1, Phase: promote.Planned}}
			second := first
			second.Step, second.Outcome = c.after, c.outcome
			second.Fleets = slices.Clone(first.Fleets)
			if c.arrived {
				second.Fleets[0].Phase = promote.Done
			}
			f := newFollower(rep)
			f.take(first)
			f.take(second)
			f.take(first) // a step that goes on begins again
			text := b.String()
			if !strings.Contains(text, "\nweb@production: "+c.want) || strings.Count(text, stepTitle(first)+" ...\n") != 2 {
				t.Errorf("want %s:\n%s", c.want, text)
			}
		})
	}
}

func TestStepTitle(t *testing.T) {
	p := looks()[1]
	p.Promotion.Waves[0] = append(p.Promotion.Waves[0], webMember("b"), webMember("c"), webMember("d"), webMember("e"), webMember("f"))
	if got := stepTitle(p); got != "wave 1 of 2: web-canary, b, c, d and 2 more" {
		t.Errorf("got %q", got)
	}
	p.Step, p.Until = promote.Watching, planned
	if got := stepTitle(p); got != "soak after wave 1 of 2, until 12:00:00 UTC" {
		t.Errorf("got %q", got)
	}
	for _, s := range []promote.Step{promote.Finishing, promote.Halting, promote.Ended} {
		p.Step = s
		if got := stepTitle(p); (got == "") != (s == promote.Ended) {
			t.Errorf("%s: got %q", s, got)
		}
	}
}

// Who watches learns who drives, when another process does, and when that one is dead; who drives knows it.
func TestFollowerOfAnother(t *testing.T) {
	first, quiet, taken := seen(), seen(), seen()
	quiet.At = planned.Add(10 * time.Minute)
	taken.Active.Driver, taken.At = "grace on another-host, process 13, FEDCBA", quiet.At
	taken.Active.Seen = quiet.At
	for _, watches := range []bool{true, false} {
		var b strings.Builder
		rep, err := ui.New(&b, ui.Options{Mode: ui.Plain})
		if err != nil {
			t.Fatal(err)
		}
		f := newFollower(rep)
		f.watches = watches
		for _, p := range []promote.Progress{first, first, quiet, quiet, taken} {
			f.take(p)
		}
		var told []string
		for line := range strings.Lines(b.String()) {
			if strings.Contains(line, "driven by") || strings.Contains(line, "warning") {
				told = append(told, line)
			}
		}
		want := []string{
			"web@production: web@production#7 is driven by ada on another-host, process 12, ABCDEF\n",
			"web@production: warning: nothing was heard of it for 9m40s: iibake promote --resume web@production takes over\n",
			"web@production: web@production#7 is driven by grace on another-host, process 13, FEDCBA\n",
		}
		if !watches {
			want = nil
		}
		if !slices.Equal(told, want) {
			t.Errorf("watches %t: told %q", watches, told)
		}
	}
}

// Fleets that move alone leave the channel, and nobody says that it moves; who asks for the end of a promotion has arrived when that is back.
func TestFollowerOfFleetsAlone(t *testing.T) {
	alone := seen()
	alone.Step, alone.Promotion.Only = promote.Finishing, true
	if got := stepTitle(alone); got != "" {
		t.Errorf("got %q", got)
	}
	for _, aborts := range []*promote.Active{nil, {}} {
		var b strings.Builder
		rep, err := ui.New(&b, ui.Options{Actions: &ui.Actions{}})
		if err != nil {
			t.Fatal(err)
		}
		f := newFollower(rep)
		f.plan = &planView{Plan: promote.Plan{Aborts: aborts}}
		p := seen()
		p.Fleets[0].Phase = promote.RolledBack
		f.take(p)
		if strings.Contains(b.String(), "::error::") != (aborts == nil) {
			t.Errorf("aborts %t: %s", aborts != nil, &b)
		}
	}
}
