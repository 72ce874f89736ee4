package asg

import (
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/promote"
)

// roots refuses a group whose root volumes cannot be replaced: AWS wants an image in every override, images with one volume, and more. The way
// back it does not keep: where AWS replaces no volumes, it replaces instances.
func (l *look) roots() []string {
	if l.s.Kind != promote.ReplaceRootVolume {
		return nil
	}
	all := l.unfit()
	named := slices.ContainsFunc(l.places, func(p place) bool { return p.image != "" })
	for _, p := range l.places {
		if !p.base && p.image == "" {
			named = false
		}
	}
	if !named {
		all = append(all, "strategy replace_root_volume needs a mixed instances policy whose every override names an image: name them, or use strategy rolling")
	}
	ami := l.q.Artifact.AMI
	if n := volumes(l.images[ami]); n > 1 {
		all = append(all, fmt.Sprintf("strategy replace_root_volume needs an image with one volume, and %s has %d: use strategy rolling", ami, n))
	}
	return all
}

// unfit says what of the group itself keeps AWS from replacing root volumes.
func (l *look) unfit() []string {
	if l.isRollback() || len(l.places) == 0 {
		return nil
	}
	var all, others, types []string
	if l.group.WarmPoolConfiguration != nil {
		all = append(all, "strategy replace_root_volume is not for a group with a warm pool: use strategy rolling, or remove the pool")
	}
	if len(l.group.LoadBalancerNames)+len(l.group.TargetGroupARNs)+len(l.group.TrafficSources) > 0 {
		all = append(all, "strategy replace_root_volume is not for a group behind a load balancer: use strategy rolling")
	}
	config := l.resolved()
	for _, in := range l.group.Instances {
		switch {
		case leaving(in):
		case !config.has(in):
			others = append(others, aws.ToString(in.InstanceId))
		case !config.launches(aws.ToString(in.InstanceType)):
			types = append(types, aws.ToString(in.InstanceId))
		}
	}
	if len(others) > 0 {
		all = append(all, fmt.Sprintf("strategy replace_root_volume needs instances that are all what the group launches, and these are not: %s: "+
			"replace them, or use strategy rolling", few(others)))
	}
	if len(types) > 0 {
		all = append(all, fmt.Sprintf("strategy replace_root_volume needs instances of the types that the policy names, and these are of others: %s: "+
			"replace them, or use strategy rolling", few(types)))
	}
	return all
}

// launches reports whether a configuration with overrides may launch an instance type.
func (c config) launches(kind string) bool {
	return slices.ContainsFunc(c.uses(), func(u use) bool { return !u.base && (u.kind == "" || u.kind == kind) })
}

func volumes(img ec2types.Image) int {
	n := 0
	for _, m := range img.BlockDeviceMappings {
		if m.Ebs != nil {
			n++
		}
	}
	return n
}
