package main

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/promote"
)

// surveyor looks at what exists in targets.
type surveyor interface {
	Survey(ctx context.Context, asks []promote.Ask) []promote.Survey
}

// running returns what runs one of the images in the targets of the project, and what nobody could look at, with the reason.
func (v revoking) running(ctx context.Context, images map[bake.Ref]bool) (running []runsRevoked, unknown []string, err error) {
	places, err := bake.NewArtifacts(v.catalog).Places(ctx)
	if err != nil {
		return nil, nil, err
	}
	amis, byRegion := map[string]bake.Ref{}, map[string][]string{}
	for _, a := range places {
		if images[a.Image] {
			amis[a.AMI] = a.Image
			byRegion[a.Region] = append(byRegion[a.Region], a.AMI)
		}
	}
	running = []runsRevoked{}
	if len(amis) == 0 {
		return running, nil, nil // what was never published runs nowhere
	}
	fleets := v.fleetsByGroup()
	for _, s := range v.survey.Survey(ctx, asksFor(fleets, byRegion)) {
		for _, gap := range s.Gaps {
			unknown = append(unknown, s.Target+": "+string(gap.Part)+": "+gap.Error)
		}
		for name, g := range s.Groups {
			running = append(running, runs(fleets[s.Target][name], g.Instances, g.Current, amis)...)
		}
		running = append(running, runs("", s.Strays, nil, amis)...)
	}
	slices.SortFunc(running, func(a, b runsRevoked) int {
		return cmp.Or(strings.Compare(a.Fleet, b.Fleet), strings.Compare(a.Image.String(), b.Image.String()))
	})
	return running, unknown, nil
}

// fleetsByGroup returns the names of the fleets by target and Auto Scaling group. A target without fleets has an entry, too.
func (v revoking) fleetsByGroup() map[string]map[string]string {
	fleets := map[string]map[string]string{}
	for target := range v.project.Targets {
		fleets[target] = map[string]string{}
	}
	for name, f := range v.project.Fleets {
		fleets[f.Target][f.AutoScalingGroup] = name
	}
	return fleets
}

func asksFor(fleets map[string]map[string]string, amis map[string][]string) []promote.Ask {
	var asks []promote.Ask
	for _, target := range slices.Sorted(maps.Keys(fleets)) {
		asks = append(asks, promote.Ask{Target: target, Groups: slices.Sorted(maps.Keys(fleets[target])), AMIs: amis, Still: true})
	}
	return asks
}

// runs counts the instances that were launched from one of some AMIs, and says which of them the next ones are launched from. Those on
// their way out do not count.
func runs(fleet string, instances []promote.Instance, next []promote.Launch, amis map[string]bake.Ref) []runsRevoked {
	found := map[bake.Ref]runsRevoked{}
	for _, in := range instances {
		if ref, ok := amis[in.AMI]; ok && !in.Leaving {
			found[ref] = runsRevoked{Fleet: fleet, Image: ref, Instances: found[ref].Instances + 1}
		}
	}
	for _, l := range next {
		if ref, ok := amis[l.AMI]; ok {
			found[ref] = runsRevoked{fleet, ref, found[ref].Instances, true}
		}
	}
	return slices.Collect(maps.Values(found))
}
