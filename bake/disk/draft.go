package disk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/internal/flock"
)

// ErrSealed is wrapped when a block is put into a draft that is being sealed, has been, or is gone.
var ErrSealed = errors.New("not open for writing")

// draftAge is how long a draft is kept that nobody writes to, before a collection takes it for forgotten.
const draftAge = 7 * 24 * time.Hour

// Files of a draft.
const (
	draftData = "data" // blocks as they came, one after the other
	draftLog  = "log"  // what is where; see draftlog.go
)

// Draft is a disk that is being put together block by block. Its blocks stand in a file of their own until it is sealed, so that
// putting one costs little more than copying it, and [Store.Collect] cannot touch it. What Put has taken outlives the process,
// however that ends; only Seal waits for stable storage. A Draft is safe for concurrent use.
type Draft struct {
	s   *Store
	dir string

	mu     sync.Mutex
	data   *os.File // nil when the draft is closed
	log    *os.File
	blocks map[int64]draftBlock
	slots  map[bake.Digest]int64 // where the content is that this process has put
	next   int64                 // first slot that nobody has
	doubt  bool                  // some of it was put by another process: the machine may have failed since
	sealed bool
}

// draftBlock is what was last put under an index.
type draftBlock struct {
	slot   int64 // of the data file, in blocks; zeroSlot for zeros, which are not there
	digest bake.Digest
}

// zeroSlot stands for a block of zeros.
const zeroSlot = -1

// drafts are the drafts that are open in this process.
type drafts struct {
	mu   sync.Mutex
	open map[string]*Draft
}

// Draft opens the draft of that name, which is made if it does not exist. Within a process, which must be the only one that has it open,
// everybody gets the same one. The name consists of letters, digits, dots, dashes and underscores.
func (s *Store) Draft(name string) (*Draft, error) {
	s.drafts.mu.Lock()
	defer s.drafts.mu.Unlock()
	if d := s.drafts.open[name]; d != nil {
		return d, nil
	}
	d, err := s.openDraft(name)
	if err != nil {
		return nil, fmt.Errorf("open draft %s: %w", name, explainFull(err, s.dir, page))
	}
	if s.drafts.open == nil {
		s.drafts.open = map[string]*Draft{}
	}
	s.drafts.open[name] = d
	return d, nil
}

// Discard ends a draft and removes what was put into it. It is fine if there is none.
func (s *Store) Discard(name string) error {
	s.drafts.mu.Lock()
	defer s.drafts.mu.Unlock()
	if d := s.drafts.open[name]; d != nil {
		delete(s.drafts.open, name)
		d.close()
	}
	if err := checkName(name); err != nil {
		return fmt.Errorf("discard draft: %w", err)
	}
	if err := os.RemoveAll(s.path(draftsDir, name)); err != nil {
		return fmt.Errorf("discard draft: %w", err)
	}
	return nil
}

