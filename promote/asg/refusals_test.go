package asg_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
)

// against is one thing that speaks against a rollout: how it comes about, and what is said of it.
type against struct {
	size   int
	change func(*world, *promote.Strategy, *promote.Query)
	says   []string // words of the one refusal
}

// aliased makes a group that uses a version of the launch template by an alias.
func aliased(version string) func(*autoscaling.CreateAutoScalingGroupInput) {
	return func(in *autoscaling.CreateAutoScalingGroupInput) { *in.LaunchTemplate.Version = version }
}

func (w *world) update(in *autoscaling.UpdateAutoScalingGroupInput) {
	w.t.Helper()
	in.AutoScalingGroupName = aws.String(group)
	_, err := target.AutoScaling(w.admin).UpdateAutoScalingGroup(w.t.Context(), in)
	ok(w.t, err)
}

// addVersion adds a version of a launch template that differs in its image.
func (w *world) addVersion(template, image string) string {
	w.t.Helper()
	_, err := target.EC2(w.admin).CreateLaunchTemplateVersion(w.t.Context(), &ec2.CreateLaunchTemplateVersionInput{
		LaunchTemplateId: &template, SourceVersion: aws.String("1"), LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: &image},
	})
	ok(w.t, err)
	all := w.versions(template)
	return versionNumber(all[len(all)-1])
}

