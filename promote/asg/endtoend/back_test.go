package endtoend_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
)

// rollback goes back as a user does who says yes to the plan.
func (p *process) rollback(r promote.RollbackRequest) (promote.Outcome, error) {
	r.Name, r.Channel, r.By = "web", production, "somebody"
	plan, err := p.promoter.PlanRollback(p.ctx, r)
	if err != nil {
		return promote.Outcome{}, err
	}
	return p.promoter.Run(p.ctx, plan)
}

// wantAll checks that the channel and all fleets have the nth image, by the launch template version that has it since the beginning, and
// that there is no other version than the first two.
func (w *world) wantAll(t *testing.T, n int) {
	t.Helper()
	held, err := promote.NewChannels(w.start(nil).catalog).Get(t.Context(), "web", production)
	if err != nil || held != w.images[n-1].Ref {
		t.Errorf("the channel holds %v, %v", held, err)
	}
	version := string(rune('0' + n))
	for _, s := range w.specs {
		for _, g := range w.groups(s) {
			if got := aws.ToString(g.LaunchTemplate.Version); got != version {
				t.Errorf("%s launches version %s, want %s", aws.ToString(g.AutoScalingGroupName), got, version)
			}
			for _, in := range g.Instances {
				if got := aws.ToString(in.LaunchTemplate.Version); got != version && in.LifecycleState == astypes.LifecycleStateInService {
					t.Errorf("%s: %s has version %s, want %s", aws.ToString(g.AutoScalingGroupName), aws.ToString(in.InstanceId), got, version)
				}
			}
		}
		out, err := target.EC2(w.observer(s)).DescribeLaunchTemplates(t.Context(), &ec2.DescribeLaunchTemplatesInput{})
		ok(t, err)
		for _, template := range out.LaunchTemplates {
			if made := aws.ToInt64(template.LatestVersionNumber); made > 2 {
				t.Errorf("%s has %d versions", aws.ToString(template.LaunchTemplateName), made)
			}
		}
	}
}

// After a promotion the fleets go back to the launch template versions that they had, and forth again to those that were made for it.
func TestRollback(t *testing.T) {
	t.Parallel()
	w := guarded(t, small())
	w.promote(t, nil)
	w.wantAll(t, 2)
	began := w.cloud.Now()
	if o, err := w.start(nil).rollback(promote.RollbackRequest{Reason: "it smells"}); err != nil || o.Result != promote.Promoted {
		t.Fatalf("%+v, %v", o, err)
	}
	t.Logf("back in %s", w.cloud.Now().Sub(began))
	w.wantAll(t, 1)
	if o, err := w.start(nil).run(); err != nil || o.Result != promote.Promoted {
		t.Fatalf("forth: %+v, %v", o, err)
	}
	w.wantAll(t, 2)
	if o, err := w.start(nil).rollback(promote.RollbackRequest{Fleets: []string{w.waves[1][0].Name}}); err != nil || o.Result != promote.Promoted {
		t.Fatalf("one fleet: %+v, %v", o, err)
	}
	if o, err := w.start(nil).run(); err != nil || o.Result != promote.Promoted {
		t.Fatalf("mended: %+v, %v", o, err)
	}
	w.wantAll(t, 2)
}

// What a drill finds out is what the rollback then needs.
func TestDrill(t *testing.T) {
	t.Parallel()
	w := guarded(t, small())
	w.promote(t, nil)
	r := promote.DrillRequest{Channel: production, Fleet: w.waves[0][0], By: "cron"}
	d, err := w.start(nil).promoter.Drill(t.Context(), r)
	if err != nil || !d.Passed() || *d.Image != w.images[0].Ref || d.Moves[0].From != "1" || d.Preflight.Estimate == 0 {
		t.Fatalf("%+v, %v", d, err)
	}
	_, err = target.EC2(w.observer(w.specs[0])).DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: &d.Moves[0].FromAMI})
	ok(t, err)
	if d, err = w.start(nil).promoter.Drill(t.Context(), r); err != nil || d.Passed() {
		t.Errorf("without the AMI: %+v, %v", d, err)
	}
	if _, err := w.start(nil).rollback(promote.RollbackRequest{}); !errors.Is(err, bake.ErrRefused) {
		t.Errorf("rollback without the AMI: %v", err)
	}
	w.wantAll(t, 2)
}

