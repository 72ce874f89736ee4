// Package base lets machines read the images that they start from. An image is materialised block by block, when a machine first
// reads the block, into a sparse file without a name that all machines of the image share: a machine of an image that was never run
// here starts as fast as any other, and what nobody reads costs nothing.
package base

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
)

// idle is how many images stay that no machine reads, those used last: the next machine of a rollout is often of one of them.
const idle = 3

// Images is the images that machines read. It is safe for concurrent use.
type Images struct {
	store *disk.Store
	dir   string

	mu     sync.Mutex
	images map[bake.Digest]*image
	unused []*image // the one used last at the end
}

// New returns images of a store that are materialised in a folder.
func New(store *disk.Store, dir string) *Images {
	return &Images{store: store, dir: dir, images: map[bake.Digest]*image{}}
}

// Open returns the disk of a manifest, and what has to be called when it is not read any more. The manifest must be held against
// collection until then. Reading fails where the store's block is damaged.
func (s *Images) Open(ctx context.Context, d bake.Digest) (*io.SectionReader, func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	im := s.images[d]
	if im == nil {
		var err error
		if im, err = newImage(ctx, s.store, s.dir, d); err != nil {
			return nil, nil, fmt.Errorf("image %s: %w", d.Short(), err)
		}
		s.images[d] = im
	}
	im.users++
	s.unused = slices.DeleteFunc(s.unused, func(u *image) bool { return u == im })
	return io.NewSectionReader(im, 0, im.manifest.Size), sync.OnceFunc(func() { s.leave(im) }), nil
}

// leave notes that one machine less reads an image.
func (s *Images) leave(im *image) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if im.users--; im.users > 0 {
		return
	}
	s.unused = append(s.unused, im)
	s.evict(idle)
}

func (s *Images) evict(keep int) {
	for len(s.unused) > keep {
		im := s.unused[0]
		s.unused = s.unused[1:]
		delete(s.images, im.digest)
		_ = im.file.Close() // it has no name: it is gone
	}
}

// Close gives up the images that no machine reads.
func (s *Images) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.evict(0)
}

// image is the disk of one manifest.
type image struct {
	store    *disk.Store
	digest   bake.Digest
	manifest disk.Manifest
	file     *os.File
	users    int // guarded by the lock of Images

	ready   []atomic.Bool // by index in the manifest
	filling [64]sync.Mutex
	buffers sync.Pool
}

func newImage(ctx context.Context, store *disk.Store, dir string, d bake.Digest) (*image, error) {
	m, err := store.Manifest(ctx, d)
	if err != nil {
		return nil, err
	}
	f, err := disk.Scratch(dir)
	if err != nil {
		return nil, err
	}
	if err := f.Truncate(m.Size); err != nil {
		_ = f.Close()
		return nil, err
	}
	im := &image{store: store, digest: d, manifest: m, file: f, ready: make([]atomic.Bool, len(m.Blocks))}
	im.buffers.New = func() any { return new([disk.BlockSize]byte) }
	return im, nil
}

// ReadAt implements [io.ReaderAt].
func (im *image) ReadAt(p []byte, offset int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	first, last := offset/disk.BlockSize, (offset+int64(len(p))-1)/disk.BlockSize
	i, _ := slices.BinarySearchFunc(im.manifest.Blocks, first, func(b disk.Block, index int64) int { return cmp.Compare(b.Index, index) })
	for ; i < len(im.manifest.Blocks) && im.manifest.Blocks[i].Index <= last; i++ {
		if err := im.fill(i); err != nil {
			return 0, err
		}
	}
	return im.file.ReadAt(p, offset)
}

// fill materialises a block unless it is there. Only those who want the same block wait for it.
func (im *image) fill(i int) error {
	if im.ready[i].Load() {
		return nil
	}
	lock := &im.filling[i%len(im.filling)]
	lock.Lock()
	defer lock.Unlock()
	if im.ready[i].Load() {
		return nil
	}
	buf, ok := im.buffers.Get().(*[disk.BlockSize]byte)
	if !ok {
		buf = new([disk.BlockSize]byte)
	}
	defer im.buffers.Put(buf)
	b := im.manifest.Blocks[i]
	if err := im.store.Block(context.Background(), b.Digest, buf[:]); err != nil {
		return fmt.Errorf("image %s, block %d: %w", im.digest.Short(), b.Index, err)
	}
	at := b.Index * disk.BlockSize
	if _, err := im.file.WriteAt(buf[:min(disk.BlockSize, im.manifest.Size-at)], at); err != nil {
		return fmt.Errorf("image %s, block %d: %w", im.digest.Short(), b.Index, err)
	}
	im.ready[i].Store(true)
	return nil
}
