package elb

import (
	"context"
	"reflect"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// createTargetGroup is idempotent, as documented: the same name with the same settings is the group that is there.
func (s *Service) createTargetGroup(_ context.Context, c *wire.Call, in *elbv2.CreateTargetGroupInput) (*elbv2.CreateTargetGroupOutput, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	out := &elbv2.CreateTargetGroupOutput{}
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		g, err := newSettings(r, c.Account, in)
		if err != nil {
			return err
		}
		if old := groupNamed(r, c.Account, *in.Name); old != nil {
			if !sameSettings(old.TargetGroup, g) {
				return wire.Errorf("DuplicateTargetGroupName", "A target group with the same name '%s' exists, but with different settings", *in.Name)
			}
			out.TargetGroups = []types.TargetGroup{old.TargetGroup}
			return nil
		}
		g.TargetGroupArn = aws.String(arn(c, "targetgroup/"+*in.Name+"/"+newID()))
		r.TargetGroups.Put(*g.TargetGroupArn, &state.TargetGroup{
			TargetGroup: g, Account: c.Account, Targets: map[string]state.Target{},
			Attributes: groupAttributes(g.Protocol), Tags: slices.Clone(in.Tags),
		})
		out.TargetGroups = []types.TargetGroup{g}
		return nil
	})
}

// sameSettings compares a group with one that was not made.
func sameSettings(old, g types.TargetGroup) bool {
	g.TargetGroupArn, g.LoadBalancerArns = old.TargetGroupArn, old.LoadBalancerArns
	return reflect.DeepEqual(old, g)
}

func groupNamed(r *state.Region, account, name string) *state.TargetGroup {
	for _, g := range r.TargetGroups.All() {
		if g.Account == account && *g.TargetGroupName == name {
			return g
		}
	}
	return nil
}

// group returns a group of the caller for reading.
func group(r *state.Region, c *wire.Call, arn *string) (*state.TargetGroup, error) {
	g := r.TargetGroups.Get(aws.ToString(arn))
	if g == nil || g.Account != c.Account {
		return nil, noGroup()
	}
	return g, nil
}

// editGroup returns a group of the caller to be changed.
func editGroup(r *state.Region, c *wire.Call, arn *string) (*state.TargetGroup, error) {
	if _, err := group(r, c, arn); err != nil {
		return nil, err
	}
	return r.TargetGroups.Edit(*arn), nil
}

func (s *Service) modifyTargetGroup(_ context.Context, c *wire.Call, in *elbv2.ModifyTargetGroupInput) (*elbv2.ModifyTargetGroupOutput, error) {
	out := &elbv2.ModifyTargetGroupOutput{}
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		g, err := editGroup(r, c, in.TargetGroupArn)
		if err != nil {
			return err
		}
		changed := g.TargetGroup
		err = apply(&changed, healthSettings{
			enabled: in.HealthCheckEnabled, interval: in.HealthCheckIntervalSeconds, timeout: in.HealthCheckTimeoutSeconds,
			up: in.HealthyThresholdCount, down: in.UnhealthyThresholdCount,
			path: in.HealthCheckPath, port: in.HealthCheckPort, protocol: in.HealthCheckProtocol, matcher: in.Matcher,
		})
		if err != nil {
			return err
		}
		g.TargetGroup = changed
		s.retune(r, g)
		out.TargetGroups = []types.TargetGroup{changed}
		return nil
	})
}

func (s *Service) describeTargetGroups(_ context.Context, c *wire.Call, in *elbv2.DescribeTargetGroupsInput) (*elbv2.DescribeTargetGroupsOutput, error) {
	if n := kinds(in.LoadBalancerArn != nil, len(in.Names) > 0, len(in.TargetGroupArns) > 0); n > 1 {
		return nil, invalid("Target group ARNs, target group names and a load balancer ARN cannot be specified at the same time")
	}
	out := &elbv2.DescribeTargetGroupsOutput{TargetGroups: []types.TargetGroup{}}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		found, err := chooseGroups(r, c, in)
		if err != nil {
			return err
		}
		key := func(g types.TargetGroup) string { return *g.TargetGroupArn }
		out.TargetGroups, out.NextMarker, err = kit.PaginateBy(found, key, page(c, in.PageSize, in.Marker))
		return err
	})
}

// chooseGroups returns the groups that a request asks for, sorted by ARN.
func chooseGroups(r *state.Region, c *wire.Call, in *elbv2.DescribeTargetGroupsInput) ([]types.TargetGroup, error) {
	if in.LoadBalancerArn != nil {
		if _, err := balancer(r, c, in.LoadBalancerArn); err != nil {
			return nil, err
		}
	}
	found := []types.TargetGroup{}
	if len(in.TargetGroupArns) > 0 { // the way by which most ask, also where there are thousands of groups
		arns := slices.Compact(slices.Sorted(slices.Values(in.TargetGroupArns)))
		for _, arn := range arns {
			g, err := group(r, c, &arn)
			if err != nil {
				return nil, err
			}
			found = append(found, g.TargetGroup)
		}
		return found, nil
	}
	names := map[string]bool{}
	for _, name := range in.Names {
		names[name] = true
	}
	for _, g := range r.TargetGroups.Sorted() {
		wanted := len(names) == 0 || names[*g.TargetGroupName]
		if g.Account == c.Account && wanted && (in.LoadBalancerArn == nil || slices.Contains(g.LoadBalancerArns, *in.LoadBalancerArn)) {
			found = append(found, g.TargetGroup)
		}
	}
	if len(names) > len(found) {
		return nil, noGroup()
	}
	return found, nil
}

// kinds counts the ways in which a request selects.
func kinds(given ...bool) int {
	n := 0
	for _, g := range given {
		if g {
			n++
		}
	}
	return n
}

// page is how all Describe operations of the service page: up to 400 items.
func page(c *wire.Call, size *int32, marker *string) kit.Page {
	return kit.Page{
		Max: size, Token: marker, Min: 1, Default: 400, Limit: 400,
		Scope: c.Operation + c.Region + c.Account, BadToken: invalid("'%s' is not a valid marker", aws.ToString(marker)),
	}
}

// deleteTargetGroup has, by its documentation, no error for a group that is not there.
func (s *Service) deleteTargetGroup(_ context.Context, c *wire.Call, in *elbv2.DeleteTargetGroupInput) (*elbv2.DeleteTargetGroupOutput, error) {
	return &elbv2.DeleteTargetGroupOutput{}, s.store.Update(c.Region, func(r *state.Region) error {
		g, err := group(r, c, in.TargetGroupArn)
		if err != nil {
			return nil //nolint:nilerr // see above
		}
		if len(g.LoadBalancerArns) > 0 {
			return wire.Errorf("ResourceInUse", "Target group '%s' is currently in use by a listener or a rule", *in.TargetGroupArn)
		}
		for key, t := range g.Targets {
			s.forget(place{r.Name, *in.TargetGroupArn, key}, aws.ToString(t.Target.Id))
		}
		r.TargetGroups.Delete(*in.TargetGroupArn)
		return nil
	})
}
