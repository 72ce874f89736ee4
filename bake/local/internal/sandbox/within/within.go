//go:build linux

// Package within reaches the files of an image from outside of it. Symbolic links, absolute ones too, lead to where the
// image's own programs would be led: never out of its root.
package within

import (
	"errors"
	"io"
	"os"
	"path"
	"strconv"

	"golang.org/x/sys/unix"
)

// tries bounds how often the kernel is asked again about a path with a link to "..": it gives up on one whenever anything on the machine is
// renamed or mounted meanwhile.
const tries = 10_000

// Open opens a file below root. Flags and mode are those of open(2); links are followed unless flags say O_NOFOLLOW.
func Open(root, name string, flags int, mode os.FileMode) (*os.File, error) {
	dir, err := os.Open(root)
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }()
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC), //nolint:gosec // bits
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	}
	if flags&unix.O_CREAT != 0 {
		how.Mode = uint64(mode.Perm())
	}
	fd, err := unix.Openat2(int(dir.Fd()), name, &how)
	for try := 0; try < tries && (errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)); try++ {
		fd, err = unix.Openat2(int(dir.Fd()), name, &how)
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Locate returns where a file below root lies, with all links followed.
func Locate(root, name string) (string, error) {
	f, err := Open(root, name, unix.O_PATH, 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	return os.Readlink("/proc/self/fd/" + strconv.Itoa(int(f.Fd())))
}

// Readlink returns the target of a link below root, as it is written.
func Readlink(root, name string) (string, error) {
	f, err := Open(root, name, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(f.Fd()), "", buf)
	if err != nil {
		return "", &os.PathError{Op: "readlink", Path: name, Err: err}
	}
	return string(buf[:n]), nil
}

// ReadFile returns the content of a file below root.
func ReadFile(root, name string) ([]byte, error) {
	f, err := Open(root, name, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(f)
}

// MkdirAll makes a folder below root and those above it, and calls made, which may be nil, for each one that was not there.
func MkdirAll(root, dir string, made func(*os.File) error) error {
	dir = path.Clean("/" + dir)
	f, err := Open(root, dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err == nil {
		return f.Close()
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := MkdirAll(root, path.Dir(dir), made); err != nil {
		return err
	}
	parent, err := Open(root, path.Dir(dir), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = parent.Close() }()
	if err := unix.Mkdirat(int(parent.Fd()), path.Base(dir), 0o755); err != nil {
		return &os.PathError{Op: "mkdir", Path: dir, Err: err}
	}
	if f, err = Open(root, dir, unix.O_RDONLY|unix.O_DIRECTORY, 0); err != nil || made == nil {
		return errors.Join(err, f.Close())
	}
	return errors.Join(made(f), f.Close())
}
