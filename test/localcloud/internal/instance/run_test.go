package instance_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

func TestRunInstances(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	out, err := c.Client.RunInstances(t.Context(), &ec2.RunInstancesInput{
		ImageId: aws.String(c.Image(t, nil)), InstanceType: "t3.nano", MinCount: aws.Int32(1), MaxCount: aws.Int32(2), ClientToken: aws.String("once"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Instances) != 2 || out.RequesterId != nil || *out.OwnerId != ec2test.Account || !strings.HasPrefix(*out.ReservationId, "r-0") {
		t.Fatalf("got %+v", out)
	}
	in := out.Instances[0]
	if in.State.Name != "pending" || *in.State.Code != 0 || *in.StateReason.Code != "pending" || *in.StateReason.Message != "pending" || in.MetadataOptions.State != "pending" ||
		in.BlockDeviceMappings == nil || len(in.BlockDeviceMappings) != 0 || *in.ClientToken != "once" || *in.StateTransitionReason != "" || in.LaunchTime.Nanosecond() != 0 {
		t.Errorf("got %+v", in)
	}
	if in.HibernationOptions != nil || in.PlatformDetails != nil || in.UsageOperation != nil || in.NetworkPerformanceOptions != nil || in.SecondaryInterfaces != nil || in.Operator.HiddenByDefault != nil {
		t.Errorf("RunInstances shows more than the real one: %+v", in)
	}
	c.Clock.Advance(5 * time.Second)
	run := c.get(t, *in.InstanceId)
	if run.State.Name != "running" || run.StateReason != nil || run.MetadataOptions.State != "applied" || *run.PublicIpAddress != "100.64.0.1" ||
		*run.PublicDnsName != "ec2-100-64-0-1.compute-1.amazonaws.com" || run.NetworkInterfaces[0].Attachment.Status != "attached" {
		t.Errorf("got %+v", run)
	}
	if run.HibernationOptions == nil || *run.PlatformDetails != "Linux/UNIX" || *run.UsageOperation != "RunInstances" || run.NetworkPerformanceOptions == nil || *run.Operator.HiddenByDefault {
		t.Errorf("DescribeInstances shows less than the real one: %+v", run)
	}
	if m := run.BlockDeviceMappings[0]; *m.DeviceName != "/dev/xvda" || m.Ebs.Status != "attached" || !m.Ebs.AttachTime.Equal(run.LaunchTime.Add(time.Second)) {
		t.Errorf("got %+v", m)
	}
	spec := c.driver.Spec(*in.InstanceId)
	if spec.CPUs != 2 || spec.Memory != bake.GiB/2 || spec.Arch != bake.AMD64 || spec.Firmware != bake.BIOS || len(spec.Disks) != 1 || spec.Disks[0].Size != 8*bake.GiB ||
		spec.Disks[0].Disk == "" || spec.Zone != *run.Placement.AvailabilityZone || spec.Addresses.Private != *run.PrivateIpAddress || spec.Metadata.Reservation != *out.ReservationId {
		t.Errorf("got %+v", spec)
	}
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	own := c.Image(t, nil)
	arm := c.Image(t, func(i *state.Image) { i.Architecture = "arm64" })
	old := c.Image(t, func(i *state.Image) { i.EnaSupport = nil })
	foreign := c.Image(t, func(i *state.Image) { i.OwnerId = aws.String(ec2test.Other) })
	gone := c.Image(t, func(i *state.Image) { i.Deregistered = true })
	disabled := c.Image(t, func(i *state.Image) { i.State = ec2types.ImageStateDisabled })
	type edit = func(*ec2.RunInstancesInput)
	for name, v := range map[string]struct {
		edit          edit
		code, message string
	}{
		"dry run":         {func(in *ec2.RunInstancesInput) { in.DryRun = aws.Bool(true) }, "DryRunOperation", ""},
		"no image":        {func(in *ec2.RunInstancesInput) { in.ImageId, in.DryRun = nil, aws.Bool(true) }, "MissingParameter", "The request must contain the parameter ImageId"},
		"malformed image": {func(in *ec2.RunInstancesInput) { in.ImageId = aws.String("x") }, "InvalidAMIID.Malformed", ""},
		"unknown image":   {func(in *ec2.RunInstancesInput) { in.ImageId = aws.String("ami-0123456789abcdef0") }, "InvalidAMIID.NotFound", "The image id '[ami-0123456789abcdef0]' does not exist"},
		"foreign image":   {func(in *ec2.RunInstancesInput) { in.ImageId = &foreign }, "AuthFailure", "Not authorized for images: [" + foreign + "]"},
		"deregistered":    {func(in *ec2.RunInstancesInput) { in.ImageId = &gone }, "InvalidAMIID.Unavailable", "The image ID '" + gone + "' is no longer available"},
		"disabled":        {func(in *ec2.RunInstancesInput) { in.ImageId = &disabled }, "InvalidAMIID.Unavailable", ""},
		"architecture":    {func(in *ec2.RunInstancesInput) { in.ImageId = &arm }, "InvalidParameterValue", "The architecture 'x86_64' of the specified instance type does not match the architecture 'arm64' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again. You can use 'describe-instance-types' or 'describe-images' to discover the architecture of the instance type or AMI."},
		"ENA":             {func(in *ec2.RunInstancesInput) { in.ImageId = &old }, "InvalidParameterCombination", ""},
		"type":            {func(in *ec2.RunInstancesInput) { in.InstanceType = "x" }, "InvalidParameterValue", "Invalid value 'x' for InstanceType."},
		"counts":          {func(in *ec2.RunInstancesInput) { in.MinCount = aws.Int32(2) }, "InvalidParameterValue", ""},
		"user data":       {func(in *ec2.RunInstancesInput) { in.UserData = aws.String("%") }, "InvalidUserData.Malformed", ""},
		"key":             {func(in *ec2.RunInstancesInput) { in.KeyName = aws.String("k") }, "InvalidKeyPair.NotFound", "The key pair 'k' does not exist"},
		"group":           {func(in *ec2.RunInstancesInput) { in.SecurityGroupIds = []string{"sg-1"} }, "InvalidGroup.NotFound", "The security group 'sg-1' does not exist"},
		"subnet":          {func(in *ec2.RunInstancesInput) { in.SubnetId = aws.String("subnet-1") }, "InvalidSubnetID.NotFound", "The subnet ID 'subnet-1' does not exist"},
		"zone": {func(in *ec2.RunInstancesInput) {
			in.Placement = &ec2types.Placement{AvailabilityZone: aws.String("eu-west-1a")}
		}, "InvalidParameterValue", ""},
		"hop limit": {func(in *ec2.RunInstancesInput) {
			in.MetadataOptions = &ec2types.InstanceMetadataOptionsRequest{HttpPutResponseHopLimit: aws.Int32(65)}
		}, "InvalidParameterValue", ""},
		"small volume":     {disks(ec2types.BlockDeviceMapping{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(1)}}), "InvalidBlockDeviceMapping", ""},
		"unknown snapshot": {disks(ec2types.BlockDeviceMapping{DeviceName: aws.String("/dev/sdb"), Ebs: &ec2types.EbsBlockDevice{SnapshotId: aws.String("snap-1")}}), "InvalidSnapshot.NotFound", ""},
		"no size":          {disks(ec2types.BlockDeviceMapping{DeviceName: aws.String("/dev/sdb"), Ebs: &ec2types.EbsBlockDevice{}}), "MissingParameter", ""},
		"tags of AWS":      {func(in *ec2.RunInstancesInput) { in.TagSpecifications = instanceTags("aws:x", "y") }, "InvalidParameterValue", ""},
		"enclave": {func(in *ec2.RunInstancesInput) {
			in.EnclaveOptions = &ec2types.EnclaveOptionsRequest{Enabled: aws.Bool(true)}
		}, "UnsupportedOperation", ""},
		"template": {func(in *ec2.RunInstancesInput) {
			in.DryRun, in.LaunchTemplate = aws.Bool(true), &ec2types.LaunchTemplateSpecification{LaunchTemplateId: aws.String("lt-00000000000000001")}
		}, "InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID lt-00000000000000001, does not exist."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := &ec2.RunInstancesInput{ImageId: &own, InstanceType: "t3.nano", MinCount: aws.Int32(1), MaxCount: aws.Int32(1)}
			v.edit(in)
			_, err := c.Client.RunInstances(t.Context(), in)
			ec2test.Expect(t, err, v.code, v.message)
		})
	}
	t.Cleanup(func() {
		if n := c.driver.Machines(); n != 0 {
			t.Errorf("%d machines of refused launches", n)
		}
	})
}

func TestClientToken(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	in := &ec2.RunInstancesInput{ImageId: aws.String(c.Image(t, nil)), InstanceType: "t3.nano", MinCount: aws.Int32(1), MaxCount: aws.Int32(1), ClientToken: aws.String("t")}
	first, err := c.Client.RunInstances(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Client.RunInstances(t.Context(), in)
	if err != nil || *again.Instances[0].InstanceId != *first.Instances[0].InstanceId || *again.ReservationId != *first.ReservationId {
		t.Errorf("got %v %v", again, err)
	}
	in.InstanceType = "t3.micro"
	_, err = c.Client.RunInstances(t.Context(), in)
	ec2test.Expect(t, err, "IdempotentParameterMismatch", "")
	in.InstanceType = "t3.nano"
	c.Update(t, func(r *state.Region) { c.service.Terminate(r, []string{*first.Instances[0].InstanceId}) })
	c.Clock.Advance(time.Minute)
	_, err = c.Client.RunInstances(t.Context(), in)
	ec2test.Expect(t, err, "IdempotentInstanceTerminated", "")
}
