// Package seal takes out of an image what belongs to one machine or to the build: identities, keys, histories, leases, logs,
// caches. Then it gives the freed blocks back, so that nothing of them can be read, and checks the filesystem.
//
// A machine booted from a sealed image makes its own identity: systemd fills /etc/machine-id, and cloud-init makes the SSH
// host keys.
package seal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"strings"

	"github.com/iibake/iibake/bake/internal/child"
	"github.com/iibake/iibake/bake/local/internal/hygiene/ext4"
	"github.com/iibake/iibake/bake/local/internal/sandbox"
)

// TaskName is the key of [Task] among the tasks of a sandbox.
const TaskName = "seal"

// Run seals a root filesystem. log, which may be nil, receives what people should know about the image.
func Run(ctx context.Context, root sandbox.Root, log func(string)) error {
	if err := sandbox.Run(ctx, sandbox.Job{Task: TaskName, Root: &root, Bare: true, Log: log}, nil); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	for _, p := range root.Others {
		if err := finish(ctx, sandbox.Root{Disk: root.Disk, Offset: p.Offset, Size: p.Size}); err != nil {
			return err
		}
	}
	return finish(ctx, root)
}

// finish makes free space zero where trimming could not, and checks the filesystem.
func finish(ctx context.Context, root sandbox.Root) error {
	size := root.Size
	if size == 0 {
		size = math.MaxInt64 - root.Offset
	}
	fs, err := ext4.Open(io.NewSectionReader(root.Disk, root.Offset, size))
	if errors.Is(err, errors.ErrUnsupported) {
		return nil // XFS, Btrfs and FAT are checked by having been unmounted well
	}
	if err == nil && fs.BlockSize() < trimmable {
		err = scrub(root, fs)
	}
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	return check(ctx, root)
}

// trimmable is the block size in bytes from which on trimming leaves nothing out: loop devices discard in units of it.
const trimmable = 4096

// scrub turns free space into holes.
func scrub(root sandbox.Root, fs *ext4.FS) error {
	free, err := fs.Free()
	if err != nil {
		return err
	}
	for _, s := range free {
		if err := punch(root.Disk, root.Offset+s.From, s.To-s.From); err != nil {
			return fmt.Errorf("erase free space: %w", err)
		}
	}
	return nil
}

// badFilesystem is the bit in e2fsck's exit status that says so.
const badFilesystem = 4

// check has e2fsck look at the filesystem without changing it.
func check(ctx context.Context, root sandbox.Root) error {
	out, err := child.Output(ctx, []*os.File{root.Disk}, "e2fsck", "-f", "-n", fmt.Sprintf("/dev/fd/3?offset=%d", root.Offset))
	exit := (*exec.ExitError)(nil)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("seal: %w: install e2fsprogs: %w", sandbox.ErrUnavailable, err)
	case !errors.As(err, &exit):
		return fmt.Errorf("seal: %w", err)
	case exit.ExitCode()&badFilesystem == 0 && strings.Contains(string(out), "unsupported feature"):
		return nil // made by a newer mkfs than this machine's e2fsck
	}
	return fmt.Errorf("seal: the filesystem is damaged: %w\n%s", err, strings.TrimSpace(string(out)))
}