func cases() map[string]against {
	first := func(w *world) *string { return w.group().Instances[0].InstanceId }
	return map[string]against{
		"latest": {2, func(w *world, _ *promote.Strategy, _ *promote.Query) {
			w.update(&autoscaling.UpdateAutoScalingGroupInput{LaunchTemplate: spec(w.template, "$Latest")})
		}, []string{"$Latest", "pin it", "version 1"}},
		"default": {2, func(w *world, _ *promote.Strategy, _ *promote.Query) {
			w.update(&autoscaling.UpdateAutoScalingGroupInput{LaunchTemplate: spec(w.template, "$Default")})
		}, []string{"$Default", "pin it", "version 1"}},
		"a parameter": {2, func(w *world, _ *promote.Strategy, _ *promote.Query) {
			w.parameter("/web", w.images[0])
			w.update(&autoscaling.UpdateAutoScalingGroupInput{LaunchTemplate: spec(w.template, w.addVersion(w.template, "resolve:ssm:/web"))})
		}, []string{"SSM parameter /web", "pin it", "ami-"}},
		"no earlier image": {2, func(w *world, _ *promote.Strategy, _ *promote.Query) {
			bare := w.addTemplate("bare", &ec2types.RequestLaunchTemplateData{InstanceType: ec2types.InstanceTypeT3Micro})
			w.update(&autoscaling.UpdateAutoScalingGroupInput{LaunchTemplate: spec(bare, "1")})
		}, []string{"names no image", "none to go back to"}},
		"the version is gone": {2, func(w *world, _ *promote.Strategy, _ *promote.Query) {
			number := w.addVersion(w.template, w.images[0])
			w.update(&autoscaling.UpdateAutoScalingGroupInput{LaunchTemplate: spec(w.template, number)})
			_, err := target.EC2(w.admin).DeleteLaunchTemplateVersions(w.t.Context(), &ec2.DeleteLaunchTemplateVersionsInput{
				LaunchTemplateId: &w.template, Versions: []string{number},
			})
			ok(w.t, err)
		}, []string{"has no version 2", "set the group to one"}},
		"the earlier AMI is gone": {2, func(w *world, _ *promote.Strategy, _ *promote.Query) {
			_, err := target.EC2(w.admin).DeregisterImage(w.t.Context(), &ec2.DeregisterImageInput{ImageId: &w.images[0]})
			ok(w.t, err)
		}, []string{"does not exist", "go back to", "restore or share it"}},
		"the earlier AMI is disabled": {2, func(w *world, _ *promote.Strategy, _ *promote.Query) {
			_, err := target.EC2(w.admin).DisableImage(w.t.Context(), &ec2.DisableImageInput{ImageId: &w.images[0]})
			ok(w.t, err)
		}, []string{"is disabled", "go back to", "enable it"}},
		"the new AMI is gone": {2, func(w *world, _ *promote.Strategy, _ *promote.Query) {
			_, err := target.EC2(w.admin).DeregisterImage(w.t.Context(), &ec2.DeregisterImageInput{ImageId: &w.images[1]})
			ok(w.t, err)
		}, []string{"the AMI of web:2", "does not exist"}},
		"a refresh is running": {2, func(w *world, _ *promote.Strategy, _ *promote.Query) {
			_, err := target.AutoScaling(w.admin).StartInstanceRefresh(w.t.Context(), &autoscaling.StartInstanceRefreshInput{AutoScalingGroupName: aws.String(group)})
			ok(w.t, err)
			w.advance(20 * time.Second)
		}, []string{"is running", "wait for it, or cancel it"}},
		"processes are suspended": {2, func(w *world, _ *promote.Strategy, _ *promote.Query) {
			_, err := target.AutoScaling(w.admin).SuspendProcesses(w.t.Context(), &autoscaling.SuspendProcessesInput{
				AutoScalingGroupName: aws.String(group), ScalingProcesses: []string{"Terminate", "Launch", "AZRebalance"},
			})
			ok(w.t, err)
		}, []string{"Launch, Terminate", "resume them"}},
		"one instance, and no room": {1, func(_ *world, s *promote.Strategy, _ *promote.Query) {
			s.MinHealthy, s.MaxHealthy = 100, 110
		}, []string{"one instance", "max_healthy: 200", "min_healthy: 0"}},
		"a protected instance": {2, func(w *world, _ *promote.Strategy, _ *promote.Query) {
			_, err := target.AutoScaling(w.admin).SetInstanceProtection(w.t.Context(), &autoscaling.SetInstanceProtectionInput{
				AutoScalingGroupName: aws.String(group), InstanceIds: []string{*first(w)}, ProtectedFromScaleIn: aws.Bool(true),
			})
			ok(w.t, err)
		}, []string{"protected from scale in: i-", "protected: refresh, ignore or wait"}},
		"an instance in standby": {3, func(w *world, _ *promote.Strategy, _ *promote.Query) {
			_, err := target.AutoScaling(w.admin).EnterStandby(w.t.Context(), &autoscaling.EnterStandbyInput{
				AutoScalingGroupName: aws.String(group), InstanceIds: []string{*first(w)}, ShouldDecrementDesiredCapacity: aws.Bool(true),
			})
			ok(w.t, err)
			w.advance(time.Minute)
		}, []string{"in standby: i-", "standby: terminate, ignore or wait"}},
		"another architecture": {2, func(w *world, _ *promote.Strategy, q *promote.Query) {
			q.Image.Arch, q.Artifact.AMI = bake.ARM64, w.images[2]
		}, []string{"t3.micro", "x86_64", "arm64", "instance types"}},
		"another architecture, unpublished": {2, func(_ *world, _ *promote.Strategy, q *promote.Query) {
			q.Image.Arch, q.Artifact.AMI = bake.ARM64, ""
		}, []string{"t3.micro", "x86_64", "arm64"}},
		"no mixed instances policy": {2, func(_ *world, s *promote.Strategy, _ *promote.Query) {
			s.Kind = promote.ReplaceRootVolume
		}, []string{"replace_root_volume", "every override names an image", "rolling"}},
		"no alarm": {2, func(_ *world, s *promote.Strategy, _ *promote.Query) {
			s.Alarms = []string{"web-5xx"}
		}, []string{"no alarm web-5xx"}},
		"too many alarms": {2, func(w *world, s *promote.Strategy, _ *promote.Query) {
			for i := range 11 {
				s.Alarms = append(s.Alarms, "web-"+strconv.Itoa(i))
				w.alarm(s.Alarms[i], cwtypes.StateValueOk)
			}
		}, []string{"11 alarms", "AWS takes 10", "composite alarm"}},
		"an alarm": {2, func(w *world, s *promote.Strategy, _ *promote.Query) {
			w.alarm("web-5xx", cwtypes.StateValueAlarm)
			s.Alarms = []string{"web-5xx"}
		}, []string{"web-5xx is in ALARM already"}},
	}
}

