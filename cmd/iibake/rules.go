package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/template"
	"github.com/iibake/iibake/promote"
)

// rulesOf returns what the channels of a project demand. The error wraps [bake.ErrNotFound] where it has no such channel.
func rulesOf(p *template.Project) func(image string, ch promote.Channel) (promote.Rule, error) {
	return func(image string, ch promote.Channel) (promote.Rule, error) {
		c, ok := p.Channels[string(ch)]
		if !ok {
			return promote.Rule{}, withHint(notFound("channel "+string(ch)), channelsHint(p))
		}
		return promote.Rule{
			Channel: ch, After: promote.Channel(c.After), Age: c.Age, Approvals: c.Approvals, NotAuthor: c.NotAuthor, Freeze: freezes(c.Freeze),
			Waves: waves(p, image, c.Waves), Soak: c.Soak, MaxAge: c.MaxAge, Parameter: strings.ReplaceAll(c.Parameter, "{image}", image),
		}, nil
	}
}

// channelsHint says which channels there are.
func channelsHint(p *template.Project) string {
	var names []string
	for _, known := range pipeline(p) {
		names = append(names, string(known))
	}
	return "iibake.yaml has the channels " + strings.Join(names, ", ")
}

// placesHint says which channels and fleets there are.
func placesHint(p *template.Project) string {
	if len(p.Fleets) == 0 {
		return channelsHint(p) + " and no fleets"
	}
	return channelsHint(p) + " and the fleets " + joinKeys(p.Fleets)
}

// withChannels says which channels there are, where there is a project.
func withChannels(c *cli.Context, err error) error {
	p, failed := loadSettings(c.String("dir"))
	if failed != nil {
		return err
	}
	return withHint(err, channelsHint(p))
}

// withSwapped says so where an image or a channel was not found because the operands IMAGE CHANNEL have changed places.
func withSwapped(c *cli.Context, p *template.Project, err error) error {
	args := slices.DeleteFunc(c.Args().Slice(), func(arg string) bool { return arg == "--" })
	if !errors.Is(err, bake.ErrNotFound) || len(args) != 2 {
		return err
	}
	_, first := p.Channels[args[0]]
	_, second := p.Channels[args[1]]
	if !first || second {
		return err
	}
	return withHint(err, fmt.Sprintf("did you mean %s %s %s?", c.Command.HelpName, args[1], args[0]))
}

func freezes(all []template.Freeze) []promote.Freeze {
	var list []promote.Freeze
	for _, f := range all {
		list = append(list, promote.Freeze{From: f.From, Until: f.Until, Zone: f.Zone, Reason: f.Reason})
	}
	return list
}

// waves are those of the fleets that run an image. A wave that has none is left out.
func waves(p *template.Project, image string, names [][]string) [][]promote.Member {
	var all [][]promote.Member
	for _, wave := range names {
		var members []promote.Member
		for _, name := range wave {
			if p.Fleets[name].Image == image {
				members = append(members, member(p, name))
			}
		}
		if len(members) > 0 {
			all = append(all, members)
		}
	}
	return all
}

// member returns a fleet of the project.
func member(p *template.Project, name string) promote.Member {
	f := p.Fleets[name]
	r := f.Refresh
	s := promote.Strategy{
		Kind: promote.Kind(r.Strategy), MinHealthy: r.MinHealthy, MaxHealthy: r.MaxHealthy, Canary: r.Canary, Checkpoints: r.Checkpoints,
		CheckpointDelay: r.CheckpointDelay, Warmup: r.Warmup, Soak: r.Soak, Alarms: r.Alarms, AutoRollback: r.AutoRollback,
		SkipMatching: r.SkipMatching, Protected: r.Protected, Standby: r.Standby,
	}
	for _, probe := range r.Probes {
		s.Probes = append(s.Probes, promote.Probe{
			HTTP: probe.HTTP, Status: probe.Status, Contains: probe.Contains, Command: probe.Command, Timeout: probe.Timeout, Tries: probe.Tries,
		})
	}
	return promote.Member{Name: name, Target: f.Target, Group: f.AutoScalingGroup, Image: f.Image, Strategy: s}
}

// channelOf returns the channel that a fleet follows, or nothing where it follows none.
func channelOf(p *template.Project, fleet string) promote.Channel {
	for name, c := range p.Channels {
		for _, wave := range c.Waves {
			if slices.Contains(wave, fleet) {
				return promote.Channel(name)
			}
		}
	}
	return ""
}
