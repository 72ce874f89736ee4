package local

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/local/internal/hygiene"
	"github.com/iibake/iibake/bake/local/internal/inspect"
	"github.com/iibake/iibake/bake/local/internal/seal"
)

// finish seals the disk, proves it clean and records the image.
func (w *work) finish(ctx context.Context) (bake.Image, error) {
	sealed, err := w.seal(ctx)
	if err != nil {
		return bake.Image{}, err
	}
	content, err := w.prove(ctx, sealed)
	if err != nil {
		return bake.Image{}, err
	}
	return w.record(ctx, sealed, content)
}

// seal removes what must not be in an image and imports the result.
func (w *work) seal(ctx context.Context) (bake.Digest, error) {
	task := bake.StartTask(w.r, w.t.Name, "seal", nil)
	if err := seal.Run(ctx, w.root, task.Log); err != nil {
		return "", task.End(err)
	}
	// A block of the parent that became zero is written as zero: over the parent's snapshot, an absent block would show
	// the parent's data.
	var base bake.Digest
	if w.source.Parent != nil {
		base = w.source.Disk
	}
	sealed, err := w.b.Store.Import(ctx, w.file, base, task.Progress)
	return sealed, task.End(err)
}

// prove looks at the sealed disk, read-only, and refuses one that is not clean.
func (w *work) prove(ctx context.Context, sealed bake.Digest) (inspect.Content, error) {
	task := bake.StartTask(w.r, w.t.Name, "hygiene", nil)
	changed, err := w.changedBlocks(ctx, sealed)
	if err != nil {
		return inspect.Content{}, task.End(err)
	}
	root := w.root
	root.ReadOnly = true
	var content inspect.Content
	looks, ctx := errgroup.WithContext(ctx) // both only read
	looks.Go(func() error {
		return hygiene.Run(ctx, root, hygiene.Spec{Secrets: w.env.secrets, Changed: changed}, task.Log)
	})
	looks.Go(func() (err error) {
		content, err = inspect.Run(ctx, root)
		return err
	})
	err = looks.Wait()
	return content, task.End(err)
}

// changedBlocks returns the blocks that this bake wrote: those that differ from the parent's, or all there are.
func (w *work) changedBlocks(ctx context.Context, sealed bake.Digest) ([]int64, error) {
	after, err := w.b.Store.Manifest(ctx, sealed)
	if err != nil {
		return nil, err
	}
	var before disk.Manifest
	if w.source.Parent != nil {
		if before, err = w.b.Store.Manifest(ctx, w.source.Disk); err != nil {
			return nil, err
		}
	}
	return disk.Diff(before, after), nil
}

// record gives the image its version and puts it into the catalog.
func (w *work) record(ctx context.Context, sealed bake.Digest, content inspect.Content) (bake.Image, error) {
	m, err := w.b.Store.Manifest(ctx, sealed)
	if err != nil {
		return bake.Image{}, err
	}
	now := w.b.Now().UTC()
	img := bake.Image{
		Ref: bake.Ref{Name: w.t.Name}, Arch: w.t.Arch, Key: w.keys.Bake, Disk: sealed, Size: bake.Size(m.Size), Stored: bake.Size(m.Stored()),
		Parent: w.source.Parent, Source: w.source,
		Repo: w.b.Commit.Repo, Commit: w.b.Commit.Hash, Dirty: w.b.Commit.Dirty, Author: w.b.Commit.Author, By: w.b.By, Template: w.t.File,
		Created: now, Took: bake.Duration(time.Since(w.started)), Archives: content.Archives, Steps: w.steps,
	}
	recorded, err := w.b.recordNext(ctx, img, content.Packages)
	if err != nil {
		return bake.Image{}, fmt.Errorf("the image is baked but could not be recorded: %w", err)
	}
	return recorded, nil
}

// recordTries bounds how often somebody else may be first with a version.
const recordTries = 10

// recordNext records img under the next version that is free. A catalog may be shared with other machines, which know nothing of our lock.
func (b *Builder) recordNext(ctx context.Context, img bake.Image, packages []bake.Package) (bake.Image, error) {
	for range recordTries {
		version, err := b.Images.NextVersion(ctx, img.Name, b.Commit, img.Created)
		if err != nil {
			return bake.Image{}, err
		}
		img.Version = version.String()
		recorded, err := b.Images.Record(ctx, img, packages)
		if !errors.Is(err, catalog.ErrExists) {
			return recorded, err
		}
	}
	return bake.Image{}, fmt.Errorf("%s: %w", img.Ref, catalog.ErrExists)
}
