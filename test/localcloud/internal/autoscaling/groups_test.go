package autoscaling_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// set returns the names of the members of an answer that are there.
func set(v any) []string {
	var names []string
	for field, value := range reflect.ValueOf(v).Fields() {
		if field.IsExported() && !value.IsZero() {
			names = append(names, field.Name)
		}
	}
	return names
}

// Recorded: which members a group has, and what they are where a request says nothing of them.
func TestANewGroup(t *testing.T) {
	w := newWorld(t)
	w.create("g", 0, func(in *as.CreateAutoScalingGroupInput) {
		in.Tags = []astypes.Tag{{Key: aws.String("b"), Value: aws.String("2"), PropagateAtLaunch: aws.Bool(true)}, {Key: aws.String("a")}}
		in.LaunchTemplate.Version = aws.String("$Latest")
	})
	g := w.group("g")
	want := []string{
		"AutoScalingGroupName", "AvailabilityZones", "CreatedTime", "DefaultCooldown", "DesiredCapacity", "HealthCheckType", "MaxSize", "MinSize",
		"AutoScalingGroupARN", "AvailabilityZoneDistribution", "AvailabilityZoneIds", "CapacityReservationSpecification", "EnabledMetrics",
		"HealthCheckGracePeriod", "InstanceLifecyclePolicy", "Instances", "LaunchTemplate", "LoadBalancerNames", "NewInstancesProtectedFromScaleIn",
		"ServiceLinkedRoleARN", "SuspendedProcesses", "Tags", "TargetGroupARNs", "TerminationPolicies", "TrafficSources", "VPCZoneIdentifier",
	}
	if got := set(g); !slices.Equal(got, want) {
		t.Errorf("members %v", got)
	}
	if !strings.HasPrefix(*g.AutoScalingGroupARN, "arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:") || !strings.HasSuffix(*g.AutoScalingGroupARN, ":autoScalingGroupName/g") {
		t.Error(*g.AutoScalingGroupARN)
	}
	if *g.LaunchTemplate.LaunchTemplateName != "web" || *g.LaunchTemplate.LaunchTemplateId != "lt-0aaaaaaaaaaaaaaaa" || *g.LaunchTemplate.Version != "$Latest" {
		t.Errorf("%+v", g.LaunchTemplate)
	}
	if *g.DefaultCooldown != 300 || g.TerminationPolicies[0] != "Default" || g.AvailabilityZoneIds[0] != "use1-az1" || g.AvailabilityZones[0] != "us-east-1a" ||
		g.AvailabilityZoneDistribution.CapacityDistributionStrategy != "balanced-best-effort" || g.CapacityReservationSpecification.CapacityReservationPreference != "default" ||
		g.InstanceLifecyclePolicy.RetentionTriggers.TerminateHookAbandon != "terminate" {
		t.Errorf("%+v", g)
	}
	if len(g.Tags) != 2 || *g.Tags[0].Key != "a" || *g.Tags[0].ResourceType != "auto-scaling-group" || *g.Tags[1].ResourceId != "g" || !*g.Tags[1].PropagateAtLaunch {
		t.Errorf("%+v", g.Tags)
	}
}

func TestGroupsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	w.create("g", 0)
	for name, test := range map[string]struct {
		change        func(in *as.CreateAutoScalingGroupInput)
		code, message string
	}{
		"twice":     {func(in *as.CreateAutoScalingGroupInput) { in.AutoScalingGroupName = aws.String("g") }, "AlreadyExists", "AutoScalingGroup by this name already exists - A group with the name g already exists"},
		"no source": {func(in *as.CreateAutoScalingGroupInput) { in.LaunchTemplate = nil }, "ValidationError", "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter."},
		"bounds":    {func(in *as.CreateAutoScalingGroupInput) { in.MinSize, in.MaxSize = aws.Int32(3), aws.Int32(1) }, "ValidationError", "Max bound, 1, must be greater than or equal to min bound, 3"},
		"desired":   {func(in *as.CreateAutoScalingGroupInput) { in.DesiredCapacity = aws.Int32(5) }, "ValidationError", "Desired capacity:5 must be between the specified min size:0 and max size:1"},
		"nowhere":   {func(in *as.CreateAutoScalingGroupInput) { in.VPCZoneIdentifier = nil }, "ValidationError", "At least one Availability Zone or VPC Subnet is required."},
		"subnet":    {func(in *as.CreateAutoScalingGroupInput) { in.VPCZoneIdentifier = aws.String("subnet-x") }, "ValidationError", "The subnet ID 'subnet-x' does not exist"},
		"zone":      {func(in *as.CreateAutoScalingGroupInput) { in.AvailabilityZones = []string{"us-east-1x"} }, "ValidationError", "Invalid availability zones: [us-east-1x]"},
		"zones":     {func(in *as.CreateAutoScalingGroupInput) { in.AvailabilityZones = []string{"us-east-1b"} }, "ValidationError", "The availability zones of the specified subnets and the Auto Scaling group do not match"},
		"template": {func(in *as.CreateAutoScalingGroupInput) {
			in.LaunchTemplate.LaunchTemplateId = aws.String("lt-0cccccccccccccccc")
		}, "ValidationError", "You must use a valid fully-formed launch template. The specified launch template, with template ID lt-0cccccccccccccccc, does not exist."},
		"policy":  {func(in *as.CreateAutoScalingGroupInput) { in.TerminationPolicies = []string{"Never"} }, "ValidationError", "Invalid termination policy: Never. Valid termination policies are: [AllocationStrategy ClosestToNextInstanceHour Default NewestInstance OldestInstance OldestLaunchConfiguration OldestLaunchTemplate]"},
		"targets": {func(in *as.CreateAutoScalingGroupInput) { in.TargetGroupARNs = []string{targets + "x"} }, "ValidationError", "Provided Target Groups may not be valid. Please ensure they exist and try again."},
		"configuration": {func(in *as.CreateAutoScalingGroupInput) {
			in.LaunchTemplate, in.LaunchConfigurationName = nil, aws.String("old")
		}, "ValidationError", "Launch configuration name not found - A launch configuration with the name: old does not exist"},
		"lifetime": {func(in *as.CreateAutoScalingGroupInput) { in.MaxInstanceLifetime = aws.Int32(86400) }, "ValidationError", "MaxInstanceLifetime is not supported by this endpoint. Leave it out of the request."},
		"maintenance": {func(in *as.CreateAutoScalingGroupInput) {
			in.InstanceMaintenancePolicy = &astypes.InstanceMaintenancePolicy{MinHealthyPercentage: aws.Int32(90)}
		}, "ValidationError", "Both MinHealthyPercentage and MaxHealthyPercentage must be specified in the InstanceMaintenancePolicy."},
	} {
		in := &as.CreateAutoScalingGroupInput{
			AutoScalingGroupName: aws.String("new"), MinSize: aws.Int32(0), MaxSize: aws.Int32(1), VPCZoneIdentifier: aws.String(subnetA), LaunchTemplate: version("1").LaunchTemplate,
		}
		test.change(in)
		_, err := w.client.CreateAutoScalingGroup(t.Context(), in)
		t.Log(name)
		w.refused(err, test.code, test.message)
	}
	if g := w.group("new"); g.AutoScalingGroupName != nil {
		t.Error("a refused group is there")
	}
}

