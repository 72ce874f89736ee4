package network_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
	"github.com/iibake/iibake/test/localcloud/internal/network"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// split takes the name of a case apart: what, id, code, text.
func split(name string) (id, code, text string) {
	parts := strings.SplitN(name, " ", 4)
	return parts[1], parts[2], parts[3]
}

// The default subnets share the range of their VPC, and none overlaps another.
func TestSubnetsShareTheVPC(t *testing.T) {
	t.Parallel()
	c, _ := newCloud(t)
	out, err := c.Client.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})
	if err != nil || len(out.Subnets) != 3 {
		t.Fatalf("got %+v %v", out, err)
	}
	whole := netip.MustParsePrefix("172.31.0.0/16")
	for i, s := range out.Subnets {
		own := netip.MustParsePrefix(*s.CidrBlock)
		if !whole.Overlaps(own) || own.Bits() <= whole.Bits() {
			t.Errorf("%s is not in %s", own, whole)
		}
		for _, other := range out.Subnets[:i] {
			if own.Overlaps(netip.MustParsePrefix(*other.CidrBlock)) {
				t.Errorf("%s and %s overlap", own, *other.CidrBlock)
			}
		}
		if !*s.DefaultForAz || !*s.MapPublicIpOnLaunch || *s.OwnerId != ec2test.Account || s.State != "available" || *s.AssignIpv6AddressOnCreation ||
			*s.SubnetArn != "arn:aws:ec2:us-east-1:"+ec2test.Account+":subnet/"+*s.SubnetId || s.PrivateDnsNameOptionsOnLaunch.HostnameType != "ip-name" {
			t.Errorf("got %+v", s)
		}
	}
}

func TestSubnetFilters(t *testing.T) {
	t.Parallel()
	c, _ := newCloud(t)
	vpc, id, _ := defaults()
	for name, v := range map[string]struct {
		value string
		want  int
	}{
		"subnet-id": {id, 1}, "subnet-arn": {"*/" + id, 1}, "vpc-id": {vpc, 3}, "availability-zone": {"us-east-1a", 1}, "availabilityZone": {"us-east-1a", 1},
		"availability-zone-id": {"use1-az1", 1}, "availabilityZoneId": {"use1-az1", 1}, "cidr": {"172.31.0.0/18", 1}, "cidr-block": {"172.31.64.0/18", 1},
		"cidrBlock": {"172.31.128.0/18", 1}, "default-for-az": {"true", 3}, "defaultForAz": {"false", 0}, "map-public-ip-on-launch": {"true", 3},
		"owner-id": {ec2test.Other, 0}, "state": {"available", 3}, "tag:a": {"*", 0}, "tag-key": {"*", 0}, "ipv6-native": {"false", 3}, "outpost-arn": {"*", 0},
		"private-dns-name-options-on-launch.hostname-type": {"ip-name", 3}, "enable-dns64": {"true", 0},
	} {
		out, err := c.Client.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{Filters: filter(name, v.value)})
		if err != nil || len(out.Subnets) != v.want {
			t.Errorf("%s=%s: got %+v %v, want %d", name, v.value, out, err, v.want)
		}
	}
	_, err := c.As(ec2test.Other).DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{SubnetIds: []string{id}})
	ec2test.Expect(t, err, "InvalidSubnetID.NotFound", "The subnet ID '"+id+"' does not exist")
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	c, _ := newCloud(t)
	vpc, _, _ := defaults()
	out, err := c.Client.DescribeRouteTables(t.Context(), &ec2.DescribeRouteTablesInput{})
	if err != nil || len(out.RouteTables) != 1 {
		t.Fatalf("got %+v %v", out, err)
	}
	table := out.RouteTables[0]
	if a := table.Associations[0]; !*a.Main || a.SubnetId != nil || *a.RouteTableId != *table.RouteTableId || *table.Routes[0].GatewayId != "local" ||
		*table.Routes[0].DestinationCidrBlock != "172.31.0.0/16" || *table.Routes[1].DestinationCidrBlock != "0.0.0.0/0" || table.Routes[1].Origin != "CreateRoute" {
		t.Errorf("got %+v", table)
	}
	gateway := *table.Routes[1].GatewayId
	for name, v := range map[string]struct {
		value string
		want  int
	}{
		"association.main": {"true", 1}, "association.route-table-id": {*table.RouteTableId, 1}, "route-table-id": {*table.RouteTableId, 1},
		"association.route-table-association-id": {*table.Associations[0].RouteTableAssociationId, 1}, "association.subnet-id": {"*", 0},
		"owner-id": {ec2test.Account, 1}, "route.destination-cidr-block": {"0.0.0.0/0", 1}, "route.gateway-id": {gateway, 1}, "vpc-id": {vpc, 1},
		"route.origin": {"CreateRouteTable", 1}, "route.state": {"blackhole", 0}, "route.nat-gateway-id": {"*", 0}, "tag:x": {"y", 0},
	} {
		out, err := c.Client.DescribeRouteTables(t.Context(), &ec2.DescribeRouteTablesInput{Filters: filter(name, v.value)})
		if err != nil || len(out.RouteTables) != v.want {
			t.Errorf("%s=%s: got %+v %v, want %d", name, v.value, out, err, v.want)
		}
	}
	for name, v := range map[string]struct {
		value string
		want  int
	}{
		"attachment.vpc-id": {vpc, 1}, "attachment.state": {"available", 1}, "internet-gateway-id": {gateway, 1}, "owner-id": {ec2test.Other, 0}, "tag-key": {"*", 0},
	} {
		out, err := c.Client.DescribeInternetGateways(t.Context(), &ec2.DescribeInternetGatewaysInput{Filters: filter(name, v.value)})
		if err != nil || len(out.InternetGateways) != v.want {
			t.Errorf("%s=%s: got %+v %v, want %d", name, v.value, out, err, v.want)
		}
	}
}

