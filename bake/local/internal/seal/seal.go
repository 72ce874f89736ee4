// Package seal takes out of an image what belongs to one machine or to the build: identities, keys, histories, leases, logs,
// caches. Then it gives the freed blocks back, so that nothing of them can be read, and checks the filesystem.
//
// A machine booted from a sealed image makes its own identity: systemd fills /etc/machine-id, and cloud-init makes the SSH
// host keys.
package seal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/iibake/iibake/bake/local/internal/sandbox"
)

// TaskName is the key of [Task] among the tasks of a sandbox.
const TaskName = "seal"

// Run seals a root filesystem. log, which may be nil, receives what people should know about the image.
func Run(ctx context.Context, root sandbox.Root, log func(string)) error {
	if err := sandbox.Run(ctx, sandbox.Job{Task: TaskName, Root: &root, Bare: true, Log: log}, nil); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	return check(ctx, root)
}

// From the kernel's ext4.h.
const (
	extSuper   = 1024 // offset of the superblock
	extBlockAt = 0x18 // binary logarithm of the block size in KiB
	extMagicAt = 0x38
	extMagic   = 0xEF53
)

// badFilesystem is the bit in e2fsck's exit status that says so.
const badFilesystem = 4

// trimmable is the block size in bytes from which on trimming leaves nothing out: loop devices discard in units of it.
const trimmable = 4096

// check has e2fsck look at the filesystem without changing it. XFS and Btrfs are checked by having been unmounted well.
func check(ctx context.Context, root sandbox.Root) error {
	super := make([]byte, 64)
	if _, err := root.Disk.ReadAt(super, root.Offset+extSuper); err != nil {
		return fmt.Errorf("seal: read the superblock: %w", err)
	}
	if binary.LittleEndian.Uint16(super[extMagicAt:]) != extMagic {
		return nil
	}
	argv := []string{"e2fsck", "-f", "-n"}
	if 1024<<super[extBlockAt] < trimmable {
		argv = []string{"e2fsck", "-f", "-p", "-E", "discard"} // which knows no such unit
	}
	argv = append(argv, fmt.Sprintf("/dev/fd/3?offset=%d", root.Offset))
	out, err := sandbox.Tool(ctx, []*os.File{root.Disk}, argv...)
	exit := (*exec.ExitError)(nil)
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &exit):
		return fmt.Errorf("seal: %w: install e2fsprogs", err)
	case exit.ExitCode()&badFilesystem == 0 && strings.Contains(string(out), "unsupported feature"):
		return nil // made by a newer mkfs than this machine's e2fsck
	}
	return fmt.Errorf("seal: the filesystem is damaged: %w\n%s", err, strings.TrimSpace(string(out)))
}
