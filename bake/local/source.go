package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk/qemuimg"
	"github.com/iibake/iibake/bake/local/internal/debian"
	"github.com/iibake/iibake/bake/local/internal/download"
	"github.com/iibake/iibake/bake/local/internal/inspect"
	"github.com/iibake/iibake/bake/local/internal/layout"
)

// makeSource puts the source on the disk: from the store, where it was made before, or by making it.
func (w *work) makeSource(ctx context.Context) error {
	task := bake.StartTask(w.r, w.t.Name, "source", &w.t.Source.Pos)
	if layer, err := w.b.Store.Layer(ctx, w.keys.Root); err == nil && !w.b.remake(w.t) {
		return task.End(w.b.Store.Materialise(ctx, layer, w.file, task.Progress))
	}
	if err := w.newSource(ctx, task); err != nil {
		return task.End(fmt.Errorf("%s: source: %w", w.t.Source.Pos, err))
	}
	layer, err := w.b.Store.Import(ctx, w.file, "", task.Progress)
	if err != nil {
		return task.End(err)
	}
	return task.End(w.b.Store.SetLayer(ctx, w.keys.Root, layer))
}

// remake reports whether a source is made again although the store has it. A parent image is what it is.
func (b *Builder) remake(t bake.Template) bool { return b.Force && t.Source.Image == "" }

func (w *work) newSource(ctx context.Context, task *bake.Task) error {
	switch {
	case w.t.Source.Debian != nil:
		return w.bootstrap(ctx, task)
	case w.t.Source.Disk != nil:
		return w.copyDisk(ctx, task)
	default:
		if err := w.b.Store.Materialise(ctx, w.source.Disk, w.file, task.Progress); err != nil {
			return err
		}
		return w.grow(ctx, task)
	}
}

func (w *work) bootstrap(ctx context.Context, task *bake.Task) error {
	spec := debian.Spec{Debian: *w.t.Source.Debian, Archives: w.source.Archives, Arch: w.t.Arch, Seed: w.t.Name, Size: w.t.DiskSize}
	return debian.Bootstrap(ctx, w.file, spec, task.Log)
}

// copyDisk brings the file of a disk source onto the disk, as raw blocks.
func (w *work) copyDisk(ctx context.Context, task *bake.Task) error {
	path, err := w.b.fetch(ctx, w.t, task)
	if err != nil {
		return err
	}
	if err := qemuimg.ToRaw(ctx, path, w.file); err != nil {
		return err
	}
	now, err := diskDigest(w.t)
	if err = unchanged(now, w.source.Disk, err); err != nil {
		return err
	}
	if err := w.grow(ctx, task); err != nil {
		return err
	}
	return w.recordBase(ctx)
}

// recordBase keeps what packages a foreign disk brings along: they are not what a rebake would renew.
func (w *work) recordBase(ctx context.Context) error {
	root, err := layout.Filesystems(w.file)
	if err != nil {
		return err
	}
	root.ReadOnly = true
	content, err := inspect.Run(ctx, root)
	if err != nil {
		return err
	}
	return w.b.Images.RecordBase(ctx, w.source.Disk, content.Packages)
}

// grow makes the disk as large as the template wants it.
func (w *work) grow(ctx context.Context, task *bake.Task) error {
	if w.t.DiskSize == 0 {
		return nil
	}
	_, err := layout.Grow(ctx, w.file, w.t.DiskSize, task.Log)
	return err
}

// fetch returns the path of the disk source's file, after downloading it where it has a URL.
func (b *Builder) fetch(ctx context.Context, t bake.Template, task *bake.Task) (string, error) {
	d := t.Source.Disk
	if d.URL == "" {
		return localDisk(t)
	}
	return download.File{URL: d.URL, SHA256: d.SHA256, Dir: filepath.Join(b.Dir, "downloads"), Progress: task.Progress}.Get(ctx)
}

// localDisk returns the absolute path of a file of the repository, which must not lead out of it.
func localDisk(t bake.Template) (string, error) {
	root, err := os.OpenRoot(t.Dir)
	if err != nil {
		return "", err
	}
	defer func() { _ = root.Close() }()
	f, err := root.Open(t.Source.Disk.Path)
	if err != nil {
		return "", fmt.Errorf("disk %s: %w", t.Source.Disk.Path, err)
	}
	defer func() { _ = f.Close() }()
	return filepath.Join(t.Dir, filepath.FromSlash(t.Source.Disk.Path)), nil
}

// diskDigest returns the digest of the disk source's file: the promised one of a download, the measured one of a file.
func diskDigest(t bake.Template) (bake.Digest, error) {
	d := t.Source.Disk
	if d.URL != "" {
		return bake.ParseDigest("sha256:" + d.SHA256)
	}
	path, err := localDisk(t)
	if err != nil {
		return "", err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	digest, err := bake.DigestReader(f)
	if err != nil {
		return "", fmt.Errorf("disk %s: %w", d.Path, err)
	}
	if d.SHA256 != "" && digest.Hex() != d.SHA256 {
		return "", fmt.Errorf("%w: disk %s has the SHA-256 %s, the template says %s: one of them is wrong", bake.ErrInvalid,
			d.Path, digest.Hex(), d.SHA256)
	}
	return digest, nil
}
