package network

import (
	"context"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/listing"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// describeInterfaces shows the network interfaces of the instances; there are no others.
func (s *Service) describeInterfaces(_ context.Context, c *wire.Call, in *ec2.DescribeNetworkInterfacesInput) (*ec2.DescribeNetworkInterfacesOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, wire.ErrDryRun()
	}
	out := &ec2.DescribeNetworkInterfacesOutput{}
	return out, View(s.store, c, func(r *state.Region) (err error) {
		all := interfaces(r, c.Account)
		key := func(n ec2types.NetworkInterface) string { return aws.ToString(n.NetworkInterfaceId) }
		out.NetworkInterfaces, out.NextToken, err = listing.Run(listing.Query[ec2types.NetworkInterface]{
			IDs: in.NetworkInterfaceIds, Set: "networkInterfaceIdSet", Filters: in.Filters, Attr: interfaceFilter, Key: key,
			Page: kit.Page{Max: in.MaxResults, Token: in.NextToken, Min: 5, Limit: 1000, Scope: scope(c)},
			Get:  lookup(all, key, "InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '%s' does not exist"),
			All: func(yield func(ec2types.NetworkInterface) bool) {
				for _, n := range all {
					if !yield(n) {
						return
					}
				}
			},
		})
		return err
	})
}

func interfaces(r *state.Region, account string) []ec2types.NetworkInterface {
	var all []ec2types.NetworkInterface
	for _, in := range r.Instances.All() {
		if in.Account != account {
			continue
		}
		for i := range in.NetworkInterfaces {
			all = append(all, interfaceOf(in, &in.NetworkInterfaces[i]))
		}
	}
	return all
}

func interfaceOf(in *state.Instance, n *ec2types.InstanceNetworkInterface) ec2types.NetworkInterface {
	shown := ec2types.NetworkInterface{
		AvailabilityZone: in.Placement.AvailabilityZone, AvailabilityZoneId: in.Placement.AvailabilityZoneId, Description: n.Description, Groups: n.Groups,
		InterfaceType: ec2types.NetworkInterfaceTypeInterface, Ipv6Addresses: []ec2types.NetworkInterfaceIpv6Address{}, MacAddress: n.MacAddress,
		NetworkInterfaceId: n.NetworkInterfaceId, Operator: n.Operator, OwnerId: n.OwnerId, PrivateDnsName: n.PrivateDnsName,
		PrivateIpAddress: n.PrivateIpAddress, RequesterManaged: aws.Bool(false), SourceDestCheck: n.SourceDestCheck, Status: n.Status,
		SubnetId: n.SubnetId, TagSet: append([]ec2types.Tag{}, in.CardTags...), VpcId: n.VpcId,
	}
	if a := n.Attachment; a != nil {
		shown.Attachment = &ec2types.NetworkInterfaceAttachment{
			AttachTime: a.AttachTime, AttachmentId: a.AttachmentId, DeleteOnTermination: a.DeleteOnTermination, DeviceIndex: a.DeviceIndex,
			InstanceId: in.InstanceId, InstanceOwnerId: &in.Account, NetworkCardIndex: a.NetworkCardIndex, Status: a.Status,
		}
	}
	if a := n.Association; a != nil {
		shown.Association = &ec2types.NetworkInterfaceAssociation{IpOwnerId: a.IpOwnerId, PublicDnsName: a.PublicDnsName, PublicIp: a.PublicIp}
	}
	for _, p := range n.PrivateIpAddresses {
		shown.PrivateIpAddresses = append(shown.PrivateIpAddresses, ec2types.NetworkInterfacePrivateIpAddress{
			Association: shown.Association, Primary: p.Primary, PrivateDnsName: p.PrivateDnsName, PrivateIpAddress: p.PrivateIpAddress,
		})
	}
	return shown
}

func interfaceFilter(n ec2types.NetworkInterface, name string) ([]string, bool) {
	switch name {
	case "network-interface-id":
		return listing.Values(n.NetworkInterfaceId), true
	case "subnet-id":
		return listing.Values(n.SubnetId), true
	case "vpc-id":
		return listing.Values(n.VpcId), true
	case "availability-zone":
		return listing.Values(n.AvailabilityZone), true
	case "owner-id":
		return listing.Values(n.OwnerId), true
	case "mac-address":
		return listing.Values(n.MacAddress), true
	case "description":
		return listing.Values(n.Description), true
	case "status":
		return []string{string(n.Status)}, true
	case "interface-type":
		return []string{string(n.InterfaceType)}, true
	case "private-ip-address", "addresses.private-ip-address":
		return listing.Values(n.PrivateIpAddress), true
	case "private-dns-name":
		return listing.Values(n.PrivateDnsName), true
	case "requester-managed":
		return listing.Truth(n.RequesterManaged), true
	case "group-id", "group-name":
		return groupValues(n.Groups, name == "group-id"), true
	case "association.public-ip", "addresses.association.public-ip":
		if n.Association == nil {
			return nil, true
		}
		return listing.Values(n.Association.PublicIp), true
	case "association.public-dns-name":
		if n.Association == nil {
			return nil, true
		}
		return listing.Values(n.Association.PublicDnsName), true
	case "availability-zone-id":
		return listing.Values(n.AvailabilityZoneId), true
	case "source-dest-check":
		return listing.Truth(n.SourceDestCheck), true
	case "addresses.primary":
		return []string{"true"}, true
	case "operator.managed":
		return []string{"false"}, true
	case "association.allocation-id", "association.association-id", "ipv6-addresses.ipv6-address", "operator.principal", "requester-id":
		return nil, true // nothing here has one
	}
	if values, ok := attachmentFilter(n.Attachment, name); ok {
		return values, true
	}
	return kit.TagFilter(n.TagSet, name)
}

func attachmentFilter(a *ec2types.NetworkInterfaceAttachment, name string) ([]string, bool) {
	if a == nil {
		a = &ec2types.NetworkInterfaceAttachment{}
	}
	switch name {
	case "attachment.instance-id":
		return listing.Values(a.InstanceId), true
	case "attachment.instance-owner-id":
		return listing.Values(a.InstanceOwnerId), true
	case "attachment.device-index":
		return []string{strconv.Itoa(int(aws.ToInt32(a.DeviceIndex)))}, true
	case "attachment.attachment-id":
		return listing.Values(a.AttachmentId), true
	case "attachment.status":
		return []string{string(a.Status)}, true
	case "attachment.delete-on-termination":
		return listing.Truth(a.DeleteOnTermination), true
	}
	return nil, false
}

func groupValues(groups []ec2types.GroupIdentifier, ids bool) []string {
	var values []string
	for _, g := range groups {
		if ids {
			values = append(values, aws.ToString(g.GroupId))
		} else {
			values = append(values, aws.ToString(g.GroupName))
		}
	}
	return values
}
