package disk

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// unnamed opens a file without a name. The error wraps errors.ErrUnsupported on filesystems that have none, such as NFS.
func unnamed(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	switch {
	case err == nil:
		return os.NewFile(uintptr(fd), filepath.Join(dir, "(unnamed)")), nil
	case errors.Is(err, unix.EISDIR), errors.Is(err, unix.EINVAL): // how older kernels and some filesystems say it
		err = errors.ErrUnsupported
	}
	return nil, &os.PathError{Op: "open unnamed file in", Path: dir, Err: err}
}

// Keep gives a file that [Scratch] made a name on the same filesystem, which must be free. The error wraps
// errors.ErrUnsupported where that cannot be done.
func Keep(f *os.File, name string) error {
	old := "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
	err := unix.Linkat(unix.AT_FDCWD, old, unix.AT_FDCWD, name, unix.AT_SYMLINK_FOLLOW)
	if errors.Is(err, unix.ENOENT) { // a file that lost its name cannot get one again
		err = errors.ErrUnsupported
	}
	if err != nil {
		return &os.LinkError{Op: "link", Old: f.Name(), New: name, Err: err}
	}
	return nil
}
