package network_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"pgregory.net/rapid"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
	"github.com/iibake/iibake/test/localcloud/internal/network"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// newCloud returns a cloud, and the groups whose rules have changed.
func newCloud(t *testing.T) (*ec2test.Cloud, *[]string) {
	t.Helper()
	var changed []string
	c := ec2test.New(t, func(store *state.Store, svc *wire.Service) {
		network.New(store, func(_ *state.Region, group string) { changed = append(changed, group) }).Register(svc)
	})
	return c, &changed
}

func filter(name string, values ...string) []ec2types.Filter {
	return []ec2types.Filter{{Name: &name, Values: values}}
}

func TestZones(t *testing.T) {
	t.Parallel()
	for region, want := range map[string]network.Zone{
		"us-east-1": {"us-east-1a", "use1-az1"}, "ap-southeast-2": {"ap-southeast-2a", "apse2-az1"}, "us-gov-west-1": {"us-gov-west-1a", "usgw1-az1"},
	} {
		if got := network.Zones(region)[0]; got != want {
			t.Errorf("got %v, want %v", got, want)
		}
		if _, ok := network.ZoneOf(region, want.ID); !ok {
			t.Errorf("%s is not found", want.ID)
		}
	}
	c, _ := newCloud(t)
	out, err := c.Client.DescribeAvailabilityZones(t.Context(), &ec2.DescribeAvailabilityZonesInput{Filters: filter("zone-id", "use1-az2")})
	if err != nil || len(out.AvailabilityZones) != 1 || *out.AvailabilityZones[0].ZoneName != "us-east-1b" {
		t.Errorf("got %+v %v", out, err)
	}
	_, err = c.Client.DescribeAvailabilityZones(t.Context(), &ec2.DescribeAvailabilityZonesInput{ZoneNames: []string{"moon-1a"}})
	ec2test.Expect(t, err, "InvalidParameterValue", "Invalid availability zone: [moon-1a]")
	regions, err := c.Client.DescribeRegions(t.Context(), &ec2.DescribeRegionsInput{RegionNames: []string{"eu-west-1"}})
	if err != nil || *regions.Regions[0].Endpoint != "ec2.eu-west-1.amazonaws.com" {
		t.Errorf("got %+v %v", regions, err)
	}
}

// Every account has a default VPC in every region, also where nobody has asked before.
func TestDefaults(t *testing.T) {
	t.Parallel()
	c, _ := newCloud(t)
	vpcs, err := c.Client.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{Filters: filter("is-default", "true")})
	if err != nil || len(vpcs.Vpcs) != 1 {
		t.Fatalf("got %+v %v", vpcs, err)
	}
	vpc := *vpcs.Vpcs[0].VpcId
	subnets, err := c.Client.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{Filters: append(filter("vpc-id", vpc), filter("availabilityZone", "us-east-1?")...)})
	if err != nil || len(subnets.Subnets) != 3 || !*subnets.Subnets[0].MapPublicIpOnLaunch || *subnets.Subnets[0].AvailableIpAddressCount != 16379 {
		t.Fatalf("got %+v %v", subnets, err)
	}
	groups, err := c.Client.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{GroupNames: []string{"default"}})
	if err != nil || len(groups.SecurityGroups) != 1 {
		t.Fatalf("got %+v %v", groups, err)
	}
	g := groups.SecurityGroups[0]
	if *g.IpPermissions[0].UserIdGroupPairs[0].GroupId != *g.GroupId || *g.IpPermissionsEgress[0].IpRanges[0].CidrIp != "0.0.0.0/0" || g.IpPermissions[0].FromPort != nil {
		t.Errorf("got %+v", g)
	}
	other, err := c.As(ec2test.Other).DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{})
	if err != nil || len(other.Vpcs) != 1 || *other.Vpcs[0].VpcId == vpc {
		t.Errorf("got %+v %v", other, err)
	}
	_, err = c.As(ec2test.Other).DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{VpcIds: []string{vpc}})
	ec2test.Expect(t, err, "InvalidVpcID.NotFound", "The vpc ID '"+vpc+"' does not exist")
	routes, err := c.Client.DescribeRouteTables(t.Context(), &ec2.DescribeRouteTablesInput{Filters: append(filter("association.main", "true"), filter("vpc-id", vpc)...)})
	if err != nil || len(routes.RouteTables[0].Routes) != 2 {
		t.Errorf("got %+v %v", routes, err)
	}
	gateways, err := c.Client.DescribeInternetGateways(t.Context(), &ec2.DescribeInternetGatewaysInput{Filters: filter("attachment.vpc-id", vpc)})
	if err != nil || *gateways.InternetGateways[0].InternetGatewayId != *routes.RouteTables[0].Routes[1].GatewayId {
		t.Errorf("got %+v %v", gateways, err)
	}
	names, err := c.Client.DescribeVpcAttribute(t.Context(), &ec2.DescribeVpcAttributeInput{VpcId: &vpc, Attribute: "enableDnsHostnames"})
	if err != nil || !*names.EnableDnsHostnames.Value {
		t.Errorf("got %+v %v", names, err)
	}
	attributes, err := c.Client.DescribeAccountAttributes(t.Context(), &ec2.DescribeAccountAttributesInput{AttributeNames: []ec2types.AccountAttributeName{"default-vpc"}})
	if err != nil || *attributes.AccountAttributes[0].AttributeValues[0].AttributeValue != vpc {
		t.Errorf("got %+v %v", attributes, err)
	}
}

