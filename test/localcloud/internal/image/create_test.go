package image_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

const instanceID = "i-00000000000000001"

// launch records a running instance of an image with a root volume and a data volume, as the instance service does.
func (c *cloud) launch(id string) {
	c.t.Helper()
	_ = c.store.Update(ireland, func(r *state.Region) error {
		in := &state.Instance{Account: owner, Instance: ec2types.Instance{
			InstanceId: aws.String(instanceID), ImageId: &id, State: &ec2types.InstanceState{Name: ec2types.InstanceStateNameRunning},
			Architecture: ec2types.ArchitectureValuesX8664, VirtualizationType: ec2types.VirtualizationTypeHvm, RootDeviceName: aws.String("/dev/xvda"),
			EnaSupport: aws.Bool(true), BootMode: ec2types.BootModeValuesUefi,
		}}
		for i, device := range []string{"/dev/xvda", "/dev/sdb"} {
			volume := fmt.Sprintf("vol-0000000000000000%d", i)
			v := &state.Volume{Account: owner, Volume: ec2types.Volume{
				VolumeId: &volume, Size: aws.Int32(int32(i + 1)), VolumeType: ec2types.VolumeTypeGp3, Iops: aws.Int32(3000), Throughput: aws.Int32(125),
				Encrypted: aws.Bool(false), Attachments: []ec2types.VolumeAttachment{{InstanceId: aws.String(instanceID), Device: &device}},
			}}
			if i == 0 {
				v.SnapshotId = &c.root
			}
			r.Volumes.Put(volume, v)
			in.BlockDeviceMappings = append(in.BlockDeviceMappings, ec2types.InstanceBlockDeviceMapping{
				DeviceName: &device, Ebs: &ec2types.EbsInstanceBlockDevice{VolumeId: &volume, DeleteOnTermination: aws.Bool(i == 0)},
			})
		}
		r.Instances.Put(instanceID, in)
		return nil
	})
}

func TestCreateImage(t *testing.T) {
	c := newCloud(t)
	base := c.register("base")
	c.launch(base)
	rebooted := 0
	c.service.SetDisks(nil, func(_ *state.Region, id string) {
		if id == instanceID {
			rebooted++
		}
	})
	in := &ec2.CreateImageInput{InstanceId: aws.String(instanceID), Name: aws.String("baked"), Description: aws.String("text")}
	out, err := c.ec2(owner, ireland).CreateImage(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.image(owner, ireland, *out.ImageId); got.State != ec2types.ImageStatePending || rebooted != 1 {
		t.Errorf("%+v, rebooted %d times", got, rebooted)
	}
	c.clock.Advance(time.Minute)
	got := c.image(owner, ireland, *out.ImageId)
	if got.State != ec2types.ImageStateAvailable || *got.SourceInstanceId != instanceID || *got.SourceImageId != base || *got.SourceImageRegion != ireland ||
		!*got.EnaSupport || got.BootMode != ec2types.BootModeValuesUefi || *got.Description != "text" || len(got.BlockDeviceMappings) != 2 {
		t.Fatalf("%+v", got)
	}
	root, data := got.BlockDeviceMappings[0].Ebs, got.BlockDeviceMappings[1].Ebs
	if !*root.DeleteOnTermination || *data.DeleteOnTermination || *data.VolumeSize != 2 || *root.Iops != 3000 || root.VolumeType != ec2types.VolumeTypeGp3 {
		t.Errorf("%+v, %+v", root, data)
	}
	snap := c.snapshot(owner, ireland, *root.SnapshotId)
	if *snap.Description != "Created by CreateImage("+instanceID+") for "+*out.ImageId || *snap.VolumeId != "vol-00000000000000000" || *snap.FullSnapshotSizeInBytes != 524288 {
		t.Errorf("%+v", snap)
	}
	if empty := c.snapshot(owner, ireland, *data.SnapshotId); *empty.FullSnapshotSizeInBytes != 0 || *empty.VolumeSize != 2 {
		t.Errorf("%+v", empty)
	}
	_, err = c.ec2(owner, ireland).CreateImage(t.Context(), in)
	want(t, err, "InvalidAMIName.Duplicate", "AMI name baked is already in use by AMI "+*out.ImageId)
}

func TestCreateImageMappings(t *testing.T) {
	c := newCloud(t)
	c.launch(c.register("base"))
	create := func(name string, mappings ...ec2types.BlockDeviceMapping) (ec2types.Image, error) {
		out, err := c.ec2(owner, ireland).CreateImage(t.Context(), &ec2.CreateImageInput{
			InstanceId: aws.String(instanceID), Name: &name, NoReboot: aws.Bool(true), BlockDeviceMappings: mappings,
		})
		if err != nil {
			return ec2types.Image{}, err
		}
		c.clock.Advance(time.Minute)
		return c.image(owner, ireland, *out.ImageId), nil
	}
	root, data, more := aws.String("/dev/xvda"), aws.String("/dev/sdb"), aws.String("/dev/sdc")
	got, err := create("other",
		ec2types.BlockDeviceMapping{DeviceName: data, NoDevice: aws.String("")},
		ec2types.BlockDeviceMapping{DeviceName: root, Ebs: &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(9), VolumeType: ec2types.VolumeTypeGp2}},
		ec2types.BlockDeviceMapping{DeviceName: more, Ebs: &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(5)}})
	if err != nil || len(got.BlockDeviceMappings) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	if first, second := got.BlockDeviceMappings[0].Ebs, got.BlockDeviceMappings[1].Ebs; *first.VolumeSize != 9 || first.VolumeType != "gp2" || first.Iops != nil ||
		second.SnapshotId != nil || *second.VolumeSize != 5 {
		t.Errorf("%+v, %+v", first, second)
	}
	_, err = create("small", ec2types.BlockDeviceMapping{DeviceName: data, Ebs: &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(1)}})
	want(t, err, "InvalidBlockDeviceMapping", "Volume of size 1GB is smaller than the 2GB that the instance has")
	_, err = create("crypt", ec2types.BlockDeviceMapping{DeviceName: data, Ebs: &ec2types.EbsBlockDevice{Encrypted: aws.Bool(true)}})
	want(t, err, "InvalidParameterCombination", "The encryption of a device that the instance has cannot be changed")
	_, err = create("snap", ec2types.BlockDeviceMapping{DeviceName: more, Ebs: &ec2types.EbsBlockDevice{SnapshotId: &c.root}})
	want(t, err, "UnsupportedOperation", "Snapshots in block device mappings of CreateImage are not supported here: use RegisterImage")
}

