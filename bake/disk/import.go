package disk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/internal/flock"
)

// writers is how many blocks are on their way to stable storage at once. A filesystem commits them together, which makes a
// block ten times cheaper than one after the other.
const writers = 32

// Import stores the disk in f and returns the name of its manifest.
//
// With a base, which may be empty, the manifest also says what became zero: a block that the base has and that is now zero or
// a hole is a block of zeros. Any other block of zeros or in a hole is absent. Blocks that the base or the store already has
// cost nothing but reading them; one that the store has in a corrupt form is replaced, unless this Store has seen it whole and
// nobody has come upon the damage since.
//
// f is a regular file whose size is a multiple of 512 bytes and which nobody changes meanwhile; its offset is moved. What was
// written to it through a loop device must have been flushed before. progress may be nil; it is called by one goroutine at a
// time, with bytes looked at.
//
// When Import returns without error, everything is on stable storage, and held against [Store.Collect] until s is closed. When
// it fails or is killed there is no manifest; the blocks stored by then serve the next attempt, or go with the next
// collection. On a full filesystem, where they would be in the way of everybody, they go at once.
func (s *Store) Import(ctx context.Context, f *os.File, base bake.Digest, progress func(done, total int64)) (bake.Digest, error) {
	im := &importer{s: s, f: f, progress: meter{report: progress}}
	d, err := im.run(ctx, base)
	if err != nil {
		if isFull(err) {
			err = explainFull(errors.Join(err, s.undo(context.WithoutCancel(ctx), im.stored)), s.dir, im.progress.left())
		}
		return "", fmt.Errorf("import %s: %w", f.Name(), err)
	}
	return d, nil
}

// importer is one import.
type importer struct {
	s        *Store
	f        *os.File
	size     int64
	progress meter
	saves    *errgroup.Group // writes blocks

	mu     sync.Mutex
	known  map[bake.Digest]struct{} // blocks that are being stored, or need not be
	stored []bake.Digest            // blocks that were not in the store before
}

func (im *importer) run(ctx context.Context, base bake.Digest) (bake.Digest, error) {
	if err := im.s.tidy(); err != nil {
		return "", err
	}
	unlock, err := im.s.lock(ctx, flock.Shared)
	if err != nil {
		return "", err
	}
	defer unlock()
	var from Manifest
	if base != "" {
		if from, err = im.s.Manifest(ctx, base); err != nil {
			return "", fmt.Errorf("base: %w", err)
		}
	}
	if im.size, err = diskSize(im.f); err != nil {
		return "", err
	}
	todo, err := candidates(im.f, im.size, from.Blocks)
	if err != nil {
		return "", err
	}
	m, err := im.blocks(ctx, todo)
	if err != nil {
		return "", err
	}
	return im.s.putManifest(ctx, m)
}

func diskSize(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("%w disk: it is not a regular file", bake.ErrInvalid)
	}
	if info.Size()%sectorSize != 0 {
		return 0, fmt.Errorf("%w disk: its size of %d bytes is not a multiple of %d: it may be truncated, or not a raw disk",
			bake.ErrInvalid, info.Size(), sectorSize)
	}
	return info.Size(), nil
}

// blocks stores what has to be stored of the candidates and returns the manifest that they make.
func (im *importer) blocks(ctx context.Context, todo []candidate) (Manifest, error) {
	im.known = map[bake.Digest]struct{}{}
	im.progress.total = int64(len(todo)) * BlockSize
	digests := make([]bake.Digest, len(todo))
	saves, ctx := errgroup.WithContext(ctx)
	saves.SetLimit(writers)
	im.saves = saves
	scan, ctx := errgroup.WithContext(ctx) // ends when a write fails, too
	scan.SetLimit(workers())
	for i, c := range todo {
		scan.Go(func() (err error) {
			if err := ctx.Err(); err != nil {
				return err
			}
			if digests[i], err = im.block(c); err != nil {
				return fmt.Errorf("block %d: %w", c.index, err)
			}
			im.progress.add(BlockSize)
			return nil
		})
	}
	err := scan.Wait() // adds to saves
	if err := cmp.Or(saves.Wait(), err); err != nil {
		return Manifest{}, err
	}
	m := Manifest{Size: im.size}
	for i, c := range todo {
		if digests[i] != "" {
			m.Blocks = append(m.Blocks, Block{Index: c.index, Digest: digests[i]})
		}
	}
	return m, im.s.syncDir(blocksDir)
}

// workers is how many goroutines hash and compress.
func workers() int { return max(2, runtime.GOMAXPROCS(0)) }

// block returns the digest of a candidate, or none if it is absent, and sees to it that the block gets stored.
func (im *importer) block(c candidate) (bake.Digest, error) {
	block := im.s.buffer()
	defer im.s.release(block)
	raw := block[:BlockSize]
	if c.data {
		if err := readBlockAt(im.f, raw, c.index, im.size); err != nil {
			return "", err
		}
	} else {
		clear(raw)
	}
	d := zeroBlock
	if c.data && !isZero(raw) {
		d = bake.DigestOf(raw)
	}
	if d == zeroBlock && c.base == "" {
		return "", nil
	}
	if d == c.base && im.s.exists(d) || !im.claim(d) || im.s.has(d, raw) {
		return d, nil
	}
	return d, im.save(d, raw)
}

// claim reports whether the caller is the first to see the block.
func (im *importer) claim(d bake.Digest) bool {
	im.mu.Lock()
	defer im.mu.Unlock()
	_, ok := im.known[d]
	im.known[d] = struct{}{}
	return !ok
}

// save compresses a block now and has it written later.
func (im *importer) save(d bake.Digest, raw []byte) error {
	c, err := im.s.codec()
	if err != nil {
		return err
	}
	buf := im.s.buffer()
	n := copy(buf[:], c.pack(raw, buf))
	im.saves.Go(func() error {
		defer im.s.release(buf)
		if err := im.s.write(blocksDir, d.Hex(), buf[:n]); err != nil {
			return fmt.Errorf("store block %s: %w", d.Short(), err)
		}
		im.s.sound.Store(d, nil)
		im.mu.Lock()
		defer im.mu.Unlock()
		im.stored = append(im.stored, d)
		return nil
	})
	return nil
}

// putManifest stores a manifest whose blocks are on stable storage.
func (s *Store) putManifest(ctx context.Context, m Manifest) (bake.Digest, error) {
	body := m.Encode()
	d := bake.DigestOf(body)
	err := s.session.pin(d)
	if err == nil {
		err = s.renewManifest(ctx, d, body)
	}
	if err == nil {
		err = s.syncDir(manifestsDir)
	}
	if err != nil {
		return "", fmt.Errorf("store manifest %s: %w", d.Short(), err)
	}
	return d, nil
}

// renewManifest writes a manifest, unless it is there: then it counts as imported now.
func (s *Store) renewManifest(ctx context.Context, d bake.Digest, body []byte) error {
	if _, err := s.Manifest(ctx, d); err != nil { // also if it is corrupt
		return s.write(manifestsDir, d.Hex(), body)
	}
	now := time.Now()
	return os.Chtimes(s.path(manifestsDir, d.Hex()), now, now)
}

// meter counts bytes for somebody who may or may not want to know.
type meter struct {
	report func(done, total int64)
	total  int64
	mu     sync.Mutex
	done   atomic.Int64
}

func (m *meter) add(n int64) {
	if m.report == nil {
		m.done.Add(n)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.report(m.done.Add(n), m.total)
}

func (m *meter) left() int64 { return m.total - m.done.Load() }
