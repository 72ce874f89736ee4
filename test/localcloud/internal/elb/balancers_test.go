package elb_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

var both = []string{"subnet-0", "subnet-1"}

func TestLoadBalancerBecomesActive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := &elbv2.CreateLoadBalancerInput{Name: aws.String("lb"), Subnets: both, SecurityGroups: []string{"sg-0"}, Scheme: types.LoadBalancerSchemeEnumInternal}
	out, err := w.client.CreateLoadBalancer(t.Context(), in)
	w.must(err)
	b := out.LoadBalancers[0]
	if b.State.Code != types.LoadBalancerStateEnumProvisioning || b.Type != types.LoadBalancerTypeEnumApplication || *b.VpcId != vpc {
		t.Errorf("state %s, type %s, VPC %s", b.State.Code, b.Type, *b.VpcId)
	}
	id := (*b.LoadBalancerArn)[strings.LastIndexByte(*b.LoadBalancerArn, '/')+1:]
	if want := "internal-lb-" + id + ".elb.eu-west-1.amazonaws.com"; *b.DNSName != want {
		t.Errorf("DNS name %s, want %s", *b.DNSName, want)
	}
	again, err := w.client.CreateLoadBalancer(t.Context(), in)
	w.must(err)
	if *again.LoadBalancers[0].LoadBalancerArn != *b.LoadBalancerArn {
		t.Error("the same settings made another one")
	}
	w.clock.Advance(minute)
	found, err := w.client.DescribeLoadBalancers(t.Context(), &elbv2.DescribeLoadBalancersInput{Names: []string{"lb"}})
	w.must(err)
	if s := found.LoadBalancers[0].State.Code; s != types.LoadBalancerStateEnumActive {
		t.Errorf("state %s", s)
	}
	in.Scheme = types.LoadBalancerSchemeEnumInternetFacing
	_, err = w.client.CreateLoadBalancer(t.Context(), in)
	wantError(t, err, "DuplicateLoadBalancerName", "A load balancer with the same name 'lb' exists, but with different settings")
}

func TestLoadBalancerRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	type in = elbv2.CreateLoadBalancerInput
	for name, c := range map[string]struct {
		in         in
		code, text string
	}{
		"one zone":       {in{Name: aws.String("a"), Subnets: both[:1]}, "ValidationError", "At least two subnets in two different Availability Zones must be specified"},
		"no subnet":      {in{Name: aws.String("a")}, "ValidationError", "At least one subnet must be specified"},
		"unknown subnet": {in{Name: aws.String("a"), Subnets: []string{"subnet-x"}}, "SubnetNotFound", "The subnet ID 'subnet-x' does not exist"},
		"same zone":      {in{Name: aws.String("a"), Subnets: []string{"subnet-0", "subnet-0"}}, "InvalidConfigurationRequest", ""},
		"security group": {in{Name: aws.String("a"), Subnets: both, SecurityGroups: []string{"sg-x"}}, "InvalidSecurityGroup", ""},
		"gateway":        {in{Name: aws.String("a"), Subnets: both, Type: "gateway"}, "OperationNotPermitted", ""},
		"internal name":  {in{Name: aws.String("internal-a"), Subnets: both}, "ValidationError", "Load balancer name 'internal-a' cannot begin with 'internal-'"},
	} {
		_, err := w.client.CreateLoadBalancer(t.Context(), &c.in)
		t.Log(name)
		wantError(t, err, c.code, c.text)
	}
	_, err := w.client.DescribeLoadBalancers(t.Context(), &elbv2.DescribeLoadBalancersInput{Names: []string{"x"}})
	wantError(t, err, "LoadBalancerNotFound", "Load balancers '[x]' not found")
	_, err = w.client.DescribeLoadBalancers(t.Context(), &elbv2.DescribeLoadBalancersInput{LoadBalancerArns: []string{"x"}})
	wantError(t, err, "LoadBalancerNotFound", "One or more load balancers not found")
	_, err = w.client.DeleteLoadBalancer(t.Context(), &elbv2.DeleteLoadBalancerInput{LoadBalancerArn: aws.String("x")})
	w.must(err)
}

func TestDeletionProtection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	arn, _ := w.balancer("lb", w.group("web"))
	set := func(value string) {
		_, err := w.client.ModifyLoadBalancerAttributes(t.Context(), &elbv2.ModifyLoadBalancerAttributesInput{
			LoadBalancerArn: &arn, Attributes: []types.LoadBalancerAttribute{{Key: aws.String("deletion_protection.enabled"), Value: &value}},
		})
		w.must(err)
	}
	set("true")
	_, err := w.client.DeleteLoadBalancer(t.Context(), &elbv2.DeleteLoadBalancerInput{LoadBalancerArn: &arn})
	wantError(t, err, "OperationNotPermitted", "")
	set("false")
	_, err = w.client.DeleteLoadBalancer(t.Context(), &elbv2.DeleteLoadBalancerInput{LoadBalancerArn: &arn})
	w.must(err)
	_, err = w.client.DescribeLoadBalancerAttributes(t.Context(), &elbv2.DescribeLoadBalancerAttributesInput{LoadBalancerArn: &arn})
	wantError(t, err, "LoadBalancerNotFound", "")
}

