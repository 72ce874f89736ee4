package instance_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// What a volume becomes of what is asked for, and what cannot be one.
func TestVolumeTypes(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	n := aws.Int32
	for name, v := range map[string]struct {
		kind                   ec2types.VolumeType
		size, iops, throughput *int32
		gotIops, gotThroughput int32
		code, message          string
	}{
		"gp2 small":       {"gp2", n(1), nil, nil, 100, 0, "", ""},
		"gp2 by size":     {"", n(100), nil, nil, 300, 0, "", ""},
		"gp2 most":        {"gp2", n(16384), nil, nil, 16000, 0, "", ""},
		"gp2 iops":        {"gp2", n(100), n(300), nil, 0, 0, "InvalidParameterCombination", "The parameter iops is not supported for gp2 volumes."},
		"gp2 too large":   {"gp2", n(16385), nil, nil, 0, 0, "InvalidParameterValue", "Volume of 16385GiB is too large for volume type gp2; maximum is 16384GiB"},
		"gp2 throughput":  {"gp2", n(1), nil, n(125), 0, 0, "InvalidParameterCombination", "throughput can only be specified for volumeType gp3."},
		"gp3":             {"gp3", n(1), nil, nil, 3000, 125, "", ""},
		"gp3 figures":     {"gp3", n(100), n(4000), n(1000), 4000, 1000, "", ""},
		"gp3 few iops":    {"gp3", n(100), n(100), nil, 0, 0, "InvalidParameterValue", "Volume iops of 100 is too low; minimum is 3000."},
		"gp3 many iops":   {"gp3", n(1000), n(80001), nil, 0, 0, "InvalidParameterValue", "Volume iops of 80001 is too high; maximum is 80000."},
		"gp3 ratio":       {"gp3", n(20), n(15000), nil, 0, 0, "InvalidParameterValue", "Iops to volume size ratio of 750.000000 is too high; maximum is 500"},
		"gp3 throughput":  {"gp3", n(20), nil, n(2001), 0, 0, "InvalidParameterValue", ""},
		"gp3 fast, slow":  {"gp3", n(20), nil, n(1000), 0, 0, "InvalidParameterValue", "Throughput (MiBps) to iops ratio of 0.333333 is too high; maximum is 0.250000"},
		"gp3 large":       {"gp3", n(65537), nil, nil, 0, 0, "InvalidParameterValue", "Volume of 65537GiB is too large for volume type gp3; maximum is 65536GiB"},
		"io1":             {"io1", n(4), n(200), nil, 200, 0, "", ""},
		"io1 ratio":       {"io1", n(4), n(201), nil, 0, 0, "InvalidParameterValue", "Iops to volume size ratio of 50.250000 is too high; maximum is 50"},
		"io1 no iops":     {"io1", n(4), nil, nil, 0, 0, "MissingParameter", "The parameter iops must be specified for io1 volumes."},
		"io2 small":       {"io2", n(3), n(100), nil, 0, 0, "InvalidParameterValue", "Volume of 3GiB is too small for volume type io2; minimum is 4GiB"},
		"st1":             {"st1", n(125), nil, nil, 0, 0, "", ""},
		"st1 small":       {"st1", n(124), nil, nil, 0, 0, "InvalidParameterValue", "Volume of 124GiB is too small for volume type st1; minimum is 125GiB"},
		"sc1 iops":        {"sc1", n(125), n(100), nil, 0, 0, "InvalidParameterCombination", "The parameter iops is not supported for sc1 volumes."},
		"standard":        {"standard", n(1024), nil, nil, 0, 0, "", ""},
		"standard large":  {"standard", n(2000), nil, nil, 0, 0, "InvalidParameterValue", "Volume of 2000GiB is too large for volume type standard; maximum is 1024GiB"},
		"unknown":         {"gp9", n(1), nil, nil, 0, 0, "InvalidParameterValue", "Unsupported volume type 'gp9'."},
		"negative":        {"gp2", n(-1), nil, nil, 0, 0, "InvalidBlockDeviceMapping", ""},
		"without a size":  {"gp2", nil, nil, nil, 0, 0, "MissingParameter", "The request must contain the parameter size or snapshotId"},
		"size of nothing": {"gp2", n(0), nil, nil, 0, 0, "MissingParameter", ""},
	} {
		out, err := c.Client.CreateVolume(t.Context(), &ec2.CreateVolumeInput{
			AvailabilityZone: aws.String("us-east-1a"), VolumeType: v.kind, Size: v.size, Iops: v.iops, Throughput: v.throughput,
		})
		if f := ec2test.FailureOf(err); f.Code != v.code || v.message != "" && f.Message != v.message {
			t.Errorf("%s: got %s %q", name, f.Code, f.Message)
		}
		if err == nil && (aws.ToInt32(out.Iops) != v.gotIops || aws.ToInt32(out.Throughput) != v.gotThroughput || *out.Size != *v.size) {
			t.Errorf("%s: got %d IOPS, %d MiB/s", name, aws.ToInt32(out.Iops), aws.ToInt32(out.Throughput))
		}
	}
}

