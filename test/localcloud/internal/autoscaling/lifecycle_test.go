package autoscaling_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

func (w *world) hook(transition, result string) {
	w.Helper()
	must(w.client.PutLifecycleHook(w.Context(), &as.PutLifecycleHookInput{
		AutoScalingGroupName: aws.String("g"), LifecycleHookName: aws.String("h"), LifecycleTransition: &transition, DefaultResult: &result, HeartbeatTimeout: aws.Int32(30),
	}))
}

func (w *world) desire(n int32) {
	w.Helper()
	must(w.client.SetDesiredCapacity(w.Context(), &as.SetDesiredCapacityInput{AutoScalingGroupName: aws.String("g"), DesiredCapacity: &n}))
}

func (w *world) complete(instance, result string) {
	w.Helper()
	must(w.client.CompleteLifecycleAction(w.Context(), &as.CompleteLifecycleActionInput{
		AutoScalingGroupName: aws.String("g"), LifecycleHookName: aws.String("h"), InstanceId: &instance, LifecycleActionResult: &result,
	}))
}

func TestLaunchHooks(t *testing.T) {
	w := newWorld(t)
	w.create("g", 0)
	w.hook("autoscaling:EC2_INSTANCE_LAUNCHING", "ABANDON")
	h := must(w.client.DescribeLifecycleHooks(t.Context(), &as.DescribeLifecycleHooksInput{AutoScalingGroupName: aws.String("g")})).LifecycleHooks[0]
	if *h.GlobalTimeout != 3000 || *h.HeartbeatTimeout != 30 || *h.DefaultResult != "ABANDON" {
		t.Errorf("%+v", h)
	}
	w.desire(1)
	w.at(17)
	w.expectInstances("1 Pending:Wait v1")
	w.complete(id(1), "CONTINUE")
	w.expectInstances("1 Pending:Proceed v1")
	w.at(20)
	w.expectInstances("1 InService v1")
	_, err := w.client.CompleteLifecycleAction(t.Context(), &as.CompleteLifecycleActionInput{
		AutoScalingGroupName: aws.String("g"), LifecycleHookName: aws.String("h"), LifecycleActionResult: aws.String("CONTINUE"), LifecycleActionToken: aws.String("12345678-1234-1234-1234-123456789012"),
	})
	w.refused(err, "ValidationError", "No active Lifecycle Action found with token 12345678-1234-1234-1234-123456789012")
}

// An instance whose action is not completed in time ends as the hook says, and another takes its place.
func TestAbandonedLaunches(t *testing.T) {
	w := newWorld(t)
	w.create("g", 0)
	w.hook("autoscaling:EC2_INSTANCE_LAUNCHING", "ABANDON")
	w.desire(1)
	w.at(40)
	must(w.client.RecordLifecycleActionHeartbeat(t.Context(), &as.RecordLifecycleActionHeartbeatInput{AutoScalingGroupName: aws.String("g"), LifecycleHookName: aws.String("h"), InstanceId: aws.String(id(1))}))
	w.at(60)
	w.expectInstances("1 Pending:Wait v1")
	w.at(71)
	w.expectInstances("1 Terminating v1")
	w.at(81)
	w.expectInstances("1 Terminating v1, 2 Pending v1")
	a := w.activities()
	if a[2].StatusCode != astypes.ScalingActivityStatusCodeCancelled || !strings.Contains(*a[2].StatusMessage, "was abandoned") {
		t.Errorf("%+v", a[2])
	}
}

func TestTerminationHooks(t *testing.T) {
	w := newWorld(t)
	w.create("g", 1)
	w.hook("autoscaling:EC2_INSTANCE_TERMINATING", "CONTINUE")
	out := must(w.client.TerminateInstanceInAutoScalingGroup(t.Context(), &as.TerminateInstanceInAutoScalingGroupInput{InstanceId: aws.String(id(1)), ShouldDecrementDesiredCapacity: aws.Bool(true)}))
	if want := "At 2026-09-27T14:42:28Z instance " + id(1) + " was taken out of service in response to a user request, shrinking the capacity from 1 to 0."; *out.Activity.Cause != want {
		t.Error(*out.Activity.Cause)
	}
	w.at(20)
	w.expectInstances("1 Terminating:Wait v1")
	w.at(31)
	w.expectInstances("1 Terminating:Proceed v1")
	w.at(60)
	w.expectInstances("")
}

