package image

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// original is an image to copy, with its snapshots, as they are when the copy is asked for.
type original struct {
	image   ec2types.Image
	uefi    string
	sources map[string]state.Source // by snapshot id
}

// copyImage is CopyImage: the image is pending until copies of its snapshots are there.
func (s *Service) copyImage(ctx context.Context, c *wire.Call, in *ec2.CopyImageInput) (*ec2.CopyImageOutput, error) {
	if err := checkCopyImage(in); err != nil {
		return nil, err
	}
	from, err := s.originalOf(c, *in.SourceRegion, *in.SourceImageId)
	if err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx) // the work goes on after the answer
	out := new(ec2.CopyImageOutput)
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		id, _, err := kit.Once(r, c, in.ClientToken, in, nil, func() (string, error) {
			return s.makeCopy(ctx, r, c, in, from)
		})
		out.ImageId = &id
		return err
	})
}

func checkCopyImage(in *ec2.CopyImageInput) error {
	if err := checkName(*in.Name); err != nil {
		return err
	}
	if err := checkRegion(*in.SourceRegion); err != nil {
		return err
	}
	if in.DestinationAvailabilityZone != nil || in.DestinationAvailabilityZoneId != nil || in.DestinationOutpostArn != nil {
		return wire.Errorf("UnsupportedOperation", "Outposts and Local Zones are not supported here")
	}
	if in.SnapshotCopyCompletionDurationMinutes != nil {
		if err := checkDuration(*in.SnapshotCopyCompletionDurationMinutes); err != nil {
			return err
		}
	}
	return kit.CheckTagSpecs(in.TagSpecifications, ec2types.ResourceTypeImage, ec2types.ResourceTypeSnapshot)
}

// originalOf returns the image to copy. Whoever did not get its snapshots as well cannot copy it.
func (s *Service) originalOf(c *wire.Call, region, id string) (*original, error) {
	from := &original{sources: map[string]state.Source{}}
	var snapshots []string
	err := s.store.View(region, func(r *state.Region) error {
		img, err := seen(r, c, id)
		if err != nil {
			return err
		}
		if img.State != ec2types.ImageStateAvailable {
			return wire.Errorf("InvalidAMIID.Unavailable", "The image ID '%s' is no longer available", id)
		}
		for _, snapshot := range snapshotsOf(img) {
			if snap := r.Snapshots.Get(snapshot); snap == nil || snap.Deleted || !snapshotSeen(snap, c.Account) && !isPublic(img) {
				return wire.Errorf("InvalidRequest", "You do not have permission to access the storage of this ami")
			}
		}
		from.image, from.uefi, snapshots = img.Image, img.UefiData, snapshotsOf(img)
		for _, snapshot := range snapshots {
			from.sources[snapshot] = completeSource(c, r.Snapshots.Get(snapshot))
		}
		return nil
	})
	return from, err
}

func completeSource(c *wire.Call, snap *state.Snapshot) state.Source {
	return state.Source{Disk: snap.Written, Encrypted: *snap.Encrypted, Size: *snap.VolumeSize, Ready: c.Time.Add(copyDelay)}
}

