package autoscaling_test

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"pgregory.net/rapid"

	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// What happens to the group of a history.

// pass lets time go by, event by event.
func (h *history) pass(d time.Duration) {
	until := h.clock.Now().Add(d)
	for h.clock.Step(until.Sub(h.clock.Now())) {
		h.look()
	}
	h.clock.Advance(until.Sub(h.clock.Now()))
}

func (h *history) while(t *rapid.T) {
	h.pass(time.Duration(rapid.IntRange(1, 30).Draw(t, "seconds")) * time.Second)
}

func (h *history) longer(t *rapid.T) {
	h.pass(time.Duration(rapid.IntRange(30, 300).Draw(t, "seconds")) * time.Second)
}

func (h *history) wish(t *rapid.T) { h.desire(rapid.Int32Range(0, most).Draw(t, "desired")) }

func (h *history) start(t *rapid.T) {
	p := &astypes.RefreshPreferences{
		MinHealthyPercentage: aws.Int32(rapid.Int32Range(0, 100).Draw(t, "min")), InstanceWarmup: aws.Int32(rapid.Int32Range(0, 120).Draw(t, "warmup")),
		BakeTime: aws.Int32(rapid.Int32Range(0, 60).Draw(t, "bake")), SkipMatching: aws.Bool(rapid.Bool().Draw(t, "skip")),
		ScaleInProtectedInstances: rapid.SampledFrom(astypes.ScaleInProtectedInstances("").Values()).Draw(t, "protected"),
		StandbyInstances:          rapid.SampledFrom(astypes.StandbyInstances("").Values()).Draw(t, "standby"),
		AlarmSpecification:        &astypes.AlarmSpecification{Alarms: []string{"errors"}},
	}
	if rapid.Bool().Draw(t, "has max") {
		p.MaxHealthyPercentage = aws.Int32(rapid.Int32Range(100, 100+*p.MinHealthyPercentage).Draw(t, "max"))
	}
	if rapid.Bool().Draw(t, "has checkpoints") {
		p.CheckpointPercentages = rapid.SliceOfNDistinct(rapid.Int32Range(1, 100), 1, 3, rapid.ID[int32]).Draw(t, "checkpoints")
		slices.Sort(p.CheckpointPercentages)
		p.CheckpointDelay = aws.Int32(rapid.Int32Range(0, 120).Draw(t, "delay"))
	}
	in := &as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g"), Preferences: p}
	if rapid.IntRange(0, 4).Draw(t, "configured") > 0 {
		in.DesiredConfiguration = version(rapid.SampledFrom([]string{"1", "2", "2", "$Latest"}).Draw(t, "version"))
		p.AutoRollback = aws.Bool(rapid.Bool().Draw(t, "auto rollback"))
	}
	if _, err := h.client.StartInstanceRefresh(h.Context(), in); h.allowed(err) {
		h.before = h.template
	}
}

func (h *history) cancel(t *rapid.T) {
	_, err := h.client.CancelInstanceRefresh(h.Context(), &as.CancelInstanceRefreshInput{AutoScalingGroupName: aws.String("g"), WaitForTransitioningInstances: aws.Bool(rapid.Bool().Draw(t, "wait"))})
	h.allowed(err)
}

func (h *history) rollBack(*rapid.T) {
	_, err := h.client.RollbackInstanceRefresh(h.Context(), &as.RollbackInstanceRefreshInput{AutoScalingGroupName: aws.String("g")})
	h.allowed(err)
}

// ids returns instances of the group, from the records: a request for each would cost more than all the rest.
func (h *history) ids(chosen func(*state.Member) bool) (ids []string) {
	_ = h.store.View(region, func(r *state.Region) error {
		for _, m := range r.Groups.Get(state.Key(account, "g")).Members {
			if chosen(&m) {
				ids = append(ids, *m.InstanceId)
			}
		}
		return nil
	})
	return ids
}

// some draws an instance of the group, in any state.
func (h *history) some(t *rapid.T) string {
	ids := h.ids(func(*state.Member) bool { return true })
	if len(ids) == 0 {
		t.Skip("no instance")
	}
	return rapid.SampledFrom(ids).Draw(t, "instance")
}

func (h *history) kill(t *rapid.T) {
	how := rapid.SampledFrom([]ec2types.InstanceStateName{ec2types.InstanceStateNameTerminated, ec2types.InstanceStateNameStopped}).Draw(t, "state")
	id := h.some(t)
	for _, from := range []ec2types.InstanceStateName{ec2types.InstanceStateNamePending, ec2types.InstanceStateNameRunning} {
		h.ec2.set(id, how, from, "")
	}
}

func (h *history) ill(t *rapid.T) {
	_, err := h.client.SetInstanceHealth(h.Context(), &as.SetInstanceHealthInput{InstanceId: aws.String(h.some(t)), HealthStatus: aws.String("Unhealthy")})
	h.allowed(err)
}

func (h *history) standby(t *rapid.T) {
	_, err := h.client.EnterStandby(h.Context(), &as.EnterStandbyInput{
		AutoScalingGroupName: aws.String("g"), InstanceIds: []string{h.some(t)}, ShouldDecrementDesiredCapacity: aws.Bool(rapid.Bool().Draw(t, "lower")),
	})
	h.allowed(err)
}