func TestUnhealthyInstancesAreReplaced(t *testing.T) {
	for name, test := range map[string]struct {
		harm  func(w *world)
		cause string
	}{
		"ended": {func(w *world) { w.ec2.set(id(1), ec2types.InstanceStateNameStopped, "", "") }, "an EC2 health check indicating it has been terminated or stopped."},
		"told": {func(w *world) {
			must(w.client.SetInstanceHealth(w.Context(), &as.SetInstanceHealthInput{InstanceId: aws.String(id(1)), HealthStatus: aws.String("Unhealthy")}))
		}, "a user health-check."},
		"impaired": {func(w *world) {
			_ = w.store.Update(region, func(r *state.Region) error {
				r.Instances.Edit(id(1)).Status = ec2types.SummaryStatusImpaired
				return nil
			})
			w.ec2.set(id(1), ec2types.InstanceStateNameRunning, "", "")
		}, "an EC2 instance status checks failure."},
		"targets": {func(w *world) { w.elb.health[id(1)] = elbtypes.TargetHealthStateEnumUnhealthy }, "an ELB system health check failure."},
	} {
		w := newWorld(t)
		w.create("g", 1, func(in *as.CreateAutoScalingGroupInput) {
			in.HealthCheckType, in.TargetGroupARNs = aws.String("ELB"), []string{targets}
		})
		test.harm(w)
		w.at(11)
		list := w.activities()
		a := list[slices.IndexFunc(list, func(a astypes.Activity) bool { return strings.HasPrefix(*a.Description, "Terminating") })]
		if !strings.HasSuffix(*a.Cause, " an instance was taken out of service in response to "+test.cause) {
			t.Errorf("%s: %s: %s", name, *a.Description, *a.Cause)
		}
		w.at(40)
		w.expectInstances("2 InService v1")
		if c := *w.activities()[0].Cause; !strings.HasSuffix(c, " an instance was launched in response to an unhealthy instance needing to be replaced.") {
			t.Errorf("%s: %s", name, c)
		}
	}
}

func TestTheGracePeriodIsForInstancesThatRun(t *testing.T) {
	w := newWorld(t)
	w.create("g", 1, func(in *as.CreateAutoScalingGroupInput) {
		in.HealthCheckType, in.TargetGroupARNs, in.HealthCheckGracePeriod = aws.String("ELB"), []string{targets}, aws.Int32(300)
	})
	w.elb.health[id(1)] = elbtypes.TargetHealthStateEnumUnhealthy
	must(w.client.SetInstanceHealth(t.Context(), &as.SetInstanceHealthInput{InstanceId: aws.String(id(1)), HealthStatus: aws.String("Unhealthy")}))
	w.at(200)
	w.expectInstances("1 InService v1")
	w.at(298)
	w.expectInstances("1 Terminating v1, 2 Pending v1")
	w.clock.Advance(time.Minute)
	w.ec2.set(id(2), ec2types.InstanceStateNameTerminated, "", "")
	w.clock.Advance(time.Second)
	w.expectInstances("2 Terminating v1")
}

