package autoscaling_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

func TestWhatTheServiceHas(t *testing.T) {
	w := newWorld(t)
	w.create("g", 0)
	if out := must(w.client.DescribeAccountLimits(t.Context(), nil)); *out.NumberOfAutoScalingGroups != 1 || *out.MaxNumberOfAutoScalingGroups != 500 {
		t.Errorf("%+v", out)
	}
	if out := must(w.client.DescribeTerminationPolicyTypes(t.Context(), nil)); len(out.TerminationPolicyTypes) != 7 {
		t.Errorf("%+v", out)
	}
	if out := must(w.client.DescribeScalingProcessTypes(t.Context(), nil)); len(out.Processes) != 9 {
		t.Errorf("%+v", out)
	}
	if out := must(w.client.DescribeLifecycleHookTypes(t.Context(), nil)); len(out.LifecycleHookTypes) != 2 {
		t.Errorf("%+v", out)
	}
	if out := must(w.client.DescribeLaunchConfigurations(t.Context(), nil)); out.LaunchConfigurations == nil || len(out.LaunchConfigurations) != 0 {
		t.Errorf("%+v", out)
	}
	if out := must(w.client.DescribePolicies(t.Context(), nil)); out.ScalingPolicies == nil {
		t.Errorf("%+v", out)
	}
	if out := must(w.client.DescribeScheduledActions(t.Context(), nil)); out.ScheduledUpdateGroupActions == nil {
		t.Errorf("%+v", out)
	}
	if out := must(w.client.DescribeNotificationConfigurations(t.Context(), nil)); out.NotificationConfigurations == nil {
		t.Errorf("%+v", out)
	}
	if out := must(w.client.DescribeLoadBalancers(t.Context(), &as.DescribeLoadBalancersInput{AutoScalingGroupName: aws.String("g")})); out.LoadBalancers == nil {
		t.Errorf("%+v", out)
	}
}

func TestActivitiesAreFiltered(t *testing.T) {
	w := newWorld(t)
	w.create("g", 2)
	for _, test := range []struct {
		name, value string
		want        int
	}{
		{"Status", "Successful", 2},
		{"Status", "Failed", 0},
		{"StartTimeLowerBound", "2026-09-27T14:00:00Z", 2},
		{"StartTimeUpperBound", "2026-09-27T14:00:00Z", 0},
	} {
		out := must(w.client.DescribeScalingActivities(t.Context(), &as.DescribeScalingActivitiesInput{Filters: []astypes.Filter{{Name: &test.name, Values: []string{test.value}}}}))
		if len(out.Activities) != test.want {
			t.Errorf("%s %s: %d", test.name, test.value, len(out.Activities))
		}
	}
	first := must(w.client.DescribeScalingActivities(t.Context(), &as.DescribeScalingActivitiesInput{AutoScalingGroupName: aws.String("g"), MaxRecords: aws.Int32(1)}))
	if len(first.Activities) != 1 || first.NextToken == nil {
		t.Errorf("%+v", first)
	}
	_, err := w.client.DescribeScalingActivities(t.Context(), &as.DescribeScalingActivitiesInput{Filters: []astypes.Filter{{Name: aws.String("Colour")}}})
	w.refused(err, "ValidationError", "Filter type Colour is not correct. Allowed filter types are: Status StartTimeLowerBound StartTimeUpperBound")
	_, err = w.client.DescribeScalingActivities(t.Context(), &as.DescribeScalingActivitiesInput{Filters: []astypes.Filter{{Name: aws.String("StartTimeLowerBound"), Values: []string{"now"}}}})
	w.refused(err, "ValidationError", "Invalid timestamp now in filter StartTimeLowerBound.")
}

func TestHooksAreChangedAndDeleted(t *testing.T) {
	w := newWorld(t)
	w.create("g", 0)
	w.hook("autoscaling:EC2_INSTANCE_LAUNCHING", "CONTINUE")
	must(w.client.PutLifecycleHook(t.Context(), &as.PutLifecycleHookInput{AutoScalingGroupName: aws.String("g"), LifecycleHookName: aws.String("h"), HeartbeatTimeout: aws.Int32(3600)}))
	hooks := must(w.client.DescribeLifecycleHooks(t.Context(), &as.DescribeLifecycleHooksInput{AutoScalingGroupName: aws.String("g")})).LifecycleHooks
	if len(hooks) != 1 || *hooks[0].GlobalTimeout != 172800 || *hooks[0].DefaultResult != "CONTINUE" || *hooks[0].LifecycleTransition != "autoscaling:EC2_INSTANCE_LAUNCHING" {
		t.Errorf("%+v", hooks)
	}
	w.desire(1)
	w.at(30)
	w.expectInstances("1 Pending:Wait v1")
	must(w.client.DeleteLifecycleHook(t.Context(), &as.DeleteLifecycleHookInput{AutoScalingGroupName: aws.String("g"), LifecycleHookName: aws.String("h")}))
	w.at(40)
	w.expectInstances("1 InService v1")
	_, err := w.client.DeleteLifecycleHook(t.Context(), &as.DeleteLifecycleHookInput{AutoScalingGroupName: aws.String("g"), LifecycleHookName: aws.String("h")})
	w.refused(err, "ValidationError", "No Lifecycle Hook found with name: h")
}

// Recorded: while a refresh runs, an update to the template that the group has is accepted. Documented: a rollback restores what was before the refresh.
func TestTheGroupMayBeUpdatedDuringARefresh(t *testing.T) {
	w := newWorld(t)
	w.create("g", 1)
	w.startRefresh(&as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g"), DesiredConfiguration: version("2")})
	w.at(20)
	for _, v := range []string{"1", "2"} {
		must(w.client.UpdateAutoScalingGroup(t.Context(), &as.UpdateAutoScalingGroupInput{AutoScalingGroupName: aws.String("g"), LaunchTemplate: version(v).LaunchTemplate}))
	}
	must(w.client.RollbackInstanceRefresh(t.Context(), &as.RollbackInstanceRefreshInput{AutoScalingGroupName: aws.String("g")}))
	w.at(400)
	if r := w.refresh(); r.Status != astypes.InstanceRefreshStatusRollbackSuccessful || *w.group("g").LaunchTemplate.Version != "1" {
		t.Errorf("%+v", r)
	}
	must(w.client.DeleteAutoScalingGroup(t.Context(), &as.DeleteAutoScalingGroupInput{AutoScalingGroupName: aws.String("g"), ForceDelete: aws.Bool(true)}))
	_, err := w.client.SetDesiredCapacity(t.Context(), &as.SetDesiredCapacityInput{AutoScalingGroupName: aws.String("g"), DesiredCapacity: aws.Int32(0)})
	w.refused(err, "ScalingActivityInProgress", "You cannot update an AutoScalingGroup while it is being deleted.")
	_, err = w.client.SetInstanceHealth(t.Context(), &as.SetInstanceHealthInput{InstanceId: aws.String("i-9"), HealthStatus: aws.String("Healthy")})
	w.refused(err, "ValidationError", "Instance Id not found - No managed instance found for instance ID: i-9")
}
