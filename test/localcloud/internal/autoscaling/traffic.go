package autoscaling

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// elbv2 is the one type of traffic sources that is modelled: target groups.
const elbv2 = "elbv2"

func (s *Service) registerTraffic(svc *wire.Service) {
	wire.Handle(svc, s.attachTargetGroups)
	wire.Handle(svc, s.detachTargetGroups)
	wire.Handle(svc, s.attachTrafficSources)
	wire.Handle(svc, s.detachTrafficSources)
	wire.Handle(svc, s.describeTargetGroups)
	wire.Handle(svc, s.describeTrafficSources)
	wire.Handle(svc, s.describeLoadBalancers)
}

// targetGroups returns the ARNs of the target groups of a group.
func targetGroups(g *state.Group) []string { return g.TargetGroupARNs }

func sourcesOf(arns []string) []astypes.TrafficSourceIdentifier {
	var all []astypes.TrafficSourceIdentifier
	for _, arn := range arns {
		all = append(all, astypes.TrafficSourceIdentifier{Identifier: &arn, Type: aws.String(elbv2)})
	}
	return all
}

// addSources makes traffic sources those of a group, and returns an error where one is not there.
func addSources(r *state.Region, g *state.Group, sources []astypes.TrafficSourceIdentifier) error {
	arns, list := slices.Clone(g.TargetGroupARNs), slices.Clone(g.TrafficSources)
	for _, source := range sources {
		arn, kind := aws.ToString(source.Identifier), aws.ToString(source.Type)
		if kind != "" && kind != elbv2 || kind == "" && !strings.HasPrefix(arn, "arn:aws:elasticloadbalancing:") {
			return unsupported("Traffic source type " + kind + " of " + arn)
		}
		if t := r.TargetGroups.Get(arn); t == nil || t.Account != g.Account {
			return invalid("Provided Target Groups may not be valid. Please ensure they exist and try again.")
		}
		if !slices.Contains(arns, arn) {
			arns = append(arns, arn)
			list = append(list, astypes.TrafficSourceIdentifier{Identifier: &arn, Type: aws.String(elbv2)})
		}
	}
	g.TargetGroupARNs, g.TrafficSources = arns, list
	return nil
}

func (s *Service) attachSources(c *wire.Call, group *string, sources []astypes.TrafficSourceIdentifier) error {
	return s.edit(c, group, func(r *state.Region, g *state.Group) error {
		if err := addSources(r, g, sources); err != nil {
			return err
		}
		if suspended(g, processElb) {
			return nil
		}
		for _, source := range sources {
			s.targets.RegisterTargets(r, aws.ToString(source.Identifier), serving(g))
		}
		return nil
	})
}

// serving returns the instances of a group that are in service.
func serving(g *state.Group) []string {
	var ids []string
	for i := range g.Members {
		if inService(&g.Members[i]) {
			ids = append(ids, aws.ToString(g.Members[i].InstanceId))
		}
	}
	return ids
}

func (s *Service) detachSources(c *wire.Call, group *string, sources []astypes.TrafficSourceIdentifier) error {
	return s.edit(c, group, func(r *state.Region, g *state.Group) error {
		for _, source := range sources {
			if !slices.Contains(g.TargetGroupARNs, aws.ToString(source.Identifier)) {
				return invalid("Trying to remove Target Groups that are not part of the group.")
			}
		}
		for _, source := range sources {
			arn := aws.ToString(source.Identifier)
			g.TargetGroupARNs = slices.DeleteFunc(slices.Clone(g.TargetGroupARNs), func(a string) bool { return a == arn })
			g.TrafficSources = slices.DeleteFunc(slices.Clone(g.TrafficSources), func(t astypes.TrafficSourceIdentifier) bool { return aws.ToString(t.Identifier) == arn })
			s.targets.DeregisterTargets(r, arn, serving(g))
		}
		return nil
	})
}

func (s *Service) attachTargetGroups(_ context.Context, c *wire.Call, in *as.AttachLoadBalancerTargetGroupsInput) (*as.AttachLoadBalancerTargetGroupsOutput, error) {
	return &as.AttachLoadBalancerTargetGroupsOutput{}, s.attachSources(c, in.AutoScalingGroupName, sourcesOf(in.TargetGroupARNs))
}

