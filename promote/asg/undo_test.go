package asg_test

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/promote/asg"
)

// hotfix is what an operator rolls out by hand: another version of the launch template. It returns its number.
func (w *world) hotfix(refresh bool) string {
	w.t.Helper()
	number := w.addVersion(w.template, w.images[0])
	if !refresh {
		w.update(&autoscaling.UpdateAutoScalingGroupInput{LaunchTemplate: spec(w.template, number)})
		return number
	}
	_, err := target.AutoScaling(w.admin).StartInstanceRefresh(w.t.Context(), &autoscaling.StartInstanceRefreshInput{
		AutoScalingGroupName: aws.String(group), DesiredConfiguration: &astypes.DesiredConfiguration{LaunchTemplate: spec(w.template, number)},
		Preferences: &astypes.RefreshPreferences{MinHealthyPercentage: aws.Int32(0), InstanceWarmup: aws.Int32(0)},
	})
	ok(w.t, err)
	return number
}

// failed is a rollout that could not start, and is to be taken back, as the promotion does it: first the refresh, if there is one, then anew.
func failed(t *testing.T, f *asg.Fleet, r promote.Rollout) promote.Rollout {
	t.Helper()
	if _, err := f.Start(t.Context(), r); !errors.Is(err, bake.ErrRefused) {
		t.Fatalf("it starts: %v", err)
	}
	r.Step = 3 // staging, starting, reverting
	if err := f.Rollback(t.Context(), r); !errors.Is(err, promote.ErrTooLate) {
		t.Fatalf("it is turned round: %v", err)
	}
	if o, err := f.Observe(t.Context(), r); err != nil || !o.State.Ended() {
		t.Fatalf("it has not ended: %+v, %v", o, err)
	}
	r.Back, r.Refresh, r.Step = true, "", 4
	return r
}

// Between the look at a group and the start of its rollout an operator gives it a hotfix. The rollout fails, and leaves the hotfix alone.
func TestAHotfixBeforeTheStart(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(2)
	f := w.fleet(strategy())
	r, err := f.Stage(t.Context(), w.rollout(strategy()))
	ok(t, err)
	number := w.hotfix(false)
	r, err = f.Start(t.Context(), failed(t, f, r))
	if err != nil || r.Refresh != "" {
		t.Errorf("it goes back: %q, %v", r.Refresh, err)
	}
	if got := aws.ToString(w.group().LaunchTemplate.Version); got != number || len(w.refreshes()) != 0 {
		t.Errorf("the group has version %s and %d refreshes", got, len(w.refreshes()))
	}
}

// The same with a refresh of the operator's, which runs when the rollout would start and ends a little later.
func TestAHotfixByARefresh(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(2)
	f := w.fleet(strategy())
	r, err := f.Stage(t.Context(), w.rollout(strategy()))
	ok(t, err)
	number := w.hotfix(true)
	r = failed(t, f, r)
	for range 2 { // while it runs, and afterwards
		if back, err := f.Start(t.Context(), r); err != nil || back.Refresh != "" {
			t.Errorf("it goes back: %q, %v", back.Refresh, err)
		}
		w.advance(10 * time.Minute)
	}
	if got := aws.ToString(w.group().LaunchTemplate.Version); got != number || len(w.refreshes()) != 1 {
		t.Errorf("the group has version %s and %d refreshes", got, len(w.refreshes()))
	}
}

// The rollout has arrived, then comes a hotfix, and then something fails elsewhere: what the hotfix replaced stays, and what is mixed a person has
// to look at. Only who asks for the way back gets it over all that.
func TestAHotfixAfterwards(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(2)
	f := w.fleet(strategy())
	r := w.begin(f, w.rollout(strategy()))
	w.follow(f, r, nil)
	number := w.hotfix(false)
	r.Back, r.Refresh, r.Step = true, "", 5
	if _, err := f.Start(t.Context(), r); !errors.Is(err, bake.ErrRefused) || len(w.refreshes()) != 1 {
		t.Errorf("with instances of ours: %v", err)
	}
	_, err := target.AutoScaling(w.admin).StartInstanceRefresh(t.Context(), &autoscaling.StartInstanceRefreshInput{
		AutoScalingGroupName: aws.String(group), Preferences: &astypes.RefreshPreferences{MinHealthyPercentage: aws.Int32(0), InstanceWarmup: aws.Int32(0)},
	})
	ok(t, err)
	w.advance(10 * time.Minute)
	if back, err := f.Start(t.Context(), r); err != nil || back.Refresh != "" || aws.ToString(w.group().LaunchTemplate.Version) != number {
		t.Errorf("with nothing of ours: %+v, %v", back, err)
	}
	r.Step = 1
	if r, err = f.Start(t.Context(), r); err != nil || r.Refresh == "" {
		t.Errorf("who asks for it: %+v, %v", r, err)
	}
	w.follow(f, r, nil)
	if got := aws.ToString(w.group().LaunchTemplate.Version); got != "1" {
		t.Errorf("the group has version %s", got)
	}
}

// A refresh of ours that nobody has the id of is not left running because somebody changed the group under it.
func TestTheGroupChangesUnderOurRefresh(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(2)
	f := w.fleet(strategy())
	r, err := f.Stage(t.Context(), w.rollout(strategy()))
	ok(t, err)
	_, err = f.Start(t.Context(), r)
	ok(t, err)
	w.hotfix(false)
	r.Step = 3
	w.advance(15 * time.Second)
	if err := f.Rollback(t.Context(), r); err != nil {
		t.Errorf("it is not found: %v", err)
	}
	r.Back, r.Step = true, 4
	if _, err := f.Start(t.Context(), r); !errors.Is(err, bake.ErrRefused) {
		t.Errorf("it does not wait: %v", err)
	}
}
