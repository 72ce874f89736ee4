package image

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// createImage is CreateImage: an image of what is on the disks of an instance.
func (s *Service) createImage(ctx context.Context, c *wire.Call, in *ec2.CreateImageInput) (*ec2.CreateImageOutput, error) {
	if err := checkCreate(in); err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx) // the work goes on after the answer
	out := new(ec2.CreateImageOutput)
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		instance, err := imageable(r, c, *in.InstanceId)
		if err == nil {
			err = freeName(r, c.Account, *in.Name)
		}
		if err != nil {
			return err
		}
		img := createdImage(r, c, in, instance)
		mappings, volumes, err := imageMappings(r, in, instance)
		if err == nil {
			err = dryRun(in.DryRun)
		}
		if err != nil {
			return err
		}
		if s.reboot != nil && !aws.ToBool(in.NoReboot) && instance.State.Name == ec2types.InstanceStateNameRunning {
			s.reboot(r, *in.InstanceId)
		}
		tags := kit.TagsFor(in.TagSpecifications, ec2types.ResourceTypeSnapshot)
		for i, volume := range volumes {
			if volume != nil {
				snap := ofVolume(c, volume, fmt.Sprintf("Created by CreateImage(%s) for %s", *in.InstanceId, *img.ImageId), tags)
				mappings[i].Ebs.SnapshotId = snap.SnapshotId
				s.putTaken(ctx, r, snap)
			}
		}
		img.BlockDeviceMappings = mappings
		r.Images.Put(*img.ImageId, img)
		out.ImageId = img.ImageId
		return nil
	})
}

func checkCreate(in *ec2.CreateImageInput) error {
	if err := checkName(*in.Name); err != nil {
		return err
	}
	if in.SnapshotLocation != "" && in.SnapshotLocation != ec2types.SnapshotLocationEnumRegional {
		return wire.Errorf("UnsupportedOperation", "Local snapshots are not supported here")
	}
	return kit.CheckTagSpecs(in.TagSpecifications, ec2types.ResourceTypeImage, ec2types.ResourceTypeSnapshot)
}

