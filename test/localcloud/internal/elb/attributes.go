package elb

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// drainAttribute is how long, in seconds, a deregistered target drains.
const drainAttribute = "deregistration_delay.timeout_seconds"

// drainDelay returns how long the targets of a group drain.
func drainDelay(g *state.TargetGroup) time.Duration {
	n, _ := strconv.Atoi(g.Attributes[drainAttribute])
	return time.Duration(n) * time.Second
}

// groupAttributes returns the attributes of a new target group with the documented defaults.
func groupAttributes(p types.ProtocolEnum) map[string]string {
	attributes := map[string]string{
		drainAttribute:                      "300",
		"stickiness.enabled":                "false",
		"load_balancing.cross_zone.enabled": "use_load_balancer_configuration",
		"target_group_health.dns_failover.minimum_healthy_targets.count":                 "1",
		"target_group_health.dns_failover.minimum_healthy_targets.percentage":            "off",
		"target_group_health.unhealthy_state_routing.minimum_healthy_targets.count":      "1",
		"target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "off",
	}
	more := map[string]string{
		"stickiness.type": "source_ip",
		"deregistration_delay.connection_termination.enabled":          "false",
		"preserve_client_ip.enabled":                                   "true",
		"proxy_protocol_v2.enabled":                                    "false",
		"target_health_state.unhealthy.connection_termination.enabled": "true",
		"target_health_state.unhealthy.draining_interval_seconds":      "0",
	}
	if layer7(p) {
		more = map[string]string{
			"stickiness.type":                             "lb_cookie",
			"stickiness.app_cookie.cookie_name":           "",
			"stickiness.app_cookie.duration_seconds":      "86400",
			"stickiness.lb_cookie.duration_seconds":       "86400",
			"slow_start.duration_seconds":                 "0",
			"load_balancing.algorithm.type":               "round_robin",
			"load_balancing.algorithm.anomaly_mitigation": "off",
		}
	}
	maps.Copy(attributes, more)
	return attributes
}

// balancerAttributes returns the attributes of a new balancer that clients ask for, with the documented defaults.
func balancerAttributes(t types.LoadBalancerTypeEnum) map[string]string {
	attributes := map[string]string{"deletion_protection.enabled": "false", "access_logs.s3.enabled": "false", "access_logs.s3.bucket": "", "access_logs.s3.prefix": ""}
	if t == types.LoadBalancerTypeEnumNetwork {
		attributes["load_balancing.cross_zone.enabled"] = "false"
		return attributes
	}
	maps.Copy(attributes, map[string]string{
		"load_balancing.cross_zone.enabled": "true", "idle_timeout.timeout_seconds": "60", "routing.http2.enabled": "true",
		"routing.http.drop_invalid_header_fields.enabled": "false", "routing.http.desync_mitigation_mode": "defensive",
	})
	return attributes
}

func groupList(attributes map[string]string) []types.TargetGroupAttribute {
	list := []types.TargetGroupAttribute{}
	for _, key := range slices.Sorted(maps.Keys(attributes)) {
		list = append(list, types.TargetGroupAttribute{Key: aws.String(key), Value: aws.String(attributes[key])})
	}
	return list
}

func balancerList(attributes map[string]string) []types.LoadBalancerAttribute {
	list := []types.LoadBalancerAttribute{}
	for _, key := range slices.Sorted(maps.Keys(attributes)) {
		list = append(list, types.LoadBalancerAttribute{Key: aws.String(key), Value: aws.String(attributes[key])})
	}
	return list
}

func (s *Service) describeTargetGroupAttributes(_ context.Context, c *wire.Call, in *elbv2.DescribeTargetGroupAttributesInput) (*elbv2.DescribeTargetGroupAttributesOutput, error) {
	out := &elbv2.DescribeTargetGroupAttributesOutput{}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		g, err := group(r, c, in.TargetGroupArn)
		if err == nil {
			out.Attributes = groupList(g.Attributes)
		}
		return err
	})
}

func (s *Service) modifyTargetGroupAttributes(_ context.Context, c *wire.Call, in *elbv2.ModifyTargetGroupAttributesInput) (*elbv2.ModifyTargetGroupAttributesOutput, error) {
	out := &elbv2.ModifyTargetGroupAttributesOutput{}
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		g, err := group(r, c, in.TargetGroupArn)
		if err != nil {
			return err
		}
		changed := maps.Clone(g.Attributes)
		for _, a := range in.Attributes {
			if err := change(changed, "Target group", aws.ToString(a.Key), aws.ToString(a.Value)); err != nil {
				return err
			}
		}
		if len(in.Attributes) == 0 {
			return invalid("At least one attribute must be specified")
		}
		r.TargetGroups.Edit(*in.TargetGroupArn).Attributes = changed
		out.Attributes = groupList(changed)
		return nil
	})
}

// change sets an attribute that there is, to a value that it can have.
func change(attributes map[string]string, kind, key, value string) error {
	old, known := attributes[key]
	if !known {
		return invalid("%s attribute key '%s' is not recognized", kind, key)
	}
	bad := invalid("%s attribute key '%s' cannot have the value '%s'", kind, key, value)
	switch {
	case old == "true" || old == "false":
		if value != "true" && value != "false" {
			return bad
		}
	case key == drainAttribute:
		if n, err := strconv.Atoi(value); err != nil || n < 0 || n > 3600 {
			return invalid("Target group attribute key '%s' must have a value between '0' and '3600' inclusive", key)
		}
	case key == "slow_start.duration_seconds":
		if n, err := strconv.Atoi(value); err != nil || n != 0 && (n < 30 || n > 900) {
			return bad
		}
	}
	attributes[key] = value
	return nil
}

func (s *Service) describeLoadBalancerAttributes(_ context.Context, c *wire.Call, in *elbv2.DescribeLoadBalancerAttributesInput) (*elbv2.DescribeLoadBalancerAttributesOutput, error) {
	out := &elbv2.DescribeLoadBalancerAttributesOutput{}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		b, err := balancer(r, c, in.LoadBalancerArn)
		if err == nil {
			out.Attributes = balancerList(b.Attributes)
		}
		return err
	})
}

func (s *Service) modifyLoadBalancerAttributes(_ context.Context, c *wire.Call, in *elbv2.ModifyLoadBalancerAttributesInput) (*elbv2.ModifyLoadBalancerAttributesOutput, error) {
	out := &elbv2.ModifyLoadBalancerAttributesOutput{}
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		b, err := balancer(r, c, in.LoadBalancerArn)
		if err != nil {
			return err
		}
		changed := maps.Clone(b.Attributes)
		for _, a := range in.Attributes {
			if err := change(changed, "Load balancer", aws.ToString(a.Key), aws.ToString(a.Value)); err != nil {
				return err
			}
		}
		if len(in.Attributes) == 0 {
			return invalid("At least one attribute must be specified")
		}
		r.LoadBalancers.Edit(*in.LoadBalancerArn).Attributes = changed
		out.Attributes = balancerList(changed)
		return nil
	})
}
