package instance_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// A launch that asks for what this cloud does not have fails, instead of making another instance than that.
func TestUnsupportedLaunches(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	image := c.Image(t, nil)
	uefi := c.Image(t, func(i *state.Image) { i.BootMode = "uefi"; i.EnaSupport = nil })
	yes := aws.Bool(true)
	card := func(n ec2types.InstanceNetworkInterfaceSpecification) func(*ec2.RunInstancesInput) {
		return func(in *ec2.RunInstancesInput) {
			in.NetworkInterfaces = []ec2types.InstanceNetworkInterfaceSpecification{n}
		}
	}
	for name, v := range map[string]struct {
		edit          func(in *ec2.RunInstancesInput)
		code, message string
	}{
		"hibernation": {func(in *ec2.RunInstancesInput) {
			in.HibernationOptions = &ec2types.HibernationOptionsRequest{Configured: yes}
		}, "UnsupportedOperation", "Hibernation is not supported here. Launch the instance without it."},
		"license": {func(in *ec2.RunInstancesInput) {
			in.LicenseSpecifications = []ec2types.LicenseConfigurationRequest{{LicenseConfigurationArn: aws.String("arn")}}
		}, "UnsupportedOperation", ""},
		"IPv6":   {func(in *ec2.RunInstancesInput) { in.Ipv6AddressCount = aws.Int32(1) }, "UnsupportedOperation", ""},
		"kernel": {func(in *ec2.RunInstancesInput) { in.KernelId = aws.String("aki-1") }, "UnsupportedOperation", ""},
		"host name": {func(in *ec2.RunInstancesInput) {
			in.PrivateDnsNameOptions = &ec2types.PrivateDnsNameOptionsRequest{HostnameType: "resource-name"}
		}, "UnsupportedOperation", ""},
		"group":     {func(in *ec2.RunInstancesInput) { in.Placement = &ec2types.Placement{GroupName: aws.String("g")} }, "InvalidPlacementGroup.Unknown", "The Placement Group 'g' is unknown."},
		"group id":  {func(in *ec2.RunInstancesInput) { in.Placement = &ec2types.Placement{GroupId: aws.String("pg-1")} }, "InvalidPlacementGroup.Unknown", ""},
		"dedicated": {func(in *ec2.RunInstancesInput) { in.Placement = &ec2types.Placement{Tenancy: "dedicated"} }, "UnsupportedOperation", ""},
		"market": {func(in *ec2.RunInstancesInput) {
			in.InstanceMarketOptions = &ec2types.InstanceMarketOptionsRequest{MarketType: "capacity-block"}
		}, "UnsupportedOperation", ""},
		"credits": {func(in *ec2.RunInstancesInput) {
			in.CreditSpecification = &ec2types.CreditSpecificationRequest{CpuCredits: aws.String("some")}
		}, "InvalidParameterValue", "Value (some) for parameter CpuCredits is invalid."},
		"m5 credits": {func(in *ec2.RunInstancesInput) {
			in.InstanceType, in.CreditSpecification = "m5.large", &ec2types.CreditSpecificationRequest{CpuCredits: aws.String("standard")}
		}, "InvalidParameterCombination", ""},
		"cores": {func(in *ec2.RunInstancesInput) {
			in.CpuOptions = &ec2types.CpuOptionsRequest{CoreCount: aws.Int32(2), ThreadsPerCore: aws.Int32(1)}
		}, "InvalidParameterCombination", ""},
		"boot mode":  {func(in *ec2.RunInstancesInput) { in.ImageId, in.InstanceType = &uefi, "t2.nano" }, "InvalidParameterValue", ""},
		"no count":   {func(in *ec2.RunInstancesInput) { in.MinCount, in.MaxCount = aws.Int32(0), aws.Int32(0) }, "InvalidParameterValue", "Value (0) for parameter minCount is invalid. Expected a positive number."},
		"long token": {func(in *ec2.RunInstancesInput) { in.ClientToken = aws.String(string(make([]byte, 65))) }, "InvalidParameterValue", ""},
		"two cards": {func(in *ec2.RunInstancesInput) {
			in.NetworkInterfaces = []ec2types.InstanceNetworkInterfaceSpecification{{DeviceIndex: aws.Int32(0)}, {DeviceIndex: aws.Int32(1)}}
		}, "UnsupportedOperation", ""},
		"second card":   {card(ec2types.InstanceNetworkInterfaceSpecification{DeviceIndex: aws.Int32(1)}), "UnsupportedOperation", ""},
		"a card's id":   {card(ec2types.InstanceNetworkInterfaceSpecification{NetworkInterfaceId: aws.String("eni-1")}), "InvalidNetworkInterfaceID.NotFound", "The networkInterface ID 'eni-1' does not exist"},
		"addresses":     {card(ec2types.InstanceNetworkInterfaceSpecification{SecondaryPrivateIpAddressCount: aws.Int32(1)}), "UnsupportedOperation", ""},
		"card's subnet": {card(ec2types.InstanceNetworkInterfaceSpecification{SubnetId: aws.String("subnet-1")}), "InvalidSubnetID.NotFound", "The subnet ID 'subnet-1' does not exist"},
		"both groups": {func(in *ec2.RunInstancesInput) {
			card(ec2types.InstanceNetworkInterfaceSpecification{DeviceIndex: aws.Int32(0)})(in)
			in.SecurityGroupIds = []string{"sg-1"}
		}, "InvalidParameterCombination", "Network interfaces and an instance-level security groups may not be specified on the same request"},
		"address":  {func(in *ec2.RunInstancesInput) { in.PrivateIpAddress = aws.String("10.0.0.9") }, "InvalidParameterValue", "Address 10.0.0.9 does not fall within the subnet's address range"},
		"reserved": {func(in *ec2.RunInstancesInput) { in.PrivateIpAddress = aws.String("172.31.0.3") }, "InvalidParameterValue", ""},
		"one address": {func(in *ec2.RunInstancesInput) {
			in.PrivateIpAddress, in.MaxCount = aws.String("172.31.0.9"), aws.Int32(2)
		}, "InvalidParameterCombination", "The parameter privateIpAddress cannot be used when launching more than one instance"},
		"group's name":    {func(in *ec2.RunInstancesInput) { in.SecurityGroups = []string{"web"} }, "InvalidGroup.NotFound", ""},
		"six groups":      {func(in *ec2.RunInstancesInput) { in.SecurityGroupIds = make([]string, 6) }, "SecurityGroupsPerInterfaceLimitExceeded", "The maximum number of security groups per interface has been reached."},
		"large user data": {func(in *ec2.RunInstancesInput) { in.UserData = aws.String(string(make64(16385))) }, "InvalidParameterValue", "User data is limited to 16384 bytes"},
	} {
		in := &ec2.RunInstancesInput{ImageId: &image, InstanceType: "t3.nano", MinCount: aws.Int32(1), MaxCount: aws.Int32(1)}
		v.edit(in)
		_, err := c.Client.RunInstances(t.Context(), in)
		if f := ec2test.FailureOf(err); f.Code != v.code || v.message != "" && f.Message != v.message {
			t.Errorf("%s: got %s %q", name, f.Code, f.Message)
		}
	}
	if n := c.driver.Machines(); n != 0 {
		t.Errorf("%d machines of refused launches", n)
	}
	c.View(t, func(r *state.Region) {
		if r.Volumes.Len()+r.Instances.Len() != 0 {
			t.Errorf("%d volumes and %d instances of refused launches", r.Volumes.Len(), r.Instances.Len())
		}
	})
}

