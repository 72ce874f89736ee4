package autoscaling

import (
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
)

const (
	latest        = "$Latest"
	defaulted     = "$Default"
	badTemplate   = "You must use a valid fully-formed launch template. "
	sourceMissing = "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter."
)

// config is what a group, or a refresh, wants instances to be.
type config struct {
	template *astypes.LaunchTemplateSpecification
	mixed    *astypes.MixedInstancesPolicy
}

func configOf(g *state.Group) config { return config{g.LaunchTemplate, g.MixedInstancesPolicy} }

// base returns the launch template that holds where no override names another.
func (c config) base() *astypes.LaunchTemplateSpecification {
	if c.mixed != nil && c.mixed.LaunchTemplate != nil {
		return c.mixed.LaunchTemplate.LaunchTemplateSpecification
	}
	return c.template
}

func (c config) overrides() []astypes.LaunchTemplateOverrides {
	if c.mixed == nil || c.mixed.LaunchTemplate == nil {
		return nil
	}
	return c.mixed.LaunchTemplate.Overrides
}

// option is one way to launch an instance of a configuration.
type option struct {
	template *astypes.LaunchTemplateSpecification // with a number for a version
	kind     string                               // instance type; empty leaves it to the template
	image    string                               // empty leaves it to the template
	spot     bool
}

// options returns the ways to launch an instance, in the order of their priority, which for a launch template alone is one.
func (c config) options(r *state.Region, account string) ([]option, error) {
	base, err := resolve(r, account, c.base())
	if err != nil {
		return nil, err
	}
	overrides := c.overrides()
	if len(overrides) == 0 {
		return []option{{template: base}}, nil
	}
	var all []option
	for _, o := range overrides {
		template := base
		if o.LaunchTemplateSpecification != nil {
			if template, err = resolve(r, account, o.LaunchTemplateSpecification); err != nil {
				return nil, err
			}
		}
		all = append(all, option{template: template, kind: aws.ToString(o.InstanceType), image: aws.ToString(o.ImageId)})
	}
	return all, nil
}

// matches reports whether an instance is what one of the options would give.
func matches(options []option, m *state.Member) bool {
	return slices.ContainsFunc(options, func(o option) bool {
		return m.LaunchTemplate != nil && aws.ToString(o.template.LaunchTemplateId) == aws.ToString(m.LaunchTemplate.LaunchTemplateId) &&
			aws.ToString(o.template.Version) == aws.ToString(m.LaunchTemplate.Version) && o.image == aws.ToString(m.ImageId) &&
			(o.kind == "" || o.kind == aws.ToString(m.InstanceType))
	})
}

// findTemplate returns the launch template that a specification names, by id or by name.
func findTemplate(r *state.Region, account string, spec *astypes.LaunchTemplateSpecification) (*state.LaunchTemplate, error) {
	id, name := aws.ToString(spec.LaunchTemplateId), aws.ToString(spec.LaunchTemplateName)
	switch {
	case id == "" && name == "":
		return nil, invalid("Valid requests must contain either launchTemplateId or LaunchTemplateName")
	case id != "":
		t := r.LaunchTemplates.Get(id)
		if t == nil || t.Account != account {
			return nil, invalid("%sThe specified launch template, with template ID %s, does not exist.", badTemplate, id)
		}
		if name != "" && name != aws.ToString(t.LaunchTemplateName) {
			return nil, invalid("Valid requests must contain either launchTemplateId or LaunchTemplateName")
		}
		return t, nil
	}
	for _, t := range r.LaunchTemplates.All() {
		if t.Account == account && aws.ToString(t.LaunchTemplateName) == name {
			return t, nil
		}
	}
	return nil, invalid("%sThe specified launch template, with template name %s, does not exist.", badTemplate, name)
}

// resolve returns a specification with id, name and the number of the version that is meant now.
func resolve(r *state.Region, account string, spec *astypes.LaunchTemplateSpecification) (*astypes.LaunchTemplateSpecification, error) {
	if spec == nil {
		return nil, invalid(sourceMissing)
	}
	t, err := findTemplate(r, account, spec)
	if err != nil {
		return nil, err
	}
	v, err := versionOf(t, aws.ToString(spec.Version))
	if err != nil {
		return nil, err
	}
	return &astypes.LaunchTemplateSpecification{
		LaunchTemplateId: t.LaunchTemplateId, LaunchTemplateName: t.LaunchTemplateName,
		Version: aws.String(strconv.FormatInt(aws.ToInt64(v.VersionNumber), 10)),
	}, nil
}

