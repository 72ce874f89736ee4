package promote

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
)

// following is how the alias of a channel comes to follow it: by target, why it was not set there; nil where it was.
type following map[string]error

// linked reports whether something outside follows the channel.
func (d *drive) linked() bool {
	return d.c.Alias != nil && d.rule.Parameter != "" && !d.p.Only && d.p.To.Version != ""
}

// setAlias lets the alias of the channel follow. It is tried again for a while: the channel has moved, and nothing depends on the order.
// Targets are no reason for each other to give up. The error names those where it was not set.
func (d *drive) setAlias(ctx context.Context) error {
	if !d.linked() {
		return nil
	}
	f, waited := following{}, spell{}
	for {
		again, err := d.tryAlias(ctx, f)
		if !again || waited.on(d.c.Clock.Now(), d.c.Patience) >= d.c.Patience {
			return err
		}
		if _, lost := d.watch.look(ctx); errors.Is(lost, catalog.ErrMoved) {
			return fmt.Errorf("%w; %w", err, lost)
		}
		if slept := d.c.Clock.Sleep(ctx, d.c.Poll); slept != nil {
			return slept
		}
	}
}

// tryAlias sets the alias in each target where it was neither set nor refused, and reports whether there is use in trying again.
func (d *drive) tryAlias(ctx context.Context, f following) (again bool, err error) {
	artifacts, missing := d.aliased(ctx)
	var names []string
	for _, name := range slices.Sorted(maps.Keys(artifacts)) {
		if why, tried := f[name]; !tried || why != nil && !errors.Is(why, bake.ErrRefused) {
			names = append(names, name)
		}
	}
	errs := make([]error, len(names))
	var all errgroup.Group
	all.SetLimit(d.c.Workers)
	for i, name := range names {
		all.Go(func() error {
			errs[i] = d.c.Alias.Set(ctx, d.rule.Parameter, map[string]bake.Artifact{name: artifacts[name]})
			return nil
		})
	}
	_ = all.Wait() // each has its own
	for i, name := range names {
		f[name] = errs[i]
	}
	return f.open(missing), f.left(missing)
}

// aliased returns what the alias is to hold, by target. Where the image cannot be had in one target, that keeps it from none of the others.
func (d *drive) aliased(ctx context.Context) (map[string]bake.Artifact, error) {
	if d.published || len(d.p.Targets) == 0 {
		return d.artifacts, nil
	}
	artifacts, err := d.c.Publisher.Publish(ctx, d.img, d.p.Targets)
	if err == nil {
		d.artifacts, d.published = artifacts, true
		return artifacts, nil
	}
	found := map[string]bake.Artifact{}
	for _, name := range d.p.Targets {
		if some, err := d.c.Publisher.Find(ctx, d.img, []string{name}); err == nil {
			maps.Copy(found, some)
		}
	}
	return found, err
}

// open reports whether there is use in trying again.
func (f following) open(missing error) bool {
	passing := func(err error) bool { return err != nil && !errors.Is(err, bake.ErrRefused) }
	return passing(missing) || slices.ContainsFunc(slices.Collect(maps.Values(f)), passing)
}

// left returns why the alias is not set everywhere.
func (f following) left(missing error) error {
	var all aliasErrors
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if f[name] != nil {
			all = append(all, f[name])
		}
	}
	if missing != nil {
		all = append(all, missing)
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// aliasErrors is several errors in one line: a reason on record has no other.
type aliasErrors []error

func (l aliasErrors) Error() string {
	var texts []string
	for _, err := range l {
		texts = append(texts, err.Error())
	}
	return strings.Join(texts, "; ")
}

func (l aliasErrors) Unwrap() []error { return l }