// make64 returns base64 of n zeros.
func make64(n int) []byte {
	text := make([]byte, (n+2)/3*4)
	for i := range text {
		text[i] = 'A'
	}
	for i := range (3 - n%3) % 3 {
		text[len(text)-1-i] = '='
	}
	return text
}

// What a launch chooses can be seen of the instance.
func TestLaunchOptions(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.running(t, nil) // takes the first address
	id := c.running(t, func(in *ec2.RunInstancesInput) {
		in.InstanceType, in.CpuOptions = "m5.xlarge", &ec2types.CpuOptionsRequest{CoreCount: aws.Int32(1), ThreadsPerCore: aws.Int32(1)}
		in.PrivateIpAddress, in.Placement = aws.String("172.31.0.99"), &ec2types.Placement{AvailabilityZoneId: aws.String("use1-az1")}
		in.InstanceMarketOptions = &ec2types.InstanceMarketOptionsRequest{MarketType: "spot"}
		in.IamInstanceProfile = &ec2types.IamInstanceProfileSpecification{Name: aws.String("role")}
		in.EbsOptimized, in.MaintenanceOptions = aws.Bool(true), &ec2types.InstanceMaintenanceOptionsRequest{AutoRecovery: "disabled"}
		in.CapacityReservationSpecification = &ec2types.CapacityReservationSpecification{CapacityReservationPreference: "none"}
		in.SecurityGroups = []string{"default"}
	})
	in := c.get(t, id)
	if *in.CpuOptions.CoreCount != 1 || c.driver.Spec(id).CPUs != 1 || *in.PrivateIpAddress != "172.31.0.99" || *in.PrivateDnsName != "ip-172-31-0-99.ec2.internal" ||
		*in.Placement.AvailabilityZone != "us-east-1a" || in.InstanceLifecycle != "spot" || !*in.EbsOptimized || in.MaintenanceOptions.AutoRecovery != "disabled" ||
		in.CapacityReservationSpecification.CapacityReservationPreference != "none" || *in.IamInstanceProfile.Arn != "arn:aws:iam::"+ec2test.Account+":instance-profile/role" {
		t.Errorf("got %+v", in)
	}
	_, err := c.Client.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: []string{id}})
	ec2test.Expect(t, err, "UnsupportedOperation", "You can't stop the Spot Instance '"+id+"' because it is associated with a one-time Spot Instance request. You can only stop Spot Instances associated with persistent Spot Instance requests.")
	_, err = c.Client.RunInstances(t.Context(), &ec2.RunInstancesInput{
		ImageId: in.ImageId, InstanceType: "t3.nano", MinCount: aws.Int32(1), MaxCount: aws.Int32(1), PrivateIpAddress: in.PrivateIpAddress, SubnetId: in.SubnetId,
	})
	ec2test.Expect(t, err, "InvalidIPAddress.InUse", "Address 172.31.0.99 is in use.")
}
