package autoscaling_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
)

func (w *world) start2(p astypes.RefreshPreferences) {
	w.Helper()
	w.startRefresh(&as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g"), DesiredConfiguration: version("2"), Preferences: &p})
}

func (w *world) protect(on bool, ids ...string) {
	w.Helper()
	must(w.client.SetInstanceProtection(w.Context(), &as.SetInstanceProtectionInput{AutoScalingGroupName: aws.String("g"), InstanceIds: ids, ProtectedFromScaleIn: &on}))
}

func (w *world) rollBack() {
	w.Helper()
	must(w.client.RollbackInstanceRefresh(w.Context(), &as.RollbackInstanceRefreshInput{AutoScalingGroupName: aws.String("g")}))
}

// expectEnd checks the status of the newest refresh, the instances and the version of the group.
func (w *world) expectEnd(status astypes.InstanceRefreshStatus, version, instances string) {
	w.Helper()
	if r := w.refresh(); r.Status != status {
		w.Errorf("it is %s: %s, %d %%", r.Status, aws.ToString(r.StatusReason), aws.ToInt32(r.PercentageComplete))
	}
	if got := *w.group("g").LaunchTemplate.Version; got != version {
		w.Errorf("the group has version %s, not %s", got, version)
	}
	w.expectInstances(instances)
}

// Documented: what happens to protected instances and to those in standby, as the request wants it.
func TestInstancesThatARefreshMustNotTouch(t *testing.T) {
	const minute = 60
	for _, test := range []struct {
		name      string
		p         astypes.RefreshPreferences
		protected bool // or in standby
		at        float64
		status    astypes.InstanceRefreshStatus
		version   string
		instances string
	}{
		{"protected: wait", astypes.RefreshPreferences{}, true, 59 * minute, "InProgress", "1", "1 InService v1, 3 InService v2"},
		{"protected: an hour is enough", astypes.RefreshPreferences{}, true, 64 * minute, "Failed", "1", "1 InService v1, 3 InService v2"},
		{"protected: ignore", astypes.RefreshPreferences{ScaleInProtectedInstances: "Ignore"}, true, 10 * minute, "Successful", "2", "1 InService v1, 3 InService v2"},
		{"protected: refresh", astypes.RefreshPreferences{ScaleInProtectedInstances: "Refresh"}, true, 10 * minute, "Successful", "2", "3 InService v2, 4 InService v2"},
		{"protected: roll back", astypes.RefreshPreferences{AutoRollback: aws.Bool(true)}, true, 70 * minute, "RollbackSuccessful", "1", "1 InService v1, 4 InService v1"},
		{"standby: wait", astypes.RefreshPreferences{StandbyInstances: "Wait"}, false, 59 * minute, "InProgress", "1", "1 Standby v1, 3 InService v2"},
		{"standby: an hour is enough", astypes.RefreshPreferences{}, false, 64 * minute, "Failed", "1", "1 Standby v1, 3 InService v2"},
		{"standby: ignore", astypes.RefreshPreferences{StandbyInstances: "Ignore"}, false, 10 * minute, "Successful", "2", "1 Standby v1, 3 InService v2"},
		{"standby: terminate", astypes.RefreshPreferences{StandbyInstances: "Terminate"}, false, 10 * minute, "Successful", "2", "3 InService v2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.create("g", 2)
			if test.protected {
				w.protect(true, id(1))
			} else {
				must(w.client.EnterStandby(t.Context(), &as.EnterStandbyInput{AutoScalingGroupName: aws.String("g"), InstanceIds: []string{id(1)}, ShouldDecrementDesiredCapacity: aws.Bool(true)}))
			}
			w.at(30)
			w.begin()
			w.start2(test.p)
			w.at(test.at)
			w.expectEnd(test.status, test.version, test.instances)
		})
	}
}

// Documented: an instance whose protection ends while a refresh waits for it is replaced then.
func TestProtectionThatEndsInTime(t *testing.T) {
	w := newWorld(t)
	w.create("g", 1)
	w.protect(true, id(1))
	w.start2(astypes.RefreshPreferences{})
	w.at(3000)
	w.protect(false, id(1))
	w.at(3300)
	w.expectEnd("Successful", "2", "2 InService v2")
}

