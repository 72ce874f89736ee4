package autoscaling_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// An instance that a request names twice is one instance: the desired capacity changes by one, and the group has it once.
func TestTheSameInstanceTwice(t *testing.T) {
	w := newWorld(t)
	w.create("g", 3)
	twice := []string{id(1), id(1)}
	out := must(w.client.EnterStandby(t.Context(), &as.EnterStandbyInput{AutoScalingGroupName: aws.String("g"), InstanceIds: twice, ShouldDecrementDesiredCapacity: aws.Bool(true)}))
	if n := *w.group("g").DesiredCapacity; n != 2 || len(out.Activities) != 1 {
		t.Errorf("desired %d after one instance of three went into standby, %d activities", n, len(out.Activities))
	}
	w.at(10)
	must(w.client.ExitStandby(t.Context(), &as.ExitStandbyInput{AutoScalingGroupName: aws.String("g"), InstanceIds: twice}))
	w.at(20)
	must(w.client.DetachInstances(t.Context(), &as.DetachInstancesInput{AutoScalingGroupName: aws.String("g"), InstanceIds: twice, ShouldDecrementDesiredCapacity: aws.Bool(true)}))
	w.at(30)
	w.expectInstances("2 InService v1, 3 InService v1")
	must(w.client.AttachInstances(t.Context(), &as.AttachInstancesInput{AutoScalingGroupName: aws.String("g"), InstanceIds: twice}))
	w.at(60)
	if g := w.group("g"); *g.DesiredCapacity != 3 || len(g.Instances) != 3 {
		t.Errorf("%d are wanted, %d are there", *g.DesiredCapacity, len(g.Instances))
	}
}

