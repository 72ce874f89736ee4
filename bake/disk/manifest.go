package disk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/iibake/iibake/bake"
)

const (
	manifestVersion = 1
	sectorSize      = 512 // bytes; disks are whole sectors
)

// Block is the content of one block of a disk.
type Block struct {
	Index  int64 // counts blocks from the start of the disk
	Digest bake.Digest
}

// Manifest is the content of a disk. The blocks are in ascending order; those that are not in the list are absent and read as
// zeros.
type Manifest struct {
	Size   int64 // bytes, a multiple of 512
	Blocks []Block
}

// wire is a manifest as it is written: neighbouring blocks are one run, so that a block costs 67 bytes.
type wire struct {
	Version int   `json:"version"`
	Size    int64 `json:"size"`
	Runs    []run `json:"runs"`
}

type run struct {
	At     int64    `json:"at"`     // index of the first block
	SHA256 []string `json:"sha256"` // hexadecimal
}

// Encode returns the one way to write m: JSON without white space. m must be valid.
func (m Manifest) Encode() []byte {
	w := wire{Version: manifestVersion, Size: m.Size, Runs: []run{}}
	for i, b := range m.Blocks {
		if i == 0 || m.Blocks[i-1].Index+1 != b.Index {
			w.Runs = append(w.Runs, run{At: b.Index})
		}
		last := &w.Runs[len(w.Runs)-1]
		last.SHA256 = append(last.SHA256, b.Digest.Hex())
	}
	body, _ := json.Marshal(w) //nolint:errchkjson // integers and strings: it cannot fail
	return body
}

// DecodeManifest reads what Encode wrote and nothing else: an unknown field, another order or a stray space is an error that
// wraps [bake.ErrInvalid], for the digest of a manifest must not depend on who wrote it.
func DecodeManifest(body []byte) (Manifest, error) {
	m, err := decodeManifest(body)
	if err != nil {
		return Manifest{}, fmt.Errorf("%w manifest: %w", bake.ErrInvalid, err)
	}
	return m, nil
}

func decodeManifest(body []byte) (Manifest, error) {
	var w wire
	if err := json.Unmarshal(body, &w); err != nil {
		return Manifest{}, err
	}
	if w.Version != manifestVersion {
		return Manifest{}, fmt.Errorf("version %d, but this iibake reads only version %d: use the iibake that wrote it, or bake again", w.Version, manifestVersion)
	}
	m := Manifest{Size: w.Size}
	for _, r := range w.Runs {
		for i, sum := range r.SHA256 {
			d, err := bake.ParseDigest("sha256:" + sum)
			if err != nil {
				return Manifest{}, err
			}
			m.Blocks = append(m.Blocks, Block{Index: r.At + int64(i), Digest: d})
		}
	}
	if err := m.check(); err != nil {
		return Manifest{}, err
	}
	if !bytes.Equal(m.Encode(), body) {
		return Manifest{}, errors.New("it is not in canonical form")
	}
	return m, nil
}

func (m Manifest) check() error {
	if m.Size < 0 || m.Size%sectorSize != 0 {
		return fmt.Errorf("size %d is not a multiple of %d bytes", m.Size, sectorSize)
	}
	next := int64(0)
	for _, b := range m.Blocks {
		if b.Index < next {
			return fmt.Errorf("block %d is out of order", b.Index)
		}
		if b.Index >= m.count() {
			return fmt.Errorf("block %d lies behind the end of the disk at byte %d", b.Index, m.Size)
		}
		next = b.Index + 1
	}
	return nil
}

// count returns how many blocks the disk has, absent ones included.
func (m Manifest) count() int64 {
	n := m.Size / BlockSize
	if m.Size%BlockSize > 0 {
		n++
	}
	return n
}

// Digest returns the name of m: the digest of its encoding.
func (m Manifest) Digest() bake.Digest { return bake.DigestOf(m.Encode()) }

// Stored returns how many bytes of the disk are not absent, in whole blocks. In the store they are compressed and shared.
func (m Manifest) Stored() int64 { return int64(len(m.Blocks)) * BlockSize }

// length returns how many bytes of a block lie on the disk.
func (m Manifest) length(index int64) int64 { return min(BlockSize, m.Size-index*BlockSize) }

// Diff returns the indexes of the blocks that differ, in ascending order. A block that only one of the two has differs, also
// if it is zero.
func Diff(a, b Manifest) []int64 {
	var changed []int64
	x, y := a.Blocks, b.Blocks
	for len(x) > 0 || len(y) > 0 {
		switch {
		case len(y) == 0 || len(x) > 0 && x[0].Index < y[0].Index:
			changed, x = append(changed, x[0].Index), x[1:]
		case len(x) == 0 || y[0].Index < x[0].Index:
			changed, y = append(changed, y[0].Index), y[1:]
		default:
			if x[0].Digest != y[0].Digest {
				changed = append(changed, x[0].Index)
			}
			x, y = x[1:], y[1:]
		}
	}
	return changed
}
