package main

import (
	"cmp"
	"context"
	"errors"
	"maps"
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

// loadFleets reads the project as loadProject does. A verb that brings fleets back, or looks on, needs no template: one that is broken keeps
// nobody from it. What is wrong with templates is then returned beside the project.
func loadFleets(c *cli.Context) (p *template.Project, broken, err error) {
	p, err = loadProject(c)
	var wrong template.Errors
	if !errors.As(err, &wrong) || !slices.Contains([]string{"watch", "pause", "resume", "abort", "rollback"}, c.Command.Name) {
		return p, nil, err
	}
	r, p, again := openSettings(c)
	if again != nil {
		return nil, nil, err
	}
	leaf, again := r.leafImage(c.Context)
	if again != nil {
		return nil, nil, again
	}
	for name, f := range p.Fleets {
		f.Image = cmp.Or(f.Image, leaf)
		p.Fleets[name] = f
		if f.Image == "" {
			return nil, nil, err // which image it runs only the templates tell
		}
	}
	return p, err, nil
}

// leafImage returns the name of the only image of the catalog that no other one was baked from, or nothing where there are several.
func (r *record) leafImage(ctx context.Context) (string, error) {
	images, err := r.images.List(ctx, "")
	if err != nil {
		return "", err
	}
	leaves := map[string]bool{}
	for _, img := range images {
		leaves[img.Name] = true
	}
	for _, img := range images {
		if img.Parent != nil {
			delete(leaves, img.Parent.Name)
		}
	}
	if len(leaves) != 1 {
		return "", nil
	}
	return slices.Collect(maps.Keys(leaves))[0], nil
}
