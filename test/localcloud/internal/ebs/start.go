package ebs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

const (
	defaultTimeout = 60 * time.Minute
	// timeoutLag is how much later than it says the timeout comes: one of 10 minutes had not come after 808 s.
	timeoutLag = 5 * time.Minute
	maxSize    = 65536 // GiB, documented
	maxPending = 100   // of an account, documented
)

// start is StartSnapshot. A repeated request gets the first answer, pending, whatever has become of the snapshot.
func (s *Service) start(ctx context.Context, c *wire.Call, in *ebs.StartSnapshotInput) (*ebs.StartSnapshotOutput, error) {
	ctx = context.WithoutCancel(ctx) // the work goes on after the answer
	out := new(ebs.StartSnapshotOutput)
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		answer, _, err := kit.Once(r, c, in.ClientToken, in, conflict(), func() (string, error) {
			snap, err := s.newSnapshot(r, c, in)
			if err != nil {
				return "", err
			}
			s.open(ctx, r, snap)
			body, err := json.Marshal(started(snap))
			return string(body), err
		})
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(answer), out); err != nil {
			return fmt.Errorf("stored answer of StartSnapshot: %w", err)
		}
		return nil
	})
}

// newSnapshot checks the request and returns the record that it asks for.
func (s *Service) newSnapshot(r *state.Region, c *wire.Call, in *ebs.StartSnapshotInput) (*state.Snapshot, error) {
	if err := checkStart(in); err != nil {
		return nil, err
	}
	tags := tagsOf(in.Tags)
	if e, ok := errors.AsType[*wire.Error](kit.CheckTags(tags)); ok {
		return nil, invalid(badTag, "%s", e.Message)
	}
	id := kit.ID("snap")
	timeout := defaultTimeout
	if in.Timeout != nil {
		timeout = time.Duration(*in.Timeout) * time.Minute
	}
	snap := &state.Snapshot{
		Snapshot: ec2types.Snapshot{
			SnapshotId: &id, OwnerId: &c.Account, Description: aws.String(aws.ToString(in.Description)), Tags: tags,
			VolumeId: aws.String("vol-ffffffff"), VolumeSize: aws.Int32(int32(*in.VolumeSize)), //nolint:gosec // at most maxSize
			StartTime: aws.Time(c.Time.Truncate(time.Millisecond)), State: ec2types.SnapshotStatePending, Progress: aws.String("0%"),
			Encrypted: aws.Bool(false), StorageTier: ec2types.StorageTierStandard, TransferType: ec2types.TransferTypeStandard,
		},
		Lineage: id,
		Direct:  &state.Direct{Timeout: timeout, WritableAt: c.Time.Add(s.window("ebs:writable"))},
	}
	if in.ParentSnapshotId != nil {
		return snap, inherit(r, c, snap, *in.ParentSnapshotId)
	}
	settings := r.Settings.Get(c.Account)
	if aws.ToBool(in.Encrypted) || in.KmsKeyArn != nil || settings != nil && settings.EncryptVolumes {
		snap.Encrypted, snap.KmsKeyId = aws.Bool(true), in.KmsKeyArn
		if in.KmsKeyArn == nil {
			snap.KmsKeyId = aws.String(VolumeKey(r, c.Account))
		}
	}
	return snap, pendingLimit(r, c.Account)
}

// checkStart makes the checks that need no records.
func checkStart(in *ebs.StartSnapshotInput) error {
	switch {
	case in.ParentSnapshotId != nil && (in.Encrypted != nil || in.KmsKeyArn != nil): // documented; the text is inferred
		return invalid(badParameter, "Encrypted and KmsKeyArn cannot be specified when ParentSnapshotId is specified")
	case in.Encrypted != nil && !*in.Encrypted && in.KmsKeyArn != nil:
		return invalid(badParameter, "Encrypt cannot be false when KmsKeyArn is specified")
	case *in.VolumeSize > maxSize: // documented; the text is inferred
		return invalid(badSize, "Volume size %d is greater than the maximum of %d GiB", *in.VolumeSize, maxSize)
	}
	return nil
}

