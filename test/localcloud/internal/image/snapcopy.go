package image

import (
	"context"
	"net/url"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/ebs"
	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// copyDelay is how long a copy takes: 2.5 to 24 s were seen.
const copyDelay = 6 * time.Second

// copySnapshot is CopySnapshot. It takes nearly everything: that the source is not there, not complete or not the caller's to copy shows
// in the copy later.
func (s *Service) copySnapshot(ctx context.Context, c *wire.Call, in *ec2.CopySnapshotInput) (*ec2.CopySnapshotOutput, error) {
	if err := checkCopy(c, in); err != nil {
		return nil, err
	}
	source := s.sourceOf(c, *in.SourceRegion, *in.SourceSnapshotId)
	ctx = context.WithoutCancel(ctx) // the work goes on after the answer
	out := new(ec2.CopySnapshotOutput)
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		key, err := copyKey(r, c, source.Encrypted, in.Encrypted, in.KmsKeyId)
		if err == nil {
			err = dryRun(in.DryRun)
		}
		if err != nil {
			return err
		}
		source.KeyID = key
		snap := newSnapshot(c, aws.ToString(in.Description), kit.TagsFor(in.TagSpecifications, ec2types.ResourceTypeSnapshot))
		if in.CompletionDurationMinutes != nil {
			snap.TransferType, snap.CompletionDurationMinutes = ec2types.TransferTypeTimeBased, in.CompletionDurationMinutes
		}
		s.putCopy(ctx, r, snap, source)
		out.SnapshotId, out.Tags = snap.SnapshotId, snap.Tags
		return nil
	})
}

// checkCopy makes the checks that need no records.
func checkCopy(c *wire.Call, in *ec2.CopySnapshotInput) error {
	if !regexp.MustCompile(`^snap-(0[0-9a-f]{16}|[0-9a-f]{8})$`).MatchString(*in.SourceSnapshotId) || regexp.MustCompile(`^snap-0+$`).MatchString(*in.SourceSnapshotId) {
		return wire.Errorf("InvalidParameterValue", "The specified snapshotId is invalid")
	}
	if err := checkRegion(*in.SourceRegion); err != nil {
		return err
	}
	if in.DestinationOutpostArn != nil || in.DestinationAvailabilityZone != nil {
		return wire.Errorf("UnsupportedOperation", "Outposts and Local Zones are not supported here")
	}
	if in.CompletionDurationMinutes != nil {
		if err := checkDuration(int64(*in.CompletionDurationMinutes)); err != nil {
			return err
		}
	}
	if err := kit.CheckTagSpecs(in.TagSpecifications, ec2types.ResourceTypeSnapshot); err != nil {
		return err
	}
	return checkPresigned(c, in)
}

