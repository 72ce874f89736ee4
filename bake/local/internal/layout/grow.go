package layout

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/local/internal/sandbox"
)

const growTask = "layout: grow"

// Tasks returns what this package does in a sandbox.
func Tasks() map[string]sandbox.Task {
	return map[string]sandbox.Task{growTask: growMounted}
}

// Grow makes the disk larger, and with it the partition of its root, which must be the last one on the disk, and the root
// filesystem. A disk that has the size already is left alone; a smaller size is an error wrapping [bake.ErrInvalid]. Where
// it fails half-way the disk is to be thrown away.
func Grow(ctx context.Context, f *os.File, size bake.Size, log func(string)) (Root, error) {
	root, err := Find(f)
	if err != nil {
		return Root{}, err
	}
	info, err := f.Stat()
	if err != nil {
		return Root{}, fmt.Errorf("grow disk: %w", err)
	}
	switch old := bake.Size(info.Size()); {
	case size == old:
		return root, nil
	case size < old, size%sector != 0:
		return Root{}, fmt.Errorf("%w disk size %v: want a multiple of %d bytes that is not below the %v of the source", bake.ErrInvalid, size, sector, old)
	}
	if root, err = growPartition(f, root, info.Size(), int64(size)); err != nil {
		return Root{}, fmt.Errorf("grow disk to %v: %w", size, err)
	}
	if err := growFilesystem(ctx, f, root, log); err != nil {
		return Root{}, fmt.Errorf("grow disk to %v: %w", size, err)
	}
	return root, nil
}

// growPartition makes the file and the partition larger and returns the root as it is then.
func growPartition(f *os.File, root Root, old, size int64) (Root, error) {
	t, err := readGPT(f, old)
	isGPT := err == nil
	if err != nil && !errors.Is(err, errNoGPT) {
		return Root{}, err
	}
	if err := isLast(f, root, old); err != nil {
		return Root{}, err
	}
	if err := f.Truncate(size); err != nil {
		return Root{}, err
	}
	switch {
	case root.Partition == 0:
		root.Size = size
		return root, nil
	case isGPT:
		if err := t.clearBackup(f, old); err != nil {
			return Root{}, err
		}
		t.resize(size / sector)
		root.Size = ((t.last+1)*sector - root.Offset) / blockSize * blockSize
		t.place(root.Partition, root.Extent)
		return root, t.write(f)
	}
	return growMBR(f, root, size)
}

// isLast returns an error where a partition lies behind the root.
func isLast(f *os.File, root Root, size int64) error {
	parts, err := partitions(f, size)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if p.Offset > root.Offset {
			return fmt.Errorf("%w: partition %d lies behind the root, partition %d: leave disk_size out", bake.ErrInvalid, p.number, root.Partition)
		}
	}
	return nil
}

// clearBackup removes the copy of the table at the end of the disk before the disk's end moves.
func (t *gpt) clearBackup(f *os.File, size int64) error {
	at := size - (1+t.tableSectors())*sector
	head := make([]byte, len(gptSignature))
	if _, err := f.ReadAt(head, size-sector); err != nil || string(head) != gptSignature {
		return err // there is none: what lies there may be data
	}
	_, err := f.WriteAt(make([]byte, size-at), at)
	return err
}

const maxMBR = 1<<32 - 1 // sectors

func growMBR(f *os.File, root Root, size int64) (Root, error) {
	count := min(size-root.Offset, maxMBR*sector) / blockSize * blockSize / sector
	root.Size = count * sector
	b := make([]byte, 4)
	binary.LittleEndian.PutUint32(b, uint32(count)) //nolint:gosec // G115: limited
	_, err := f.WriteAt(b, mbrEntriesAt+int64(root.Partition-1)*mbrEntry+mbrCount)
	return root, err
}

// growFilesystem makes the filesystem as large as its partition.
func growFilesystem(ctx context.Context, f *os.File, root Root, log func(string)) error {
	if root.FSType == Ext4 {
		return growExt4(ctx, f, root)
	}
	part := sandbox.Root{Disk: f, Offset: root.Offset, Size: root.Size}
	return sandbox.Run(ctx, sandbox.Job{Task: growTask, Root: &part, Bare: true, Input: root.FSType, Log: log}, nil)
}

// growExt4 grows the filesystem in a file of its own: resize2fs would cut a larger file to the size of the filesystem,
// wherever in it that begins, and a mounted one takes a capability that containers do not have.
func growExt4(ctx context.Context, f *os.File, root Root) (err error) {
	own, err := disk.Scratch(filepath.Dir(f.Name()))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.Close()) }()
	if err := own.Truncate(root.Size); err != nil {
		return err
	}
	if err := copyData(own, 0, f, root.Extent); err != nil {
		return err
	}
	const repaired = 1 // exit status
	err = run(ctx, own, "e2fsck", "-f", "-p", diskArg)
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != repaired) {
		return err
	}
	if err := run(ctx, own, "resize2fs", diskArg); err != nil {
		return err
	}
	return copyData(f, root.Offset, own, Extent{0, root.Size})
}

// copyData copies what is not a hole from a part of one file to an offset of another.
func copyData(to *os.File, offset int64, from *os.File, part Extent) error {
	end := part.Offset + part.Size
	for at := part.Offset; at < end; {
		data, err := from.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("copy: %w", err)
		}
		hole, err := from.Seek(data, unix.SEEK_HOLE)
		if err != nil {
			return fmt.Errorf("copy: %w", err)
		}
		if data, hole = min(data, end), min(hole, end); hole > data {
			w := io.NewOffsetWriter(to, offset+data-part.Offset)
			if _, err := io.Copy(w, io.NewSectionReader(from, data, hole-data)); err != nil {
				return fmt.Errorf("copy: %w", err)
			}
		}
		at = hole
	}
	return nil
}

// growMounted is the task for filesystems that grow only where they are mounted.
func growMounted(ctx context.Context, e *sandbox.Env, input json.RawMessage) (any, error) {
	var kind FSType
	if err := json.Unmarshal(input, &kind); err != nil {
		return nil, err
	}
	argv := []string{"xfs_growfs", e.Root}
	if kind == Btrfs {
		argv = []string{"btrfs", "filesystem", "resize", "max", e.Root}
	}
	return nil, runTool(ctx, nil, argv[0], argv[1:]...)
}