func (s *Service) detachTargetGroups(_ context.Context, c *wire.Call, in *as.DetachLoadBalancerTargetGroupsInput) (*as.DetachLoadBalancerTargetGroupsOutput, error) {
	return &as.DetachLoadBalancerTargetGroupsOutput{}, s.detachSources(c, in.AutoScalingGroupName, sourcesOf(in.TargetGroupARNs))
}

func (s *Service) attachTrafficSources(_ context.Context, c *wire.Call, in *as.AttachTrafficSourcesInput) (*as.AttachTrafficSourcesOutput, error) {
	return &as.AttachTrafficSourcesOutput{}, s.attachSources(c, in.AutoScalingGroupName, in.TrafficSources)
}

func (s *Service) detachTrafficSources(_ context.Context, c *wire.Call, in *as.DetachTrafficSourcesInput) (*as.DetachTrafficSourcesOutput, error) {
	return &as.DetachTrafficSourcesOutput{}, s.detachSources(c, in.AutoScalingGroupName, in.TrafficSources)
}

// sourceState returns how far a target group is with the instances of a group.
func (s *Service) sourceState(r *state.Region, g *state.Group, arn string) *string {
	ids := serving(g)
	current := "Added"
	if len(ids) == 0 {
		current = "Adding"
	}
	for _, id := range ids {
		if health, _ := s.targets.Health(r, arn, id); health == elbtypes.TargetHealthStateEnumHealthy {
			current = "InService"
		}
	}
	return &current
}

func (s *Service) describeTargetGroups(_ context.Context, c *wire.Call, in *as.DescribeLoadBalancerTargetGroupsInput) (*as.DescribeLoadBalancerTargetGroupsOutput, error) {
	out := &as.DescribeLoadBalancerTargetGroupsOutput{LoadBalancerTargetGroups: []astypes.LoadBalancerTargetGroupState{}}
	return out, s.read(c, in.AutoScalingGroupName, func(r *state.Region, g *state.Group) error {
		arns, next, err := kit.Paginate(g.TargetGroupARNs, page(c, in.MaxRecords, in.NextToken, 100, 100))
		for _, arn := range arns {
			out.LoadBalancerTargetGroups = append(out.LoadBalancerTargetGroups, astypes.LoadBalancerTargetGroupState{LoadBalancerTargetGroupARN: &arn, State: s.sourceState(r, g, arn)})
		}
		out.NextToken = next
		return err
	})
}

func (s *Service) describeTrafficSources(_ context.Context, c *wire.Call, in *as.DescribeTrafficSourcesInput) (*as.DescribeTrafficSourcesOutput, error) {
	out := &as.DescribeTrafficSourcesOutput{TrafficSources: []astypes.TrafficSourceState{}}
	return out, s.read(c, in.AutoScalingGroupName, func(r *state.Region, g *state.Group) error {
		var arns []string
		if kind := aws.ToString(in.TrafficSourceType); kind == "" || kind == elbv2 {
			arns = g.TargetGroupARNs
		}
		arns, next, err := kit.Paginate(arns, page(c, in.MaxRecords, in.NextToken, 50, 50))
		for _, arn := range arns {
			out.TrafficSources = append(out.TrafficSources, astypes.TrafficSourceState{
				Identifier: &arn, Type: aws.String(elbv2), State: s.sourceState(r, g, arn),
			})
		}
		out.NextToken = next
		return err
	})
}

// describeLoadBalancers knows Classic Load Balancers only, of which there are none.
func (s *Service) describeLoadBalancers(_ context.Context, c *wire.Call, in *as.DescribeLoadBalancersInput) (*as.DescribeLoadBalancersOutput, error) {
	out := &as.DescribeLoadBalancersOutput{LoadBalancers: []astypes.LoadBalancerState{}}
	return out, s.read(c, in.AutoScalingGroupName, func(*state.Region, *state.Group) error { return nil })
}
