package network_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
	"github.com/iibake/iibake/test/localcloud/internal/network"
)

// The identifiers of the account's default resources, which always are the same.
func defaults() (vpc, subnet, group string) {
	vpc = network.DefaultVPC(ec2test.Region, ec2test.Account)
	return vpc, network.DefaultSubnet(ec2test.Region, ec2test.Account, "us-east-1a"), network.DefaultGroup(ec2test.Region, ec2test.Account, vpc)
}

func TestDefaultVPC(t *testing.T) {
	t.Parallel()
	c, _ := newCloud(t)
	id, _, _ := defaults()
	out, err := c.Client.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{VpcIds: []string{id}})
	if err != nil {
		t.Fatal(err)
	}
	v := out.Vpcs[0]
	if *v.CidrBlock != "172.31.0.0/16" || !*v.IsDefault || v.State != "available" || v.InstanceTenancy != "default" || *v.OwnerId != ec2test.Account ||
		len(v.CidrBlockAssociationSet) != 1 || v.CidrBlockAssociationSet[0].CidrBlockState.State != "associated" || len(v.Ipv6CidrBlockAssociationSet) != 0 {
		t.Errorf("got %+v", v)
	}
	elsewhere, err := c.In("eu-west-1", ec2test.Account).DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{})
	if err != nil || len(elsewhere.Vpcs) != 1 || *elsewhere.Vpcs[0].VpcId == id {
		t.Errorf("another region has another: %+v %v", elsewhere, err)
	}
}

func TestVPCFilters(t *testing.T) {
	t.Parallel()
	c, _ := newCloud(t)
	id, _, _ := defaults()
	for name, value := range map[string]string{
		"vpc-id": id, "cidr": "172.31.*", "cidr-block": "172.31.0.0/16", "cidr-block-association.cidr-block": "172.31.0.0/16", "is-default": "true",
		"isDefault": "true", "owner-id": ec2test.Account, "state": "available", "dhcp-options-id": "dopt-*",
		"cidr-block-association.association-id": "vpc-cidr-assoc-*", "cidr-block-association.state": "associated",
	} {
		out, err := c.Client.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{Filters: filter(name, value)})
		if err != nil || len(out.Vpcs) != 1 {
			t.Errorf("%s=%s: got %+v %v", name, value, out, err)
		}
		out, err = c.Client.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{Filters: filter(name, "another")})
		if err != nil || len(out.Vpcs) != 0 {
			t.Errorf("%s=another: got %+v %v", name, out, err)
		}
	}
	for _, name := range []string{"ipv6-cidr-block-association.ipv6-cidr-block", "tag:x", "tag-key"} {
		if out, err := c.Client.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{Filters: filter(name, "*")}); err != nil || len(out.Vpcs) != 0 {
			t.Errorf("%s: got %+v %v", name, out, err)
		}
	}
}

