package sandbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// filesystem is what the superblock of the root filesystem tells.
type filesystem struct {
	kind    string
	uuid    string
	journal bool // of ext4
}

// Superblocks, from the kernel's headers.
const (
	extAt       = 1024
	extMagicAt  = extAt + 0x38
	extMagic    = 0xEF53
	extCompatAt = extAt + 0x5c
	extJournal  = 0x4
	extUUIDAt   = extAt + 0x68
	xfsUUIDAt   = 32
	btrfsAt     = 64 << 10
	btrfsUUIDAt = btrfsAt + 0x20
	btrfsMagic  = btrfsAt + 0x40
	headSize    = btrfsAt + 4096
)

func probe(r io.ReaderAt) (filesystem, error) {
	head := make([]byte, headSize)
	if n, err := r.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return filesystem{}, fmt.Errorf("read the superblock: %w", err)
	} else if n < headSize {
		return filesystem{}, errors.New("the disk is too small to hold a filesystem")
	}
	switch {
	case binary.LittleEndian.Uint16(head[extMagicAt:]) == extMagic:
		compat := binary.LittleEndian.Uint32(head[extCompatAt:])
		return filesystem{kind: "ext4", uuid: uuid(head[extUUIDAt:]), journal: compat&extJournal != 0}, nil
	case string(head[:4]) == "XFSB":
		return filesystem{kind: "xfs", uuid: uuid(head[xfsUUIDAt:])}, nil
	case string(head[btrfsMagic:btrfsMagic+8]) == "_BHRfS_M":
		return filesystem{kind: "btrfs", uuid: uuid(head[btrfsUUIDAt:])}, nil
	}
	return filesystem{}, errors.New("the disk holds no filesystem that iibake knows: it knows ext4, XFS and Btrfs")
}

func uuid(b []byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// options returns flags and options to mount the filesystem with. A disk that crashes is thrown away, so nothing has to
// reach it in any order, and no discard comes before the seal's. noinit_itable keeps the kernel from writing zeros in the
// background.
func (fs filesystem) options(readOnly bool) (uintptr, string) {
	if readOnly {
		return unix.MS_RDONLY | unix.MS_NOATIME, map[string]string{
			"ext4": "noload", "xfs": "norecovery,nouuid", "btrfs": "rescue=nologreplay",
		}[fs.kind]
	}
	options := map[string]string{
		"ext4": "barrier=0,nodiscard,noinit_itable", "xfs": "nouuid", "btrfs": "nobarrier,nodiscard",
	}[fs.kind]
	if fs.journal {
		options += ",data=writeback,commit=600"
	}
	return unix.MS_NOATIME, options
}