func TestCreateVolumeRequest(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	snapshot := ""
	c.Image(t, func(i *state.Image) { snapshot = *i.BlockDeviceMappings[0].Ebs.SnapshotId })
	zone := aws.String("us-east-1b")
	for name, v := range map[string]struct {
		in            ec2.CreateVolumeInput
		code, message string
	}{
		"of a snapshot": {ec2.CreateVolumeInput{AvailabilityZone: zone, SnapshotId: &snapshot}, "", ""},
		"larger":        {ec2.CreateVolumeInput{AvailabilityZone: zone, SnapshotId: &snapshot, Size: aws.Int32(9)}, "", ""},
		"smaller":       {ec2.CreateVolumeInput{AvailabilityZone: zone, SnapshotId: &snapshot, Size: aws.Int32(7)}, "InvalidBlockDeviceMapping", "Volume of size 7GB is smaller than snapshot '" + snapshot + "', expect size >= 8GB"},
		"zone by id":    {ec2.CreateVolumeInput{AvailabilityZoneId: aws.String("use1-az2"), Size: aws.Int32(1)}, "", ""},
		"no zone":       {ec2.CreateVolumeInput{Size: aws.Int32(1)}, "MissingParameter", "The request must contain the parameter zone"},
		"zone":          {ec2.CreateVolumeInput{AvailabilityZone: aws.String("eu-west-1a"), Size: aws.Int32(1)}, "InvalidZone.NotFound", "The zone 'eu-west-1a' does not exist."},
		"multi attach":  {ec2.CreateVolumeInput{AvailabilityZone: zone, Size: aws.Int32(4), MultiAttachEnabled: aws.Bool(true)}, "UnsupportedOperation", ""},
		"tags":          {ec2.CreateVolumeInput{AvailabilityZone: zone, Size: aws.Int32(1), TagSpecifications: instanceTags("a", "b")}, "InvalidParameterValue", "'instance' is not a valid taggable resource type for this operation."},
		"dry run":       {ec2.CreateVolumeInput{AvailabilityZone: zone, Size: aws.Int32(1), DryRun: aws.Bool(true)}, "DryRunOperation", ""},
	} {
		out, err := c.Client.CreateVolume(t.Context(), &v.in)
		if f := ec2test.FailureOf(err); f.Code != v.code || v.message != "" && f.Message != v.message {
			t.Errorf("%s: got %s %q", name, f.Code, f.Message)
		}
		if err == nil && (*out.AvailabilityZone != "us-east-1b" || *out.AvailabilityZoneId != "use1-az2" || *out.Encrypted || len(out.Attachments) != 0 || out.KmsKeyId != nil) {
			t.Errorf("%s: got %+v", name, out)
		}
	}
	encrypted, err := c.Client.CreateVolume(t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: zone, Size: aws.Int32(1), Encrypted: aws.Bool(true)})
	if err != nil || !*encrypted.Encrypted || *encrypted.KmsKeyId != "arn:aws:kms:us-east-1:"+ec2test.Account+":alias/aws/ebs" {
		t.Errorf("got %+v %v", encrypted, err)
	}
	in := &ec2.CreateVolumeInput{AvailabilityZone: zone, Size: aws.Int32(1), ClientToken: aws.String("t")}
	first, err := c.Client.CreateVolume(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.Client.CreateVolume(t.Context(), in); err != nil || *again.VolumeId != *first.VolumeId {
		t.Errorf("got %+v %v", again, err)
	}
	in.Size = aws.Int32(2)
	_, err = c.Client.CreateVolume(t.Context(), in)
	ec2test.Expect(t, err, "IdempotentParameterMismatch", "")
	_, err = c.As(ec2test.Other).DeleteVolume(t.Context(), &ec2.DeleteVolumeInput{VolumeId: first.VolumeId})
	ec2test.Expect(t, err, "InvalidVolume.NotFound", "The volume '"+*first.VolumeId+"' does not exist.")
	_, err = c.Client.DeleteVolume(t.Context(), &ec2.DeleteVolumeInput{VolumeId: first.VolumeId, DryRun: aws.Bool(true)})
	ec2test.Expect(t, err, "DryRunOperation", "")
}

