package disk

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/iibake/iibake/bake"
)

// Reader returns the disk of a manifest for reading, without a file being made of it. Only the blocks that are read are
// looked at, each verified; the last one stays in memory. The reader's Size is that of the disk. It keeps the manifest from
// being collected, and is safe for concurrent use by ReadAt.
func (s *Store) Reader(ctx context.Context, d bake.Digest) (*io.SectionReader, error) {
	m, err := s.hold(ctx, d)
	if err != nil {
		return nil, fmt.Errorf("read disk: %w", err)
	}
	return io.NewSectionReader(&reader{s: s, d: d, m: m, held: -1}, 0, m.Size), nil
}

type reader struct {
	s *Store
	d bake.Digest
	m Manifest

	mu   sync.Mutex
	held int64 // index of the block in buf; -1 for none
	buf  [BlockSize]byte
}

// ReadAt implements [io.ReaderAt]. The section reader never asks for what lies behind the end.
func (r *reader) ReadAt(p []byte, offset int64) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for n < len(p) {
		index, start := (offset+int64(n))/BlockSize, (offset+int64(n))%BlockSize
		block, err := r.block(index)
		if err != nil {
			return n, err
		}
		n += copy(p[n:], block[start:])
	}
	return n, nil
}

func (r *reader) block(index int64) ([]byte, error) {
	if r.held == index {
		return r.buf[:], nil
	}
	r.held = -1
	i, ok := slices.BinarySearchFunc(r.m.Blocks, index, func(b Block, index int64) int { return cmp.Compare(b.Index, index) })
	if !ok {
		clear(r.buf[:])
	} else if err := r.s.diskBlock(context.Background(), r.d, r.m.Blocks[i], r.buf[:]); err != nil {
		return nil, err
	}
	r.held = index
	return r.buf[:], nil
}