func TestStandby(t *testing.T) {
	w := newWorld(t)
	w.create("g", 2, func(in *as.CreateAutoScalingGroupInput) { in.TargetGroupARNs = []string{targets} })
	out := must(w.client.EnterStandby(t.Context(), &as.EnterStandbyInput{AutoScalingGroupName: aws.String("g"), InstanceIds: []string{id(1)}, ShouldDecrementDesiredCapacity: aws.Bool(true)}))
	if a := out.Activities[0]; *a.Description != "Moving EC2 instance to Standby: "+id(1) || *a.Progress != 50 || a.StatusCode != "InProgress" ||
		*a.Cause != "At 2026-09-27T14:42:28Z instance "+id(1)+" was moved to standby in response to a user request, shrinking the capacity from 2 to 1." {
		t.Errorf("%+v", a)
	}
	w.expectInstances("1 EnteringStandby v1, 2 InService v1")
	w.at(30)
	w.expectInstances("1 Standby v1, 2 InService v1")
	if w.elb.registered[id(1)] || !w.elb.registered[id(2)] {
		t.Errorf("%v", w.elb.registered)
	}
	must(w.client.ExitStandby(t.Context(), &as.ExitStandbyInput{AutoScalingGroupName: aws.String("g"), InstanceIds: []string{id(1)}}))
	w.at(60)
	w.expectInstances("1 InService v1, 2 InService v1")
	if !w.elb.registered[id(1)] || *w.group("g").DesiredCapacity != 2 {
		t.Errorf("%v", w.elb.registered)
	}
	_, err := w.client.EnterStandby(t.Context(), &as.EnterStandbyInput{AutoScalingGroupName: aws.String("g"), InstanceIds: []string{"i-9"}, ShouldDecrementDesiredCapacity: aws.Bool(true)})
	w.refused(err, "ValidationError", "The instance i-9 is not part of Auto Scaling group g.")
}

func TestDetachAndAttach(t *testing.T) {
	w := newWorld(t)
	w.create("g", 2)
	must(w.client.DetachInstances(t.Context(), &as.DetachInstancesInput{AutoScalingGroupName: aws.String("g"), InstanceIds: []string{id(1)}, ShouldDecrementDesiredCapacity: aws.Bool(false)}))
	w.at(60)
	w.expectInstances("2 InService v1, 3 InService v1")
	w.create("h", 0)
	must(w.client.AttachInstances(t.Context(), &as.AttachInstancesInput{AutoScalingGroupName: aws.String("h"), InstanceIds: []string{id(1)}}))
	w.at(10)
	g := w.group("h")
	if len(g.Instances) != 1 || g.Instances[0].LifecycleState != astypes.LifecycleStateInService || *g.DesiredCapacity != 1 || g.Instances[0].LaunchTemplate != nil {
		t.Errorf("%+v", g)
	}
	_, err := w.client.AttachInstances(t.Context(), &as.AttachInstancesInput{AutoScalingGroupName: aws.String("g"), InstanceIds: []string{id(1)}})
	w.refused(err, "ValidationError", "The instance "+id(1)+" is already part of Auto Scaling group:h.")
}

// Protected instances survive a smaller group, until somebody lets go of them.
func TestScaleInProtection(t *testing.T) {
	w := newWorld(t)
	w.create("g", 2)
	protect := func(on bool) {
		must(w.client.SetInstanceProtection(t.Context(), &as.SetInstanceProtectionInput{AutoScalingGroupName: aws.String("g"), InstanceIds: []string{id(1), id(2)}, ProtectedFromScaleIn: &on}))
	}
	protect(true)
	w.desire(1)
	w.at(120)
	w.expectInstances("1 InService v1, 2 InService v1")
	protect(false)
	w.at(180)
	w.expectInstances("2 InService v1")
}

func TestTerminationPolicies(t *testing.T) {
	for policy, want := range map[string]string{"OldestInstance": "2 InService v1", "NewestInstance": "1 InService v1", "OldestLaunchTemplate": "2 InService v1", "AllocationStrategy": "2 InService v1"} {
		w := newWorld(t)
		w.create("g", 1, func(in *as.CreateAutoScalingGroupInput) { in.TerminationPolicies = []string{policy} })
		w.desire(2)
		w.at(100)
		w.desire(1)
		w.at(200)
		if got := w.instances(); got != want {
			t.Errorf("%s: %s", policy, got)
		}
	}
}

