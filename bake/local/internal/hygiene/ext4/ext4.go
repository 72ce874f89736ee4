// Package ext4 finds the free space of an ext4 filesystem that is not mounted.
package ext4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// FS is what the superblock of a filesystem says about where its blocks are.
type FS struct {
	r         io.ReaderAt
	block     int64 // bytes
	blocks    int64
	first     int64 // number of the first block that belongs to a group: 1 where blocks have 1 KiB
	perGroup  int64 // blocks
	table     int64 // blocks of inodes in a group
	descSize  int64 // bytes
	backup    int64 // blocks that a copy of superblock and descriptors takes
	sparse    bool  // not every group has such a copy
	plainDesc bool  // all descriptors stand behind the superblock
}

// Span is a range of bytes of a filesystem: From inclusive, To exclusive.
type Span struct{ From, To int64 }

// Features of a filesystem, and flags of a group, from the kernel's ext4.h.
const (
	compatSparse2    = 0x200
	incompatMetaBG   = 0x10
	incompat64       = 0x80
	roCompatSparse   = 0x1
	roCompatBigalloc = 0x200
	flagUninit       = 0x2 // the block bitmap was never written: only metadata is in use
)

// Open reads the superblock of the filesystem that r holds. Others than ext4, and a few rare kinds of it, are
// [errors.ErrUnsupported].
func Open(r io.ReaderAt) (*FS, error) {
	sb := make([]byte, 1024)
	if _, err := r.ReadAt(sb, 1024); err != nil {
		return nil, fmt.Errorf("read the superblock: %w", err)
	}
	u16 := func(at int) int64 { return int64(binary.LittleEndian.Uint16(sb[at:])) }
	u32 := func(at int) int64 { return int64(binary.LittleEndian.Uint32(sb[at:])) }
	compat, incompat, roCompat := u32(0x5c), u32(0x60), u32(0x64)
	if u16(0x38) != 0xef53 {
		return nil, fmt.Errorf("%w: not ext4", errors.ErrUnsupported)
	}
	if roCompat&roCompatBigalloc != 0 || compat&compatSparse2 != 0 {
		return nil, fmt.Errorf("%w: ext4 with bigalloc or sparse_super2", errors.ErrUnsupported)
	}
	e := &FS{
		r: r, block: 1024 << u32(0x18), blocks: u32(0x4), first: u32(0x14), perGroup: u32(0x20), descSize: 32,
		sparse: roCompat&roCompatSparse != 0, plainDesc: incompat&incompatMetaBG == 0,
	}
	if incompat&incompat64 != 0 {
		e.blocks |= u32(0x150) << 32
		e.descSize = u16(0xfe)
	}
	if e.perGroup == 0 || e.block > 64<<10 || e.perGroup > e.block*8 || e.descSize < 32 {
		return nil, errors.New("the superblock makes no sense")
	}
	e.table = (u32(0x28)*u16(0x58) + e.block - 1) / e.block
	e.backup = 1 + (e.groups()*e.descSize+e.block-1)/e.block + u16(0xce)
	return e, nil
}

func (e *FS) groups() int64 { return (e.blocks - e.first + e.perGroup - 1) / e.perGroup }

// group is what the descriptor of a group says.
type group struct {
	blockBitmap, inodeBitmap, table int64 // block numbers
	uninit                          bool
}

func (e *FS) descriptors() ([]group, error) {
	if !e.plainDesc {
		return nil, fmt.Errorf("%w: ext4 with meta_bg", errors.ErrUnsupported)
	}
	raw := make([]byte, e.groups()*e.descSize)
	if _, err := e.r.ReadAt(raw, (e.first+1)*e.block); err != nil {
		return nil, fmt.Errorf("read group descriptors: %w", err)
	}
	all := make([]group, e.groups())
	for i := range all {
		d := raw[int64(i)*e.descSize:][:e.descSize]
		number := func(low, high int) int64 {
			n := int64(binary.LittleEndian.Uint32(d[low:]))
			if e.descSize >= 64 {
				n |= int64(binary.LittleEndian.Uint32(d[high:])) << 32
			}
			return n
		}
		all[i] = group{
			blockBitmap: number(0, 0x20), inodeBitmap: number(4, 0x24), table: number(8, 0x28),
			uninit: binary.LittleEndian.Uint16(d[0x12:])&flagUninit != 0,
		}
	}
	return all, nil
}

// BlockSize returns the size of a block in bytes.
func (e *FS) BlockSize() int64 { return e.block }

// Free returns the free space in ascending order. No two spans touch.
func (e *FS) Free() ([]Span, error) {
	groups, err := e.descriptors()
	if err != nil {
		return nil, err
	}
	metadata := e.metadata(groups)
	var all []Span
	bitmap := make([]byte, e.perGroup/8)
	for i, g := range groups {
		start := e.first + int64(i)*e.perGroup
		used := func(n int64) bool { return bitmap[n/8]&(1<<(n%8)) != 0 }
		if g.uninit {
			used = func(n int64) bool { return metadata[start+n] }
		} else if _, err := e.r.ReadAt(bitmap, g.blockBitmap*e.block); err != nil {
			return nil, fmt.Errorf("read the block bitmap of group %d: %w", i, err)
		}
		for n := range min(e.perGroup, e.blocks-start) {
			if !used(n) {
				all = appendBlock(all, (start+n)*e.block, e.block)
			}
		}
	}
	return all, nil
}

func appendBlock(all []Span, at, size int64) []Span {
	if n := len(all); n > 0 && all[n-1].To == at {
		all[n-1].To += size
		return all
	}
	return append(all, Span{at, at + size})
}

// metadata returns the blocks in use in groups whose bitmap was never written.
func (e *FS) metadata(groups []group) map[int64]bool {
	used := map[int64]bool{}
	mark := func(from, n int64) {
		for b := range n {
			if at := from + b; at >= e.first && at < e.blocks && groups[(at-e.first)/e.perGroup].uninit {
				used[at] = true
			}
		}
	}
	for i, g := range groups {
		mark(g.blockBitmap, 1)
		mark(g.inodeBitmap, 1)
		mark(g.table, e.table)
		if i := int64(i); !e.sparse || i <= 1 || powerOf(i, 3) || powerOf(i, 5) || powerOf(i, 7) {
			mark(e.first+i*e.perGroup, e.backup)
		}
	}
	return used
}

func powerOf(n, base int64) bool {
	for n%base == 0 {
		n /= base
	}
	return n == 1
}
