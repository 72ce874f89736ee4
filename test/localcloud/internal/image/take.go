package image

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test/localcloud/internal/ebs"
	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// takeDelay is how long a snapshot of a volume takes at least. The real service was seen to take about a minute; nothing depends on it.
const takeDelay = 5 * time.Second

// createSnapshot is CreateSnapshot: what is on a volume now.
func (s *Service) createSnapshot(ctx context.Context, c *wire.Call, in *ec2.CreateSnapshotInput) (*ec2.CreateSnapshotOutput, error) {
	if err := checkTake(in.OutpostArn, in.Location, in.TagSpecifications); err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx) // the work goes on after the answer
	var out *ec2.CreateSnapshotOutput
	return answer(&out, s.store.Update(c.Region, func(r *state.Region) error {
		volume := r.Volumes.Get(*in.VolumeId)
		if volume == nil || volume.Account != c.Account {
			return wire.Errorf("InvalidVolume.NotFound", "The volume '%s' does not exist.", *in.VolumeId)
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		snap := ofVolume(c, volume, aws.ToString(in.Description), kit.TagsFor(in.TagSpecifications, ec2types.ResourceTypeSnapshot))
		s.putTaken(ctx, r, snap)
		out = &ec2.CreateSnapshotOutput{
			SnapshotId: snap.SnapshotId, VolumeId: snap.VolumeId, State: snap.State, StartTime: snap.StartTime, Progress: aws.String(""),
			OwnerId: snap.OwnerId, Description: snap.Description, VolumeSize: snap.VolumeSize, Encrypted: snap.Encrypted, KmsKeyId: snap.KmsKeyId,
			Tags: append([]ec2types.Tag{}, snap.Tags...),
		}
		return nil
	}))
}

// answer returns what out points to, once it is known.
func answer[T any](out **T, err error) (*T, error) { return *out, err }

func checkTake(outpost *string, location ec2types.SnapshotLocationEnum, specs []ec2types.TagSpecification) error {
	if outpost != nil || location != "" && location != ec2types.SnapshotLocationEnumRegional {
		return wire.Errorf("UnsupportedOperation", "Outposts and Local Zones are not supported here")
	}
	return kit.CheckTagSpecs(specs, ec2types.ResourceTypeSnapshot)
}

// createSnapshots is CreateSnapshots: of all volumes of an instance at once.
func (s *Service) createSnapshots(ctx context.Context, c *wire.Call, in *ec2.CreateSnapshotsInput) (*ec2.CreateSnapshotsOutput, error) {
	if err := checkTake(in.OutpostArn, in.Location, in.TagSpecifications); err != nil {
		return nil, err
	}
	if in.InstanceSpecification == nil || in.InstanceSpecification.InstanceId == nil {
		return nil, wire.Errorf("MissingParameter", "The request must contain the parameter InstanceSpecification.InstanceId")
	}
	ctx = context.WithoutCancel(ctx) // the work goes on after the answer
	out := &ec2.CreateSnapshotsOutput{Snapshots: []ec2types.SnapshotInfo{}}
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		instance, err := imageable(r, c, *in.InstanceSpecification.InstanceId)
		if err == nil {
			err = dryRun(in.DryRun)
		}
		if err != nil {
			return err
		}
		for _, volume := range chosenVolumes(r, instance, in.InstanceSpecification) {
			tags := kit.TagsFor(in.TagSpecifications, ec2types.ResourceTypeSnapshot)
			if in.CopyTagsFromSource == ec2types.CopyTagsFromSourceVolume {
				tags = kit.MergeTags(volume.Tags, tags)
			}
			snap := ofVolume(c, volume, aws.ToString(in.Description), tags)
			s.putTaken(ctx, r, snap)
			out.Snapshots = append(out.Snapshots, ec2types.SnapshotInfo{
				SnapshotId: snap.SnapshotId, VolumeId: snap.VolumeId, State: snap.State, StartTime: snap.StartTime, Progress: aws.String(""),
				OwnerId: snap.OwnerId, Description: snap.Description, VolumeSize: snap.VolumeSize, Encrypted: snap.Encrypted,
				Tags: append([]ec2types.Tag{}, snap.Tags...),
			})
		}
		return nil
	})
}

