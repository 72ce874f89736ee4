package ebs

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// defaultPage is how many blocks come where the request does not say. It is inferred.
const defaultPage = 1000

// listBlocks is ListSnapshotBlocks: all blocks of the snapshot, those of its parents included.
func (s *Service) listBlocks(ctx context.Context, c *wire.Call, in *ebs.ListSnapshotBlocksInput) (*ebs.ListSnapshotBlocksOutput, error) {
	snap, err := s.lookup(c, *in.SnapshotId)
	if err != nil {
		return nil, err
	}
	p := page{scope: "blocks " + *in.SnapshotId, max: in.MaxResults, token: in.NextToken, from: in.StartingBlockIndex}
	first, err := p.first(c.Time)
	if err != nil {
		return nil, err
	}
	m, err := s.maps.get(ctx, s.blocks, snap.Written)
	if err != nil {
		return nil, err
	}
	blocks, next := cut(m.Blocks, func(b disk.Block) int64 { return b.Index }, first, p.size())
	until := expiry(c.Time, *in.SnapshotId, len(blocks))
	out := &ebs.ListSnapshotBlocksOutput{
		BlockSize: aws.Int32(disk.BlockSize), Blocks: make([]ebstypes.Block, 0, len(blocks)), ExpiryTime: &until,
		NextToken: p.next(next, c.Time), VolumeSize: aws.Int64(int64(*snap.VolumeSize)),
	}
	for _, b := range blocks {
		token := blockToken(*in.SnapshotId, b.Index, b.Digest, until)
		out.Blocks = append(out.Blocks, ebstypes.Block{BlockIndex: index32(b.Index), BlockToken: &token})
	}
	return out, nil
}

// lookup returns a copy of the record of a snapshot that the caller can read.
func (s *Service) lookup(c *wire.Call, id string) (state.Snapshot, error) {
	var found state.Snapshot
	err := s.store.View(c.Region, func(r *state.Region) error {
		snap, err := readable(r, c, id)
		if err == nil {
			found = *snap
		}
		return err
	})
	return found, err
}

// page is what a request says about the page that it wants.
type page struct {
	scope     string
	max, from *int32
	token     *string
}

// first returns the lowest index of the page. A token has the last word, as documented.
func (p page) first(now time.Time) (int64, error) {
	if p.token == nil {
		return int64(aws.ToInt32(p.from)), nil
	}
	index, ok := openPageToken(p.scope, *p.token, now)
	if !ok {
		return 0, invalid(badPage, "The pagination token %s is invalid.", *p.token)
	}
	return index, nil
}

func (p page) size() int { return int(cmp.Or(aws.ToInt32(p.max), defaultPage)) }

// next returns the token of the page that begins at index; there is none for -1.
func (p page) next(index int64, now time.Time) *string {
	if index < 0 {
		return nil
	}
	return aws.String(pageToken(p.scope, index, now.Add(pageAge)))
}

// cut returns at most size items from the one on that has the index first or the next above, and the index of the first that is left, or -1.
func cut[T any](items []T, index func(T) int64, first int64, size int) (page []T, next int64) {
	at, _ := slices.BinarySearchFunc(items, first, func(item T, first int64) int { return cmp.Compare(index(item), first) })
	end := min(len(items), at+size)
	if end < len(items) {
		return items[at:end], index(items[end])
	}
	return items[at:end], -1
}

func index32(index int64) *int32 { return aws.Int32(int32(index)) } //nolint:gosec // a volume has fewer blocks

// manifests holds those that were lately asked for: decoding a big one takes as long as many pages of it.
type manifests struct {
	mu    sync.Mutex
	order []bake.Digest
	held  map[bake.Digest]disk.Manifest
}

const maxManifests = 16

func (m *manifests) get(ctx context.Context, blocks *disk.Store, d bake.Digest) (disk.Manifest, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if found, ok := m.held[d]; ok {
		return found, nil
	}
	found, err := blocks.Manifest(ctx, d)
	if err != nil {
		return disk.Manifest{}, err
	}
	if len(m.order) == maxManifests {
		delete(m.held, m.order[0])
		m.order = m.order[1:]
	}
	if m.held == nil {
		m.held = map[bake.Digest]disk.Manifest{}
	}
	m.held[d], m.order = found, append(m.order, d)
	return found, nil
}
