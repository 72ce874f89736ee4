package asg

import (
	"cmp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// config is what instances are launched from: a launch template, or a mixed instances policy with one or several.
type config struct {
	template *astypes.LaunchTemplateSpecification
	policy   *astypes.MixedInstancesPolicy
}

func configOf(d *astypes.DesiredConfiguration) config {
	if d == nil {
		return config{}
	}
	return config{d.LaunchTemplate, d.MixedInstancesPolicy}
}

// desired is c as requests have it.
func (c config) desired() *astypes.DesiredConfiguration {
	return &astypes.DesiredConfiguration{LaunchTemplate: c.template, MixedInstancesPolicy: c.policy}
}

// use is one place of a configuration that names a launch template, or an override that adds something to it.
type use struct {
	template string // id
	name     string // of the template
	version  string // as it stands there: a number, $Latest or $Default
	image    string // that an override names itself
	kind     string // instance type of an override
	vague    bool   // an override that asks for instance types by their attributes
	base     bool   // of a policy with overrides: what those take that name no template
}

func useOf(s *astypes.LaunchTemplateSpecification) use {
	return use{template: aws.ToString(s.LaunchTemplateId), name: aws.ToString(s.LaunchTemplateName), version: cmp.Or(aws.ToString(s.Version), "$Default")}
}

// uses returns the base of a configuration, and then its overrides. It is empty where there is no launch template.
func (c config) uses() []use {
	spec := c.template
	var overrides []astypes.LaunchTemplateOverrides
	if c.policy != nil && c.policy.LaunchTemplate != nil {
		spec, overrides = c.policy.LaunchTemplate.LaunchTemplateSpecification, c.policy.LaunchTemplate.Overrides
	}
	if spec == nil {
		return nil
	}
	base := useOf(spec)
	base.base = len(overrides) > 0
	all := []use{base}
	for _, o := range overrides {
		u := base
		u.base = false
		if o.LaunchTemplateSpecification != nil {
			u = useOf(o.LaunchTemplateSpecification)
		}
		u.image, u.kind, u.vague = aws.ToString(o.ImageId), aws.ToString(o.InstanceType), o.InstanceRequirements != nil
		all = append(all, u)
	}
	return all
}

// launching leaves out a base that no override takes: nothing is launched from it.
func launching(all []use) []use {
	taken := func(u use) bool {
		return slices.ContainsFunc(all, func(o use) bool { return !o.base && o.template == u.template && o.version == u.version })
	}
	return slices.DeleteFunc(slices.Clone(all), func(u use) bool { return u.base && !taken(u) })
}

// with returns a copy of a configuration in which each use has the version and the image that change returns. All the rest stays as it is.
// Launch templates go by their id only: requests that have the name, too, are refused.
func (c config) with(change func(i int, u use) (version, image string)) config {
	uses := c.uses()
	specified := func(i int) *astypes.LaunchTemplateSpecification {
		version, _ := change(i, uses[i])
		return &astypes.LaunchTemplateSpecification{LaunchTemplateId: &uses[i].template, Version: &version}
	}
	if c.policy == nil {
		return config{template: specified(0)}
	}
	policy, launch := *c.policy, *c.policy.LaunchTemplate
	launch.LaunchTemplateSpecification = specified(0)
	launch.Overrides = slices.Clone(launch.Overrides)
	for i := range launch.Overrides {
		o := &launch.Overrides[i]
		if o.LaunchTemplateSpecification != nil {
			o.LaunchTemplateSpecification = specified(i + 1)
		}
		if _, image := change(i+1, uses[i+1]); image != "" {
			o.ImageId = &image
		}
	}
	policy.LaunchTemplate = &launch
	return config{policy: &policy}
}

// same reports whether two configurations launch the same images from the same versions, in the same order.
func (c config) same(other config) bool {
	return slices.EqualFunc(c.uses(), other.uses(), func(a, b use) bool {
		return a.template == b.template && a.version == b.version && a.image == b.image && a.kind == b.kind
	})
}

// has reports whether an instance is what one of the uses gives.
func (c config) has(in astypes.Instance) bool {
	return slices.ContainsFunc(launching(c.uses()), func(u use) bool {
		return in.LaunchTemplate != nil && aws.ToString(in.LaunchTemplate.LaunchTemplateId) == u.template &&
			aws.ToString(in.LaunchTemplate.Version) == u.version && (u.image == "" || in.ImageId == nil || *in.ImageId == u.image)
	})
}

func isAlias(version string) bool { return strings.HasPrefix(version, "$") }
