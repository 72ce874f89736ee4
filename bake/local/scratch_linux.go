package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// scratchFile returns an empty file that has no name, so that it is gone when the process is, however that ends.
func scratchFile(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) { // filesystems without unnamed files, such as NFS
		return unlinkedFile(dir)
	}
	if err != nil {
		return nil, &os.PathError{Op: "open unnamed file in", Path: dir, Err: err}
	}
	return os.NewFile(uintptr(fd), filepath.Join(dir, "scratch")), nil
}

func unlinkedFile(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "scratch-*")
	if err != nil {
		return nil, err
	}
	return f, os.Remove(f.Name())
}

// keep gives the disk a name, so that it outlives the process.
func (w *work) keep(name string) (string, error) {
	dir := filepath.Join(w.b.Dir, "retained")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("retain: %w", err)
	}
	path := filepath.Join(dir, name)
	old := "/proc/self/fd/" + strconv.Itoa(int(w.file.Fd())) //nolint:gosec // a descriptor fits an int
	if err := unix.Linkat(unix.AT_FDCWD, old, unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW); err != nil {
		return "", fmt.Errorf("retain %s: %w", path, err)
	}
	return path, nil
}
