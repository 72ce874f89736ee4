package ebs

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// put is PutSnapshotBlock. The block is hashed once, for the checksum and for its name in the store. Where several things are wrong, that
// the body is looked at before the snapshot is inferred: the checksum's error is one of the layer that looks at signatures.
func (s *Service) put(_ context.Context, c *wire.Call, in *ebs.PutSnapshotBlockInput) (*ebs.PutSnapshotBlockOutput, error) {
	block, err := body(in.BlockData)
	if err != nil || len(block) != disk.BlockSize {
		return nil, invalid(badParameter, "Failed to read block data")
	}
	sum, err := checkBlock(in, block)
	if err != nil {
		return nil, err
	}
	if err := s.checkOpen(c, in); err != nil {
		return nil, err
	}
	if err := s.keepBlock(c, in, bake.Digest("sha256:"+hex.EncodeToString(sum)), block); err != nil {
		return nil, err
	}
	return &ebs.PutSnapshotBlockOutput{Checksum: in.Checksum, ChecksumAlgorithm: ebstypes.ChecksumAlgorithmChecksumAlgorithmSha256}, nil
}

func body(r io.Reader) ([]byte, error) {
	if r == nil {
		return nil, io.ErrUnexpectedEOF
	}
	return wire.Bytes(r)
}

// checkBlock returns the digest of a block that is what the request says.
func checkBlock(in *ebs.PutSnapshotBlockInput, block []byte) ([]byte, error) {
	if *in.DataLength != disk.BlockSize {
		return nil, invalid(badBlock, "Block data length %d is not valid, expected %d", *in.DataLength, disk.BlockSize)
	}
	if in.ChecksumAlgorithm != ebstypes.ChecksumAlgorithmChecksumAlgorithmSha256 {
		return nil, invalid(badParameter, "Unsupported Checksum Algorithm '%s', supported algorithms are SHA256", in.ChecksumAlgorithm)
	}
	sum := sha256.Sum256(block)
	if computed := base64.StdEncoding.EncodeToString(sum[:]); computed != *in.Checksum {
		return nil, checksumMismatch(computed, *in.Checksum)
	}
	return sum[:], nil
}

// checkOpen looks whether the snapshot takes the block.
func (s *Service) checkOpen(c *wire.Call, in *ebs.PutSnapshotBlockInput) error {
	return s.store.View(c.Region, func(r *state.Region) error {
		snap, err := owned(r, c, *in.SnapshotId)
		switch {
		case err != nil:
			return err
		case snap.State == ec2types.SnapshotStateError, snap.Direct != nil && c.Time.Before(snap.Direct.WritableAt):
			return notFound(*in.SnapshotId)
		case snap.Direct == nil || snap.Direct.Completion != nil:
			return invalid(badSnapshot, "Snapshot is already completed")
		case int64(*in.BlockIndex) >= blocksOf(*snap.VolumeSize):
			return invalid(badBlock, "Block index %d is beyond the volume size extent", *in.BlockIndex)
		}
		return nil
	})
}

// keepBlock stores a block. The snapshot may be completed or deleted meanwhile, by one who does not wait for his own requests.
func (s *Service) keepBlock(c *wire.Call, in *ebs.PutSnapshotBlockInput, digest bake.Digest, block []byte) error {
	id := *in.SnapshotId
	draft, err := s.blocks.Draft(id)
	if err == nil {
		err = draft.Put(int64(*in.BlockIndex), digest, block)
	}
	if again := s.checkOpen(c, in); again != nil {
		s.dropOrphan(c.Region, id)
		return again
	}
	if err != nil {
		return fmt.Errorf("snapshot %s: %w", id, err)
	}
	s.written.Store(id, c.Time)
	return nil
}

// dropOrphan discards the draft of a snapshot that is gone, which a late block may have made anew.
func (s *Service) dropOrphan(region, id string) {
	gone := false
	_ = s.store.View(region, func(r *state.Region) error {
		snap := r.Snapshots.Get(id)
		gone = snap == nil || snap.State != ec2types.SnapshotStatePending
		return nil
	})
	if gone {
		_ = s.blocks.Discard(id) // a collection takes what is left
	}
}

// blocksOf returns how many blocks a volume has.
func blocksOf(gib int32) int64 { return int64(gib) * int64(bake.GiB) / disk.BlockSize }
