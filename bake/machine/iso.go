package machine

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// The seed is written here rather than by a library because libraries collect the files in a temporary folder first, and
// that would leave the host key of a machine behind when we are killed. What is needed of ISO 9660 (ECMA-119) is little: one
// folder of files.
const (
	isoSector   = 2048
	isoVolume   = 16 // first sector behind the system area: the primary volume descriptor
	isoPathL    = 18 // behind the descriptor and the terminator: path tables in both byte orders
	isoPathM    = 19
	isoRoot     = 20 // the folder, one sector
	isoContent  = 21
	isoNameMax  = 30
	isoPathSize = 10 // bytes of a path table
)

// writeISO writes a disk with a label and files, whose names are lower-case as Linux shows them.
func writeISO(w io.Writer, label string, files []isoFile) error {
	slices.SortFunc(files, func(a, b isoFile) int { return cmp.Compare(a.name, b.name) })
	root := append(isoEntry("\x00", isoRoot, isoSector, true), isoEntry("\x01", isoRoot, isoSector, true)...)
	next := uint32(isoContent)
	for _, f := range files {
		if f.size > math.MaxUint32-isoSector || len(f.name) > isoNameMax || strings.ContainsAny(f.name, "/;\x00") {
			return fmt.Errorf("file %q of %d bytes does not fit on an ISO 9660 disk", f.name, f.size)
		}
		root = append(root, isoEntry(f.name+";1", next, uint32(f.size), false)...) //nolint:gosec // looked at above
		next += isoSectors(f.size)
	}
	if len(root) > isoSector {
		return fmt.Errorf("%d files are too many for the seed disk", len(files))
	}
	head := make([]byte, isoContent*isoSector)
	isoDescriptor(head[isoVolume*isoSector:], label, next)
	copy(head[(isoVolume+1)*isoSector:], "\xffCD001\x01")
	copy(head[isoPathL*isoSector:], isoPathTable(binary.LittleEndian))
	copy(head[isoPathM*isoSector:], isoPathTable(binary.BigEndian))
	copy(head[isoRoot*isoSector:], root)
	if _, err := w.Write(head); err != nil {
		return err
	}
	for _, f := range files {
		if err := f.copyTo(w); err != nil {
			return err
		}
		if _, err := w.Write(make([]byte, int64(isoSectors(f.size))*isoSector-f.size)); err != nil {
			return err
		}
	}
	return nil
}

// isoSectors returns how many sectors a file takes. Its size is known to fit.
func isoSectors(size int64) uint32 {
	return uint32((size + isoSector - 1) / isoSector) //nolint:gosec // writeISO has looked at it
}

// both appends n in both byte orders, as ECMA-119 7.3.3 wants most numbers.
func both(b []byte, n uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, n), n)
}

func both16(b []byte, n uint16) []byte {
	return binary.BigEndian.AppendUint16(binary.LittleEndian.AppendUint16(b, n), n)
}

// isoEntry is a directory record (ECMA-119 9.1). The time is the start of 1970: nothing depends on it.
func isoEntry(name string, sector, size uint32, folder bool) []byte {
	b := []byte{0, 0}
	b = both(both(b, sector), size)
	b = append(b, 70, 1, 1, 0, 0, 0, 0)
	flags := byte(0)
	if folder {
		flags = 2
	}
	b = append(b, flags, 0, 0)
	b = append(both16(b, 1), byte(len(name))) //nolint:gosec // at most isoNameMax
	b = append(b, name...)
	if len(b)%2 == 1 {
		b = append(b, 0)
	}
	b[0] = byte(len(b)) //nolint:gosec // at most isoNameMax and 34
	return b
}

// isoPathTable holds the one folder (ECMA-119 9.4).
func isoPathTable(order binary.AppendByteOrder) []byte {
	b := order.AppendUint32([]byte{1, 0}, isoRoot)
	return append(order.AppendUint16(b, 1), 0, 0)
}

// isoDescriptor fills in the primary volume descriptor (ECMA-119 8.4).
func isoDescriptor(b []byte, label string, sectors uint32) {
	const textFrom, textTo, noDate = 190, 813, "0000000000000000\x00"
	copy(b, "\x01CD001\x01")
	copy(b[8:72], bytes.Repeat([]byte(" "), 64))
	copy(b[40:72], label)
	copy(b[80:], both(nil, sectors))
	copy(b[120:], both16(both16(both16(nil, 1), 1), isoSector))
	copy(b[132:], both(nil, isoPathSize))
	binary.LittleEndian.PutUint32(b[140:], isoPathL)
	binary.BigEndian.PutUint32(b[148:], isoPathM)
	copy(b[156:], isoEntry("\x00", isoRoot, isoSector, true))
	copy(b[textFrom:textTo], bytes.Repeat([]byte(" "), textTo-textFrom))
	copy(b[textTo:], strings.Repeat(noDate, 4))
	b[881] = 1
}
