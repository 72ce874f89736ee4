package elb_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

const (
	minute = time.Minute

	unused       = "unused Target.NotInUse: Target group is not configured to receive traffic from the load balancer"
	otherZone    = "unused Target.NotInUse: Target is in an Availability Zone that is not enabled for the load balancer"
	registering  = "initial Elb.RegistrationInProgress: Target registration is in progress"
	checking     = "initial Elb.InitialHealthChecking: Initial health checks in progress"
	mismatch     = "unhealthy Target.ResponseCodeMismatch: Health checks failed with these codes: [503]"
	timeout      = "unhealthy Target.Timeout: Request timed out"
	refused      = "unhealthy Target.FailedHealthChecks: Health checks failed"
	draining     = "draining Target.DeregistrationInProgress: Target deregistration is in progress"
	unregistered = "unused Target.NotRegistered: Target is not registered to the target group"
	stopped      = "unused Target.InvalidState: Target is in the stopped state"
	terminated   = "unused Target.InvalidState: Target is in the terminated state"
)

func TestTargetIsUnusedUntilThereIsAListener(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.group("web")
	w.wantHealth(g, "i-1", unregistered)
	w.register(g, "i-1")
	w.wantHealth(g, "i-1", unused)
	w.clock.Advance(time.Hour)
	if n := len(w.prober.asked["i-1"]); n > 0 {
		t.Errorf("an unused target was checked %d times", n)
	}
	_, listener := w.balancer("lb", g)
	w.wantHealth(g, "i-1", registering)
	w.clock.Advance(5 * time.Second)
	w.wantHealth(g, "i-1", "healthy")
	want := compute.Check{Protocol: "HTTP", Port: 8080, Path: "/up", Codes: "200", Timeout: 5 * time.Second}
	if got := w.prober.checks["i-1"]; got != want {
		t.Errorf("check %+v, want %+v", got, want)
	}
	_, err := w.client.DeleteListener(t.Context(), &elbv2.DeleteListenerInput{ListenerArn: &listener})
	w.must(err)
	w.wantHealth(g, "i-1", unused)
	asked := len(w.prober.asked["i-1"])
	w.clock.Advance(time.Hour)
	if len(w.prober.asked["i-1"]) != asked {
		t.Error("checks went on without a listener")
	}
}

func TestHealthFollowsTheThresholds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.group("web")
	w.balancer("lb", g)
	w.prober.bad["i-1"] = "Target.ResponseCodeMismatch: 503"
	w.register(g, "i-1")
	for _, step := range []struct {
		after time.Duration
		bad   string
		want  string
	}{
		{0, "Target.ResponseCodeMismatch: 503", registering},
		{5 * time.Second, "Target.ResponseCodeMismatch: 503", checking}, // first of two failures
		{10 * time.Second, "Target.ResponseCodeMismatch [503]", mismatch},
		{10 * time.Second, "Target.Timeout", timeout}, // another reason shows at once
		{10 * time.Second, "connection refused", refused},
		{10 * time.Second, "", refused}, // first of three successes
		{10 * time.Second, "", refused},
		{10 * time.Second, "dial: i/o timeout", timeout}, // which begin anew
		{20 * time.Second, "", timeout},
		{10 * time.Second, "", "healthy"},
		{10 * time.Second, "Target.Timeout", "healthy"}, // first of two failures
		{10 * time.Second, "", "healthy"},
		{20 * time.Second, "Target.Timeout", timeout},
	} {
		w.prober.bad["i-1"] = step.bad
		w.clock.Advance(step.after)
		w.wantHealth(g, "i-1", step.want)
	}
	asked := w.prober.asked["i-1"]
	for i := 1; i < len(asked); i++ {
		if d := asked[i].Sub(asked[i-1]); d != 10*time.Second {
			t.Errorf("check %d came after %v", i, d)
		}
	}
}

// lateProber answers when it is told to.
type lateProber struct{ answers []func(bool, string) }

func (p *lateProber) Probe(_ string, _ compute.Check, done func(bool, string)) {
	p.answers = append(p.answers, done)
}

func TestAnswersThatComeTooLateDoNotCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	late := &lateProber{}
	w.prober.asked = nil
	w.restartWith(late)
	g := w.group("web")
	w.balancer("lb", g)
	w.register(g, "i-1")
	w.clock.Advance(15 * time.Second)
	late.answers[0](true, "") // of the first round, in the second
	w.wantHealth(g, "i-1", checking)
	late.answers[1](true, "")
	late.answers[1](false, "Target.Timeout")
	w.wantHealth(g, "i-1", "healthy")
	w.deregister(g, "i-1")
	late.answers[1](false, "Target.Timeout")
	w.wantHealth(g, "i-1", draining)
}

func TestDeregisteredTargetDrains(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.group("web")
	w.balancer("lb", g)
	w.register(g, "i-1", "i-2")
	w.clock.Advance(minute)
	w.deregister(g, "i-1", "i-9") // i-9 is none of its targets
	w.wantHealth(g, "i-1", draining)
	w.deregister(g, "i-1") // does not begin anew
	asked := len(w.prober.asked["i-1"])
	w.clock.Advance(299 * time.Second)
	w.wantHealth(g, "i-1", draining)
	if len(w.prober.asked["i-1"]) != asked {
		t.Error("a draining target is checked")
	}
	w.clock.Advance(time.Second)
	w.wantHealth(g, "i-1", unregistered)
	if got := w.registered(g); !slices.Equal(got, []string{"i-2"}) {
		t.Errorf("targets %v", got)
	}
}

func TestDrainingTargetIsRegisteredAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.group("web")
	w.balancer("lb", g)
	w.register(g, "i-1")
	w.clock.Advance(minute)
	w.deregister(g, "i-1")
	w.clock.Advance(minute)
	w.register(g, "i-1")
	w.wantHealth(g, "i-1", registering)
	w.clock.Advance(time.Hour)
	w.wantHealth(g, "i-1", "healthy")
}

func TestNoDelayNoDraining(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.group("web")
	w.balancer("lb", g)
	_, err := w.client.ModifyTargetGroupAttributes(t.Context(), &elbv2.ModifyTargetGroupAttributesInput{
		TargetGroupArn: &g, Attributes: []types.TargetGroupAttribute{{Key: aws.String("deregistration_delay.timeout_seconds"), Value: aws.String("0")}},
	})
	w.must(err)
	w.register(g, "i-1")
	w.deregister(g, "i-1")
	w.wantHealth(g, "i-1", unregistered)
}

func TestTargetsFollowTheirInstances(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.group("web")
	w.balancer("lb", g)
	w.register(g, "i-1")
	w.clock.Advance(minute)
	w.instance("i-1", ec2types.InstanceStateNameStopping)
	w.wantHealth(g, "i-1", stopped)
	asked := len(w.prober.asked["i-1"])
	w.clock.Advance(minute)
	if len(w.prober.asked["i-1"]) != asked {
		t.Error("a stopped target is checked")
	}
	w.instance("i-1", ec2types.InstanceStateNameRunning)
	w.wantHealth(g, "i-1", registering)
	w.clock.Advance(minute)
	w.wantHealth(g, "i-1", "healthy")
	w.instance("i-1", ec2types.InstanceStateNameShuttingDown)
	w.wantHealth(g, "i-1", terminated)
	w.instance("i-1", ec2types.InstanceStateNameTerminated)
	w.wantHealth(g, "i-1", unregistered)
}

func TestTargetInAZoneWithoutTheBalancer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.update(func(r *state.Region) { r.Instances.Edit("i-1").Placement.AvailabilityZone = aws.String(region + "c") })
	g := w.group("web")
	w.balancer("lb", g)
	w.register(g, "i-1")
	w.wantHealth(g, "i-1", otherZone)
}

func TestTargetsByPort(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.group("web")
	w.balancer("lb", g)
	both := []types.TargetDescription{{Id: aws.String("i-1"), Port: aws.Int32(1)}, {Id: aws.String("i-1"), Port: aws.Int32(2)}}
	_, err := w.client.RegisterTargets(t.Context(), &elbv2.RegisterTargetsInput{TargetGroupArn: &g, Targets: both})
	w.must(err)
	out, err := w.client.DescribeTargetHealth(t.Context(), &elbv2.DescribeTargetHealthInput{TargetGroupArn: &g, Targets: both})
	w.must(err)
	for i, d := range out.TargetHealthDescriptions {
		if want := strconv.Itoa(i + 1); *d.HealthCheckPort != want {
			t.Errorf("health check port %s, want %s", *d.HealthCheckPort, want)
		}
	}
	_, err = w.client.DeregisterTargets(t.Context(), &elbv2.DeregisterTargetsInput{TargetGroupArn: &g, Targets: both[:1]})
	w.must(err)
	w.clock.Advance(time.Hour)
	if got := w.registered(g); len(got) != 1 {
		t.Errorf("targets %v", got)
	}
	w.deregister(g, "i-1") // without a port: all of them
	w.clock.Advance(time.Hour)
	if got := w.registered(g); len(got) != 0 {
		t.Errorf("targets %v", got)
	}
}

func TestTargetRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.group("web")
	w.instance("i-3", ec2types.InstanceStateNameStopped)
	w.instance("i-4", ec2types.InstanceStateNamePending)
	w.update(func(r *state.Region) { r.Instances.Edit("i-5").VpcId = aws.String("vpc-other") })
	for name, c := range map[string]struct {
		targets    []types.TargetDescription
		code, text string
	}{
		"unknown":      {targets([]string{"i-1", "i-x"}), "InvalidTarget", "The following targets are not valid instances: 'i-x'"},
		"not running":  {targets([]string{"i-3", "i-4"}), "InvalidTarget", "The following targets are not in a running state and cannot be registered: 'i-3', 'i-4'"},
		"another VPC":  {targets([]string{"i-5"}), "InvalidTarget", "The following targets are not in the target group VPC '" + vpc + "': 'i-5'"},
		"port":         {[]types.TargetDescription{{Id: aws.String("i-1"), Port: aws.Int32(70000)}}, "ValidationError", ""},
		"zone":         {[]types.TargetDescription{{Id: aws.String("i-1"), AvailabilityZone: aws.String("all")}}, "ValidationError", ""},
		"none":         {[]types.TargetDescription{}, "ValidationError", ""},
		"empty target": {[]types.TargetDescription{{Id: aws.String("")}}, "ValidationError", ""},
	} {
		_, err := w.client.RegisterTargets(t.Context(), &elbv2.RegisterTargetsInput{TargetGroupArn: &g, Targets: c.targets})
		t.Log(name)
		wantError(t, err, c.code, c.text)
	}
	if got := w.registered(g); len(got) > 0 {
		t.Errorf("targets %v", got)
	}
	_, err := w.other.RegisterTargets(t.Context(), &elbv2.RegisterTargetsInput{TargetGroupArn: &g, Targets: targets([]string{"i-1"})})
	wantError(t, err, "TargetGroupNotFound", "One or more target groups not found")
}

func TestForAutoScaling(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.group("web")
	w.balancer("lb", g)
	health := func(id string) (got string) {
		w.update(func(r *state.Region) {
			s, reason := w.elb.Health(r, g, id)
			got = string(s) + " " + reason
		})
		return got
	}
	w.update(func(r *state.Region) {
		w.elb.RegisterTargets(r, g, []string{"i-1"})
		w.elb.RegisterTargets(r, "arn:gone", []string{"i-1"})
		w.elb.DeregisterTargets(r, "arn:gone", []string{"i-1"})
	})
	for _, want := range []string{"initial Elb.RegistrationInProgress", "healthy "} {
		if got := health("i-1"); got != want {
			t.Errorf("health %q, want %q", got, want)
		}
		w.clock.Advance(minute)
	}
	w.update(func(r *state.Region) { w.elb.DeregisterTargets(r, g, []string{"i-1"}) })
	if got := health("i-1"); got != "draining Target.DeregistrationInProgress" {
		t.Errorf("health %q", got)
	}
	w.clock.Advance(time.Hour)
	if got := health("i-1"); got != "unused Target.NotRegistered" {
		t.Errorf("health %q", got)
	}
}

func TestResume(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.group("web")
	w.balancer("lb", g)
	w.register(g, "i-1", "i-2", "i-3")
	w.clock.Advance(minute)
	w.deregister(g, "i-2")
	w.clock.Advance(minute)
	w.restartWith(w.prober) // and nothing of the old one works any more
	w.wantHealth(g, "i-1", "healthy")
	w.prober.bad["i-1"] = "Target.Timeout"
	w.clock.Advance(30 * time.Second)
	w.wantHealth(g, "i-1", timeout)
	w.wantHealth(g, "i-2", draining)
	w.instance("i-3", ec2types.InstanceStateNameStopped)
	w.wantHealth(g, "i-3", stopped)
	w.clock.Advance(210 * time.Second)
	w.wantHealth(g, "i-2", unregistered)
}
