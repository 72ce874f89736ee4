package elb

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// checkActions checks the actions of a listener or a rule of b and returns them as the service shows them: a forward to one group names it in both
// of its forms.
func checkActions(r *state.Region, b *state.LoadBalancer, given []types.Action) ([]types.Action, error) {
	if len(given) == 0 {
		return nil, invalid("A listener or a rule must have at least one action")
	}
	if len(given) > 1 { // only authentication comes before another action, and that is not modelled
		return nil, wire.Errorf("TooManyActions", "There can be one action of type 'forward', 'redirect' or 'fixed-response'")
	}
	a := given[0]
	switch a.Type {
	case types.ActionTypeEnumForward:
		a, err := checkForward(r, b, a)
		return []types.Action{a}, err
	case types.ActionTypeEnumFixedResponse:
		if a.FixedResponseConfig == nil || aws.ToString(a.FixedResponseConfig.StatusCode) == "" {
			return nil, invalid("A status code must be specified for actions of type 'fixed-response'")
		}
	case types.ActionTypeEnumRedirect:
		if a.RedirectConfig == nil || a.RedirectConfig.StatusCode == "" {
			return nil, invalid("A status code must be specified for actions of type 'redirect'")
		}
	case types.ActionTypeEnumAuthenticateOidc, types.ActionTypeEnumAuthenticateCognito, types.ActionTypeEnumJwtValidation:
		return nil, unsupported("Action type '" + string(a.Type) + "'")
	default:
		return nil, invalid("Action type '%s' must be one of 'redirect, fixed-response, forward'", a.Type)
	}
	if b.Type == types.LoadBalancerTypeEnumNetwork {
		return nil, wire.Errorf("InvalidLoadBalancerAction", "Actions of type '%s' are not supported with load balancers of type 'network'", a.Type)
	}
	return []types.Action{a}, nil
}

func checkForward(r *state.Region, b *state.LoadBalancer, a types.Action) (types.Action, error) {
	if a.ForwardConfig == nil {
		if aws.ToString(a.TargetGroupArn) == "" {
			return a, invalid("A target group ARN must be specified")
		}
		a.ForwardConfig = &types.ForwardActionConfig{TargetGroups: []types.TargetGroupTuple{{TargetGroupArn: a.TargetGroupArn}}}
	}
	f := *a.ForwardConfig
	f.TargetGroups = slices.Clone(f.TargetGroups)
	switch n := len(f.TargetGroups); {
	case n == 0 || n > 5:
		return a, wire.Errorf("TooManyUniqueTargetGroupsPerLoadBalancer", "A forward action must have one to five target groups")
	case a.TargetGroupArn != nil && (n > 1 || *a.TargetGroupArn != aws.ToString(f.TargetGroups[0].TargetGroupArn)):
		return a, invalid("You cannot specify both a target group ARN and a forward configuration with other target groups")
	}
	for i, t := range f.TargetGroups {
		if err := checkRecipient(r, b, aws.ToString(t.TargetGroupArn)); err != nil {
			return a, err
		}
		if t.Weight == nil {
			f.TargetGroups[i].Weight = aws.Int32(1)
		} else if *t.Weight < 0 || *t.Weight > 999 {
			return a, invalid("The weight of a target group must be between 0 and 999")
		}
	}
	if f.TargetGroupStickinessConfig == nil {
		f.TargetGroupStickinessConfig = &types.TargetGroupStickinessConfig{Enabled: aws.Bool(false)}
	}
	a.ForwardConfig = &f
	if len(f.TargetGroups) == 1 {
		a.TargetGroupArn = f.TargetGroups[0].TargetGroupArn
	}
	return a, nil
}

// checkRecipient checks a target group that traffic of b is forwarded to.
func checkRecipient(r *state.Region, b *state.LoadBalancer, arn string) error {
	g := r.TargetGroups.Get(arn)
	switch {
	case g == nil || g.Account != b.Account:
		return wire.Errorf("TargetGroupNotFound", "Target groups '%s' not found", arn)
	case layer7(g.Protocol) != (b.Type == types.LoadBalancerTypeEnumApplication):
		return misfit("The protocol '%s' of target group '%s' is not supported by load balancers of type '%s'", g.Protocol, arn, b.Type)
	case *g.VpcId != *b.VpcId:
		return misfit("The target group '%s' is not in the VPC '%s' of the load balancer", arn, *b.VpcId)
	case slices.ContainsFunc(g.LoadBalancerArns, func(other string) bool { return other != *b.LoadBalancerArn }):
		return wire.Errorf("TargetGroupAssociationLimit", "The following target groups cannot be associated with more than one load balancer: %s", arn)
	}
	return nil
}

// addGroups adds the target groups of actions to arns.
func addGroups(arns map[string]bool, actions []types.Action) {
	for _, a := range actions {
		if a.ForwardConfig != nil {
			for _, t := range a.ForwardConfig.TargetGroups {
				arns[*t.TargetGroupArn] = true
			}
		}
	}
}