func tcp(port int32, cidr string) []ec2types.IpPermission {
	return []ec2types.IpPermission{{IpProtocol: aws.String("tcp"), FromPort: &port, ToPort: &port, IpRanges: []ec2types.IpRange{{CidrIp: &cidr}}}}
}

func newGroup(t *testing.T, c *ec2test.Cloud, name string) string {
	t.Helper()
	out, err := c.Client.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{GroupName: &name, Description: aws.String("for a test"), VpcId: aws.String("")})
	if err != nil {
		t.Fatal(err)
	}
	return *out.GroupId
}

func TestGroups(t *testing.T) {
	t.Parallel()
	c, changed := newCloud(t)
	web, db := newGroup(t, c, "web"), newGroup(t, c, "db")
	open := func(id string, p []ec2types.IpPermission) error {
		_, err := c.Client.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &id, IpPermissions: p})
		return err
	}
	ec2test.Expect(t, open(web, tcp(22, "0.0.0.0/0")), "", "")
	ec2test.Expect(t, open(web, tcp(22, "0.0.0.0/0")), "InvalidPermission.Duplicate", `the specified rule "peer: 0.0.0.0/0, TCP, from port: 22, to port: 22, ALLOW" already exists`)
	ec2test.Expect(t, open(web, tcp(22, "10.0.0.0/8")), "", "")
	ec2test.Expect(t, open(web, tcp(70000, "10.0.0.0/8")), "InvalidParameterValue", "TCP/UDP port (70000) out of range")
	ec2test.Expect(t, open(web, tcp(80, "10.0.0.0")), "InvalidParameterValue", "CIDR block 10.0.0.0 is malformed")
	ec2test.Expect(t, open(web, []ec2types.IpPermission{{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(1), ToPort: aws.Int32(2)}}), "MissingParameter", "")
	ec2test.Expect(t, open("sg-00000000000000001", tcp(1, "10.0.0.0/8")), "InvalidGroup.NotFound", "The security group 'sg-00000000000000001' does not exist")
	ec2test.Expect(t, open("x", tcp(1, "10.0.0.0/8")), "InvalidGroupId.Malformed", "")
	ec2test.Expect(t, open(db, []ec2types.IpPermission{{IpProtocol: aws.String("-1"), UserIdGroupPairs: []ec2types.UserIdGroupPair{{GroupId: &web}}}}), "", "")
	if !slices.Equal(*changed, []string{web, web, db}) {
		t.Errorf("told of %v", *changed)
	}

	out, err := c.Client.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{GroupIds: []string{web}})
	if err != nil || len(out.SecurityGroups[0].IpPermissions) != 1 || len(out.SecurityGroups[0].IpPermissions[0].IpRanges) != 2 {
		t.Errorf("rules of one protocol and port are shown as one: %+v %v", out, err)
	}
	byPort, err := c.Client.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{Filters: filter("ip-permission.from-port", "22")})
	if err != nil || len(byPort.SecurityGroups) != 1 {
		t.Errorf("got %+v %v", byPort, err)
	}
	remove := func(id string) error {
		_, err := c.Client.DeleteSecurityGroup(t.Context(), &ec2.DeleteSecurityGroupInput{GroupId: &id})
		return err
	}
	ec2test.Expect(t, remove(web), "DependencyViolation", "resource "+web+" has a dependent object")
	ec2test.Expect(t, remove(db), "", "")
	ec2test.Expect(t, remove(web), "", "")
	ec2test.Expect(t, remove(web), "InvalidGroup.NotFound", "")
	standard := network.DefaultGroup(ec2test.Region, ec2test.Account, network.DefaultVPC(ec2test.Region, ec2test.Account))
	ec2test.Expect(t, remove(standard), "CannotDelete", `the specified group: "`+standard+`" name: "default" cannot be deleted by a user`)
}

