package instance_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

func TestFilters(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	web := c.running(t, func(in *ec2.RunInstancesInput) {
		in.TagSpecifications, in.InstanceType = instanceTags("Name", "web-1"), "m5.large"
		in.Placement = &ec2types.Placement{AvailabilityZone: aws.String("us-east-1c")}
	})
	c.running(t, nil)
	in := c.get(t, web)
	for name, value := range map[string]string{
		"instance-id": web, "tag:Name": "web-*", "tag-key": "N?me", "instance-type": "m5.large", "availability-zone": "us-east-1c",
		"private-ip-address": *in.PrivateIpAddress, "network-interface.network-interface-id": *in.NetworkInterfaces[0].NetworkInterfaceId,
		"block-device-mapping.volume-id": *in.BlockDeviceMappings[0].Ebs.VolumeId, "image-id": *in.ImageId, "subnet-id": *in.SubnetId,
		"private-dns-name": *in.PrivateDnsName, "client-token": *in.ClientToken,
	} {
		out, err := c.Client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{Filters: []ec2types.Filter{
			{Name: &name, Values: []string{value}}, {Name: aws.String("instance-state-name"), Values: []string{"pending", "running"}},
		}})
		if err != nil || len(out.Reservations) != 1 || *out.Reservations[0].Instances[0].InstanceId != web {
			t.Errorf("%s=%s: got %d %v", name, value, len(out.Reservations), err)
		}
	}
	_, err := c.Client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{Filters: []ec2types.Filter{{Name: aws.String("garbage"), Values: []string{"x"}}}})
	ec2test.Expect(t, err, "InvalidParameterValue", "The filter 'garbage' is invalid")
	_, err = c.Client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{web}, MaxResults: aws.Int32(5)})
	ec2test.Expect(t, err, "InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
}

func TestPages(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.launch(t, func(in *ec2.RunInstancesInput) { in.MaxCount = aws.Int32(12) })
	pages := ec2.NewDescribeInstancesPaginator(c.Client, &ec2.DescribeInstancesInput{MaxResults: aws.Int32(5)})
	seen := map[string]bool{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range page.Reservations[0].Instances {
			seen[*in.InstanceId] = true
		}
	}
	if len(seen) != 12 {
		t.Errorf("saw %d", len(seen))
	}
}

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

func TestAttributes(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := c.running(t, nil)
	modify := func(in ec2.ModifyInstanceAttributeInput) error {
		in.InstanceId = &id
		_, err := c.Client.ModifyInstanceAttribute(t.Context(), &in)
		return err
	}
	type value = ec2types.AttributeValue
	yes := &ec2types.AttributeBooleanValue{Value: aws.Bool(true)}
	kind := ec2.ModifyInstanceAttributeInput{InstanceType: &value{Value: aws.String("t3.large")}}
	ec2test.Expect(t, modify(kind), "IncorrectInstanceState", "The instance '"+id+"' is not in the 'stopped' state.")
	ec2test.Expect(t, modify(ec2.ModifyInstanceAttributeInput{}), "InvalidParameterCombination", "")
	ec2test.Expect(t, modify(ec2.ModifyInstanceAttributeInput{DisableApiStop: yes, DisableApiTermination: yes}), "InvalidParameterCombination", "")
	ec2test.Expect(t, modify(ec2.ModifyInstanceAttributeInput{InstanceInitiatedShutdownBehavior: &value{Value: aws.String("terminate")}}), "", "")
	ec2test.Expect(t, modify(ec2.ModifyInstanceAttributeInput{Attribute: "sourceDestCheck", Value: aws.String("false")}), "", "")
	ec2test.Expect(t, modify(ec2.ModifyInstanceAttributeInput{Attribute: "sourceDestCheck", Value: aws.String("maybe")}), "InvalidParameterValue", "")
	ec2test.Expect(t, modify(ec2.ModifyInstanceAttributeInput{BlockDeviceMappings: []ec2types.InstanceBlockDeviceMappingSpecification{{
		DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsInstanceBlockDeviceSpecification{DeleteOnTermination: aws.Bool(false)},
	}}}), "", "")
	if _, err := c.Client.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: []string{id}}); err != nil {
		t.Fatal(err)
	}
	c.Clock.Advance(time.Minute)
	ec2test.Expect(t, modify(kind), "", "")
	ec2test.Expect(t, modify(ec2.ModifyInstanceAttributeInput{EnaSupport: yes}), "", "")
	ec2test.Expect(t, modify(ec2.ModifyInstanceAttributeInput{SriovNetSupport: &value{Value: aws.String("simple")}}), "", "")
	ec2test.Expect(t, modify(ec2.ModifyInstanceAttributeInput{InstanceType: &value{Value: aws.String("t4g.nano")}}), "InvalidInstanceAttributeValue", "")
	ec2test.Expect(t, modify(ec2.ModifyInstanceAttributeInput{UserData: &ec2types.SecureBlobAttributeValue{Value: []byte("hi")}}), "", "")

	show := func(name ec2types.InstanceAttributeName) *ec2.DescribeInstanceAttributeOutput {
		t.Helper()
		out, err := c.Client.DescribeInstanceAttribute(t.Context(), &ec2.DescribeInstanceAttributeInput{InstanceId: &id, Attribute: name})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if out := show("instanceType"); *out.InstanceType.Value != "t3.large" || out.UserData != nil {
		t.Errorf("got %+v", out)
	}
	if out := show("userData"); *out.UserData.Value != "aGk=" {
		t.Errorf("got %+v", out)
	}
	if out := show("kernel"); out.KernelId == nil || out.KernelId.Value != nil {
		t.Errorf("got %+v", out)
	}
	if *show("instanceInitiatedShutdownBehavior").InstanceInitiatedShutdownBehavior.Value != "terminate" || *show("sourceDestCheck").SourceDestCheck.Value ||
		*show("disableApiTermination").DisableApiTermination.Value || *show("blockDeviceMapping").BlockDeviceMappings[0].Ebs.DeleteOnTermination {
		t.Error("changes were lost")
	}
	if _, err := c.Client.StartInstances(t.Context(), &ec2.StartInstancesInput{InstanceIds: []string{id}}); err != nil {
		t.Fatal(err)
	}
	if spec := c.driver.Spec(id); spec.Type != "t3.large" || string(spec.Metadata.UserData) != "hi" {
		t.Errorf("got %+v", spec)
	}
}

