package bake

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Plan is a set of templates in the order in which they can be baked: parents first.
type Plan struct {
	templates []Template
	parents   map[string]string // name → name of the parent, where the plan bakes the parent too
}

// ErrParent is wrapped by the error of a template that was not baked because its parent failed.
var ErrParent = errors.New("parent image failed")

// NewPlan plans the templates named in want and their parents, or all of them where want is empty. Names that no template
// has, names that two templates have and parents that go round in a circle are errors, all of them reported at once.
func NewPlan(all []Template, want []string) (*Plan, error) {
	byName, errs := index(all)
	if len(want) == 0 {
		want = make([]string, len(all))
		for i, t := range all {
			want[i] = t.Name
		}
	}
	p := &Plan{parents: map[string]string{}}
	seen := map[string]bool{}
	for _, name := range want {
		if _, ok := byName[name]; !ok {
			errs = append(errs, unknownTemplate(name, byName))
			continue
		}
		errs = append(errs, p.add(name, byName, seen, nil))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return p, nil
}

func index(all []Template) (map[string]Template, []error) {
	byName := make(map[string]Template, len(all))
	var errs []error
	for _, t := range all {
		if other, ok := byName[t.Name]; ok {
			errs = append(errs, fmt.Errorf("%s: %w: image %s is already the name in %s: choose another name", t.Pos, ErrInvalid, t.Name, other.Pos))
			continue
		}
		byName[t.Name] = t
	}
	return byName, errs
}

func unknownTemplate(name string, byName map[string]Template) error {
	if len(byName) == 0 {
		return fmt.Errorf("%w: no template is named %q: there are none", ErrNotFound, name)
	}
	names := strings.Join(slices.Sorted(maps.Keys(byName)), ", ")
	return fmt.Errorf("%w: no template is named %q: there are %s", ErrNotFound, name, names)
}

// add appends name behind its parents. path holds the names that are waiting for it.
func (p *Plan) add(name string, byName map[string]Template, seen map[string]bool, path []string) error {
	if i := slices.Index(path, name); i >= 0 {
		circle := append(slices.Clone(path[i:]), name)
		return fmt.Errorf("%s: %w: images go round in a circle: %s: give one of them another source",
			byName[name].Source.Pos, ErrInvalid, strings.Join(circle, " → "))
	}
	if seen[name] {
		return nil
	}
	seen[name] = true // also where it fails: one circle is one error
	t := byName[name]
	if parent := t.ParentName(); parent != "" {
		if _, ok := byName[parent]; ok && t.followsParent() {
			if err := p.add(parent, byName, seen, append(path, name)); err != nil {
				return err
			}
			p.parents[name] = parent
		}
	}
	p.templates = append(p.templates, t)
	return nil
}

// ParentName returns the name of the image that t starts from, or "" where its source is no image.
func (t Template) ParentName() string {
	name, _, _ := strings.Cut(t.Source.Image, "@")
	name, _, _ = strings.Cut(name, ":")
	return name
}

// followsParent reports whether baking the parent can change what t starts from: a fixed version never moves.
func (t Template) followsParent() bool { return strings.Contains(t.Source.Image, "@") }

// Templates returns the templates, parents first.
func (p *Plan) Templates() []Template { return slices.Clone(p.templates) }

// Run calls do for every template, for parallel of them at a time, in the order of Templates as far as that allows, and for a
// child only when do has returned nil for its parent; a child whose parent failed fails with [ErrParent]. One failure does
// not keep unrelated templates from being baked; a cancelled ctx does. It returns when every call has returned, with all
// errors joined.
func (p *Plan) Run(ctx context.Context, parallel int, do func(context.Context, Template) error) error {
	type result struct {
		name string
		err  error
	}
	results := make(chan result)
	ended := make(map[string]error, len(p.templates))
	waiting, running := p.templates, 0
	for len(waiting)+running > 0 {
		var later []Template
		for _, t := range waiting {
			start, err := p.mayStart(ctx, t, ended)
			switch {
			case err != nil:
				ended[t.Name] = err
			case start && running < max(1, parallel):
				running++
				go func() { results <- result{t.Name, do(ctx, t)} }()
			default:
				later = append(later, t)
			}
		}
		waiting = later
		if running > 0 {
			r := <-results
			ended[r.name] = r.err
			running--
		}
	}
	errs := make([]error, len(p.templates))
	for i, t := range p.templates {
		errs[i] = ended[t.Name]
	}
	return errors.Join(errs...)
}

// mayStart reports whether t need not wait any longer, or the error that keeps it from ever being baked.
func (p *Plan) mayStart(ctx context.Context, t Template, ended map[string]error) (bool, error) {
	parent, ok := p.parents[t.Name]
	err, done := ended[parent]
	switch {
	case ok && err != nil:
		return false, fmt.Errorf("%s: not baked: %w: %s", t.Name, ErrParent, parent)
	case ok && !done:
		return false, nil
	case ctx.Err() != nil:
		return false, fmt.Errorf("%s: not baked: %w", t.Name, context.Cause(ctx))
	}
	return true, nil
}
