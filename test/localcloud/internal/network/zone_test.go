package network_test

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
)

func TestDescribeAvailabilityZones(t *testing.T) {
	t.Parallel()
	c, _ := newCloud(t)
	for name, v := range map[string]struct {
		region        string
		in            ec2.DescribeAvailabilityZonesInput
		want          []string
		code, message string
	}{
		"all":              {ec2test.Region, ec2.DescribeAvailabilityZonesInput{}, []string{"us-east-1a", "us-east-1b", "us-east-1c"}, "", ""},
		"another region":   {"eu-west-1", ec2.DescribeAvailabilityZonesInput{}, []string{"eu-west-1a", "eu-west-1b", "eu-west-1c"}, "", ""},
		"by name":          {ec2test.Region, ec2.DescribeAvailabilityZonesInput{ZoneNames: []string{"us-east-1c"}}, []string{"us-east-1c"}, "", ""},
		"by id":            {ec2test.Region, ec2.DescribeAvailabilityZonesInput{ZoneIds: []string{"use1-az2"}}, []string{"us-east-1b"}, "", ""},
		"by both":          {ec2test.Region, ec2.DescribeAvailabilityZonesInput{ZoneNames: []string{"us-east-1c"}, ZoneIds: []string{"use1-az2"}}, []string{"us-east-1b", "us-east-1c"}, "", ""},
		"filter zone-name": {ec2test.Region, ec2.DescribeAvailabilityZonesInput{Filters: filter("zone-name", "*b", "*c")}, []string{"us-east-1b", "us-east-1c"}, "", ""},
		"filter state":     {ec2test.Region, ec2.DescribeAvailabilityZonesInput{Filters: filter("state", "impaired")}, []string{}, "", ""},
		"filter type":      {ec2test.Region, ec2.DescribeAvailabilityZonesInput{Filters: append(filter("zone-type", "availability-zone"), filter("opt-in-status", "opt-in-not-required")...)}, []string{"us-east-1a", "us-east-1b", "us-east-1c"}, "", ""},
		"filter parent":    {ec2test.Region, ec2.DescribeAvailabilityZonesInput{Filters: filter("parent-zone-id", "*")}, []string{}, "", ""},
		"unknown filter":   {ec2test.Region, ec2.DescribeAvailabilityZonesInput{Filters: filter("zone", "x")}, nil, "InvalidParameterValue", "The filter 'zone' is invalid"},
		"other region's":   {ec2test.Region, ec2.DescribeAvailabilityZonesInput{ZoneNames: []string{"eu-west-1a"}}, nil, "InvalidParameterValue", "Invalid availability zone: [eu-west-1a]"},
		"dry run":          {ec2test.Region, ec2.DescribeAvailabilityZonesInput{DryRun: aws.Bool(true)}, nil, "DryRunOperation", "Request would have succeeded, but DryRun flag is set."},
	} {
		out, err := c.In(v.region, ec2test.Account).DescribeAvailabilityZones(t.Context(), &v.in)
		ec2test.Expect(t, err, v.code, v.message)
		if err != nil {
			continue
		}
		got := []string{}
		for _, z := range out.AvailabilityZones {
			got = append(got, *z.ZoneName)
			if *z.RegionName != v.region || z.State != "available" || *z.NetworkBorderGroup != v.region || *z.ZoneType != "availability-zone" || z.ParentZoneId != nil {
				t.Errorf("%s: got %+v", name, z)
			}
		}
		if !slices.Equal(got, v.want) {
			t.Errorf("%s: got %v, want %v", name, got, v.want)
		}
	}
}

func TestDescribeRegions(t *testing.T) {
	t.Parallel()
	c, _ := newCloud(t)
	for name, v := range map[string]struct {
		in            ec2.DescribeRegionsInput
		want          int
		code, message string
	}{
		"all":            {ec2.DescribeRegionsInput{}, 17, "", ""},
		"by name":        {ec2.DescribeRegionsInput{RegionNames: []string{"eu-west-1", "us-west-2"}}, 2, "", ""},
		"by pattern":     {ec2.DescribeRegionsInput{Filters: filter("region-name", "us-*")}, 4, "", ""},
		"by endpoint":    {ec2.DescribeRegionsInput{Filters: filter("endpoint", "*.eu-north-1.*")}, 1, "", ""},
		"opted in":       {ec2.DescribeRegionsInput{Filters: filter("opt-in-status", "opted-in")}, 0, "", ""},
		"unknown":        {ec2.DescribeRegionsInput{RegionNames: []string{"moon-1"}}, 0, "InvalidParameterValue", "Invalid region: [moon-1]"},
		"unknown filter": {ec2.DescribeRegionsInput{Filters: filter("name", "x")}, 0, "InvalidParameterValue", "The filter 'name' is invalid"},
		"dry run":        {ec2.DescribeRegionsInput{DryRun: aws.Bool(true)}, 0, "DryRunOperation", ""},
	} {
		out, err := c.Client.DescribeRegions(t.Context(), &v.in)
		ec2test.Expect(t, err, v.code, v.message)
		if err == nil && len(out.Regions) != v.want {
			t.Errorf("%s: got %d regions, want %d", name, len(out.Regions), v.want)
		}
	}
	// The region that is asked is always among them.
	out, err := c.In("me-south-1", ec2test.Account).DescribeRegions(t.Context(), &ec2.DescribeRegionsInput{})
	if err != nil || len(out.Regions) != 18 {
		t.Errorf("got %d regions: %v", len(out.Regions), err)
	}
}

func TestDescribeAccountAttributes(t *testing.T) {
	t.Parallel()
	c, _ := newCloud(t)
	all, err := c.Client.DescribeAccountAttributes(t.Context(), &ec2.DescribeAccountAttributesInput{})
	if err != nil || len(all.AccountAttributes) != 6 {
		t.Errorf("got %+v %v", all, err)
	}
	platforms, err := c.Client.DescribeAccountAttributes(t.Context(), &ec2.DescribeAccountAttributesInput{AttributeNames: []ec2types.AccountAttributeName{"supported-platforms"}})
	if err != nil || len(platforms.AccountAttributes) != 1 || *platforms.AccountAttributes[0].AttributeValues[0].AttributeValue != "VPC" {
		t.Errorf("got %+v %v", platforms, err)
	}
	_, err = c.Client.DescribeAccountAttributes(t.Context(), &ec2.DescribeAccountAttributesInput{AttributeNames: []ec2types.AccountAttributeName{"x"}})
	ec2test.Expect(t, err, "InvalidParameterValue", "Value (x) for parameter attributeName is invalid.")
	_, err = c.Client.DescribeAccountAttributes(t.Context(), &ec2.DescribeAccountAttributesInput{DryRun: aws.Bool(true)})
	ec2test.Expect(t, err, "DryRunOperation", "")
}
