package hygiene

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/iibake/iibake/bake/local/internal/hygiene/ext4"
	"github.com/iibake/iibake/bake/local/internal/sandbox"
)

// hit is a place of the disk where a text was found.
type hit struct {
	at     int64 // bytes
	secret bool  // it is a secret of the build; else only part of what a private key looks like
}

// scanner looks for texts on the disk itself: in files, deleted files, the journal and the gaps between them. It reads what
// is in memory from having been written, and much faster than files can be read.
type scanner struct {
	disk    *os.File
	secrets [][]byte
	marks   [][]byte // of keys
	overlap int      // a text may begin in one piece and end in the next
	buf     []byte
}

const piece = 256 << 10 // bytes, small enough for the processor's cache

func newScanner(disk *os.File, secrets []string) *scanner {
	s := &scanner{disk: disk, marks: keyMarks()}
	for _, secret := range secrets {
		s.secrets = append(s.secrets, []byte(secret))
	}
	for _, text := range append(s.secrets, s.marks...) {
		s.overlap = max(s.overlap, len(text)-1)
	}
	s.buf = make([]byte, piece+s.overlap)
	return s
}

// blocks looks at the given blocks of the disk, or at all of it for nil.
func (s *scanner) blocks(list []int64) ([]hit, error) {
	if list == nil {
		info, err := s.disk.Stat()
		if err != nil {
			return nil, err
		}
		return s.extent(0, info.Size())
	}
	var hits []hit
	for _, block := range list {
		h, err := s.extent(block*blockSize, (block+1)*blockSize)
		if err != nil {
			return nil, err
		}
		hits = append(hits, h...)
	}
	return hits, nil
}

// extent finds texts that begin between from and to.
func (s *scanner) extent(from, to int64) ([]hit, error) {
	var hits []hit
	for at := from; at < to; {
		data, err := nextData(s.disk, at)
		if err != nil || data >= to {
			return hits, err
		}
		at = max(at, data)
		n, err := s.disk.ReadAt(s.buf[:min(int64(len(s.buf)), to-at+int64(s.overlap))], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read the disk: %w", err)
		}
		if n == 0 {
			return hits, nil
		}
		hits = append(hits, s.texts(s.buf[:n], at)...)
		at += piece
	}
	return hits, nil
}

func (s *scanner) texts(b []byte, at int64) []hit {
	var hits []hit
	for i, text := range append(s.secrets, s.marks...) {
		for from := 0; ; {
			n := bytes.Index(b[from:], text)
			if n < 0 {
				break
			}
			hits = append(hits, hit{at: at + int64(from+n), secret: i < len(s.secrets)})
			from += n + len(text)
		}
	}
	return hits
}

// planted makes findings of the secrets among the hits, one for a block.
func planted(hits []hit) []Finding {
	var found []Finding
	last := int64(-1)
	for _, h := range slices.SortedFunc(slices.Values(hits), func(a, b hit) int { return cmp.Compare(a.at, b.at) }) {
		if block := h.at / blockSize; h.secret && block != last {
			last = block
			found = append(found, Finding{
				Path: fmt.Sprintf("block %d", block),
				What: fmt.Sprintf("the value of a secret at byte %d of the disk", h.at),
				Fix:  "keep the step from writing it, not even to a file that it removes: pass it on in memory, or put the file below /tmp or /run",
			})
		}
	}
	return found
}

// freeSpace finds blocks that no file owns and that are not zero: what deleted files leave behind.
func freeSpace(root sandbox.Root, size int64) ([]Finding, error) {
	fs, err := ext4.Open(io.NewSectionReader(root.Disk, root.Offset, size))
	if err != nil {
		return nil, err
	}
	spans, err := fs.Free()
	if err != nil {
		return nil, err
	}
	var dirty, first int64
	for _, s := range spans {
		n, at, err := nonZero(root.Disk, root.Offset+s.From, root.Offset+s.To)
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
		data, err := nextData(f, at)
		if err != nil || data >= to {
			return n, first, err
		}
		at = max(at, data)
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