func (w *world) parameter(name, ami string) {
	w.t.Helper()
	_, err := target.SSM(w.admin).PutParameter(w.t.Context(), &ssm.PutParameterInput{
		Name: &name, Value: &ami, Type: ssmtypes.ParameterTypeString, DataType: aws.String("aws:ec2:image"), Overwrite: aws.Bool(true),
	})
	ok(w.t, err)
	w.advance(time.Minute)
}

func TestRefusals(t *testing.T) {
	for name, c := range cases() {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			w.addGroup(c.size)
			s, q := strategy(), w.query()
			if c.size == 1 {
				s.MinHealthy, s.MaxHealthy = 0, 100
			}
			p, err := w.fleet(s).Preflight(t.Context(), q)
			if err != nil || len(p.Refusals) > 0 {
				t.Fatalf("before: %v %v", p.Refusals, err)
			}
			c.change(w, &s, &q)
			before := len(w.versions(w.template))
			p, err = w.fleet(s).Preflight(t.Context(), q)
			if err != nil || len(p.Refusals) != 1 {
				t.Fatalf("got %q, %v", p.Refusals, err)
			}
			for _, word := range c.says {
				if !strings.Contains(p.Refusals[0], word) {
					t.Errorf("%q is not said: %s", word, p.Refusals[0])
				}
			}
			if len(w.versions(w.template)) != before {
				t.Error("a look has changed something")
			}
		})
	}
}

// Everything that is wrong is said at once.
func TestAllRefusalsAtOnce(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(2, aliased("$Latest"))
	s, q := strategy(), w.query()
	all := cases()
	for _, name := range []string{"processes are suspended", "a protected instance", "another architecture", "no alarm", "the earlier AMI is disabled"} {
		all[name].change(w, &s, &q)
	}
	p, err := w.fleet(s).Preflight(t.Context(), q)
	if err != nil || len(p.Refusals) != 6 {
		t.Errorf("got %v, %v", p.Refusals, err)
	}
}

func TestNoGroup(t *testing.T) {
	w := newWorld(t, "")
	p, err := w.fleet(strategy()).Preflight(t.Context(), w.query())
	if err != nil || len(p.Refusals) != 1 || !strings.Contains(p.Refusals[0], "there is no Auto Scaling group web in eu-west-1 of account "+home) {
		t.Errorf("got %v, %v", p.Refusals, err)
	}
	if _, err := w.fleet(strategy()).Stage(t.Context(), w.rollout(strategy())); err == nil || !strings.Contains(err.Error(), "no such Auto Scaling group") {
		t.Errorf("got %v", err)
	}
}

func TestAGroupThatIsDeleted(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(2)
	_, err := target.AutoScaling(w.admin).DeleteAutoScalingGroup(t.Context(), &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: aws.String(group), ForceDelete: aws.Bool(true)})
	ok(t, err)
	p, err := w.fleet(strategy()).Preflight(t.Context(), w.query())
	if err != nil || len(p.Refusals) == 0 || !strings.Contains(p.Refusals[0], "being deleted") {
		t.Errorf("got %v, %v", p.Refusals, err)
	}
}

func TestWhatAPreflightTells(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(4)
	p, err := w.fleet(strategy()).Preflight(t.Context(), w.query())
	ok(t, err)
	first := web(1).Ref
	if p.Group != group || p.Instances != 4 || p.There || len(p.Current) != 1 || len(p.Running) != 1 {
		t.Fatalf("got %+v", p)
	}
	if c := p.Current[0]; c.Template != w.template || c.Name != "web" || c.Version != "1" || c.Alias != "" || c.AMI != w.images[0] || *c.Image != first {
		t.Errorf("current: %+v", c)
	}
	if v := p.Running[0]; v.AMI != w.images[0] || v.Instances != 4 || *v.Image != first {
		t.Errorf("running: %+v", v)
	}
	q := w.query()
	q.Image, q.Artifact.AMI = web(1), w.images[0]
	if p, err = w.fleet(strategy()).Preflight(t.Context(), q); err != nil || !p.There {
		t.Errorf("it is there already: %+v, %v", p, err)
	}
}

