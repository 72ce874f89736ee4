package disk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/iibake/iibake/bake"
)

// page is the unit in which a materialised file is sparse: the block size of the filesystems in use.
const page = 4096 // bytes

// Materialise writes the disk of a manifest into f, an empty file, which becomes sparse: absent blocks and zeros are holes.
// Every block is verified on the way. f is not synced. progress may be nil; it is called by one goroutine at a time, with
// bytes written. After an error f is empty again. The error wraps [ErrNotFound] or [ErrCorrupt] where that is the cause.
func (s *Store) Materialise(ctx context.Context, d bake.Digest, f *os.File, progress func(done, total int64)) error {
	m, err := s.hold(ctx, d)
	if err != nil {
		return fmt.Errorf("materialise: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("materialise disk %s: %w", d.Short(), err)
	}
	if info.Size() != 0 {
		return fmt.Errorf("materialise disk %s: %s is not empty", d.Short(), f.Name())
	}
	meter := meter{report: progress, total: m.Stored()}
	if err := s.materialise(ctx, d, m, f, &meter); err != nil {
		err = errors.Join(err, f.Truncate(0))
		return fmt.Errorf("materialise %s: %w", f.Name(), explainFull(err, filepath.Dir(f.Name()), meter.left()))
	}
	return nil
}

func (s *Store) materialise(ctx context.Context, d bake.Digest, m Manifest, f *os.File, progress *meter) error {
	if err := f.Truncate(m.Size); err != nil {
		return err
	}
	return s.eachBlock(ctx, m.Blocks, func(ctx context.Context, b Block, buf []byte) error {
		if err := s.diskBlock(ctx, d, b, buf); err != nil {
			return err
		}
		if err := writePages(f, buf[:m.length(b.Index)], b.Index*BlockSize); err != nil {
			return err
		}
		progress.add(BlockSize)
		return nil
	})
}

// eachBlock calls do for every block, several at once, with a buffer to use. There are twice as many as processors, so that
// some wait for the disk while others compute.
func (s *Store) eachBlock(ctx context.Context, blocks []Block, do func(ctx context.Context, b Block, buf []byte) error) error {
	g, each := errgroup.WithContext(ctx)
	g.SetLimit(2 * workers())
	for _, b := range blocks {
		if each.Err() != nil {
			break
		}
		g.Go(func() error {
			buf := s.buffer()
			defer s.release(buf)
			return do(each, b, buf[:BlockSize])
		})
	}
	return cmp.Or(g.Wait(), ctx.Err())
}

// writePages writes b without its pages of zeros.
func writePages(f *os.File, b []byte, offset int64) error {
	for len(b) > 0 {
		n := run0(b, true)
		b, offset = b[n:], offset+int64(n)
		n = run0(b, false)
		if n == 0 {
			break
		}
		if _, err := f.WriteAt(b[:n], offset); err != nil {
			return err
		}
		b, offset = b[n:], offset+int64(n)
	}
	return nil
}

// run0 returns the length of the pages at the start of b that are zero, or that are not.
func run0(b []byte, zero bool) int {
	n := 0
	for n < len(b) {
		end := min(n+page, len(b))
		if isZero(b[n:end]) != zero {
			break
		}
		n = end
	}
	return n
}
