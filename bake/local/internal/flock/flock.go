// Package flock takes locks that the kernel drops with the process that holds them, however that ends.
package flock

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

const poll = 100 * time.Millisecond // how soon somebody who waits notices that the lock is free

// Lock takes the exclusive lock of f. While somebody else holds it, it calls waiting once and then waits until the lock is
// free or ctx is done. Closing f drops the lock.
func Lock(ctx context.Context, f *os.File, waiting func()) error {
	err := try(f)
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return err
	}
	waiting()
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
		if err := try(f); !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
	}
}

func try(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err != nil && !errors.Is(err, syscall.EWOULDBLOCK) {
		return &os.PathError{Op: "lock", Path: f.Name(), Err: err}
	}
	return err
}
