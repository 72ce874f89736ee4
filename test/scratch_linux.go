package test

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// scratchFile returns a file in dir that has no name, so that nothing is left of it when this process dies.
func scratchFile(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == nil {
		return os.NewFile(uintptr(fd), dir+"/(unnamed)"), nil
	}
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EINVAL) {
		return nil, fmt.Errorf("temporary file in %s: %w", dir, err)
	}
	return nameless(os.CreateTemp(dir, ".iibake-*")) // a file system without O_TMPFILE
}

func nameless(f *os.File, err error) (*os.File, error) {
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
