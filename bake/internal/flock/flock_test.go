package flock_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/iibake/iibake/bake/internal/flock"
)

func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestLockWaitsForTheHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	holder, waiter := open(t, path), open(t, path)
	if err := flock.Lock(t.Context(), holder, flock.Exclusive, func() { t.Error("nobody holds it, but we wait") }); err != nil {
		t.Fatal(err)
	}
	waited := 0
	err := flock.Lock(t.Context(), waiter, flock.Exclusive, func() {
		waited++
		_ = holder.Close()
	})
	if err != nil || waited != 1 {
		t.Fatalf("got %v after being told %d times to wait", err, waited)
	}
}

func TestLockEndsWithItsContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	holder, waiter := open(t, path), open(t, path)
	if err := flock.Lock(t.Context(), holder, flock.Exclusive, func() {}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("enough")
	if err := flock.Lock(ctx, waiter, flock.Exclusive, func() { cancel(stop) }); !errors.Is(err, stop) {
		t.Fatalf("got %v", err)
	}
}

func TestLockNamesTheFile(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "lock"))
	_ = f.Close()
	var pathErr *os.PathError
	if err := flock.Lock(t.Context(), f, flock.Exclusive, func() {}); !errors.As(err, &pathErr) {
		t.Fatalf("got %v", err)
	}
}

func TestSharersKeepOthersOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	a, b, c := open(t, path), open(t, path), open(t, path)
	for _, f := range []*os.File{a, b} {
		if err := flock.Lock(t.Context(), f, flock.Shared, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := flock.Try(c, flock.Exclusive); !errors.Is(err, flock.ErrBusy) {
		t.Fatalf("beside two who share: %v, want ErrBusy", err)
	}
	_ = a.Close()
	_ = b.Close()
	if err := flock.Try(c, flock.Exclusive); err != nil {
		t.Fatalf("after both are gone: %v", err)
	}
}

// On NFS the kernel makes a lock of byte ranges of it, and takes an exclusive one only of a file that is open for writing.
func TestExclusiveWantsAFileForWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	_ = open(t, path)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := flock.Try(f, flock.Exclusive); !errors.Is(err, syscall.EBADF) {
		t.Errorf("exclusive: %v, want what NFS says", err)
	}
	if err := flock.Try(f, flock.Shared); err != nil {
		t.Errorf("shared: %v", err)
	}
}
