package sandbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/unix"
)

// filesystem is what a superblock tells.
type filesystem struct {
	kind    string
	uuid    string // as blkid writes it
	label   string
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
	extLabelAt  = extAt + 0x78 // 16 bytes
	xfsLabelAt  = 108          // 12 bytes
	xfsUUIDAt   = 32
	btrfsAt     = 64 << 10
	btrfsUUIDAt = btrfsAt + 0x20
	btrfsMagic  = btrfsAt + 0x40
	btrfsLabel  = btrfsAt + 0x12b // 256 bytes
	headSize    = btrfsAt + 4096
	fat         = "vfat"
	fat16At     = 54 // of its name; serial number and label lie before it
	fat32At     = 82
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
		return filesystem{kind: "ext4", uuid: uuid(head[extUUIDAt:]), label: text(head[extLabelAt:][:16]), journal: compat&extJournal != 0}, nil
	case string(head[:4]) == "XFSB":
		return filesystem{kind: "xfs", uuid: uuid(head[xfsUUIDAt:]), label: text(head[xfsLabelAt:][:12])}, nil
	case string(head[btrfsMagic:btrfsMagic+8]) == "_BHRfS_M":
		return filesystem{kind: "btrfs", uuid: uuid(head[btrfsUUIDAt:]), label: text(head[btrfsLabel:][:256])}, nil
	case string(head[fat32At:fat32At+5]) == "FAT32":
		return fatFilesystem(head[:fat32At]), nil
	case string(head[fat16At:fat16At+4]) == "FAT1":
		return fatFilesystem(head[:fat16At]), nil
	}
	return filesystem{}, errors.New("the disk holds no filesystem that iibake knows: it knows ext4, XFS and Btrfs")
}

// fatFilesystem reads what stands before the name in a boot sector: four bytes of serial number, eleven of label.
func fatFilesystem(before []byte) filesystem {
	b := before[len(before)-15:]
	return filesystem{kind: fat, uuid: fmt.Sprintf("%02X%02X-%02X%02X", b[3], b[2], b[1], b[0]), label: text(b[4:])}
}

// text is a string in a field of fixed length.
func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return strings.TrimRight(s, " ")
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
