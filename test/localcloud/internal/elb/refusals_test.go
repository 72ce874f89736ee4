package elb_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// What actions of listeners and rules must be.
func TestActionsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g, h := w.group("web"), w.group("blue")
	_, l := w.balancer("lb", g)
	tuple := func(arn string, weight *int32) types.TargetGroupTuple {
		return types.TargetGroupTuple{TargetGroupArn: &arn, Weight: weight}
	}
	to := func(arn *string, tuples ...types.TargetGroupTuple) types.Action {
		return types.Action{Type: types.ActionTypeEnumForward, TargetGroupArn: arn, ForwardConfig: &types.ForwardActionConfig{TargetGroups: tuples}}
	}
	for name, test := range map[string]struct {
		action     types.Action
		code, text string
	}{
		"a redirect to nowhere": {types.Action{Type: types.ActionTypeEnumRedirect}, "ValidationError", "A status code must be specified for actions of type 'redirect'"},
		"cognito":               {types.Action{Type: types.ActionTypeEnumAuthenticateCognito}, "OperationNotPermitted", "Action type 'authenticate-cognito' is not supported by this endpoint"},
		"too heavy":             {to(nil, tuple(g, aws.Int32(1000))), "ValidationError", "The weight of a target group must be between 0 and 999"},
		"lighter than nothing":  {to(nil, tuple(g, aws.Int32(-1))), "ValidationError", "The weight of a target group must be between 0 and 999"},
		"too many groups": {
			to(nil, tuple(g, nil), tuple(h, nil), tuple(g, nil), tuple(h, nil), tuple(g, nil), tuple(h, nil)), "TooManyUniqueTargetGroupsPerLoadBalancer",
			"A forward action must have one to five target groups",
		},
		"a group and others":  {to(&g, tuple(g, nil), tuple(h, nil)), "ValidationError", "You cannot specify both a target group ARN and a forward configuration with other target groups"},
		"a group and another": {to(&g, tuple(h, nil)), "ValidationError", "You cannot specify both a target group ARN and a forward configuration with other target groups"},
	} {
		_, err := w.client.ModifyListener(t.Context(), &elbv2.ModifyListenerInput{ListenerArn: &l, DefaultActions: []types.Action{test.action}})
		t.Log(name)
		wantError(t, err, test.code, test.text)
	}
	out, err := w.client.DescribeListeners(t.Context(), &elbv2.DescribeListenersInput{ListenerArns: []string{l}})
	w.must(err)
	if a := out.Listeners[0].DefaultActions; len(a) != 1 || *a[0].TargetGroupArn != g {
		t.Errorf("it forwards elsewhere now: %+v", a)
	}
}

// A forward to two groups has no group of its own, and the weights that it was given; what it shows can be sent back.
func TestAForwardToTwoGroups(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g, h := w.group("web"), w.group("blue")
	b, l := w.balancer("lb", g)
	actions := []types.Action{{Type: types.ActionTypeEnumForward, ForwardConfig: &types.ForwardActionConfig{TargetGroups: []types.TargetGroupTuple{
		{TargetGroupArn: &g, Weight: aws.Int32(0)}, {TargetGroupArn: &h},
	}}}}
	for range 2 {
		out, err := w.client.ModifyListener(t.Context(), &elbv2.ModifyListenerInput{ListenerArn: &l, DefaultActions: actions})
		w.must(err)
		a := out.Listeners[0].DefaultActions[0]
		if f := a.ForwardConfig; a.TargetGroupArn != nil || *f.TargetGroups[0].Weight != 0 || *f.TargetGroups[1].Weight != 1 || *f.TargetGroupStickinessConfig.Enabled {
			t.Errorf("%+v", a)
		}
		actions = out.Listeners[0].DefaultActions
	}
	for _, arn := range []string{g, h} {
		if users := w.users(arn); len(users) != 1 || users[0] != b {
			t.Errorf("%s is used by %v", arn, users)
		}
	}
}