// sweepDrafts removes the drafts that nobody has written to since before, unless they are open here.
func (s *Store) sweepDrafts(before time.Time) error {
	entries, err := os.ReadDir(s.path(draftsDir, ""))
	if err != nil {
		return err
	}
	s.drafts.mu.Lock()
	defer s.drafts.mu.Unlock()
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(s.path(draftsDir, e.Name()), draftLog))
		if errors.Is(err, fs.ErrNotExist) { // its process was killed at once
			info, err = e.Info()
		}
		if err != nil || info.ModTime().After(before) || s.drafts.open[e.Name()] != nil {
			continue
		}
		if err := os.RemoveAll(s.path(draftsDir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// closeDrafts closes the drafts of this process; they stay on disk.
func (s *Store) closeDrafts() {
	s.drafts.mu.Lock()
	defer s.drafts.mu.Unlock()
	for name, d := range s.drafts.open {
		delete(s.drafts.open, name)
		d.close()
	}
}

// checkName keeps names inside the folder that they are meant for.
func checkName(name string) error {
	if !regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$`).MatchString(name) {
		return fmt.Errorf("%w name %q: letters, digits, dots, dashes and underscores are allowed", bake.ErrInvalid, name)
	}
	return nil
}

func (s *Store) openDraft(name string) (_ *Draft, err error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	d := &Draft{s: s, dir: s.path(draftsDir, name), blocks: map[int64]draftBlock{}, slots: map[bake.Digest]int64{}}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return nil, err
	}
	if d.data, err = os.OpenFile(filepath.Join(d.dir, draftData), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, err
	}
	if d.log, err = os.OpenFile(filepath.Join(d.dir, draftLog), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, errors.Join(err, d.data.Close())
	}
	if err := d.replay(); err != nil {
		return nil, errors.Join(err, d.data.Close(), d.log.Close())
	}
	return d, nil
}

func (d *Draft) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.data != nil {
		_, _ = d.data.Close(), d.log.Close() // nothing is buffered that could be lost
	}
	d.data, d.log, d.sealed = nil, nil, true
}

// Put takes a block of BlockSize bytes whose digest is digest, which it does not verify, in place of the one that index may
// have. The error wraps [ErrSealed] when the draft takes none any more.
func (d *Draft) Put(index int64, digest bake.Digest, block []byte) error {
	if err := d.put(index, digest, block); err != nil {
		return fmt.Errorf("draft %s, block %d: %w", filepath.Base(d.dir), index, explainFull(err, d.s.dir, BlockSize))
	}
	return nil
}

func (d *Draft) put(index int64, digest bake.Digest, block []byte) error {
	if len(block) != BlockSize || index < 0 {
		return fmt.Errorf("%w block: %d bytes at %d", bake.ErrInvalid, len(block), index)
	}
	slot, data, err := d.place(digest)
	if err != nil {
		return err
	}
	if data != nil {
		if _, err := data.WriteAt(block, slot*BlockSize); err != nil {
			return err
		}
	}
	return d.note(index, draftBlock{slot: slot, digest: digest})
}

// place returns where a block is, or the file where it has to be written first. Two that put the same content at the same time both
// write it, so that nobody relies on what another has not finished.
func (d *Draft) place(digest bake.Digest) (slot int64, data *os.File, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sealed {
		return 0, nil, ErrSealed
	}
	if digest == zeroBlock {
		return zeroSlot, nil, nil
	}
	if slot, ok := d.slots[digest]; ok {
		return slot, nil, nil
	}
	slot = d.next
	d.next++
	return slot, d.data, nil
}

// note records a block whose content is in place.
func (d *Draft) note(index int64, b draftBlock) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sealed {
		return ErrSealed
	}
	if err := d.append(index, b); err != nil {
		return err
	}
	d.blocks[index] = b
	if b.slot != zeroSlot {
		d.slots[b.digest] = b.slot
	}
	return nil
}

// Blocks returns what has been put, in ascending order, each index once.
func (d *Draft) Blocks() []Block {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.list()
}

func (d *Draft) list() []Block {
	blocks := make([]Block, 0, len(d.blocks))
	for _, index := range slices.Sorted(maps.Keys(d.blocks)) {
		blocks = append(blocks, Block{Index: index, Digest: d.blocks[index].digest})
	}
	return blocks
}

// Seal makes a disk of size bytes of the draft: its blocks on top of those of base, which may be empty. Nothing more can be put meanwhile
// or afterwards. The draft stays until it is discarded, and can be sealed again. When Seal returns without error the disk is on stable
// storage, and held against [Store.Collect] until the store is closed. The error wraps [ErrCorrupt] where the machine failed after Put
// and the content of a block was lost.
func (d *Draft) Seal(ctx context.Context, size int64, base bake.Digest) (bake.Digest, error) {
	m, err := d.seal(ctx, size, base)
	if err != nil {
		return "", fmt.Errorf("seal draft %s: %w", filepath.Base(d.dir), explainFull(err, d.s.dir, BlockSize))
	}
	return m, nil
}

func (d *Draft) seal(ctx context.Context, size int64, base bake.Digest) (bake.Digest, error) {
	d.mu.Lock()
	defer d.mu.Unlock() // also those that put a block when it began have done so before, or are refused
	if d.data == nil {
		return "", ErrSealed
	}
	d.sealed = true
	unlock, err := d.s.lock(ctx, flock.Shared)
	if err != nil {
		return "", err
	}
	defer unlock()
	m := Manifest{Size: size, Blocks: d.list()}
	if base != "" {
		below, err := d.s.Manifest(ctx, base)
		if err != nil {
			return "", fmt.Errorf("base: %w", err)
		}
		m.Blocks = Overlay(below.Blocks, m.Blocks)
	}
	if err := m.check(); err != nil {
		return "", fmt.Errorf("%w disk: %w", bake.ErrInvalid, err)
	}
	if err := d.store(ctx); err != nil {
		return "", err
	}
	return d.s.putManifest(ctx, m)
}

// Overlay returns the blocks of a disk that has those of upper and, where that has none, those of lower.
func Overlay(lower, upper []Block) []Block {
	all := make([]Block, 0, len(lower)+len(upper))
	for len(lower) > 0 && len(upper) > 0 {
		switch {
		case lower[0].Index < upper[0].Index:
			all, lower = append(all, lower[0]), lower[1:]
		case lower[0].Index == upper[0].Index:
			lower = lower[1:]
		default:
			all, upper = append(all, upper[0]), upper[1:]
		}
	}
	return append(append(all, lower...), upper...)
}

// store moves the content of the draft into the store, as an import does.
func (d *Draft) store(ctx context.Context) error {
	saves, ctx := errgroup.WithContext(ctx)
	saves.SetLimit(writers)
	im := &importer{s: d.s, known: map[bake.Digest]struct{}{}, saves: saves}
	scan, ctx := errgroup.WithContext(ctx)
	scan.SetLimit(workers())
	for index, b := range d.blocks {
		if im.claim(b.digest) {
			scan.Go(func() error {
				if err := d.storeBlock(ctx, im, b); err != nil {
					return fmt.Errorf("block %d: %w", index, err)
				}
				return nil
			})
		}
	}
	err := scan.Wait() // adds to saves
	if err := cmp.Or(saves.Wait(), err); err != nil {
		return err
	}
	return d.s.syncDir(blocksDir)
}

func (d *Draft) storeBlock(ctx context.Context, im *importer, b draftBlock) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	buf := d.s.buffer()
	defer d.s.release(buf)
	raw := buf[:BlockSize]
	var err error
	if b.slot == zeroSlot {
		clear(raw)
	} else {
		_, err = d.data.ReadAt(raw, b.slot*BlockSize)
	}
	switch {
	case errors.Is(err, io.EOF), err == nil && d.doubt && bake.DigestOf(raw) != b.digest:
		return fmt.Errorf("%w: it was lost when the machine failed: open the draft anew and put it again", ErrCorrupt)
	case err != nil:
		return err
	}
	if d.s.has(b.digest, raw) {
		return nil
	}
	return im.save(b.digest, raw)
}
