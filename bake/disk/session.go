package disk

import (
	"bufio"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/internal/flock"
)

// session names the manifests that a process works with. Between an import and the record of the image that it belongs to,
// nothing else speaks for a manifest. The file counts as long as its lock is held, that is until the process has ended.
type session struct {
	dir  string
	mu   sync.Mutex
	file *os.File
	pins map[bake.Digest]struct{}
}

// pin adds a manifest. The caller holds the store's lock: a collection has either seen the pin, or is over.
func (s *session) pin(d bake.Digest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.pins[d]; ok {
		return nil
	}
	if s.file == nil {
		if err := s.start(); err != nil {
			return err
		}
	}
	// The line begins with a line feed as well, in case a full disk has cut off the one before it.
	if _, err := s.file.WriteString("\n" + string(d) + "\n"); err != nil {
		return err
	}
	s.pins[d] = struct{}{}
	return nil
}

func (s *session) start() error {
	f, err := os.CreateTemp(s.dir, "*")
	if err != nil {
		return err
	}
	if err := flock.Try(f, flock.Exclusive); err != nil {
		return errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	s.file, s.pins = f, map[bake.Digest]struct{}{}
	return nil
}

func (s *session) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil
	}
	err := os.Remove(s.file.Name())
	if errors.Is(err, os.ErrNotExist) { // somebody has removed the whole store
		err = nil
	}
	err = errors.Join(err, s.file.Close())
	s.file, s.pins = nil, nil
	return err
}

// hold keeps a manifest from being collected for as long as s is open, and reads it.
func (s *Store) hold(ctx context.Context, d bake.Digest) (Manifest, error) {
	unlock, err := s.lock(ctx, flock.Shared)
	if err != nil {
		return Manifest{}, err
	}
	defer unlock()
	m, err := s.Manifest(ctx, d)
	if err != nil {
		return Manifest{}, err
	}
	return m, explainFull(s.session.pin(d), s.dir, page)
}

// pinned returns the manifests that running processes work with, and the session files of those that ended.
func (s *Store) pinned() (pins []bake.Digest, ended []string, err error) {
	entries, err := os.ReadDir(s.session.dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		name := filepath.Join(s.session.dir, e.Name())
		held, err := readSession(name)
		switch {
		case errors.Is(err, os.ErrNotExist): // closed a moment ago
		case errors.Is(err, errEnded):
			ended = append(ended, name)
		case err != nil:
			return nil, nil, err
		default:
			pins = append(pins, held...)
		}
	}
	return pins, ended, nil
}

var errEnded = errors.New("the process has ended")

func readSession(name string) ([]bake.Digest, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	switch err := flock.Try(f, flock.Exclusive); {
	case err == nil:
		return nil, errEnded
	case !errors.Is(err, flock.ErrBusy):
		return nil, err
	}
	var pins []bake.Digest
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		pins = append(pins, bake.Digest(lines.Text()))
	}
	return pins, lines.Err()
}

// tidy removes what processes that were killed have left behind, unless somebody else is at work: then their temporary
// files cannot be told from those in use.
func (s *Store) tidy() error {
	unlock, err := s.tryLock(lockFile, flock.Exclusive)
	if errors.Is(err, flock.ErrBusy) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unlock()
	return s.sweepLeftovers()
}

// sweepLeftovers removes temporary files and ended sessions. The caller has the store for itself.
func (s *Store) sweepLeftovers() error {
	_, left, err := s.pinned()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(s.path(tmpDir, ""))
	if err != nil {
		return err
	}
	for _, e := range entries {
		left = append(left, s.path(tmpDir, e.Name()))
	}
	for _, name := range left {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