// A running machine learns what changes around it.
func TestDriverIsTold(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	group, err := c.Client.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{GroupName: aws.String("web"), Description: aws.String("d")})
	if err != nil {
		t.Fatal(err)
	}
	id := c.running(t, func(in *ec2.RunInstancesInput) { in.SecurityGroupIds = []string{*group.GroupId} })
	other := c.running(t, nil)
	if ports := c.driver.Spec(id).Ports; len(ports) != 0 {
		t.Errorf("a new group opens %v", ports)
	}
	c.driver.Calls()
	if _, err := c.Client.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{GroupId: group.GroupId, IpProtocol: aws.String("tcp"), FromPort: aws.Int32(80), ToPort: aws.Int32(81), CidrIp: aws.String("0.0.0.0/0")}); err != nil {
		t.Fatal(err)
	}
	want := []compute.Port{{From: 80, To: 81}}
	if !slices.Equal(c.driver.Spec(id).Ports, want) || len(c.driver.Spec(other).Ports) != 0 {
		t.Errorf("got %v and %v", c.driver.Spec(id).Ports, c.driver.Spec(other).Ports)
	}
	if _, err := c.Client.ModifyInstanceAttribute(t.Context(), &ec2.ModifyInstanceAttributeInput{InstanceId: &other, Groups: []string{*group.GroupId}}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.driver.Spec(other).Ports, want) || c.driver.Spec(other).Metadata.SecurityGroups[0] != "web" {
		t.Errorf("got %+v", c.driver.Spec(other))
	}
	if _, err := c.Client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{id}, Tags: []ec2types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}}); err != nil {
		t.Fatal(err)
	}
	if c.driver.Spec(id).Tags["k"] != "v" {
		t.Error("it was not told of a tag")
	}
	out, err := c.Client.ModifyInstanceMetadataOptions(t.Context(), &ec2.ModifyInstanceMetadataOptionsInput{InstanceId: &id, HttpTokens: "required"})
	if err != nil || out.InstanceMetadataOptions.State != "pending" || c.get(t, id).MetadataOptions.State != "applied" || !c.driver.Spec(id).Metadata.TokensRequired {
		t.Errorf("got %+v %v", out, err)
	}
	_, err = c.Client.DeleteSecurityGroup(t.Context(), &ec2.DeleteSecurityGroupInput{GroupId: group.GroupId})
	ec2test.Expect(t, err, "DependencyViolation", "resource "+*group.GroupId+" has a dependent object")
	c.Update(t, func(r *state.Region) { c.service.Terminate(r, []string{id, other}) })
	c.Clock.Advance(time.Minute)
	_, err = c.Client.DeleteSecurityGroup(t.Context(), &ec2.DeleteSecurityGroupInput{GroupId: group.GroupId})
	ec2test.Expect(t, err, "", "")
}

