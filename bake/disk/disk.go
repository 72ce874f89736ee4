// Package disk keeps the contents of disks: a disk is a list of 512 KiB blocks, each named by its SHA-256, and a block is
// stored once however many disks it is part of.
//
// One data structure, the [Manifest], gives deduplicated storage, step caching, integrity, diffs and incremental uploads. It
// is sparse, and absent is not zero: an absent block was never written by anybody, and whoever puts the disk on top of
// another one leaves the other's block alone there. A block that became zero is a block of zeros.
//
// A [Store] is a folder. Any number of goroutines and processes may use it at once, and a process may be killed at any
// moment: what is visible is whole, and what a manifest names was on stable storage before the manifest was.
package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// BlockSize is the size of a block in bytes, that of the EBS direct APIs. The last block of a disk counts as filled up with
// zeros.
const BlockSize = 512 << 10

var (
	// ErrNotFound is wrapped when the store does not hold what was asked for.
	ErrNotFound = errors.New("not in the store")
	// ErrCorrupt is wrapped when what the store holds is not what its name says, or a disk lacks a block.
	ErrCorrupt = errors.New("corrupt")
)

// Folders of a store.
const (
	blocksDir    = "blocks"    // HEX → one block, compressed; flat, for one fsync makes any number of new names durable
	manifestsDir = "manifests" // HEX → canonical JSON; its time is that of the last import
	layersDir    = "layers"    // HEX of the key → digest of a manifest; its time is that of the last use
	sessionsDir  = "sessions"  // one file for each running process: the manifests that it works with
	draftsDir    = "drafts"    // a folder for each disk that is being put together
	keptDir      = "kept"      // one file for each manifest that is held by name
	tmpDir       = "tmp"       // files being written
)

// Store is a folder of blocks and manifests. It is safe for concurrent use.
type Store struct {
	dir     string
	codec   func() (*codec, error)
	buffers sync.Pool // of *buffer
	session session
	drafts  drafts
	sound   sync.Map // bake.Digest → nothing: blocks that this Store has read or written whole
}

// Open returns the store in the folder dir, which is made if it does not exist. Disks may hold secrets of the images that
// they belong to, so that only the owner can read the store.
func Open(dir string) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open block store: %w", err)
	}
	for _, sub := range []string{blocksDir, manifestsDir, layersDir, sessionsDir, draftsDir, keptDir, tmpDir} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("open block store: %w", err)
		}
	}
	s := &Store{dir: dir, codec: sync.OnceValues(newCodec)}
	s.buffers.New = func() any { return new(buffer) }
	s.session.dir = s.path(sessionsDir, "")
	return s, nil
}

// Close gives up the hold on the manifests that s has worked with: from now on [Store.Collect] may remove them. The end of
// the process, however it comes about, does the same. Drafts are closed, and stay.
func (s *Store) Close() error {
	s.closeDrafts()
	return s.session.close()
}

func (s *Store) path(dir, name string) string { return filepath.Join(s.dir, dir, name) }

// buffer holds a block as it is or compressed, which can be a little longer.
type buffer [BlockSize + 4096]byte

func (s *Store) buffer() *buffer {
	b, ok := s.buffers.Get().(*buffer)
	if !ok {
		b = new(buffer)
	}
	return b
}

func (s *Store) release(b *buffer) { s.buffers.Put(b) }
