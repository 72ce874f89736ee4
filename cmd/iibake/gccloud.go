package main

import (
	"maps"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/template"
)

// sweep ends what publications have begun in the accounts of the project's targets, or only lists it. A target out of reach keeps nobody
// from cleaning up in the others.
func (r *record) sweep(c *cli.Context, p *template.Project, dryRun bool) ([]string, error) {
	store, err := r.store()
	if err != nil {
		return nil, err
	}
	defer func() { _ = store.Close() }()
	t := openTargets(c, p)
	published := newPublisher(r, store, p, t, bake.Discard()).inner
	if dryRun {
		return published.Left(c.Context, c.Duration("older-than"))
	}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(p.Targets)), func(name string) bool { return t.need(name) != nil })
	lines, err := published.Sweep(c.Context, names, c.Duration("older-than"))
	return lines, withTargetHint(err)
}
