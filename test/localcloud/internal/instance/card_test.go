package instance_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// Auto Scaling puts a template's network interface into its own subnet; users must not.
func TestSubnetOfInterface(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	subnets, err := c.Client.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})
	if err != nil {
		t.Fatal(err)
	}
	subnet := subnets.Subnets[1].SubnetId
	in := &ec2.RunInstancesInput{
		ImageId: aws.String(c.Image(t, nil)), InstanceType: "t3.nano", MinCount: aws.Int32(1), MaxCount: aws.Int32(1), SubnetId: subnet,
		NetworkInterfaces: []ec2types.InstanceNetworkInterfaceSpecification{{DeviceIndex: aws.Int32(0), AssociatePublicIpAddress: aws.Bool(false)}},
	}
	_, err = c.Client.RunInstances(t.Context(), in)
	ec2test.Expect(t, err, "InvalidParameterCombination", "Network interfaces and an instance-level subnet ID may not be specified on the same request")
	var id string
	c.Update(t, func(r *state.Region) {
		made, err := c.service.Launch(r, ec2test.Account, "arn:aws:sts::1:assumed-role/AWSServiceRoleForAutoScaling/AutoScaling", in)
		if err != nil {
			t.Fatal(err)
		}
		id = *made[0].InstanceId
	})
	c.Clock.Advance(time.Minute)
	if got := c.get(t, id); *got.SubnetId != *subnet || got.PublicIpAddress != nil || *got.PublicDnsName != "" {
		t.Errorf("got %+v", got)
	}
	out, err := c.Client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{})
	if err != nil || aws.ToString(out.Reservations[0].RequesterId) == "" {
		t.Errorf("who launched it is not said: %+v %v", out, err)
	}
	cards, err := c.Client.DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{Filters: []ec2types.Filter{{Name: aws.String("attachment.instance-id"), Values: []string{id}}}})
	if err != nil || len(cards.NetworkInterfaces) != 1 || cards.NetworkInterfaces[0].Status != "in-use" {
		t.Errorf("got %+v %v", cards, err)
	}
}
