package asg

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
)

// look is all that a preflight has seen.
type look struct {
	q       promote.Query
	s       promote.Strategy
	f       *Fleet
	group   *group
	places  []place
	before  []*version // of a rollback: what its moves go back to; nil where one is gone
	active  *astypes.InstanceRefresh
	running []promote.Version
	images  map[string]ec2types.Image            // that the account sees, disabled ones among them
	types   map[string]ec2types.InstanceTypeInfo // of what is launched
	alarms  map[string]cwtypes.StateValue        // that exist
	refs    map[string]*bake.Ref                 // by AMI
}

func (f *Fleet) look(ctx context.Context, q promote.Query) (*look, error) {
	l := &look{q: q, s: f.m.Strategy, f: f, refs: map[string]*bake.Ref{}}
	var err error
	if l.group, err = f.group(ctx); err != nil {
		return nil, err
	}
	for _, see := range []func(context.Context) error{l.seeRefreshes, l.seeVersions, l.seeInstances, l.seeImages, l.seeTypes} {
		if err := see(ctx); err != nil {
			return nil, err
		}
	}
	l.alarms, err = f.alarms(ctx, l.s.Alarms)
	return l, err
}

func (l *look) seeRefreshes(ctx context.Context) error {
	history, err := l.f.refreshes(ctx)
	l.active = activeOf(history)
	return err
}

func (l *look) seeVersions(ctx context.Context) (err error) {
	if l.places, err = l.f.places(ctx, l.group.config()); err != nil {
		return err
	}
	for _, m := range l.q.Moves {
		v, err := l.f.version(ctx, m.Template, m.From)
		if err != nil {
			return err
		}
		l.before = append(l.before, v)
	}
	return nil
}

// seeInstances counts the instances by AMI.
func (l *look) seeInstances(ctx context.Context) error {
	amis, err := l.f.amis(ctx, l.group)
	if err != nil {
		return err
	}
	count := map[string]int{}
	for _, ami := range amis {
		count[ami]++
	}
	for ami, n := range count {
		img, err := l.f.images(ctx, ami)
		if err != nil {
			return err
		}
		l.running = append(l.running, promote.Version{AMI: ami, Image: img, Instances: n})
	}
	slices.SortFunc(l.running, func(a, b promote.Version) int {
		if a.Instances != b.Instances {
			return b.Instances - a.Instances
		}
		return strings.Compare(a.AMI, b.AMI)
	})
	return nil
}

// amis returns the AMI of each instance of a group. Where the group does not tell it, EC2 does.
func (f *Fleet) amis(ctx context.Context, g *group) ([]string, error) {
	var all, unknown []string
	for _, in := range g.Instances {
		if in.ImageId != nil {
			all = append(all, *in.ImageId)
		} else {
			unknown = append(unknown, aws.ToString(in.InstanceId))
		}
	}
	if len(unknown) == 0 {
		return all, nil
	}
	in := ec2.DescribeInstancesInput{Filters: []ec2types.Filter{filter("tag:aws:autoscaling:groupName", f.m.Group)}}
	more := func(in *ec2.DescribeInstancesInput, out *ec2.DescribeInstancesOutput) *string {
		in.NextToken = out.NextToken
		return in.NextToken
	}
	for page, err := range target.Pages(ctx, target.EC2(f.t).DescribeInstances, in, more) {
		if err != nil {
			return nil, err
		}
		for _, r := range page.Reservations {
			for _, in := range r.Instances {
				if slices.Contains(unknown, aws.ToString(in.InstanceId)) {
					all = append(all, aws.ToString(in.ImageId))
				}
			}
		}
	}
	return all, nil
}

func filter(name string, values ...string) ec2types.Filter {
	return ec2types.Filter{Name: &name, Values: values}
}

// seeImages asks for all AMIs that matter, at once.
func (l *look) seeImages(ctx context.Context) error {
	amis := append(amisOf(l.places), l.q.Artifact.AMI)
	for _, v := range l.before {
		if v != nil {
			amis = append(amis, v.ami)
		}
	}
	for _, m := range l.q.Moves {
		amis = append(append(amis, m.FromAMI), m.Overrides...)
	}
	var err error
	if l.images, err = l.f.amisOf(ctx, amis...); err != nil {
		return err
	}
	for _, ami := range amis {
		if _, known := l.refs[ami]; known || ami == "" {
			continue
		}
		if l.refs[ami], err = l.f.images(ctx, ami); err != nil {
			return err
		}
	}
	return nil
}

// seeTypes asks what the instance types are that the group launches.
func (l *look) seeTypes(ctx context.Context) error {
	l.types = map[string]ec2types.InstanceTypeInfo{}
	names := l.kinds()
	if len(names) == 0 {
		return nil
	}
	in := ec2.DescribeInstanceTypesInput{Filters: []ec2types.Filter{filter("instance-type", names...)}}
	more := func(in *ec2.DescribeInstanceTypesInput, out *ec2.DescribeInstanceTypesOutput) *string {
		in.NextToken = out.NextToken
		return in.NextToken
	}
	for page, err := range target.Pages(ctx, target.EC2(l.f.t).DescribeInstanceTypes, in, more) {
		if err != nil {
			return err
		}
		for _, t := range page.InstanceTypes {
			l.types[string(t.InstanceType)] = t
		}
	}
	return nil
}

// kinds returns the instance types that the group launches, sorted.
func (l *look) kinds() []string {
	var names []string
	for _, p := range launchingPlaces(l.places) {
		switch {
		case p.use.kind != "":
			names = append(names, p.use.kind)
		case p.version != nil && p.version.kind != "":
			names = append(names, p.version.kind)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
