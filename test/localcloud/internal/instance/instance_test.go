package instance_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
	"github.com/iibake/iibake/test/localcloud/internal/instance"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

type cloud struct {
	*ec2test.Cloud
	service *instance.Service
	driver  *ec2test.Driver
}

func newCloud(t ec2test.TB) *cloud {
	t.Helper()
	c := &cloud{}
	c.Cloud = ec2test.New(t, func(store *state.Store, svc *wire.Service) {
		c.service = instance.New(store)
		c.service.Register(svc)
		c.driver = &ec2test.Driver{Clock: store.Clock(), Observer: c.service}
		c.service.Attach(c.driver)
	})
	return c
}

// launch runs one instance of a new image.
func (c *cloud) launch(t testing.TB, edit func(*ec2.RunInstancesInput)) *ec2types.Instance {
	t.Helper()
	in := &ec2.RunInstancesInput{ImageId: aws.String(c.Image(t, nil)), InstanceType: "t3.nano", MinCount: aws.Int32(1), MaxCount: aws.Int32(1)}
	if edit != nil {
		edit(in)
	}
	out, err := c.Client.RunInstances(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return &out.Instances[0]
}

// running launches an instance and waits until it runs.
func (c *cloud) running(t testing.TB, edit func(*ec2.RunInstancesInput)) string {
	t.Helper()
	id := *c.launch(t, edit).InstanceId
	c.Clock.Advance(5 * time.Second)
	return id
}

func (c *cloud) get(t testing.TB, id string) *ec2types.Instance {
	t.Helper()
	out, err := c.Client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
	if err != nil {
		t.Fatal(err)
	}
	return &out.Reservations[0].Instances[0]
}

func (c *cloud) stateOf(t testing.TB, id string) ec2types.InstanceStateName {
	t.Helper()
	return c.get(t, id).State.Name
}

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

func disks(m ...ec2types.BlockDeviceMapping) func(*ec2.RunInstancesInput) {
	return func(in *ec2.RunInstancesInput) { in.BlockDeviceMappings = m }
}

func instanceTags(key, value string) []ec2types.TagSpecification {
	return []ec2types.TagSpecification{{ResourceType: "instance", Tags: []ec2types.Tag{{Key: &key, Value: &value}}}}
}

func TestRunWithTemplate(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	image := c.Image(t, nil)
	template, err := c.Client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("web"), LaunchTemplateData: &ec2types.RequestLaunchTemplateData{
			ImageId: &image, InstanceType: "m6i.large", UserData: aws.String(base64.StdEncoding.EncodeToString([]byte("hello"))),
			MetadataOptions: &ec2types.LaunchTemplateInstanceMetadataOptionsRequest{HttpTokens: "required", HttpPutResponseHopLimit: aws.Int32(2), InstanceMetadataTags: "enabled"},
			TagSpecifications: []ec2types.LaunchTemplateTagSpecificationRequest{{ResourceType: "instance", Tags: []ec2types.Tag{
				{Key: aws.String("both"), Value: aws.String("template")}, {Key: aws.String("only"), Value: aws.String("template")},
			}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	lt := template.LaunchTemplate.LaunchTemplateId
	if _, err := c.Client.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{
		LaunchTemplateId: lt, LaunchTemplateData: &ec2types.RequestLaunchTemplateData{InstanceType: "t3.nano"},
	}); err != nil {
		t.Fatal(err)
	}
	in := &ec2.RunInstancesInput{
		MinCount: aws.Int32(1), MaxCount: aws.Int32(1), LaunchTemplate: &ec2types.LaunchTemplateSpecification{LaunchTemplateName: aws.String("web")},
		MetadataOptions: &ec2types.InstanceMetadataOptionsRequest{HttpEndpoint: "enabled"}, TagSpecifications: instanceTags("both", "request"),
	}
	out, err := c.Client.RunInstances(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	made := out.Instances[0]
	if m := made.MetadataOptions; made.InstanceType != "m6i.large" || m.HttpTokens != "required" || *m.HttpPutResponseHopLimit != 2 || m.HttpEndpoint != "enabled" || m.InstanceMetadataTags != "enabled" {
		t.Errorf("members are merged one by one, of the default version: got %+v", made)
	}
	got := map[string]string{}
	for _, tag := range made.Tags {
		got[*tag.Key] = *tag.Value
	}
	if len(got) != 4 || got["both"] != "request" || got["only"] != "template" || got["aws:ec2launchtemplate:id"] != *lt || got["aws:ec2launchtemplate:version"] != "1" {
		t.Errorf("got %v", got)
	}
	if spec := c.driver.Spec(*made.InstanceId); string(spec.Metadata.UserData) != "hello" || !spec.Metadata.TokensRequired || !spec.Metadata.Tags {
		t.Errorf("got %+v", spec.Metadata)
	}
	for version, code := range map[string]string{"99": "InvalidLaunchTemplateId.VersionNotFound", "2": "MissingParameter", "$Latest": "MissingParameter", "x": "InvalidParameterValue"} {
		in.LaunchTemplate.Version, in.DryRun, in.ClientToken = &version, aws.Bool(true), nil // the client has set a token
		_, err := c.Client.RunInstances(t.Context(), in)
		ec2test.Expect(t, err, code, "")
	}
	data, err := c.Client.GetLaunchTemplateData(t.Context(), &ec2.GetLaunchTemplateDataInput{InstanceId: made.InstanceId})
	if err != nil {
		t.Fatal(err)
	}
	d := data.LaunchTemplateData
	if *d.ImageId != image || d.InstanceType != "m6i.large" || len(d.TagSpecifications[0].Tags) != 2 || *d.BlockDeviceMappings[0].Ebs.VolumeSize != 8 ||
		d.NetworkInterfaces[0].Ipv6Addresses == nil || *d.NetworkInterfaces[0].Description != "" || d.InstanceInitiatedShutdownBehavior != "stop" || *d.UserData == "" || d.MetadataOptions.State != "" {
		t.Errorf("got %+v", d)
	}
	_, err = c.Client.GetLaunchTemplateData(t.Context(), &ec2.GetLaunchTemplateDataInput{InstanceId: aws.String("i-00000000000000001")})
	ec2test.Expect(t, err, "InvalidInstanceID.NotFound", "")
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

func TestLifecycle(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := *c.launch(t, nil).InstanceId
	_, err := c.Client.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: []string{id}})
	ec2test.Expect(t, err, "IncorrectInstanceState", "Instance '"+id+"' cannot be stopped as it has never reached the 'running' state.")
	c.Clock.Advance(5 * time.Second)

	stopped, err := c.Client.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: []string{id}})
	if err != nil || stopped.StoppingInstances[0].CurrentState.Name != "stopping" || *stopped.StoppingInstances[0].PreviousState.Code != 16 {
		t.Fatalf("got %+v %v", stopped, err)
	}
	_, err = c.Client.StartInstances(t.Context(), &ec2.StartInstancesInput{InstanceIds: []string{id}})
	ec2test.Expect(t, err, "IncorrectInstanceState", "The instance '"+id+"' is not in a state from which it can be started.")
	c.Clock.Advance(30 * time.Second)
	in := c.get(t, id)
	if in.State.Name != "stopped" || *in.StateReason.Code != "Client.UserInitiatedShutdown" || *in.StateReason.Message != "Client.UserInitiatedShutdown: User initiated shutdown" ||
		*in.StateTransitionReason != "User initiated (2026-09-27 04:28:31 GMT)" || in.PublicIpAddress != nil || len(in.BlockDeviceMappings) != 1 {
		t.Errorf("got %+v %q", in, *in.StateTransitionReason)
	}

	if _, err := c.Client.StartInstances(t.Context(), &ec2.StartInstancesInput{InstanceIds: []string{id}}); err != nil {
		t.Fatal(err)
	}
	if in := c.get(t, id); in.State.Name != "pending" || in.StateReason != nil || *in.StateTransitionReason != "" || len(in.BlockDeviceMappings) != 1 {
		t.Errorf("got %+v", in)
	}
	c.Clock.Advance(5 * time.Second)

	ended, err := c.Client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
	if err != nil || ended.TerminatingInstances[0].CurrentState.Name != "shutting-down" || ended.TerminatingInstances[0].PreviousState.Name != "running" {
		t.Fatalf("got %+v %v", ended, err)
	}
	c.Clock.Advance(30 * time.Second)
	in = c.get(t, id)
	if in.State.Name != "terminated" || in.SubnetId != nil || in.VpcId != nil || in.PrivateIpAddress != nil || len(in.NetworkInterfaces)+len(in.BlockDeviceMappings)+len(in.SecurityGroups) != 0 {
		t.Errorf("got %+v", in)
	}
	again, err := c.Client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
	if err != nil || again.TerminatingInstances[0].PreviousState.Name != "terminated" {
		t.Errorf("got %+v %v", again, err)
	}
	if got, want := c.driver.Calls(), []string{"start " + id, "stop " + id, "start " + id, "terminate " + id}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	c.Clock.Advance(time.Hour)
	_, err = c.Client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
	ec2test.Expect(t, err, "InvalidInstanceID.NotFound", "The instance ID '"+id+"' does not exist")
	c.View(t, func(r *state.Region) {
		if r.Instances.Len()+r.Volumes.Len() != 0 {
			t.Errorf("left: %d instances, %d volumes", r.Instances.Len(), r.Volumes.Len())
		}
	})
}

func TestProtection(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := c.running(t, func(in *ec2.RunInstancesInput) {
		in.DisableApiTermination, in.DisableApiStop = aws.Bool(true), aws.Bool(true)
	})
	other := c.running(t, nil)
	_, err := c.Client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
	ec2test.Expect(t, err, "OperationNotPermitted", "The instance '"+id+"' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.")
	_, err = c.Client.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: []string{other, id}})
	ec2test.Expect(t, err, "OperationNotPermitted", "")
	if c.stateOf(t, other) != "running" {
		t.Error("one of a refused request was stopped")
	}
	if _, err := c.Client.ModifyInstanceAttribute(t.Context(), &ec2.ModifyInstanceAttributeInput{InstanceId: &id, DisableApiTermination: &ec2types.AttributeBooleanValue{Value: aws.Bool(false)}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}}); err != nil {
		t.Error(err)
	}
	_, err = c.Client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{other, "i-00000000000000001", "i-00000000000000002"}})
	ec2test.Expect(t, err, "InvalidInstanceID.NotFound", "The instance IDs 'i-00000000000000001, i-00000000000000002' do not exist")
	_, err = c.As(ec2test.Other).TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{other}})
	ec2test.Expect(t, err, "InvalidInstanceID.NotFound", "")
}

