package elb_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// right is a request that works.
func right(change func(*elbv2.CreateTargetGroupInput)) *elbv2.CreateTargetGroupInput {
	in := &elbv2.CreateTargetGroupInput{Name: aws.String("web"), Protocol: types.ProtocolEnumHttp, Port: aws.Int32(80), VpcId: aws.String(vpc)}
	change(in)
	return in
}

func TestTargetGroupDefaults(t *testing.T) {
	t.Parallel()
	describe := func(g types.TargetGroup) string {
		code := ""
		if g.Matcher != nil {
			code = *g.Matcher.HttpCode
		}
		return fmt.Sprintf("%s %s %s interval %d timeout %d up %d down %d path %s codes %s version %s", g.TargetType, g.HealthCheckProtocol, *g.HealthCheckPort,
			*g.HealthCheckIntervalSeconds, *g.HealthCheckTimeoutSeconds, *g.HealthyThresholdCount, *g.UnhealthyThresholdCount,
			aws.ToString(g.HealthCheckPath), code, aws.ToString(g.ProtocolVersion))
	}
	for name, c := range map[string]struct {
		change func(*elbv2.CreateTargetGroupInput)
		want   string
	}{
		"http":  {func(*elbv2.CreateTargetGroupInput) {}, "instance HTTP traffic-port interval 30 timeout 5 up 5 down 2 path / codes 200 version HTTP1"},
		"https": {func(in *elbv2.CreateTargetGroupInput) { in.Protocol = "HTTPS" }, "instance HTTP traffic-port interval 30 timeout 5 up 5 down 2 path / codes 200 version HTTP1"},
		"tcp":   {func(in *elbv2.CreateTargetGroupInput) { in.Protocol = "TCP" }, "instance TCP traffic-port interval 30 timeout 10 up 5 down 2 path  codes  version "},
		"tcp by http": {
			func(in *elbv2.CreateTargetGroupInput) { in.Protocol, in.HealthCheckProtocol = "TCP", "HTTP" },
			"instance HTTP traffic-port interval 30 timeout 6 up 5 down 2 path / codes 200-399 version ",
		},
		"short interval": {
			func(in *elbv2.CreateTargetGroupInput) { in.HealthCheckIntervalSeconds = aws.Int32(5) },
			"instance HTTP traffic-port interval 5 timeout 4 up 5 down 2 path / codes 200 version HTTP1",
		},
		"all given": {func(in *elbv2.CreateTargetGroupInput) {
			in.HealthCheckPath, in.HealthCheckPort, in.Matcher = aws.String("/up?x=1"), aws.String("81"), &types.Matcher{HttpCode: aws.String("200,300-302")}
			in.HealthCheckIntervalSeconds, in.HealthCheckTimeoutSeconds = aws.Int32(300), aws.Int32(120)
			in.HealthyThresholdCount, in.UnhealthyThresholdCount, in.ProtocolVersion = aws.Int32(10), aws.Int32(10), aws.String("HTTP2")
		}, "instance HTTP 81 interval 300 timeout 120 up 10 down 10 path /up?x=1 codes 200,300-302 version HTTP2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			out, err := w.client.CreateTargetGroup(t.Context(), right(c.change))
			w.must(err)
			g := out.TargetGroups[0]
			if got := describe(g); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if !strings.HasPrefix(*g.TargetGroupArn, "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/web/") || !*g.HealthCheckEnabled {
				t.Errorf("ARN %s, enabled %v", *g.TargetGroupArn, *g.HealthCheckEnabled)
			}
		})
	}
}

