package layout

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/sandbox"
)

// The old partition table, in the first sector.
const (
	mbrSignatureAt = 440
	mbrEntriesAt   = 446
	mbrEntry       = 16
	mbrType        = 4
	mbrFirst       = 8
	mbrCount       = 12
	mbrGPT         = 0xee
)

// partition is a part of a disk that may hold the root.
type partition struct {
	Extent
	number int
	kind   string // GPT type; "mbr 83" and so on in the old table
	uuid   string // of the partition, not of what it holds
	label  string
	holds  string // an FSType, what else it is in the words of people, or empty
}

// Find finds the root filesystem of a disk with a GPT, an MBR or no partition table. Where no partition says that it is
// the root, it is the largest one with a filesystem that can be one and is not meant for /boot.
// Its errors wrap [bake.ErrInvalid] where the disk is at fault.
func Find(f *os.File) (Root, error) {
	parts, err := read(f)
	if err != nil {
		return Root{}, err
	}
	root, err := pick(parts)
	if err != nil {
		return Root{}, fmt.Errorf("%w disk: %w", bake.ErrInvalid, err)
	}
	return root, nil
}

// Filesystems returns the filesystems of a disk as a sandbox mounts them: the one that Find finds, and all others that a
// sandbox could mount. Its errors are those of Find.
func Filesystems(f *os.File) (sandbox.Root, error) {
	parts, err := read(f)
	if err != nil {
		return sandbox.Root{}, err
	}
	root, err := pick(parts)
	if err != nil {
		return sandbox.Root{}, fmt.Errorf("%w disk: %w", bake.ErrInvalid, err)
	}
	all := sandbox.Root{Disk: f, Offset: root.Offset, Size: root.Size}
	for _, p := range parts {
		switch p.holds {
		case string(Ext4), string(XFS), string(Btrfs), holdsFAT:
			if p.number != root.Partition {
				all.Others = append(all.Others, sandbox.Part{Offset: p.Offset, Size: p.Size, UUID: p.uuid, Label: p.label})
			}
		}
	}
	return all, nil
}

// read returns the parts of the disk in a file.
func read(f *os.File) ([]partition, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("find the root filesystem: %w", err)
	}
	parts, err := partitions(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("%w disk: %w", bake.ErrInvalid, err)
	}
	return parts, nil
}

// partitions returns the parts of a disk. One without a table is its own only part, with number 0.
func partitions(r io.ReaderAt, size int64) ([]partition, error) {
	if err := foreign(r, size); err != nil {
		return nil, err
	}
	t, err := readGPT(r, size)
	switch {
	case err == nil:
		return t.partitions(r), nil
	case !errors.Is(err, errNoGPT):
		return nil, err
	}
	if parts := mbrPartitions(r, size); len(parts) > 0 {
		return parts, nil
	}
	return []partition{{Extent: Extent{0, size}, holds: probe(r, 0)}}, nil
}

// foreign returns an error for files that are no raw disks and for disks with sectors of another size.
func foreign(r io.ReaderAt, size int64) error {
	head := make([]byte, 8*sector+len(gptSignature))
	if _, err := r.ReadAt(head, 0); err != nil {
		return fmt.Errorf("it has only %d bytes", size)
	}
	for magic, name := range map[string]string{"QFI\xfb": "qcow2", "KDMV": "vmdk", "# Disk DescriptorFile": "vmdk", "vhdxfile": "vhdx", "conectix": "vhd"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return fmt.Errorf("it is a %s file: convert it with qemu-img convert -O raw", name)
		}
	}
	if bytes.HasPrefix(head[8*sector:], []byte(gptSignature)) {
		return errors.New("its partition table counts sectors of 4096 bytes: take an image for sectors of 512 bytes")
	}
	return nil
}

func (t *gpt) partitions(r io.ReaderAt) []partition {
	var parts []partition
	for n := 1; n <= t.count(); n++ {
		if kind, at, ok := t.partition(n); ok {
			id, label := t.names(n)
			parts = append(parts, partition{Extent: at, number: n, kind: kind, uuid: id, label: label, holds: probe(r, at.Offset)})
		}
	}
	return parts
}

