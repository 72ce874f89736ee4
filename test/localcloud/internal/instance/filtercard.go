package instance

import (
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/listing"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// card returns what the network interface of an instance has for a filter.
func card(in *state.Instance, name string) ([]string, bool) {
	var n ec2types.InstanceNetworkInterface
	if len(in.NetworkInterfaces) > 0 {
		n = in.NetworkInterfaces[0]
	}
	public := orNew(n.Association)
	switch name {
	case "network-interface.network-interface-id":
		return listing.Values(n.NetworkInterfaceId), true
	case "network-interface.subnet-id":
		return listing.Values(n.SubnetId), true
	case "network-interface.vpc-id":
		return listing.Values(n.VpcId), true
	case "network-interface.mac-address":
		return listing.Values(n.MacAddress), true
	case "network-interface.owner-id":
		return listing.Values(n.OwnerId), true
	case "network-interface.status":
		return []string{string(n.Status)}, true
	case "network-interface.description":
		return listing.Values(n.Description), true
	case "network-interface.private-dns-name":
		return listing.Values(n.PrivateDnsName), true
	case "network-interface.private-ip-address", "network-interface.addresses.private-ip-address":
		return listing.Values(n.PrivateIpAddress), true
	case "network-interface.association.public-ip", "network-interface.addresses.association.public-ip", "association.public-ip":
		return listing.Values(public.PublicIp), true
	case "network-interface.association.public-dns-name", "network-interface.addresses.association.public-dns-name", "network-interface.public-dns-name":
		return listing.Values(public.PublicDnsName), true
	case "network-interface.association.ip-owner-id", "network-interface.addresses.association.ip-owner-id":
		return listing.Values(public.IpOwnerId), true
	case "network-interface.addresses.private-dns-name":
		return listing.Values(n.PrivateDnsName), true
	case "network-interface.addresses.primary":
		return []string{"true"}, true
	case "network-interface.source-dest-check":
		return listing.Truth(n.SourceDestCheck), true
	case "network-interface.availability-zone":
		return listing.Values(orNew(in.Placement).AvailabilityZone), true
	case "network-interface.requester-managed", "network-interface.operator.managed", "network-interface.ipv6-native", "network-interface.deny-all-igw-traffic":
		return []string{"false"}, true
	case "network-interface.requester-id", "network-interface.outpost-arn", "network-interface.operator.principal",
		"network-interface.ipv6-address", "network-interface.ipv6-addresses.ipv6-address", "network-interface.ipv6-addresses.is-primary-ipv6",
		"network-interface.ipv4-prefixes.ipv4-prefix", "network-interface.ipv6-prefixes.ipv6-prefix",
		"network-interface.association.allocation-id", "network-interface.association.association-id",
		"network-interface.addresses.association.allocation-id", "network-interface.addresses.association.association-id":
		return nil, true // nothing here has one
	}
	if values, ok := attachment(in, orNew(n.Attachment), name); ok {
		return values, true
	}
	return groups(n.Groups, name, "network-interface.group-")
}

func attachment(in *state.Instance, a *ec2types.InstanceNetworkInterfaceAttachment, name string) ([]string, bool) {
	switch name {
	case "network-interface.attachment.attachment-id":
		return listing.Values(a.AttachmentId), true
	case "network-interface.attachment.attach-time":
		return times(a.AttachTime), true
	case "network-interface.attachment.delete-on-termination":
		return listing.Truth(a.DeleteOnTermination), true
	case "network-interface.attachment.device-index":
		return []string{strconv.Itoa(int(aws.ToInt32(a.DeviceIndex)))}, true
	case "network-interface.attachment.network-card-index":
		return []string{strconv.Itoa(int(aws.ToInt32(a.NetworkCardIndex)))}, true
	case "network-interface.attachment.instance-id":
		return listing.Values(in.InstanceId), true
	case "network-interface.attachment.instance-owner-id":
		return []string{in.Account}, true
	case "network-interface.attachment.status":
		return []string{string(a.Status)}, true
	}
	return nil, false
}