func TestCreateGroupRefuses(t *testing.T) {
	t.Parallel()
	c, _ := newCloud(t)
	newGroup(t, c, "taken")
	for name, v := range map[string]struct{ name, description, vpc, code string }{
		"duplicate":   {"taken", "d", "", "InvalidGroup.Duplicate"},
		"reserved":    {"default", "d", "", "InvalidParameterValue"},
		"like an id":  {"sg-x", "d", "", "InvalidParameterValue"},
		"unknown vpc": {"new", "d", "vpc-00000000000000001", "InvalidVpcID.NotFound"},
	} {
		_, err := c.Client.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{GroupName: &v.name, Description: &v.description, VpcId: &v.vpc})
		if got := ec2test.FailureOf(err).Code; got != v.code {
			t.Errorf("%s: got %s, want %s", name, got, v.code)
		}
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	c, _ := newCloud(t)
	web := newGroup(t, c, "web")
	made, err := c.Client.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &web, IpPermissions: append(tcp(22, "0.0.0.0/0"), tcp(80, "0.0.0.0/0")...)})
	if err != nil || len(made.SecurityGroupRules) != 2 {
		t.Fatalf("got %+v %v", made, err)
	}
	out, err := c.Client.RevokeSecurityGroupIngress(t.Context(), &ec2.RevokeSecurityGroupIngressInput{GroupId: &web, IpPermissions: append(tcp(22, "0.0.0.0/0"), tcp(99, "0.0.0.0/0")...)})
	if err != nil || len(out.RevokedSecurityGroupRules) != 1 || len(out.UnknownIpPermissions) != 1 || *out.UnknownIpPermissions[0].FromPort != 99 {
		t.Errorf("in a default VPC unknown rules are no error: %+v %v", out, err)
	}
	byID := func(id string) error {
		_, err := c.Client.RevokeSecurityGroupIngress(t.Context(), &ec2.RevokeSecurityGroupIngressInput{GroupId: &web, SecurityGroupRuleIds: []string{id}})
		return err
	}
	ec2test.Expect(t, byID(*made.SecurityGroupRules[1].SecurityGroupRuleId), "", "")
	ec2test.Expect(t, byID(*made.SecurityGroupRules[1].SecurityGroupRuleId), "InvalidSecurityGroupRuleId.NotFound", "")
	rules, err := c.Client.DescribeSecurityGroupRules(t.Context(), &ec2.DescribeSecurityGroupRulesInput{Filters: filter("group-id", web)})
	if err != nil || len(rules.SecurityGroupRules) != 1 || !*rules.SecurityGroupRules[0].IsEgress {
		t.Errorf("got %+v %v", rules, err)
	}
}

