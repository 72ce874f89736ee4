package network

import (
	"context"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/listing"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// scope binds the token of a page to the question.
func scope(c *wire.Call) string { return c.Operation + "/" + c.Account + "/" + c.Region }

// vpcOf returns a VPC of the caller.
func vpcOf(r *state.Region, account, id string) (*state.VPC, error) {
	v := r.VPCs.Get(id)
	if v == nil || aws.ToString(v.OwnerId) != account {
		return nil, wire.Errorf("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", id)
	}
	return v, nil
}

func (s *Service) describeVPCs(_ context.Context, c *wire.Call, in *ec2.DescribeVpcsInput) (*ec2.DescribeVpcsOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, wire.ErrDryRun()
	}
	out := &ec2.DescribeVpcsOutput{Vpcs: []ec2types.Vpc{}}
	return out, View(s.store, c, func(r *state.Region) error {
		found, next, err := listing.Run(listing.Query[*state.VPC]{
			IDs: in.VpcIds, Set: "vpcIds", Filters: in.Filters, Attr: vpcFilter, None: &state.VPC{},
			Page: kit.Page{Max: in.MaxResults, Token: in.NextToken, Min: 5, Limit: 1000, Scope: scope(c)},
			Get:  func(id string) (*state.VPC, error) { return vpcOf(r, c.Account, id) },
			All:  owned(maps.Values(maps.Collect(r.VPCs.All())), c.Account, func(v *state.VPC) *string { return v.OwnerId }),
			Key:  func(v *state.VPC) string { return aws.ToString(v.VpcId) },
		})
		for _, v := range found {
			out.Vpcs = append(out.Vpcs, v.Vpc)
		}
		out.NextToken = next
		return err
	})
}

// owned passes on the rows of an account.
func owned[T any](rows func(yield func(T) bool), account string, owner func(T) *string) func(yield func(T) bool) {
	return func(yield func(T) bool) {
		for row := range rows {
			if aws.ToString(owner(row)) == account && !yield(row) {
				return
			}
		}
	}
}

func vpcFilter(v *state.VPC, name string) ([]string, bool) {
	switch name {
	case "vpc-id":
		return listing.Values(v.VpcId), true
	case "cidr", "cidr-block", "cidr-block-association.cidr-block":
		return listing.Values(v.CidrBlock), true
	case "dhcp-options-id":
		return listing.Values(v.DhcpOptionsId), true
	case "is-default", "isDefault":
		return listing.Truth(v.IsDefault), true
	case "owner-id":
		return listing.Values(v.OwnerId), true
	case "state":
		return []string{string(v.State)}, true
	case "cidr-block-association.state":
		return []string{"associated"}, true
	case "cidr-block-association.association-id":
		if len(v.CidrBlockAssociationSet) == 0 {
			return nil, true
		}
		return listing.Values(v.CidrBlockAssociationSet[0].AssociationId), true
	case "ipv6-cidr-block-association.association-id", "ipv6-cidr-block-association.ipv6-cidr-block",
		"ipv6-cidr-block-association.ipv6-pool", "ipv6-cidr-block-association.state":
		return nil, true // nothing here has IPv6
	}
	return kit.TagFilter(v.Tags, name)
}

// describeVPCAttribute answers what default VPCs have [documented].
func (s *Service) describeVPCAttribute(_ context.Context, c *wire.Call, in *ec2.DescribeVpcAttributeInput) (*ec2.DescribeVpcAttributeOutput, error) {
	out := &ec2.DescribeVpcAttributeOutput{VpcId: in.VpcId}
	return out, View(s.store, c, func(r *state.Region) error {
		if _, err := vpcOf(r, c.Account, aws.ToString(in.VpcId)); err != nil {
			return err
		}
		if aws.ToBool(in.DryRun) {
			return wire.ErrDryRun()
		}
		switch in.Attribute {
		case ec2types.VpcAttributeNameEnableDnsSupport:
			out.EnableDnsSupport = &ec2types.AttributeBooleanValue{Value: aws.Bool(true)}
		case ec2types.VpcAttributeNameEnableDnsHostnames:
			out.EnableDnsHostnames = &ec2types.AttributeBooleanValue{Value: aws.Bool(true)}
		case ec2types.VpcAttributeNameEnableNetworkAddressUsageMetrics:
			out.EnableNetworkAddressUsageMetrics = &ec2types.AttributeBooleanValue{Value: aws.Bool(false)}
		default:
			return wire.Errorf("InvalidParameterValue", "Value (%s) for parameter attribute is invalid.", in.Attribute)
		}
		return nil
	})
}

