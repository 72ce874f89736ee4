package autoscaling_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// Recorded: an empty group.
func TestRefreshOfAnEmptyGroup(t *testing.T) {
	w := newWorld(t)
	w.create("g", 0)
	w.startRefresh(&as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g")})
	w.expectRefresh(0.1, "Pending")
	w.expectRefresh(5, "Successful 100% 0")
	r := w.refresh()
	if !r.StartTime.Equal(*r.EndTime) || r.StatusReason != nil || r.RollbackDetails != nil || r.DesiredConfiguration != nil {
		t.Errorf("%+v", r)
	}
}

// Recorded, sequence B and, from a rollback during its bake time, C: one instance, both bounds 100 %, bake time of a minute.
func TestRefreshOfOneInstance(t *testing.T) {
	w := newWorld(t)
	w.create("g", 1)
	noData := "Waiting for remaining instances to be available. For example: " + id(1) + " has insufficient data to evaluate its health with Amazon EC2."
	start := w.startRefresh(&as.StartInstanceRefreshInput{
		AutoScalingGroupName: aws.String("g"), DesiredConfiguration: version("2"),
		Preferences: &astypes.RefreshPreferences{
			MinHealthyPercentage: aws.Int32(100), MaxHealthyPercentage: aws.Int32(100), BakeTime: aws.Int32(60), InstanceWarmup: aws.Int32(0),
			CheckpointPercentages: []int32{100}, CheckpointDelay: aws.Int32(0),
		},
	})
	w.expectRefresh(8, "Pending")
	w.expectRefresh(10, "InProgress 0% 1")
	w.expectInstances("1 InService v1, 2 Pending v2")
	w.at(16.7)
	w.expectInstances("1 InService v1, 2 InService v2")
	w.expectRefresh(24, "InProgress 25% 1 "+noData)
	w.expectRefresh(84, "InProgress 25% 1 "+noData)
	w.expectRefresh(89, "InProgress 50% 1 "+noData)
	w.expectInstances("1 Terminating v1, 2 InService v2")
	w.expectRefresh(100, "InProgress 100% 0 Waiting for terminating instances before continuing. For example: "+id(1)+" is terminating.")
	w.expectRefresh(117, "Baking 100% 0 Waiting for bake time to finish before continuing. There are 59 seconds left.")
	if g := w.group("g"); *g.LaunchTemplate.Version != "1" {
		t.Errorf("the group's template has version %s while it bakes", *g.LaunchTemplate.Version)
	}
	if a := w.activities()[0]; a.EndTime.Sub(*a.StartTime).Round(time.Second) != 21*time.Second {
		t.Errorf("the termination took %v", a.EndTime.Sub(*a.StartTime))
	}
	w.begin()
	if out := must(w.client.RollbackInstanceRefresh(t.Context(), &as.RollbackInstanceRefreshInput{AutoScalingGroupName: aws.String("g")})); *out.InstanceRefreshId != start {
		t.Errorf("rolls back %s", *out.InstanceRefreshId)
	}
	w.expectRefresh(0.3, "RollbackInProgress 100% 0 Rollback triggered due to user request.")
	if d := w.refresh().RollbackDetails; d != nil {
		t.Errorf("details at once: %+v", d)
	}
	w.at(3)
	w.expectInstances("2 InService v2, 3 Pending v1")
	d := w.refresh().RollbackDetails
	if *d.RollbackReason != "Rollback triggered due to user request." || *d.PercentageCompleteOnRollback != 100 || *d.InstancesToUpdateOnRollback != 0 {
		t.Errorf("details: %+v", d)
	}
	interval := " Waiting for a health check interval to pass before continuing."
	w.expectRefresh(17, "RollbackInProgress 50% 1"+interval)
	w.at(91)
	w.expectInstances("2 Terminating v2, 3 InService v1")
	w.expectRefresh(123, "RollbackInProgress 0% 1"+interval)
	w.expectRefresh(140, "RollbackSuccessful 0% 1")
	w.expectInstances("3 InService v1")
	r := w.refresh()
	if *w.group("g").LaunchTemplate.Version != "1" || *r.DesiredConfiguration.LaunchTemplate.Version != "2" || r.EndTime == nil {
		t.Errorf("%+v", r)
	}
}

// Recorded, sequence D: a protected instance; then cancelled without waiting.
func TestRefreshOfAProtectedInstance(t *testing.T) {
	w := newWorld(t)
	w.create("g", 1, func(in *as.CreateAutoScalingGroupInput) { in.NewInstancesProtectedFromScaleIn = aws.Bool(true) })
	w.startRefresh(&as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g")})
	w.expectRefresh(6, "InProgress 0% 1 Waiting for remaining instances to be available. For example: "+id(1)+" is protected. Remove instance scale-in protection to continue.")
	p := w.refresh().Preferences
	if *p.MinHealthyPercentage != 90 || *p.InstanceWarmup != 0 || *p.SkipMatching || *p.AutoRollback || p.AlarmSpecification == nil ||
		p.MaxHealthyPercentage != nil || p.BakeTime != nil || p.CheckpointPercentages != nil || p.CheckpointDelay != nil || p.ScaleInProtectedInstances != "" || p.StandbyInstances != "" {
		t.Errorf("preferences %+v", p)
	}
	w.begin()
	must(w.client.CancelInstanceRefresh(t.Context(), &as.CancelInstanceRefreshInput{AutoScalingGroupName: aws.String("g"), WaitForTransitioningInstances: aws.Bool(false)}))
	cancelled := " 0% 1 Cancelled without waiting for ongoing instance launches and terminations due to user request."
	w.expectRefresh(1, "Cancelling"+cancelled)
	w.expectRefresh(5, "Cancelled"+cancelled)
	if r := w.refresh(); r.EndTime == nil || r.RollbackDetails != nil {
		t.Errorf("%+v", r)
	}
}

func TestASuccessfulRefreshChangesTheGroup(t *testing.T) {
	w := newWorld(t)
	w.create("g", 3)
	w.startRefresh(&as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g"), DesiredConfiguration: version("2"), Preferences: &astypes.RefreshPreferences{MinHealthyPercentage: aws.Int32(0)}})
	w.at(300)
	w.expectRefresh(300, "Successful 100% 0")
	w.expectInstances("4 InService v2, 5 InService v2, 6 InService v2")
	if spec := w.group("g").LaunchTemplate; *spec.Version != "2" || *spec.LaunchTemplateName != "web" {
		t.Errorf("%+v", spec)
	}
	if a := w.activities()[0]; *a.Cause != "At 2026-09-27T14:42:38Z an instance was launched in response to an instance refresh." {
		t.Error(*a.Cause)
	}
}

func TestSkipMatchingLeavesAlone(t *testing.T) {
	w := newWorld(t)
	w.create("g", 2)
	w.startRefresh(&as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g"), DesiredConfiguration: version("1"), Preferences: &astypes.RefreshPreferences{SkipMatching: aws.Bool(true)}})
	w.expectRefresh(20, "Successful 100% 0")
	w.expectInstances("1 InService v1, 2 InService v1")
}

// Documented: a version that comes during a refresh to $Latest has what was replaced replaced again.
func TestLatestIsWhatIsLatestNow(t *testing.T) {
	w := newWorld(t)
	w.create("g", 1)
	w.startRefresh(&as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g"), DesiredConfiguration: version("$Latest"), Preferences: &astypes.RefreshPreferences{MinHealthyPercentage: aws.Int32(100), MaxHealthyPercentage: aws.Int32(200)}})
	w.at(30)
	w.expectInstances("1 InService v1, 2 InService v2")
	_ = w.store.Update(region, func(r *state.Region) error {
		r.LaunchTemplates.Put("lt-0aaaaaaaaaaaaaaaa", template("lt-0aaaaaaaaaaaaaaaa", "web", 3, "ami-00000000000000011"))
		return nil
	})
	w.at(600)
	w.expectInstances("3 InService v3")
	if spec := w.group("g").LaunchTemplate; *spec.Version != "$Latest" {
		t.Errorf("%+v", spec)
	}
}

func TestRefreshesThatAreRefused(t *testing.T) {
	w := newWorld(t)
	w.create("g", 1)
	w.create("latest", 1, func(in *as.CreateAutoScalingGroupInput) { in.LaunchTemplate.Version = aws.String("$Latest") })
	w.create("param", 1, func(in *as.CreateAutoScalingGroupInput) {
		in.LaunchTemplate = &astypes.LaunchTemplateSpecification{LaunchTemplateName: aws.String("param"), Version: aws.String("1")}
	})
	for _, test := range []struct {
		group         string
		desired       *astypes.DesiredConfiguration
		p             astypes.RefreshPreferences
		strategy      astypes.RefreshStrategy
		code, message string
	}{
		{"none", nil, astypes.RefreshPreferences{}, "", "ValidationError", "AutoScalingGroup name not found - AutoScalingGroup none not found"},
		{"g", nil, astypes.RefreshPreferences{}, astypes.RefreshStrategyReplaceRootVolume, "ValidationError", "The request isn't valid. The DesiredConfiguration parameter must be specified when using ReplaceRootVolume. Add the DesiredConfiguration parameter and try again."},
		{"g", nil, astypes.RefreshPreferences{AutoRollback: aws.Bool(true)}, "", "ValidationError", "The request isn’t valid. The AutoRollback parameter cannot be set to true when the DesiredConfiguration parameter is empty. Set AutoRollback to false or specify a desired configuration and try again."},
		{"g", nil, astypes.RefreshPreferences{CheckpointPercentages: []int32{40, 20}}, "", "ValidationError", "Checkpoint percentages must be sorted in ascending order with no duplicates."},
		{"g", nil, astypes.RefreshPreferences{MinHealthyPercentage: aws.Int32(0), MaxHealthyPercentage: aws.Int32(200)}, "", "ValidationError", "The difference between MaxHealthyPercentage and MinHealthyPercentage must be less than or equal to 100."},
		{"g", nil, astypes.RefreshPreferences{MaxHealthyPercentage: aws.Int32(200)}, "", "ValidationError", "MinHealthyPercentage must be specified when MaxHealthyPercentage is specified."},
		{"g", nil, astypes.RefreshPreferences{CheckpointDelay: aws.Int32(200)}, "", "ValidationError", "CheckpointPercentages must be specified when CheckpointDelay is specified."},
		{"g", nil, astypes.RefreshPreferences{AlarmSpecification: &astypes.AlarmSpecification{Alarms: strings.Split("abcdefghijk", "")}}, "", "ValidationError", "An instance refresh can have no more than 10 alarms."},
		{"g", version("9"), astypes.RefreshPreferences{}, "", "ValidationError", "You must use a valid fully-formed launch template. Could not find the specified version 9 for the launch template with ID lt-0aaaaaaaaaaaaaaaa."},
		{"g", version("x"), astypes.RefreshPreferences{}, "", "ValidationError", "You must use a valid fully-formed launch template. Invalid launch template version: either '$Default', '$Latest', or a numeric version are allowed."},
		{"g", version("2"), astypes.RefreshPreferences{}, astypes.RefreshStrategyReplaceRootVolume, "ValidationError", "The request isn't valid. ReplaceRootVolume needs a mixed instances policy with an ImageId in every override, in the Auto Scaling group and in the DesiredConfiguration."},
		{"latest", version("2"), astypes.RefreshPreferences{AutoRollback: aws.Bool(true)}, "", "IrreversibleInstanceRefresh", "The instance refresh cannot be rolled back because the Auto Scaling group uses the launch template's $Latest or $Default version."},
		{"param", version("2"), astypes.RefreshPreferences{AutoRollback: aws.Bool(true)}, "", "IrreversibleInstanceRefresh", "The instance refresh cannot be rolled back because the Auto Scaling group has a launch template that uses an AWS Systems Manager parameter instead of an AMI ID."},
	} {
		_, err := w.client.StartInstanceRefresh(t.Context(), &as.StartInstanceRefreshInput{AutoScalingGroupName: &test.group, DesiredConfiguration: test.desired, Preferences: &test.p, Strategy: test.strategy})
		w.refused(err, test.code, test.message)
	}
	w.startRefresh(&as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g")})
	_, err := w.client.StartInstanceRefresh(t.Context(), &as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g")})
	w.refused(err, "InstanceRefreshInProgress", "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.")
	w.at(20)
	_, err = w.client.RollbackInstanceRefresh(t.Context(), &as.RollbackInstanceRefreshInput{AutoScalingGroupName: aws.String("g")})
	w.refused(err, "IrreversibleInstanceRefresh", "The instance refresh cannot be rolled back because the instance refresh has no desired configuration.")
}

func TestNothingToCancelOrToRollBack(t *testing.T) {
	w := newWorld(t)
	w.create("g", 0)
	_, err := w.client.CancelInstanceRefresh(t.Context(), &as.CancelInstanceRefreshInput{AutoScalingGroupName: aws.String("g")})
	w.refused(err, "ActiveInstanceRefreshNotFound", "No in progress, baking, pending, or cancelling Instance Refresh found for Auto Scaling group g.")
	w.startRefresh(&as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g"), DesiredConfiguration: version("2")})
	_, err = w.client.RollbackInstanceRefresh(t.Context(), &as.RollbackInstanceRefreshInput{AutoScalingGroupName: aws.String("g")})
	w.refused(err, "ActiveInstanceRefreshNotFound", "No in progress or baking Instance Refresh found for Auto Scaling group g.")
}

func TestRefreshesAreToldNewestFirst(t *testing.T) {
	w := newWorld(t)
	w.create("g", 0)
	describe := func(most *int32, token *string, ids ...string) *as.DescribeInstanceRefreshesOutput {
		return must(w.client.DescribeInstanceRefreshes(t.Context(), &as.DescribeInstanceRefreshesInput{AutoScalingGroupName: aws.String("g"), MaxRecords: most, NextToken: token, InstanceRefreshIds: ids}))
	}
	if out := describe(nil, nil); out.InstanceRefreshes == nil || len(out.InstanceRefreshes) != 0 {
		t.Errorf("%+v", out)
	}
	var ids []string
	for range 3 {
		ids = append(ids, w.startRefresh(&as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g")}))
		w.clock.Advance(time.Minute)
	}
	first := describe(aws.Int32(1), nil)
	rest := describe(nil, first.NextToken)
	if *first.InstanceRefreshes[0].InstanceRefreshId != ids[2] || len(rest.InstanceRefreshes) != 2 || *rest.InstanceRefreshes[1].InstanceRefreshId != ids[0] || rest.NextToken != nil {
		t.Errorf("%+v %+v", first, rest)
	}
	if out := describe(nil, nil, ids[1]); len(out.InstanceRefreshes) != 1 {
		t.Errorf("%+v", out)
	}
	w.clock.Advance(43 * 24 * time.Hour)
	if out := describe(nil, nil); len(out.InstanceRefreshes) != 0 {
		t.Errorf("after six weeks %+v", out)
	}
	w.startRefresh(&as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g")})
	if out := describe(nil, nil); len(out.InstanceRefreshes) != 1 {
		t.Errorf("%+v", out)
	}
	_, err := w.client.DescribeInstanceRefreshes(t.Context(), &as.DescribeInstanceRefreshesInput{AutoScalingGroupName: aws.String("g"), NextToken: aws.String("x")})
	w.refused(err, "InvalidNextToken", "The token 'x' is invalid.")
}

func TestAnAlarmRollsBack(t *testing.T) {
	w := newWorld(t)
	w.create("g", 4)
	alarm := &state.Alarm{Account: account}
	_ = w.store.Update(region, func(r *state.Region) error {
		r.Alarms.Put(state.Key(account, "errors"), alarm)
		return nil
	})
	w.startRefresh(&as.StartInstanceRefreshInput{
		AutoScalingGroupName: aws.String("g"), DesiredConfiguration: version("2"),
		Preferences: &astypes.RefreshPreferences{AutoRollback: aws.Bool(true), MinHealthyPercentage: aws.Int32(50), AlarmSpecification: &astypes.AlarmSpecification{Alarms: []string{"errors"}}},
	})
	w.at(120)
	_ = w.store.Update(region, func(r *state.Region) error {
		r.Alarms.Edit(state.Key(account, "errors")).StateValue = cwtypes.StateValueAlarm
		return nil
	})
	w.at(131)
	r := w.refresh()
	if r.Status != astypes.InstanceRefreshStatusRollbackInProgress || *r.StatusReason != "Rollback triggered due to CloudWatch alarm errors in the ALARM state." {
		t.Errorf("%s %s", r.Status, *r.StatusReason)
	}
	w.at(700)
	if r := w.refresh(); r.Status != astypes.InstanceRefreshStatusRollbackSuccessful || *r.PercentageComplete != 0 {
		t.Errorf("%+v", r)
	}
	for _, i := range w.group("g").Instances {
		if *i.LaunchTemplate.Version != "1" {
			t.Errorf("%+v", i)
		}
	}
}

// An instance that never comes up is launched again and again, more and more slowly, until the refresh fails; the group keeps its capacity where
// a launch comes first.
func TestARefreshToWhatDoesNotBoot(t *testing.T) {
	w := newWorld(t)
	w.create("g", 2)
	w.ec2.dies = func(in *ec2.RunInstancesInput) string {
		if *in.LaunchTemplate.Version == "2" {
			return "Client.InternalError: Client error on launch"
		}
		return ""
	}
	w.startRefresh(&as.StartInstanceRefreshInput{
		AutoScalingGroupName: aws.String("g"), DesiredConfiguration: version("2"),
		Preferences: &astypes.RefreshPreferences{MinHealthyPercentage: aws.Int32(100), MaxHealthyPercentage: aws.Int32(150)},
	})
	for range 120 {
		w.clock.Advance(time.Minute)
		if n := len(w.group("g").Instances); n < 2 {
			t.Fatalf("%d instances", n)
		}
	}
	r := w.refresh()
	if r.Status != astypes.InstanceRefreshStatusFailed || r.EndTime.Sub(*r.StartTime).Round(time.Minute) != time.Hour {
		t.Errorf("%+v", r)
	}
	a := w.activities()[0]
	want := "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: Client.InternalError: Client error on launch"
	if a.StatusCode != astypes.ScalingActivityStatusCodeFailed || *a.StatusMessage != want {
		t.Errorf("%+v", a)
	}
	if len(w.ec2.launches) > 30 {
		t.Errorf("%d launches in an hour", len(w.ec2.launches))
	}
	w.expectInstances("1 InService v1, 2 InService v1")
}

func TestDesiredCapacityMayChangeDuringARefresh(t *testing.T) {
	w := newWorld(t)
	w.create("g", 4, func(in *as.CreateAutoScalingGroupInput) { in.MaxSize = aws.Int32(10) })
	w.startRefresh(&as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g"), DesiredConfiguration: version("2"), Preferences: &astypes.RefreshPreferences{MinHealthyPercentage: aws.Int32(50)}})
	w.at(30)
	must(w.client.SetDesiredCapacity(t.Context(), &as.SetDesiredCapacityInput{AutoScalingGroupName: aws.String("g"), DesiredCapacity: aws.Int32(6)}))
	w.at(60)
	must(w.client.SetDesiredCapacity(t.Context(), &as.SetDesiredCapacityInput{AutoScalingGroupName: aws.String("g"), DesiredCapacity: aws.Int32(3)}))
	w.at(900)
	if r := w.refresh(); r.Status != astypes.InstanceRefreshStatusSuccessful {
		t.Errorf("%+v", r)
	}
	g := w.group("g")
	if len(g.Instances) != 3 {
		t.Errorf("%s", w.instances())
	}
	for _, i := range g.Instances {
		if *i.LaunchTemplate.Version != "2" {
			t.Errorf("%+v", i)
		}
	}
}

func TestAGroupIsDeletedDuringARefresh(t *testing.T) {
	w := newWorld(t)
	w.create("g", 2)
	w.startRefresh(&as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g")})
	w.at(20)
	must(w.client.DeleteAutoScalingGroup(t.Context(), &as.DeleteAutoScalingGroupInput{AutoScalingGroupName: aws.String("g"), ForceDelete: aws.Bool(true)}))
	w.at(120)
	if g := w.group("g"); g.AutoScalingGroupName != nil {
		t.Errorf("%+v", g)
	}
	_ = w.store.View(region, func(r *state.Region) error {
		if r.Refreshes.Len() != 0 {
			t.Errorf("%d refreshes are left", r.Refreshes.Len())
		}
		return nil
	})
}

func TestTerminatedByHandDuringARefresh(t *testing.T) {
	w := newWorld(t)
	w.create("g", 2)
	w.startRefresh(&as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g"), DesiredConfiguration: version("2"), Preferences: &astypes.RefreshPreferences{MinHealthyPercentage: aws.Int32(100), MaxHealthyPercentage: aws.Int32(150)}})
	w.at(12)
	w.ec2.set(id(1), ec2types.InstanceStateNameTerminated, "", "")
	w.at(600)
	if r := w.refresh(); r.Status != astypes.InstanceRefreshStatusSuccessful {
		t.Errorf("%+v", r)
	}
	if g := w.group("g"); len(g.Instances) != 2 {
		t.Error(w.instances())
	}
}

func TestRootVolumes(t *testing.T) {
	w := newWorld(t)
	policy := func(image string) *astypes.MixedInstancesPolicy {
		return &astypes.MixedInstancesPolicy{LaunchTemplate: &astypes.LaunchTemplate{
			LaunchTemplateSpecification: &astypes.LaunchTemplateSpecification{LaunchTemplateId: aws.String("lt-0aaaaaaaaaaaaaaaa"), Version: aws.String("1")},
			Overrides:                   []astypes.LaunchTemplateOverrides{{InstanceType: aws.String("t3.nano"), ImageId: &image}},
		}}
	}
	w.create("g", 2, func(in *as.CreateAutoScalingGroupInput) {
		in.LaunchTemplate, in.MixedInstancesPolicy = nil, policy("ami-00000000000000011")
	})
	w.startRefresh(&as.StartInstanceRefreshInput{
		AutoScalingGroupName: aws.String("g"), Strategy: astypes.RefreshStrategyReplaceRootVolume,
		DesiredConfiguration: &astypes.DesiredConfiguration{MixedInstancesPolicy: policy("ami-00000000000000012")},
	})
	w.at(20)
	w.expectInstances("1 ReplacingRootVolume v1, 2 InService v1")
	w.at(600)
	w.expectInstances("1 InService v1, 2 InService v1")
	if r := w.refresh(); r.Status != astypes.InstanceRefreshStatusSuccessful || w.ec2.replaced[id(2)] != "ami-00000000000000012" || *w.group("g").Instances[0].ImageId != "ami-00000000000000012" {
		t.Errorf("%+v, %v", r, w.ec2.replaced)
	}
}