// The ports of a machine are those that somebody on this machine may use.
func TestPorts(t *testing.T) {
	t.Parallel()
	c, _ := newCloud(t)
	web := newGroup(t, c, "web")
	everything := []ec2types.IpPermission{{IpProtocol: aws.String("-1"), IpRanges: []ec2types.IpRange{{CidrIp: aws.String("127.0.0.0/8")}}}}
	udp := []ec2types.IpPermission{{IpProtocol: aws.String("udp"), FromPort: aws.Int32(53), ToPort: aws.Int32(53), IpRanges: []ec2types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}}}}
	for _, v := range []struct {
		add  []ec2types.IpPermission
		want []compute.Port
	}{
		{tcp(22, "0.0.0.0/0"), []compute.Port{{From: 22, To: 22}}},
		{tcp(80, "10.0.0.0/8"), []compute.Port{{From: 22, To: 22}}},
		{udp, []compute.Port{{From: 22, To: 22}}},
		{everything, []compute.Port{{From: 22, To: 22}, {From: 0, To: 65535}}},
	} {
		if _, err := c.Client.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &web, IpPermissions: v.add}); err != nil {
			t.Fatal(err)
		}
		c.View(t, func(r *state.Region) {
			if got := network.Ports(r, []ec2types.GroupIdentifier{{GroupId: &web}}); !slices.Equal(got, v.want) {
				t.Errorf("got %v, want %v", got, v.want)
			}
		})
	}
}

// No two holders have one address, and what was given up can be had again.
func TestAddresses(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		store := state.New(clock.Real{})
		s := network.New(store, nil)
		subnet := &state.Subnet{Subnet: ec2types.Subnet{SubnetId: aws.String("subnet-1"), CidrBlock: aws.String("10.1.2.0/28")}}
		_ = store.Update("r", func(r *state.Region) error {
			r.Subnets.Put("subnet-1", subnet)
			held := map[string]bool{}
			for range 200 {
				if rapid.Bool().Draw(t, "take") {
					want := rapid.SampledFrom([]string{"", "", "", "10.1.2.7", "10.1.2.3", "10.1.3.4", "x"}).Draw(t, "want")
					a, err := s.Take(r, subnet, want)
					switch {
					case err == nil && held[a]:
						t.Fatalf("%s is given twice", a)
					case err == nil:
						held[a] = true
					case want == "" && len(held) < 11:
						t.Fatalf("%v with %d held", err, len(held))
					}
				} else if len(held) > 0 {
					all := slices.Sorted(func(yield func(string) bool) {
						for a := range held {
							if !yield(a) {
								return
							}
						}
					})
					a := rapid.SampledFrom(all).Draw(t, "give")
					s.Release(r, "subnet-1", a)
					delete(held, a)
				}
				if free := s.Free(r, subnet); free != 11-len(held) {
					t.Fatalf("%d are free with %d held", free, len(held))
				}
			}
			return nil
		})
	})
}

// As recorded: a page says whether there are more, and its token belongs to the question.
func TestPages(t *testing.T) {
	t.Parallel()
	c, _ := newCloud(t)
	for i := range 11 {
		newGroup(t, c, fmt.Sprint("g", i))
	}
	first, err := c.Client.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{MaxResults: aws.Int32(5)})
	if err != nil || len(first.SecurityGroups) != 5 || first.NextToken == nil {
		t.Fatalf("got %+v %v", first, err)
	}
	rest, err := c.Client.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{NextToken: first.NextToken})
	if err != nil || len(rest.SecurityGroups) != 7 || rest.NextToken != nil {
		t.Errorf("got %d %v", len(rest.SecurityGroups), err)
	}
	_, err = c.Client.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{NextToken: first.NextToken, GroupIds: []string{"sg-1"}})
	ec2test.Expect(t, err, "InvalidParameterCombination", "The parameter securityGroupIdSet cannot be used with the parameter nextToken")
	_, err = c.Client.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{NextToken: first.NextToken})
	ec2test.Expect(t, err, "InvalidParameterValue", "invalid value for parameter next-token: "+*first.NextToken)
	_, err = c.Client.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{NextToken: first.NextToken, Filters: filter("vpc-id", "x")})
	ec2test.Expect(t, err, "InvalidParameterValue", "")
	_, err = c.Client.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{NextToken: first.NextToken, Filters: filter("tag:x", "y")})
	ec2test.Expect(t, err, "", "")
}
