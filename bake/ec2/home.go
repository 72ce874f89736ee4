package ec2

import (
	"context"
	"slices"

	"github.com/iibake/iibake/bake/ec2/target"
)

// home returns where the upload goes, or went: to a member that has the image already, to a region where one of the members' accounts has it or
// was about to get it, and else to the first member.
func (g *group) home(ctx context.Context) (*target.Target, error) {
	for _, m := range g.members {
		if m.ready && m.mine() {
			return m.Target, nil
		}
	}
	for _, find := range []func(context.Context) (*target.Target, error){g.published, g.begun} {
		if at, err := find(ctx); at != nil || err != nil {
			return at, err
		}
	}
	for _, m := range g.members {
		if !m.ready {
			return m.Target, nil
		}
	}
	return g.members[0].Target, nil
}

// published returns a region that the catalog has an artifact in, if it is still there.
func (g *group) published(ctx context.Context) (*target.Target, error) {
	for _, a := range g.known {
		at := g.in(a.Endpoint, a.Account, a.Region)
		if at == nil {
			continue
		}
		img, err := g.look(ctx, at, nil)
		if err != nil {
			return nil, err
		}
		if launchable(img) {
			return at, nil
		}
	}
	return nil, nil //nolint:nilnil // nowhere is an answer
}

// begun returns a region that an upload was begun to.
func (g *group) begun(ctx context.Context) (*target.Target, error) {
	keys, err := g.c.Catalog.List(ctx, intentsPrefix+g.img.Name+"/"+g.img.Version+"/")
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		e := &entry{c: g.c.Catalog, key: key}
		if err := e.load(ctx); err != nil {
			return nil, err
		}
		if at := g.in(e.Endpoint, e.Account, e.Region); e.known() && !e.Copy && at != nil {
			return at, nil
		}
	}
	return nil, nil //nolint:nilnil // nowhere is an answer
}

// in returns a region of an account, where one of the members has credentials for it.
func (g *group) in(endpoint, account, region string) *target.Target {
	i := slices.IndexFunc(g.members, func(m *member) bool { return m.Endpoint == endpoint && m.Account == account })
	if i < 0 {
		return nil
	}
	return g.members[i].In(region)
}
