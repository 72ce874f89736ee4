package hygiene

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/iibake/iibake/bake/local/internal/sandbox"
)

// search looks for secrets in blocks of a disk: in files, deleted files, the journal and the gaps between them.
func search(disk io.ReaderAt, blocks []int64, secrets []string) ([]Finding, error) {
	if len(secrets) == 0 {
		return nil, nil
	}
	overlap := 0 // a secret may begin in one block and end in the next
	for _, s := range secrets {
		overlap = max(overlap, len(s)-1)
	}
	var found []Finding
	buf := make([]byte, blockSize+overlap)
	for _, block := range blocks {
		n, err := disk.ReadAt(buf, block*blockSize)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read block %d: %w", block, err)
		}
		for _, s := range secrets {
			if i := bytes.Index(buf[:n], []byte(s)); i >= 0 {
				found = append(found, Finding{
					Path: fmt.Sprintf("block %d", block),
					What: fmt.Sprintf("the value of a secret at byte %d of the disk", block*blockSize+int64(i)),
					Fix:  "keep the step from writing it, not even to a file that it removes: pass it on in memory, or put the file below /tmp or /run",
				})
			}
		}
	}
	return found, nil
}

// freeSpace finds blocks that no file owns and that are not zero: what deleted files leave behind.
func freeSpace(root sandbox.Root) ([]Finding, error) {
	info, err := root.Disk.Stat()
	if err != nil {
		return nil, err
	}
	size := root.Size
	if size == 0 {
		size = info.Size() - root.Offset
	}
	e, err := openExt4(io.NewSectionReader(root.Disk, root.Offset, size))
	if err != nil {
		return nil, err
	}
	runs, err := e.free()
	if err != nil {
		return nil, err
	}
	var dirty, first int64
	for _, r := range runs {
		n, at, err := nonZero(root.Disk, root.Offset+r.from, root.Offset+r.to)
		if err != nil {
			return nil, err
		}
		if n > 0 && dirty == 0 {
			first = at
		}
		dirty += n
	}
	if dirty == 0 {
		return nil, nil
	}
	return []Finding{{
		Path: "free space",
		What: fmt.Sprintf("%d KiB that deleted files left behind, the first at byte %d of the disk", (dirty+1023)>>10, first),
		Fix:  "put the disks on a filesystem that can punch holes: ext4, XFS, Btrfs or tmpfs",
	}}, nil
}

const chunk = 64 << 10

// nonZero returns how many bytes between from and to lie in chunks that are not zero, and where the first of them does.
// Holes are skipped: they read as zeros.
func nonZero(f *os.File, from, to int64) (n, first int64, err error) {
	var zeros, buf [chunk]byte
	for at := from; at < to; {
		if at, err = nextData(f, at); err != nil || at >= to {
			return n, first, err
		}
		part := buf[:min(chunk, to-at)]
		if _, err := f.ReadAt(part, at); err != nil {
			return n, first, fmt.Errorf("read free space: %w", err)
		}
		if !bytes.Equal(part, zeros[:len(part)]) {
			if n == 0 {
				first = at
			}
			n += int64(len(part))
		}
		at += int64(len(part))
	}
	return n, first, nil
}
