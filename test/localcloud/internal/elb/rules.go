package elb

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

const (
	lastPriority = 50000 // documented
	maxRules     = 100   // documented quota of rules of a listener, the default one not counted
)

func (s *Service) createRule(_ context.Context, c *wire.Call, in *elbv2.CreateRuleInput) (*elbv2.CreateRuleOutput, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if err := checkConditions(in); err != nil {
		return nil, err
	}
	out := &elbv2.CreateRuleOutput{}
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		b, i, err := listener(r, c, in.ListenerArn)
		if err != nil {
			return err
		}
		l := b.Listeners[i]
		priority := strconv.Itoa(int(*in.Priority))
		switch {
		case b.Type == types.LoadBalancerTypeEnumNetwork:
			return invalid("Rules are not supported for listeners of load balancers of type 'network'")
		case len(l.Rules) >= maxRules:
			return wire.Errorf("TooManyRules", "The maximum number of rules has been reached on listener '%s'", *in.ListenerArn)
		case slices.ContainsFunc(l.Rules, func(other state.Rule) bool { return *other.Priority == priority }):
			return wire.Errorf("PriorityInUse", "Priority '%s' is currently in use", priority)
		}
		actions, err := checkActions(r, b, in.Actions)
		if err != nil {
			return err
		}
		rule := types.Rule{
			RuleArn:  aws.String(strings.Replace(*l.ListenerArn, ":listener/", ":listener-rule/", 1) + "/" + newID()),
			Priority: aws.String(priority), Conditions: in.Conditions, Actions: actions, IsDefault: aws.Bool(false),
		}
		s.rerule(r, b, i, append(slices.Clone(l.Rules), state.Rule{Rule: rule, Tags: slices.Clone(in.Tags)}))
		out.Rules = []types.Rule{rule}
		return nil
	})
}

func checkConditions(in *elbv2.CreateRuleInput) error {
	switch {
	case len(in.Transforms) > 0:
		return unsupported("A transform")
	case in.Priority == nil || *in.Priority < 1 || *in.Priority > lastPriority:
		return invalid("Priority must be in the range of '1' - '%d'", lastPriority)
	case len(in.Conditions) == 0:
		return invalid("At least one condition must be specified")
	}
	for _, cond := range in.Conditions {
		given := len(cond.Values)
		switch aws.ToString(cond.Field) {
		case "host-header":
			if cond.HostHeaderConfig != nil {
				given += len(cond.HostHeaderConfig.Values) + len(cond.HostHeaderConfig.RegexValues)
			}
		case "path-pattern":
			if cond.PathPatternConfig != nil {
				given += len(cond.PathPatternConfig.Values) + len(cond.PathPatternConfig.RegexValues)
			}
		case "http-header", "http-request-method", "query-string", "source-ip":
			if len(cond.Values) > 0 {
				return invalid("The 'Values' field is not compatible with '%s'", *cond.Field)
			}
			given = kinds(cond.HttpHeaderConfig != nil, cond.HttpRequestMethodConfig != nil, cond.QueryStringConfig != nil, cond.SourceIpConfig != nil)
		default:
			return invalid("Condition field '%s' must be one of '[path-pattern, host-header, http-header, http-request-method, query-string, source-ip]'", aws.ToString(cond.Field))
		}
		if given == 0 {
			return invalid("A condition value must be specified")
		}
	}
	return nil
}

// rerule replaces the rules of a listener.
func (s *Service) rerule(r *state.Region, b *state.LoadBalancer, i int, rules []state.Rule) {
	listeners := slices.Clone(b.Listeners)
	listeners[i].Rules = rules
	s.relisten(r, b, listeners)
}

// rule returns a rule of the caller: its balancer, the index of its listener, and its index there.
func rule(r *state.Region, c *wire.Call, arn string) (*state.LoadBalancer, int, int, error) {
	owner := strings.Replace(arn[:max(0, strings.LastIndexByte(arn, '/'))], ":listener-rule/", ":listener/", 1)
	b, i, err := listener(r, c, &owner)
	if err != nil {
		return nil, 0, 0, noRule()
	}
	for j, rule := range b.Listeners[i].Rules {
		if *rule.RuleArn == arn {
			return b, i, j, nil
		}
	}
	return nil, 0, 0, noRule()
}

// anyRule returns a rule of the caller, which may be a default one.
func anyRule(r *state.Region, c *wire.Call, arn string) (types.Rule, error) {
	owner := strings.Replace(arn[:max(0, strings.LastIndexByte(arn, '/'))], ":listener-rule/", ":listener/", 1)
	b, i, err := listener(r, c, &owner)
	if err != nil {
		return types.Rule{}, noRule()
	}
	for _, rule := range rulesOf(b.Listeners[i]) {
		if *rule.RuleArn == arn {
			return rule, nil
		}
	}
	return types.Rule{}, noRule()
}

// rulesOf returns the rules of a listener in their order, the default one last.
func rulesOf(l state.Listener) []types.Rule {
	rules := make([]types.Rule, 0, len(l.Rules)+1)
	for _, rule := range l.Rules {
		rules = append(rules, rule.Rule)
	}
	slices.SortFunc(rules, func(a, b types.Rule) int {
		x, _ := strconv.Atoi(*a.Priority)
		y, _ := strconv.Atoi(*b.Priority)
		return x - y
	})
	id := "/" + (*l.ListenerArn)[strings.LastIndexByte(*l.ListenerArn, '/')+1:]
	return append(rules, types.Rule{
		RuleArn:  aws.String(strings.Replace(*l.ListenerArn, ":listener/", ":listener-rule/", 1) + id),
		Priority: aws.String("default"), Conditions: []types.RuleCondition{}, Actions: l.DefaultActions, IsDefault: aws.Bool(true),
	})
}

func (s *Service) describeRules(_ context.Context, c *wire.Call, in *elbv2.DescribeRulesInput) (*elbv2.DescribeRulesOutput, error) {
	if (in.ListenerArn == nil) == (len(in.RuleArns) == 0) {
		return nil, invalid("You must specify either listener rule ARNs or a listener ARN")
	}
	out := &elbv2.DescribeRulesOutput{Rules: []types.Rule{}}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		found := []types.Rule{}
		if in.ListenerArn != nil {
			b, i, err := listener(r, c, in.ListenerArn)
			if err != nil {
				return err
			}
			found = rulesOf(b.Listeners[i])
		}
		for _, arn := range in.RuleArns {
			one, err := anyRule(r, c, arn)
			if err != nil {
				return err
			}
			found = append(found, one)
		}
		var err error
		out.Rules, out.NextMarker, err = kit.Paginate(found, page(c, in.PageSize, in.Marker))
		return err
	})
}

func (s *Service) deleteRule(_ context.Context, c *wire.Call, in *elbv2.DeleteRuleInput) (*elbv2.DeleteRuleOutput, error) {
	return &elbv2.DeleteRuleOutput{}, s.store.Update(c.Region, func(r *state.Region) error {
		arn := aws.ToString(in.RuleArn)
		if one, err := anyRule(r, c, arn); err == nil && *one.IsDefault {
			return wire.Errorf("OperationNotPermitted", "Default rule '%s' cannot be deleted", arn)
		}
		b, i, j, err := rule(r, c, arn)
		if err != nil {
			return err
		}
		s.rerule(r, b, i, slices.Delete(slices.Clone(b.Listeners[i].Rules), j, j+1))
		return nil
	})
}
