package asg

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"

	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
)

// pin makes numbers of what the group uses by an alias: the version that the alias means now, and a version that has the image that a parameter
// stands for now. It returns the group's configuration after that. No instance is launched or replaced by it.
func (f *Fleet) pin(ctx context.Context, r promote.Rollout, g *group) (config, error) {
	c := g.config()
	places, err := f.places(ctx, c)
	if err != nil {
		return c, err
	}
	numbers := make([]string, len(places))
	loose := false
	for i, p := range places {
		numbers[i] = p.use.version
		if p.version == nil || !isAlias(p.use.version) && p.parameter == "" {
			continue
		}
		loose = true
		numbers[i] = p.number
		if p.parameter != "" {
			if numbers[i], err = f.newVersion(ctx, r, p.version, p.version.ami); err != nil {
				return c, err
			}
		}
	}
	if !loose {
		return c, nil
	}
	pinned := c.with(func(i int, u use) (string, string) { return numbers[i], u.image })
	_, err = target.AutoScaling(f.t).UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{
		AutoScalingGroupName: g.AutoScalingGroupName, LaunchTemplate: pinned.template, MixedInstancesPolicy: pinned.policy,
	})
	return pinned, lagging(f.recent(r), err)
}
