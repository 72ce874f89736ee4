package local

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/debian"
)

// resolve returns what t's source stands for. Where nobody asks for a new look, what was recorded the last time holds, so
// that a build without changes needs no network. A parent image is always looked up: it is only a look into the catalog.
func (b *Builder) resolve(ctx context.Context, t bake.Template, r bake.Reporter) (bake.Resolution, error) {
	known, err := b.Images.Resolution(ctx, t.Name)
	if err != nil && !errors.Is(err, bake.ErrNotFound) {
		return bake.Resolution{}, err
	}
	now := bake.Resolution{At: known.At, Archives: known.Archives}
	if err := b.resolveDisk(ctx, t, &now); err != nil {
		return bake.Resolution{}, err
	}
	if !b.mustLook(t, known) {
		return now, nil
	}
	return b.refresh(ctx, t, now, r)
}

// resolveDisk fills in the parent or the digest of the disk.
func (b *Builder) resolveDisk(ctx context.Context, t bake.Template, res *bake.Resolution) error {
	switch {
	case t.Source.Image != "":
		parent, err := b.Images.Find(ctx, t.Source.Image)
		if err != nil {
			return fmt.Errorf("%s: source: %w", t.Source.Pos, err)
		}
		if parent.Arch != t.Arch {
			return fmt.Errorf("%s: source: %w: %s is made for %s, the template for %s", t.Source.Pos, bake.ErrInvalid, parent.Ref, parent.Arch, t.Arch)
		}
		res.Parent, res.Disk = &parent.Ref, parent.Disk
	case t.Source.Disk != nil:
		digest, err := diskDigest(t)
		if err != nil {
			return fmt.Errorf("%s: source: %w", t.Source.Pos, err)
		}
		res.Disk = digest
	}
	return nil
}

// mustLook reports whether the archives have to be asked what they hold now.
func (b *Builder) mustLook(t bake.Template, known bake.Resolution) bool {
	if b.Refresh || t.Source.Debian != nil && !debian.Covers(known.Archives, *t.Source.Debian) {
		return true
	}
	// A clock that was ahead when somebody looked must not put off the next look until it is that late.
	age := b.Now().Sub(known.At)
	return t.RefreshAfter > 0 && (age > time.Duration(t.RefreshAfter) || age < 0)
}

// refresh asks the archives what they hold now. Where their release files have changed but no package of the template's
// image has, what was recorded still stands: a new image would be the old one again.
func (b *Builder) refresh(ctx context.Context, t bake.Template, known bake.Resolution, r bake.Reporter) (bake.Resolution, error) {
	task := bake.StartTask(r, t.Name, "refresh", &t.Source.Pos)
	now, err := b.look(ctx, t, known, task)
	if err != nil {
		return bake.Resolution{}, task.End(fmt.Errorf("%s: refresh: %w", t.Source.Pos, err))
	}
	now.At = b.Now().UTC()
	return now, task.End(b.Images.SetResolution(ctx, t.Name, now))
}

func (b *Builder) look(ctx context.Context, t bake.Template, known bake.Resolution, task *bake.Task) (bake.Resolution, error) {
	last, err := b.Images.Latest(ctx, t.Name)
	baked := err == nil
	if err != nil && !errors.Is(err, bake.ErrNotFound) {
		return bake.Resolution{}, err
	}
	fresh := known
	if fresh.Archives, err = b.renew(ctx, t, last, task); err != nil {
		return bake.Resolution{}, err
	}
	if !baked || t.Source.Debian != nil && !debian.Covers(known.Archives, *t.Source.Debian) {
		return fresh, nil
	}
	if slices.EqualFunc(known.Archives, fresh.Archives, equalArchive) {
		task.Note("nothing moved: the package archives are as they were on %s", known.At.Format(time.DateOnly))
		return known, nil
	}
	moved, err := b.moved(ctx, t, last, fresh.Archives)
	if err != nil {
		return bake.Resolution{}, err
	}
	if len(moved) == 0 {
		task.Note("the package archives moved, but no package of %s did", last.Ref)
		return known, nil
	}
	task.Note("%s moved: %s", count(len(moved), "package"), describe(moved))
	return fresh, nil
}

