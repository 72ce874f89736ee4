package ec2

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"golang.org/x/sync/errgroup"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
)

// sender puts blocks into an open snapshot.
type sender struct {
	store    *disk.Store
	client   *ebs.Client
	snapshot string
	settled  func(context.Context, func() error) error
	progress func(done, total int64)

	flow *flow
	next atomic.Int64
	sent atomic.Int64
}

// send puts the blocks, up to maxFlow at once, each with a buffer of its own: that is all the memory that it takes.
func (s *sender) send(ctx context.Context, blocks []disk.Block) error {
	s.flow = newFlow()
	workers, ctx := errgroup.WithContext(ctx)
	for range min(maxFlow, len(blocks)) {
		workers.Go(func() error {
			buf := make([]byte, disk.BlockSize)
			for i := s.next.Add(1) - 1; i < int64(len(blocks)); i = s.next.Add(1) - 1 {
				if err := s.sendOne(ctx, blocks[i], buf); err != nil {
					return fmt.Errorf("block %d: %w", blocks[i].Index, err)
				}
				s.progress(s.sent.Add(1)*disk.BlockSize, int64(len(blocks))*disk.BlockSize)
			}
			return nil
		})
	}
	return workers.Wait()
}

func (s *sender) sendOne(ctx context.Context, b disk.Block, buf []byte) error {
	if err := s.flow.enter(ctx); err != nil {
		return err
	}
	trouble := true
	defer func() { s.flow.leave(trouble) }()
	if err := s.read(ctx, b.Digest, buf); err != nil {
		return err
	}
	return s.settled(ctx, func() error {
		out, err := s.client.PutSnapshotBlock(ctx, &ebs.PutSnapshotBlockInput{
			SnapshotId: &s.snapshot, BlockIndex: aws.Int32(int32(b.Index)), //nolint:gosec // a volume has at most 2^27 blocks
			BlockData: bytes.NewReader(buf), DataLength: aws.Int32(disk.BlockSize),
			Checksum: aws.String(checksum(b.Digest)), ChecksumAlgorithm: ebstypes.ChecksumAlgorithmChecksumAlgorithmSha256,
		})
		if err == nil {
			results, ok := retry.GetAttemptResults(out.ResultMetadata)
			trouble = ok && len(results.Results) > 1
		}
		return err
	})
}

// read fills buf with a block, which is verified on the way.
func (s *sender) read(ctx context.Context, d bake.Digest, buf []byte) error {
	if d == zeroBlock {
		clear(buf)
		return ctx.Err()
	}
	return s.store.Block(ctx, d, buf)
}

// completeSnapshot says that all blocks have been put. What it says is checked later.
func completeSnapshot(ctx context.Context, client *ebs.Client, snapshot string, blocks []disk.Block) error {
	_, err := client.CompleteSnapshot(ctx, &ebs.CompleteSnapshotInput{
		SnapshotId: &snapshot, ChangedBlocksCount: aws.Int32(int32(len(blocks))), //nolint:gosec // a volume has at most 2^27 blocks
		Checksum: aws.String(linear(blocks)), ChecksumAlgorithm: ebstypes.ChecksumAlgorithmChecksumAlgorithmSha256,
		ChecksumAggregationMethod: ebstypes.ChecksumAggregationMethodChecksumAggregationLinear,
	})
	return err
}

// pollEvery returns how long to wait before the next look at something that has been waited for: short waits first.
func pollEvery(waited time.Duration) time.Duration {
	return min(5*time.Second, max(200*time.Millisecond, waited/8))
}
