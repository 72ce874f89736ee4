package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
)

// files are the open files that QEMU inherits. None but the firmware's code and the disk has a name in a file system, so
// there is nothing to clean up after a crash.
type files struct {
	disk    *os.File // read-only
	overlay *os.File // qcow2, takes all writes to disk
	seed    *os.File // read-only
	code    *os.File // UEFI only, read-only
	vars    *os.File // UEFI only
	flaw    string   // why the disk cannot boot, where that can be seen from outside
}

// Close closes the files; those without a name are gone with that.
func (f *files) Close() { closeAll(f.disk, f.overlay, f.seed, f.code, f.vars) }

func openFiles(ctx context.Context, s Spec, key login) (_ *files, err error) {
	f := &files{}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if s.Firmware == bake.UEFI {
		if f.code, f.vars, err = openUEFI(s); err != nil {
			return nil, err
		}
	}
	if s.Instance != nil {
		return f, nil
	}
	if f.disk, err = os.Open(s.Disk); err != nil {
		return nil, fmt.Errorf("root disk: %w", err)
	}
	if f.overlay, err = newOverlay(ctx, f.disk, s); err != nil {
		return nil, fmt.Errorf("overlay of the root disk: %w", err)
	}
	if f.seed, err = newSeed(s, key); err != nil {
		return nil, fmt.Errorf("seed disk: %w", err)
	}
	if s.Firmware == bake.BIOS {
		f.flaw, err = biosFlaw(f.disk)
	}
	return f, err
}

// newOverlay returns a qcow2 file without a backing file name: QEMU is told to put the disk behind it.
func newOverlay(ctx context.Context, root *os.File, s Spec) (_ *os.File, err error) {
	end, err := root.Seek(0, io.SeekEnd) // a size for files and block devices alike
	if err != nil {
		return nil, err
	}
	size := max(end, int64(s.DiskSize))
	f, err := disk.Scratch(s.Scratch)
	if err != nil {
		return nil, err
	}
	if err := formatQCOW2(ctx, f, size); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

const (
	sectorSize = 512
	bootCode   = 440 // bytes of it in a master boot record
)

// biosFlaw says what keeps a BIOS from booting the disk. With a boot sector of zeros it would execute zeros for ever and
// show nothing.
func biosFlaw(disk io.ReaderAt) (string, error) {
	mbr := make([]byte, sectorSize)
	if _, err := disk.ReadAt(mbr, 0); err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("root disk: %w", err)
	}
	switch {
	case mbr[510] != 0x55 || mbr[511] != 0xaa:
		return "the disk has no boot sector", nil
	case len(bytes.Trim(mbr[:bootCode], "\x00")) == 0:
		return "the boot sector of the disk holds no boot loader for a BIOS", nil
	}
	return "", nil
}

// readOnly opens an unnamed file a second time: QEMU takes a descriptor for reading only if it cannot write.
func readOnly(f *os.File) (*os.File, error) {
	ro, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return ro, f.Close()
}
