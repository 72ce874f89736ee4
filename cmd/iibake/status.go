package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/bake/template"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/promote/asg/survey"
)

// errDrift is wrapped when status found something that is not as it should be.
var errDrift = errors.New("not as it should be")

func statusCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "status", Usage: "show every channel and fleet, what runs where, and what to type where something is wrong", Category: categoryFleets,
		ArgsUsage: "[FLEET|CHANNEL|NAME|NAME@CHANNEL...]",
		UsageText: examples(
			[2]string{"iibake status", "everything"},
			[2]string{"iibake status production web-staging", "a channel and a fleet"},
			[2]string{"iibake status -o json || notify", "from cron"}),
		Description: "It looks into every account at once, in few calls, and changes nothing. An account that cannot be reached, or denies a permission, does not\n" +
			"keep it from showing the rest. Without operands it shows everything.\n\n" +
			"It ends with 0 where all is as it should be, with 16 where something is to be mended, and otherwise with 1 where it could not look everywhere.",
		Flags: append(variableFlags(), outputFlag(),
			&cli.DurationFlag{Name: "timeout", Value: time.Minute, Usage: "do not wait longer than `TIME` for the catalog, nor for accounts that do not answer"}),
		BashComplete: completeChannels(con),
		Action: func(c *cli.Context) error {
			names, err := operands(c, "NAME...")
			if err != nil {
				return err
			}
			p, err := loadProject(c)
			if err != nil {
				return err
			}
			r, err := recordOf(c, p)
			if err != nil {
				return err
			}
			t := openTargets(c, p)
			s, err := r.status(c.Context, p, survey.Surveyor{Open: t.open, Patience: c.Duration("timeout")}, c.Duration("timeout"))
			if err != nil {
				return err
			}
			if s, err = only(s, p, names); err != nil {
				return err
			}
			mender{p, t.endpoints(c.Context)}.fill(s.Drift)
			if wantsJSON(c) {
				err = con.printJSON(s)
			} else {
				err = statusText{s, con.paint(con.out)}.write(con)
			}
			return errors.Join(err, statusFailure(s))
		},
	}
}

// endpoints returns what tells the addresses of targets that were reached.
func (t targets) endpoints(ctx context.Context) func(string) string {
	return func(name string) string {
		found, err := t.get(ctx, name)
		if err != nil {
			return ""
		}
		return found.Endpoint
	}
}

// open is get for who tells of an error beside other things: what to do stands in its text.
func (t targets) open(ctx context.Context, name string) (*target.Target, error) {
	found, err := t.get(ctx, name)
	if todo := hints(err); len(todo) > 0 {
		err = fmt.Errorf("%w: %s", err, strings.Join(todo, "; "))
	}
	return found, err
}

// status looks at the channels and fleets of the project. The catalog must answer within patience, where that is not 0.
func (r *record) status(ctx context.Context, p *template.Project, v surveyor, patience time.Duration) (promote.Status, error) {
	c := promote.StatusConfig{Catalog: r.catalog, Survey: v.Survey, Gone: gone, Now: time.Now()}
	rules := rulesOf(p)
	for _, img := range p.Images {
		for _, channel := range pipeline(p) {
			rule, err := rules(img.Name, channel)
			if err != nil {
				return promote.Status{}, err
			}
			c.Watched = append(c.Watched, promote.Watched{Image: img.Name, Rule: rule, Targets: img.Publish.Targets})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Fleets)) {
		if channelOf(p, name) == "" {
			c.Rest = append(c.Rest, member(p, name))
		}
	}
	if patience > 0 {
		c.Catalog = patient{r.catalog, patience, c.Now.Add(patience)}
	}
	s, err := promote.Look(ctx, c)
	s.Channels = slices.DeleteFunc(s.Channels, func(c promote.ChannelStatus) bool {
		return c.Holds == nil && c.UnderWay == nil && len(c.Fleets) == 0 // a base image enters few channels
	})
	return s, err
}

// only leaves what the operands name.
func only(s promote.Status, p *template.Project, names []string) (promote.Status, error) {
	if len(names) == 0 {
		return s, nil
	}
	for _, name := range names {
		if err := known(p, name); err != nil {
			return s, err
		}
	}
	meant := func(image string, ch promote.Channel, fleet string) bool {
		return slices.Contains(names, image) || slices.Contains(names, string(ch)) || slices.Contains(names, image+"@"+string(ch)) || slices.Contains(names, fleet)
	}
	var channels []promote.ChannelStatus
	for _, c := range s.Channels {
		fleets := slices.DeleteFunc(slices.Clone(c.Fleets), func(f promote.FleetStatus) bool { return !meant(c.Image, c.Channel, f.Fleet) })
		if c.Fleets = fleets; len(fleets) > 0 || meant(c.Image, c.Channel, c.Image) {
			channels = append(channels, c)
		}
	}
	s.Channels = append([]promote.ChannelStatus{}, channels...)
	s.Rest = slices.DeleteFunc(s.Rest, func(f promote.FleetStatus) bool { return !slices.Contains(names, f.Fleet) })
	s.Drift = slices.DeleteFunc(s.Drift, func(d promote.Drift) bool { return !meant(d.Image, d.Channel, d.Fleet) })
	s.Targets = slices.DeleteFunc(s.Targets, func(t promote.TargetStatus) bool { return !shows(s, t.Target) })
	return s, nil
}

// shows reports whether a fleet of a target is among those that are shown.
func shows(s promote.Status, target string) bool {
	in := func(f promote.FleetStatus) bool { return f.Target == target }
	return slices.ContainsFunc(s.Rest, in) || slices.ContainsFunc(s.Channels, func(c promote.ChannelStatus) bool { return slices.ContainsFunc(c.Fleets, in) })
}

// known returns an error where an operand names nothing of the project.
func known(p *template.Project, name string) error {
	image, channel, both := strings.Cut(name, "@")
	isImage := slices.ContainsFunc(p.Images, func(t bake.Template) bool { return t.Name == image })
	_, isFleet := p.Fleets[name]
	_, isChannel := p.Channels[name]
	if both {
		_, isChannel = p.Channels[channel]
		isImage = isImage && isChannel
	}
	if isImage || isFleet || isChannel && !both {
		return nil
	}
	return withHint(notFound("channel, fleet or image "+name),
		placesHint(p))
}

// statusFailure is the error of a status that somebody has to act on. What it is about has been shown.
func statusFailure(s promote.Status) error {
	var parts []string
	n, blind := s.Urgent(), 0
	if n > 0 {
		parts = append(parts, ui.Count(n, "thing")+" to mend")
	}
	denied := false
	for _, t := range s.Targets {
		if len(t.Gaps) > 0 {
			blind++
		}
		denied = denied || slices.ContainsFunc(t.Gaps, func(g promote.Gap) bool { return strings.Contains(g.Error, target.ErrDenied.Error()) })
	}
	if blind > 0 {
		parts = append(parts, ui.Count(blind, "target")+" could not be looked at in full")
	}
	switch {
	case n > 0:
		return fmt.Errorf("%w: %s", errDrift, strings.Join(parts, ", "))
	case denied:
		return withHint(errors.New(parts[0]), "iibake iam-policy status prints the permissions that it needs")
	case blind > 0:
		return errors.New(parts[0])
	}
	return nil
}
