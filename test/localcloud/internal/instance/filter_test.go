package instance_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
)

func TestFilters(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	web := c.running(t, func(in *ec2.RunInstancesInput) {
		in.TagSpecifications, in.InstanceType = instanceTags("Name", "web-1"), "m5.large"
		in.Placement = &ec2types.Placement{AvailabilityZone: aws.String("us-east-1c")}
	})
	c.running(t, nil)
	in := c.get(t, web)
	for name, value := range map[string]string{
		"instance-id": web, "tag:Name": "web-*", "tag-key": "N?me", "instance-type": "m5.large", "availability-zone": "us-east-1c",
		"private-ip-address": *in.PrivateIpAddress, "network-interface.network-interface-id": *in.NetworkInterfaces[0].NetworkInterfaceId,
		"block-device-mapping.volume-id": *in.BlockDeviceMappings[0].Ebs.VolumeId, "image-id": *in.ImageId, "subnet-id": *in.SubnetId,
		"private-dns-name": *in.PrivateDnsName, "client-token": *in.ClientToken,
	} {
		out, err := c.Client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{Filters: []ec2types.Filter{
			{Name: &name, Values: []string{value}}, {Name: aws.String("instance-state-name"), Values: []string{"pending", "running"}},
		}})
		if err != nil || len(out.Reservations) != 1 || *out.Reservations[0].Instances[0].InstanceId != web {
			t.Errorf("%s=%s: got %d %v", name, value, len(out.Reservations), err)
		}
	}
	_, err := c.Client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{Filters: []ec2types.Filter{{Name: aws.String("garbage"), Values: []string{"x"}}}})
	ec2test.Expect(t, err, "InvalidParameterValue", "The filter 'garbage' is invalid")
	_, err = c.Client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{web}, MaxResults: aws.Int32(5)})
	ec2test.Expect(t, err, "InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
}

func TestPages(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.launch(t, func(in *ec2.RunInstancesInput) { in.MaxCount = aws.Int32(12) })
	pages := ec2.NewDescribeInstancesPaginator(c.Client, &ec2.DescribeInstancesInput{MaxResults: aws.Int32(5)})
	seen := map[string]bool{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range page.Reservations[0].Instances {
			seen[*in.InstanceId] = true
		}
	}
	if len(seen) != 12 {
		t.Errorf("saw %d", len(seen))
	}
}
