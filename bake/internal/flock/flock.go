// Package flock takes locks on open files that the kernel drops with the process that holds them, however that ends.
package flock

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrBusy is wrapped where somebody else holds the lock.
var ErrBusy = errors.New("somebody else holds the lock")

// Mode says with whom a lock can be shared.
type Mode int

// The modes of a lock.
const (
	Shared    Mode = unix.LOCK_SH // with others who share it
	Exclusive Mode = unix.LOCK_EX // with nobody; the file has to be open for writing, for NFS wants that
)

// How soon somebody who waits notices that the lock is free: at first, for most are held for a moment only, and in the end.
const (
	soonest = time.Millisecond
	latest  = 10 * time.Millisecond
)

// Lock takes the lock of f. While somebody else holds it, it calls waiting, which may be nil, once, and then waits until the lock
// is free or ctx is done; the error is then the cause of ctx. Closing f drops the lock.
func Lock(ctx context.Context, f *os.File, mode Mode, waiting func()) error {
	err := Try(f, mode)
	if errors.Is(err, ErrBusy) && waiting != nil {
		waiting()
	}
	for pause := soonest; errors.Is(err, ErrBusy); pause = min(2*pause, latest) {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
		err = Try(f, mode)
	}
	return err
}

// Try takes the lock of f, or returns an error that wraps [ErrBusy].
func Try(f *os.File, mode Mode) error {
	// What would fail on NFS alone fails everywhere, so that it is noticed.
	if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0); err == nil && mode == Exclusive && flags&unix.O_ACCMODE == unix.O_RDONLY {
		return &os.PathError{Op: "lock", Path: f.Name(), Err: unix.EBADF}
	}
	err := unix.Flock(int(f.Fd()), int(mode)|unix.LOCK_NB)
	for errors.Is(err, unix.EINTR) {
		err = unix.Flock(int(f.Fd()), int(mode)|unix.LOCK_NB)
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrBusy
	}
	if err != nil {
		return &os.PathError{Op: "lock", Path: f.Name(), Err: err}
	}
	return nil
}
