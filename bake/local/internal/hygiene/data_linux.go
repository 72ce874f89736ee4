package hygiene

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// extents is struct fiemap of linux/fiemap.h with room for some extents.
type extents struct {
	start, length                  uint64
	flags, mapped, count, reserved uint32
	list                           [64]extent
}

// extent is struct fiemap_extent.
type extent struct {
	logical, physical, length uint64
	_                         [2]uint64
	flags                     uint32
	_                         [3]uint32
}

const (
	fiemap     = 0xc020660b // FS_IOC_FIEMAP
	extentLast = 0x1
	extentOdd  = 0x2 | 0x4 | 0x8 | 0x200 // where the data is, is not known, or it is encoded or inside the inode
)

// liesIn reports whether a file may have data on one of the pages of its filesystem, which are in ascending order.
func liesIn(name string, pages []int64) (bool, error) {
	f, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	for at := uint64(0); ; {
		m := extents{start: at, length: math.MaxUint64 - at}
		m.count = uint32(len(m.list))
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), fiemap, uintptr(unsafe.Pointer(&m))); errno != 0 { //nolint:gosec // the only way to pass it
			return true, nil // look into the file instead
		}
		for _, e := range m.list[:m.mapped] {
			first, last := int64(e.physical/pageSize), int64((e.physical+e.length-1)/pageSize) //nolint:gosec // below 2^52
			if i, _ := slices.BinarySearch(pages, first); e.flags&extentOdd != 0 || i < len(pages) && pages[i] <= last {
				return true, nil
			}
			at = e.logical + e.length
			if e.flags&extentLast != 0 {
				return false, nil
			}
		}
		if m.mapped == 0 {
			return false, nil
		}
	}
}

// nextData returns the first offset from at on that is not in a hole, or the largest there is. It moves the offset of f,
// which nobody uses.
func nextData(f *os.File, at int64) (int64, error) {
	next, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO):
		return math.MaxInt64, nil
	case err != nil:
		return 0, fmt.Errorf("look for holes: %w", err)
	}
	return next, nil
}
