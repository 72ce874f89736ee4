package asg_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
)

func TestRollout(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(4)
	f, s := w.fleet(strategy()), strategy()
	r := w.begin(f, w.rollout(s))
	if len(r.Moves) != 1 || r.Moves[0].From != "1" || r.Moves[0].To != "2" || r.Moves[0].FromAMI != w.images[0] || r.Moves[0].ToAMI != w.images[1] || r.Refresh == "" {
		t.Fatalf("got %+v", r)
	}
	h := w.follow(f, r, func(o promote.Observation) bool { return o.Percent >= 25 && o.Healthy == 4 })
	if h.last.New != 1 || h.last.Old != 3 || h.most > 1 {
		t.Errorf("the canary: %+v", h.last)
	}
	h = w.follow(f, r, nil)
	if h.last.State != promote.Succeeded || h.last.New != 4 || h.last.Old != 0 || h.last.Healthy != 4 || h.last.Percent != 100 || h.last.Desired != 4 {
		t.Errorf("got %+v", h.last)
	}
	if want := []promote.State{promote.Replacing, promote.Soaking, promote.Succeeded}; !slices.Equal(h.states, want) {
		t.Errorf("it went through %v", h.states)
	}
	if h.least < 3 {
		t.Errorf("%d were healthy", h.least)
	}
	if got := aws.ToString(w.group().LaunchTemplate.Version); got != "2" {
		t.Errorf("the group has version %s", got)
	}
}

// Only the image changes, and who finds the version knows where it came from.
func TestAVersionDiffersInItsImageOnly(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(2)
	_, err := w.fleet(strategy()).Stage(t.Context(), w.rollout(strategy()))
	ok(t, err)
	v := w.versions(w.template)
	if len(v) != 2 || aws.ToString(v[1].LaunchTemplateData.ImageId) != w.images[1] {
		t.Fatalf("got %d versions", len(v))
	}
	v[1].LaunchTemplateData.ImageId = v[0].LaunchTemplateData.ImageId
	if d := cmp.Diff(v[0].LaunchTemplateData, v[1].LaunchTemplateData, cmpopts.IgnoreUnexported(ec2types.ResponseLaunchTemplateData{},
		ec2types.LaunchTemplateInstanceMetadataOptions{})); d != "" {
		t.Error(d)
	}
	if text := aws.ToString(v[1].VersionDescription); !strings.Contains(text, "web:2 for web@production#1/web-eu") || !strings.Contains(text, "from 1") {
		t.Errorf("described as %q", text)
	}
	if aws.ToBool(v[1].DefaultVersion) {
		t.Error("it became the default")
	}
}

// A failing image takes no fleet below its minimum, nor past its first checkpoint, and goes back by itself.
func TestAFailingImage(t *testing.T) {
	for name, do := range map[string]string{"does not start": "fail: Server.InternalError", "never gets well": "status: never"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "rules:\n- match: { tags: { \"aws:ec2launchtemplate:version\": \"2\" } }\n  do: { "+do+" }\n")
			w.addGroup(4)
			s := strategy()
			s.MinHealthy, s.MaxHealthy, s.Warmup = 100, 150, bake.Duration(3*time.Minute) // status checks take two
			f := w.fleet(s)
			h := w.follow(f, w.begin(f, w.rollout(s)), nil)
			if h.last.State != promote.WentBack || h.last.Old != 4 || h.last.New != 0 {
				t.Errorf("got %+v", h.last)
			}
			if h.least < 4 || h.most > 1 {
				t.Errorf("%d were healthy, %d were new", h.least, h.most)
			}
		})
	}
}