// Documented: without skip matching all instances are replaced, also those that are as wanted; with it only the others. Without a desired
// configuration wanted is what the group has.
func TestWhichInstancesAreReplaced(t *testing.T) {
	for _, test := range []struct {
		skip    bool
		desired *astypes.DesiredConfiguration
		want    string
	}{
		{false, nil, "3 InService v1, 4 InService v1"},
		{true, nil, "1 InService v1, 3 InService v1"},
		{false, version("2"), "3 InService v2, 4 InService v2"},
		{true, version("2"), "2 InService v2, 3 InService v2"},
		{true, version("$Latest"), "2 InService v2, 3 InService v2"},
		{true, version("$Default"), "1 InService v1, 3 InService v1"},
	} {
		w := newWorld(t)
		w.create("g", 1)
		update := func(v string) {
			must(w.client.UpdateAutoScalingGroup(t.Context(), &as.UpdateAutoScalingGroupInput{AutoScalingGroupName: aws.String("g"), LaunchTemplate: version(v).LaunchTemplate}))
		}
		update("2")
		w.desire(2)
		w.at(60)
		update("1")
		w.startRefresh(&as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g"), DesiredConfiguration: test.desired, Preferences: &astypes.RefreshPreferences{SkipMatching: &test.skip}})
		w.at(900)
		if got := w.instances(); got != test.want || w.refresh().Status != astypes.InstanceRefreshStatusSuccessful {
			t.Errorf("skip %v, desired %+v: %s", test.skip, test.desired, got)
		}
	}
}

// Documented, and from a user's report: a group of one at 100 % loses its only instance unless the maximum is given, too.
func TestAGroupOfOne(t *testing.T) {
	for _, test := range []struct {
		least, most *int32
		want        string
	}{
		{nil, nil, "1 Terminating v1, 2 Pending v2"},
		{aws.Int32(100), nil, "1 Terminating v1, 2 Pending v2"},
		{aws.Int32(90), aws.Int32(100), "1 InService v1, 2 Pending v2"},
		{aws.Int32(100), aws.Int32(100), "1 InService v1, 2 Pending v2"},
		{aws.Int32(100), aws.Int32(200), "1 InService v1, 2 Pending v2"},
		{aws.Int32(0), aws.Int32(100), "1 Terminating v1, 2 Pending v2"},
	} {
		w := newWorld(t)
		w.create("g", 1)
		w.start2(astypes.RefreshPreferences{MinHealthyPercentage: test.least, MaxHealthyPercentage: test.most})
		w.at(11)
		if got := w.instances(); got != test.want {
			t.Errorf("%v to %v: %s", aws.ToInt32(test.least), aws.ToInt32(test.most), got)
		}
	}
}

// Documented: checkpoints are shares of the whole group, each followed by its delay, an hour where none is given. After a last one below 100 %
// the refresh is over, and the group has the new configuration.
func TestCheckpointsOfAGroup(t *testing.T) {
	w := newWorld(t)
	w.create("g", 4)
	w.start2(astypes.RefreshPreferences{MinHealthyPercentage: aws.Int32(0), CheckpointPercentages: []int32{25, 75}})
	w.at(12)
	w.expectInstances("1 Terminating v1, 2 InService v1, 3 InService v1, 4 InService v1, 5 Pending v2")
	w.at(600)
	if r := w.refresh(); *r.PercentageComplete != 25 || *r.InstancesToUpdate != 3 || r.Status != astypes.InstanceRefreshStatusInProgress ||
		*r.StatusReason != "Waiting for checkpoint delay to finish before continuing. There are 3086 seconds left." {
		t.Errorf("%d %%, %d: %s", *r.PercentageComplete, *r.InstancesToUpdate, aws.ToString(r.StatusReason))
	}
	w.expectInstances("2 InService v1, 3 InService v1, 4 InService v1, 5 InService v2")
	w.at(3688)
	w.expectInstances("2 Terminating v1, 3 Terminating v1, 4 InService v1, 5 InService v2, 6 Pending v2, 7 Pending v2")
	w.at(4000)
	w.expectEnd("Successful", "2", "4 InService v1, 5 InService v2, 6 InService v2, 7 InService v2")
	if r := w.refresh(); *r.PercentageComplete != 75 || *r.InstancesToUpdate != 1 {
		t.Errorf("%d %%, %d", *r.PercentageComplete, *r.InstancesToUpdate)
	}
}

// Documented: cancelling undoes nothing, whatever is under way; the group keeps its configuration, and may be refreshed again.
func TestWhatACancelledRefreshLeaves(t *testing.T) {
	for at, test := range map[float64]struct {
		wait      bool
		seconds   float64 // until it is over
		instances string
	}{
		5:   {true, 1, "1 InService v1, 2 InService v1"},
		11:  {true, 22, "2 InService v1, 3 InService v2"},
		100: {true, 60, "3 InService v2, 4 InService v2"},
		140: {false, 5, "3 InService v2, 4 InService v2"},
	} {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			w := newWorld(t)
			w.create("g", 2)
			w.start2(astypes.RefreshPreferences{BakeTime: aws.Int32(3600)})
			w.at(at)
			w.begin()
			must(w.client.CancelInstanceRefresh(t.Context(), &as.CancelInstanceRefreshInput{AutoScalingGroupName: aws.String("g"), WaitForTransitioningInstances: &test.wait}))
			if r := w.refresh(); r.Status != astypes.InstanceRefreshStatusCancelling && at != 5 {
				t.Errorf("at once it is %s", r.Status)
			}
			w.at(test.seconds)
			if r := w.refresh(); r.Status != astypes.InstanceRefreshStatusCancelled || r.EndTime == nil {
				t.Errorf("after %v s it is %s", test.seconds, r.Status)
			}
			w.at(300)
			w.expectEnd("Cancelled", "1", test.instances)
			w.start2(astypes.RefreshPreferences{SkipMatching: aws.Bool(true)})
			w.at(900)
			if r := w.refresh(); r.Status != astypes.InstanceRefreshStatusSuccessful {
				t.Errorf("the next one is %s", r.Status)
			}
		})
	}
}