// disks are the disks of instances, of a driver that has some.
type disks struct {
	digest bake.Digest
	err    error
}

func (d disks) Snapshot(context.Context, string, string) (bake.Digest, error) { return d.digest, d.err }

func TestImageOfRealDisks(t *testing.T) {
	c := newCloud(t)
	c.launch(c.register("base"))
	for name, d := range map[string]disks{"works": {digest: c.diskOf(2, 7)}, "breaks": {err: errors.New("disk full")}} {
		c.service.SetDisks(d, nil)
		out, err := c.ec2(owner, ireland).CreateImage(t.Context(), &ec2.CreateImageInput{InstanceId: aws.String(instanceID), Name: aws.String("real-" + name)})
		if err != nil {
			t.Fatal(err)
		}
		c.service.Close()
		c.clock.Advance(time.Minute)
		got := c.image(owner, ireland, *out.ImageId)
		switch {
		case d.err == nil && got.State != ec2types.ImageStateAvailable:
			t.Errorf("%+v", got)
		case d.err != nil && (got.State != ec2types.ImageStateFailed || got.StateReason == nil):
			t.Errorf("%+v", got)
		}
	}
}

func TestCreateImageRefuses(t *testing.T) {
	c := newCloud(t)
	c.launch(c.register("base"))
	create := func(account, id string) error {
		_, err := c.ec2(account, ireland).CreateImage(t.Context(), &ec2.CreateImageInput{InstanceId: &id, Name: aws.String("name"), DryRun: aws.Bool(true)})
		return err
	}
	wantDryRun(t, create(owner, instanceID))
	want(t, create(friend, instanceID), "InvalidInstanceID.NotFound", "The instance ID '"+instanceID+"' does not exist")
	_ = c.store.Update(ireland, func(r *state.Region) error {
		r.Instances.Edit(instanceID).State = &ec2types.InstanceState{Name: ec2types.InstanceStateNameTerminated}
		return nil
	})
	want(t, create(owner, instanceID), "IncorrectInstanceState", "The instance '"+instanceID+"' is not in a valid state for this operation: terminated")
}

func TestCreateSnapshot(t *testing.T) {
	c := newCloud(t)
	c.launch(c.register("base"))
	out, err := c.ec2(owner, ireland).CreateSnapshot(t.Context(), &ec2.CreateSnapshotInput{VolumeId: aws.String("vol-00000000000000000"), Description: aws.String("text")})
	if err != nil || out.State != ec2types.SnapshotStatePending || *out.Progress != "" || *out.VolumeSize != 1 || out.Tags == nil {
		t.Fatalf("%+v, %v", out, err)
	}
	c.clock.Advance(time.Minute)
	if got := c.snapshot(owner, ireland, *out.SnapshotId); got.State != ec2types.SnapshotStateCompleted || *got.FullSnapshotSizeInBytes != 524288 {
		t.Errorf("%+v", got)
	}
	_, err = c.ec2(friend, ireland).CreateSnapshot(t.Context(), &ec2.CreateSnapshotInput{VolumeId: aws.String("vol-00000000000000000")})
	want(t, err, "InvalidVolume.NotFound", "The volume 'vol-00000000000000000' does not exist.")
	all, err := c.ec2(owner, ireland).CreateSnapshots(t.Context(), &ec2.CreateSnapshotsInput{
		InstanceSpecification: &ec2types.InstanceSpecification{InstanceId: aws.String(instanceID), ExcludeBootVolume: aws.Bool(true)},
	})
	if err != nil || len(all.Snapshots) != 1 || *all.Snapshots[0].VolumeSize != 2 {
		t.Errorf("%+v, %v", all, err)
	}
}
