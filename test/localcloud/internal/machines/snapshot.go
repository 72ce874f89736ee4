package machines

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud/internal/machines/internal/qcow2"
)

// ErrNoDisk is wrapped when an instance, or its disk of a name, is not there.
var ErrNoDisk = errors.New("no such disk")

// Snapshot stores the disk of an instance as it is now, as a child of the image that it was made of, and returns its manifest: only what the
// guest has written is read. A running guest stands still for the moment that a copy of that takes; its disk is as after a power failure.
// The manifest is held against collection until the store is closed.
func (d *Driver) Snapshot(ctx context.Context, id, device string) (bake.Digest, error) {
	digest, err := d.snapshot(ctx, id, device)
	if err != nil {
		return "", fmt.Errorf("snapshot of %s of %s: %w", device, id, err)
	}
	return digest, nil
}

func (d *Driver) snapshot(ctx context.Context, id, device string) (bake.Digest, error) {
	v, err := d.diskOf(id, device)
	if err != nil {
		return "", err
	}
	f, err := d.freeze(ctx, id, v)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return "", err
	}
	size, changed, err := qcow2.Changed(io.NewSectionReader(f, 0, end))
	if err != nil {
		return "", err
	}
	name := "machine-" + id + "-" + v.Volume + "-" + rand.Text() // never that of a draft that a killed process has left
	draft, err := d.c.Blocks.Draft(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = d.c.Blocks.Discard(name) }()
	if err := put(ctx, draft, f, changed); err != nil {
		return "", err
	}
	return draft.Seal(ctx, size, v.Image)
}

func (d *Driver) diskOf(id, device string) (diskRecord, error) {
	r, err := d.record(id)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return diskRecord{}, err
	}
	for _, v := range r.Disks {
		if v.Device == device {
			return v, nil
		}
	}
	return diskRecord{}, ErrNoDisk
}

// freeze returns a copy of what was written to a disk.
func (d *Driver) freeze(ctx context.Context, id string, v diskRecord) (*os.File, error) {
	src, err := os.Open(d.path(id, v.Volume+diskSuffix))
	if err != nil {
		return nil, err
	}
	defer func() { _ = src.Close() }()
	f, err := disk.Scratch(filepath.Join(d.c.Dir, scratchDir))
	if err != nil {
		return nil, err
	}
	if err := d.copyStill(ctx, id, f, src); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// copyStill copies a file of a machine that stands still, or is off and cannot be started meanwhile.
func (d *Driver) copyStill(ctx context.Context, id string, to, from *os.File) (err error) {
	in := d.find(id)
	if in == nil {
		_, err := io.Copy(to, from)
		return err
	}
	in.freezing.Lock()
	defer in.freezing.Unlock()
	if p := in.powered(); p != nil {
		if err := p.machine.Pause(); err == nil {
			defer func() {
				if p.machine.Err() == nil {
					err = errors.Join(err, p.machine.Resume())
				}
			}()
		} else if p.machine.Err() == nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return err
}

// put stores what was changed.
func put(ctx context.Context, draft *disk.Draft, f io.ReaderAt, changed []qcow2.Cluster) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(2, runtime.NumCPU()))
	for _, c := range changed {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			block := make([]byte, disk.BlockSize)
			if c.At != 0 {
				if _, err := f.ReadAt(block, c.At); err != nil && !errors.Is(err, io.EOF) { // the last cluster may be cut off
					return err
				}
			}
			return draft.Put(c.Index, bake.DigestOf(block), block)
		})
	}
	return g.Wait()
}
