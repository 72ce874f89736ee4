package layout

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"unicode/utf16"
)

// guid is a GUID in the order in which it is written down. On disk its first three fields are little-endian.
type guid [16]byte

// String returns the GUID as blkid and fstab write it.
func (g guid) String() string {
	h := hex.EncodeToString(g[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// swap turns the written order into that on disk, and back.
func (g guid) swap() guid {
	return guid{g[3], g[2], g[1], g[0], g[5], g[4], g[7], g[6], g[8], g[9], g[10], g[11], g[12], g[13], g[14], g[15]}
}

// Partition types, from the UEFI specification and the Discoverable Partitions Specification.
const (
	typeESP       = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
	typeBIOSBoot  = "21686148-6449-6e6f-744e-656564454649"
	typeRootAMD64 = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
	typeRootARM64 = "b921b045-1df0-41c3-af44-4c6f280d3fae"
	typeBoot      = "bc13c2ff-59e6-4262-a352-b275fd6f7172" // XBOOTLDR, a filesystem of its own for /boot
)

// Fields of the GPT header and of an entry, from the UEFI specification, 5.3.
const (
	gptSignature = "EFI PART"
	gptRevision  = 0x00010000
	headerSize   = 92
	crcAt        = 16
	selfAt       = 24
	otherAt      = 32
	firstAt      = 40
	lastAt       = 48
	diskAt       = 56
	tableAt      = 72
	countAt      = 80
	entrySizeAt  = 84
	tableCRCAt   = 88

	entrySize  = 128
	entries    = 128
	entryGUID  = 16
	entryFirst = 32
	entryLast  = 40
	entryName  = 56
	maxTable   = 1 << 20 // bytes; the usual one has 16 KiB
)

// gpt is a GUID partition table.
type gpt struct {
	disk        guid
	sectors     int64 // of the disk
	first, last int64 // sectors that partitions may use
	size        int   // of an entry
	table       []byte
}

func newGPT(sectors int64, disk guid) *gpt {
	t := &gpt{disk: disk, size: entrySize, table: make([]byte, entries*entrySize)}
	t.resize(sectors)
	t.first = 2 + t.tableSectors()
	return t
}

func (t *gpt) tableSectors() int64 { return (int64(len(t.table)) + sector - 1) / sector }

// resize makes t the table of a disk with that many sectors.
func (t *gpt) resize(sectors int64) {
	t.sectors = sectors
	t.last = sectors - 2 - t.tableSectors()
}

// entry returns partition n, counted from 1, as it stands in the table.
func (t *gpt) entry(n int) []byte { return t.table[(n-1)*t.size : n*t.size] }

func (t *gpt) count() int { return len(t.table) / t.size }

// partition returns what partition n is and where it lies; ok is false for an entry that is not used.
func (t *gpt) partition(n int) (kind string, at Extent, ok bool) {
	e := t.entry(n)
	g := guid(e[:16])
	first := binary.LittleEndian.Uint64(e[entryFirst:])
	last := binary.LittleEndian.Uint64(e[entryLast:])
	if g == (guid{}) || first > last || last >= uint64(t.sectors) { //nolint:gosec // G115: sectors is never negative
		return "", Extent{}, false
	}
	//nolint:gosec // G115: both are below t.sectors
	return g.swap().String(), Extent{int64(first) * sector, int64(last-first+1) * sector}, true
}

// names returns the GUID of partition n and its name.
func (t *gpt) names(n int) (id, name string) {
	e := t.entry(n)
	units := make([]uint16, 0, (entrySize-entryName)/2)
	for at := entryName; at < entrySize; at += 2 {
		c := binary.LittleEndian.Uint16(e[at:])
		if c == 0 {
			break
		}
		units = append(units, c)
	}
	return guid(e[entryGUID : entryGUID+16]).swap().String(), string(utf16.Decode(units))
}

// set enters a partition.
func (t *gpt) set(n int, kind string, id guid, at Extent, name string) {
	e := t.entry(n)
	g := parseGUID(kind).swap()
	copy(e, g[:])
	g = id.swap()
	copy(e[entryGUID:], g[:])
	t.place(n, at)
	for i, c := range utf16.Encode([]rune(name)) {
		binary.LittleEndian.PutUint16(e[entryName+2*i:], c)
	}
}

// place moves the borders of partition n.
func (t *gpt) place(n int, at Extent) {
	e := t.entry(n)
	binary.LittleEndian.PutUint64(e[entryFirst:], uint64(at.Offset/sector))            //nolint:gosec // G115: never negative
	binary.LittleEndian.PutUint64(e[entryLast:], uint64((at.Offset+at.Size)/sector-1)) //nolint:gosec // G115: never negative
}

// parseGUID reads a GUID that stands in this source.
func parseGUID(s string) guid {
	b, _ := hex.DecodeString(s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:])
	return guid(b)
}

// write writes both copies of the table, and the protective MBR where the disk has none. The code in the MBR stays.
func (t *gpt) write(f *os.File) error {
	protect, err := t.protectiveMBR(f)
	if err != nil {
		return err
	}
	backup := t.sectors - 1
	for _, part := range []struct {
		at   int64 // sector
		data []byte
	}{
		// The backup first: at any moment one copy is whole.
		{backup - t.tableSectors(), t.table},
		{backup, t.header(backup, 1, backup-t.tableSectors())},
		{2, t.table},
		{1, t.header(1, backup, 2)},
		{0, protect},
	} {
		if _, err := f.WriteAt(part.data, part.at*sector); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	return nil
}

func (t *gpt) header(self, other, table int64) []byte {
	h := make([]byte, sector)
	copy(h, gptSignature)
	put32 := func(at int, v uint32) { binary.LittleEndian.PutUint32(h[at:], v) }
	put64 := func(at int, v int64) { binary.LittleEndian.PutUint64(h[at:], uint64(v)) } //nolint:gosec // G115: never negative
	put32(8, gptRevision)
	put32(12, headerSize)
	put64(selfAt, self)
	put64(otherAt, other)
	put64(firstAt, t.first)
	put64(lastAt, t.last)
	g := t.disk.swap()
	copy(h[diskAt:], g[:])
	put64(tableAt, table)
	put32(countAt, uint32(t.count()))  //nolint:gosec // G115: at most maxTable
	put32(entrySizeAt, uint32(t.size)) //nolint:gosec // G115: at most maxTable
	put32(tableCRCAt, crc32.ChecksumIEEE(t.table))
	put32(crcAt, crc32.ChecksumIEEE(h[:headerSize]))
	return h
}

// protectiveMBR returns the first sector of the disk with one partition that keeps old programs off the rest. Where there is
// one already, all else stays: some disks have further entries for old firmware.
func (t *gpt) protectiveMBR(f io.ReaderAt) ([]byte, error) {
	b := make([]byte, sector)
	if _, err := f.ReadAt(b, 0); err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	e := protection(b)
	if e == nil {
		clear(b[mbrEntriesAt:])
		b[510], b[511] = 0x55, 0xaa
		e = b[mbrEntriesAt:][:mbrEntry]
		copy(e, []byte{0, 0, 2, 0, mbrGPT, 0xff, 0xff, 0xff, 1, 0, 0, 0})
	}
	if binary.LittleEndian.Uint32(e[mbrFirst:]) == 1 {
		binary.LittleEndian.PutUint32(e[mbrCount:], uint32(min(t.sectors-1, 0xffffffff))) //nolint:gosec // G115: limited
	}
	return b, nil
}

// protection returns the entry of the first sector that says that there is a GPT, or nil.
func protection(b []byte) []byte {
	for n := range 4 {
		e := b[mbrEntriesAt+n*mbrEntry:][:mbrEntry]
		if b[510] == 0x55 && b[511] == 0xaa && e[mbrType] == mbrGPT {
			return e
		}
	}
	return nil
}

var errNoGPT = errors.New("no GPT")

// readGPT reads the first copy of the table of a disk, or returns errNoGPT. As in the kernel, a table without protection
// in the first sector is a left-over.
func readGPT(r io.ReaderAt, size int64) (*gpt, error) {
	both := make([]byte, 2*sector)
	if _, err := r.ReadAt(both, 0); err != nil || protection(both) == nil || !bytes.HasPrefix(both[sector:], []byte(gptSignature)) {
		return nil, errNoGPT
	}
	return parseGPT(r, both[sector:], size)
}

// parseGPT reads the table that the header h describes.
func parseGPT(r io.ReaderAt, h []byte, size int64) (*gpt, error) {
	want := binary.LittleEndian.Uint32(h[crcAt:])
	clear(h[crcAt : crcAt+4])
	if n := binary.LittleEndian.Uint32(h[12:]); n < headerSize || n > sector || crc32.ChecksumIEEE(h[:n]) != want {
		return nil, errors.New("the header of the partition table is damaged: repair it with sgdisk, or take another copy of the disk")
	}
	t := &gpt{disk: guid(h[diskAt : diskAt+16]).swap(), sectors: size / sector}
	t.first = int64(min(binary.LittleEndian.Uint64(h[firstAt:]), 1<<53))
	t.last = int64(min(binary.LittleEndian.Uint64(h[lastAt:]), 1<<53))
	each, n := binary.LittleEndian.Uint32(h[entrySizeAt:]), binary.LittleEndian.Uint32(h[countAt:])
	if each < entrySize || each > sector*8 || n == 0 || n > maxTable/each {
		return nil, errors.New("the header of the partition table makes no sense")
	}
	t.size, t.table = int(each), make([]byte, each*n)
	at := min(binary.LittleEndian.Uint64(h[tableAt:]), 1<<53)
	if _, err := r.ReadAt(t.table, int64(at)*sector); err != nil {
		return nil, fmt.Errorf("read the partition table: %w", err)
	}
	if crc32.ChecksumIEEE(t.table) != binary.LittleEndian.Uint32(h[tableCRCAt:]) {
		return nil, errors.New("the partition table is damaged: repair it with sgdisk, or take another copy of the disk")
	}
	return t, nil
}
