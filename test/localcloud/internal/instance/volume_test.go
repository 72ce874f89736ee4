package instance_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
)

func TestVolumes(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := c.running(t, func(in *ec2.RunInstancesInput) {
		in.BlockDeviceMappings = []ec2types.BlockDeviceMapping{
			{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(20)}},
			{DeviceName: aws.String("/dev/sdb"), Ebs: &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(3), VolumeType: "gp2"}},
		}
		in.TagSpecifications = []ec2types.TagSpecification{{ResourceType: "volume", Tags: []ec2types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}}
	})
	out, err := c.Client.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{Filters: []ec2types.Filter{{Name: aws.String("attachment.instance-id"), Values: []string{id}}}})
	if err != nil || len(out.Volumes) != 2 {
		t.Fatalf("got %+v %v", out, err)
	}
	data := ""
	for _, v := range out.Volumes {
		root := *v.Attachments[0].Device == "/dev/xvda"
		if root && (*v.Size != 20 || v.VolumeType != "gp3" || *v.Iops != 3000 || *v.Throughput != 125 || !*v.Attachments[0].DeleteOnTermination) || len(v.Tags) != 1 {
			t.Errorf("got %+v", v)
		}
		if !root {
			data = *v.VolumeId
			if *v.Size != 3 || *v.Iops != 100 || *v.SnapshotId != "" || *v.Attachments[0].DeleteOnTermination {
				t.Errorf("got %+v", v)
			}
		}
	}
	if spec := c.driver.Spec(id); len(spec.Disks) != 2 || spec.Disks[0].Device != "/dev/xvda" || spec.Disks[1].Disk != "" {
		t.Errorf("the root disk comes first: %+v", spec.Disks)
	}
	_, err = c.Client.DeleteVolume(t.Context(), &ec2.DeleteVolumeInput{VolumeId: &data})
	ec2test.Expect(t, err, "VolumeInUse", "Volume "+data+" is currently attached to "+id)
	if _, err := c.Client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}}); err != nil {
		t.Fatal(err)
	}
	c.Clock.Advance(time.Minute)
	left, err := c.Client.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{})
	if err != nil || len(left.Volumes) != 1 || *left.Volumes[0].VolumeId != data || left.Volumes[0].State != "available" || len(left.Volumes[0].Attachments) != 0 {
		t.Errorf("got %+v %v", left, err)
	}
	_, err = c.Client.DeleteVolume(t.Context(), &ec2.DeleteVolumeInput{VolumeId: &data})
	ec2test.Expect(t, err, "", "")
	_, err = c.Client.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{VolumeIds: []string{data}})
	ec2test.Expect(t, err, "InvalidVolume.NotFound", "The volume '"+data+"' does not exist.")
}

func TestCreateVolume(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	out, err := c.Client.CreateVolume(t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: aws.String("us-east-1a"), Size: aws.Int32(10)})
	if err != nil || out.VolumeType != "gp2" || out.State != "creating" {
		t.Fatalf("got %+v %v", out, err)
	}
	for code, in := range map[string]ec2.CreateVolumeInput{
		"InvalidZone.NotFound":        {AvailabilityZone: aws.String("x"), Size: aws.Int32(1)},
		"MissingParameter":            {AvailabilityZone: aws.String("us-east-1a")},
		"InvalidSnapshot.NotFound":    {AvailabilityZone: aws.String("us-east-1a"), SnapshotId: aws.String("snap-1")},
		"InvalidParameterCombination": {AvailabilityZone: aws.String("us-east-1a"), Size: aws.Int32(1), Throughput: aws.Int32(200)},
	} {
		_, err := c.Client.CreateVolume(t.Context(), &in)
		ec2test.Expect(t, err, code, "")
	}
}