// mbrPartitions returns the primary partitions of the old table. Nobody keeps a root in a logical one.
func mbrPartitions(r io.ReaderAt, size int64) []partition {
	b := make([]byte, sector)
	if _, err := r.ReadAt(b, 0); err != nil || b[510] != 0x55 || b[511] != 0xaa {
		return nil
	}
	var parts []partition
	for n := range 4 {
		e := b[mbrEntriesAt+n*mbrEntry:][:mbrEntry]
		first := int64(binary.LittleEndian.Uint32(e[mbrFirst:])) * sector
		length := int64(binary.LittleEndian.Uint32(e[mbrCount:])) * sector
		if e[0]&0x7f != 0 {
			return nil // it is the code of a boot sector, not a table
		}
		if e[mbrType] != 0 && first > 0 && length > 0 && first+length <= size {
			parts = append(parts, partition{
				Extent: Extent{first, length}, number: n + 1, kind: fmt.Sprintf("mbr %02x", e[mbrType]),
				uuid: fmt.Sprintf("%08x-%02x", binary.LittleEndian.Uint32(b[mbrSignatureAt:]), n+1), holds: probe(r, first),
			})
		}
	}
	return parts
}

// pick chooses the root.
func pick(parts []partition) (Root, error) {
	var best *partition
	for i := range parts {
		p := &parts[i]
		switch FSType(p.holds) {
		case Ext4, XFS, Btrfs:
		default:
			continue
		}
		if p.kind == typeBoot || p.kind == typeESP {
			continue
		}
		if best == nil || p.rank() > best.rank() || p.rank() == best.rank() && p.Size > best.Size {
			best = p
		}
	}
	if best == nil {
		return Root{}, noRoot(parts)
	}
	return Root{Extent: best.Extent, FSType: FSType(best.holds), Partition: best.number}, nil
}

func (p partition) rank() int {
	if p.kind == typeRootAMD64 || p.kind == typeRootARM64 {
		return 1
	}
	return 0
}

func noRoot(parts []partition) error {
	var seen []string
	for _, p := range parts {
		holds := p.holds
		if holds == "" {
			holds = "nothing known"
		}
		if p.number == 0 {
			seen = append(seen, holds)
			continue
		}
		seen = append(seen, fmt.Sprintf("partition %d holds %s", p.number, holds))
	}
	return fmt.Errorf("no ext4, XFS or Btrfs root filesystem in it (%s): take a cloud image with a plain root partition",
		strings.Join(seen, ", "))
}

// holdsFAT is what a partition with a FAT filesystem holds.
const holdsFAT = "FAT"

// Where filesystems say what they are.
const (
	extMagicAt   = 1024 + 0x38
	btrfsMagicAt = 64<<10 + 0x40
)

// probe says what lies at an offset: an FSType, something else in the words of people, or nothing known.
func probe(r io.ReaderAt, at int64) string {
	for _, known := range []struct {
		at    int64
		magic string
		holds string
	}{
		{btrfsMagicAt, "_BHRfS_M", string(Btrfs)},
		{0, "XFSB", string(XFS)},
		{extMagicAt, "\x53\xef", string(Ext4)},
		{sector, "LABELONE", "LVM"},
		{0, "LUKS\xba\xbe", "an encrypted volume"},
		{3, "NTFS    ", "NTFS"},
		{82, "FAT32", holdsFAT},
		{54, "FAT1", holdsFAT},
		{0, "hsqs", "squashfs"},
		{32769, "CD001", "ISO 9660"},
		{4086, "SWAPSPACE2", "swap"},
	} {
		b := make([]byte, len(known.magic))
		if n, _ := r.ReadAt(b, at+known.at); n == len(b) && string(b) == known.magic {
			return known.holds
		}
	}
	return ""
}
