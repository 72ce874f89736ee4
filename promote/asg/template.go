package asg

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
)

// parameterPrefix begins an image of a launch template that is the value of an SSM parameter.
const parameterPrefix = "resolve:ssm:"

// version is a version of a launch template.
type version struct {
	template  string // id
	name      string // of the template
	number    string
	ami       string // that a parameter stands for now; empty where the version names none
	parameter string // of Systems Manager, where the version has the image from there
	kind      string // instance type; empty where it names none
	text      string // description

	mappings []ec2types.LaunchTemplateBlockDeviceMapping
	vague    bool // it asks for instance types by their attributes
}

// version asks for a version, by number or alias. It returns nil where there is none, or no such template.
func (f *Fleet) version(ctx context.Context, template, number string) (*version, error) {
	in := &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &template, Versions: []string{number}}
	out, err := target.EC2(f.t).DescribeLaunchTemplateVersions(ctx, in)
	if hasCode(err, "InvalidLaunchTemplateId.VersionNotFound", "InvalidLaunchTemplateId.NotFound") {
		return nil, nil //nolint:nilnil // that it is gone is an answer, which each caller judges
	}
	if err != nil {
		return nil, err
	}
	if len(out.LaunchTemplateVersions) == 0 {
		return nil, nil //nolint:nilnil // see above
	}
	v := versionOf(out.LaunchTemplateVersions[0])
	if v.parameter == "" {
		return v, nil
	}
	in.ResolveAlias = aws.Bool(true)
	out, err = target.EC2(f.t).DescribeLaunchTemplateVersions(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("launch template %s: parameter %s: %w", template, v.parameter, err)
	}
	v.ami = versionOf(out.LaunchTemplateVersions[0]).ami
	return v, nil
}

func versionOf(told ec2types.LaunchTemplateVersion) *version {
	v := &version{
		template: aws.ToString(told.LaunchTemplateId), name: aws.ToString(told.LaunchTemplateName),
		number: strconv.FormatInt(aws.ToInt64(told.VersionNumber), 10), text: aws.ToString(told.VersionDescription),
	}
	if told.LaunchTemplateData != nil {
		v.ami, v.kind = aws.ToString(told.LaunchTemplateData.ImageId), string(told.LaunchTemplateData.InstanceType)
		v.mappings, v.vague = told.LaunchTemplateData.BlockDeviceMappings, told.LaunchTemplateData.InstanceRequirements != nil
	}
	if parameter, ok := strings.CutPrefix(v.ami, parameterPrefix); ok {
		v.ami, v.parameter = "", parameter
	}
	return v
}

// place is a use of a launch template, and the version that it stands for now.
type place struct {
	use
	*version // nil where it is gone
}

// ami returns what is launched.
func (p place) ami() string {
	if p.image != "" || p.version == nil {
		return p.image
	}
	return p.version.ami
}

// places resolves all uses of a configuration, each version once.
func (f *Fleet) places(ctx context.Context, c config) ([]place, error) {
	known := map[[2]string]*version{}
	var all []place
	for _, u := range c.uses() {
		key := [2]string{u.template, u.version}
		if _, ok := known[key]; !ok {
			v, err := f.version(ctx, u.template, u.version)
			if err != nil {
				return nil, err
			}
			known[key] = v
		}
		all = append(all, place{u, known[key]})
	}
	return all, nil
}

// errChanged is wrapped when the group is not as the rollout found it.
var errChanged = fmt.Errorf("%w: the group has changed meanwhile", bake.ErrRefused)