// makeCopy records the image and the copies of its snapshots.
func (s *Service) makeCopy(ctx context.Context, r *state.Region, c *wire.Call, in *ec2.CopyImageInput, from *original) (string, error) {
	if err := freeName(r, c.Account, *in.Name); err != nil {
		return "", err
	}
	keys, err := copyKeys(r, c, in, from)
	if err != nil {
		return "", err
	}
	if err := dryRun(in.DryRun); err != nil {
		return "", err
	}
	img := copiedImage(c, in, from)
	copies := map[string]string{}
	for _, m := range from.image.BlockDeviceMappings {
		if m.Ebs == nil || m.Ebs.SnapshotId == nil || copies[*m.Ebs.SnapshotId] != "" {
			continue
		}
		id := *m.Ebs.SnapshotId
		source := from.sources[id]
		source.KeyID = keys[id]
		snap := newSnapshot(c, fmt.Sprintf("Copied for DestinationAmi %s from SourceAmi %s for SourceSnapshot %s. Task created on %d.",
			*img.ImageId, *in.SourceImageId, id, c.Time.UnixMilli()), kit.TagsFor(in.TagSpecifications, ec2types.ResourceTypeSnapshot))
		if in.SnapshotCopyCompletionDurationMinutes != nil {
			snap.TransferType = ec2types.TransferTypeTimeBased
			snap.CompletionDurationMinutes = aws.Int32(int32(*in.SnapshotCopyCompletionDurationMinutes)) //nolint:gosec // at most 2880
		}
		copies[id] = *snap.SnapshotId
		s.putCopy(ctx, r, snap, source)
	}
	img.BlockDeviceMappings = replaceSnapshots(from.image.BlockDeviceMappings, copies)
	r.Images.Put(*img.ImageId, img)
	if len(copies) == 0 {
		settleImage(r, *img.ImageId)
	}
	return *img.ImageId, nil
}

func copyKeys(r *state.Region, c *wire.Call, in *ec2.CopyImageInput, from *original) (map[string]string, error) {
	keys := map[string]string{}
	for id, source := range maps.All(from.sources) {
		key, err := copyKey(r, c, source.Encrypted, in.Encrypted, in.KmsKeyId)
		if err != nil {
			return nil, err
		}
		keys[id] = key
	}
	return keys, nil
}

// copiedImage returns the image that a copy becomes: all that makes it boot comes with it, and its watermarks; permissions and times do not.
func copiedImage(c *wire.Call, in *ec2.CopyImageInput, from *original) *state.Image {
	img := newImage(c, *in.Name)
	src := from.image
	img.State, img.Description, img.UefiData = ec2types.ImageStatePending, given(in.Description), from.uefi
	img.Architecture, img.VirtualizationType, img.RootDeviceName = src.Architecture, src.VirtualizationType, src.RootDeviceName
	img.EnaSupport, img.SriovNetSupport, img.BootMode = src.EnaSupport, src.SriovNetSupport, src.BootMode
	img.TpmSupport, img.ImdsSupport, img.KernelId, img.RamdiskId = src.TpmSupport, src.ImdsSupport, src.KernelId, src.RamdiskId
	img.Platform, img.PlatformDetails, img.UsageOperation = src.Platform, src.PlatformDetails, src.UsageOperation
	img.FreeTierEligible, img.ImageWatermarks = src.FreeTierEligible, src.ImageWatermarks
	img.SourceImageId, img.SourceImageRegion = in.SourceImageId, in.SourceRegion
	img.Tags = kit.TagsFor(in.TagSpecifications, ec2types.ResourceTypeImage)
	if aws.ToBool(in.CopyImageTags) {
		img.Tags = kit.MergeTags(copiedTags(c, src), img.Tags)
	}
	return img
}

// copiedTags returns the tags that a copy takes over: not those of AWS, and of another account's image none.
func copiedTags(c *wire.Call, src ec2types.Image) []ec2types.Tag {
	if *src.OwnerId != c.Account {
		return nil
	}
	tags := kit.TagMap(src.Tags)
	maps.DeleteFunc(tags, func(key, _ string) bool { return strings.HasPrefix(key, "aws:") })
	return kit.TagList(tags)
}

// replaceSnapshots returns the mappings with other snapshots.
func replaceSnapshots(mappings []ec2types.BlockDeviceMapping, by map[string]string) []ec2types.BlockDeviceMapping {
	all := make([]ec2types.BlockDeviceMapping, len(mappings))
	for i, m := range mappings {
		if m.Ebs != nil && m.Ebs.SnapshotId != nil {
			ebs := *m.Ebs
			ebs.SnapshotId = aws.String(by[*ebs.SnapshotId])
			m.Ebs = &ebs
		}
		all[i] = m
	}
	return all
}
