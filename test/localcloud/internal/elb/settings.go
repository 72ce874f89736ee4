package elb

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// trafficPort stands for the port on which a target gets its traffic.
const trafficPort = "traffic-port"

// newSettings returns the target group that a request describes, with the documented defaults, or the error of the first thing that is
// wrong with it.
func newSettings(r *state.Region, account string, in *elbv2.CreateTargetGroupInput) (types.TargetGroup, error) {
	if err := checkName("Target group", aws.ToString(in.Name)); err != nil {
		return types.TargetGroup{}, err
	}
	if err := checkKind(in); err != nil {
		return types.TargetGroup{}, err
	}
	if err := checkRoute(r, account, in); err != nil {
		return types.TargetGroup{}, err
	}
	g := types.TargetGroup{
		TargetGroupName: in.Name, Protocol: in.Protocol, Port: in.Port, VpcId: in.VpcId,
		TargetType: types.TargetTypeEnumInstance, IpAddressType: types.TargetGroupIpAddressTypeEnumIpv4,
		HealthCheckEnabled: aws.Bool(true), LoadBalancerArns: []string{},
	}
	if layer7(in.Protocol) {
		g.ProtocolVersion = aws.String("HTTP1")
		if in.ProtocolVersion != nil {
			g.ProtocolVersion = in.ProtocolVersion
		}
	}
	err := apply(&g, healthSettings{
		enabled: in.HealthCheckEnabled, interval: in.HealthCheckIntervalSeconds, timeout: in.HealthCheckTimeoutSeconds,
		up: in.HealthyThresholdCount, down: in.UnhealthyThresholdCount,
		path: in.HealthCheckPath, port: in.HealthCheckPort, protocol: in.HealthCheckProtocol, matcher: in.Matcher,
	})
	return g, err
}

// layer7 says whether a protocol is one of application load balancers; the others here are of network load balancers.
func layer7(p types.ProtocolEnum) bool {
	return p == types.ProtocolEnumHttp || p == types.ProtocolEnumHttps
}

// checkKind refuses what is not modelled.
func checkKind(in *elbv2.CreateTargetGroupInput) error {
	if t := in.TargetType; t != "" && t != types.TargetTypeEnumInstance {
		return unsupported("Target type '" + string(t) + "'")
	}
	if t := in.IpAddressType; t != "" && t != types.TargetGroupIpAddressTypeEnumIpv4 {
		return unsupported("IP address type '" + string(t) + "'")
	}
	if in.TargetControlPort != nil {
		return unsupported("A target control port")
	}
	if p := in.Protocol; p != "" && !layer7(p) && p != types.ProtocolEnumTcp && p != types.ProtocolEnumTls {
		return unsupported("Protocol '" + string(p) + "'")
	}
	switch v := aws.ToString(in.ProtocolVersion); {
	case v == "":
	case !layer7(in.Protocol):
		return invalid("Protocol version cannot be specified for target groups with protocol '%s'", in.Protocol)
	case v == "GRPC":
		return unsupported("Protocol version 'GRPC'")
	case v != "HTTP1" && v != "HTTP2":
		return invalid("Protocol version '%s' must be one of 'HTTP1, HTTP2, GRPC'", v)
	}
	return nil
}

// checkRoute checks where the traffic goes.
func checkRoute(r *state.Region, account string, in *elbv2.CreateTargetGroupInput) error {
	switch {
	case in.Protocol == "":
		return invalid("A protocol must be specified")
	case in.Port == nil:
		return invalid("A port must be specified")
	case *in.Port < 1 || *in.Port > 65535:
		return invalid("Port must be between 1 and 65535")
	case aws.ToString(in.VpcId) == "":
		return invalid("A VPC ID must be specified")
	}
	if vpc := r.VPCs.Get(*in.VpcId); vpc == nil || aws.ToString(vpc.OwnerId) != account {
		return invalid("The VPC ID '%s' is not found", *in.VpcId)
	}
	return nil
}

// healthSettings are the settings of health checks in a request; nil and empty ones leave what is there.
type healthSettings struct {
	enabled                     *bool
	interval, timeout, up, down *int32
	path, port                  *string
	protocol                    types.ProtocolEnum
	matcher                     *types.Matcher
}

// apply changes the settings of a group, or of a new one where it has no health check protocol yet, and fills in what depends on others. On
// an error the group is not to be used.
func apply(g *types.TargetGroup, h healthSettings) error {
	if h.enabled != nil && !*h.enabled {
		return misfit("Health check enabled must be true for target groups with target type '%s'", g.TargetType)
	}
	before := g.HealthCheckProtocol
	switch {
	case h.protocol != "":
		g.HealthCheckProtocol = h.protocol
	case before != "":
	case layer7(g.Protocol):
		g.HealthCheckProtocol = types.ProtocolEnumHttp
	default:
		g.HealthCheckProtocol = types.ProtocolEnumTcp
	}
	switch p := g.HealthCheckProtocol; {
	case p != types.ProtocolEnumTcp && !layer7(p):
		return invalid("Health check protocol '%s' must be one of 'HTTP, HTTPS, TCP'", p)
	case p == types.ProtocolEnumTcp && layer7(g.Protocol):
		return misfit("Health check protocol 'TCP' is not supported for target groups with the protocol '%s'", g.Protocol)
	}
	if err := applyNumbers(g, h); err != nil {
		return err
	}
	if err := applyPort(g, h.port); err != nil {
		return err
	}
	return applyHTTP(g, h)
}

