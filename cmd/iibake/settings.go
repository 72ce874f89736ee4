package main

import (
	"cmp"
	"context"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake/template"
	"github.com/iibake/iibake/promote"
)

// openSettings opens the catalog as openRecord does, with what iibake.yaml says. Templates are not read: one that is broken keeps nobody
// from moving what was built before. A catalog without a project has settings without channels.
func openSettings(c *cli.Context) (*record, *template.Project, error) {
	dir, err := template.Find(c.String("dir"))
	if err != nil {
		if c.String("catalog") == "" {
			return nil, nil, err
		}
		r, err := recordOf(c, nil)
		return r, &template.Project{}, err
	}
	p, err := template.LoadSettings(dir)
	if err != nil {
		return nil, nil, err
	}
	r, err := recordOf(c, p)
	return r, p, err
}

// pipeline returns the channels of a project in the order in which an image goes through them, and then the others of all.
func pipeline(p *template.Project, others ...promote.Channel) []promote.Channel {
	depth := func(ch promote.Channel) int {
		n := 0
		for after := p.Channels[string(ch)].After; after != "" && n <= len(p.Channels); after = p.Channels[after].After {
			n++
		}
		return n
	}
	var known []promote.Channel
	for name := range p.Channels {
		known = append(known, promote.Channel(name))
	}
	slices.SortFunc(known, func(a, b promote.Channel) int {
		return cmp.Or(compareCandidate(a, b), cmp.Compare(depth(a), depth(b)), cmp.Compare(a, b))
	})
	slices.SortFunc(others, func(a, b promote.Channel) int { return cmp.Or(compareCandidate(a, b), cmp.Compare(a, b)) })
	for _, ch := range others {
		if !slices.Contains(known, ch) {
			known = append(known, ch)
		}
	}
	return known
}

// compareCandidate puts the channel first that every image enters first.
func compareCandidate(a, b promote.Channel) int {
	first := func(ch promote.Channel) int {
		if ch == promote.Candidate {
			return 0
		}
		return 1
	}
	return cmp.Compare(first(a), first(b))
}

// imageNames returns the names of all images of the catalog, sorted.
func (r *record) imageNames(ctx context.Context) ([]string, error) {
	images, err := r.images.List(ctx, "")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, img := range images {
		names = append(names, img.Name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
