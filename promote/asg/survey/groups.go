package survey

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
)

// How much one call takes, as AWS documents it.
const (
	maxGroups     = 100
	maxValues     = 200 // values of all filters together
	pageSize      = 1000
	maxParameters = 10
)

// groups asks for the groups.
func (s *site) groups(ctx context.Context) error {
	s.Groups = map[string]promote.Group{}
	for names := range slices.Chunk(s.ask.Groups, maxGroups) {
		in := autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: names, MaxRecords: aws.Int32(maxGroups)}
		more := func(in *autoscaling.DescribeAutoScalingGroupsInput, out *autoscaling.DescribeAutoScalingGroupsOutput) *string {
			in.NextToken = out.NextToken
			return in.NextToken
		}
		for out, err := range target.Pages(ctx, target.AutoScaling(s.t).DescribeAutoScalingGroups, in, more) {
			s.calls.Add(1)
			if err != nil {
				return err
			}
			for _, g := range out.AutoScalingGroups {
				if g.Status == nil { // what is being deleted is as good as gone
					s.Groups[aws.ToString(g.AutoScalingGroupName)] = groupOf(g)
				}
			}
		}
	}
	s.names = slices.Sorted(maps.Keys(s.Groups))
	return nil
}

func groupOf(g astypes.AutoScalingGroup) promote.Group {
	name := aws.ToString(g.AutoScalingGroupName)
	found := promote.Group{Name: name, Desired: int(aws.ToInt32(g.DesiredCapacity)), Current: launchesOf(g), Mixed: g.MixedInstancesPolicy != nil}
	for _, in := range g.Instances {
		one := promote.Instance{
			ID: aws.ToString(in.InstanceId), AMI: aws.ToString(in.ImageId), Group: name,
			Healthy: in.LifecycleState == astypes.LifecycleStateInService && strings.EqualFold(aws.ToString(in.HealthStatus), "healthy"),
			Weight:  weightOf(in),
			Leaving: strings.HasPrefix(string(in.LifecycleState), "Terminat") || strings.HasPrefix(string(in.LifecycleState), "Detach"),
		}
		if in.LaunchTemplate != nil {
			one.Template, one.Version = aws.ToString(in.LaunchTemplate.LaunchTemplateId), aws.ToString(in.LaunchTemplate.Version)
		}
		found.Instances = append(found.Instances, one)
	}
	return found
}

// weightOf returns 0 for an instance that has no weight.
func weightOf(in astypes.Instance) int {
	n, err := strconv.Atoi(aws.ToString(in.WeightedCapacity))
	if err != nil {
		return 0
	}
	return n
}

// launchesOf returns what the group launches from: with a mixed instances policy also what its overrides name.
func launchesOf(g astypes.AutoScalingGroup) []promote.Launch {
	spec, overrides := g.LaunchTemplate, []astypes.LaunchTemplateOverrides(nil)
	if p := g.MixedInstancesPolicy; p != nil && p.LaunchTemplate != nil {
		spec, overrides = p.LaunchTemplate.LaunchTemplateSpecification, p.LaunchTemplate.Overrides
	}
	var all []promote.Launch
	add := func(spec *astypes.LaunchTemplateSpecification, ami string) {
		if l := launchOf(spec, ami); spec != nil && !slices.Contains(all, l) {
			all = append(all, l)
		}
	}
	base := len(overrides) == 0
	for _, o := range overrides {
		add(cmp.Or(o.LaunchTemplateSpecification, spec), aws.ToString(o.ImageId))
	}
	if base {
		add(spec, "")
	}
	return all
}

func launchOf(spec *astypes.LaunchTemplateSpecification, ami string) promote.Launch {
	if spec == nil {
		return promote.Launch{}
	}
	l := promote.Launch{Template: aws.ToString(spec.LaunchTemplateId), Name: aws.ToString(spec.LaunchTemplateName), Version: aws.ToString(spec.Version), AMI: ami}
	if l.Version == "" || strings.HasPrefix(l.Version, "$") {
		l.Alias, l.Version = cmp.Or(l.Version, "$Default"), ""
	}
	return l
}

