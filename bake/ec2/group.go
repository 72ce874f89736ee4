package ec2

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/ec2/target"
)

// group is the targets of one job that have the same endpoint.
type group struct {
	job
	members []*member
}

// member is a target, and what it sees of the image.
type member struct {
	*target.Target
	img   *ec2types.Image
	ready bool // it can launch img
}

// mine reports whether the account has an AMI of its own.
func (m *member) mine() bool { return m.img != nil && aws.ToString(m.img.OwnerId) == m.Account }

func (p *Publisher) publish(ctx context.Context, img bake.Image, t bake.Template, names []string) (map[string]bake.Artifact, error) {
	j := job{Publisher: p, img: img, template: t}
	if _, err := j.registration("", ""); err != nil {
		return nil, fmt.Errorf("publish %s: %w", img.Ref, target.Terse(err))
	}
	groups, err := j.groups(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("publish %s: %w", img.Ref, target.Terse(err))
	}
	results := make([]map[string]bake.Artifact, len(groups))
	err = together(groups, func(i int, g *group) (err error) {
		results[i], err = g.publish(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("publish %s: %w", img.Ref, target.Terse(err))
	}
	return merged(results), nil
}

func (p *Publisher) find(ctx context.Context, img bake.Image, names []string) (map[string]bake.Artifact, error) {
	groups, err := job{Publisher: p, img: img}.groups(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", img.Ref, target.Terse(err))
	}
	results := make([]map[string]bake.Artifact, len(groups))
	err = together(groups, func(i int, g *group) (err error) {
		results[i], err = g.find(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", img.Ref, target.Terse(err))
	}
	return merged(results), nil
}

func merged(all []map[string]bake.Artifact) map[string]bake.Artifact {
	one := map[string]bake.Artifact{}
	for _, m := range all {
		maps.Copy(one, m)
	}
	return one
}

// groups opens the targets, and puts them together by their endpoints and partitions: between those of AWS, as China's and that of the rest, nothing
// can be copied or shared.
func (j job) groups(ctx context.Context, names []string) (all []*group, err error) {
	if j.known, err = j.artifacts.Of(ctx, j.img.Ref); err != nil {
		return nil, err
	}
	opened, err := j.open(ctx, names)
	if err != nil {
		return nil, err
	}
	for _, t := range opened {
		i := slices.IndexFunc(all, func(g *group) bool {
			one := g.members[0]
			return one.Endpoint == t.Endpoint && partition(one.Region) == partition(t.Region)
		})
		if i < 0 {
			i, all = len(all), append(all, &group{job: j})
		}
		all[i].members = append(all[i].members, &member{Target: t})
	}
	return all, nil
}

// partition names the part of AWS that a region is in, by how the names of its regions begin.
func partition(region string) string {
	for _, prefix := range []string{"cn-", "us-gov-", "us-iso", "eu-isoe-", "eusc-"} {
		if strings.HasPrefix(region, prefix) {
			return prefix
		}
	}
	return ""
}

// find returns what the targets can launch.
func (g *group) find(ctx context.Context) (map[string]bake.Artifact, error) {
	if err := together(g.members, func(_ int, m *member) error { return g.see(ctx, m, g.known) }); err != nil {
		return nil, err
	}
	return g.found(), nil
}

func (g *group) found() map[string]bake.Artifact {
	found := map[string]bake.Artifact{}
	for _, m := range g.members {
		if launchable(m.img) {
			found[m.Name] = g.recorded(m)
		}
	}
	return found
}

// recorded returns the artifact of an AMI as it is on record, or would be.
func (g *group) recorded(m *member) bake.Artifact {
	a := g.artifact(m.Target, m.img)
	i := slices.IndexFunc(g.known, func(known bake.Artifact) bool {
		known.At = a.At
		return known == a
	})
	if i >= 0 {
		return g.known[i]
	}
	return a
}

// see has a member look, by its own credentials. Whoever was given an image needs its snapshot, too.
func (g *group) see(ctx context.Context, m *member, known []bake.Artifact) (err error) {
	if m.img, err = g.look(ctx, m.Target, known); err != nil {
		return err
	}
	m.ready = launchable(m.img)
	if !m.ready || m.mine() {
		return nil
	}
	s, err := g.snapshot(ctx, m.Target, rootSnapshot(m.img))
	m.ready = s != nil
	return inPlace(m.Target, err)
}

// publish makes the image exist in the group's targets.
func (g *group) publish(ctx context.Context) (map[string]bake.Artifact, error) {
	if _, err := g.find(ctx); err != nil {
		return nil, err
	}
	if err := together(g.members, func(_ int, m *member) error { return g.finish(ctx, m) }); err != nil {
		return nil, err
	}
	if err := g.complete(ctx); err != nil {
		return nil, err
	}
	known, err := g.artifacts.Of(ctx, g.img.Ref)
	g.known = known
	return g.found(), err
}

// complete brings the image to the members that lack it. Where another process that makes the same comes in between, it looks again: that one
// may have made all of it.
func (g *group) complete(ctx context.Context) error {
	for try := 1; ; try++ {
		if !slices.ContainsFunc(g.members, func(m *member) bool { return !m.ready }) {
			return nil
		}
		err := g.spread(ctx)
		if !errors.Is(err, catalog.ErrMoved) || try == tries {
			return err
		}
		if cause := g.c.Clock.Sleep(ctx, settlePoll); cause != nil {
			return cause
		}
		if _, again := g.find(ctx); again != nil {
			return again
		}
	}
}

// finish does what an earlier process did not come to do for an AMI that is there.
func (g *group) finish(ctx context.Context, m *member) error {
	if !m.ready || !m.mine() {
		return nil
	}
	e, err := openEntry(ctx, g.c.Catalog, g.img.Ref, m.Target)
	if err != nil {
		return err
	}
	return g.settle(ctx, m.Target, e, m.img)
}

// spread brings the image to the members that lack it: one upload, copies to the other regions, and permissions for the other accounts.
func (g *group) spread(ctx context.Context) error {
	home, err := g.home(ctx)
	if err != nil {
		return err
	}
	needs := g.needs(home)
	if err := g.allShareable(ctx, home, needs); err != nil {
		return err
	}
	regions := slices.Sorted(maps.Keys(needs))
	source, err := g.provide(ctx, home, nil, needs[home.Region])
	if err != nil {
		return err
	}
	made := make([]bake.Artifact, len(regions))
	err = together(regions, func(i int, r string) (err error) {
		if made[i] = source; r != home.Region {
			made[i], err = g.provide(ctx, home.In(r), &source, needs[r])
		}
		return err
	})
	if err != nil {
		return err
	}
	return together(g.members, func(_ int, m *member) error { return g.confirm(ctx, m, made) })
}

// needs returns the regions in which the account of home has to have the image, each with the other accounts that get it from there.
func (g *group) needs(home *target.Target) map[string][]string {
	needs := map[string][]string{}
	for _, m := range g.members {
		if m.ready {
			continue
		}
		accounts := needs[m.Region]
		if m.Account != home.Account && !slices.Contains(accounts, m.Account) {
			accounts = append(accounts, m.Account)
		}
		needs[m.Region] = accounts
	}
	return needs
}

// provide sees to it that the account has the image in a region, and that others may use it.
func (g *group) provide(ctx context.Context, at *target.Target, source *bake.Artifact, accounts []string) (bake.Artifact, error) {
	img, err := g.own(ctx, at, source)
	if err != nil {
		return bake.Artifact{}, err
	}
	return g.artifact(at, img), g.share(ctx, at, img, accounts)
}

// admission says what may keep an account from an image that was shared with it. AWS does not tell: it hides the image.
func admission(m *member, made []bake.Artifact) string {
	if len(made) == 0 || made[0].Account == m.Account {
		return ""
	}
	return ", where Allowed AMIs, if they are on, have to admit account " + made[0].Account
}

// confirm waits until a member sees the image.
func (g *group) confirm(ctx context.Context, m *member, made []bake.Artifact) error {
	end := g.c.Clock.Now().Add(seenTime)
	return g.until(ctx, end, func(err error) bool { return errors.Is(err, errUnseen) }, func() error {
		if m.ready {
			return nil
		}
		err := g.see(ctx, m, slices.Concat(g.known, made))
		if err == nil && !m.ready {
			err = fmt.Errorf("target %s: image %s cannot be used in %s%s: %w", m.Name, g.img.Ref, place(m.Target), admission(m, made), errUnseen)
		}
		return err
	})
}