// Auto Scaling puts a template's network interface into its own subnet; users must not.
func TestSubnetOfInterface(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	subnets, err := c.Client.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})
	if err != nil {
		t.Fatal(err)
	}
	subnet := subnets.Subnets[1].SubnetId
	in := &ec2.RunInstancesInput{
		ImageId: aws.String(c.Image(t, nil)), InstanceType: "t3.nano", MinCount: aws.Int32(1), MaxCount: aws.Int32(1), SubnetId: subnet,
		NetworkInterfaces: []ec2types.InstanceNetworkInterfaceSpecification{{DeviceIndex: aws.Int32(0), AssociatePublicIpAddress: aws.Bool(false)}},
	}
	_, err = c.Client.RunInstances(t.Context(), in)
	ec2test.Expect(t, err, "InvalidParameterCombination", "Network interfaces and an instance-level subnet ID may not be specified on the same request")
	var id string
	c.Update(t, func(r *state.Region) {
		made, err := c.service.Launch(r, ec2test.Account, "arn:aws:sts::1:assumed-role/AWSServiceRoleForAutoScaling/AutoScaling", in)
		if err != nil {
			t.Fatal(err)
		}
		id = *made[0].InstanceId
	})
	c.Clock.Advance(time.Minute)
	if got := c.get(t, id); *got.SubnetId != *subnet || got.PublicIpAddress != nil || *got.PublicDnsName != "" {
		t.Errorf("got %+v", got)
	}
	out, err := c.Client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{})
	if err != nil || aws.ToString(out.Reservations[0].RequesterId) == "" {
		t.Errorf("who launched it is not said: %+v %v", out, err)
	}
	cards, err := c.Client.DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{Filters: []ec2types.Filter{{Name: aws.String("attachment.instance-id"), Values: []string{id}}}})
	if err != nil || len(cards.NetworkInterfaces) != 1 || cards.NetworkInterfaces[0].Status != "in-use" {
		t.Errorf("got %+v %v", cards, err)
	}
}

// Whoever asks at the same time, the driver hears of an instance's start before its end, so that no machine stays for ever.
func TestDriverHearsInOrder(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.driver.Manual = true
	image := c.Image(t, nil)
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for range 25 {
				in := &ec2.RunInstancesInput{ImageId: &image, InstanceType: "t3.nano", MinCount: aws.Int32(1), MaxCount: aws.Int32(1)}
				_ = c.Store.Update(ec2test.Region, func(r *state.Region) error { _, err := c.service.Launch(r, ec2test.Account, "", in); return err })
			}
		})
		work.Go(func() {
			for range 100 {
				_ = c.Store.Update(ec2test.Region, func(r *state.Region) error {
					for id := range r.Instances.Sorted() {
						c.service.Terminate(r, []string{id})
					}
					return nil
				})
			}
		})
	}
	work.Wait()
	c.Update(t, func(r *state.Region) {
		for id := range r.Instances.Sorted() {
			c.service.Terminate(r, []string{id})
		}
	})
	started := map[string]bool{}
	for _, call := range c.driver.Calls() {
		what, id, _ := strings.Cut(call, " ")
		if what == "start" {
			started[id] = true
		} else if !started[id] {
			t.Fatalf("%s was ended before it was started", id)
		}
	}
	if n := c.driver.Machines(); len(started) != 100 || n != 0 {
		t.Errorf("%d were started, %d are left", len(started), n)
	}
}

func TestMonitoring(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := c.running(t, func(in *ec2.RunInstancesInput) {
		in.Monitoring = &ec2types.RunInstancesMonitoringEnabled{Enabled: aws.Bool(true)}
	})
	if got := c.get(t, id).Monitoring.State; got != "enabled" {
		t.Errorf("got %s", got)
	}
	out, err := c.Client.UnmonitorInstances(t.Context(), &ec2.UnmonitorInstancesInput{InstanceIds: []string{id}})
	if err != nil || out.InstanceMonitorings[0].Monitoring.State != "disabling" || c.get(t, id).Monitoring.State != "disabled" {
		t.Errorf("got %+v %v", out, err)
	}
	credits, err := c.Client.DescribeInstanceCreditSpecifications(t.Context(), &ec2.DescribeInstanceCreditSpecificationsInput{InstanceIds: []string{id}})
	if err != nil || *credits.InstanceCreditSpecifications[0].CpuCredits != "unlimited" {
		t.Errorf("got %+v %v", credits, err)
	}
}
