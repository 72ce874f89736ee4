package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
)

// scratchFolder is where disks are for a while: /tmp is often memory.
const scratchFolder = "/var/tmp"

// ownPath returns the path that this process reaches an open file by, also one without a name.
func ownPath(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }

// place makes a file of [disk.Scratch] appear, whole, under its final name. A file that is there already is replaced or
// refused. The umask says who may read it.
func place(f *os.File, name string, replace bool) error {
	if err := errors.Join(f.Chmod(0o666&^umask()), f.Sync()); err != nil {
		return err
	}
	err := disk.Keep(f, name)
	switch {
	case errors.Is(err, fs.ErrExist) && !replace:
		return taken(name)
	case errors.Is(err, fs.ErrExist), errors.Is(err, errors.ErrUnsupported):
		return placeFromAside(f, name, replace)
	}
	return err
}

// umask returns the permissions that new files of this process do not have. To ask the kernel by a call is to change it for all threads.
func umask() fs.FileMode {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		octal, is := strings.CutPrefix(line, "Umask:")
		if bits, err := strconv.ParseUint(strings.TrimSpace(octal), 8, 32); is && err == nil {
			return fs.FileMode(bits) & fs.ModePerm
		}
	}
	return 0o022
}

func taken(name string) error { return fmt.Errorf("%w: %s exists already", bake.ErrRefused, name) }

// placeFromAside takes the detour by another name: a link never takes the place of another one, and some systems cannot give
// a file without a name one again.
func placeFromAside(f *os.File, name string, replace bool) error {
	dir, err := os.MkdirTemp(filepath.Dir(name), ".iibake-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	aside := filepath.Join(dir, "file")
	if err = disk.Keep(f, aside); errors.Is(err, errors.ErrUnsupported) {
		err = copyFile(f, aside)
	}
	switch {
	case err != nil:
		return err
	case replace:
		return os.Rename(aside, name)
	}
	if err = os.Link(aside, name); errors.Is(err, fs.ErrExist) {
		return taken(name)
	}
	return err
}

func copyFile(f *os.File, name string) error {
	to, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, errSeek := f.Seek(0, io.SeekStart)
	_, err = io.Copy(to, f)
	return errors.Join(errSeek, err, to.Sync(), to.Close())
}