// AWS has the alarms itself where it rolls back by itself; where not, who watches does.
func TestAnAlarm(t *testing.T) {
	for _, auto := range []bool{true, false} {
		w := newWorld(t, "")
		w.addGroup(6)
		w.alarm("web-5xx", cwtypes.StateValueOk)
		s := strategy()
		s.Alarms, s.AutoRollback = []string{"web-5xx"}, auto
		f := w.fleet(s)
		r := w.begin(f, w.rollout(s))
		w.follow(f, r, func(o promote.Observation) bool { return o.New >= 1 && o.Percent > 10 })
		if !auto { // AWS only lets the refresh fail, which an alarm of ours does not
			r.Fleet.Strategy.Alarms = []string{"web-slow"}
			w.alarm("web-slow", cwtypes.StateValueAlarm)
		} else {
			w.alarm("web-5xx", cwtypes.StateValueAlarm)
		}
		alarmed := w.cloud.Now()
		w.follow(f, r, func(o promote.Observation) bool {
			if o.Alarm != "" && !auto {
				ok(t, f.Rollback(t.Context(), r))
			}
			return o.State == promote.GoingBack
		})
		if took := w.cloud.Now().Sub(alarmed); took > 15*time.Second {
			t.Errorf("auto %v: the way back began after %v", auto, took)
		}
		if h := w.follow(f, r, nil); h.last.State != promote.WentBack || h.last.New != 0 || h.last.Old != 6 || h.least < 4 {
			t.Errorf("auto %v: got %+v", auto, h)
		} else if auto && !strings.Contains(h.last.Reason, "web-5xx") { // why it turned, to its end
			t.Errorf("it went back because %q", h.last.Reason)
		}
	}
}

// After a rollout the way back is another refresh, of what was kept, and it leaves what has it already.
func TestTheWayBack(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(4)
	f := w.fleet(strategy())
	r := w.begin(f, w.rollout(strategy()))
	w.follow(f, r, nil)
	if err := f.Rollback(t.Context(), r); !errors.Is(err, promote.ErrTooLate) {
		t.Errorf("a refresh that has ended: %v", err)
	}
	p, err := f.Preflight(t.Context(), promote.Query{Image: web(1), Moves: r.Moves})
	ok(t, err)
	if len(p.Refusals) > 0 || p.There {
		t.Errorf("got %+v", p)
	}
	r.Refresh, r.Back = "", true
	back, err := f.Start(t.Context(), r)
	ok(t, err)
	h := w.follow(f, back, nil)
	if h.last.State != promote.Succeeded || h.last.New != 4 || h.last.Old != 0 || h.least < 3 {
		t.Errorf("got %+v", h)
	}
	if got := aws.ToString(w.group().LaunchTemplate.Version); got != "1" {
		t.Errorf("the group has version %s", got)
	}
	again, err := f.Start(t.Context(), r)
	ok(t, err)
	if again.Refresh != back.Refresh || len(w.refreshes()) != 2 {
		t.Errorf("the way back was begun again: %+v", again)
	}
	if p, err = f.Preflight(t.Context(), promote.Query{Image: web(1), Moves: r.Moves}); err != nil || !p.There {
		t.Errorf("it is there: %+v, %v", p, err)
	}
}

// Whoever has nothing to go back from begins nothing.
func TestTheWayBackOfNothing(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(2)
	f := w.fleet(strategy())
	r, err := f.Stage(t.Context(), w.rollout(strategy()))
	ok(t, err)
	r.Back = true
	r, err = f.Start(t.Context(), r)
	if err != nil || r.Refresh != "" || len(w.refreshes()) != 0 {
		t.Errorf("got %+v, %v", r, err)
	}
	if o, err := f.Observe(t.Context(), r); err != nil || o.State != promote.Succeeded || o.New != 2 {
		t.Errorf("got %+v, %v", o, err)
	}
	if err := f.Rollback(t.Context(), w.rollout(strategy())); !errors.Is(err, promote.ErrTooLate) && !errors.Is(err, bake.ErrRefused) {
		t.Errorf("nothing was begun: %v", err)
	}
}

