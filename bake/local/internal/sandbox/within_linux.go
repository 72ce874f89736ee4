package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"

	"golang.org/x/sys/unix"
)

// openIn opens a file of the image as its own programs would see it: links, absolute ones too, stay below root.
func openIn(root, name string, flags int, mode uint64) (*os.File, error) {
	dir, err := os.Open(root)
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }()
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Mode: mode, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	fd, err := unix.Openat2(int(dir.Fd()), name, &how)
	if err != nil {
		return nil, &os.PathError{Op: "open in the image", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// locate returns where a file of the image lies, with all links followed.
func locate(root, name string) (string, error) {
	f, err := openIn(root, name, unix.O_PATH, 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	return os.Readlink("/proc/self/fd/" + strconv.Itoa(int(f.Fd())))
}

const maxLinks = 8 // in a row; more of them go in a circle

// provide makes sure that a file is there, and returns where it lies and whether it was made. Folders are made only below
// /run, which is in memory.
func provide(root, name string) (at string, made bool, err error) {
	for range maxLinks {
		if at, err = locate(root, name); !errors.Is(err, os.ErrNotExist) {
			return at, false, err
		}
		f, err := openIn(root, name, unix.O_WRONLY|unix.O_CREAT, 0o644)
		if err == nil {
			_ = f.Close()
			at, err = locate(root, name)
			return at, true, err
		}
		// A link that leads to a missing folder: follow it one step by hand.
		target, linkErr := readlinkIn(root, name)
		if linkErr != nil {
			return "", false, err
		}
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(name), target)
		}
		if name = path.Clean(target); inMemory(name) {
			if err := mkdirIn(root, path.Dir(name)); err != nil {
				return "", false, err
			}
		}
	}
	return "", false, fmt.Errorf("%s: too many links", name)
}

func inMemory(name string) bool { return len(name) > 5 && (name[:5] == "/run/") }

func readlinkIn(root, name string) (string, error) {
	f, err := openIn(root, name, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(f.Fd()), "", buf)
	return string(buf[:max(n, 0)]), err
}

// mkdirIn makes a folder of the image and those above it.
func mkdirIn(root, dir string) error {
	if dir == "/" || dir == "." {
		return nil
	}
	if err := mkdirIn(root, path.Dir(dir)); err != nil {
		return err
	}
	parent, err := openIn(root, path.Dir(dir), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = parent.Close() }()
	if err := unix.Mkdirat(int(parent.Fd()), path.Base(dir), 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("mkdir %s: %w", dir, err)
	}
	return nil
}
