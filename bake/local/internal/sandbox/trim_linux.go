package sandbox

import (
	"fmt"
	"math"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fitrim is FITRIM of linux/fs.h: _IOWR('X', 121, struct fstrim_range).
const fitrim = 0xc0185879

// Trim turns the free blocks of a filesystem that is mounted in a sandbox into holes of the disk, so that nothing of what lay in them is part
// of the image. The error wraps [unix.ENOTTY] where the filesystem cannot do that, as FAT with older kernels.
func Trim(mount string) error {
	f, err := os.Open(mount)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	// What was just freed is free only once the journal has been written.
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	all := struct{ start, length, minLength uint64 }{length: math.MaxUint64}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), fitrim, uintptr(unsafe.Pointer(&all))) //nolint:gosec // the only way to pass it
	if errno != 0 {
		return fmt.Errorf("trim free space: %w: put the disks on ext4, XFS, Btrfs or tmpfs", errno)
	}
	return nil
}