// renew returns the archives that t's image is installed from, as they are now: those of its source, or those that its last
// image is set up with.
func (b *Builder) renew(ctx context.Context, t bake.Template, last bake.Image, task *bake.Task) ([]bake.Archive, error) {
	if t.Source.Debian != nil {
		return debian.Releases(ctx, http.DefaultClient, *t.Source.Debian)
	}
	archives, flat, err := debian.Renew(ctx, http.DefaultClient, last.Archives)
	for _, a := range flat {
		task.Warn("archive %s has no suites: whether its packages moved is not known", a)
	}
	return archives, err
}

func equalArchive(a, b bake.Archive) bool {
	return a.URL == b.URL && a.Suite == b.Suite && a.Release == b.Release
}

// moved returns the packages that a rebake of t would bring in another version than img has.
func (b *Builder) moved(ctx context.Context, t bake.Template, img bake.Image, archives []bake.Archive) ([]bake.PackageChange, error) {
	own, err := b.ownPackages(ctx, t, img)
	if err != nil {
		return nil, err
	}
	newest, err := debian.Versions(ctx, http.DefaultClient, archives, t.Arch)
	if err != nil {
		return nil, err
	}
	after := make([]bake.Package, 0, len(own))
	for _, p := range own {
		if v, ok := newest[p.Name]; ok && bake.CompareDebianVersions(v, p.Version) > 0 {
			p.Version = v
		}
		after = append(after, p)
	}
	return bake.DiffPackages(own, after), nil
}

// ownPackages returns the packages of img that t's own steps bring up to date: those that its source did not bring in the
// same version, and that no step asks for in a fixed version.
func (b *Builder) ownPackages(ctx context.Context, t bake.Template, img bake.Image) ([]bake.Package, error) {
	all, err := b.Images.Packages(ctx, img)
	if err != nil {
		return nil, err
	}
	base, err := b.basePackages(ctx, t, img)
	if err != nil {
		return nil, err
	}
	given := map[bake.Package]bool{}
	for _, p := range base {
		given[p] = true
	}
	fixed, upgrades := aptWishes(t)
	return slices.DeleteFunc(all, func(p bake.Package) bool {
		return fixed[p.Name] || given[p] && !upgrades
	}), nil
}

// basePackages returns what img's source brought along, as far as a rebake would bring it again in the same version.
func (b *Builder) basePackages(ctx context.Context, t bake.Template, img bake.Image) ([]bake.Package, error) {
	switch {
	case img.Parent != nil:
		parent, err := b.Images.Get(ctx, *img.Parent)
		if err != nil {
			return nil, err
		}
		return b.Images.Packages(ctx, parent)
	case t.Source.Disk != nil:
		return b.Images.Base(ctx, img.Source.Disk)
	}
	return nil, nil
}

// aptWishes returns the packages that t wants in a fixed version, and whether a step upgrades all of them.
func aptWishes(t bake.Template) (fixed map[string]bool, upgrades bool) {
	fixed = map[string]bool{}
	for _, s := range t.Steps {
		for _, p := range []*bake.Packages{s.Apt, s.Packages} {
			if p == nil {
				continue
			}
			upgrades = upgrades || p.Upgrade
			for _, word := range p.Install {
				if name, _, ok := strings.Cut(word, "="); ok {
					fixed[name] = true
				}
			}
		}
	}
	return fixed, upgrades
}

const describeAtMost = 10 // packages named in one line; the build's result lists them all

func describe(changes []bake.PackageChange) string {
	words := make([]string, 0, describeAtMost+1)
	for _, c := range changes[:min(len(changes), describeAtMost)] {
		words = append(words, fmt.Sprintf("%s %s → %s", c.Name, c.Old, c.New))
	}
	if more := len(changes) - describeAtMost; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, ", ")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