// What conditions of rules must be.
func TestConditionsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.group("web")
	_, l := w.balancer("lb", g)
	one := func(c types.RuleCondition) []types.RuleCondition { return []types.RuleCondition{c} }
	for name, test := range map[string]struct {
		priority   int32
		conditions []types.RuleCondition
		text       string
	}{
		"priority 0":   {0, one(types.RuleCondition{Field: aws.String("path-pattern"), Values: []string{"/"}}), ""},
		"none":         {1, []types.RuleCondition{}, "At least one condition must be specified"},
		"no value":     {1, one(types.RuleCondition{Field: aws.String("path-pattern")}), "A condition value must be specified"},
		"no header":    {1, one(types.RuleCondition{Field: aws.String("http-header")}), "A condition value must be specified"},
		"empty config": {1, one(types.RuleCondition{Field: aws.String("host-header"), HostHeaderConfig: &types.HostHeaderConditionConfig{Values: []string{}}}), "A condition value must be specified"},
		"no field":     {1, one(types.RuleCondition{Values: []string{"/"}}), "Condition field '' must be one of '[path-pattern, host-header, http-header, http-request-method, query-string, source-ip]'"},
		"second is bad": {
			1,
			[]types.RuleCondition{{Field: aws.String("path-pattern"), Values: []string{"/"}}, {Field: aws.String("cookie"), Values: []string{"/"}}},
			"Condition field 'cookie' must be one of '[path-pattern, host-header, http-header, http-request-method, query-string, source-ip]'",
		},
	} {
		_, err := w.client.CreateRule(t.Context(), &elbv2.CreateRuleInput{ListenerArn: &l, Priority: &test.priority, Actions: forward(g), Conditions: test.conditions})
		t.Log(name)
		wantError(t, err, "ValidationError", test.text)
	}
	for priority, condition := range map[int32]types.RuleCondition{
		1: {Field: aws.String("path-pattern"), PathPatternConfig: &types.PathPatternConditionConfig{Values: []string{"/a", "/ü*"}}},
		2: {Field: aws.String("host-header"), HostHeaderConfig: &types.HostHeaderConditionConfig{Values: []string{"*.example.com"}}},
		3: {Field: aws.String("http-header"), HttpHeaderConfig: &types.HttpHeaderConditionConfig{HttpHeaderName: aws.String("X"), Values: []string{"1"}}},
		4: {Field: aws.String("http-request-method"), HttpRequestMethodConfig: &types.HttpRequestMethodConditionConfig{Values: []string{"GET"}}},
		5: {Field: aws.String("query-string"), QueryStringConfig: &types.QueryStringConditionConfig{Values: []types.QueryStringKeyValuePair{{Key: aws.String("a&b"), Value: aws.String("<1>")}}}},
		6: {Field: aws.String("source-ip"), SourceIpConfig: &types.SourceIpConditionConfig{Values: []string{"10.0.0.0/8"}}},
	} {
		_, err := w.client.CreateRule(t.Context(), &elbv2.CreateRuleInput{ListenerArn: &l, Priority: &priority, Actions: forward(g), Conditions: []types.RuleCondition{condition}})
		w.must(err)
	}
	out, err := w.client.DescribeRules(t.Context(), &elbv2.DescribeRulesInput{ListenerArn: &l})
	w.must(err)
	if len(out.Rules) != 7 || out.Rules[0].Conditions[0].PathPatternConfig.Values[1] != "/ü*" || *out.Rules[4].Conditions[0].QueryStringConfig.Values[0].Key != "a&b" {
		t.Errorf("%+v", out.Rules)
	}
}

