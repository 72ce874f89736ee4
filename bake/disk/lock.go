package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// The store's lock is shared by those who add to the store and exclusive to those who remove from it. It ends with its
// holder, however that ends.
const (
	shared    = unix.LOCK_SH
	exclusive = unix.LOCK_EX
)

const (
	lockFile = "lock"
	// gateFile is held by whoever waits for the lock. Those who share would otherwise keep a collector waiting forever.
	gateFile = "gate"
)

// lock waits for the store's lock. Nobody takes it twice: the second time would wait behind a collector that waits for the
// first.
func (s *Store) lock(ctx context.Context, how int) (unlock func(), err error) {
	gate, err := s.waitLock(ctx, gateFile, how)
	if err != nil {
		return nil, err
	}
	defer gate()
	return s.waitLock(ctx, lockFile, how)
}

func (s *Store) waitLock(ctx context.Context, name string, how int) (unlock func(), err error) {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		unlock, err := s.tryLock(name, how)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return unlock, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the lock of the block store in %s: %w", s.dir, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// tryLock returns an error wrapping EWOULDBLOCK if somebody else has the lock.
func (s *Store) tryLock(name string, how int) (unlock func(), err error) {
	f, err := os.OpenFile(s.path("", name), os.O_RDONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := flock(f, how); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}

func flock(f *os.File, how int) error {
	err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
	if err != nil {
		return fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return nil
}
