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

// Every VPC has an internet gateway and a main route table that leads to it, as default VPCs have. They follow from the VPC and
// have no records of their own.

func gatewayOf(region string, v *state.VPC) ec2types.InternetGateway {
	return ec2types.InternetGateway{
		Attachments:       []ec2types.InternetGatewayAttachment{{State: "available", VpcId: v.VpcId}},
		InternetGatewayId: aws.String(fixedID("igw", region, aws.ToString(v.OwnerId), aws.ToString(v.VpcId))), OwnerId: v.OwnerId, Tags: []ec2types.Tag{},
	}
}

func routesOf(region string, v *state.VPC) ec2types.RouteTable {
	account, vpc := aws.ToString(v.OwnerId), aws.ToString(v.VpcId)
	table, association := fixedID("rtb", region, account, vpc), fixedID("rtbassoc", region, account, vpc)
	return ec2types.RouteTable{
		Associations: []ec2types.RouteTableAssociation{{
			AssociationState: &ec2types.RouteTableAssociationState{State: ec2types.RouteTableAssociationStateCodeAssociated},
			Main:             aws.Bool(true), RouteTableAssociationId: &association, RouteTableId: &table,
		}},
		OwnerId: v.OwnerId, PropagatingVgws: []ec2types.PropagatingVgw{}, RouteTableId: &table, Tags: []ec2types.Tag{}, VpcId: v.VpcId,
		Routes: []ec2types.Route{
			{DestinationCidrBlock: v.CidrBlock, GatewayId: aws.String("local"), Origin: ec2types.RouteOriginCreateRouteTable, State: ec2types.RouteStateActive},
			{
				DestinationCidrBlock: aws.String("0.0.0.0/0"), GatewayId: gatewayOf(region, v).InternetGatewayId,
				Origin: ec2types.RouteOriginCreateRoute, State: ec2types.RouteStateActive,
			},
		},
	}
}

// vpcs returns what each VPC of an account has.
func vpcs[T any](r *state.Region, account string, of func(region string, v *state.VPC) T) []T {
	var all []T
	for v := range owned(maps.Values(maps.Collect(r.VPCs.All())), account, func(v *state.VPC) *string { return v.OwnerId }) {
		all = append(all, of(r.Name, v))
	}
	return all
}

// lookup returns a function that finds an item by its key.
func lookup[T any](items []T, key func(T) string, code, text string) func(id string) (T, error) {
	return func(id string) (T, error) {
		i := slices.IndexFunc(items, func(item T) bool { return key(item) == id })
		if i < 0 {
			var none T
			return none, wire.Errorf(code, text, id)
		}
		return items[i], nil
	}
}

func (s *Service) describeGateways(_ context.Context, c *wire.Call, in *ec2.DescribeInternetGatewaysInput) (*ec2.DescribeInternetGatewaysOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, wire.ErrDryRun()
	}
	out := &ec2.DescribeInternetGatewaysOutput{}
	return out, View(s.store, c, func(r *state.Region) (err error) {
		all, key := vpcs(r, c.Account, gatewayOf), func(g ec2types.InternetGateway) string { return aws.ToString(g.InternetGatewayId) }
		out.InternetGateways, out.NextToken, err = listing.Run(listing.Query[ec2types.InternetGateway]{
			IDs: in.InternetGatewayIds, Set: "internetGatewayIds", Filters: in.Filters, Attr: gatewayFilter, All: slices.Values(all), Key: key,
			Page: kit.Page{Max: in.MaxResults, Token: in.NextToken, Min: 5, Limit: 1000, Scope: scope(c)},
			Get:  lookup(all, key, "InvalidInternetGatewayID.NotFound", "The internetGateway ID '%s' does not exist"),
		})
		return err
	})
}

func gatewayFilter(g ec2types.InternetGateway, name string) ([]string, bool) {
	var vpc *string
	if len(g.Attachments) > 0 {
		vpc = g.Attachments[0].VpcId
	}
	switch name {
	case "attachment.vpc-id":
		return listing.Values(vpc), true
	case "attachment.state":
		return []string{"available"}, true
	case "internet-gateway-id":
		return listing.Values(g.InternetGatewayId), true
	case "owner-id":
		return listing.Values(g.OwnerId), true
	}
	return kit.TagFilter(g.Tags, name)
}

func (s *Service) describeRouteTables(_ context.Context, c *wire.Call, in *ec2.DescribeRouteTablesInput) (*ec2.DescribeRouteTablesOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, wire.ErrDryRun()
	}
	out := &ec2.DescribeRouteTablesOutput{}
	return out, View(s.store, c, func(r *state.Region) (err error) {
		all, key := vpcs(r, c.Account, routesOf), func(t ec2types.RouteTable) string { return aws.ToString(t.RouteTableId) }
		out.RouteTables, out.NextToken, err = listing.Run(listing.Query[ec2types.RouteTable]{
			IDs: in.RouteTableIds, Set: "routeTableIds", Filters: in.Filters, Attr: routesFilter, All: slices.Values(all), Key: key,
			Page: kit.Page{Max: in.MaxResults, Token: in.NextToken, Min: 5, Limit: 100, Scope: scope(c)},
			Get:  lookup(all, key, "InvalidRouteTableID.NotFound", "The routeTable ID '%s' does not exist"),
		})
		return err
	})
}

func routesFilter(t ec2types.RouteTable, name string) ([]string, bool) {
	var values []string
	switch name {
	case "association.main":
		return []string{"true"}, true
	case "association.route-table-id", "route-table-id":
		return listing.Values(t.RouteTableId), true
	case "association.route-table-association-id":
		for _, a := range t.Associations {
			values = append(values, listing.Values(a.RouteTableAssociationId)...)
		}
		return values, true
	case "association.subnet-id", "association.gateway-id":
		return nil, true // the main table has no explicit ones
	case "owner-id":
		return listing.Values(t.OwnerId), true
	case "route.destination-cidr-block":
		for _, route := range t.Routes {
			values = append(values, listing.Values(route.DestinationCidrBlock)...)
		}
		return values, true
	case "route.gateway-id":
		for _, route := range t.Routes {
			values = append(values, listing.Values(route.GatewayId)...)
		}
		return values, true
	case "route.origin":
		for _, route := range t.Routes {
			values = append(values, string(route.Origin))
		}
		return values, true
	case "route.state":
		return []string{"active"}, true
	case "route.destination-ipv6-cidr-block", "route.destination-prefix-list-id", "route.egress-only-internet-gateway-id", "route.instance-id",
		"route.nat-gateway-id", "route.transit-gateway-id", "route.vpc-peering-connection-id":
		return nil, true // no route here leads there
	case "vpc-id":
		return listing.Values(t.VpcId), true
	}
	return kit.TagFilter(t.Tags, name)
}