func TestTargetGroups(t *testing.T) {
	w := newWorld(t)
	w.create("g", 1)
	must(w.client.AttachLoadBalancerTargetGroups(t.Context(), &as.AttachLoadBalancerTargetGroupsInput{AutoScalingGroupName: aws.String("g"), TargetGroupARNs: []string{targets}}))
	list := must(w.client.DescribeLoadBalancerTargetGroups(t.Context(), &as.DescribeLoadBalancerTargetGroupsInput{AutoScalingGroupName: aws.String("g")})).LoadBalancerTargetGroups
	sources := must(w.client.DescribeTrafficSources(t.Context(), &as.DescribeTrafficSourcesInput{AutoScalingGroupName: aws.String("g")})).TrafficSources
	if len(list) != 1 || *list[0].State != "InService" || len(sources) != 1 || *sources[0].Type != "elbv2" || !w.elb.registered[id(1)] {
		t.Errorf("%+v %+v", list, sources)
	}
	must(w.client.DetachTrafficSources(t.Context(), &as.DetachTrafficSourcesInput{AutoScalingGroupName: aws.String("g"), TrafficSources: []astypes.TrafficSourceIdentifier{{Identifier: aws.String(targets)}}}))
	if g := w.group("g"); len(g.TargetGroupARNs) != 0 || len(g.TrafficSources) != 0 || w.elb.registered[id(1)] {
		t.Errorf("%+v", g)
	}
}

