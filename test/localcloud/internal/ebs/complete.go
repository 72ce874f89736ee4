package ebs

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// Times from CompleteSnapshot on. A wrong checksum was seen as an error within 35 s; a wrong count was not after 60 s, but after 11 minutes.
const (
	emptyDelay    = 800 * time.Millisecond
	completeDelay = 1400 * time.Millisecond
	checksumDelay = 30 * time.Second
	countDelay    = 2 * time.Minute
)

// complete is CompleteSnapshot. It never looks at count and checksum: what is wrong with them shows later.
func (s *Service) complete(ctx context.Context, c *wire.Call, in *ebs.CompleteSnapshotInput) (*ebs.CompleteSnapshotOutput, error) {
	if err := checkChecksum(in); err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx) // the work goes on after the answer
	out := new(ebs.CompleteSnapshotOutput)
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		snap, err := owned(r, c, *in.SnapshotId)
		if err != nil {
			return err
		}
		if snap.Direct == nil { // inferred
			return notFound(*in.SnapshotId)
		}
		out.Status = ebstypes.Status(snap.State)
		if snap.State != ec2types.SnapshotStatePending || snap.Direct.Completion != nil {
			return nil
		}
		snap = r.Snapshots.Edit(*in.SnapshotId)
		direct := *snap.Direct
		direct.Completion = &state.Completion{At: c.Time, Count: *in.ChangedBlocksCount, Checksum: aws.ToString(in.Checksum)}
		snap.Direct = &direct
		id, region := *in.SnapshotId, c.Region
		r.Then(func() { s.finish(ctx, region, id) })
		return nil
	})
}

// checkChecksum refuses half a checksum. That a missing method is refused is inferred.
func checkChecksum(in *ebs.CompleteSnapshotInput) error {
	given := in.Checksum != nil
	switch {
	case given && in.ChecksumAlgorithm == "":
		return invalid(badParameter, "Invalid parameter combination. Checksum algorithm is missing.")
	case given && in.ChecksumAggregationMethod == "":
		return invalid(badParameter, "Invalid parameter combination. Checksum aggregation method is missing.")
	case !given && (in.ChecksumAlgorithm != "" || in.ChecksumAggregationMethod != ""):
		return invalid(badParameter, "Invalid parameter combination. Snapshot checksum is missing.")
	}
	return nil
}

// finish takes a snapshot that CompleteSnapshot was called for to its end, now or when it is due. It can be called again.
func (s *Service) finish(ctx context.Context, region, id string) {
	snap := s.pending(region, id)
	if snap == nil || snap.Direct.Completion == nil {
		return
	}
	draft, err := s.blocks.Draft(id)
	if err != nil {
		s.fail(region, id, err.Error())
		return
	}
	delay, problem := judge(snap.Direct.Completion, draft.Blocks())
	if wait := snap.Direct.Completion.At.Add(delay).Sub(s.store.Clock().Now()); wait > 0 {
		if problem == "" {
			s.progress(region, id)
		}
		s.after(wait, func() { s.finish(ctx, region, id) })
		return
	}
	if problem == "" {
		err = s.seal(ctx, region, snap, draft)
	}
	if problem != "" || err != nil {
		s.fail(region, id, problemText(problem, err))
	}
}

func problemText(problem string, err error) string {
	if problem != "" {
		return problem
	}
	return "Internal error: " + err.Error()
}

// pending returns a copy of the record of a snapshot that EBS direct is at work on, or nil.
func (s *Service) pending(region, id string) *state.Snapshot {
	var found *state.Snapshot
	_ = s.store.View(region, func(r *state.Region) error {
		snap := r.Snapshots.Get(id)
		if snap != nil && snap.Direct != nil && !snap.Deleted && snap.State == ec2types.SnapshotStatePending {
			same := *snap
			found = &same
		}
		return nil
	})
	return found
}

// judge returns when what becomes of a snapshot is to be seen, and what is wrong with it. That the count comes first is inferred.
func judge(c *state.Completion, blocks []disk.Block) (delay time.Duration, problem string) {
	switch {
	case int64(c.Count) != int64(len(blocks)):
		return countDelay, "Changed blocks count mismatch for snapshot"
	case c.Checksum != "" && c.Checksum != aggregate(blocks):
		return checksumDelay, "Checksum mismatch for snapshot"
	case len(blocks) == 0:
		return emptyDelay, ""
	}
	return completeDelay, ""
}

// aggregate is the checksum of a snapshot: that of the digests of the blocks written, in the order of their indexes.
func aggregate(blocks []disk.Block) string {
	h := sha256.New()
	for _, b := range blocks {
		sum, _ := hex.DecodeString(b.Digest.Hex())
		h.Write(sum)
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// progress shows that the service is at work.
func (s *Service) progress(region, id string) {
	s.edit(region, id, func(_ *state.Region, snap *state.Snapshot) { snap.Progress = aws.String("99%") })
}

// edit changes the record of a snapshot that is pending.
func (s *Service) edit(region, id string, change func(*state.Region, *state.Snapshot)) {
	_ = s.store.Update(region, func(r *state.Region) error {
		if snap := r.Snapshots.Get(id); snap != nil && !snap.Deleted && snap.State == ec2types.SnapshotStatePending {
			change(r, r.Snapshots.Edit(id))
		}
		return nil
	})
}

// seal makes a disk of the blocks. The draft goes when the record of the disk is safe.
func (s *Service) seal(ctx context.Context, region string, snap *state.Snapshot, draft *disk.Draft) error {
	id := *snap.SnapshotId
	d, err := draft.Seal(ctx, int64(*snap.VolumeSize)*int64(bake.GiB), snap.Direct.Base)
	if err != nil {
		return err
	}
	content, err := Keep(ctx, s.blocks, id, d, *snap.Encrypted)
	if err != nil {
		return err
	}
	window := s.window("ebs:readable")
	s.edit(region, id, func(r *state.Region, snap *state.Snapshot) {
		content.Complete(snap, r.Now())
		snap.ReadableAt = r.Now().Add(window)
	})
	return s.clean(region, id)
}

// clean removes what an open snapshot has left, once its record says that it is not open any more.
func (s *Service) clean(region, id string) error {
	if err := s.store.Sync(); err != nil {
		return fmt.Errorf("record of snapshot %s in %s: %w", id, region, err)
	}
	s.written.Delete(id)
	return s.blocks.Discard(id)
}

// fail ends a snapshot in error.
func (s *Service) fail(region, id, message string) {
	s.edit(region, id, func(_ *state.Region, snap *state.Snapshot) {
		snap.State, snap.StateMessage, snap.Progress = ec2types.SnapshotStateError, &message, aws.String("0%")
	})
	if s.clean(region, id) == nil {
		_ = s.blocks.Release(id) // what is left of it, a collection takes
	}
}

// failOpen ends a snapshot that nobody has written to or completed in time. Its message was not recorded.
func (s *Service) failOpen(region, id string) {
	if snap := s.pending(region, id); snap != nil && snap.Direct.Completion == nil {
		s.fail(region, id, "Snapshot timed out")
	}
}