// Recorded: a group from 0 to 1, in seconds after SetDesiredCapacity, and the activity of the launch.
func TestScaleOut(t *testing.T) {
	w := newWorld(t)
	w.create("g", 0)
	must(w.client.SetDesiredCapacity(t.Context(), &as.SetDesiredCapacityInput{AutoScalingGroupName: aws.String("g"), DesiredCapacity: aws.Int32(1)}))
	w.at(5.6)
	w.expectInstances("")
	w.at(11)
	w.expectInstances("1 Pending v1")
	w.at(16.5)
	w.expectInstances("1 InService v1")
	list := w.activities()
	if len(list) != 1 {
		t.Fatalf("%d activities", len(list))
	}
	a := list[0]
	if want := "At 2026-09-27T14:42:28Z a user request explicitly set group desired capacity changing the desired capacity from 0 to 1.  " +
		"At 2026-09-27T14:42:38Z an instance was started in response to a difference between desired and actual capacity, increasing the capacity from 0 to 1."; *a.Cause != want {
		t.Error(*a.Cause)
	}
	if *a.Description != "Launching a new EC2 instance: "+id(1) || a.StatusCode != "Successful" || *a.Progress != 100 || a.StatusMessage != nil || *a.AutoScalingGroupState != "InService" ||
		*a.Details != `{"Availability Zone ID":"use1-az1","Subnet ID":"`+subnetA+`","Availability Zone":"us-east-1a"}` || a.EndTime.Nanosecond() != 0 || a.StartTime.Nanosecond() == 0 {
		t.Errorf("%+v", a)
	}
	i := w.group("g").Instances[0]
	if want := []string{"AvailabilityZone", "HealthStatus", "InstanceId", "LifecycleState", "ProtectedFromScaleIn", "AvailabilityZoneId", "InstanceType", "LaunchTemplate"}; !slices.Equal(set(i), want) || *i.HealthStatus != "Healthy" {
		t.Errorf("%v", set(i))
	}
	d := must(w.client.DescribeAutoScalingInstances(t.Context(), &as.DescribeAutoScalingInstancesInput{})).AutoScalingInstances[0]
	if *d.HealthStatus != "HEALTHY" || *d.AutoScalingGroupName != "g" || *d.LifecycleState != "InService" || *d.LaunchTemplate.Version != "1" {
		t.Errorf("%+v", d)
	}
	run := w.ec2.launches[0]
	if *run.TagSpecifications[0].Tags[0].Key != "aws:autoscaling:groupName" || run.ClientToken == nil || *run.SubnetId != subnetA || *run.LaunchTemplate.Version != "1" {
		t.Errorf("%+v", run)
	}
}

// Recorded: the deletion of a group with a protected instance, and of an empty one.
func TestDelete(t *testing.T) {
	w := newWorld(t)
	w.create("g", 1, func(in *as.CreateAutoScalingGroupInput) { in.NewInstancesProtectedFromScaleIn = aws.Bool(true) })
	_, err := w.client.DeleteAutoScalingGroup(t.Context(), &as.DeleteAutoScalingGroupInput{AutoScalingGroupName: aws.String("g")})
	w.refused(err, "ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.")
	must(w.client.DeleteAutoScalingGroup(t.Context(), &as.DeleteAutoScalingGroupInput{AutoScalingGroupName: aws.String("g"), ForceDelete: aws.Bool(true)}))
	g := w.group("g")
	if *g.MinSize != 0 || *g.MaxSize != 0 || *g.DesiredCapacity != 0 || *g.Status != "Delete in progress" {
		t.Errorf("%+v", g)
	}
	w.expectInstances("1 InService v1")
	w.at(10)
	w.expectInstances("1 Terminating v1")
	w.at(31)
	w.expectInstances("")
	if g := w.group("g"); g.Status == nil {
		t.Error("the group is gone too early")
	}
	w.at(42)
	if g := w.group("g"); g.AutoScalingGroupName != nil {
		t.Errorf("%+v", g)
	}
	w.create("empty", 0)
	must(w.client.DeleteAutoScalingGroup(t.Context(), &as.DeleteAutoScalingGroupInput{AutoScalingGroupName: aws.String("empty")}))
	if g := w.group("empty"); g.AutoScalingGroupName == nil {
		t.Error("gone at once")
	}
	w.at(2)
	if g := w.group("empty"); g.AutoScalingGroupName != nil {
		t.Errorf("%+v", g)
	}
}

