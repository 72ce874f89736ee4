package ec2

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
)

// zeroBlock is the digest of a block of zeros.
const zeroBlock bake.Digest = "sha256:07854d2fef297a06ba81685e660c332de36d5d18d546927d30daad6d7fda1541"

// blocksPerGiB is how many blocks a GiB has.
const blocksPerGiB = int64(bake.GiB) / disk.BlockSize

// volumeGiB returns the size of the volume that a disk needs: EBS knows whole GiB only.
func volumeGiB(m disk.Manifest) int64 {
	return max(1, (m.Size+int64(bake.GiB)-1)/int64(bake.GiB))
}

// changes returns the blocks that have to be written to make a snapshot of m, in ascending order. The snapshot begins as from, which may be
// nil. What from has and m has not becomes zero. Blocks that nobody writes read as zeros, but not on an encrypted volume, where they are
// garbage (coldsnap issues 395 and 470): there every block of the volume is written that from does not cover.
func changes(m disk.Manifest, from *basis, encrypted bool) []disk.Block {
	var old disk.Manifest
	covered := volumeGiB(m) * blocksPerGiB
	if from != nil {
		old = from.manifest
	}
	if encrypted {
		covered = 0
		if from != nil {
			covered = from.GiB * blocksPerGiB
		}
	}
	var all []disk.Block
	for _, index := range disk.Diff(old, m) {
		all = append(all, disk.Block{Index: index, Digest: digestAt(m, index)})
	}
	return withZeros(all, m, covered)
}

// withZeros adds those blocks from the one at index begin on that the disk does not have.
func withZeros(blocks []disk.Block, m disk.Manifest, begin int64) []disk.Block {
	end := volumeGiB(m) * blocksPerGiB
	if begin >= end {
		return blocks
	}
	listed := map[int64]bool{}
	for _, b := range blocks {
		listed[b.Index] = true
	}
	for index := begin; index < end; index++ {
		if !listed[index] && digestAt(m, index) == zeroBlock {
			blocks = append(blocks, disk.Block{Index: index, Digest: zeroBlock})
		}
	}
	slices.SortFunc(blocks, func(a, b disk.Block) int { return cmp.Compare(a.Index, b.Index) })
	return blocks
}

// digestAt returns the content of a block; an absent one is zero.
func digestAt(m disk.Manifest, index int64) bake.Digest {
	i, ok := slices.BinarySearchFunc(m.Blocks, index, func(b disk.Block, index int64) int { return cmp.Compare(b.Index, index) })
	if !ok {
		return zeroBlock
	}
	return m.Blocks[i].Digest
}

// checksum returns a digest as EBS direct wants it.
func checksum(d bake.Digest) string {
	sum, _ := hex.DecodeString(d.Hex()) // it was parsed when the manifest was read
	return base64.StdEncoding.EncodeToString(sum)
}

// linear returns the checksum of a snapshot: SHA-256 over the raw digests of the written blocks in ascending order.
func linear(blocks []disk.Block) string {
	h := sha256.New()
	for _, b := range blocks {
		sum, _ := hex.DecodeString(b.Digest.Hex())
		h.Write(sum)
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}