// Documented: a rollback can be cancelled, too, which leaves what there is.
func TestARollbackIsCancelled(t *testing.T) {
	w := newWorld(t)
	w.create("g", 2)
	w.start2(astypes.RefreshPreferences{BakeTime: aws.Int32(3600)})
	w.at(400)
	w.rollBack()
	w.at(410)
	must(w.client.CancelInstanceRefresh(t.Context(), &as.CancelInstanceRefreshInput{AutoScalingGroupName: aws.String("g")}))
	w.at(600)
	w.expectEnd("Cancelled", "1", "4 InService v2, 5 InService v1")
	if d := w.refresh().RollbackDetails; d == nil {
		t.Error("the details of the rollback are gone")
	}
	_, err := w.client.RollbackInstanceRefresh(t.Context(), &as.RollbackInstanceRefreshInput{AutoScalingGroupName: aws.String("g")})
	w.refused(err, "ActiveInstanceRefreshNotFound", "No in progress or baking Instance Refresh found for Auto Scaling group g.")
}

// Documented: what cannot be rolled back by a request, each with its refresh in progress.
func TestRollbacksThatAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		group   *astypes.LaunchTemplateSpecification
		message string
	}{
		"latest":    {version("$Latest").LaunchTemplate, "The instance refresh cannot be rolled back because the Auto Scaling group uses the launch template's $Latest or $Default version."},
		"default":   {version("$Default").LaunchTemplate, "The instance refresh cannot be rolled back because the Auto Scaling group uses the launch template's $Latest or $Default version."},
		"no number": {&astypes.LaunchTemplateSpecification{LaunchTemplateName: aws.String("web")}, "The instance refresh cannot be rolled back because the Auto Scaling group uses the launch template's $Latest or $Default version."},
		"parameter": {&astypes.LaunchTemplateSpecification{LaunchTemplateName: aws.String("param"), Version: aws.String("1")}, "The instance refresh cannot be rolled back because the Auto Scaling group has a launch template that uses an AWS Systems Manager parameter instead of an AMI ID."},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.create("g", 1, func(in *as.CreateAutoScalingGroupInput) { in.LaunchTemplate = test.group })
			w.start2(astypes.RefreshPreferences{})
			w.at(20)
			before := w.refresh()
			_, err := w.client.RollbackInstanceRefresh(t.Context(), &as.RollbackInstanceRefreshInput{AutoScalingGroupName: aws.String("g")})
			w.refused(err, "IrreversibleInstanceRefresh", test.message)
			if r := w.refresh(); r.Status != before.Status || r.RollbackDetails != nil {
				t.Errorf("it is %s", r.Status)
			}
		})
	}
}