// A refresh that was stopped leaves a mixture, from which the way back starts.
func TestCancel(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(4)
	f := w.fleet(strategy())
	r := w.begin(f, w.rollout(strategy()))
	w.follow(f, r, func(o promote.Observation) bool { return o.New >= 2 })
	ok(t, f.Cancel(t.Context(), r))
	ok(t, f.Cancel(t.Context(), r))
	if h := w.follow(f, r, nil); h.last.State != promote.Cancelled || h.last.New == 0 || h.last.Old == 0 {
		t.Errorf("got %+v", h.last)
	}
	ok(t, f.Cancel(t.Context(), r))
	if err := f.Rollback(t.Context(), r); !errors.Is(err, promote.ErrTooLate) {
		t.Errorf("got %v", err)
	}
	r.Refresh, r.Back = "", true
	r, err := f.Start(t.Context(), r)
	ok(t, err)
	if h := w.follow(f, r, nil); h.last.State != promote.Succeeded || h.last.Old != 0 || h.last.New != 4 {
		t.Errorf("got %+v", h.last)
	}
}

// Before it has begun AWS cannot turn a refresh round: it is stopped, and then there is nothing to go back from.
func TestRollbackOfARefreshThatHasNotBegun(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(2)
	f := w.fleet(strategy())
	r := w.begin(f, w.rollout(strategy()))
	if err := f.Rollback(t.Context(), r); !errors.Is(err, promote.ErrTooLate) {
		t.Fatalf("got %v", err)
	}
	ok(t, f.Cancel(t.Context(), r))
	w.follow(f, r, nil)
	r.Refresh, r.Back = "", true
	r, err := f.Start(t.Context(), r)
	if err != nil || r.Refresh != "" {
		t.Errorf("got %+v, %v", r, err)
	}
}

// Who does not know the id of the refresh finds it.
func TestRollbackWithoutAnID(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(4)
	f := w.fleet(strategy())
	r := w.begin(f, w.rollout(strategy()))
	w.follow(f, r, func(o promote.Observation) bool { return o.New == 1 })
	unknown := r
	unknown.Refresh = ""
	ok(t, f.Rollback(t.Context(), unknown))
	ok(t, f.Rollback(t.Context(), r))
	if h := w.follow(f, unknown, nil); h.last.State != promote.WentBack || h.last.Old != 4 {
		t.Errorf("got %+v", h.last)
	}
}

// A group without instances is moved all the same: what it launches later is the image.
func TestAnEmptyGroup(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(0)
	f := w.fleet(strategy())
	h := w.follow(f, w.begin(f, w.rollout(strategy())), nil)
	if got := aws.ToString(w.group().LaunchTemplate.Version); got != "2" || h.last.State != promote.Succeeded {
		t.Errorf("version %s, %+v", got, h.last)
	}
}

// Somebody else's refresh is not taken for ours, and stays.
func TestAnothersRefresh(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(2)
	f := w.fleet(strategy())
	r, err := f.Stage(t.Context(), w.rollout(strategy()))
	ok(t, err)
	_, err = target.AutoScaling(w.admin).StartInstanceRefresh(t.Context(), &autoscaling.StartInstanceRefreshInput{AutoScalingGroupName: aws.String(group)})
	ok(t, err)
	if _, err := f.Start(t.Context(), r); !errors.Is(err, bake.ErrRefused) || !strings.Contains(err.Error(), "another instance refresh") {
		t.Errorf("got %v", err)
	}
	r.Back = true
	if r, err = f.Start(t.Context(), r); err != nil || r.Refresh != "" {
		t.Errorf("the way back of a fleet that was not touched: %q, %v", r.Refresh, err)
	}
	if len(w.refreshes()) != 1 {
		t.Error("a second one was begun")
	}
}

// The way back waits until the refresh that it is the way back of has ended, also one whose id nobody knows.
func TestTheWayBackWaits(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(2)
	f := w.fleet(strategy())
	r, err := f.Stage(t.Context(), w.rollout(strategy()))
	ok(t, err)
	_, err = f.Start(t.Context(), r)
	ok(t, err)
	r.Back = true
	if _, err := f.Start(t.Context(), r); !errors.Is(err, bake.ErrRefused) {
		t.Errorf("got %v", err)
	}
}