// SubnetOf returns a subnet of an account, or EC2's error.
func SubnetOf(r *state.Region, account, id string) (*state.Subnet, error) {
	row := r.Subnets.Get(id)
	if row == nil || aws.ToString(row.OwnerId) != account {
		return nil, wire.Errorf("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", id)
	}
	return row, nil
}

func (s *Service) describeSubnets(_ context.Context, c *wire.Call, in *ec2.DescribeSubnetsInput) (*ec2.DescribeSubnetsOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, wire.ErrDryRun()
	}
	out := &ec2.DescribeSubnetsOutput{Subnets: []ec2types.Subnet{}}
	return out, View(s.store, c, func(r *state.Region) error {
		found, next, err := listing.Run(listing.Query[*state.Subnet]{
			IDs: in.SubnetIds, Set: "subnetIds", Filters: in.Filters, Attr: subnetFilter, None: &state.Subnet{},
			Page: kit.Page{Max: in.MaxResults, Token: in.NextToken, Min: 5, Limit: 1000, Scope: scope(c)},
			Get:  func(id string) (*state.Subnet, error) { return SubnetOf(r, c.Account, id) },
			All:  owned(maps.Values(maps.Collect(r.Subnets.All())), c.Account, func(v *state.Subnet) *string { return v.OwnerId }),
			Key:  func(v *state.Subnet) string { return aws.ToString(v.SubnetId) },
		})
		for _, row := range found {
			shown := row.Subnet
			shown.AvailableIpAddressCount = aws.Int32(int32(s.Free(r, row))) //nolint:gosec // at most 65536
			out.Subnets = append(out.Subnets, shown)
		}
		out.NextToken = next
		return err
	})
}

// subnetFilter knows some filters by two names, as EC2 does.
func subnetFilter(v *state.Subnet, name string) ([]string, bool) {
	switch name {
	case "subnet-id":
		return listing.Values(v.SubnetId), true
	case "subnet-arn":
		return listing.Values(v.SubnetArn), true
	case "vpc-id":
		return listing.Values(v.VpcId), true
	case "availability-zone", "availabilityZone":
		return listing.Values(v.AvailabilityZone), true
	case "availability-zone-id", "availabilityZoneId":
		return listing.Values(v.AvailabilityZoneId), true
	case "cidr", "cidr-block", "cidrBlock":
		return listing.Values(v.CidrBlock), true
	case "default-for-az", "defaultForAz":
		return listing.Truth(v.DefaultForAz), true
	case "map-public-ip-on-launch":
		return listing.Truth(v.MapPublicIpOnLaunch), true
	case "owner-id":
		return listing.Values(v.OwnerId), true
	case "state":
		return []string{string(v.State)}, true
	case "enable-dns64", "ipv6-native", "map-customer-owned-ip-on-launch", "private-dns-name-options-on-launch.enable-resource-name-dns-a-record",
		"private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record":
		return []string{"false"}, true
	case "private-dns-name-options-on-launch.hostname-type":
		return []string{"ip-name"}, true
	case "customer-owned-ipv4-pool", "outpost-arn", "ipv6-cidr-block-association.association-id",
		"ipv6-cidr-block-association.ipv6-cidr-block", "ipv6-cidr-block-association.state":
		return nil, true // nothing here has one
	}
	return kit.TagFilter(v.Tags, name)
}

// describeAccountAttributes answers with what an account in a VPC world has.
func (s *Service) describeAccountAttributes(_ context.Context, c *wire.Call, in *ec2.DescribeAccountAttributesInput) (*ec2.DescribeAccountAttributesOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, wire.ErrDryRun()
	}
	all := map[string]string{
		"supported-platforms": "VPC", "default-vpc": DefaultVPC(c.Region, c.Account), "max-instances": "20",
		"vpc-max-security-groups-per-interface": "5", "max-elastic-ips": "5", "vpc-max-elastic-ips": "5",
	}
	wanted := slices.Sorted(maps.Keys(all))
	if len(in.AttributeNames) > 0 {
		wanted = nil
		for _, name := range in.AttributeNames {
			if all[string(name)] == "" {
				return nil, wire.Errorf("InvalidParameterValue", "Value (%s) for parameter attributeName is invalid.", name)
			}
			wanted = append(wanted, string(name))
		}
	}
	out := &ec2.DescribeAccountAttributesOutput{}
	for _, name := range wanted {
		out.AccountAttributes = append(out.AccountAttributes, ec2types.AccountAttribute{
			AttributeName: &name, AttributeValues: []ec2types.AccountAttributeValue{{AttributeValue: aws.String(all[name])}},
		})
	}
	return out, nil
}
