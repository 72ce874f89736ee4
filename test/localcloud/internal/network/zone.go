package network

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/listing"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// Zone is an availability zone.
type Zone struct{ Name, ID string }

// Zones returns the three availability zones of a region. In AWS every account has its own order of the identifiers; here they are in
// the order of the names.
func Zones(region string) []Zone {
	short := abbreviate(region)
	return []Zone{{region + "a", short + "-az1"}, {region + "b", short + "-az2"}, {region + "c", short + "-az3"}}
}

// ZoneOf returns the zone of that name or identifier in a region.
func ZoneOf(region, name string) (Zone, bool) {
	zones := Zones(region)
	i := slices.IndexFunc(zones, func(z Zone) bool { return z.Name == name || z.ID == name })
	if i < 0 {
		return Zone{}, false
	}
	return zones[i], true
}

// abbreviate writes a region as the identifiers of its zones do: us-east-1 is use1, ap-southeast-2 is apse2.
func abbreviate(region string) string {
	short := map[string]string{
		"east": "e", "west": "w", "north": "n", "south": "s", "central": "c",
		"northeast": "ne", "northwest": "nw", "southeast": "se", "southwest": "sw", "gov": "g",
	}
	parts := strings.Split(region, "-")
	for i := 1; i < len(parts); i++ {
		if s, ok := short[parts[i]]; ok {
			parts[i] = s
		}
	}
	return strings.Join(parts, "")
}

// regions are those that every account has without asking for them.
func regions() []string {
	return []string{
		"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1", "eu-central-1",
		"eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
	}
}

func (s *Service) describeZones(_ context.Context, c *wire.Call, in *ec2.DescribeAvailabilityZonesInput) (*ec2.DescribeAvailabilityZonesOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, wire.ErrDryRun()
	}
	zones := Zones(c.Region)
	get := func(name string) (Zone, error) {
		if z, ok := ZoneOf(c.Region, name); ok {
			return z, nil
		}
		return Zone{}, wire.Errorf("InvalidParameterValue", "Invalid availability zone: [%s]", name)
	}
	found, _, err := listing.Run(listing.Query[Zone]{
		IDs: both(in.ZoneNames, in.ZoneIds), Filters: in.Filters, Get: get, All: slices.Values(zones),
		Key:  func(z Zone) string { return z.Name },
		Attr: func(z Zone, name string) ([]string, bool) { return zoneFilter(c.Region, z, name) },
	})
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeAvailabilityZonesOutput{AvailabilityZones: []ec2types.AvailabilityZone{}}
	for _, z := range found {
		out.AvailabilityZones = append(out.AvailabilityZones, ec2types.AvailabilityZone{
			GroupName: aws.String(c.Region + "-zg-1"), Messages: []ec2types.AvailabilityZoneMessage{}, NetworkBorderGroup: &c.Region,
			OptInStatus: ec2types.AvailabilityZoneOptInStatusOptInNotRequired, RegionName: &c.Region,
			State: ec2types.AvailabilityZoneStateAvailable, ZoneId: &z.ID, ZoneName: &z.Name, ZoneType: aws.String("availability-zone"),
		})
	}
	return out, nil
}

func zoneFilter(region string, z Zone, name string) ([]string, bool) {
	switch name {
	case "zone-name":
		return []string{z.Name}, true
	case "zone-id":
		return []string{z.ID}, true
	case "region-name":
		return []string{region}, true
	case "group-name":
		return []string{region + "-zg-1"}, true
	case "state":
		return []string{"available"}, true
	case "zone-type":
		return []string{"availability-zone"}, true
	case "opt-in-status":
		return []string{"opt-in-not-required"}, true
	case "message", "parent-zone-id", "parent-zone-name":
		return nil, true
	}
	return nil, false
}

func (s *Service) describeRegions(_ context.Context, c *wire.Call, in *ec2.DescribeRegionsInput) (*ec2.DescribeRegionsOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, wire.ErrDryRun()
	}
	names := regions()
	if !slices.Contains(names, c.Region) {
		names = append(names, c.Region)
	}
	get := func(name string) (string, error) {
		if slices.Contains(names, name) {
			return name, nil
		}
		return "", wire.Errorf("InvalidParameterValue", "Invalid region: [%s]", name)
	}
	found, _, err := listing.Run(listing.Query[string]{
		IDs: in.RegionNames, Filters: in.Filters, Get: get, All: slices.Values(names),
		Key: func(name string) string { return name }, Attr: regionFilter,
	})
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeRegionsOutput{Regions: []ec2types.Region{}}
	for _, name := range found {
		out.Regions = append(out.Regions, ec2types.Region{
			RegionName: &name, Endpoint: aws.String(regionEndpoint(name)), OptInStatus: aws.String("opt-in-not-required"),
		})
	}
	return out, nil
}

func regionEndpoint(name string) string { return "ec2." + name + ".amazonaws.com" }

func regionFilter(region, name string) ([]string, bool) {
	switch name {
	case "region-name":
		return []string{region}, true
	case "endpoint":
		return []string{regionEndpoint(region)}, true
	case "opt-in-status":
		return []string{"opt-in-not-required"}, true
	}
	return nil, false
}

// both joins two ways to name resources; it is nil where neither is used.
func both(a, b []string) []string {
	if a == nil {
		return b
	}
	return append(slices.Clip(a), b...)
}