// A group that somebody has changed since it was looked at is not moved.
func TestAGroupThatChanged(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(2)
	f := w.fleet(strategy())
	r, err := f.Stage(t.Context(), w.rollout(strategy()))
	ok(t, err)
	other := w.addTemplate("other", &ec2types.RequestLaunchTemplateData{ImageId: &w.images[0], InstanceType: ec2types.InstanceTypeT3Micro})
	_, err = target.AutoScaling(w.admin).UpdateAutoScalingGroup(t.Context(), &autoscaling.UpdateAutoScalingGroupInput{
		AutoScalingGroupName: aws.String(group), LaunchTemplate: spec(other, "1"),
	})
	ok(t, err)
	if _, err := f.Start(t.Context(), r); !errors.Is(err, bake.ErrRefused) || !strings.Contains(err.Error(), "changed") {
		t.Errorf("got %v", err)
	}
}

// A role in another account is all that another account needs.
func TestAnotherAccount(t *testing.T) {
	w := newWorldOf(t, "", target.Spec{
		Name: "other", Endpoint: "http://localhost", Region: region, AccessKey: home, RoleARN: "arn:aws:iam::444455556666:role/iibake",
	})
	w.addGroup(2)
	f := w.fleet(strategy())
	h := w.follow(f, w.begin(f, w.rollout(strategy())), nil)
	if h.last.State != promote.Succeeded || h.last.New != 2 || !strings.Contains(aws.ToString(w.group().AutoScalingGroupARN), "444455556666") {
		t.Errorf("got %+v", h.last)
	}
}

// Root volumes are replaced where the strategy says so: the instances stay.
func TestReplaceRootVolume(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(3, mixed(w, []astypes.LaunchTemplateOverrides{
		{InstanceType: aws.String("t3.micro"), ImageId: &w.images[0]}, {InstanceType: aws.String("t3.small"), ImageId: &w.images[0]},
	}))
	before := instances(w.group())
	s := strategy()
	s.Kind = promote.ReplaceRootVolume
	f := w.fleet(s)
	p, err := f.Preflight(t.Context(), w.query())
	ok(t, err)
	if len(p.Refusals) > 0 {
		t.Fatal(p.Refusals)
	}
	r := w.begin(f, w.rollout(s))
	if h := w.follow(f, r, nil); h.last.State != promote.Succeeded || h.last.New != 3 {
		t.Errorf("got %+v", h.last)
	}
	if after := instances(w.group()); !slices.Equal(after, before) {
		t.Errorf("%v became %v", before, after)
	}
	r.Refresh, r.Back = "", true
	r, err = f.Start(t.Context(), r)
	ok(t, err)
	w.follow(f, r, nil)
	if o := w.group().MixedInstancesPolicy.LaunchTemplate.Overrides; aws.ToString(o[0].ImageId) != w.images[0] || aws.ToString(o[1].ImageId) != w.images[0] {
		t.Errorf("the overrides did not go back: %s %s", aws.ToString(o[0].ImageId), aws.ToString(o[1].ImageId))
	}
}

func instances(g astypes.AutoScalingGroup) []string {
	var all []string
	for _, in := range g.Instances {
		all = append(all, aws.ToString(in.InstanceId))
	}
	slices.Sort(all)
	return all
}

// mixed gives a group a mixed instances policy.
func mixed(w *world, overrides []astypes.LaunchTemplateOverrides) func(*autoscaling.CreateAutoScalingGroupInput) {
	return func(in *autoscaling.CreateAutoScalingGroupInput) {
		in.LaunchTemplate = nil
		in.MixedInstancesPolicy = &astypes.MixedInstancesPolicy{
			InstancesDistribution: &astypes.InstancesDistribution{OnDemandBaseCapacity: aws.Int32(1), OnDemandPercentageAboveBaseCapacity: aws.Int32(100)},
			LaunchTemplate:        &astypes.LaunchTemplate{LaunchTemplateSpecification: spec(w.template, "1"), Overrides: overrides},
		}
	}
}
