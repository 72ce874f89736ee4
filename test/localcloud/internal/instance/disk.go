package instance

import (
	"cmp"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// disk is a block device of an instance to come: the image's mapping with what the launch says about it.
type disk struct {
	device string
	ebs    ec2types.EbsBlockDevice
}

// planDisks merges the mappings of the image and of the launch by device name.
func (p *plan) planDisks(r *state.Region) error {
	for _, m := range p.image.BlockDeviceMappings {
		if m.Ebs != nil {
			p.disks = append(p.disks, disk{device: aws.ToString(m.DeviceName), ebs: *m.Ebs})
		}
	}
	for _, m := range p.in.BlockDeviceMappings {
		if err := p.overrideDisk(m); err != nil {
			return err
		}
	}
	root := aws.ToString(p.image.RootDeviceName)
	i := slices.IndexFunc(p.disks, func(d disk) bool { return d.device == root })
	if i < 0 {
		return wire.Errorf("InvalidBlockDeviceMapping", "The root device '%s' of the image has no volume.", root)
	}
	for j := range p.disks {
		if err := p.disks[j].complete(r, p.account, j == i); err != nil {
			return err
		}
	}
	return nil
}

// overrideDisk applies one mapping of the launch.
func (p *plan) overrideDisk(m ec2types.BlockDeviceMapping) error {
	device := aws.ToString(m.DeviceName)
	if device == "" {
		return wire.Errorf("MissingParameter", "The request must contain the parameter BlockDeviceMapping.n.DeviceName")
	}
	i := slices.IndexFunc(p.disks, func(d disk) bool { return d.device == device })
	switch {
	case m.NoDevice != nil && i >= 0 && device == aws.ToString(p.image.RootDeviceName):
		return wire.Errorf("InvalidBlockDeviceMapping", "The root device cannot be suppressed.") // text inferred
	case m.NoDevice != nil:
		if i >= 0 {
			p.disks = slices.Delete(p.disks, i, i+1)
		}
		return nil
	case m.Ebs == nil && m.VirtualName == nil && i < 0:
		return wire.Errorf("MissingParameter", "The request must contain the parameter size or snapshotId")
	case m.Ebs == nil: // instance store volumes, which no type here has, are ignored as in EC2
		return nil
	case i < 0:
		p.disks = append(p.disks, disk{device: device})
		i = len(p.disks) - 1
	case aws.ToString(m.Ebs.SnapshotId) != "" && aws.ToString(m.Ebs.SnapshotId) != aws.ToString(p.disks[i].ebs.SnapshotId) &&
		device == aws.ToString(p.image.RootDeviceName):
		return wire.Errorf("InvalidBlockDeviceMapping", "snapshotId cannot be modified on root device")
	}
	p.disks[i].override(m.Ebs)
	return checkIops(cmp.Or(p.disks[i].ebs.VolumeType, ec2types.VolumeTypeGp2), m.Ebs.Iops)
}

func (d *disk) override(e *ec2types.EbsBlockDevice) {
	to := &d.ebs
	for _, f := range []struct{ to, from **string }{{&to.SnapshotId, &e.SnapshotId}, {&to.KmsKeyId, &e.KmsKeyId}} {
		if aws.ToString(*f.from) != "" {
			*f.to = *f.from
		}
	}
	for _, f := range []struct{ to, from **int32 }{{&to.VolumeSize, &e.VolumeSize}, {&to.Iops, &e.Iops}, {&to.Throughput, &e.Throughput}} {
		if *f.from != nil {
			*f.to = *f.from
		}
	}
	if e.DeleteOnTermination != nil {
		to.DeleteOnTermination = e.DeleteOnTermination
	}
	if e.Encrypted != nil {
		to.Encrypted = e.Encrypted
	}
	if e.VolumeType != "" {
		if e.VolumeType != to.VolumeType { // figures of another type mean nothing
			to.Iops, to.Throughput = e.Iops, e.Throughput
		}
		to.VolumeType = e.VolumeType
	}
}

// complete fills in what the snapshot and the type of the volume decide.
func (d *disk) complete(r *state.Region, account string, root bool) error {
	e := &d.ebs
	if aws.ToInt32(e.VolumeSize) < 0 {
		return wire.Errorf("InvalidBlockDeviceMapping", "Invalid volume size for %s: %d", d.device, *e.VolumeSize)
	}
	if id := aws.ToString(e.SnapshotId); id != "" {
		if err := d.from(r.Snapshots.Get(id), id); err != nil {
			return err
		}
	} else if root || aws.ToInt32(e.VolumeSize) == 0 {
		return wire.Errorf("MissingParameter", "The request must contain the parameter size or snapshotId")
	}
	if e.DeleteOnTermination == nil {
		e.DeleteOnTermination = aws.Bool(root) // data volumes stay [documented]
	}
	if e.Encrypted == nil {
		e.Encrypted = aws.Bool(false)
	}
	if *e.Encrypted && aws.ToString(e.KmsKeyId) == "" {
		e.KmsKeyId = aws.String("arn:aws:kms:" + r.Name + ":" + account + ":alias/aws/ebs")
	}
	return completeVolume(e)
}

// from takes size and encryption of a snapshot.
func (d *disk) from(s *state.Snapshot, id string) error {
	switch {
	case s == nil:
		return wire.Errorf("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", id)
	case s.State != ec2types.SnapshotStateCompleted:
		return wire.Errorf("IncorrectState", "Snapshot is in invalid state - %s", s.State)
	}
	size := aws.ToInt32(s.VolumeSize)
	if d.ebs.VolumeSize == nil {
		d.ebs.VolumeSize = &size
	}
	if *d.ebs.VolumeSize < size {
		return wire.Errorf("InvalidBlockDeviceMapping", "Volume of size %dGB is smaller than snapshot '%s', expect size >= %dGB", *d.ebs.VolumeSize, id, size)
	}
	if aws.ToBool(s.Encrypted) {
		d.ebs.Encrypted = s.Encrypted
		if d.ebs.KmsKeyId == nil {
			d.ebs.KmsKeyId = s.KmsKeyId
		}
	}
	return nil
}

// completeVolume checks and fills in what the type of a volume decides [documented].
func completeVolume(e *ec2types.EbsBlockDevice) error {
	e.VolumeType = cmp.Or(e.VolumeType, ec2types.VolumeTypeGp2)
	switch e.VolumeType {
	case ec2types.VolumeTypeGp3:
		e.Iops, e.Throughput = cmp.Or(e.Iops, aws.Int32(3000)), cmp.Or(e.Throughput, aws.Int32(125))
	case ec2types.VolumeTypeGp2:
		e.Iops = aws.Int32(min(16000, max(100, 3**e.VolumeSize)))
	case ec2types.VolumeTypeIo1, ec2types.VolumeTypeIo2:
		if e.Iops == nil {
			return wire.Errorf("MissingParameter", "The parameter iops must be specified for %s volumes.", e.VolumeType)
		}
	case ec2types.VolumeTypeStandard, ec2types.VolumeTypeSt1, ec2types.VolumeTypeSc1:
	}
	return checkLimits(e)
}

// attachDelay is how long after the launch the volumes are attached, as recorded.
const attachDelay = time.Second

// volumes makes the volumes of an instance.
func (p *plan) volumes(r *state.Region, in *state.Instance) {
	attached := in.LaunchTime.Add(attachDelay)
	mappings := make([]ec2types.InstanceBlockDeviceMapping, 0, len(p.disks))
	for i := range p.disks {
		d := &p.disks[i]
		id := kit.ID("vol")
		r.Volumes.Put(id, &state.Volume{Account: p.account, Volume: ec2types.Volume{
			Attachments: []ec2types.VolumeAttachment{{
				AttachTime: &attached, DeleteOnTermination: d.ebs.DeleteOnTermination, Device: &d.device, InstanceId: in.InstanceId,
				State: ec2types.VolumeAttachmentStateAttached, VolumeId: &id,
			}},
			AvailabilityZone: &p.zone.Name, AvailabilityZoneId: &p.zone.ID, CreateTime: aws.Time(r.Now().Truncate(time.Millisecond)),
			Encrypted: d.ebs.Encrypted, Iops: d.ebs.Iops, KmsKeyId: d.ebs.KmsKeyId, MultiAttachEnabled: aws.Bool(false),
			Operator: &ec2types.OperatorResponse{Managed: aws.Bool(false)}, OwnerId: &p.account, Size: d.ebs.VolumeSize, SnapshotId: aws.String(aws.ToString(d.ebs.SnapshotId)),
			State: ec2types.VolumeStateInUse, Tags: p.tags[ec2types.ResourceTypeVolume], Throughput: d.ebs.Throughput, VolumeId: &id, VolumeType: d.ebs.VolumeType,
		}})
		mappings = append(mappings, ec2types.InstanceBlockDeviceMapping{DeviceName: &d.device, Ebs: &ec2types.EbsInstanceBlockDevice{
			AttachTime: &attached, DeleteOnTermination: d.ebs.DeleteOnTermination, Status: ec2types.AttachmentStatusAttached, VolumeId: &id,
		}})
	}
	in.BlockDeviceMappings = mappings
}

// specDisks returns the disks to run an instance with, the root disk first.
func specDisks(r *state.Region, in *state.Instance) []compute.Disk {
	var disks []compute.Disk
	for _, m := range in.BlockDeviceMappings {
		v := r.Volumes.Get(aws.ToString(m.Ebs.VolumeId))
		if v == nil {
			continue
		}
		d := compute.Disk{Device: aws.ToString(m.DeviceName), Volume: *v.VolumeId, Size: bake.Size(aws.ToInt32(v.Size)) * bake.GiB}
		if s := r.Snapshots.Get(aws.ToString(v.SnapshotId)); s != nil {
			d.Disk = s.Disk
		}
		if d.Device == aws.ToString(in.RootDeviceName) {
			disks = slices.Insert(disks, 0, d)
		} else {
			disks = append(disks, d)
		}
	}
	return disks
}
