package instance

import (
	"cmp"
	"context"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/listing"
	"github.com/iibake/iibake/test/localcloud/internal/network"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

func volumeOf(r *state.Region, account, id string) (*state.Volume, error) {
	v := r.Volumes.Get(id)
	if v == nil || v.Account != account {
		return nil, wire.Errorf("InvalidVolume.NotFound", "The volume '%s' does not exist.", id)
	}
	return v, nil
}

func (s *Service) describeVolumes(_ context.Context, c *wire.Call, in *ec2.DescribeVolumesInput) (*ec2.DescribeVolumesOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, wire.ErrDryRun()
	}
	out := &ec2.DescribeVolumesOutput{Volumes: []ec2types.Volume{}}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		found, next, err := listing.Run(listing.Query[*state.Volume]{
			IDs: in.VolumeIds, Set: "volumeSet", Filters: in.Filters, None: &state.Volume{}, Attr: volumeAttribute,
			Page: page(c, in.MaxResults, in.NextToken),
			Get:  func(id string) (*state.Volume, error) { return volumeOf(r, c.Account, id) },
			All: func(yield func(*state.Volume) bool) {
				for _, v := range r.Volumes.All() {
					if v.Account == c.Account && !yield(v) {
						return
					}
				}
			},
			Key: func(v *state.Volume) string { return aws.ToString(v.VolumeId) },
		})
		for _, v := range found {
			out.Volumes = append(out.Volumes, v.Volume)
		}
		out.NextToken = next
		return err
	})
}

func volumeAttribute(v *state.Volume, name string) ([]string, bool) {
	var a ec2types.VolumeAttachment
	if len(v.Attachments) > 0 {
		a = v.Attachments[0]
	}
	switch name {
	case "volume-id":
		return listing.Values(v.VolumeId), true
	case "snapshot-id":
		return listing.Values(v.SnapshotId), true
	case "availability-zone":
		return listing.Values(v.AvailabilityZone), true
	case "availability-zone-id":
		return listing.Values(v.AvailabilityZoneId), true
	case "create-time":
		return times(v.CreateTime), true
	case "encrypted":
		return listing.Truth(v.Encrypted), true
	case "multi-attach-enabled":
		return listing.Truth(v.MultiAttachEnabled), true
	case "size":
		return []string{strconv.Itoa(int(aws.ToInt32(v.Size)))}, true
	case "status":
		return []string{string(v.State)}, true
	case "volume-type":
		return []string{string(v.VolumeType)}, true
	case "attachment.instance-id":
		return listing.Values(a.InstanceId), true
	case "attachment.device":
		return listing.Values(a.Device), true
	case "attachment.status":
		return []string{string(a.State)}, true
	case "attachment.attach-time":
		return times(a.AttachTime), true
	case "attachment.delete-on-termination":
		return listing.Truth(a.DeleteOnTermination), true
	case "fast-restored", "operator.managed":
		return []string{"false"}, true
	case "operator.principal":
		return nil, true
	}
	return kit.TagFilter(v.Tags, name)
}

func (s *Service) createVolume(_ context.Context, c *wire.Call, in *ec2.CreateVolumeInput) (*ec2.CreateVolumeOutput, error) {
	if err := kit.CheckTagSpecs(in.TagSpecifications, ec2types.ResourceTypeVolume); err != nil {
		return nil, err
	}
	var out ec2.CreateVolumeOutput
	return &out, s.store.Update(c.Region, func(r *state.Region) error {
		id, _, err := kit.Once(r, c, in.ClientToken, in, nil, func() (string, error) { return addVolume(r, c, in) })
		if err != nil {
			return err
		}
		v, err := volumeOf(r, c.Account, id)
		if err != nil {
			return err
		}
		out = ec2.CreateVolumeOutput{
			Attachments: []ec2types.VolumeAttachment{}, AvailabilityZone: v.AvailabilityZone, AvailabilityZoneId: v.AvailabilityZoneId, CreateTime: v.CreateTime,
			Encrypted: v.Encrypted, Iops: v.Iops, KmsKeyId: v.KmsKeyId, MultiAttachEnabled: v.MultiAttachEnabled, Size: v.Size, SnapshotId: v.SnapshotId,
			State: ec2types.VolumeStateCreating, Tags: v.Tags, Throughput: v.Throughput, VolumeId: v.VolumeId, VolumeType: v.VolumeType,
		}
		return nil
	})
}

// addVolume makes a volume and returns its id.
func addVolume(r *state.Region, c *wire.Call, in *ec2.CreateVolumeInput) (string, error) {
	name := cmp.Or(aws.ToString(in.AvailabilityZone), aws.ToString(in.AvailabilityZoneId))
	zone, ok := network.ZoneOf(c.Region, name)
	switch {
	case name == "":
		return "", wire.Errorf("MissingParameter", "The request must contain the parameter zone")
	case !ok:
		return "", wire.Errorf("InvalidZone.NotFound", "The zone '%s' does not exist.", name)
	case aws.ToBool(in.MultiAttachEnabled):
		return "", wire.Errorf("UnsupportedOperation", "Volumes for several instances are not supported here.")
	}
	d := disk{ebs: ec2types.EbsBlockDevice{
		Encrypted: in.Encrypted, Iops: in.Iops, KmsKeyId: in.KmsKeyId, SnapshotId: in.SnapshotId, Throughput: in.Throughput, VolumeSize: in.Size, VolumeType: in.VolumeType,
	}}
	if err := checkIops(cmp.Or(in.VolumeType, ec2types.VolumeTypeGp2), in.Iops); err != nil {
		return "", err
	}
	if err := d.complete(r, c.Account, false); err != nil {
		return "", err
	}
	if aws.ToBool(in.DryRun) {
		return "", wire.ErrDryRun()
	}
	id := kit.ID("vol")
	r.Volumes.Put(id, &state.Volume{Account: c.Account, Volume: ec2types.Volume{
		Attachments: []ec2types.VolumeAttachment{}, AvailabilityZone: &zone.Name, AvailabilityZoneId: &zone.ID, CreateTime: aws.Time(r.Now().Truncate(time.Millisecond)),
		Encrypted: d.ebs.Encrypted, Iops: d.ebs.Iops, KmsKeyId: d.ebs.KmsKeyId, MultiAttachEnabled: aws.Bool(false), OwnerId: &c.Account,
		Operator: &ec2types.OperatorResponse{Managed: aws.Bool(false)}, Size: d.ebs.VolumeSize, SnapshotId: aws.String(aws.ToString(d.ebs.SnapshotId)),
		State: ec2types.VolumeStateAvailable, Tags: kit.TagsFor(in.TagSpecifications, ec2types.ResourceTypeVolume), Throughput: d.ebs.Throughput,
		VolumeId: &id, VolumeType: d.ebs.VolumeType,
	}})
	return id, nil
}

func (s *Service) deleteVolume(_ context.Context, c *wire.Call, in *ec2.DeleteVolumeInput) (*ec2.DeleteVolumeOutput, error) {
	return &ec2.DeleteVolumeOutput{}, s.store.Update(c.Region, func(r *state.Region) error {
		v, err := volumeOf(r, c.Account, aws.ToString(in.VolumeId))
		if err != nil {
			return err
		}
		if aws.ToBool(in.DryRun) {
			return wire.ErrDryRun()
		}
		if len(v.Attachments) > 0 {
			return wire.Errorf("VolumeInUse", "Volume %s is currently attached to %s", *v.VolumeId, aws.ToString(v.Attachments[0].InstanceId))
		}
		r.Volumes.Delete(*v.VolumeId)
		return nil
	})
}