func checkRegion(name string) error {
	if regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]$`).MatchString(name) {
		return nil
	}
	return wire.Errorf("InvalidRegion", "%s is not a valid region name.", name)
}

// checkDuration checks the time that a copy may take. The end of the text is inferred.
func checkDuration(minutes int64) error {
	if minutes >= 15 && minutes <= 2880 && minutes%15 == 0 {
		return nil
	}
	return wire.Errorf("InvalidParameterValue", "Invalid value '%d' for completionDurationMinutes. It must be between 15 and 2880 in 15 minute increments.", minutes)
}

// checkPresigned looks at what the URL that SDKs send says; its signature is not looked at, which was recorded for unencrypted sources.
func checkPresigned(c *wire.Call, in *ec2.CopySnapshotInput) error {
	if in.PresignedUrl == nil || *in.PresignedUrl == "" {
		return nil
	}
	u, err := url.Parse(*in.PresignedUrl)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return wire.Errorf("InvalidParameterValue", "The protocol in PresignedUrl should be http or https")
	}
	if id := u.Query().Get("SourceSnapshotId"); id != "" && id != *in.SourceSnapshotId {
		return wire.Errorf("InvalidParameterValue",
			"The source snapshot specified in PresignedUrl '%s' does not match the source snapshot in the request: '%s'", id, *in.SourceSnapshotId)
	}
	if region := u.Query().Get("DestinationRegion"); region != "" && region != c.Region {
		return wire.Errorf("InvalidParameterValue", "The destination region specified in PresignedUrl: '%s' is incorrect", region)
	}
	return nil
}

// sourceOf returns what a copy of a snapshot will be made of, or what is wrong with it.
func (s *Service) sourceOf(c *wire.Call, region, id string) state.Source {
	source := state.Source{Problem: "Source snapshot is not found.", Ready: c.Time.Add(copyDelay)}
	_ = s.store.View(region, func(r *state.Region) error {
		snap := r.Snapshots.Get(id)
		switch {
		case snap == nil || snap.Deleted || !snapshotSeen(snap, c.Account):
		case snap.State != ec2types.SnapshotStateCompleted:
			source.Problem = "Source snapshot is not complete."
		default:
			source.Problem, source.Disk = "", snap.Written
			source.Encrypted, source.Size = *snap.Encrypted, *snap.VolumeSize
		}
		return nil
	})
	return source
}

// newSnapshot returns what all snapshots that EC2 makes start from.
func newSnapshot(c *wire.Call, description string, tags []ec2types.Tag) *state.Snapshot {
	id := kit.ID("snap")
	return &state.Snapshot{
		Snapshot: ec2types.Snapshot{
			SnapshotId: &id, OwnerId: &c.Account, Description: &description, Tags: tags, VolumeId: aws.String("vol-ffffffff"), VolumeSize: aws.Int32(0),
			StartTime: aws.Time(c.Time.Truncate(time.Millisecond)), State: ec2types.SnapshotStatePending, Progress: aws.String("0%"),
			Encrypted: aws.Bool(false), StorageTier: ec2types.StorageTierStandard, TransferType: ec2types.TransferTypeStandard,
		},
		Lineage: id,
	}
}

// putCopy records a copy and has it made.
func (s *Service) putCopy(ctx context.Context, r *state.Region, snap *state.Snapshot, source state.Source) {
	snap.Source = &source
	snap.StateMessage = aws.String("Metadata not updated")
	id, region := *snap.SnapshotId, r.Name
	r.Snapshots.Put(id, snap)
	r.Then(func() { s.startCopy(ctx, region, id) })
}

// startCopy holds what the copy will consist of, so that the source may go, and waits for its time.
func (s *Service) startCopy(ctx context.Context, region, id string) {
	snap := s.pendingSnapshot(region, id)
	if snap == nil {
		return
	}
	var content ebs.Content
	var err error
	if snap.Source.Problem == "" {
		content, err = ebs.Keep(ctx, s.blocks, id, snap.Source.Disk, snap.Source.Encrypted)
	}
	s.after(snap.Source.Ready.Sub(s.store.Clock().Now()), func() {
		s.finishSnapshot(region, id, func(now time.Time, snap *state.Snapshot) {
			switch {
			case snap.Source.Problem != "":
				failSnapshot(snap, snap.Source.Problem)
			case err != nil:
				failSnapshot(snap, err.Error())
			default:
				content.Complete(snap, now)
				snap.VolumeSize = &snap.Source.Size
				if key := snap.Source.KeyID; key != "" {
					snap.Encrypted, snap.KmsKeyId = aws.Bool(true), &key
				}
			}
			snap.Source = nil
		})
	})
}

// pendingSnapshot returns a copy of the record of a snapshot that is being made, or nil.
func (s *Service) pendingSnapshot(region, id string) *state.Snapshot {
	var found *state.Snapshot
	_ = s.store.View(region, func(r *state.Region) error {
		if snap := r.Snapshots.Get(id); snap != nil && !snap.Deleted && snap.State == ec2types.SnapshotStatePending {
			same := *snap
			found = &same
		}
		return nil
	})
	return found
}

// finishSnapshot ends the making of a snapshot, and of the images that wait for it.
func (s *Service) finishSnapshot(region, id string, f func(now time.Time, snap *state.Snapshot)) {
	gone := false
	window := s.readableAfter()
	_ = s.store.Update(region, func(r *state.Region) error {
		snap := r.Snapshots.Get(id)
		if gone = snap == nil || snap.Deleted; gone || snap.State != ec2types.SnapshotStatePending {
			return nil
		}
		snap = r.Snapshots.Edit(id)
		f(r.Now(), snap)
		snap.ReadableAt = r.Now().Add(window)
		for _, image := range usedBy(r, id) {
			settleImage(r, image)
		}
		return nil
	})
	if gone {
		_ = ebs.Release(s.blocks, id) // it was deleted meanwhile; a collection takes what is left
	}
}

func failSnapshot(snap *state.Snapshot, message string) {
	snap.State, snap.StateMessage, snap.Progress = ec2types.SnapshotStateError, &message, aws.String("0%")
}

// settleImage ends the making of an image when all its snapshots are there, or one never will be.
func settleImage(r *state.Region, id string) {
	img := r.Images.Get(id)
	if img.State != ec2types.ImageStatePending {
		return
	}
	for _, snapshot := range snapshotsOf(img) {
		snap := r.Snapshots.Get(snapshot)
		switch {
		case snap == nil || snap.State == ec2types.SnapshotStateError:
			failImage(r.Images.Edit(id), snapshot, snap)
			return
		case snap.State != ec2types.SnapshotStateCompleted:
			return
		}
	}
	img = r.Images.Edit(id)
	img.State = ec2types.ImageStateAvailable
	img.BlockDeviceMappings = settledMappings(r, img)
}

// failImage is inferred in its texts.
func failImage(img *state.Image, snapshot string, snap *state.Snapshot) {
	message := "Image creation failed: snapshot " + snapshot + " is gone"
	if snap != nil {
		message = "Image creation failed: " + snapshot + ": " + aws.ToString(snap.StateMessage)
	}
	img.State = ec2types.ImageStateFailed
	img.StateReason = &ec2types.StateReason{Code: aws.String("Client.SnapshotError"), Message: &message}
}

// settledMappings takes over what the snapshots have become.
func settledMappings(r *state.Region, img *state.Image) []ec2types.BlockDeviceMapping {
	all := make([]ec2types.BlockDeviceMapping, len(img.BlockDeviceMappings))
	for i, m := range img.BlockDeviceMappings {
		if m.Ebs != nil && m.Ebs.SnapshotId != nil {
			ebs := *m.Ebs
			snap := r.Snapshots.Get(*ebs.SnapshotId)
			ebs.Encrypted = snap.Encrypted
			if ebs.VolumeSize == nil {
				ebs.VolumeSize = snap.VolumeSize
			}
			m.Ebs = &ebs
		}
		all[i] = m
	}
	return all
}