// Documented: an alarm fails a refresh, in progress or baking, or rolls it back where that is asked for; one that nobody named does nothing.
func TestAlarms(t *testing.T) {
	for _, test := range []struct {
		name     string
		at       float64
		rollback bool
		state    cwtypes.StateValue
		status   astypes.InstanceRefreshStatus
		version  string
	}{
		{"errors", 60, false, cwtypes.StateValueAlarm, "Failed", "1"},
		{"errors", 60, true, cwtypes.StateValueAlarm, "RollbackSuccessful", "1"},
		{"errors", 300, false, cwtypes.StateValueAlarm, "Failed", "1"},
		{"errors", 300, true, cwtypes.StateValueAlarm, "RollbackSuccessful", "1"},
		{"errors", 60, true, cwtypes.StateValueInsufficientData, "Successful", "2"},
		{"others", 60, true, cwtypes.StateValueAlarm, "Successful", "2"},
	} {
		t.Run(fmt.Sprintf("%s %s at %.0f", test.name, test.state, test.at), func(t *testing.T) {
			w := newWorld(t)
			w.create("g", 2)
			for _, name := range []string{"errors", "others"} {
				w.setAlarm(name, cwtypes.StateValueOk)
			}
			w.start2(astypes.RefreshPreferences{AutoRollback: &test.rollback, BakeTime: aws.Int32(300), AlarmSpecification: &astypes.AlarmSpecification{Alarms: []string{"missing", "errors"}}})
			w.at(test.at)
			w.setAlarm(test.name, test.state)
			w.at(test.at + 15) // so long a fleet may burn
			if r := w.refresh(); test.version == "1" && r.Status != astypes.InstanceRefreshStatusFailed && r.Status != astypes.InstanceRefreshStatusRollbackInProgress {
				t.Errorf("15 s later it is %s", r.Status)
			}
			w.at(900)
			if r := w.refresh(); r.Status != test.status || *w.group("g").LaunchTemplate.Version != test.version {
				t.Errorf("it is %s: %s", r.Status, aws.ToString(r.StatusReason))
			}
		})
	}
}

func (w *world) setAlarm(name string, to cwtypes.StateValue) {
	_ = w.store.Update(region, func(r *state.Region) error {
		a := &state.Alarm{Account: account}
		a.AlarmName, a.StateValue = &name, to
		r.Alarms.Put(state.Key(account, name), a)
		return nil
	})
}

