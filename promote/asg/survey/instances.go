package survey

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
)

// groupTag is on each instance that a group has started.
const groupTag = "aws:autoscaling:groupName"

// runTag is on everything that iibake makes for itself: such an instance is no stray.
const runTag = "iibake:run"

// machines are instances, by their ids.
type machines map[string]machine

// machine is what a survey wants to know of an instance. EC2 says twenty times as much, of which nothing is kept: there may be many.
type machine struct {
	ami, group    string
	ours, running bool // iibake started it for itself; it is neither stopped nor on its way to that
	launched      time.Time
}

func machineOf(in ec2types.Instance) machine {
	m := machine{
		ami: strings.Clone(aws.ToString(in.ImageId)), launched: aws.ToTime(in.LaunchTime),
		running: in.State != nil && in.State.Name == ec2types.InstanceStateNameRunning,
	}
	for _, t := range in.Tags {
		switch aws.ToString(t.Key) {
		case groupTag:
			m.group = strings.Clone(aws.ToString(t.Value))
		case runTag:
			m.ours = true
		}
	}
	return m
}

// wanted asks for all instances that run one of the wanted AMIs, in groups and outside of them.
func (s *site) wanted(ctx context.Context) (machines, error) {
	amis := s.ask.AMIs[s.Region]
	amis = amis[:min(len(amis), maxValues-len(states()))]
	found := machines{}
	if len(amis) == 0 {
		return found, nil
	}
	return found, s.describe(ctx, found, ec2types.Filter{Name: aws.String("image-id"), Values: amis})
}

// states are those of an instance that still is one.
func states() []string { return []string{"pending", "running", "stopping", "stopped"} }

func (s *site) describe(ctx context.Context, found machines, filter ec2types.Filter) error {
	in := ec2.DescribeInstancesInput{
		Filters:    []ec2types.Filter{filter, {Name: aws.String("instance-state-name"), Values: states()}},
		MaxResults: aws.Int32(pageSize),
	}
	more := func(in *ec2.DescribeInstancesInput, out *ec2.DescribeInstancesOutput) *string {
		in.NextToken = out.NextToken
		return in.NextToken
	}
	for page, err := range target.Pages(ctx, target.EC2(s.t).DescribeInstances, in, more) {
		s.calls.Add(1)
		if err != nil {
			return err
		}
		for _, r := range page.Reservations {
			for _, in := range r.Instances {
				found[strings.Clone(aws.ToString(in.InstanceId))] = machineOf(in)
			}
		}
	}
	return nil
}

// instances says what the instances of groups run, and which run a wanted AMI outside of them. A group whose launch template version is
// on record needs no call, unless it is the only way to know.
func (s *site) instances(ctx context.Context, running func() (machines, error)) error {
	found, err := running()
	s.fill(found)
	var unknown []string
	for _, name := range s.names {
		if slices.ContainsFunc(s.Groups[name].Instances, func(in promote.Instance) bool { return in.AMI == "" && !in.Leaving }) {
			unknown = append(unknown, name)
		}
	}
	if err != nil {
		return err // whoever must not ask for some instances must not ask for others
	}
	for names := range slices.Chunk(unknown, maxValues-len(states())) {
		rest := machines{}
		if err := s.describe(ctx, rest, ec2types.Filter{Name: aws.String("tag:" + groupTag), Values: names}); err != nil {
			return err
		}
		s.fill(rest)
	}
	return nil
}

// fill says what the instances of groups run, by what EC2 said of them or, where it said nothing, by what is on record. That an instance
// got another root volume since it was launched only Auto Scaling knows.
func (s *site) fill(found machines) {
	inside := map[string]bool{}
	for _, name := range s.names {
		for i := range s.Groups[name].Instances {
			in := &s.Groups[name].Instances[i]
			seen := found[in.ID]
			in.AMI = cmp.Or(in.AMI, seen.ami, s.ask.Versions[promote.VersionKey(in.Template, in.Version)])
			in.Launched = cmp.Or(in.Launched, seen.launched)
			inside[in.ID] = true
		}
	}
	wanted := s.ask.AMIs[s.Region]
	for id, in := range found {
		if !inside[id] && !in.ours && !slices.Contains(s.ask.Groups, in.group) && slices.Contains(wanted, in.ami) {
			s.Strays = append(s.Strays, promote.Instance{ID: id, AMI: in.ami, Group: in.group, Launched: in.launched, Healthy: in.running})
		}
	}
}

// images asks whether the AMIs are still there that groups launch from.
func (s *site) images(ctx context.Context) error {
	var amis []string
	for _, name := range s.names {
		for _, l := range s.Groups[name].Current {
			if l.AMI != "" && !slices.Contains(amis, l.AMI) {
				amis = append(amis, l.AMI)
			}
		}
	}
	found := map[string]bool{}
	for chunk := range slices.Chunk(amis, maxValues) {
		for _, ami := range chunk {
			found[ami] = false
		}
		in := ec2.DescribeImagesInput{
			Filters:           []ec2types.Filter{{Name: aws.String("image-id"), Values: chunk}},
			IncludeDeprecated: aws.Bool(true), // those of other accounts would be hidden, and can be launched
		}
		more := func(in *ec2.DescribeImagesInput, out *ec2.DescribeImagesOutput) *string {
			in.NextToken = out.NextToken
			return in.NextToken
		}
		for out, err := range target.Pages(ctx, target.EC2(s.t).DescribeImages, in, more) {
			s.calls.Add(1)
			if err != nil {
				return err
			}
			for _, img := range out.Images {
				found[aws.ToString(img.ImageId)] = img.State == ec2types.ImageStateAvailable
			}
		}
	}
	s.AMIs = found
	return nil
}

func number(n *int64) string { return strconv.FormatInt(aws.ToInt64(n), 10) }