func TestTargetGroupRefusals(t *testing.T) {
	t.Parallel()
	type in = *elbv2.CreateTargetGroupInput
	for name, c := range map[string]struct {
		change     func(in)
		code, text string
	}{
		"long name":      {func(in in) { in.Name = aws.String(strings.Repeat("a", 33)) }, "ValidationError", "Target group name '" + strings.Repeat("a", 33) + "' cannot be longer than '32' characters"},
		"hyphen":         {func(in in) { in.Name = aws.String("-web") }, "ValidationError", "Target group name '-web' cannot begin or end with '-'"},
		"letters":        {func(in in) { in.Name = aws.String("w_b") }, "ValidationError", "Target group name 'w_b' can only contain characters that are alphanumeric characters or hyphens(-)"},
		"no protocol":    {func(in in) { in.Protocol = "" }, "ValidationError", "A protocol must be specified"},
		"no port":        {func(in in) { in.Port = nil }, "ValidationError", "A port must be specified"},
		"no vpc":         {func(in in) { in.VpcId = nil }, "ValidationError", "A VPC ID must be specified"},
		"unknown vpc":    {func(in in) { in.VpcId = aws.String("vpc-1") }, "ValidationError", "The VPC ID 'vpc-1' is not found"},
		"interval":       {func(in in) { in.HealthCheckIntervalSeconds = aws.Int32(4) }, "ValidationError", ""},
		"timeout":        {func(in in) { in.HealthCheckTimeoutSeconds = aws.Int32(121) }, "ValidationError", ""},
		"timeout, same":  {func(in in) { in.HealthCheckTimeoutSeconds = aws.Int32(30) }, "ValidationError", "Health check timeout '30' must be smaller than the interval '30'"},
		"up":             {func(in in) { in.HealthyThresholdCount = aws.Int32(1) }, "ValidationError", ""},
		"down":           {func(in in) { in.UnhealthyThresholdCount = aws.Int32(11) }, "ValidationError", ""},
		"tcp check":      {func(in in) { in.HealthCheckProtocol = "TCP" }, "InvalidConfigurationRequest", "Health check protocol 'TCP' is not supported for target groups with the protocol 'HTTP'"},
		"disabled":       {func(in in) { in.HealthCheckEnabled = aws.Bool(false) }, "InvalidConfigurationRequest", "Health check enabled must be true for target groups with target type 'instance'"},
		"path":           {func(in in) { in.HealthCheckPath = aws.String("up") }, "ValidationError", ""},
		"codes":          {func(in in) { in.Matcher = &types.Matcher{HttpCode: aws.String("200-599")} }, "ValidationError", "Health check matcher HTTP code '200-599' must be within '200-499' inclusive"},
		"codes, text":    {func(in in) { in.Matcher = &types.Matcher{HttpCode: aws.String("ok")} }, "ValidationError", ""},
		"check port":     {func(in in) { in.HealthCheckPort = aws.String("0") }, "ValidationError", ""},
		"path for tcp":   {func(in in) { in.Protocol, in.HealthCheckPath = "TCP", aws.String("/") }, "InvalidConfigurationRequest", ""},
		"lambda":         {func(in in) { in.TargetType = "lambda" }, "OperationNotPermitted", "Target type 'lambda' is not supported by this endpoint"},
		"udp":            {func(in in) { in.Protocol = "UDP" }, "OperationNotPermitted", "Protocol 'UDP' is not supported by this endpoint"},
		"grpc":           {func(in in) { in.ProtocolVersion = aws.String("GRPC") }, "OperationNotPermitted", ""},
		"ipv6":           {func(in in) { in.IpAddressType = "ipv6" }, "OperationNotPermitted", ""},
		"reserved tag":   {func(in in) { in.Tags = []types.Tag{{Key: aws.String("aws:x")}} }, "ValidationError", ""},
		"same tag twice": {func(in in) { in.Tags = []types.Tag{{Key: aws.String("x")}, {Key: aws.String("x")}} }, "DuplicateTagKeys", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			_, err := w.client.CreateTargetGroup(t.Context(), right(c.change))
			wantError(t, err, c.code, c.text)
			all, err := w.client.DescribeTargetGroups(t.Context(), &elbv2.DescribeTargetGroupsInput{})
			w.must(err)
			if len(all.TargetGroups) > 0 {
				t.Error("the group was made")
			}
		})
	}
}

func TestTargetGroupTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, again := w.group("web"), w.group("web")
	if first != again {
		t.Errorf("the same settings made %s and %s", first, again)
	}
	_, err := w.client.CreateTargetGroup(t.Context(), right(func(*elbv2.CreateTargetGroupInput) {}))
	wantError(t, err, "DuplicateTargetGroupName", "A target group with the same name 'web' exists, but with different settings")
}

func TestDescribeTargetGroups(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	arns := []string{w.group("a"), w.group("b"), w.group("c")}
	balancer, _ := w.balancer("lb", arns[1])
	for name, c := range map[string]struct {
		in   elbv2.DescribeTargetGroupsInput
		want int
	}{
		"all":         {elbv2.DescribeTargetGroupsInput{}, 3},
		"by ARN":      {elbv2.DescribeTargetGroupsInput{TargetGroupArns: arns[:2]}, 2},
		"by name":     {elbv2.DescribeTargetGroupsInput{Names: []string{"c", "c"}}, 1},
		"by balancer": {elbv2.DescribeTargetGroupsInput{LoadBalancerArn: &balancer}, 1},
	} {
		out, err := w.client.DescribeTargetGroups(t.Context(), &c.in)
		w.must(err)
		if len(out.TargetGroups) != c.want {
			t.Errorf("%s: %d groups, want %d", name, len(out.TargetGroups), c.want)
		}
	}
	for _, in := range []elbv2.DescribeTargetGroupsInput{{Names: []string{"a", "x"}}, {TargetGroupArns: []string{arns[0] + "0"}}} {
		_, err := w.client.DescribeTargetGroups(t.Context(), &in)
		wantError(t, err, "TargetGroupNotFound", "One or more target groups not found")
	}
	_, err := w.other.DescribeTargetGroups(t.Context(), &elbv2.DescribeTargetGroupsInput{TargetGroupArns: arns[:1]})
	wantError(t, err, "TargetGroupNotFound", "")
	_, err = w.client.DescribeTargetGroups(t.Context(), &elbv2.DescribeTargetGroupsInput{Names: []string{"a"}, TargetGroupArns: arns})
	wantError(t, err, "ValidationError", "")

	pages := elbv2.NewDescribeTargetGroupsPaginator(w.client, &elbv2.DescribeTargetGroupsInput{PageSize: aws.Int32(2)})
	n := 0
	for pages.HasMorePages() {
		out, err := pages.NextPage(t.Context())
		w.must(err)
		n += len(out.TargetGroups)
	}
	if n != 3 {
		t.Errorf("the pages have %d groups", n)
	}
}

func TestDeleteTargetGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	arn := w.group("web")
	balancer, _ := w.balancer("lb", arn)
	_, err := w.client.DeleteTargetGroup(t.Context(), &elbv2.DeleteTargetGroupInput{TargetGroupArn: &arn})
	wantError(t, err, "ResourceInUse", "Target group '"+arn+"' is currently in use by a listener or a rule")
	_, err = w.other.DeleteTargetGroup(t.Context(), &elbv2.DeleteTargetGroupInput{TargetGroupArn: &arn})
	w.must(err) // as where there is none
	_, err = w.client.DeleteLoadBalancer(t.Context(), &elbv2.DeleteLoadBalancerInput{LoadBalancerArn: &balancer})
	w.must(err)
	w.register(arn, "i-1")
	for range 2 {
		_, err = w.client.DeleteTargetGroup(t.Context(), &elbv2.DeleteTargetGroupInput{TargetGroupArn: &arn})
		w.must(err)
	}
	_, err = w.client.DescribeTargetHealth(t.Context(), &elbv2.DescribeTargetHealthInput{TargetGroupArn: &arn})
	wantError(t, err, "TargetGroupNotFound", "One or more target groups not found")
}

func TestModifyTargetGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	arn := w.group("web")
	w.balancer("lb", arn)
	w.register(arn, "i-1")
	_, err := w.client.ModifyTargetGroup(t.Context(), &elbv2.ModifyTargetGroupInput{TargetGroupArn: &arn, HealthCheckIntervalSeconds: aws.Int32(400)})
	wantError(t, err, "ValidationError", "")
	out, err := w.client.ModifyTargetGroup(t.Context(), &elbv2.ModifyTargetGroupInput{
		TargetGroupArn: &arn, HealthCheckPath: aws.String("/other"), HealthCheckPort: aws.String("9000"), Matcher: &types.Matcher{HttpCode: aws.String("204")},
	})
	w.must(err)
	if g := out.TargetGroups[0]; *g.HealthCheckPath != "/other" || *g.HealthCheckIntervalSeconds != 10 {
		t.Errorf("path %s, interval %d", *g.HealthCheckPath, *g.HealthCheckIntervalSeconds)
	}
	w.clock.Advance(minute)
	if c := w.prober.checks["i-1"]; c.Path != "/other" || c.Port != 9000 || c.Codes != "204" {
		t.Errorf("the check is %+v", c)
	}
}

func TestTargetGroupAttributes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	arn := w.group("web")
	set := func(key, value string) (map[string]string, error) {
		out, err := w.client.ModifyTargetGroupAttributes(t.Context(), &elbv2.ModifyTargetGroupAttributesInput{
			TargetGroupArn: &arn, Attributes: []types.TargetGroupAttribute{{Key: &key, Value: &value}},
		})
		if err != nil {
			return nil, err
		}
		all := map[string]string{}
		for _, a := range out.Attributes {
			all[*a.Key] = *a.Value
		}
		return all, nil
	}
	all, err := set("deregistration_delay.timeout_seconds", "20")
	w.must(err)
	if all["deregistration_delay.timeout_seconds"] != "20" || all["stickiness.type"] != "lb_cookie" {
		t.Errorf("attributes are %v", all)
	}
	for key, value := range map[string]string{
		"deregistration_delay.timeout_seconds": "3601", "deregistration_delay": "1", "stickiness.enabled": "yes",
		"slow_start.duration_seconds": "29", "proxy_protocol_v2.enabled": "true",
	} {
		_, err := set(key, value)
		wantError(t, err, "ValidationError", "")
	}
	out, err := w.client.DescribeTargetGroupAttributes(t.Context(), &elbv2.DescribeTargetGroupAttributesInput{TargetGroupArn: &arn})
	w.must(err)
	if len(out.Attributes) != len(all) {
		t.Errorf("%d attributes, want %d", len(out.Attributes), len(all))
	}
}
