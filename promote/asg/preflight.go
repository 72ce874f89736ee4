package asg

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/iibake/iibake/promote"
)

// Preflight looks at the group, its instances, launch template versions, AMIs, instance types, alarms and its last refresh.
func (f *Fleet) Preflight(ctx context.Context, q promote.Query) (promote.Preflight, error) {
	l, err := f.look(ctx, q)
	if errors.Is(err, errNoGroup) {
		return promote.Preflight{Group: f.m.Group, Refusals: []string{fmt.Sprintf(
			"there is no Auto Scaling group %s in %s of account %s: correct auto_scaling_group or the target, or make the group", f.m.Group, f.t.Region, f.t.Account,
		)}}, nil
	}
	if err != nil {
		return promote.Preflight{}, f.fail(err)
	}
	return l.report(), nil
}

func (l *look) report() promote.Preflight {
	p := promote.Preflight{
		Group: l.f.m.Group, Instances: l.group.desired(), Running: l.running, There: l.there(),
		Pins: l.pins(), Refusals: l.refusals(), Notes: l.notes(), Estimate: estimate(l.s, l.group, len(l.q.Moves) > 0),
	}
	for _, part := range byVersion(launchingPlaces(l.places)) {
		p.Current = append(p.Current, l.launch(part))
	}
	return p
}

// launch tells of a version that the group uses.
func (l *look) launch(part []place) promote.Launch {
	u, v := part[0].use, part[0].version
	told := promote.Launch{Template: u.template, Name: u.name, Version: u.version}
	if isAlias(u.version) {
		told.Alias = u.version
	}
	if v != nil {
		told.Version = v.number
	}
	if amis := amisOf(part); len(amis) == 1 {
		told.AMI, told.Image = amis[0], l.refs[amis[0]]
	}
	return told
}

// there reports whether group and instances have what they shall have, so that a rollout would replace nothing.
func (l *look) there() bool {
	wanted := []string{l.q.Artifact.AMI}
	if len(l.q.Moves) > 0 {
		return l.thereAgain()
	}
	if wanted[0] == "" {
		return false
	}
	return slices.Equal(amisOf(launchingPlaces(l.places)), wanted) && !slices.ContainsFunc(l.running, func(v promote.Version) bool { return v.AMI != wanted[0] }) &&
		l.group.all(l.resolved())
}

// thereAgain is there for a rollback.
func (l *look) thereAgain() bool {
	c := l.group.config()
	wanted, err := wantedOf(c, promote.Rollout{Moves: l.q.Moves, Back: true})
	return err == nil && c.same(wanted) && l.group.all(wanted)
}

// resolved is the group's configuration with numbers in place of aliases.
func (l *look) resolved() config {
	return l.group.config().with(func(i int, u use) (string, string) {
		if l.places[i].version == nil {
			return u.version, u.image
		}
		return l.places[i].number, u.image
	})
}

// amisOf returns the AMIs that are launched, sorted.
func amisOf(places []place) []string {
	all := map[string]bool{}
	for _, p := range places {
		all[p.ami()] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// launchingPlaces leaves out a base from which nothing is launched.
func launchingPlaces(all []place) []place {
	uses := make([]use, len(all))
	for i, p := range all {
		uses[i] = p.use
	}
	kept := launching(uses)
	return slices.DeleteFunc(slices.Clone(all), func(p place) bool { return !slices.Contains(kept, p.use) })
}