// applyNumbers sets times and thresholds. The defaults are those of the user guides: five seconds for an application load balancer; for a network
// load balancer six with HTTP and ten otherwise.
func applyNumbers(g *types.TargetGroup, h healthSettings) error {
	timeout := int32(10)
	switch {
	case layer7(g.Protocol):
		timeout = 5
	case g.HealthCheckProtocol == types.ProtocolEnumHttp:
		timeout = 6
	}
	for _, n := range []struct {
		name     string
		field    **int32
		given    *int32
		standard int32
		min, max int32
	}{
		{"Health check interval", &g.HealthCheckIntervalSeconds, h.interval, 30, 5, 300},
		{"Health check timeout", &g.HealthCheckTimeoutSeconds, h.timeout, timeout, 2, 120},
		{"Healthy threshold count", &g.HealthyThresholdCount, h.up, 5, 2, 10},
		{"Unhealthy threshold count", &g.UnhealthyThresholdCount, h.down, 2, 2, 10},
	} {
		switch {
		case n.given != nil && (*n.given < n.min || *n.given > n.max):
			return invalid("%s must be between '%d' and '%d'", n.name, n.min, n.max)
		case n.given != nil:
			*n.field = aws.Int32(*n.given)
		case *n.field == nil:
			*n.field = aws.Int32(n.standard)
		}
	}
	if *g.HealthCheckTimeoutSeconds > *g.HealthCheckIntervalSeconds || layer7(g.Protocol) && *g.HealthCheckTimeoutSeconds == *g.HealthCheckIntervalSeconds {
		if h.timeout == nil && h.interval != nil && h.protocol == "" && *g.HealthCheckTimeoutSeconds == timeout {
			g.HealthCheckTimeoutSeconds = aws.Int32(max(2, *g.HealthCheckIntervalSeconds-1)) // inferred: a default makes no request fail
			return nil
		}
		return invalid("Health check timeout '%d' must be smaller than the interval '%d'", *g.HealthCheckTimeoutSeconds, *g.HealthCheckIntervalSeconds)
	}
	return nil
}

func applyPort(g *types.TargetGroup, port *string) error {
	switch {
	case port != nil:
		g.HealthCheckPort = aws.String(*port)
	case g.HealthCheckPort == nil:
		g.HealthCheckPort = aws.String(trafficPort)
	}
	if *g.HealthCheckPort == trafficPort {
		return nil
	}
	if n, err := strconv.Atoi(*g.HealthCheckPort); err != nil || n < 1 || n > 65535 {
		return invalid("Health check port '%s' must be '%s' or in the range '1' - '65535'", *g.HealthCheckPort, trafficPort)
	}
	return nil
}

// applyHTTP sets path and codes, which checks by TCP do not have.
func applyHTTP(g *types.TargetGroup, h healthSettings) error {
	if g.HealthCheckProtocol == types.ProtocolEnumTcp {
		if h.path != nil || h.matcher != nil {
			return misfit("Health check path and matcher are not supported for health checks with the protocol 'TCP'")
		}
		g.HealthCheckPath, g.Matcher = nil, nil
		return nil
	}
	switch {
	case h.path != nil:
		g.HealthCheckPath = aws.String(*h.path)
	case g.HealthCheckPath == nil:
		g.HealthCheckPath = aws.String("/")
	}
	if p := *g.HealthCheckPath; !strings.HasPrefix(p, "/") || len(p) > 1024 || strings.ContainsFunc(p, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		return invalid("Health check path '%s' must begin with '/' and can be up to 1024 characters without blanks", p)
	}
	codes, last := "200-399", 599
	if layer7(g.Protocol) {
		codes, last = "200", 499
	}
	switch {
	case h.matcher != nil && h.matcher.GrpcCode != nil:
		return misfit("gRPC codes are not supported for target groups with protocol version '%s'", aws.ToString(g.ProtocolVersion))
	case h.matcher != nil && h.matcher.HttpCode != nil:
		g.Matcher = &types.Matcher{HttpCode: aws.String(*h.matcher.HttpCode)}
	case g.Matcher == nil:
		g.Matcher = &types.Matcher{HttpCode: aws.String(codes)}
	}
	if !codesFit(*g.Matcher.HttpCode, last) {
		return invalid("Health check matcher HTTP code '%s' must be within '200-%d' inclusive", *g.Matcher.HttpCode, last)
	}
	return nil
}

// codesFit says whether list is HTTP status codes and ranges of them, such as 200,300-302, from 200 to last.
func codesFit(list string, last int) bool {
	form := regexp.MustCompile(`^\d{3}(-\d{3})?(,\d{3}(-\d{3})?)*$`)
	if !form.MatchString(list) {
		return false
	}
	return !slices.ContainsFunc(strings.Split(list, ","), func(item string) bool {
		from, to, isRange := strings.Cut(item, "-")
		if !isRange {
			to = from
		}
		a, _ := strconv.Atoi(from)
		b, _ := strconv.Atoi(to)
		return a < 200 || b > last || a > b
	})
}
