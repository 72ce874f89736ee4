package disk

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake"
)

// candidate is a block that may have to be in the manifest of a file.
type candidate struct {
	index int64
	base  bake.Digest // the base's block; empty where it is absent
	data  bool        // the file may hold something other than zeros there
}

// candidates returns the blocks that f has data in and those of the base, in ascending order. The rest is absent, and is
// not looked at.
func candidates(f *os.File, size int64, base []Block) ([]candidate, error) {
	var all []candidate
	upTo := func(index int64) { // adds the blocks of the base before index
		for len(base) > 0 && base[0].Index < index {
			all, base = append(all, candidate{index: base[0].Index, base: base[0].Digest}), base[1:]
		}
	}
	blocks := Manifest{Size: size}.count()
	for next := int64(0); next < blocks; {
		start, end, err := nextData(f, next*BlockSize, size)
		if err != nil {
			return nil, fmt.Errorf("look for data: %w", err)
		}
		if start == end {
			break
		}
		first := start / BlockSize
		upTo(first)
		for next = first; next*BlockSize < end; next++ {
			c := candidate{index: next, data: true}
			if len(base) > 0 && base[0].Index == next {
				c.base, base = base[0].Digest, base[1:]
			}
			all = append(all, c)
		}
	}
	upTo(blocks) // not those that a shrunken disk has lost
	return all, nil
}

// nextData returns the first stretch of data at or after offset; it is empty if only a hole follows. Where the filesystem
// knows no holes, everything is data.
func nextData(f *os.File, offset, size int64) (start, end int64, err error) {
	start, err = f.Seek(offset, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO):
		return size, size, nil
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOTSUP):
		return offset, size, nil
	case err != nil:
		return 0, 0, err
	}
	end, err = f.Seek(start, unix.SEEK_HOLE)
	if err != nil {
		return 0, 0, err
	}
	return start, min(end, size), nil
}

// readBlockAt reads a block of a file and fills up the last one with zeros.
func readBlockAt(f *os.File, block []byte, index, size int64) error {
	n := min(BlockSize, size-index*BlockSize)
	_, err := f.ReadAt(block[:n], index*BlockSize)
	if errors.Is(err, io.EOF) {
		err = errors.New("the file became shorter while it was being read")
	}
	clear(block[n:])
	return err
}