// versionOf returns the version of a template that is meant by a number, $Latest, or $Default, which is also what nothing means.
func versionOf(t *state.LaunchTemplate, version string) (*ec2types.LaunchTemplateVersion, error) {
	var number int64
	switch version {
	case latest:
		number = aws.ToInt64(t.LatestVersionNumber)
	case defaulted, "":
		number = aws.ToInt64(t.DefaultVersionNumber)
	default:
		var err error
		if number, err = strconv.ParseInt(version, 10, 64); err != nil {
			return nil, invalid("%sInvalid launch template version: either '$Default', '$Latest', or a numeric version are allowed.", badTemplate)
		}
	}
	for i := range t.Versions {
		if aws.ToInt64(t.Versions[i].VersionNumber) == number {
			return &t.Versions[i], nil
		}
	}
	return nil, invalid("%sCould not find the specified version %d for the launch template with ID %s.", badTemplate, number, aws.ToString(t.LaunchTemplateId))
}

// fillIn returns a copy of a specification as groups show it: with id and name, and the version as given. It is an error where there is no such
// template or version.
func fillIn(r *state.Region, account string, spec *astypes.LaunchTemplateSpecification) (*astypes.LaunchTemplateSpecification, error) {
	full, err := resolve(r, account, spec)
	if err != nil {
		return nil, err
	}
	full.Version = spec.Version
	if full.Version == nil {
		full.Version = aws.String(defaulted) // inferred
	}
	return full, nil
}

// fillInPolicy is fillIn for a mixed instances policy, with the defaults of its distribution, as documented.
func fillInPolicy(r *state.Region, account string, given *astypes.MixedInstancesPolicy) (*astypes.MixedInstancesPolicy, error) {
	if given.LaunchTemplate == nil || given.LaunchTemplate.LaunchTemplateSpecification == nil {
		return nil, invalid("The LaunchTemplateSpecification of the MixedInstancesPolicy must be specified.")
	}
	base, err := fillIn(r, account, given.LaunchTemplate.LaunchTemplateSpecification)
	if err != nil {
		return nil, err
	}
	overrides := slices.Clone(given.LaunchTemplate.Overrides)
	for i := range overrides {
		o := &overrides[i]
		if o.InstanceRequirements != nil {
			return nil, unsupported("InstanceRequirements")
		}
		if o.WeightedCapacity != nil && *o.WeightedCapacity != "1" {
			return nil, unsupported("WeightedCapacity")
		}
		if o.LaunchTemplateSpecification != nil {
			if o.LaunchTemplateSpecification, err = fillIn(r, account, o.LaunchTemplateSpecification); err != nil {
				return nil, err
			}
		}
	}
	return &astypes.MixedInstancesPolicy{
		LaunchTemplate:        &astypes.LaunchTemplate{LaunchTemplateSpecification: base, Overrides: overrides},
		InstancesDistribution: distribution(given.InstancesDistribution),
	}, nil
}

func distribution(given *astypes.InstancesDistribution) *astypes.InstancesDistribution {
	d := astypes.InstancesDistribution{}
	if given != nil {
		d = *given
	}
	d.OnDemandAllocationStrategy = first(d.OnDemandAllocationStrategy, aws.String("prioritized"))
	d.OnDemandBaseCapacity = first(d.OnDemandBaseCapacity, aws.Int32(0))
	d.OnDemandPercentageAboveBaseCapacity = first(d.OnDemandPercentageAboveBaseCapacity, aws.Int32(100))
	d.SpotAllocationStrategy = first(d.SpotAllocationStrategy, aws.String("lowest-price"))
	if d.SpotInstancePools == nil && *d.SpotAllocationStrategy == "lowest-price" {
		d.SpotInstancePools = aws.Int32(2)
	}
	return &d
}

// named reports whether a configuration names its templates' versions by number only: a rollback is not possible otherwise.
func (c config) named() bool {
	specs := []*astypes.LaunchTemplateSpecification{c.base()}
	for _, o := range c.overrides() {
		if o.LaunchTemplateSpecification != nil {
			specs = append(specs, o.LaunchTemplateSpecification)
		}
	}
	return !slices.ContainsFunc(specs, func(s *astypes.LaunchTemplateSpecification) bool {
		return s == nil || strings.HasPrefix(aws.ToString(s.Version), "$")
	})
}

// parameter reports whether a template of a configuration has its image from an SSM parameter.
func (c config) parameter(r *state.Region, account string) bool {
	options, err := c.options(r, account)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(options, func(o option) bool {
		t := r.LaunchTemplates.Get(aws.ToString(o.template.LaunchTemplateId))
		if t == nil || o.image != "" {
			return false
		}
		v, err := versionOf(t, aws.ToString(o.template.Version))
		return err == nil && v.LaunchTemplateData != nil && strings.HasPrefix(aws.ToString(v.LaunchTemplateData.ImageId), "resolve:ssm:")
	})
}
