// Package layout knows how disks are laid out: it makes the disk that Debian is bootstrapped into, finds the root filesystem
// of disks that others made, and lets them grow.
//
// It works on files. Partition tables are read and written here, so that neither partition support of the kernel nor root
// is needed; filesystems are made by their own tools.
package layout

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"

	"github.com/iibake/iibake/bake"
)

// FSType is a kind of filesystem, by the kernel's name for it.
type FSType string

// The kinds of filesystems that a root can have.
const (
	Ext4  FSType = "ext4" // also ext2 and ext3, which the same driver mounts
	XFS   FSType = "xfs"
	Btrfs FSType = "btrfs"
)

// Extent is a part of a disk, in bytes.
type Extent struct{ Offset, Size int64 }

// Root is the root filesystem of a disk.
type Root struct {
	Extent
	FSType    FSType
	Partition int // counted from 1; 0 where the filesystem is the whole disk
}

// Layout is a disk made by [Create].
type Layout struct {
	Root    Root
	UUID    string // of the root filesystem
	BIOS    Extent // GRUB's core for BIOS; empty on machines that have none
	ESP     Extent // EFI system partition, a FAT filesystem
	ESPUUID string // of that filesystem, as blkid and fstab write it: XXXX-XXXX
	seed    string
}

// Places on the disk. The root is physically last, so that it can grow with the disk, but it is partition 1, as in the
// images of the distributions: GRUB finds it there.
const (
	sector   = 512
	mib      = 1 << 20
	biosAt   = 1 * mib
	espAt    = 2 * mib
	rootAt   = 64 * mib
	minRoot  = 256 * mib
	rootPart = 1
	biosPart = 14
	espPart  = 15
)

// Create makes a partition table and empty filesystems in f, which is truncated to size first. All that names the disk and
// its parts (GUIDs, UUIDs, serial numbers, hash seeds) derives from seed: the same seed gives the same bytes, another one
// never the same names.
//
// The root is ext4 without a journal until [Layout.AddJournal]: what fills it for the first time is thrown away when it
// fails, and writes half as much without one.
func Create(ctx context.Context, f *os.File, size bake.Size, seed string, arch bake.Arch) (Layout, error) {
	if size%sector != 0 || size < rootAt+minRoot {
		return Layout{}, fmt.Errorf("%w disk size %v: want a multiple of %d bytes and at least %v",
			bake.ErrInvalid, size, sector, bake.Size(rootAt+minRoot))
	}
	if err := f.Truncate(0); err != nil {
		return Layout{}, fmt.Errorf("create disk: %w", err)
	}
	if err := f.Truncate(int64(size)); err != nil {
		return Layout{}, fmt.Errorf("create disk: %w", err)
	}
	l := Layout{
		UUID: derive(seed, "root").String(), ESPUUID: espUUID(seed),
		ESP: Extent{espAt, rootAt - espAt}, seed: seed,
	}
	if arch == bake.AMD64 {
		l.BIOS = Extent{biosAt, espAt - biosAt}
	}
	t := newGPT(int64(size)/sector, derive(seed, "disk"))
	end := (t.last + 1) * sector / mib * mib
	l.Root = Root{Extent: Extent{rootAt, end - rootAt}, FSType: Ext4, Partition: rootPart}
	l.partition(t, arch)
	if err := t.write(f); err != nil {
		return Layout{}, fmt.Errorf("create partition table: %w", err)
	}
	if err := l.makeRoot(ctx, f); err != nil {
		return Layout{}, err
	}
	return l, l.makeESP(ctx, f)
}

// partition enters the partitions into t.
func (l Layout) partition(t *gpt, arch bake.Arch) {
	rootType := typeRootAMD64
	if arch == bake.ARM64 {
		rootType = typeRootARM64
	}
	t.set(rootPart, rootType, derive(l.seed, "root partition"), l.Root.Extent, "root")
	t.set(espPart, typeESP, derive(l.seed, "esp partition"), l.ESP, "esp")
	if l.BIOS.Size > 0 {
		t.set(biosPart, typeBIOSBoot, derive(l.seed, "bios partition"), l.BIOS, "bios")
	}
}

// derive returns the GUID that purpose has on the disk of seed. It is a UUID of version 8: its bits mean nothing but
// themselves.
func derive(seed, purpose string) guid {
	sum := sha256.Sum256([]byte("iibake disk\x00" + seed + "\x00" + purpose))
	g := guid(sum[:16])
	g[6] = g[6]&0x0f | 0x80
	g[8] = g[8]&0x3f | 0x80
	return g
}

func espUUID(seed string) string {
	g := derive(seed, "esp")
	return fmt.Sprintf("%02X%02X-%02X%02X", g[0], g[1], g[2], g[3])
}

// packages are the Debian packages of the programs that this package runs.
func packages() map[string]string {
	return map[string]string{
		"mke2fs": "e2fsprogs", "tune2fs": "e2fsprogs", "e2fsck": "e2fsprogs", "resize2fs": "e2fsprogs",
		"mkfs.vfat": "dosfstools", "mmd": "mtools", "mcopy": "mtools",
		"xfs_growfs": "xfsprogs", "btrfs": "btrfs-progs",
	}
}

// Missing returns the Debian packages that this machine lacks to create disks, sorted.
func Missing() []string {
	missing := map[string]bool{}
	for _, program := range []string{"mke2fs", "tune2fs", "mkfs.vfat", "mmd", "mcopy"} {
		if _, err := exec.LookPath(program); err != nil {
			missing[packages()[program]] = true
		}
	}
	return slices.Sorted(maps.Keys(missing))
}