// inherit makes snap a child. A parent must be the caller's own, also where he can read it, and EBS direct must know it.
func inherit(r *state.Region, c *wire.Call, snap *state.Snapshot, id string) error {
	parent, err := owned(r, c, id)
	if err != nil {
		return err
	}
	switch settings := r.Settings.Get(c.Account); {
	case parent.State == ec2types.SnapshotStateError:
		return notFound(id)
	case parent.State != ec2types.SnapshotStateCompleted || c.Time.Before(parent.ReadableAt):
		return invalid(badSnapshot, "Source snapshot (%s) is not complete.", id)
	case *snap.VolumeSize < *parent.VolumeSize: // documented; the text is inferred
		return invalid(badSize, "Volume size %d is smaller than that of the parent snapshot, %d", *snap.VolumeSize, *parent.VolumeSize)
	case settings != nil && settings.EncryptVolumes && !*parent.Encrypted: // documented; the text is inferred
		return invalid(badSnapshot, "Parent snapshot (%s) is not encrypted, but encryption by default is enabled.", id)
	}
	snap.Parent, snap.Lineage, snap.Direct.Base = id, parent.Lineage, parent.Written
	snap.Encrypted, snap.KmsKeyId = parent.Encrypted, parent.KmsKeyId
	return pendingLimit(r, c.Account)
}

// pendingLimit refuses one more open snapshot than an account may have. That is documented; the form of the error is inferred.
func pendingLimit(r *state.Region, account string) error {
	n := 0
	for _, snap := range r.Snapshots.All() {
		if *snap.OwnerId == account && snap.Direct != nil && snap.State == ec2types.SnapshotStatePending {
			n++
		}
	}
	if n < maxPending {
		return nil
	}
	e := wire.Errorf("ServiceQuotaExceededException", "You have reached the limit of %d pending snapshots", maxPending)
	e.Status, e.Reason = 402, "DEPENDENCY_SERVICE_QUOTA_EXCEEDED"
	return e
}

// open records a new snapshot and has it watched. What its parent consists of is kept in its own name from now on.
func (s *Service) open(ctx context.Context, r *state.Region, snap *state.Snapshot) {
	id, base, region := *snap.SnapshotId, snap.Direct.Base, r.Name
	r.Snapshots.Put(id, snap)
	r.Then(func() {
		if base != "" {
			if err := s.blocks.Keep(ctx, id, base); err != nil {
				s.fail(region, id, err.Error())
				return
			}
		}
		s.after(snap.Direct.Timeout+timeoutLag, func() { s.expire(region, id) })
	})
}

// expire gives up an open snapshot that nobody has written to for its timeout.
func (s *Service) expire(region, id string) {
	var left time.Duration
	_ = s.store.View(region, func(r *state.Region) error {
		snap := r.Snapshots.Get(id)
		written, _ := s.written.Load(id)
		if last, ok := written.(time.Time); ok && snap != nil && snap.Direct.Completion == nil {
			left = last.Add(snap.Direct.Timeout + timeoutLag).Sub(r.Now())
		}
		return nil
	})
	if left > 0 {
		s.after(left, func() { s.expire(region, id) })
		return
	}
	s.failOpen(region, id)
}

// started is the answer to a request that made snap.
func started(snap *state.Snapshot) *ebs.StartSnapshotOutput {
	out := &ebs.StartSnapshotOutput{
		BlockSize: aws.Int32(disk.BlockSize), Description: snap.Description, OwnerId: snap.OwnerId, SnapshotId: snap.SnapshotId,
		StartTime: snap.StartTime, Status: ebstypes.StatusPending, VolumeSize: aws.Int64(int64(*snap.VolumeSize)),
	}
	if *snap.Encrypted {
		out.KmsKeyArn, out.SseType = snap.KmsKeyId, ebstypes.SSETypeSseKms
	}
	if snap.Parent != "" {
		out.ParentSnapshotId = &snap.Parent
	}
	for _, tag := range snap.Tags {
		out.Tags = append(out.Tags, ebstypes.Tag{Key: tag.Key, Value: tag.Value})
	}
	return out
}

func tagsOf(tags []ebstypes.Tag) []ec2types.Tag {
	var all []ec2types.Tag
	for _, tag := range tags {
		all = append(all, ec2types.Tag{Key: tag.Key, Value: tag.Value})
	}
	return all
}
