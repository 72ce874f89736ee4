// Package qcow2 reads which blocks of a disk were changed from the qcow2 file that took the changes.
package qcow2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/iibake/iibake/bake/disk"
)

// ErrFormat is wrapped when a file is not what machine.Format makes.
var ErrFormat = errors.New("not a qcow2 file of a machine")

// Cluster is a block of the disk that the file holds.
type Cluster struct {
	Index int64 // counts blocks of [disk.BlockSize] from the start of the disk
	At    int64 // where it stands in the file; 0 for a block of zeros, which is not there
}

// What of the format (docs/interop/qcow2.txt of QEMU) concerns a file without encryption, compression and snapshots of its own.
const (
	magic      = 0x514649fb
	headerSize = 80
	bits       = 19                 // of an offset in a cluster
	perTable   = disk.BlockSize / 8 // clusters that a table of the second level speaks for
	offsetMask = 0x00fffffffffffe00
	compressed = 1 << 62
	allZero    = 1
	dirty      = 1 // the only feature that may be there: its user has not closed it
)

// Changed returns the size of the disk in bytes and what was changed of it, in ascending order. Nobody may write to f meanwhile.
func Changed(f *io.SectionReader) (size int64, clusters []Cluster, err error) {
	size, first, err := header(f)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	for n, entry := range first {
		at := int64(entry & offsetMask)
		if at == 0 {
			continue
		}
		second, err := table(f, at, perTable)
		if err != nil {
			return 0, nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		for i, entry := range second {
			c, ok, err := cluster(int64(n)*perTable+int64(i), entry)
			if err != nil {
				return 0, nil, fmt.Errorf("%w: %w", ErrFormat, err)
			}
			if ok && c.Index*disk.BlockSize < size {
				clusters = append(clusters, c)
			}
		}
	}
	return size, clusters, nil
}

// header returns the size of the disk, and the table of tables.
func header(f *io.SectionReader) (size int64, first []uint64, err error) {
	var h [headerSize]byte
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, headerSize), h[:]); err != nil {
		return 0, nil, err
	}
	u32 := func(at int) uint32 { return binary.BigEndian.Uint32(h[at:]) }
	u64 := func(at int) int64 { return int64(binary.BigEndian.Uint64(h[at:]) & (1<<63 - 1)) }
	switch {
	case u32(0) != magic || u32(4) != 3:
		return 0, nil, fmt.Errorf("magic number %#x, version %d", u32(0), u32(4))
	case u32(20) != bits || u32(32) != 0 || u64(72)&^dirty != 0:
		return 0, nil, fmt.Errorf("clusters of 1<<%d bytes, encryption %d, features %#x", u32(20), u32(32), u64(72))
	}
	first, err = table(f, u64(40), int64(u32(36)))
	return u64(24), first, err
}

// table reads a table of either level.
func table(f *io.SectionReader, at, entries int64) ([]uint64, error) {
	if at < 0 || at > f.Size() || entries > (f.Size()-at)/8 {
		return nil, fmt.Errorf("a table of %d entries at byte %d lies behind the end", entries, at)
	}
	all := make([]uint64, entries)
	return all, binary.Read(io.NewSectionReader(f, at, 8*entries), binary.BigEndian, all)
}

func cluster(index int64, entry uint64) (c Cluster, ok bool, err error) {
	at := int64(entry & offsetMask)
	switch {
	case entry&compressed != 0:
		return c, false, fmt.Errorf("block %d is compressed", index)
	case entry&allZero != 0:
		return Cluster{Index: index}, true, nil
	}
	return Cluster{Index: index, At: at}, at != 0, nil
}