func TestListeners(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g, h := w.group("web"), w.group("blue")
	b, l := w.balancer("lb", g)
	out, err := w.client.DescribeListeners(t.Context(), &elbv2.DescribeListenersInput{LoadBalancerArn: &b})
	w.must(err)
	a := out.Listeners[0].DefaultActions[0]
	if *a.TargetGroupArn != g || *a.ForwardConfig.TargetGroups[0].TargetGroupArn != g || *a.ForwardConfig.TargetGroups[0].Weight != 1 {
		t.Errorf("action %+v", a)
	}
	if users := w.users(g); len(users) != 1 || users[0] != b {
		t.Errorf("the group is used by %v", users)
	}
	w.register(g, "i-1")
	w.register(h, "i-1")
	_, err = w.client.ModifyListener(t.Context(), &elbv2.ModifyListenerInput{ListenerArn: &l, DefaultActions: forward(h)})
	w.must(err)
	w.wantHealth(g, "i-1", unused)
	w.wantHealth(h, "i-1", registering)
	_, err = w.client.DeleteListener(t.Context(), &elbv2.DeleteListenerInput{ListenerArn: &l})
	w.must(err)
	w.wantHealth(h, "i-1", unused)
	_, err = w.client.DescribeListeners(t.Context(), &elbv2.DescribeListenersInput{ListenerArns: []string{l}})
	wantError(t, err, "ListenerNotFound", "One or more listeners not found")
}

// users returns the balancers that a group says it is used by.
func (w *world) users(group string) []string {
	w.Helper()
	out, err := w.client.DescribeTargetGroups(w.Context(), &elbv2.DescribeTargetGroupsInput{TargetGroupArns: []string{group}})
	w.must(err)
	return out.TargetGroups[0].LoadBalancerArns
}

func TestListenerRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.group("web")
	b, _ := w.balancer("lb", g)
	other, _ := w.balancer("other", w.group("blue"))
	tcp, err := w.client.CreateTargetGroup(t.Context(), &elbv2.CreateTargetGroupInput{Name: aws.String("tcp"), Protocol: "TCP", Port: aws.Int32(1), VpcId: aws.String(vpc)})
	w.must(err)
	fixed := []types.Action{{Type: types.ActionTypeEnumFixedResponse, FixedResponseConfig: &types.FixedResponseActionConfig{StatusCode: aws.String("404")}}}
	for name, c := range map[string]struct {
		balancer   string
		port       *int32
		protocol   types.ProtocolEnum
		actions    []types.Action
		code, text string
	}{
		"fixed":        {b, aws.Int32(81), "HTTP", fixed, "", ""},
		"port in use":  {b, aws.Int32(80), "HTTP", fixed, "DuplicateListener", "A listener already exists on this port for this load balancer '" + b + "'"},
		"no port":      {b, nil, "HTTP", fixed, "ValidationError", "A listener port must be specified"},
		"no protocol":  {b, aws.Int32(82), "", fixed, "ValidationError", "A listener protocol must be specified"},
		"protocol":     {b, aws.Int32(82), "TCP", fixed, "ValidationError", "Listener protocol 'TCP' must be one of 'HTTP, HTTPS'"},
		"certificate":  {b, aws.Int32(82), "HTTPS", fixed, "ValidationError", "A certificate must be specified for HTTPS listeners"},
		"no group":     {b, aws.Int32(82), "HTTP", forward("arn:x"), "TargetGroupNotFound", "Target groups 'arn:x' not found"},
		"other's":      {other, aws.Int32(82), "HTTP", forward(g), "TargetGroupAssociationLimit", "The following target groups cannot be associated with more than one load balancer: " + g},
		"tcp group":    {b, aws.Int32(82), "HTTP", forward(*tcp.TargetGroups[0].TargetGroupArn), "InvalidConfigurationRequest", ""},
		"two actions":  {b, aws.Int32(82), "HTTP", append(forward(g), fixed...), "TooManyActions", ""},
		"login":        {b, aws.Int32(82), "HTTP", []types.Action{{Type: types.ActionTypeEnumAuthenticateOidc}}, "OperationNotPermitted", ""},
		"empty":        {b, aws.Int32(82), "HTTP", []types.Action{{Type: types.ActionTypeEnumForward}}, "ValidationError", "A target group ARN must be specified"},
		"no balancer":  {b + "x", aws.Int32(82), "HTTP", fixed, "LoadBalancerNotFound", ""},
		"empty answer": {b, aws.Int32(82), "HTTP", []types.Action{{Type: types.ActionTypeEnumFixedResponse}}, "ValidationError", ""},
	} {
		_, err := w.client.CreateListener(t.Context(), &elbv2.CreateListenerInput{LoadBalancerArn: &c.balancer, Port: c.port, Protocol: c.protocol, DefaultActions: c.actions})
		t.Log(name)
		if c.code == "" {
			w.must(err)
		} else {
			wantError(t, err, c.code, c.text)
		}
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g, h := w.group("web"), w.group("blue")
	_, l := w.balancer("lb", g)
	w.register(h, "i-1")
	create := func(priority int32, field string, actions []types.Action) (*types.Rule, error) {
		out, err := w.client.CreateRule(t.Context(), &elbv2.CreateRuleInput{
			ListenerArn: &l, Priority: &priority, Actions: actions, Conditions: []types.RuleCondition{{Field: &field, Values: []string{"/x*"}}},
		})
		if err != nil {
			return nil, err
		}
		return &out.Rules[0], nil
	}
	rule, err := create(10, "path-pattern", forward(h))
	w.must(err)
	w.wantHealth(h, "i-1", registering)
	_, err = create(5, "host-header", forward(h))
	w.must(err)
	_, err = create(10, "path-pattern", forward(h))
	wantError(t, err, "PriorityInUse", "Priority '10' is currently in use")
	_, err = create(50001, "path-pattern", forward(h))
	wantError(t, err, "ValidationError", "")
	_, err = create(11, "cookie", forward(h))
	wantError(t, err, "ValidationError", "")
	_, err = create(11, "source-ip", forward(h))
	wantError(t, err, "ValidationError", "The 'Values' field is not compatible with 'source-ip'")

	out, err := w.client.DescribeRules(t.Context(), &elbv2.DescribeRulesInput{ListenerArn: &l})
	w.must(err)
	var order []string
	for _, r := range out.Rules {
		order = append(order, *r.Priority)
	}
	if got := fmt.Sprint(order); got != "[5 10 default]" {
		t.Errorf("priorities %s", got)
	}
	standard := out.Rules[2].RuleArn
	shown, err := w.client.DescribeRules(t.Context(), &elbv2.DescribeRulesInput{RuleArns: []string{*standard, *rule.RuleArn}})
	w.must(err)
	if len(shown.Rules) != 2 || !*shown.Rules[0].IsDefault {
		t.Errorf("%d rules", len(shown.Rules))
	}
	_, err = w.client.DeleteRule(t.Context(), &elbv2.DeleteRuleInput{RuleArn: standard})
	wantError(t, err, "OperationNotPermitted", "")
	for _, r := range out.Rules[:2] {
		_, err = w.client.DeleteRule(t.Context(), &elbv2.DeleteRuleInput{RuleArn: r.RuleArn})
		w.must(err)
	}
	w.wantHealth(h, "i-1", unused)
	_, err = w.client.DescribeRules(t.Context(), &elbv2.DescribeRulesInput{RuleArns: []string{*rule.RuleArn}})
	wantError(t, err, "RuleNotFound", "One or more rules not found")
}

