package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// newPending returns an empty file in dir.
func newPending(dir string) (*pending, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) { // NFS, for example
		return newNamed(dir)
	}
	if err != nil {
		return nil, &os.PathError{Op: "make a file in", Path: dir, Err: err}
	}
	return &pending{File: os.NewFile(uintptr(fd), filepath.Join(dir, "unnamed"))}, nil
}

// childPath returns the path that a child process reaches its nth descriptor by.
func childPath(_ *pending, n int) string { return "/proc/self/fd/" + strconv.Itoa(n) }

func (p *pending) link(name string) error {
	if p.named {
		return os.Link(p.Name(), name)
	}
	old := childPath(p, int(p.Fd()))
	if err := unix.Linkat(unix.AT_FDCWD, old, unix.AT_FDCWD, name, unix.AT_SYMLINK_FOLLOW); err != nil {
		return &os.LinkError{Op: "link", Old: old, New: name, Err: err}
	}
	return nil
}

// ownPath returns the path that this process reaches the file by.
func ownPath(p *pending) string { return childPath(p, int(p.Fd())) }
