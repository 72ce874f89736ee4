package disk

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/iibake/iibake/bake/internal/flock"
)

const (
	// lockFile has the store's lock, which is shared by those who add to the store and exclusive to those who remove from it.
	lockFile = "lock"
	// gateFile is held by whoever waits for the lock. Those who share would otherwise keep a collector waiting forever.
	gateFile = "gate"
)

// lock waits for the store's lock. Nobody takes it twice: the second time would wait behind a collector that waits for the
// first.
func (s *Store) lock(ctx context.Context, mode flock.Mode) (unlock func(), err error) {
	gate, err := s.waitLock(ctx, gateFile, mode)
	if err != nil {
		return nil, err
	}
	defer gate()
	return s.waitLock(ctx, lockFile, mode)
}

func (s *Store) waitLock(ctx context.Context, name string, mode flock.Mode) (unlock func(), err error) {
	return s.withFile(name, func(f *os.File) error {
		err := flock.Lock(ctx, f, mode, nil)
		if err != nil && ctx.Err() != nil {
			return fmt.Errorf("wait for the lock of the block store in %s: %w", s.dir, err)
		}
		return err
	})
}

// tryLock returns an error wrapping [flock.ErrBusy] if somebody else has the lock.
func (s *Store) tryLock(name string, mode flock.Mode) (unlock func(), err error) {
	return s.withFile(name, func(f *os.File) error { return flock.Try(f, mode) })
}

func (s *Store) withFile(name string, lock func(*os.File) error) (unlock func(), err error) {
	f, err := os.OpenFile(s.path("", name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}