// imageable returns an instance of the caller's that images can be made of.
func imageable(r *state.Region, c *wire.Call, id string) (*state.Instance, error) {
	in := r.Instances.Get(id)
	if in == nil || in.Account != c.Account {
		return nil, wire.Errorf("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id)
	}
	able := []ec2types.InstanceStateName{ec2types.InstanceStateNameRunning, ec2types.InstanceStateNameStopped, ec2types.InstanceStateNameStopping}
	if slices.Contains(able, in.State.Name) {
		return in, nil
	}
	return nil, wire.Errorf("IncorrectInstanceState", "The instance '%s' is not in a valid state for this operation: %s", id, in.State.Name) // the text is inferred
}

// createdImage returns the image of an instance without its disks.
func createdImage(r *state.Region, c *wire.Call, in *ec2.CreateImageInput, instance *state.Instance) *state.Image {
	img := newImage(c, *in.Name)
	img.State, img.Description = ec2types.ImageStatePending, given(in.Description)
	img.Architecture, img.VirtualizationType = instance.Architecture, instance.VirtualizationType
	img.RootDeviceName, img.EnaSupport, img.SriovNetSupport = instance.RootDeviceName, instance.EnaSupport, given(instance.SriovNetSupport)
	img.BootMode, img.TpmSupport = instance.BootMode, ec2types.TpmSupportValues(aws.ToString(instance.TpmSupport))
	if in.BootModeOverride != "" {
		img.BootMode = ec2types.BootModeValues(in.BootModeOverride)
	}
	img.KernelId, img.RamdiskId = given(instance.KernelId), given(instance.RamdiskId)
	img.SourceInstanceId, img.SourceImageId, img.SourceImageRegion = in.InstanceId, instance.ImageId, aws.String(c.Region)
	img.Tags = kit.TagsFor(in.TagSpecifications, ec2types.ResourceTypeImage)
	if base := r.Images.Get(aws.ToString(instance.ImageId)); base != nil {
		img.ImdsSupport, img.ImageWatermarks, img.UefiData = base.ImdsSupport, base.ImageWatermarks, base.UefiData
		img.PlatformDetails, img.UsageOperation, img.Platform = base.PlatformDetails, base.UsageOperation, base.Platform
	}
	return img
}

// imageMappings returns the block devices of the image, with the volume that each is to be a snapshot of. What the request says of a device
// comes first: it can change the device, leave it out, or add one.
func imageMappings(r *state.Region, in *ec2.CreateImageInput, instance *state.Instance) ([]ec2types.BlockDeviceMapping, []*state.Volume, error) {
	mappings, volumes := []ec2types.BlockDeviceMapping{}, []*state.Volume{}
	for _, device := range instance.BlockDeviceMappings {
		volume := r.Volumes.Get(aws.ToString(device.Ebs.VolumeId))
		wish := wishFor(in.BlockDeviceMappings, *device.DeviceName)
		if volume == nil || wish != nil && wish.NoDevice != nil {
			continue
		}
		ebs := &ec2types.EbsBlockDevice{
			DeleteOnTermination: device.Ebs.DeleteOnTermination, VolumeSize: volume.Size, VolumeType: volume.VolumeType,
			Iops: volume.Iops, Throughput: volume.Throughput, Encrypted: encrypted(volume),
		}
		if ebs.VolumeType == ec2types.VolumeTypeGp2 { // its performance follows from its size, and is not said
			ebs.Iops, ebs.Throughput = nil, nil
		}
		if wish != nil && wish.Ebs != nil {
			if err := grant(ebs, wish.Ebs); err != nil {
				return nil, nil, err
			}
		}
		mappings = append(mappings, ec2types.BlockDeviceMapping{DeviceName: device.DeviceName, Ebs: ebs})
		volumes = append(volumes, volume)
	}
	for _, wish := range in.BlockDeviceMappings {
		known := slices.ContainsFunc(instance.BlockDeviceMappings, func(d ec2types.InstanceBlockDeviceMapping) bool {
			return *d.DeviceName == aws.ToString(wish.DeviceName)
		})
		if known || wish.NoDevice != nil {
			continue
		}
		if wish.Ebs != nil && wish.Ebs.SnapshotId != nil {
			return nil, nil, wire.Errorf("UnsupportedOperation", "Snapshots in block device mappings of CreateImage are not supported here: use RegisterImage")
		}
		whole, err := newMapping(r, nil, wish)
		if err != nil {
			return nil, nil, err
		}
		mappings, volumes = append(mappings, whole), append(volumes, nil)
	}
	return mappings, volumes, nil
}

func encrypted(volume *state.Volume) *bool {
	return aws.Bool(aws.ToBool(volume.Encrypted))
}

func wishFor(wishes []ec2types.BlockDeviceMapping, device string) *ec2types.BlockDeviceMapping {
	for i := range wishes {
		if aws.ToString(wishes[i].DeviceName) == device {
			return &wishes[i]
		}
	}
	return nil
}

// grant changes a device as wished, where that is possible. The rules are documented, the texts inferred.
func grant(ebs, wish *ec2types.EbsBlockDevice) error {
	switch {
	case wish.SnapshotId != nil:
		return wire.Errorf("InvalidParameterCombination", "The snapshot of a device that the instance has cannot be chosen")
	case wish.Encrypted != nil && *wish.Encrypted != *ebs.Encrypted:
		return wire.Errorf("InvalidParameterCombination", "The encryption of a device that the instance has cannot be changed")
	case wish.VolumeSize != nil && *wish.VolumeSize < *ebs.VolumeSize:
		return wire.Errorf("InvalidBlockDeviceMapping", "Volume of size %dGB is smaller than the %dGB that the instance has", *wish.VolumeSize, *ebs.VolumeSize)
	}
	if wish.VolumeSize != nil {
		ebs.VolumeSize = wish.VolumeSize
	}
	if wish.DeleteOnTermination != nil {
		ebs.DeleteOnTermination = wish.DeleteOnTermination
	}
	if wish.VolumeType != "" {
		ebs.VolumeType, ebs.Iops, ebs.Throughput = wish.VolumeType, nil, nil
	}
	if wish.Iops != nil {
		ebs.Iops = wish.Iops
	}
	if wish.Throughput != nil {
		ebs.Throughput = wish.Throughput
	}
	fillVolume(ebs)
	return checkVolume(ebs)
}