func TestUpdate(t *testing.T) {
	w := newWorld(t)
	w.create("g", 2)
	update := func(in *as.UpdateAutoScalingGroupInput) error {
		in.AutoScalingGroupName = aws.String("g")
		_, err := w.client.UpdateAutoScalingGroup(t.Context(), in)
		return err
	}
	w.refused(update(&as.UpdateAutoScalingGroupInput{MinSize: aws.Int32(3), MaxSize: aws.Int32(1)}), "ValidationError", "Max bound, 1, must be greater than or equal to min bound, 3")
	if err := errors.Join(update(&as.UpdateAutoScalingGroupInput{MinSize: aws.Int32(1), MaxSize: aws.Int32(2)}), update(&as.UpdateAutoScalingGroupInput{DefaultInstanceWarmup: aws.Int32(0)})); err != nil {
		t.Error(err)
	}
	if g := w.group("g"); *g.MinSize != 1 || *g.MaxSize != 2 || *g.DesiredCapacity != 2 || *g.DefaultInstanceWarmup != 0 || *g.LaunchTemplate.Version != "1" {
		t.Errorf("%+v", g)
	}
	if err := update(&as.UpdateAutoScalingGroupInput{MaxSize: aws.Int32(1), DefaultInstanceWarmup: aws.Int32(-1)}); err != nil {
		t.Error(err)
	}
	if g := w.group("g"); *g.DesiredCapacity != 1 || g.DefaultInstanceWarmup != nil {
		t.Errorf("%+v", g)
	}
	w.clock.Advance(time.Minute)
	a := w.activities()[0]
	if want := "At 2026-09-27T14:42:28Z a user request update of AutoScalingGroup constraints to min: 1, max: 1, desired: 1 changing the desired capacity from 2 to 1.  " +
		"At 2026-09-27T14:42:38Z an instance was taken out of service in response to a difference between desired and actual capacity, shrinking the capacity from 2 to 1.  " +
		"At 2026-09-27T14:42:38Z instance " + id(1) + " was selected for termination."; *a.Cause != want || *a.Description != "Terminating EC2 instance: "+id(1) {
		t.Error(*a.Description, *a.Cause)
	}
	_, err := w.client.SetDesiredCapacity(t.Context(), &as.SetDesiredCapacityInput{AutoScalingGroupName: aws.String("g"), DesiredCapacity: aws.Int32(4)})
	w.refused(err, "ValidationError", "New SetDesiredCapacity value 4 is above max value 1 for the AutoScalingGroup.")
	_, err = w.client.SetDesiredCapacity(t.Context(), &as.SetDesiredCapacityInput{AutoScalingGroupName: aws.String("g"), DesiredCapacity: aws.Int32(0)})
	w.refused(err, "ValidationError", "New SetDesiredCapacity value 0 is below min value 1 for the AutoScalingGroup.")
	_, err = w.client.SetDesiredCapacity(t.Context(), &as.SetDesiredCapacityInput{AutoScalingGroupName: aws.String("g"), DesiredCapacity: aws.Int32(1), HonorCooldown: aws.Bool(true)})
	w.refused(err, "ScalingActivityInProgress", "Scaling activity "+*a.ActivityId+" is in progress and blocks this action")
	w.clock.Advance(6 * time.Minute)
	must(w.client.SetDesiredCapacity(t.Context(), &as.SetDesiredCapacityInput{AutoScalingGroupName: aws.String("g"), DesiredCapacity: aws.Int32(1), HonorCooldown: aws.Bool(true)}))
}

