package target_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
)

// addGroups makes empty groups and returns their names.
func addGroups(t *testing.T, of *target.Target, n int) []string {
	t.Helper()
	made, err := target.EC2(of).CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("web"), LaunchTemplateData: &ec2types.RequestLaunchTemplateData{InstanceType: ec2types.InstanceTypeT3Micro},
	})
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("web-%d", i)
		_, err := target.AutoScaling(of).CreateAutoScalingGroup(t.Context(), &autoscaling.CreateAutoScalingGroupInput{
			AutoScalingGroupName: &names[i], MinSize: aws.Int32(0), MaxSize: aws.Int32(0), AvailabilityZones: []string{"eu-west-1a"},
			LaunchTemplate: &astypes.LaunchTemplateSpecification{LaunchTemplateId: made.LaunchTemplate.LaunchTemplateId, Version: aws.String("1")},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return names
}

// Many who ask at once share calls, and each gets his own group.
func TestGroupsAreAskedForTogether(t *testing.T) {
	w := newWorld(t, "")
	eu := w.open(t, local("eu", "eu-west-1"))[0]
	names := addGroups(t, eu, 150)
	w.made()
	var all sync.WaitGroup
	for _, name := range names {
		all.Go(func() {
			if g, err := eu.Group(t.Context(), name); err != nil || aws.ToString(g.AutoScalingGroupName) != name {
				t.Errorf("%s: got %s, %v", name, aws.ToString(g.AutoScalingGroupName), err)
			}
		})
	}
	all.Wait()
	if n := len(w.made()); n >= len(names) {
		t.Errorf("%d calls for %d groups", n, len(names))
	}
}

func TestNoSuchGroup(t *testing.T) {
	eu := newWorld(t, "").open(t, local("eu", "eu-west-1"))[0]
	if _, err := eu.Group(t.Context(), "web"); !errors.Is(err, bake.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

// Who gives up leaves the others their answer, and an error reaches all.
func TestGroupsWhenSomethingIsWrong(t *testing.T) {
	w := newWorld(t, "version: 1\nrules:\n- match: { operation: DescribeAutoScalingGroups, after: 1 }\n  do: { error: { status: 403, code: AccessDenied, message: no } }\n")
	eu := w.open(t, local("eu", "eu-west-1"))[0]
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			if _, err := eu.Group(gone, "web"); err == nil {
				t.Error("who had given up got a group")
			}
		})
		all.Go(func() {
			if _, err := eu.Group(t.Context(), "web"); !errors.Is(err, bake.ErrNotFound) && !errors.Is(err, target.ErrDenied) {
				t.Errorf("got %v", err)
			}
		})
	}
	all.Wait()
}