// After a restart of the process the addresses of the instances that are there are taken, and those of terminated ones are not.
func TestAddressesAfterRestart(t *testing.T) {
	t.Parallel()
	store := state.New(clock.Real{})
	subnet := &state.Subnet{}
	subnet.SubnetId, subnet.CidrBlock = aws.String("subnet-1"), aws.String("10.0.0.0/29") // three addresses: .4, .5, .6
	err := store.Update("r", func(r *state.Region) error {
		r.Subnets.Put("subnet-1", subnet)
		for id, name := range map[string]string{"i-1": "running", "i-2": "terminated"} {
			in := &state.Instance{Address: map[string]string{"i-1": "10.0.0.5", "i-2": "10.0.0.6"}[id]}
			in.SubnetId = aws.String("subnet-1")
			in.State = stateNamed(name)
			r.Instances.Put(id, in)
		}
		s := network.New(store, nil)
		if free := s.Free(r, subnet); free != 2 {
			t.Errorf("%d are free", free)
		}
		_, err := s.Take(r, subnet, "10.0.0.5")
		if err == nil || err.Error() != "InvalidIPAddress.InUse: Address 10.0.0.5 is in use." {
			t.Errorf("got %v", err)
		}
		for _, want := range []string{"10.0.0.4", "10.0.0.6"} {
			if got, err := s.Take(r, subnet, ""); err != nil || got != want {
				t.Errorf("got %s %v, want %s", got, err, want)
			}
		}
		if _, err := s.Take(r, subnet, ""); err == nil || !strings.HasPrefix(err.Error(), "InsufficientFreeAddressesInSubnet: ") {
			t.Errorf("got %v", err)
		}
		s.Release(r, "subnet-1", "10.0.0.5")
		s.Release(r, "subnet-1", "10.0.0.5") // twice is once
		s.Release(r, "subnet-1", "")
		s.Release(r, "subnet-2", "10.0.0.4") // nobody knows that subnet
		if got, err := s.Take(r, subnet, ""); err != nil || got != "10.0.0.5" || s.Free(r, subnet) != 0 {
			t.Errorf("got %s %v", got, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
