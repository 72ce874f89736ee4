package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/promote"
)

// statusText writes a status for people.
type statusText struct {
	promote.Status

	p ui.Paint
}

func (s statusText) write(con *console) error {
	for _, part := range []func(*console) error{s.channels, s.fleetTable, s.gaps, s.drift} {
		if err := part(con); err != nil {
			return err
		}
	}
	return nil
}

func (s statusText) channels(con *console) error {
	if len(s.Channels) == 0 {
		return con.printf("no channel holds an image yet: iibake build makes the first\n")
	}
	table := ui.NewTable("CHANNEL", "HOLDS", "AGE", "THERE FOR", "PROMOTION")
	for _, c := range s.Channels {
		place := fmt.Sprintf("%s@%s", c.Image, c.Channel)
		if c.Holds == nil {
			table.Row(s.p.Name(place), s.p.Dim("nothing"), "", "", s.underWay(c))
			continue
		}
		there := ""
		if !c.Since.IsZero() {
			there = ui.Age(s.At.Sub(c.Since))
		}
		table.Row(s.p.Name(place), s.p.Bold(c.Holds.Version), s.age(c), there, s.underWay(c))
	}
	return table.Write(con.out, s.p)
}

func (s statusText) age(c promote.ChannelStatus) string {
	if c.Created.IsZero() {
		return ""
	}
	age := ui.Age(s.At.Sub(c.Created))
	switch {
	case c.Old:
		return s.p.Bad(age + " of " + ui.Age(time.Duration(c.MaxAge)))
	case c.MaxAge > 0:
		return age + s.p.Dim(" of "+ui.Age(time.Duration(c.MaxAge)))
	}
	return age
}

func (s statusText) underWay(c promote.ChannelStatus) string {
	u := c.UnderWay
	if u == nil {
		return ""
	}
	text := fmt.Sprintf("#%d to %s, driven by %s", u.Promotion.Number, toText(u.Promotion), u.Active.Driver)
	switch {
	case u.Gone:
		return s.p.Bad(text + ", its process is dead")
	case u.Silent:
		return s.p.Bad(text + ", silent for " + ui.Took(s.At.Sub(u.Active.Seen)))
	case u.Active.Wish == promote.Pause:
		text += ", paused by " + u.Active.By
	case u.Active.Wish == promote.Abort:
		text += ", aborted by " + u.Active.By
	}
	return s.p.Warn(text)
}

func (s statusText) fleetTable(con *console) error {
	table, n := ui.NewTable("FLEET", "CHANNEL", "TARGET", "INSTANCES", "RUNS", "STATE"), 0
	row := func(f promote.FleetStatus, channel string) {
		n++
		table.Row(s.p.Name(f.Fleet), channel, s.p.Dim(f.Target), healthyOf(f), s.runs(f), s.state(f))
	}
	for _, c := range s.Channels {
		for _, f := range c.Fleets {
			row(f, fmt.Sprintf("%s@%s", c.Image, c.Channel))
		}
	}
	for _, f := range s.Rest {
		row(f, s.p.Dim("none"))
	}
	if n == 0 {
		return nil
	}
	if err := con.printf("\n"); err != nil {
		return err
	}
	return table.Write(con.out, s.p)
}

func healthyOf(f promote.FleetStatus) string {
	if f.Unknown != "" || f.Missing {
		return "?"
	}
	return fmt.Sprintf("%d of %d", f.Healthy, f.Desired)
}

// runs says how many instances run what. Of one image alone it names the version.
func (s statusText) runs(f promote.FleetStatus) string {
	var parts []string
	for _, v := range f.Running {
		what := v.AMI
		switch {
		case v.Image != nil:
			what = v.Image.Version
		case what == "":
			what = "unknown"
		}
		if len(f.Running) > 1 {
			what = fmt.Sprintf("%d × %s", v.Instances, what)
		}
		parts = append(parts, what)
	}
	if len(parts) == 0 && f.Unknown == "" && !f.Missing {
		return s.p.Dim("no instance")
	}
	return strings.Join(parts, ", ")
}

// state says in a few words how a fleet is. What is wrong is explained below the table.
func (s statusText) state(f promote.FleetStatus) string {
	if f.Unknown != "" {
		return s.p.Bad("unknown")
	}
	var words []string
	if f.Phase != "" {
		words = append(words, string(f.Phase))
	}
	if r := f.Refresh; r != nil {
		about := ""
		if r.Estimated {
			about = "about "
		}
		words = append(words, fmt.Sprintf("%s %s%d %%", r.State, about, r.Percent))
	}
	wrong := false
	for _, d := range s.Drift {
		if d.Fleet == f.Fleet && !slices.Contains(words, string(d.Kind)) {
			words, wrong = append(words, string(d.Kind)), wrong || !d.Notice
		}
	}
	text := strings.Join(words, ", ")
	switch {
	case text == "":
		return s.p.Good("ok")
	case wrong:
		return s.p.Bad(text)
	}
	return s.p.Warn(text)
}

// gaps tells what could not be looked at, where, and why.
func (s statusText) gaps(con *console) error {
	title := "\ncould not be looked at:\n"
	for _, t := range s.Targets {
		for _, g := range t.Gaps {
			place := strings.TrimSpace(t.Account + " " + t.Region)
			if place != "" {
				place = " (" + place + ")"
			}
			if err := con.printf("%s  %s%s: %s\n    %s\n", title, s.p.Bold(t.Target), place, g.Part, ui.Clean(g.Error)); err != nil {
				return err
			}
			title = ""
		}
	}
	return nil
}
