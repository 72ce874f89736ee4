package network_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

func stateNamed(name string) *ec2types.InstanceState {
	return &ec2types.InstanceState{Name: ec2types.InstanceStateName(name)}
}

// putInstance adds an instance with a network interface, with a public address if there is one.
func putInstance(t *testing.T, c *ec2test.Cloud, account, id, public string) {
	t.Helper()
	vpc, subnet, group := defaults()
	card := ec2types.InstanceNetworkInterface{
		Attachment: &ec2types.InstanceNetworkInterfaceAttachment{
			AttachmentId: aws.String("eni-attach-" + id), DeleteOnTermination: aws.Bool(true), DeviceIndex: aws.Int32(0), Status: "attached",
		},
		Description: aws.String("card of " + id), Groups: []ec2types.GroupIdentifier{{GroupId: &group, GroupName: aws.String("default")}}, MacAddress: aws.String("02:00:" + id),
		NetworkInterfaceId: aws.String("eni-" + id), OwnerId: &account, PrivateDnsName: aws.String("ip-" + id), PrivateIpAddress: aws.String("172.31.0." + id),
		PrivateIpAddresses: []ec2types.InstancePrivateIpAddress{{Primary: aws.Bool(true), PrivateIpAddress: aws.String("172.31.0." + id)}},
		SourceDestCheck:    aws.Bool(true), Status: "in-use", SubnetId: &subnet, VpcId: &vpc,
	}
	if public != "" {
		card.Association = &ec2types.InstanceNetworkInterfaceAssociation{IpOwnerId: aws.String("amazon"), PublicIp: &public, PublicDnsName: aws.String("ec2-" + id)}
	}
	c.Update(t, func(r *state.Region) {
		r.Instances.Put("i-"+id, &state.Instance{
			Account: account, CardTags: []ec2types.Tag{{Key: aws.String("n"), Value: &id}},
			Instance: ec2types.Instance{
				InstanceId: aws.String("i-" + id), NetworkInterfaces: []ec2types.InstanceNetworkInterface{card}, State: stateNamed("running"),
				Placement: &ec2types.Placement{AvailabilityZone: aws.String("us-east-1a"), AvailabilityZoneId: aws.String("use1-az1")}, SecurityGroups: card.Groups,
			},
		})
	})
}

func TestInterfaces(t *testing.T) {
	t.Parallel()
	c, _ := newCloud(t)
	putInstance(t, c, ec2test.Account, "7", "100.64.0.7")
	putInstance(t, c, ec2test.Account, "8", "")
	putInstance(t, c, ec2test.Other, "9", "")
	out, err := c.Client.DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{})
	if err != nil || len(out.NetworkInterfaces) != 2 {
		t.Fatalf("got %+v %v", out, err)
	}
	with, without := out.NetworkInterfaces[0], out.NetworkInterfaces[1]
	if *with.Association.PublicIp != "100.64.0.7" || *with.PrivateIpAddresses[0].Association.PublicDnsName != "ec2-7" || *with.Attachment.InstanceId != "i-7" ||
		*with.Attachment.InstanceOwnerId != ec2test.Account || with.InterfaceType != "interface" || *with.RequesterManaged || *with.TagSet[0].Value != "7" ||
		*with.AvailabilityZone != "us-east-1a" || len(with.Ipv6Addresses) != 0 {
		t.Errorf("got %+v", with)
	}
	if without.Association != nil || without.PrivateIpAddresses[0].Association != nil || !*without.PrivateIpAddresses[0].Primary {
		t.Errorf("got %+v", without)
	}
	_, err = c.As(ec2test.Other).DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{"eni-7"}})
	ec2test.Expect(t, err, "InvalidNetworkInterfaceID.NotFound", "The networkInterface ID 'eni-7' does not exist")
}

func TestInterfaceFilters(t *testing.T) {
	t.Parallel()
	c, _ := newCloud(t)
	putInstance(t, c, ec2test.Account, "7", "100.64.0.7")
	putInstance(t, c, ec2test.Account, "8", "")
	vpc, subnet, group := defaults()
	for name, v := range map[string]struct {
		value string
		want  int
	}{
		"network-interface-id": {"eni-7", 1}, "subnet-id": {subnet, 2}, "vpc-id": {vpc, 2}, "availability-zone": {"us-east-1a", 2}, "availability-zone-id": {"use1-az2", 0},
		"owner-id": {ec2test.Account, 2}, "mac-address": {"02:00:8", 1}, "description": {"card of 7", 1}, "status": {"in-use", 2}, "interface-type": {"interface", 2},
		"private-ip-address": {"172.31.0.8", 1}, "addresses.private-ip-address": {"172.31.0.*", 2}, "private-dns-name": {"ip-7", 1}, "requester-managed": {"false", 2},
		"group-id": {group, 2}, "group-name": {"default", 2}, "association.public-ip": {"100.64.0.7", 1}, "addresses.association.public-ip": {"*", 1},
		"association.public-dns-name": {"ec2-7", 1}, "attachment.instance-id": {"i-8", 1}, "attachment.instance-owner-id": {ec2test.Account, 2},
		"attachment.attachment-id": {"eni-attach-7", 1}, "attachment.status": {"detached", 0}, "attachment.delete-on-termination": {"true", 2},
		"attachment.device-index": {"0", 2}, "source-dest-check": {"false", 0}, "tag:n": {"7", 1}, "tag-key": {"n", 2}, "requester-id": {"*", 0},
		"association.allocation-id": {"*", 0}, "addresses.primary": {"true", 2}, "operator.managed": {"false", 2},
	} {
		out, err := c.Client.DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{Filters: filter(name, v.value)})
		if err != nil || len(out.NetworkInterfaces) != v.want {
			t.Errorf("%s=%s: got %d %v, want %d", name, v.value, len(out.NetworkInterfaces), err, v.want)
		}
	}
}