// What requests about instances are refused with, and that they change nothing then.
func TestRequestsAboutInstancesThatAreRefused(t *testing.T) {
	w := newWorld(t)
	w.create("g", 2, func(in *as.CreateAutoScalingGroupInput) { in.MinSize, in.MaxSize = aws.Int32(2), aws.Int32(2) })
	w.create("h", 1)
	none, g, one := id(99), aws.String("g"), aws.String(id(1))
	for name, test := range map[string]struct {
		call    func() error
		message string
	}{
		"health of none": {func() error {
			_, err := w.client.SetInstanceHealth(t.Context(), &as.SetInstanceHealthInput{InstanceId: &none, HealthStatus: aws.String("Unhealthy")})
			return err
		}, "Instance Id not found - No managed instance found for instance ID: " + none},
		"no health": {func() error {
			_, err := w.client.SetInstanceHealth(t.Context(), &as.SetInstanceHealthInput{InstanceId: one, HealthStatus: aws.String("HEALTHY")})
			return err
		}, "HealthStatus should be either Healthy or Unhealthy"},
		"protection of another group's": {func() error {
			_, err := w.client.SetInstanceProtection(t.Context(), &as.SetInstanceProtectionInput{AutoScalingGroupName: g, InstanceIds: []string{id(1), id(3)}, ProtectedFromScaleIn: aws.Bool(true)})
			return err
		}, "The instance " + id(3) + " is not part of Auto Scaling group g."},
		"below the minimum": {func() error {
			_, err := w.client.EnterStandby(t.Context(), &as.EnterStandbyInput{AutoScalingGroupName: g, InstanceIds: []string{id(1)}, ShouldDecrementDesiredCapacity: aws.Bool(true)})
			return err
		}, "AutoScalingGroup g has min-size=2, max-size=2, and desired-size=2. To place into standby 1 instances, please update the AutoScalingGroup sizes appropriately."},
		"detached below the minimum": {func() error {
			_, err := w.client.DetachInstances(t.Context(), &as.DetachInstancesInput{AutoScalingGroupName: g, InstanceIds: []string{id(1)}, ShouldDecrementDesiredCapacity: aws.Bool(true)})
			return err
		}, "AutoScalingGroup g has min-size=2, max-size=2, and desired-size=2. To place into standby 1 instances, please update the AutoScalingGroup sizes appropriately."},
		"out of no standby": {func() error {
			_, err := w.client.ExitStandby(t.Context(), &as.ExitStandbyInput{AutoScalingGroupName: g, InstanceIds: []string{id(1)}})
			return err
		}, "The instance " + id(1) + " is not in Standby."},
		"the last of the minimum": {func() error {
			_, err := w.client.TerminateInstanceInAutoScalingGroup(t.Context(), &as.TerminateInstanceInAutoScalingGroupInput{InstanceId: one, ShouldDecrementDesiredCapacity: aws.Bool(true)})
			return err
		}, "Currently, desiredSize equals minSize (2). Terminating instance without replacement will violate group's min size constraint. " +
			"Either set shouldDecrementDesiredCapacity flag to false or lower group's min size."},
		"the end of none": {func() error {
			_, err := w.client.TerminateInstanceInAutoScalingGroup(t.Context(), &as.TerminateInstanceInAutoScalingGroupInput{InstanceId: &none, ShouldDecrementDesiredCapacity: aws.Bool(false)})
			return err
		}, "Instance Id not found - No managed instance found for instance ID: " + none},
		"more than the maximum": {func() error {
			w.ec2.set(id(3), ec2types.InstanceStateNameRunning, "", "")
			_ = w.store.Update(region, func(r *state.Region) error {
				r.Instances.Edit(id(3)).Group = ""
				return nil
			})
			_, err := w.client.AttachInstances(t.Context(), &as.AttachInstancesInput{AutoScalingGroupName: g, InstanceIds: []string{id(3)}})
			return err
		}, "AutoScalingGroup g has min-size=2, max-size=2, and desired-size=2. To attach 1 instances, please update the AutoScalingGroup sizes appropriately."},
		"none to attach": {func() error {
			_, err := w.client.AttachInstances(t.Context(), &as.AttachInstancesInput{AutoScalingGroupName: g, InstanceIds: []string{none}})
			return err
		}, "Invalid Instance ID(s): [" + none + "]. Specify a valid Instance ID."},
	} {
		t.Run(name, func(t *testing.T) {
			old := w.TB
			w.TB = t
			defer func() { w.TB = old }()
			w.refused(test.call(), "ValidationError", test.message)
			w.expectInstances("1 InService v1, 2 InService v1")
		})
	}
	if n := *w.group("g").DesiredCapacity; n != 2 {
		t.Errorf("desired is %d", n)
	}
	w.ec2.set(id(1), ec2types.InstanceStateNameStopped, "", "")
	w.clock.Advance(time.Second)
	_, err := w.client.TerminateInstanceInAutoScalingGroup(t.Context(), &as.TerminateInstanceInAutoScalingGroupInput{InstanceId: one, ShouldDecrementDesiredCapacity: aws.Bool(false)})
	w.refused(err, "ValidationError", "Instance "+id(1)+" is already terminating.")
	_, err = w.client.SetInstanceProtection(t.Context(), &as.SetInstanceProtectionInput{AutoScalingGroupName: g, InstanceIds: []string{id(1)}, ProtectedFromScaleIn: aws.Bool(true)})
	w.refused(err, "ValidationError", "The instance "+id(1)+" is not in InService or Pending state.")
}

// What each suspended process keeps a group from, and that it is made up for afterwards.
func TestWhatASuspendedProcessKeepsFromHappening(t *testing.T) {
	for process, test := range map[string]struct {
		do        func(w *world)
		kept, did string
	}{
		"Launch":           {func(w *world) { w.desire(2) }, "1 InService v1", "1 InService v1, 2 InService v1"},
		"Terminate":        {func(w *world) { w.desire(0) }, "1 InService v1", ""},
		"HealthCheck":      {func(w *world) { w.ec2.set(id(1), ec2types.InstanceStateNameStopped, "", "") }, "1 InService v1", "2 InService v1"},
		"ReplaceUnhealthy": {func(w *world) { w.ec2.set(id(1), ec2types.InstanceStateNameStopped, "", "") }, "1 InService v1", "2 InService v1"},
		"InstanceRefresh":  {func(w *world) { w.refreshTo("2") }, "1 InService v1", "2 InService v2"},
	} {
		t.Run(process, func(t *testing.T) {
			w := newWorld(t)
			w.create("g", 1)
			must(w.client.SuspendProcesses(t.Context(), &as.SuspendProcessesInput{AutoScalingGroupName: aws.String("g"), ScalingProcesses: []string{process}}))
			test.do(w)
			w.at(300)
			w.expectInstances(test.kept)
			must(w.client.ResumeProcesses(t.Context(), &as.ResumeProcessesInput{AutoScalingGroupName: aws.String("g"), ScalingProcesses: []string{process}}))
			w.at(800)
			w.expectInstances(test.did)
		})
	}
}

