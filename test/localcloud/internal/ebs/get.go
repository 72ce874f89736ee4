package ebs

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// get is GetSnapshotBlock.
func (s *Service) get(ctx context.Context, c *wire.Call, in *ebs.GetSnapshotBlockInput) (*ebs.GetSnapshotBlockOutput, error) {
	d, err := s.authorize(c, in)
	if err != nil {
		return nil, err
	}
	block := make([]byte, disk.BlockSize)
	err = s.blocks.Block(ctx, d, block)
	if errors.Is(err, disk.ErrNotFound) { // of a snapshot that was deleted, and collected since
		return nil, notFound(*in.SnapshotId)
	}
	if err != nil {
		return nil, err
	}
	sum, err := hex.DecodeString(d.Hex())
	if err != nil {
		return nil, err
	}
	return &ebs.GetSnapshotBlockOutput{
		BlockData: io.NopCloser(bytes.NewReader(block)), DataLength: aws.Int32(disk.BlockSize),
		Checksum: aws.String(base64.StdEncoding.EncodeToString(sum)), ChecksumAlgorithm: ebstypes.ChecksumAlgorithmChecksumAlgorithmSha256,
	}, nil
}

// authorize returns the block that the request may read. A token is bound to snapshot and index; it outlives the snapshot, but not the
// permission to read it.
func (s *Service) authorize(c *wire.Call, in *ebs.GetSnapshotBlockInput) (bake.Digest, error) {
	d, good := openBlockToken(*in.BlockToken, *in.SnapshotId, int64(*in.BlockIndex), c.Time)
	err := s.store.View(c.Region, func(r *state.Region) error {
		if snap := r.Snapshots.Get(*in.SnapshotId); good && (snap == nil || snap.Deleted) {
			return nil
		}
		_, err := readable(r, c, *in.SnapshotId)
		return err
	})
	if err == nil && !good {
		err = invalid(badToken, "The block token %s is invalid.", *in.BlockToken)
	}
	return d, err
}
