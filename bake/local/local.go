// Package local bakes images on this machine.
//
// A bake works on a private copy of a disk, an unnamed file that vanishes with the process, and changes it in place: each
// step runs in a chroot on that disk, in namespaces of its own (internal/sandbox). After each step the disk is imported into
// the block store under the step's key, so that an unchanged prefix of steps never runs again. The last disk is sealed
// (internal/seal), proven clean (internal/hygiene) and recorded in the catalog.
package local

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
)

// Config is what a [Builder] works with.
type Config struct {
	Images     bake.Images      // where images are looked up and recorded
	Store      *disk.Store      // where disks are kept
	Dir        string           // folder for locks, downloads and scratch files; made if it does not exist
	Commit     bake.Commit      // the state of source control that the templates were read from
	By         string           // who bakes
	AllowDirty bool             // bake a work tree with changes of its own, and say so in the version
	Refresh    bool             // resolve sources anew, whatever was recorded
	Force      bool             // bake although an image has the same bake key, and run every step
	Retain     bool             // keep the disk of a failed step
	Now        func() time.Time // the clock that versions are made by; time.Now where nil
}

// Builder bakes on this machine. It is safe for concurrent use.
type Builder struct{ Config }

var _ bake.Builder = (*Builder)(nil)

// New returns a builder. It touches nothing: a build that finds everything up to date needs neither root nor tools.
func New(c Config) *Builder {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Builder{c}
}

// Bake implements [bake.Builder].
func (b *Builder) Bake(ctx context.Context, t bake.Template, r bake.Reporter) (bake.Image, error) {
	unlock, err := b.lock(ctx, t.Name, r)
	if err != nil {
		return bake.Image{}, err
	}
	defer unlock()
	source, err := b.resolve(ctx, t, r)
	if err != nil {
		return bake.Image{}, err
	}
	keys, err := t.Keys(source)
	if err != nil {
		return bake.Image{}, err
	}
	if img, err := b.upToDate(ctx, t, keys); err != nil || img != nil {
		return valueOf(img), err
	}
	if err := b.preflight(t); err != nil {
		return bake.Image{}, err
	}
	env, err := environmentsOf(t)
	if err != nil {
		return bake.Image{}, err
	}
	w := &work{b: b, t: t, source: source, keys: keys, env: env, r: bake.Redact(r, env.secrets), started: time.Now()}
	img, err := w.run(ctx)
	return img, bake.RedactError(err, env.secrets)
}

// upToDate returns the image that already has t's bake key together with ErrUpToDate, or nil.
func (b *Builder) upToDate(ctx context.Context, t bake.Template, keys bake.Keys) (*bake.Image, error) {
	if b.Force {
		return nil, nil //nolint:nilnil // no image and no error: there is work to do
	}
	img, err := b.Images.ByKey(ctx, t.Name, keys.Bake)
	switch {
	case errors.Is(err, bake.ErrNotFound):
		return nil, nil //nolint:nilnil // no image and no error: there is work to do
	case err != nil:
		return nil, err
	}
	return &img, fmt.Errorf("%s: %w", img.Ref, bake.ErrUpToDate)
}

func valueOf(img *bake.Image) bake.Image {
	if img == nil {
		return bake.Image{}
	}
	return *img
}

// preflight refuses what cannot end well before any time is spent on it.
func (b *Builder) preflight(t bake.Template) error {
	if b.Commit.Dirty && !b.AllowDirty {
		return fmt.Errorf("%w: the work tree has changes that are not committed: commit them, or bake with --allow-dirty, "+
			"which marks the version for ever", bake.ErrRefused)
	}
	if string(t.Arch) != runtime.GOARCH {
		return fmt.Errorf("%s: %w: arch %s cannot be baked on this %s machine: build on a machine of that architecture",
			t.Pos, bake.ErrInvalid, t.Arch, runtime.GOARCH)
	}
	return checkHost(t)
}

func (b *Builder) scratchDir() string { return filepath.Join(b.Dir, "scratch") }