// Recorded: with Launch suspended a new desired capacity is kept, and nothing happens.
func TestSuspendedProcesses(t *testing.T) {
	w := newWorld(t)
	w.create("g", 0, func(in *as.CreateAutoScalingGroupInput) { in.MaxSize = aws.Int32(3) })
	must(w.client.SuspendProcesses(t.Context(), &as.SuspendProcessesInput{AutoScalingGroupName: aws.String("g"), ScalingProcesses: []string{"Launch"}}))
	must(w.client.SetDesiredCapacity(t.Context(), &as.SetDesiredCapacityInput{AutoScalingGroupName: aws.String("g"), DesiredCapacity: aws.Int32(2)}))
	w.at(120)
	p := w.group("g").SuspendedProcesses
	if len(p) != 1 || *p[0].ProcessName != "Launch" || *p[0].SuspensionReason != "User suspended at 2026-09-27T14:42:28Z" || len(w.activities()) != 0 {
		t.Errorf("%+v", p)
	}
	must(w.client.ResumeProcesses(t.Context(), &as.ResumeProcessesInput{AutoScalingGroupName: aws.String("g")}))
	w.at(150)
	w.expectInstances("1 InService v1, 2 InService v1")
	must(w.client.SuspendProcesses(t.Context(), &as.SuspendProcessesInput{AutoScalingGroupName: aws.String("g")}))
	if p := w.group("g").SuspendedProcesses; len(p) != 9 {
		t.Errorf("%d processes", len(p))
	}
	_, err := w.client.SuspendProcesses(t.Context(), &as.SuspendProcessesInput{AutoScalingGroupName: aws.String("g"), ScalingProcesses: []string{"Sleep"}})
	if err == nil {
		t.Error("suspended Sleep")
	}
}

func TestInstancesSpreadOverZones(t *testing.T) {
	w := newWorld(t)
	w.create("g", 5, func(in *as.CreateAutoScalingGroupInput) { in.VPCZoneIdentifier = aws.String(subnetA + "," + subnetB) })
	zones := func() string {
		n := map[string]int{}
		for _, i := range w.group("g").Instances {
			n[*i.AvailabilityZone]++
		}
		return fmt.Sprint(n)
	}
	if got := zones(); got != "map[us-east-1a:3 us-east-1b:2]" {
		t.Error(got)
	}
	must(w.client.SetDesiredCapacity(t.Context(), &as.SetDesiredCapacityInput{AutoScalingGroupName: aws.String("g"), DesiredCapacity: aws.Int32(2)}))
	w.at(60)
	if got := zones(); got != "map[us-east-1a:1 us-east-1b:1]" {
		t.Error(got)
	}
}

func TestZonesAreBalancedAgain(t *testing.T) {
	w := newWorld(t)
	w.create("g", 4)
	must(w.client.UpdateAutoScalingGroup(t.Context(), &as.UpdateAutoScalingGroupInput{AutoScalingGroupName: aws.String("g"), VPCZoneIdentifier: aws.String(subnetA + "," + subnetB)}))
	for range 20 {
		w.clock.Advance(10 * time.Second)
		if n := strings.Count(w.instances(), "InService"); n < 4 {
			t.Errorf("%d in service", n)
		}
	}
	n := 0
	for _, i := range w.group("g").Instances {
		if *i.AvailabilityZone == "us-east-1b" {
			n++
		}
	}
	if n != 2 || len(w.group("g").Instances) != 4 {
		t.Error(w.instances())
	}
}

// A zone without capacity is left alone for a while; a launch that is refused is told as a failed activity, and tried again later and later.
func TestLaunchesThatAreRefused(t *testing.T) {
	w := newWorld(t)
	full := map[string]bool{subnetA: true}
	w.ec2.refuse = func(in *ec2.RunInstancesInput) error {
		if full[*in.SubnetId] {
			return wire.Errorf("InsufficientInstanceCapacity", "We currently do not have sufficient capacity.")
		}
		return nil
	}
	w.create("g", 2, func(in *as.CreateAutoScalingGroupInput) { in.VPCZoneIdentifier = aws.String(subnetA + "," + subnetB) })
	w.clock.Advance(time.Minute)
	w.expectInstances("1 InService v1, 2 InService v1")
	a := w.activities()
	if last := a[len(a)-1]; last.StatusCode != "Failed" || *last.StatusMessage != "We currently do not have sufficient capacity. Launching EC2 instance failed." ||
		*last.Description != "Launching a new EC2 instance.  Status Reason: We currently do not have sufficient capacity. Launching EC2 instance failed." {
		t.Errorf("%+v", last)
	}
	full[subnetB] = true
	must(w.client.SetDesiredCapacity(t.Context(), &as.SetDesiredCapacityInput{AutoScalingGroupName: aws.String("g"), DesiredCapacity: aws.Int32(3)}))
	before := len(w.activities())
	w.clock.Advance(time.Hour)
	if n := len(w.activities()) - before; n < 5 || n > 25 {
		t.Errorf("%d tries in an hour", n)
	}
	clear(full)
	w.clock.Advance(20 * time.Minute)
	if n := len(w.group("g").Instances); n != 3 {
		t.Errorf("%d instances", n)
	}
}