// What a target group must be, and the ends of what it may be.
func TestSettingsOfTargetGroups(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	type in = *elbv2.CreateTargetGroupInput
	for name, test := range map[string]struct {
		change     func(in)
		code, text string
	}{
		"port 0":       {func(in in) { in.Port = aws.Int32(0) }, "ValidationError", ""},
		"port 65535":   {func(in in) { in.Port = aws.Int32(65535) }, "", ""},
		"interval 4":   {func(in in) { in.HealthCheckIntervalSeconds = aws.Int32(4) }, "ValidationError", ""},
		"interval 5":   {func(in in) { in.HealthCheckIntervalSeconds = aws.Int32(5) }, "", ""},
		"interval 300": {func(in in) { in.HealthCheckIntervalSeconds = aws.Int32(300) }, "", ""},
		"timeout": {func(in in) {
			in.HealthCheckTimeoutSeconds, in.HealthCheckIntervalSeconds = aws.Int32(10), aws.Int32(10)
		}, "ValidationError", "Health check timeout '10' must be smaller than the interval '10'"},
		"threshold 1":       {func(in in) { in.HealthyThresholdCount = aws.Int32(1) }, "ValidationError", ""},
		"threshold 11":      {func(in in) { in.UnhealthyThresholdCount = aws.Int32(11) }, "ValidationError", ""},
		"path":              {func(in in) { in.HealthCheckPath = aws.String("up") }, "ValidationError", "Health check path 'up' must begin with '/' and can be up to 1024 characters without blanks"},
		"path with a blank": {func(in in) { in.HealthCheckPath = aws.String("/a b") }, "ValidationError", ""},
		"path of 1024":      {func(in in) { in.HealthCheckPath = aws.String("/" + strings.Repeat("a", 1023)) }, "", ""},
		"path of 1025":      {func(in in) { in.HealthCheckPath = aws.String("/" + strings.Repeat("a", 1024)) }, "ValidationError", ""},
		"check port":        {func(in in) { in.HealthCheckPort = aws.String("65536") }, "ValidationError", "Health check port '65536' must be 'traffic-port' or in the range '1' - '65535'"},
		"check port name":   {func(in in) { in.HealthCheckPort = aws.String("http") }, "ValidationError", ""},
		"codes":             {func(in in) { in.Matcher = &types.Matcher{HttpCode: aws.String("200,300-302,499")} }, "", ""},
		"codes backwards":   {func(in in) { in.Matcher = &types.Matcher{HttpCode: aws.String("302-300")} }, "ValidationError", "Health check matcher HTTP code '302-300' must be within '200-499' inclusive"},
		"codes of 2 digits": {func(in in) { in.Matcher = &types.Matcher{HttpCode: aws.String("20")} }, "ValidationError", ""},
		"gRPC codes":        {func(in in) { in.Matcher = &types.Matcher{GrpcCode: aws.String("0")} }, "InvalidConfigurationRequest", "gRPC codes are not supported for target groups with protocol version 'HTTP1'"},
		"gRPC":              {func(in in) { in.ProtocolVersion = aws.String("GRPC") }, "OperationNotPermitted", ""},
		"version":           {func(in in) { in.ProtocolVersion = aws.String("HTTP3") }, "ValidationError", "Protocol version 'HTTP3' must be one of 'HTTP1, HTTP2, GRPC'"},
		"check by TCP":      {func(in in) { in.HealthCheckProtocol = types.ProtocolEnumTcp }, "InvalidConfigurationRequest", "Health check protocol 'TCP' is not supported for target groups with the protocol 'HTTP'"},
		"no checks":         {func(in in) { in.HealthCheckEnabled = aws.Bool(false) }, "InvalidConfigurationRequest", "Health check enabled must be true for target groups with target type 'instance'"},
		"lambda":            {func(in in) { in.TargetType = types.TargetTypeEnumLambda }, "OperationNotPermitted", "Target type 'lambda' is not supported by this endpoint"},
		"UDP":               {func(in in) { in.Protocol = types.ProtocolEnumUdp }, "OperationNotPermitted", "Protocol 'UDP' is not supported by this endpoint"},
		"VPC":               {func(in in) { in.VpcId = aws.String("vpc-x") }, "ValidationError", "The VPC ID 'vpc-x' is not found"},
		"name of 32":        {func(in in) { in.Name = aws.String(strings.Repeat("n", 32)) }, "", ""},
		"name of 33":        {func(in in) { in.Name = aws.String(strings.Repeat("n", 33)) }, "ValidationError", "Target group name '" + strings.Repeat("n", 33) + "' cannot be longer than '32' characters"},
		"name-":             {func(in in) { in.Name = aws.String("name-") }, "ValidationError", "Target group name 'name-' cannot begin or end with '-'"},
		"name_":             {func(in in) { in.Name = aws.String("na_me") }, "ValidationError", "Target group name 'na_me' can only contain characters that are alphanumeric characters or hyphens(-)"},
	} {
		in := &elbv2.CreateTargetGroupInput{Name: aws.String("g" + strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(name, " ", "-"), "_", ""), "-", "")), Protocol: "HTTP", Port: aws.Int32(80), VpcId: aws.String(vpc)}
		test.change(in)
		_, err := w.client.CreateTargetGroup(t.Context(), in)
		if t.Log(name); test.code == "" {
			w.must(err)
		} else {
			wantError(t, err, test.code, test.text)
		}
	}
	out, err := w.client.DescribeTargetGroups(t.Context(), &elbv2.DescribeTargetGroupsInput{})
	w.must(err)
	if len(out.TargetGroups) != 6 {
		t.Errorf("%d groups were made, of them some that were refused", len(out.TargetGroups))
	}
}

// A change that is refused changes nothing, also where it begins with what is fine.
func TestARefusedChangeChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.group("web")
	describe := func() types.TargetGroup {
		out, err := w.client.DescribeTargetGroups(t.Context(), &elbv2.DescribeTargetGroupsInput{TargetGroupArns: []string{g}})
		w.must(err)
		return out.TargetGroups[0]
	}
	_, err := w.client.ModifyTargetGroup(t.Context(), &elbv2.ModifyTargetGroupInput{TargetGroupArn: &g, HealthyThresholdCount: aws.Int32(7), Matcher: &types.Matcher{HttpCode: aws.String("x")}})
	wantError(t, err, "ValidationError", "Health check matcher HTTP code 'x' must be within '200-499' inclusive")
	if n := *describe().HealthyThresholdCount; n != 3 {
		t.Errorf("the threshold is %d", n)
	}
	_, err = w.client.ModifyTargetGroup(t.Context(), &elbv2.ModifyTargetGroupInput{TargetGroupArn: &g, HealthCheckPath: aws.String("/next")})
	w.must(err)
	if d := describe(); *d.HealthCheckPath != "/next" || *d.HealthCheckIntervalSeconds != 10 || *d.UnhealthyThresholdCount != 2 || *d.Matcher.HttpCode != "200" {
		t.Errorf("what was not named is another: %+v", d)
	}
	for _, in := range []elbv2.DescribeTargetGroupsInput{
		{Names: []string{"web"}, TargetGroupArns: []string{g}}, {Names: []string{"web"}, LoadBalancerArn: aws.String("x")},
	} {
		_, err := w.client.DescribeTargetGroups(t.Context(), &in)
		wantError(t, err, "ValidationError", "Target group ARNs, target group names and a load balancer ARN cannot be specified at the same time")
	}
	_, err = w.other.DescribeTargetGroups(t.Context(), &elbv2.DescribeTargetGroupsInput{TargetGroupArns: []string{g}})
	wantError(t, err, "TargetGroupNotFound", "One or more target groups not found")
}