// A refresh may turn a launch template into a mixed instances policy; a rollback gives the group back what it was, member by member.
func TestARollbackRestoresThePolicy(t *testing.T) {
	mixed := func(v string, kinds ...string) *astypes.MixedInstancesPolicy {
		p := &astypes.MixedInstancesPolicy{LaunchTemplate: &astypes.LaunchTemplate{LaunchTemplateSpecification: version(v).LaunchTemplate}}
		for _, k := range kinds {
			p.LaunchTemplate.Overrides = append(p.LaunchTemplate.Overrides, astypes.LaunchTemplateOverrides{InstanceType: aws.String(k)})
		}
		return p
	}
	w := newWorld(t)
	w.create("g", 2, func(in *as.CreateAutoScalingGroupInput) {
		in.LaunchTemplate, in.MixedInstancesPolicy = nil, mixed("1", "t3.nano", "t3.micro")
	})
	before := w.group("g")
	kinds := func() string {
		var all []string
		for _, i := range w.group("g").Instances {
			all = append(all, *i.InstanceType+" v"+*i.LaunchTemplate.Version)
		}
		slices.Sort(all)
		return fmt.Sprint(all)
	}
	w.startRefresh(&as.StartInstanceRefreshInput{
		AutoScalingGroupName: aws.String("g"), DesiredConfiguration: &astypes.DesiredConfiguration{MixedInstancesPolicy: mixed("2", "t3.small")},
		Preferences: &astypes.RefreshPreferences{BakeTime: aws.Int32(3600), MinHealthyPercentage: aws.Int32(0)},
	})
	w.at(400)
	if got := kinds(); got != "[t3.small v2 t3.small v2]" {
		t.Error(got)
	}
	w.rollBack()
	w.at(800)
	after := w.group("g")
	if got := kinds(); got != "[t3.nano v1 t3.nano v1]" || after.LaunchTemplate != nil || !sameJSON(t, before.MixedInstancesPolicy, after.MixedInstancesPolicy) {
		t.Errorf("%s, %+v", got, after.MixedInstancesPolicy)
	}
	w.start2(astypes.RefreshPreferences{MinHealthyPercentage: aws.Int32(0)})
	w.at(1400)
	after = w.group("g")
	if got := kinds(); got != "[t3.nano v2 t3.nano v2]" || after.MixedInstancesPolicy != nil || *after.LaunchTemplate.Version != "2" {
		t.Errorf("%s, %+v", got, after.MixedInstancesPolicy)
	}
}

