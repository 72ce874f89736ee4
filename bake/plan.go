package bake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/semaphore"
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
		for _, t := range all {
			want = append(want, t.Name)
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
	names := make([]string, 0, len(byName))
	for n := range byName {
		names = append(names, n)
	}
	slices.Sort(names)
	return fmt.Errorf("%w: no template is named %q: there are %s", ErrNotFound, name, strings.Join(names, ", "))
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
	t := byName[name]
	if parent := t.ParentName(); parent != "" {
		if _, ok := byName[parent]; ok && t.followsParent() {
			if err := p.add(parent, byName, seen, append(path, name)); err != nil {
				return err
			}
			p.parents[name] = parent
		}
	}
	seen[name] = true
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

// Run calls do for every template, for parallel of them at a time, and for a child only when do has returned nil for its
// parent; a child whose parent failed fails with [ErrParent]. One failure does not keep unrelated templates from being
// baked. It returns when every call has returned, with all errors joined.
func (p *Plan) Run(ctx context.Context, parallel int, do func(context.Context, Template) error) error {
	var running sync.WaitGroup
	slots := semaphore.NewWeighted(int64(max(1, parallel)))
	done := make(map[string]chan struct{}, len(p.templates))
	failed := make(map[string]*error, len(p.templates))
	for _, t := range p.templates {
		done[t.Name], failed[t.Name] = make(chan struct{}), new(error)
	}
	for _, t := range p.templates {
		running.Go(func() {
			defer close(done[t.Name])
			if parent, ok := p.parents[t.Name]; ok {
				<-done[parent]
				if *failed[parent] != nil {
					*failed[t.Name] = fmt.Errorf("%s: not baked: %w: %s", t.Name, ErrParent, parent)
					return
				}
			}
			if slots.Acquire(ctx, 1) != nil {
				*failed[t.Name] = fmt.Errorf("%s: %w", t.Name, context.Cause(ctx))
				return
			}
			defer slots.Release(1)
			*failed[t.Name] = do(ctx, t)
		})
	}
	running.Wait()
	var errs []error
	for _, t := range p.templates {
		errs = append(errs, *failed[t.Name])
	}
	return errors.Join(errs...)
}