// What is asked for before the first process ends goes on in the second, from the records alone.
func TestAGroupGoesOnAfterARestart(t *testing.T) {
	w := newWorld(t)
	w.create("g", 2)
	w.startRefresh(&as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g"), DesiredConfiguration: version("2")})
	w.at(40)
	w.restart()
	w.at(600)
	if r := w.refresh(); r.Status != astypes.InstanceRefreshStatusSuccessful {
		t.Errorf("%+v", r)
	}
}

// Documented: a maintenance policy that lets the group grow has unhealthy instances replaced first, and terminated then.
func TestAMaintenancePolicyLaunchesFirst(t *testing.T) {
	w := newWorld(t)
	w.create("g", 2, func(in *as.CreateAutoScalingGroupInput) {
		in.InstanceMaintenancePolicy = &astypes.InstanceMaintenancePolicy{MinHealthyPercentage: aws.Int32(100), MaxHealthyPercentage: aws.Int32(150)}
	})
	for n := range 2 {
		must(w.client.SetInstanceHealth(t.Context(), &as.SetInstanceHealthInput{InstanceId: aws.String(id(n + 1)), HealthStatus: aws.String("Unhealthy")}))
	}
	for range 100 {
		w.clock.Advance(time.Second)
		if n := strings.Count(w.instances(), "InService"); n < 2 || strings.Count(w.instances(), "Pending") > 1 {
			t.Fatal(w.instances())
		}
	}
	w.expectInstances("3 InService v1, 4 InService v1")
	p := w.startRefresh(&as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g")})
	if r := w.refresh(); *r.InstanceRefreshId != p || *r.Preferences.MinHealthyPercentage != 100 || *r.Preferences.MaxHealthyPercentage != 150 {
		t.Errorf("%+v", r.Preferences)
	}
}

// A refresh of a group that load balancers check goes on when they have found the replacement well.
func TestARefreshWaitsForTargets(t *testing.T) {
	w := newWorld(t)
	w.create("g", 1, func(in *as.CreateAutoScalingGroupInput) {
		in.HealthCheckType, in.TargetGroupARNs, in.HealthCheckGracePeriod = aws.String("ELB"), []string{targets}, aws.Int32(3000)
	})
	w.elb.health[id(2)] = elbtypes.TargetHealthStateEnumInitial
	w.startRefresh(&as.StartInstanceRefreshInput{
		AutoScalingGroupName: aws.String("g"), Preferences: &astypes.RefreshPreferences{MinHealthyPercentage: aws.Int32(100), MaxHealthyPercentage: aws.Int32(200), InstanceWarmup: aws.Int32(100)},
	})
	w.expectRefresh(100, "InProgress 25% 1 Waiting for instances to warm up before continuing. For example: "+id(2)+" is warming up.")
	w.expectRefresh(300, "InProgress 25% 1 Waiting for remaining instances to be available. For example: "+id(1)+" has insufficient data to evaluate its health with Elastic Load Balancing.")
	w.elb.health[id(2)] = elbtypes.TargetHealthStateEnumHealthy
	w.expectRefresh(400, "Successful 100% 0")
	if w.elb.registered[id(1)] || !w.elb.registered[id(2)] {
		t.Errorf("%v", w.elb.registered)
	}
}

// Instances of a mixed policy are bought as its distribution says, by the first type that there is capacity for.
func TestMixedInstances(t *testing.T) {
	w := newWorld(t)
	w.ec2.refuse = func(in *ec2.RunInstancesInput) error {
		if in.InstanceType == "t3.nano" {
			return wire.Errorf("InsufficientInstanceCapacity", "none")
		}
		return nil
	}
	w.create("g", 4, func(in *as.CreateAutoScalingGroupInput) {
		in.LaunchTemplate = nil
		in.MixedInstancesPolicy = &astypes.MixedInstancesPolicy{
			LaunchTemplate: &astypes.LaunchTemplate{
				LaunchTemplateSpecification: version("1").LaunchTemplate,
				Overrides:                   []astypes.LaunchTemplateOverrides{{InstanceType: aws.String("t3.nano")}, {InstanceType: aws.String("t3.micro")}},
			},
			InstancesDistribution: &astypes.InstancesDistribution{OnDemandBaseCapacity: aws.Int32(1), OnDemandPercentageAboveBaseCapacity: aws.Int32(34)},
		}
	})
	spot := 0
	for _, run := range w.ec2.launches {
		if run.InstanceType != "t3.micro" {
			t.Errorf("%+v", run)
		}
		if run.InstanceMarketOptions != nil {
			spot++
		}
	}
	d := w.group("g").MixedInstancesPolicy.InstancesDistribution
	if spot != 1 || *d.OnDemandAllocationStrategy != "prioritized" || *d.SpotAllocationStrategy != "lowest-price" || *d.SpotInstancePools != 2 {
		t.Errorf("%d spot instances, %+v", spot, d)
	}
	w.startRefresh(&as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g"), Preferences: &astypes.RefreshPreferences{SkipMatching: aws.Bool(true)}})
	w.expectRefresh(10, "Successful 100% 0")
}

// Everything at once, from many sides, while the clock runs: for the race detector.
func TestManyHandsOnOneGroup(t *testing.T) {
	w := newWorld(t)
	w.create("g", 5, func(in *as.CreateAutoScalingGroupInput) { in.MaxSize = aws.Int32(20) })
	calls := []func(){
		func() { _ = w.instances() }, func() { w.activities() },
		func() { w.desire(3) }, func() { w.desire(9) },
		func() {
			_, _ = w.client.StartInstanceRefresh(t.Context(), &as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g"), DesiredConfiguration: version("2")})
		},
		func() {
			_, _ = w.client.RollbackInstanceRefresh(t.Context(), &as.RollbackInstanceRefreshInput{AutoScalingGroupName: aws.String("g")})
		},
		func() {
			_, _ = w.client.CancelInstanceRefresh(t.Context(), &as.CancelInstanceRefreshInput{AutoScalingGroupName: aws.String("g")})
		},
		func() {
			_, _ = w.client.DescribeInstanceRefreshes(t.Context(), &as.DescribeInstanceRefreshesInput{AutoScalingGroupName: aws.String("g")})
		},
	}
	var all sync.WaitGroup
	for _, call := range calls {
		all.Go(func() {
			for range 40 {
				call()
			}
		})
	}
	for range 400 {
		w.clock.Advance(5 * time.Second)
	}
	all.Wait()
	w.clock.Advance(4 * time.Hour)
	if g := w.group("g"); len(g.Instances) != int(*g.DesiredCapacity) || strings.Contains(w.instances(), "Pending") {
		t.Errorf("%d wanted: %s", *g.DesiredCapacity, w.instances())
	}
}