// The mappings of a launch change those of the image by their device.
func TestLaunchDisks(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	at := func(device string, ebs *ec2types.EbsBlockDevice) ec2types.BlockDeviceMapping {
		return ec2types.BlockDeviceMapping{DeviceName: &device, Ebs: ebs}
	}
	yes, no := aws.Bool(true), aws.Bool(false)
	for name, v := range map[string]struct {
		in            []ec2types.BlockDeviceMapping
		volumes       int
		code, message string
	}{
		"as the image":     {nil, 1, "", ""},
		"data":             {[]ec2types.BlockDeviceMapping{at("/dev/sdb", &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(1)})}, 2, "", ""},
		"root to io1":      {[]ec2types.BlockDeviceMapping{at("/dev/xvda", &ec2types.EbsBlockDevice{VolumeType: "io1", Iops: aws.Int32(100), DeleteOnTermination: no})}, 1, "", ""},
		"root encrypted":   {[]ec2types.BlockDeviceMapping{at("/dev/xvda", &ec2types.EbsBlockDevice{Encrypted: yes})}, 1, "", ""},
		"instance store":   {[]ec2types.BlockDeviceMapping{{DeviceName: aws.String("/dev/sdc"), VirtualName: aws.String("ephemeral0")}}, 1, "", ""},
		"none there":       {[]ec2types.BlockDeviceMapping{{DeviceName: aws.String("/dev/sdc"), NoDevice: aws.String("")}}, 1, "", ""},
		"none for root":    {[]ec2types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), NoDevice: aws.String("")}}, 0, "InvalidBlockDeviceMapping", "The root device cannot be suppressed."},
		"no device":        {[]ec2types.BlockDeviceMapping{{Ebs: &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(1)}}}, 0, "MissingParameter", "The request must contain the parameter BlockDeviceMapping.n.DeviceName"},
		"no volume":        {[]ec2types.BlockDeviceMapping{{DeviceName: aws.String("/dev/sdb")}}, 0, "MissingParameter", "The request must contain the parameter size or snapshotId"},
		"root of another":  {[]ec2types.BlockDeviceMapping{at("/dev/xvda", &ec2types.EbsBlockDevice{SnapshotId: aws.String("snap-1")})}, 0, "InvalidBlockDeviceMapping", "snapshotId cannot be modified on root device"},
		"gp2 with iops":    {[]ec2types.BlockDeviceMapping{at("/dev/xvda", &ec2types.EbsBlockDevice{VolumeType: "gp2", Iops: aws.Int32(100)})}, 0, "InvalidParameterCombination", "The parameter iops is not supported for gp2 volumes."},
		"io1 without":      {[]ec2types.BlockDeviceMapping{at("/dev/xvda", &ec2types.EbsBlockDevice{VolumeType: "io1"})}, 0, "MissingParameter", "The parameter iops must be specified for io1 volumes."},
		"io1 throughput":   {[]ec2types.BlockDeviceMapping{at("/dev/xvda", &ec2types.EbsBlockDevice{VolumeType: "io1", Iops: aws.Int32(100), Throughput: aws.Int32(125)})}, 0, "InvalidParameterCombination", "throughput can only be specified for volumeType gp3."},
		"smaller":          {[]ec2types.BlockDeviceMapping{at("/dev/xvda", &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(7)})}, 0, "InvalidBlockDeviceMapping", ""},
		"missing snapshot": {[]ec2types.BlockDeviceMapping{at("/dev/sdb", &ec2types.EbsBlockDevice{SnapshotId: aws.String("snap-1")})}, 0, "InvalidSnapshot.NotFound", "The snapshot 'snap-1' does not exist."},
	} {
		out, err := c.Client.RunInstances(t.Context(), &ec2.RunInstancesInput{
			ImageId: aws.String(c.Image(t, nil)), InstanceType: "t3.nano", MinCount: aws.Int32(1), MaxCount: aws.Int32(1), BlockDeviceMappings: v.in,
		})
		if f := ec2test.FailureOf(err); f.Code != v.code || v.message != "" && f.Message != v.message {
			t.Errorf("%s: got %s %q", name, f.Code, f.Message)
		}
		if err != nil {
			continue
		}
		if got := len(c.driver.Spec(*out.Instances[0].InstanceId).Disks); got != v.volumes {
			t.Errorf("%s: got %d disks, want %d", name, got, v.volumes)
		}
	}
}
