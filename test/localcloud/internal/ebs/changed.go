package ebs

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// listChanged is ListChangedBlocks. Any two snapshots that have an ancestor in common can be compared, also when that is gone.
func (s *Service) listChanged(ctx context.Context, c *wire.Call, in *ebs.ListChangedBlocksInput) (*ebs.ListChangedBlocksOutput, error) {
	firstID, secondID := aws.ToString(in.FirstSnapshotId), *in.SecondSnapshotId
	if firstID == "" { // although its documentation calls it optional
		return nil, invalid(badSnapshot, "First snapshot should not be empty or null")
	}
	first, err := s.lookup(c, firstID)
	if err != nil {
		return nil, err
	}
	second, err := s.lookup(c, secondID)
	if err != nil {
		return nil, err
	}
	if first.Lineage != second.Lineage { // the code was recorded, the text is inferred
		return nil, invalid(unrelated, "The snapshots are not related.")
	}
	p := page{scope: "changed " + firstID + " " + secondID, max: in.MaxResults, token: in.NextToken, from: in.StartingBlockIndex}
	from, err := p.first(c.Time)
	if err != nil {
		return nil, err
	}
	a, err := s.maps.get(ctx, s.blocks, first.Written)
	if err != nil {
		return nil, err
	}
	b, err := s.maps.get(ctx, s.blocks, second.Written)
	if err != nil {
		return nil, err
	}
	indexes, next := cut(disk.Diff(a, b), func(i int64) int64 { return i }, from, p.size())
	until := expiry(c.Time, firstID+secondID, len(indexes))
	out := &ebs.ListChangedBlocksOutput{
		BlockSize: aws.Int32(disk.BlockSize), ChangedBlocks: make([]ebstypes.ChangedBlock, 0, len(indexes)), ExpiryTime: &until,
		NextToken: p.next(next, c.Time), VolumeSize: aws.Int64(int64(*second.VolumeSize)),
	}
	before, after := byIndex(a), byIndex(b)
	for _, index := range indexes {
		changed := ebstypes.ChangedBlock{BlockIndex: index32(index)}
		if d, ok := before[index]; ok {
			changed.FirstBlockToken = aws.String(blockToken(firstID, index, d, until))
		}
		if d, ok := after[index]; ok {
			changed.SecondBlockToken = aws.String(blockToken(secondID, index, d, until))
		}
		out.ChangedBlocks = append(out.ChangedBlocks, changed)
	}
	return out, nil
}

func byIndex(m disk.Manifest) map[int64]bake.Digest {
	all := make(map[int64]bake.Digest, len(m.Blocks))
	for _, b := range m.Blocks {
		all[b.Index] = b.Digest
	}
	return all
}