// What all operations of the network that list something refuse, in the same way.
func TestListsRefuse(t *testing.T) {
	t.Parallel()
	c, _ := newCloud(t)
	ctx := t.Context()
	for name, call := range map[string]func(ids []string, f []ec2types.Filter, most *int32, dry *bool) error{
		"vpcs vpc-1 InvalidVpcID.NotFound The vpc ID 'vpc-1' does not exist": func(ids []string, f []ec2types.Filter, most *int32, dry *bool) error {
			_, err := c.Client.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{VpcIds: ids, Filters: f, MaxResults: most, DryRun: dry})
			return err
		},
		"subnets subnet-1 InvalidSubnetID.NotFound The subnet ID 'subnet-1' does not exist": func(ids []string, f []ec2types.Filter, most *int32, dry *bool) error {
			_, err := c.Client.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: ids, Filters: f, MaxResults: most, DryRun: dry})
			return err
		},
		"gateways igw-1 InvalidInternetGatewayID.NotFound The internetGateway ID 'igw-1' does not exist": func(ids []string, f []ec2types.Filter, most *int32, dry *bool) error {
			_, err := c.Client.DescribeInternetGateways(ctx, &ec2.DescribeInternetGatewaysInput{InternetGatewayIds: ids, Filters: f, MaxResults: most, DryRun: dry})
			return err
		},
		"tables rtb-1 InvalidRouteTableID.NotFound The routeTable ID 'rtb-1' does not exist": func(ids []string, f []ec2types.Filter, most *int32, dry *bool) error {
			_, err := c.Client.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{RouteTableIds: ids, Filters: f, MaxResults: most, DryRun: dry})
			return err
		},
		"interfaces eni-1 InvalidNetworkInterfaceID.NotFound The networkInterface ID 'eni-1' does not exist": func(ids []string, f []ec2types.Filter, most *int32, dry *bool) error {
			_, err := c.Client.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: ids, Filters: f, MaxResults: most, DryRun: dry})
			return err
		},
		"groups sg-1 InvalidGroup.NotFound The security group 'sg-1' does not exist": func(ids []string, f []ec2types.Filter, most *int32, dry *bool) error {
			_, err := c.Client.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: ids, Filters: f, MaxResults: most, DryRun: dry})
			return err
		},
		"rules sgr-1 InvalidSecurityGroupRuleId.NotFound The security group rule ID 'sgr-1' does not exist": func(ids []string, f []ec2types.Filter, most *int32, dry *bool) error {
			_, err := c.Client.DescribeSecurityGroupRules(ctx, &ec2.DescribeSecurityGroupRulesInput{SecurityGroupRuleIds: ids, Filters: f, MaxResults: most, DryRun: dry})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id, code, text := split(name)
			ec2test.Expect(t, call([]string{id}, nil, nil, nil), code, text)
			ec2test.Expect(t, call([]string{id}, filter("garbage", "x"), nil, nil), "InvalidParameterValue", "The filter 'garbage' is invalid")
			ec2test.Expect(t, call(nil, nil, aws.Int32(4), nil), "InvalidParameterValue", "Invalid value '4' for maxResults. Expecting a value greater than 5.")
			ec2test.Expect(t, call(nil, nil, aws.Int32(100000), nil), "InvalidParameterValue", "")
			ec2test.Expect(t, call([]string{id}, nil, aws.Int32(5), nil), "InvalidParameterCombination", "")
			ec2test.Expect(t, call(nil, nil, nil, aws.Bool(true)), "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
			ec2test.Expect(t, call(nil, nil, aws.Int32(5), nil), "", "")
		})
	}
}

func TestVPCAttributes(t *testing.T) {
	t.Parallel()
	c, _ := newCloud(t)
	id, _, _ := defaults()
	for name, v := range map[string]struct {
		in            ec2.DescribeVpcAttributeInput
		code, message string
	}{
		"support":   {ec2.DescribeVpcAttributeInput{VpcId: &id, Attribute: "enableDnsSupport"}, "", ""},
		"names":     {ec2.DescribeVpcAttributeInput{VpcId: &id, Attribute: "enableDnsHostnames"}, "", ""},
		"metrics":   {ec2.DescribeVpcAttributeInput{VpcId: &id, Attribute: "enableNetworkAddressUsageMetrics"}, "", ""},
		"unknown":   {ec2.DescribeVpcAttributeInput{VpcId: &id, Attribute: "x"}, "InvalidParameterValue", "Value (x) for parameter attribute is invalid."},
		"not there": {ec2.DescribeVpcAttributeInput{VpcId: aws.String("vpc-1"), Attribute: "enableDnsSupport", DryRun: aws.Bool(true)}, "InvalidVpcID.NotFound", ""},
		"dry run":   {ec2.DescribeVpcAttributeInput{VpcId: &id, Attribute: "enableDnsSupport", DryRun: aws.Bool(true)}, "DryRunOperation", ""},
	} {
		out, err := c.Client.DescribeVpcAttribute(t.Context(), &v.in)
		ec2test.Expect(t, err, v.code, v.message)
		if err != nil {
			continue
		}
		for attribute, got := range map[string]*ec2types.AttributeBooleanValue{
			"support": out.EnableDnsSupport, "names": out.EnableDnsHostnames, "metrics": out.EnableNetworkAddressUsageMetrics,
		} {
			if (got != nil) != (attribute == name) || got != nil && *got.Value != (name != "metrics") {
				t.Errorf("%s: %s is %+v", name, attribute, got)
			}
		}
	}
}
