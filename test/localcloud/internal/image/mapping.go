package image

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// newMappings returns the block devices that a request registers, with what it leaves open filled in.
func newMappings(r *state.Region, c *wire.Call, in *ec2.RegisterImageInput) ([]ec2types.BlockDeviceMapping, error) {
	all := make([]ec2types.BlockDeviceMapping, 0, len(in.BlockDeviceMappings))
	root := false
	for _, m := range in.BlockDeviceMappings {
		whole, err := newMapping(r, c, m)
		if err != nil {
			return nil, err
		}
		root = root || m.Ebs != nil && m.Ebs.SnapshotId != nil && m.DeviceName != nil && aws.ToString(in.RootDeviceName) == *m.DeviceName
		all = append(all, whole)
	}
	if !root {
		return nil, wire.Errorf("InvalidBlockDeviceMapping", "No root snapshot specified in device mapping.")
	}
	return all, nil
}

func newMapping(r *state.Region, c *wire.Call, m ec2types.BlockDeviceMapping) (ec2types.BlockDeviceMapping, error) {
	if m.Ebs == nil {
		return m, nil // of an instance store, or NoDevice
	}
	ebs := *m.Ebs
	if ebs.DeleteOnTermination == nil {
		ebs.DeleteOnTermination = aws.Bool(true)
	}
	if ebs.SnapshotId != nil {
		if err := fromSnapshot(r, c, &ebs); err != nil {
			return m, err
		}
	} else if ebs.Encrypted == nil {
		ebs.Encrypted = aws.Bool(false)
	}
	fillVolume(&ebs)
	m.Ebs = &ebs
	return m, checkVolume(&ebs)
}

// fromSnapshot checks the snapshot of a mapping, and takes over what the mapping leaves open.
func fromSnapshot(r *state.Region, c *wire.Call, ebs *ec2types.EbsBlockDevice) error {
	id := *ebs.SnapshotId
	if ebs.Encrypted != nil {
		return wire.Errorf("InvalidParameter", "Parameter encrypted is invalid. You cannot specify the encrypted flag if specifying a snapshot id in a block device mapping.")
	}
	snap, err := findSnapshot(r, c, id)
	switch {
	case err != nil:
		return wire.Errorf("InvalidSnapshotID.NotFound", "The snapshot ID '%s' does not exist", id)
	case *snap.OwnerId != c.Account:
		return wire.Errorf("InvalidParameterValue", "Invalid value '%s' for snapshotId. Snapshot does not belong to %s", id, c.Account)
	case snap.State != ec2types.SnapshotStateCompleted: // inferred
		return wire.Errorf("IncorrectState", "Snapshot is in invalid state - %s", snap.State)
	case ebs.VolumeSize != nil && *ebs.VolumeSize < *snap.VolumeSize: // inferred
		return wire.Errorf("InvalidBlockDeviceMapping", "Volume of size %dGB is smaller than snapshot '%s', expect size >= %dGB", *ebs.VolumeSize, id, *snap.VolumeSize)
	}
	if ebs.VolumeSize == nil {
		ebs.VolumeSize = snap.VolumeSize
	}
	ebs.Encrypted = snap.Encrypted
	return nil
}

// fillVolume gives a volume the type and the performance that it has where nobody says otherwise.
func fillVolume(ebs *ec2types.EbsBlockDevice) {
	if ebs.VolumeType == "" {
		ebs.VolumeType = ec2types.VolumeTypeGp2
	}
	if ebs.VolumeType == ec2types.VolumeTypeGp3 {
		if ebs.Iops == nil {
			ebs.Iops = aws.Int32(3000)
		}
		if ebs.Throughput == nil {
			ebs.Throughput = aws.Int32(125)
		}
	}
}

// checkVolume refuses volumes that cannot be made. The rules are documented, the texts inferred.
func checkVolume(ebs *ec2types.EbsBlockDevice) error {
	switch {
	case !slices.Contains(ebs.VolumeType.Values(), ebs.VolumeType):
		return wire.Errorf("InvalidParameterValue", "Value (%s) for parameter volumeType is invalid.", ebs.VolumeType)
	case ebs.VolumeSize == nil:
		return wire.Errorf("MissingParameter", "The request must contain the parameter size or snapshotId")
	case *ebs.VolumeSize < 1:
		return wire.Errorf("InvalidParameterValue", "Value (%d) for parameter volumeSize is invalid.", *ebs.VolumeSize)
	case (ebs.VolumeType == ec2types.VolumeTypeIo1 || ebs.VolumeType == ec2types.VolumeTypeIo2) && ebs.Iops == nil:
		return wire.Errorf("MissingParameter", "The request must contain the parameter iops for %s volumes", ebs.VolumeType)
	}
	return nil
}

// usedBy returns the images, registered ones only, newest first, that have a snapshot in a mapping.
func usedBy(r *state.Region, snapshot string) []string {
	var users []*state.Image
	for _, img := range r.Images.All() {
		if !img.Deregistered && slices.Contains(snapshotsOf(img), snapshot) {
			users = append(users, img)
		}
	}
	slices.SortFunc(users, func(a, b *state.Image) int {
		return newestFirst(*a.CreationDate, *b.CreationDate, *a.ImageId, *b.ImageId)
	})
	ids := make([]string, len(users))
	for i, img := range users {
		ids[i] = *img.ImageId
	}
	return ids
}

func newestFirst(a, b, idA, idB string) int {
	switch {
	case a > b, a == b && idA < idB:
		return -1
	case a == b && idA == idB:
		return 0
	}
	return 1
}

// snapshotsOf returns the snapshots in the mappings of an image, each once.
func snapshotsOf(img *state.Image) []string {
	var ids []string
	for _, m := range img.BlockDeviceMappings {
		if m.Ebs != nil && m.Ebs.SnapshotId != nil && !slices.Contains(ids, *m.Ebs.SnapshotId) {
			ids = append(ids, *m.Ebs.SnapshotId)
		}
	}
	return ids
}