func TestTags(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.group("web")
	b, l := w.balancer("lb", g)
	rule, err := w.client.CreateRule(t.Context(), &elbv2.CreateRuleInput{
		ListenerArn: &l, Priority: aws.Int32(1), Actions: forward(g), Conditions: []types.RuleCondition{{Field: aws.String("path-pattern"), Values: []string{"/"}}},
	})
	w.must(err)
	arns := []string{g, b, l, *rule.Rules[0].RuleArn}
	tag := func(k, v string) []types.Tag { return []types.Tag{{Key: &k, Value: &v}} }
	for _, tags := range [][]types.Tag{tag("a", "1"), tag("a", "2"), tag("b", "3")} {
		_, err := w.client.AddTags(t.Context(), &elbv2.AddTagsInput{ResourceArns: arns, Tags: tags})
		w.must(err)
	}
	_, err = w.client.RemoveTags(t.Context(), &elbv2.RemoveTagsInput{ResourceArns: arns, TagKeys: []string{"b", "c"}})
	w.must(err)
	out, err := w.client.DescribeTags(t.Context(), &elbv2.DescribeTagsInput{ResourceArns: arns})
	w.must(err)
	for _, d := range out.TagDescriptions {
		if len(d.Tags) != 1 || *d.Tags[0].Key != "a" || *d.Tags[0].Value != "2" {
			t.Errorf("%s has %d tags", *d.ResourceArn, len(d.Tags))
		}
	}
	for arn, code := range map[string]string{
		g + "0": "TargetGroupNotFound", b + "0": "LoadBalancerNotFound", l + "0": "ListenerNotFound", arns[3] + "0": "RuleNotFound", "x": "ValidationError",
	} {
		_, err := w.client.AddTags(t.Context(), &elbv2.AddTagsInput{ResourceArns: []string{g, arn}, Tags: tag("z", "1")})
		wantError(t, err, code, "")
	}
	var many []types.Tag
	for i := range 50 {
		many = append(many, tag(fmt.Sprint("k", i), "")...)
	}
	_, err = w.client.AddTags(t.Context(), &elbv2.AddTagsInput{ResourceArns: []string{g}, Tags: many})
	wantError(t, err, "TooManyTags", "")
}
