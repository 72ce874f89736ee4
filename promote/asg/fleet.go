// Package asg moves fleets: Auto Scaling groups with a launch template or a mixed instances policy, by instance refresh.
//
// A rollout makes a new version of each launch template that the group uses, in which only the image differs, and starts an instance refresh
// to those versions. The group's own configuration changes when the refresh succeeds, and not before: whatever happens earlier, the group
// launches what it had. Nothing is kept beside AWS and the rollout's record: who comes later finds the versions by their description, and the
// refresh by a tag of the group that says which was the newest one before.
//
// All of it was tried on the embedded cloud, whose refreshes go as recordings of AWS do; nothing of it was tried on AWS.
package asg

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/smithy-go"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
)

// Fleet is an Auto Scaling group. It implements [promote.Fleet].
type Fleet struct {
	t      *target.Target
	m      promote.Member
	images Images
}

// Images tells which image an AMI is, and returns nil for one that iibake did not make. The error is for what kept it from finding out. It must
// be safe for concurrent use.
type Images func(ctx context.Context, ami string) (*bake.Ref, error)

// New returns the fleet that m names, in t. Nothing is asked of anybody.
func New(t *target.Target, m promote.Member, images Images) *Fleet {
	if images == nil {
		images = func(context.Context, string) (*bake.Ref, error) { return nil, nil } //nolint:nilnil // nobody made any
	}
	return &Fleet{t, m, images}
}

var _ promote.Fleet = (*Fleet)(nil)

// fail names the group in an error, and says of those that will not go away that they are refusals.
func (f *Fleet) fail(err error) error {
	if err == nil {
		return nil
	}
	if !errors.Is(err, bake.ErrRefused) && hasCode(err, finalCodes()...) && !errors.Is(err, errLag) {
		err = fmt.Errorf("%w: %w", bake.ErrRefused, err)
	}
	return fmt.Errorf("group %s in %s of account %s: %w", f.m.Group, f.t.Region, f.t.Account, target.Terse(err))
}

// finalCodes are those of errors that come again with each call.
func finalCodes() []string {
	return []string{
		"ValidationError", "IrreversibleInstanceRefresh", "InvalidParameterValue", "InvalidParameterCombination", "IdempotentParameterMismatch",
		"InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateId.VersionNotFound", "InvalidAMIID.Malformed", "InvalidAMIID.NotFound",
	}
}

// errLag is wrapped in an error of AWS that goes away by waiting a little, and looks as if it did not.
var errLag = errors.New("AWS may not know of it yet")

// lagging says so of an error, if it is one, while the time for it is not over.
func lagging(recent bool, err error) error {
	if recent && notYet(err) {
		return fmt.Errorf("%w: %w", errLag, err)
	}
	return err
}

// notYet reports whether Auto Scaling does not know a launch template version or an image, or EC2 a version, that was made a moment ago.
func notYet(err error) bool {
	if hasCode(err, "InvalidLaunchTemplateId.VersionNotFound", "InvalidAMIID.NotFound") {
		return true
	}
	text := ""
	if err != nil {
		text = err.Error()
	}
	return hasCode(err, "ValidationError") &&
		(strings.Contains(text, "Could not find the specified version") || strings.Contains(text, "The image id '[ami-"))
}

func hasCode(err error, codes ...string) bool {
	api := smithy.APIError(nil)
	return errors.As(err, &api) && slices.Contains(codes, api.ErrorCode())
}

// group is an Auto Scaling group as it is now.
type group struct{ astypes.AutoScalingGroup }

// errNoGroup is wrapped when the group is not there.
var errNoGroup = errors.New("there is no such Auto Scaling group")

// group asks for the group.
func (f *Fleet) group(ctx context.Context) (*group, error) {
	g, err := f.t.Group(ctx, f.m.Group)
	if errors.Is(err, bake.ErrNotFound) {
		return nil, fmt.Errorf("%w: %w", errNoGroup, bake.ErrRefused)
	}
	if err != nil {
		return nil, err
	}
	return &group{g}, nil
}

func (g *group) desired() int { return int(aws.ToInt32(g.DesiredCapacity)) }

// healthy counts the instances that serve, in the unit of the desired capacity.
func (g *group) healthy() int {
	n := 0
	for _, in := range g.Instances {
		if in.LifecycleState == astypes.LifecycleStateInService && aws.ToString(in.HealthStatus) == "Healthy" {
			n += weight(in)
		}
	}
	return n
}

// weight is how much of the desired capacity an instance is: one, but for groups that weigh their instance types.
func weight(in astypes.Instance) int {
	if n, err := strconv.Atoi(aws.ToString(in.WeightedCapacity)); err == nil && n > 0 {
		return n
	}
	return 1
}

// config is what a group launches, or shall launch.
func (g *group) config() config { return config{g.LaunchTemplate, g.MixedInstancesPolicy} }
