package sandbox

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake"
)

// image is a mounted root filesystem and all that is mounted over it.
type image struct {
	disk   disk
	fs     filesystem
	root   string
	dev    *os.File
	top    *os.File       // the root folder: writes that failed are reported to those who had the filesystem open before
	undo   []func() error // newest last
	known  []string       // mount points of ours
	memory []string       // those among them where what is written stays in memory
	parts  []mounted      // further filesystems of the disk
	lost   bool           // a write failed for want of room on the machine, and the user knows
}

func mountImage(d disk, root string) (*image, error) {
	m := &image{disk: d, root: root, dev: os.NewFile(fdLoop, d.Dev)}
	var err error
	if m.fs, err = probe(m.dev); err != nil {
		return nil, fmt.Errorf("%w root filesystem: %w", bake.ErrInvalid, err)
	}
	if m.fs.kind == fat {
		return nil, fmt.Errorf("%w root filesystem: FAT cannot be one", bake.ErrInvalid)
	}
	flags, options := m.fs.options(d.ReadOnly)
	if err := unix.Mount(d.Dev, root, m.fs.kind, flags, options); err != nil {
		return nil, mountError(m.fs.kind, err)
	}
	m.top, err = os.Open(root)
	return m, err
}

func mountError(kind string, err error) error {
	err = fmt.Errorf("mount the root filesystem (%s) of the disk: %w", kind, err)
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: %w: %s", ErrUnavailable, err, privileged)
	case errors.Is(err, unix.ENODEV):
		return fmt.Errorf("%w: %w: this machine's kernel does not know it: load its module", ErrUnavailable, err)
	case errors.Is(err, unix.EUCLEAN):
		return fmt.Errorf("%w: it is damaged: repair the image that it comes from", err)
	}
	return err
}

// furnish makes the image a place where its programs can run.
func (m *image) furnish(log func(string)) error {
	if err := m.mountParts(log); err != nil {
		return err
	}
	if m.disk.Bare {
		return nil
	}
	for _, step := range []func() error{m.mountScratch, m.keepLogs, m.mountKernel, m.makeDev, m.lendFiles} {
		if err := step(); err != nil {
			return fmt.Errorf("prepare the image: %w", err)
		}
	}
	return nil
}

// mount mounts something on a folder or file of the sandbox until release.
func (m *image) mount(source, target, kind string, flags uintptr, data string) error {
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		return fmt.Errorf("mount %s on %s: %w", kind, target, err)
	}
	m.known = append(m.known, target)
	m.undo = append(m.undo, func() error { return unmount(target) })
	return nil
}

func unmount(target string) error {
	if err := unix.Unmount(target, unix.UMOUNT_NOFOLLOW); err != nil {
		return fmt.Errorf("unmount %s: %w", target, err)
	}
	return nil
}

// release undoes everything and unmounts. What was written is on the disk when it returns nil. Every other process of the
// sandbox has ended before.
func (m *image) release() error {
	errs := []error{m.unmountForeign()}
	for _, undo := range slices.Backward(m.undo) {
		errs = append(errs, undo())
	}
	if m.disk.ReadOnly {
		for _, p := range m.parts {
			errs = append(errs, p.dev.Close())
		}
		return errors.Join(append(errs, m.top.Close(), unmount(m.root), m.dev.Close())...)
	}
	lost := unix.Syncfs(int(m.top.Fd()))
	errs = append(errs, m.top.Close(), unmount(m.root))
	for _, p := range m.parts {
		lost = cmp.Or(lost, writeBack(p.dev))
		errs = append(errs, p.dev.Close())
	}
	lost = cmp.Or(lost, writeBack(m.dev))
	errs = append(errs, m.dev.Close())
	switch {
	case m.lost:
		return nil
	case lost != nil:
		return hostFull(lost) // and all other errors follow from it
	}
	return errors.Join(errs...)
}

// writeBack writes what the kernel still holds of an unmounted device. Unmounting writes metadata back without telling whether
// it could: ask the device. No flush, which would make the machine's own disk the limit.
func writeBack(dev *os.File) error {
	all := unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE | unix.SYNC_FILE_RANGE_WAIT_AFTER
	return unix.SyncFileRange(int(dev.Fd()), 0, 0, all)
}

// unmountForeign unmounts what the task mounted and left behind.
func (m *image) unmountForeign() error {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	var foreign []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 || !strings.HasPrefix(fields[4], m.root+"/") {
			continue
		}
		if at := unescape(fields[4]); !slices.Contains(m.known, at) {
			foreign = append(foreign, at)
		}
	}
	var errs []error
	for _, at := range slices.Backward(foreign) {
		errs = append(errs, unmount(at))
	}
	return errors.Join(errs...)
}

// unescape reads a path as mountinfo writes it.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
