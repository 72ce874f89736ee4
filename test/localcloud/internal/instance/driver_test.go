package instance_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// A running machine learns what changes around it.
func TestDriverIsTold(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	group, err := c.Client.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{GroupName: aws.String("web"), Description: aws.String("d")})
	if err != nil {
		t.Fatal(err)
	}
	id := c.running(t, func(in *ec2.RunInstancesInput) { in.SecurityGroupIds = []string{*group.GroupId} })
	other := c.running(t, nil)
	if ports := c.driver.Spec(id).Ports; len(ports) != 0 {
		t.Errorf("a new group opens %v", ports)
	}
	c.driver.Calls()
	if _, err := c.Client.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{GroupId: group.GroupId, IpProtocol: aws.String("tcp"), FromPort: aws.Int32(80), ToPort: aws.Int32(81), CidrIp: aws.String("0.0.0.0/0")}); err != nil {
		t.Fatal(err)
	}
	want := []compute.Port{{From: 80, To: 81}}
	if !slices.Equal(c.driver.Spec(id).Ports, want) || len(c.driver.Spec(other).Ports) != 0 {
		t.Errorf("got %v and %v", c.driver.Spec(id).Ports, c.driver.Spec(other).Ports)
	}
	if _, err := c.Client.ModifyInstanceAttribute(t.Context(), &ec2.ModifyInstanceAttributeInput{InstanceId: &other, Groups: []string{*group.GroupId}}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.driver.Spec(other).Ports, want) || c.driver.Spec(other).Metadata.SecurityGroups[0] != "web" {
		t.Errorf("got %+v", c.driver.Spec(other))
	}
	if _, err := c.Client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{id}, Tags: []ec2types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}}); err != nil {
		t.Fatal(err)
	}
	if c.driver.Spec(id).Tags["k"] != "v" {
		t.Error("it was not told of a tag")
	}
	out, err := c.Client.ModifyInstanceMetadataOptions(t.Context(), &ec2.ModifyInstanceMetadataOptionsInput{InstanceId: &id, HttpTokens: "required"})
	if err != nil || out.InstanceMetadataOptions.State != "pending" || c.get(t, id).MetadataOptions.State != "applied" || !c.driver.Spec(id).Metadata.TokensRequired {
		t.Errorf("got %+v %v", out, err)
	}
	_, err = c.Client.DeleteSecurityGroup(t.Context(), &ec2.DeleteSecurityGroupInput{GroupId: group.GroupId})
	ec2test.Expect(t, err, "DependencyViolation", "resource "+*group.GroupId+" has a dependent object")
	c.Update(t, func(r *state.Region) { c.service.Terminate(r, []string{id, other}) })
	c.Clock.Advance(time.Minute)
	_, err = c.Client.DeleteSecurityGroup(t.Context(), &ec2.DeleteSecurityGroupInput{GroupId: group.GroupId})
	ec2test.Expect(t, err, "", "")
}

// Whoever asks at the same time, the driver hears of an instance's start before its end, so that no machine stays for ever.
func TestDriverHearsInOrder(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.driver.Manual = true
	image := c.Image(t, nil)
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for range 25 {
				in := &ec2.RunInstancesInput{ImageId: &image, InstanceType: "t3.nano", MinCount: aws.Int32(1), MaxCount: aws.Int32(1)}
				_ = c.Store.Update(ec2test.Region, func(r *state.Region) error { _, err := c.service.Launch(r, ec2test.Account, "", in); return err })
			}
		})
		work.Go(func() {
			for range 100 {
				_ = c.Store.Update(ec2test.Region, func(r *state.Region) error {
					for id := range r.Instances.Sorted() {
						c.service.Terminate(r, []string{id})
					}
					return nil
				})
			}
		})
	}
	work.Wait()
	c.Update(t, func(r *state.Region) {
		for id := range r.Instances.Sorted() {
			c.service.Terminate(r, []string{id})
		}
	})
	started := map[string]bool{}
	for _, call := range c.driver.Calls() {
		what, id, _ := strings.Cut(call, " ")
		if what == "start" {
			started[id] = true
		} else if !started[id] {
			t.Fatalf("%s was ended before it was started", id)
		}
	}
	if n := c.driver.Machines(); len(started) != 100 || n != 0 {
		t.Errorf("%d were started, %d are left", len(started), n)
	}
}