// templates asks what the versions of the groups' launch templates are, and resolves the aliases that groups use. It asks by name: an
// unknown id would be an error for all.
func (s *site) templates(ctx context.Context) error {
	names := map[string]bool{}
	for _, name := range s.names {
		for _, l := range s.Groups[name].Current {
			names[l.Name] = true
		}
	}
	s.Templates = map[string]promote.TemplateInfo{}
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(names)), maxValues) {
		if err := s.describeTemplates(ctx, chunk); err != nil {
			return err
		}
	}
	for _, name := range s.names {
		for i, l := range s.Groups[name].Current {
			s.Groups[name].Current[i].Version = s.resolve(l)
		}
	}
	return nil
}

// describeTemplates asks for launch templates. EC2 counts what it looks through before it filters: a page may lack what stands on the next one.
func (s *site) describeTemplates(ctx context.Context, names []string) error {
	in := ec2.DescribeLaunchTemplatesInput{
		Filters: []ec2types.Filter{{Name: aws.String("launch-template-name"), Values: names}}, MaxResults: aws.Int32(maxValues),
	}
	more := func(in *ec2.DescribeLaunchTemplatesInput, out *ec2.DescribeLaunchTemplatesOutput) *string {
		in.NextToken = out.NextToken
		return in.NextToken
	}
	for out, err := range target.Pages(ctx, target.EC2(s.t).DescribeLaunchTemplates, in, more) {
		s.calls.Add(1)
		if err != nil {
			return err
		}
		for _, t := range out.LaunchTemplates {
			s.Templates[aws.ToString(t.LaunchTemplateId)] = promote.TemplateInfo{
				Name: aws.ToString(t.LaunchTemplateName), Default: number(t.DefaultVersionNumber), Latest: number(t.LatestVersionNumber),
				Rollout: rolloutOf(t.Tags),
			}
		}
	}
	return nil
}

// rolloutOf returns which rollout made a version of a launch template last.
func rolloutOf(tags []ec2types.Tag) string {
	i := slices.IndexFunc(tags, func(t ec2types.Tag) bool { return aws.ToString(t.Key) == "iibake:rollout" })
	if i < 0 {
		return ""
	}
	return aws.ToString(tags[i].Value)
}

// resolve returns the number of the version that a group uses, which is empty where nobody knows.
func (s *site) resolve(l promote.Launch) string {
	switch l.Alias {
	case "":
		return l.Version
	case "$Latest":
		return s.Templates[l.Template].Latest
	}
	return s.Templates[l.Template].Default
}

// launches finds out which AMIs the groups launch from, as far as records and running instances tell.
func (s *site) launches() {
	seen := maps.Clone(s.ask.Versions)
	if seen == nil {
		seen = map[string]string{}
	}
	for _, name := range s.names {
		for _, in := range s.Groups[name].Instances {
			if key := promote.VersionKey(in.Template, in.Version); in.AMI != "" && seen[key] == "" {
				seen[key] = in.AMI
			}
		}
	}
	for _, name := range s.names {
		for i, l := range s.Groups[name].Current {
			if l.AMI == "" && l.Version != "" {
				s.Groups[name].Current[i].AMI = seen[promote.VersionKey(l.Template, l.Version)]
			}
		}
	}
}

// parameters asks for the SSM parameters.
func (s *site) parameters(ctx context.Context) error {
	found := map[string]string{}
	for names := range slices.Chunk(s.ask.Parameters, maxParameters) {
		s.calls.Add(1)
		out, err := target.SSM(s.t).GetParameters(ctx, &ssm.GetParametersInput{Names: names})
		if err != nil {
			return err
		}
		for _, p := range out.Parameters {
			found[aws.ToString(p.Name)] = aws.ToString(p.Value)
		}
	}
	s.Parameters = found
	return nil
}
