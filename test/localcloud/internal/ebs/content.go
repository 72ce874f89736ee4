package ebs

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// Content is what a snapshot consists of.
type Content struct {
	Written bake.Digest // manifest of its blocks
	Disk    bake.Digest // manifest of a volume made of it
	Size    int64       // bytes of its blocks
}

// Keep holds a disk against collections as the content of a snapshot, until Release. A volume that is made of an encrypted snapshot reads
// garbage where that has no block, for what was never written cannot be decrypted to zeros.
func Keep(ctx context.Context, blocks *disk.Store, id string, d bake.Digest, encrypted bool) (Content, error) {
	m, err := blocks.Manifest(ctx, d)
	if err != nil {
		return Content{}, err
	}
	if err := blocks.Keep(ctx, id, d); err != nil {
		return Content{}, err
	}
	c := Content{Written: d, Disk: d, Size: m.Stored()}
	if encrypted {
		c.Disk, err = restored(ctx, blocks, id, d, m)
	}
	return c, err
}

// Release gives up what Keep holds, and the blocks of a snapshot that was still open.
func Release(blocks *disk.Store, id string) error {
	return errors.Join(blocks.Discard(id), blocks.Release(id), blocks.Release(restoredName(id)))
}

func restoredName(id string) string { return id + ".restored" }

// restored stores the disk d with garbage in all blocks that it lacks.
func restored(ctx context.Context, blocks *disk.Store, id string, d bake.Digest, m disk.Manifest) (bake.Digest, error) {
	var absent []int64
	next := int64(0)
	for _, b := range append(slices.Clone(m.Blocks), disk.Block{Index: (m.Size + disk.BlockSize - 1) / disk.BlockSize}) {
		for ; next < b.Index; next++ {
			absent = append(absent, next)
		}
		next++
	}
	if len(absent) == 0 {
		return d, nil
	}
	name := restoredName(id)
	draft, err := blocks.Draft(name)
	if err != nil {
		return "", err
	}
	block := garbage()
	digest := bake.DigestOf(block)
	for _, index := range absent {
		if err := draft.Put(index, digest, block); err != nil {
			return "", err
		}
	}
	whole, err := draft.Seal(ctx, m.Size, d)
	if err == nil {
		err = blocks.Keep(ctx, name, whole)
	}
	return whole, errors.Join(err, blocks.Discard(name))
}

// garbage is always the same, so that it is stored once and tests see the same.
func garbage() []byte {
	block := make([]byte, disk.BlockSize)
	_, _ = rand.NewChaCha8([32]byte{'g', 'a', 'r', 'b', 'a', 'g', 'e'}).Read(block) // never fails
	return block
}

// Complete makes the record of a snapshot say that it consists of c since now.
func (c Content) Complete(snap *state.Snapshot, now time.Time) {
	snap.Written, snap.Disk = c.Written, c.Disk
	snap.State, snap.Progress = ec2types.SnapshotStateCompleted, aws.String("100%")
	snap.StateMessage = nil
	snap.CompletionTime = aws.Time(now.Truncate(time.Millisecond))
	snap.FullSnapshotSizeInBytes = aws.Int64(c.Size)
}