// What a mixed instances policy must have, and what is not modelled.
func TestPoliciesThatAreRefused(t *testing.T) {
	w := newWorld(t)
	w.create("g", 0)
	base := func() *astypes.LaunchTemplate {
		return &astypes.LaunchTemplate{LaunchTemplateSpecification: version("1").LaunchTemplate}
	}
	with := func(o astypes.LaunchTemplateOverrides) *astypes.MixedInstancesPolicy {
		t := base()
		t.Overrides = []astypes.LaunchTemplateOverrides{o}
		return &astypes.MixedInstancesPolicy{LaunchTemplate: t}
	}
	for message, p := range map[string]*astypes.MixedInstancesPolicy{
		"The LaunchTemplateSpecification of the MixedInstancesPolicy must be specified.":                                                                  {LaunchTemplate: &astypes.LaunchTemplate{Overrides: []astypes.LaunchTemplateOverrides{{InstanceType: aws.String("t3.nano")}}}},
		"InstanceRequirements is not supported by this endpoint. Leave it out of the request.":                                                            with(astypes.LaunchTemplateOverrides{InstanceRequirements: &astypes.InstanceRequirements{VCpuCount: &astypes.VCpuCountRequest{Min: aws.Int32(1)}, MemoryMiB: &astypes.MemoryMiBRequest{Min: aws.Int32(1)}}}),
		"WeightedCapacity is not supported by this endpoint. Leave it out of the request.":                                                                with(astypes.LaunchTemplateOverrides{InstanceType: aws.String("t3.nano"), WeightedCapacity: aws.String("2")}),
		"You must use a valid fully-formed launch template. Could not find the specified version 7 for the launch template with ID lt-0aaaaaaaaaaaaaaaa.": with(astypes.LaunchTemplateOverrides{LaunchTemplateSpecification: version("7").LaunchTemplate}),
	} {
		_, err := w.client.UpdateAutoScalingGroup(t.Context(), &as.UpdateAutoScalingGroupInput{AutoScalingGroupName: aws.String("g"), MixedInstancesPolicy: p})
		w.refused(err, "ValidationError", message)
		_, err = w.client.StartInstanceRefresh(t.Context(), &as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g"), DesiredConfiguration: &astypes.DesiredConfiguration{MixedInstancesPolicy: p}})
		w.refused(err, "ValidationError", message)
	}
	both := &astypes.DesiredConfiguration{LaunchTemplate: version("1").LaunchTemplate, MixedInstancesPolicy: with(astypes.LaunchTemplateOverrides{})}
	_, err := w.client.StartInstanceRefresh(t.Context(), &as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g"), DesiredConfiguration: both})
	w.refused(err, "ValidationError", "The request isn't valid. The DesiredConfiguration parameter can have either a LaunchTemplate or a MixedInstancesPolicy.")
	if g := w.group("g"); g.MixedInstancesPolicy != nil || *g.LaunchTemplate.Version != "1" {
		t.Errorf("%+v", g)
	}
	if out := must(w.client.DescribeInstanceRefreshes(t.Context(), &as.DescribeInstanceRefreshesInput{AutoScalingGroupName: aws.String("g")})); len(out.InstanceRefreshes) != 0 {
		t.Errorf("%+v", out.InstanceRefreshes)
	}
}

// Documented: root volumes are replaced only where every override names an image of one volume.
func TestRootVolumesThatCannotBeReplaced(t *testing.T) {
	w := newWorld(t)
	w.create("g", 1, func(in *as.CreateAutoScalingGroupInput) {
		in.LaunchTemplate, in.MixedInstancesPolicy = nil, images("ami-00000000000000011")
	})
	_ = w.store.Update(region, func(r *state.Region) error {
		two, gone := &state.Image{}, &state.Image{Deregistered: true}
		two.BlockDeviceMappings = []ec2types.BlockDeviceMapping{{Ebs: &ec2types.EbsBlockDevice{}}, {VirtualName: aws.String("ephemeral0")}, {Ebs: &ec2types.EbsBlockDevice{}}}
		r.Images.Put("ami-00000000000000022", two)
		r.Images.Put("ami-00000000000000033", gone)
		return nil
	})
	for image, message := range map[string]string{
		"ami-00000000000000022": "The request isn't valid. ReplaceRootVolume needs images with one volume, and ami-00000000000000022 has 2.",
		"ami-00000000000000033": "You must use a valid fully-formed launch template. The image id '[ami-00000000000000033]' does not exist",
		"ami-00000000000000044": "You must use a valid fully-formed launch template. The image id '[ami-00000000000000044]' does not exist",
	} {
		_, err := w.client.StartInstanceRefresh(t.Context(), &as.StartInstanceRefreshInput{
			AutoScalingGroupName: aws.String("g"), Strategy: astypes.RefreshStrategyReplaceRootVolume, DesiredConfiguration: &astypes.DesiredConfiguration{MixedInstancesPolicy: images(image)},
		})
		w.refused(err, "ValidationError", message)
	}
}

// A version that is deleted while a refresh wants it: nothing is terminated that could not be replaced, and the refresh fails in the end.
func TestTheVersionGoesAwayDuringARefresh(t *testing.T) {
	w := newWorld(t)
	w.create("g", 3)
	w.start2(astypes.RefreshPreferences{MinHealthyPercentage: aws.Int32(60)})
	w.at(40)
	_ = w.store.Update(region, func(r *state.Region) error {
		r.LaunchTemplates.Put("lt-0aaaaaaaaaaaaaaaa", template("lt-0aaaaaaaaaaaaaaaa", "web", 1, "ami-00000000000000011"))
		return nil
	})
	for range 80 {
		w.clock.Advance(time.Minute)
		if n := len(w.group("g").Instances); n < 3 {
			t.Fatalf("%d instances: %s", n, w.instances())
		}
	}
	r := w.refresh()
	if r.Status != astypes.InstanceRefreshStatusFailed || *w.group("g").LaunchTemplate.Version != "1" {
		t.Errorf("it is %s: %s", r.Status, aws.ToString(r.StatusReason))
	}
	want := "Instance refresh failed due to no progress for an hour. Waiting for instances to launch before continuing. The last launch failed: " +
		"ValidationError: You must use a valid fully-formed launch template. Could not find the specified version 2 for the launch template with ID lt-0aaaaaaaaaaaaaaaa."
	if aws.ToString(r.StatusReason) != want {
		t.Error(aws.ToString(r.StatusReason))
	}
}

func sameJSON(t *testing.T, a, b any) bool {
	t.Helper()
	x, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(x) == string(y)
}
