package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/internal/flock"
)

// Collected is what a collection removed, or would remove.
type Collected struct {
	Layers    int   `json:"layers"`
	Manifests int   `json:"manifests"`
	Blocks    int   `json:"blocks"`
	Bytes     int64 `json:"bytes"` // of the files removed
	Kept      int64 `json:"kept"`  // bytes of the blocks that stay
}

// Collect removes what nothing speaks for: layers that were not used for longer than olderThan, then manifests, then blocks.
// For a manifest speak live, a layer that stays, an import less than olderThan before Collect was called, and a [Store] of a running process that
// is open and has imported, materialised or looked it up, and those who keep it by name. Manifests in live that the store does
// not hold are passed over. Drafts are left alone, but for those that nobody has written to for a week.
//
// It waits until nobody is importing, and keeps everybody from importing while it works. Killed at any point it leaves whole
// disks. A dry run removes nothing. A manifest that has to stay and is corrupt is an error that wraps [ErrCorrupt], and
// nothing is removed, for nobody knows its blocks.
func (s *Store) Collect(ctx context.Context, live []bake.Digest, olderThan time.Duration, dryRun bool) (Collected, error) {
	c := newCollector(s, time.Now().Add(-olderThan)) // what is imported while we wait for the lock is younger than live
	unlock, err := s.lock(ctx, flock.Exclusive)
	if err != nil {
		return Collected{}, fmt.Errorf("collect: %w", err)
	}
	defer unlock()
	if err := c.run(ctx, live, dryRun); err != nil {
		return Collected{}, fmt.Errorf("collect: %w", err)
	}
	return c.Collected, nil
}

// collector is one collection. It decides everything before it removes anything.
type collector struct {
	Collected
	s      *Store
	before time.Time // what was used later stays

	spoken map[bake.Digest]bool // manifests that must stay
	layers map[bake.Digest]bool // manifests of layers that stay
	blocks map[bake.Digest]bool // of manifests that stay
}

func newCollector(s *Store, before time.Time) *collector {
	return &collector{
		s: s, before: before,
		spoken: map[bake.Digest]bool{}, layers: map[bake.Digest]bool{}, blocks: map[bake.Digest]bool{},
	}
}

// entry is a file of the store.
type entry struct {
	digest bake.Digest
	size   int64
	used   time.Time
}

func (c *collector) run(ctx context.Context, live []bake.Digest, dryRun bool) error {
	pins, _, err := c.s.pinned()
	if err != nil {
		return err
	}
	kept, err := c.s.kept()
	if err != nil {
		return err
	}
	for _, d := range slices.Concat(pins, kept, live) {
		c.spoken[d] = true
	}
	layers, err := c.doomed(layersDir, c.keepLayer)
	if err != nil {
		return err
	}
	manifests, err := c.doomed(manifestsDir, func(e entry) (bool, error) { return c.keepManifest(ctx, e) })
	if err != nil {
		return err
	}
	blocks, err := c.doomed(blocksDir, c.keepBlock)
	if err != nil {
		return err
	}
	c.Layers, c.Manifests, c.Blocks = len(layers), len(manifests), len(blocks)
	if dryRun {
		return nil
	}
	// Pointers go before what they point to, so that a collection that is cut off leaves garbage and never a gap.
	if err := c.s.remove(ctx, layersDir, layers); err != nil {
		return err
	}
	if err := c.s.remove(ctx, manifestsDir, manifests); err != nil {
		return err
	}
	if err := c.s.remove(ctx, blocksDir, blocks); err != nil {
		return err
	}
	return errors.Join(c.s.sweepLeftovers(), c.s.sweepDrafts(time.Now().Add(-draftAge)))
}

func (c *collector) keepLayer(e entry) (bool, error) {
	if e.used.Before(c.before) {
		return false, nil
	}
	d, err := c.s.readLayer(e.digest)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	c.layers[d] = true
	return true, err
}

// keepManifest also marks the blocks of a manifest that stays.
func (c *collector) keepManifest(ctx context.Context, e entry) (bool, error) {
	if !c.spoken[e.digest] && !c.layers[e.digest] && e.used.Before(c.before) {
		return false, nil
	}
	m, err := c.s.Manifest(ctx, e.digest)
	if errors.Is(err, ErrCorrupt) && !c.spoken[e.digest] {
		return false, nil
	}
	for _, b := range m.Blocks {
		c.blocks[b.Digest] = true
	}
	return true, err
}

func (c *collector) keepBlock(e entry) (bool, error) {
	if c.blocks[e.digest] {
		c.Kept += e.size
	}
	return c.blocks[e.digest], nil
}

// doomed returns the files of a folder that do not stay.
func (c *collector) doomed(dir string, keep func(entry) (bool, error)) ([]bake.Digest, error) {
	entries, err := c.s.list(dir)
	if err != nil {
		return nil, err
	}
	var doomed []bake.Digest
	for _, e := range entries {
		stays, err := keep(e)
		if err != nil {
			return nil, err
		}
		if !stays {
			doomed = append(doomed, e.digest)
			c.Bytes += e.size
		}
	}
	return doomed, nil
}

// list returns what is in a folder of the store.
func (s *Store) list(dir string) ([]entry, error) {
	files, err := os.ReadDir(s.path(dir, ""))
	if err != nil {
		return nil, err
	}
	entries := make([]entry, 0, len(files))
	for _, f := range files {
		d, err := bake.ParseDigest("sha256:" + f.Name())
		if err != nil {
			continue // not ours
		}
		info, err := f.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{digest: d, size: info.Size(), used: info.ModTime()})
	}
	return entries, nil
}

// remove removes files of a folder, durably.
func (s *Store) remove(ctx context.Context, dir string, names []bake.Digest) error {
	for _, d := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := os.Remove(s.path(dir, d.Hex())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if len(names) == 0 {
		return nil
	}
	return s.syncDir(dir)
}

// undo removes blocks that an import has stored before it failed, for it may have filled up the filesystem of the whole
// machine. While others work with the store it leaves that to the next collection: they may count on the blocks.
func (s *Store) undo(ctx context.Context, stored []bake.Digest) error {
	unlock, err := s.tryLock(lockFile, flock.Exclusive)
	if errors.Is(err, flock.ErrBusy) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unlock()
	c := newCollector(s, time.Time{})
	if _, err := c.doomed(manifestsDir, func(e entry) (bool, error) { return c.keepManifest(ctx, e) }); err != nil {
		return err
	}
	unused := slices.DeleteFunc(stored, func(d bake.Digest) bool { return c.blocks[d] })
	return s.remove(ctx, blocksDir, unused)
}