// A rollback goes to what was kept, or is refused.
func TestRefusalsOfARollback(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world)
		says   string
	}{
		"the version is gone": {func(w *world) {
			_, err := target.EC2(w.admin).ModifyLaunchTemplate(t.Context(), &ec2.ModifyLaunchTemplateInput{LaunchTemplateId: &w.template, DefaultVersion: aws.String("2")})
			ok(t, err)
			_, err = target.EC2(w.admin).DeleteLaunchTemplateVersions(t.Context(), &ec2.DeleteLaunchTemplateVersionsInput{LaunchTemplateId: &w.template, Versions: []string{"1"}})
			ok(t, err)
		}, "no version 1 any more"},
		"the AMI is disabled": {func(w *world) {
			_, err := target.EC2(w.admin).DisableImage(t.Context(), &ec2.DisableImageInput{ImageId: &w.images[0]})
			ok(t, err)
		}, "is disabled"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			w.addGroup(2)
			f := w.fleet(strategy())
			r := w.begin(f, w.rollout(strategy()))
			w.follow(f, r, nil)
			c.change(w)
			p, err := f.Preflight(t.Context(), promote.Query{Image: web(1), Moves: r.Moves})
			if err != nil || len(p.Refusals) != 1 || !strings.Contains(p.Refusals[0], c.says) {
				t.Errorf("got %v, %v", p.Refusals, err)
			}
		})
	}
}

// A group that has shrunk to one since can go back all the same.
func TestRollbackOfOne(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(2)
	s := strategy()
	s.MinHealthy, s.MaxHealthy = 100, 110
	f := w.fleet(s)
	r := w.begin(f, w.rollout(s))
	w.follow(f, r, nil)
	w.update(&autoscaling.UpdateAutoScalingGroupInput{DesiredCapacity: aws.Int32(1)})
	w.advance(3 * time.Minute)
	p, err := f.Preflight(t.Context(), promote.Query{Image: web(1), Moves: r.Moves})
	if err != nil || len(p.Refusals) > 0 {
		t.Fatalf("got %v, %v", p.Refusals, err)
	}
	r.Refresh, r.Back = "", true
	r, err = f.Start(t.Context(), r)
	ok(t, err)
	if h := w.follow(f, r, nil); h.last.State != promote.Succeeded || h.least < 1 {
		t.Errorf("got %+v", h)
	}
}

func TestNotes(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(2)
	s := strategy()
	s.MinHealthy, s.MaxHealthy = 100, 110
	s.Probes, s.CheckpointDelay = []promote.Probe{{HTTP: "http://localhost"}}, bake.Duration(10*time.Second)
	p, err := w.fleet(s).Preflight(t.Context(), w.query())
	ok(t, err)
	for _, want := range []string{"one instance more", "checkpoints last 1m", "does not boot"} {
		if !slices.ContainsFunc(p.Notes, func(n string) bool { return strings.Contains(n, want) }) {
			t.Errorf("%q is not among %q", want, p.Notes)
		}
	}
	if len(p.Refusals) > 0 {
		t.Error(p.Refusals)
	}
}

// What a refresh was expected to take it takes, give or take a third.
func TestEstimate(t *testing.T) {
	for name, c := range map[string]struct {
		size   int
		change func(*promote.Strategy)
	}{
		"two":       {2, func(*promote.Strategy) {}},
		"twelve":    {12, func(*promote.Strategy) {}},
		"no canary": {8, func(s *promote.Strategy) { s.Canary = false }},
		"checkpoint": {8, func(s *promote.Strategy) {
			s.Checkpoints, s.CheckpointDelay = []int{50, 100}, bake.Duration(10*time.Minute)
		}},
		"an hour": {4, func(s *promote.Strategy) { s.CheckpointDelay = 0 }},
		"warm-up": {4, func(s *promote.Strategy) { s.Warmup = bake.Duration(5 * time.Minute) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			w.addGroup(c.size)
			s := strategy()
			c.change(&s)
			f := w.fleet(s)
			p, err := f.Preflight(t.Context(), w.query())
			ok(t, err)
			h := w.follow(f, w.begin(f, w.rollout(s)), nil)
			if guess := time.Duration(p.Estimate); h.took < guess*2/3 || h.took > guess*4/3 {
				t.Errorf("expected %v, and it took %v", guess, h.took)
			}
		})
	}
}

func versionNumber(v ec2types.LaunchTemplateVersion) string {
	return strconv.FormatInt(aws.ToInt64(v.VersionNumber), 10)
}