func (h *history) back(t *rapid.T) {
	_, err := h.client.ExitStandby(h.Context(), &as.ExitStandbyInput{AutoScalingGroupName: aws.String("g"), InstanceIds: []string{h.some(t)}})
	h.allowed(err)
}

func (h *history) detach(t *rapid.T) {
	_, err := h.client.DetachInstances(h.Context(), &as.DetachInstancesInput{
		AutoScalingGroupName: aws.String("g"), InstanceIds: []string{h.some(t)}, ShouldDecrementDesiredCapacity: aws.Bool(rapid.Bool().Draw(t, "lower")),
	})
	h.allowed(err)
}

// attach takes back what was detached.
func (h *history) attach(t *rapid.T) {
	var ids []string
	_ = h.store.View(region, func(r *state.Region) error {
		for id, in := range r.Instances.All() {
			if in.Group == "" {
				ids = append(ids, id)
			}
		}
		return nil
	})
	if len(ids) == 0 {
		t.Skip("no instance")
	}
	slices.Sort(ids)
	_, err := h.client.AttachInstances(h.Context(), &as.AttachInstancesInput{AutoScalingGroupName: aws.String("g"), InstanceIds: []string{rapid.SampledFrom(ids).Draw(t, "instance")}})
	h.allowed(err)
}

func (h *history) protect(t *rapid.T) {
	_, err := h.client.SetInstanceProtection(h.Context(), &as.SetInstanceProtectionInput{
		AutoScalingGroupName: aws.String("g"), InstanceIds: []string{h.some(t)}, ProtectedFromScaleIn: aws.Bool(rapid.Bool().Draw(t, "protected")),
	})
	h.allowed(err)
}

func (h *history) suspend(t *rapid.T) {
	p := rapid.SampledFrom([]string{"Launch", "Terminate", "InstanceRefresh", "HealthCheck", "ReplaceUnhealthy", "AZRebalance"}).Draw(t, "process")
	must(h.client.SuspendProcesses(h.Context(), &as.SuspendProcessesInput{AutoScalingGroupName: aws.String("g"), ScalingProcesses: []string{p}}))
}

func (h *history) resume(*rapid.T) {
	must(h.client.ResumeProcesses(h.Context(), &as.ResumeProcessesInput{AutoScalingGroupName: aws.String("g")}))
}

func (h *history) update(t *rapid.T) {
	h.template = rapid.SampledFrom([]string{"1", "1", "2", "$Latest"}).Draw(t, "version")
	must(h.client.UpdateAutoScalingGroup(h.Context(), &as.UpdateAutoScalingGroupInput{AutoScalingGroupName: aws.String("g"), LaunchTemplate: version(h.template).LaunchTemplate}))
}

func (h *history) end(t *rapid.T) {
	_, err := h.client.TerminateInstanceInAutoScalingGroup(h.Context(), &as.TerminateInstanceInAutoScalingGroupInput{
		InstanceId: aws.String(h.some(t)), ShouldDecrementDesiredCapacity: aws.Bool(rapid.Bool().Draw(t, "lower")),
	})
	h.allowed(err)
}

func (h *history) capacity(t *rapid.T) {
	h.refuse = rapid.SampledFrom([]string{"", "", subnetA, subnetB}).Draw(t, "full")
}

func (h *history) boot(t *rapid.T) {
	h.dies = rapid.SampledFrom([]string{"", "", "1", "2"}).Draw(t, "does not boot")
}

func (h *history) wait(t *rapid.T) {
	if rapid.Bool().Draw(t, "gone") {
		_, err := h.client.DeleteLifecycleHook(h.Context(), &as.DeleteLifecycleHookInput{AutoScalingGroupName: aws.String("g"), LifecycleHookName: aws.String("h")})
		h.allowed(err)
		return
	}
	h.hook("autoscaling:EC2_INSTANCE_"+rapid.SampledFrom([]string{"LAUNCHING", "TERMINATING"}).Draw(t, "when"), rapid.SampledFrom([]string{"CONTINUE", "ABANDON"}).Draw(t, "result"))
}

func (h *history) alarm(t *rapid.T) {
	_ = h.store.Update(region, func(r *state.Region) error {
		r.Alarms.Edit(state.Key(account, "errors")).StateValue = rapid.SampledFrom(cwtypes.StateValue("").Values()).Draw(t, "state")
		return nil
	})
}

func (h *history) version(*rapid.T) {
	_ = h.store.Update(region, func(r *state.Region) error {
		latest := *r.LaunchTemplates.Get("lt-0aaaaaaaaaaaaaaaa").LatestVersionNumber
		r.LaunchTemplates.Put("lt-0aaaaaaaaaaaaaaaa", template("lt-0aaaaaaaaaaaaaaaa", "web", latest+1, "ami-00000000000000011"))
		return nil
	})
}

// again is a new process over the same records.
func (h *history) again(*rapid.T) {
	h.restart()
	h.arm()
}