func TestTags(t *testing.T) {
	w := newWorld(t)
	w.create("g", 0)
	tag := func(key, value string) astypes.Tag {
		return astypes.Tag{Key: &key, Value: &value, ResourceId: aws.String("g"), ResourceType: aws.String("auto-scaling-group"), PropagateAtLaunch: aws.Bool(true)}
	}
	must(w.client.CreateOrUpdateTags(t.Context(), &as.CreateOrUpdateTagsInput{Tags: []astypes.Tag{tag("b", "1"), tag("a", "2"), tag("b", "3")}}))
	filter := func(name string, values ...string) []astypes.Filter {
		return []astypes.Filter{{Name: &name, Values: values}}
	}
	for _, test := range []struct {
		filters []astypes.Filter
		want    int
	}{{nil, 2}, {filter("key", "b"), 1}, {filter("value", "1"), 0}, {filter("auto-scaling-group", "g"), 2}, {filter("propagate-at-launch", "true"), 2}} {
		if out := must(w.client.DescribeTags(t.Context(), &as.DescribeTagsInput{Filters: test.filters})); len(out.Tags) != test.want {
			t.Errorf("%v: %d", test.filters, len(out.Tags))
		}
	}
	for _, test := range []struct {
		filters []astypes.Filter
		want    int
	}{{filter("tag:b", "3"), 1}, {filter("tag:b", "1"), 0}, {filter("tag-key", "a"), 1}, {filter("tag-value", "2"), 1}} {
		if out := must(w.client.DescribeAutoScalingGroups(t.Context(), &as.DescribeAutoScalingGroupsInput{Filters: test.filters})); len(out.AutoScalingGroups) != test.want {
			t.Errorf("%v: %d", test.filters, len(out.AutoScalingGroups))
		}
	}
	must(w.client.DeleteTags(t.Context(), &as.DeleteTagsInput{Tags: []astypes.Tag{{Key: aws.String("b"), ResourceId: aws.String("g"), ResourceType: aws.String("auto-scaling-group")}}}))
	if g := w.group("g"); len(g.Tags) != 1 {
		t.Errorf("%+v", g.Tags)
	}
	_, err := w.client.CreateOrUpdateTags(t.Context(), &as.CreateOrUpdateTagsInput{Tags: []astypes.Tag{tag("aws:x", "1")}})
	w.refused(err, "ValidationError", "Tag aws:x: Tag keys starting with 'aws:' are reserved for internal use")
	_, err = w.client.DescribeTags(t.Context(), &as.DescribeTagsInput{Filters: filter("colour", "red")})
	w.refused(err, "ValidationError", "Filter type colour is not correct. Allowed Filter types are: auto-scaling-group key value propagate-at-launch")
}

func TestGroupsArePaged(t *testing.T) {
	w := newWorld(t)
	for n := range 5 {
		w.create(fmt.Sprintf("g%d", n), 0)
	}
	var names []string
	pages := as.NewDescribeAutoScalingGroupsPaginator(w.client, &as.DescribeAutoScalingGroupsInput{MaxRecords: aws.Int32(2)})
	for pages.HasMorePages() {
		for _, g := range must(pages.NextPage(t.Context())).AutoScalingGroups {
			names = append(names, *g.AutoScalingGroupName)
		}
	}
	if fmt.Sprint(names) != "[g0 g1 g2 g3 g4]" {
		t.Error(names)
	}
	if out := must(w.client.DescribeAutoScalingGroups(t.Context(), &as.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{"none"}})); out.AutoScalingGroups == nil || len(out.AutoScalingGroups) != 0 {
		t.Errorf("%+v", out)
	}
}