func (w *world) refreshTo(v string) {
	w.Helper()
	w.startRefresh(&as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g"), DesiredConfiguration: version(v)})
}

// With AddToLoadBalancer suspended, what comes into service gets no requests. Documented: it stays so when the process is resumed.
func TestAddToLoadBalancerSuspended(t *testing.T) {
	w := newWorld(t)
	w.create("g", 1, func(in *as.CreateAutoScalingGroupInput) { in.TargetGroupARNs = []string{targets} })
	must(w.client.SuspendProcesses(t.Context(), &as.SuspendProcessesInput{AutoScalingGroupName: aws.String("g"), ScalingProcesses: []string{"AddToLoadBalancer"}}))
	w.desire(2)
	w.at(60)
	if !w.elb.registered[id(1)] || w.elb.registered[id(2)] {
		t.Errorf("%v", w.elb.registered)
	}
	must(w.client.ResumeProcesses(t.Context(), &as.ResumeProcessesInput{AutoScalingGroupName: aws.String("g")}))
	w.at(120)
	if w.elb.registered[id(2)] {
		t.Error("registered afterwards")
	}
}

// Suspending twice keeps the first reason, and resuming what was not suspended is no error.
func TestSuspendTwice(t *testing.T) {
	w := newWorld(t)
	w.create("g", 0)
	suspend := func(names ...string) {
		must(w.client.SuspendProcesses(t.Context(), &as.SuspendProcessesInput{AutoScalingGroupName: aws.String("g"), ScalingProcesses: names}))
	}
	suspend("Launch")
	w.at(10)
	suspend("Launch", "Terminate")
	p := w.group("g").SuspendedProcesses
	if len(p) != 2 || *p[0].SuspensionReason != "User suspended at 2026-09-27T14:42:28Z" || *p[1].SuspensionReason != "User suspended at 2026-09-27T14:42:38Z" {
		t.Errorf("%+v", p)
	}
	must(w.client.ResumeProcesses(t.Context(), &as.ResumeProcessesInput{AutoScalingGroupName: aws.String("g"), ScalingProcesses: []string{"Launch", "AZRebalance"}}))
	if p := w.group("g").SuspendedProcesses; len(p) != 1 || *p[0].ProcessName != "Terminate" {
		t.Errorf("%+v", p)
	}
	must(w.client.ResumeProcesses(t.Context(), &as.ResumeProcessesInput{AutoScalingGroupName: aws.String("g")}))
	if p := w.group("g").SuspendedProcesses; p == nil || len(p) != 0 {
		t.Errorf("%+v", p)
	}
	_, err := w.client.ResumeProcesses(t.Context(), &as.ResumeProcessesInput{AutoScalingGroupName: aws.String("g"), ScalingProcesses: []string{"launch"}})
	w.refused(err, "ValidationError", "Scaling process type not recognized. Valid process types are: [AZRebalance AddToLoadBalancer AlarmNotification HealthCheck InstanceRefresh Launch ReplaceUnhealthy ScheduledActions Terminate]")
}

// An instance that is not well while it is in standby is nobody's business until it comes back.
func TestStandbyIsNotChecked(t *testing.T) {
	w := newWorld(t)
	w.create("g", 2)
	must(w.client.EnterStandby(t.Context(), &as.EnterStandbyInput{AutoScalingGroupName: aws.String("g"), InstanceIds: []string{id(1)}, ShouldDecrementDesiredCapacity: aws.Bool(false)}))
	w.at(60)
	w.expectInstances("1 Standby v1, 2 InService v1, 3 InService v1")
	w.ec2.set(id(1), ec2types.InstanceStateNameStopped, "", "")
	w.at(120)
	w.expectInstances("1 Standby v1, 2 InService v1, 3 InService v1")
	w.desire(1)
	w.at(200)
	must(w.client.ExitStandby(t.Context(), &as.ExitStandbyInput{AutoScalingGroupName: aws.String("g"), InstanceIds: []string{id(1)}}))
	w.at(300)
	g := w.group("g")
	if len(g.Instances) != 2 || *g.DesiredCapacity != 2 {
		t.Errorf("%s, desired %d", w.instances(), *g.DesiredCapacity)
	}
	for _, i := range g.Instances {
		if *i.InstanceId == id(1) || i.LifecycleState != astypes.LifecycleStateInService {
			t.Errorf("%s", w.instances())
		}
	}
}
