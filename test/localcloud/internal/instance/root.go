package instance

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// ReplaceRoot gives a running instance the root disk of an image in the place of its own, and restarts it. It is called inside an Update, returns at once,
// and goes on until ReplacingRoot says no. In EC2 the instance is said to run all the time; here it is seen to stop and to start.
func (s *Service) ReplaceRoot(r *state.Region, id, image string) error {
	in := r.Instances.Edit(id)
	if in == nil || in.State.Name != ec2types.InstanceStateNameRunning {
		return wire.Errorf("IncorrectInstanceState", "The instance '%s' is not in a state from which its root volume can be replaced.", id)
	}
	if _, err := rootOf(r, image); err != nil {
		return err
	}
	in.NewRoot = image
	s.powerOff(r, in, false)
	return nil
}

// ReplacingRoot reports whether an instance has not come back yet from the replacement of its root disk.
func (s *Service) ReplacingRoot(r *state.Region, id string) bool {
	in := r.Instances.Get(id)
	if in == nil {
		return false
	}
	switch in.State.Name {
	case ec2types.InstanceStateNamePending:
		return true
	case ec2types.InstanceStateNameRunning, ec2types.InstanceStateNameStopping, ec2types.InstanceStateNameStopped:
		return in.NewRoot != ""
	case ec2types.InstanceStateNameShuttingDown, ec2types.InstanceStateNameTerminated:
	}
	return false
}

// rootOf returns the mapping of an image for its root disk.
func rootOf(r *state.Region, image string) (*ec2types.EbsBlockDevice, error) {
	if i := r.Images.Get(image); i != nil && !i.Deregistered {
		for _, m := range i.BlockDeviceMappings {
			if m.Ebs != nil && aws.ToString(m.DeviceName) == aws.ToString(i.RootDeviceName) && r.Snapshots.Get(aws.ToString(m.Ebs.SnapshotId)) != nil {
				return m.Ebs, nil
			}
		}
	}
	return nil, wire.Errorf("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", image)
}

// renewRoot exchanges the root disk of an instance that was stopped for it, and starts it. Where the image is gone meanwhile it stays stopped.
func (s *Service) renewRoot(r *state.Region, in *state.Instance) {
	image := in.NewRoot
	in.NewRoot = ""
	root, err := rootOf(r, image)
	i := slices.IndexFunc(in.BlockDeviceMappings, func(m ec2types.InstanceBlockDeviceMapping) bool {
		return aws.ToString(m.DeviceName) == aws.ToString(in.RootDeviceName)
	})
	if err != nil || i < 0 {
		return
	}
	old := r.Volumes.Get(aws.ToString(in.BlockDeviceMappings[i].Ebs.VolumeId))
	if old == nil {
		return
	}
	volume, id := *old, kit.ID("vol")
	volume.VolumeId, volume.SnapshotId, volume.CreateTime = &id, root.SnapshotId, aws.Time(r.Now().Truncate(time.Millisecond))
	volume.Size = aws.Int32(max(aws.ToInt32(old.Size), aws.ToInt32(root.VolumeSize)))
	volume.Attachments = slices.Clone(old.Attachments)
	for j := range volume.Attachments {
		volume.Attachments[j].VolumeId = &id
	}
	r.Volumes.Delete(*old.VolumeId)
	r.Volumes.Put(id, &volume)
	in.BlockDeviceMappings = slices.Clone(in.BlockDeviceMappings)
	ebs := *in.BlockDeviceMappings[i].Ebs
	ebs.VolumeId = &id
	in.BlockDeviceMappings[i].Ebs = &ebs
	in.ImageId = &image
	s.powerOn(r, in)
}
