package layout

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"

	"github.com/iibake/iibake/bake"
)

// Fields of GRUB's boot.img and of the first sector of its core.img, from include/grub/i386/pc/boot.h.
const (
	bootCodeSize   = 440         // behind it lie the disk's signature and the old partition table
	kernelSectorAt = 0x5c        // of boot.img: first sector of the core
	driveCheckAt   = 0x66        // of boot.img: a jump over a check of the drive number that some firmwares need
	blockListAt    = sector - 12 // of core.img: where the rest of it lies
	nopNop         = 0x9090
)

// EmbedGRUB makes the disk boot by BIOS: boot.img goes into the first sector and core.img into the BIOS boot partition, as
// grub-bios-setup would write them without redundancy. It needs no device and no look at a device map.
func (l Layout) EmbedGRUB(f *os.File, boot, core []byte) error {
	switch {
	case l.BIOS.Size == 0:
		return fmt.Errorf("%w: this disk has no BIOS boot partition", bake.ErrInvalid)
	case len(boot) != sector || len(core) < 2*sector || int64(len(core)) > l.BIOS.Size:
		return fmt.Errorf("%w GRUB images of %d and %d bytes for %d bytes of room", bake.ErrInvalid, len(boot), len(core), l.BIOS.Size)
	}
	first := uint64(l.BIOS.Offset / sector) //nolint:gosec // G115: never negative
	boot = bytes.Clone(boot)
	binary.LittleEndian.PutUint64(boot[kernelSectorAt:], first)
	binary.LittleEndian.PutUint16(boot[driveCheckAt:], nopNop)
	core = append(bytes.Clone(core), make([]byte, (sector-len(core)%sector)%sector)...)
	binary.LittleEndian.PutUint64(core[blockListAt:], first+1)
	binary.LittleEndian.PutUint16(core[blockListAt+8:], uint16(len(core)/sector-1)) //nolint:gosec // G115: limited by the partition
	if _, err := f.WriteAt(core, l.BIOS.Offset); err != nil {
		return fmt.Errorf("write GRUB: %w", err)
	}
	if _, err := f.WriteAt(boot[:bootCodeSize], 0); err != nil {
		return fmt.Errorf("write GRUB: %w", err)
	}
	return nil
}