// chosenVolumes returns the volumes of an instance that a request does not leave out.
func chosenVolumes(r *state.Region, instance *state.Instance, spec *ec2types.InstanceSpecification) []*state.Volume {
	out := map[string]bool{}
	for _, id := range spec.ExcludeDataVolumeIds {
		out[id] = true
	}
	var all []*state.Volume
	for _, device := range instance.BlockDeviceMappings {
		root := aws.ToString(device.DeviceName) == aws.ToString(instance.RootDeviceName)
		volume := r.Volumes.Get(aws.ToString(device.Ebs.VolumeId))
		if volume == nil || root && aws.ToBool(spec.ExcludeBootVolume) || !root && out[*volume.VolumeId] {
			continue
		}
		all = append(all, volume)
	}
	return all
}

// ofVolume returns the record of a snapshot of a volume.
func ofVolume(c *wire.Call, volume *state.Volume, description string, tags []ec2types.Tag) *state.Snapshot {
	snap := newSnapshot(c, description, tags)
	snap.VolumeId, snap.VolumeSize, snap.Lineage = volume.VolumeId, volume.Size, *volume.VolumeId
	snap.Encrypted, snap.KmsKeyId = encrypted(volume), volume.KmsKeyId
	return snap
}

// putTaken records a snapshot of a volume and has it taken.
func (s *Service) putTaken(ctx context.Context, r *state.Region, snap *state.Snapshot) {
	id, region := *snap.SnapshotId, r.Name
	r.Snapshots.Put(id, snap)
	r.Then(func() { s.take(ctx, region, id) })
}

// take stores what is on the volume now, without letting the caller wait for it, and completes the snapshot when its time has come.
func (s *Service) take(ctx context.Context, region, id string) {
	snap := s.pendingSnapshot(region, id)
	if snap == nil {
		return
	}
	ready := snap.StartTime.Add(takeDelay)
	if s.disks == nil { // nothing to wait for: a virtual clock finds everything done in time
		content, err := s.content(ctx, region, snap)
		s.after(ready.Sub(s.store.Clock().Now()), func() { s.taken(region, id, content, err) })
		return
	}
	s.work.Go(func() {
		content, err := s.content(ctx, region, snap)
		s.after(ready.Sub(s.store.Clock().Now()), func() { s.taken(region, id, content, err) })
	})
}

func (s *Service) taken(region, id string, content ebs.Content, err error) {
	s.finishSnapshot(region, id, func(now time.Time, snap *state.Snapshot) {
		if err != nil {
			failSnapshot(snap, err.Error())
			return
		}
		content.Complete(snap, now)
	})
}

// content stores what is on the volume of a snapshot.
func (s *Service) content(ctx context.Context, region string, snap *state.Snapshot) (ebs.Content, error) {
	d, err := s.read(ctx, region, snap)
	if err != nil {
		return ebs.Content{}, fmt.Errorf("volume %s: %w", *snap.VolumeId, err)
	}
	return ebs.Keep(ctx, s.blocks, *snap.SnapshotId, d, false)
}

// read returns the disk of a volume: that of the instance it is attached to, where instances have any; otherwise the volume is as it was made.
func (s *Service) read(ctx context.Context, region string, snap *state.Snapshot) (bake.Digest, error) {
	var instance, device string
	var origin bake.Digest
	_ = s.store.View(region, func(r *state.Region) error {
		if volume := r.Volumes.Get(*snap.VolumeId); volume != nil {
			for _, a := range volume.Attachments {
				instance, device = aws.ToString(a.InstanceId), aws.ToString(a.Device)
			}
			if source := r.Snapshots.Get(aws.ToString(volume.SnapshotId)); source != nil {
				origin = source.Disk
			}
		}
		return nil
	})
	switch {
	case s.disks != nil && instance != "":
		return s.disks.Snapshot(ctx, instance, device)
	case origin != "":
		return origin, nil
	}
	return s.empty(ctx, *snap.SnapshotId, *snap.VolumeSize)
}

// empty returns a disk of which nothing was ever written.
func (s *Service) empty(ctx context.Context, id string, gib int32) (d bake.Digest, err error) {
	draft, err := s.blocks.Draft(id)
	if err != nil {
		return "", err
	}
	d, err = draft.Seal(ctx, int64(gib)*int64(bake.GiB), "")
	return d, errors.Join(err, s.blocks.Discard(id))
}