// bad lets instances of the second launch template version never come up.
const bad = `
version: 1
rules:
- match: { tags: { "aws:ec2launchtemplate:version": "2" } }
  do: { fail: Server.InternalError }
`

// An image that does not come up gets no further than the first instance of the first wave, and no fleet is below its minimum meanwhile.
func TestBadImage(t *testing.T) {
	t.Parallel()
	p := small()
	p.scenario = bad
	w := guarded(t, p)
	inner := w.watch
	w.watch = func() {
		inner()
		for _, s := range w.specs {
			for _, g := range w.groups(s) {
				if aws.ToString(g.AutoScalingGroupName) == w.waves[1][0].Group && newInstances(g) > 0 {
					t.Error("the second wave has it")
				}
			}
		}
	}
	o, err := w.start(nil).run()
	if o.Result != promote.Reverted || !errors.Is(err, promote.ErrRolledBack) {
		t.Errorf("%+v, %v", o, err)
	}
	ok(t, w.cloud.Advance(10*time.Minute))
	w.wantAll(t, 1)
}

func newInstances(g astypes.AutoScalingGroup) int {
	n := 0
	for _, in := range g.Instances {
		if aws.ToString(in.LaunchTemplate.Version) == "2" {
			n++
		}
	}
	return n
}

// From an alarm to the way back passes no more than a quarter of a minute.
func TestAlarm(t *testing.T) {
	t.Parallel()
	p := small()
	p.poll, p.strategy.AutoRollback, p.strategy.Alarms = 5*time.Second, false, []string{"web-5xx"}
	w := guarded(t, p)
	watchman := target.CloudWatch(w.observer(w.specs[0]))
	_, err := watchman.PutMetricAlarm(t.Context(), &cloudwatch.PutMetricAlarmInput{
		AlarmName: aws.String("web-5xx"), Namespace: aws.String("web"), MetricName: aws.String("5xx"), Statistic: cwtypes.StatisticSum, Period: aws.Int32(60),
		EvaluationPeriods: aws.Int32(1), Threshold: aws.Float64(1), ComparisonOperator: cwtypes.ComparisonOperatorGreaterThanThreshold,
	})
	ok(t, err)
	w.alarm(t, watchman, cwtypes.StateValueOk)
	var rang, back time.Time
	inner := w.watch
	w.watch = func() {
		inner()
		group := w.waves[0][0].Group
		for _, g := range w.groups(w.specs[0]) {
			if rang.IsZero() && aws.ToString(g.AutoScalingGroupName) == group && newInstances(g) > 0 {
				w.alarm(t, watchman, cwtypes.StateValueAlarm)
				rang = w.cloud.Now()
			}
		}
		if !rang.IsZero() && back.IsZero() && w.goesBack(t, group) {
			back = w.cloud.Now()
		}
	}
	o, err := w.start(nil).run()
	if o.Result != promote.Reverted || !strings.Contains(o.Reason, "web-5xx") {
		t.Errorf("%+v, %v", o, err)
	}
	if took := back.Sub(rang); back.IsZero() || took > 15*time.Second {
		t.Errorf("the alarm rang at %s, the way back began at %s", rang, back)
	}
	w.wantAll(t, 1)
}

func (w *world) alarm(t *testing.T, watchman *cloudwatch.Client, state cwtypes.StateValue) {
	t.Helper()
	_, err := watchman.SetAlarmState(t.Context(), &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("web-5xx"), StateValue: state, StateReason: aws.String("a test")})
	ok(t, err)
}

// goesBack reports whether the newest refresh of a group goes back, or is one that was started in order to.
func (w *world) goesBack(t *testing.T, group string) bool {
	t.Helper()
	out, err := target.AutoScaling(w.observer(w.specs[0])).DescribeInstanceRefreshes(t.Context(), &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: &group})
	ok(t, err)
	return len(out.InstanceRefreshes) > 1 || out.InstanceRefreshes[0].Status == astypes.InstanceRefreshStatusRollbackInProgress
}