// Protected instances keep only those of their own zone from being terminated [documented].
func TestProtectionByZone(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	in := func(zone string, protected bool) string {
		return c.running(t, func(in *ec2.RunInstancesInput) {
			in.Placement, in.DisableApiTermination = &ec2types.Placement{AvailabilityZone: &zone}, &protected
		})
	}
	protected, near, far := in("us-east-1a", true), in("us-east-1a", false), in("us-east-1b", false)
	_, err := c.Client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{protected, near, far}})
	ec2test.Expect(t, err, "OperationNotPermitted", "")
	if c.stateOf(t, protected) != "running" || c.stateOf(t, near) != "running" || c.stateOf(t, far) != "shutting-down" {
		t.Errorf("got %s %s %s", c.stateOf(t, protected), c.stateOf(t, near), c.stateOf(t, far))
	}
}

// What the driver says on its own.
func TestEndings(t *testing.T) {
	t.Parallel()
	const short = "Server.InsufficientInstanceCapacity"
	c := newCloud(t)
	c.driver.Manual = true
	failed := *c.launch(t, nil).InstanceId
	c.service.Ended(ec2test.Region, failed, compute.Ending{Code: short, Message: "Insufficient capacity to satisfy instance request"})
	if in := c.get(t, failed); in.State.Name != "terminated" || *in.StateReason.Code != short || *in.StateReason.Message != short+": Insufficient capacity to satisfy instance request" || *in.StateTransitionReason != short {
		t.Errorf("got %+v", in)
	}
	start := func(behavior ec2types.ShutdownBehavior) string {
		id := *c.launch(t, func(in *ec2.RunInstancesInput) { in.InstanceInitiatedShutdownBehavior = behavior }).InstanceId
		c.service.Running(ec2test.Region, id, compute.Addresses{})
		return id
	}
	for behavior, want := range map[ec2types.ShutdownBehavior]ec2types.InstanceStateName{"stop": "stopped", "": "stopped", "terminate": "terminated"} {
		id := start(behavior)
		c.service.Ended(ec2test.Region, id, compute.Ending{})
		if in := c.get(t, id); in.State.Name != want || *in.StateReason.Code != "Client.InstanceInitiatedShutdown" {
			t.Errorf("%s: got %+v", behavior, in)
		}
		c.service.Running(ec2test.Region, id, compute.Addresses{}) // too late
		if got := c.stateOf(t, id); got != want {
			t.Errorf("%s: a late event made it %s", behavior, got)
		}
	}
	again := start("stop")
	c.service.Ended(ec2test.Region, again, compute.Ending{})
	if _, err := c.Client.StartInstances(t.Context(), &ec2.StartInstancesInput{InstanceIds: []string{again}}); err != nil {
		t.Fatal(err)
	}
	c.service.Ended(ec2test.Region, again, compute.Ending{Code: "Client.InternalError"})
	if in := c.get(t, again); in.State.Name != "stopped" || *in.StateReason.Code != "Client.InternalError" {
		t.Errorf("one that could not be started again is %+v", in)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := c.running(t, nil)
	status := func(in ec2.DescribeInstanceStatusInput) []ec2types.InstanceStatus {
		t.Helper()
		out, err := c.Client.DescribeInstanceStatus(t.Context(), &in)
		if err != nil {
			t.Fatal(err)
		}
		return out.InstanceStatuses
	}
	if s := status(ec2.DescribeInstanceStatusInput{})[0]; s.InstanceStatus.Status != "initializing" || s.SystemStatus.Details[0].Status != "initializing" {
		t.Errorf("got %+v", s)
	}
	c.Clock.Advance(2 * time.Minute)
	if s := status(ec2.DescribeInstanceStatusInput{})[0]; s.InstanceStatus.Status != "ok" || s.InstanceStatus.Details[0].Status != "passed" || s.AttachedEbsStatus.Status != "ok" {
		t.Errorf("got %+v", s)
	}
	c.service.Status(ec2test.Region, id, false)
	s := status(ec2.DescribeInstanceStatusInput{Filters: []ec2types.Filter{{Name: aws.String("instance-status.status"), Values: []string{"impaired"}}}})[0]
	if s.InstanceStatus.Details[0].ImpairedSince == nil || s.SystemStatus.Status != "ok" {
		t.Errorf("got %+v", s)
	}
	if _, err := c.Client.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: []string{id}}); err != nil {
		t.Fatal(err)
	}
	if got := status(ec2.DescribeInstanceStatusInput{InstanceIds: []string{id}}); len(got) != 0 {
		t.Errorf("shows one that does not run: %+v", got)
	}
	if s := status(ec2.DescribeInstanceStatusInput{IncludeAllInstances: aws.Bool(true)}); len(s) != 1 || s[0].InstanceStatus.Status != "not-applicable" || s[0].InstanceStatus.Details != nil {
		t.Errorf("got %+v", s)
	}
}

func TestConsole(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := c.running(t, nil)
	out, err := c.Client.GetConsoleOutput(t.Context(), &ec2.GetConsoleOutputInput{InstanceId: &id})
	if err != nil || *out.Output != base64.StdEncoding.EncodeToString([]byte("console of "+id)) || !out.Timestamp.Equal(c.Clock.Now().Truncate(time.Millisecond)) {
		t.Errorf("got %+v %v", out, err)
	}
	_, err = c.Client.GetConsoleOutput(t.Context(), &ec2.GetConsoleOutputInput{InstanceId: aws.String("oops")})
	ec2test.Expect(t, err, "InvalidInstanceID.Malformed", `Invalid id: "oops"`)
}
