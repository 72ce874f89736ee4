package survey_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
)

const (
	home  = "111122223333"
	other = "444455556666"
)

// drifts fails the test unless the status has exactly these drifts.
func drifts(t *testing.T, s promote.Status, want ...string) {
	t.Helper()
	if got := kinds(s); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
		for _, d := range s.Drift {
			t.Log(d.What)
		}
	}
}

func TestAllIsWell(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.group(w.add(home, "eu-west-1"), "web", 3)
	w.group(w.add(other, "us-east-1"), "web", 2)
	w.advance(5 * time.Minute)
	s := w.look()
	drifts(t, s)
	fleets := s.Channels[0].Fleets
	if len(fleets) != 2 || !s.Complete() || s.Urgent() != 0 {
		t.Fatalf("got %+v", s)
	}
	f := fleets[1]
	if f.Account != other || f.Region != "us-east-1" || f.Desired != 2 || f.Healthy != 2 || f.Refresh != nil || f.Unchecked {
		t.Errorf("got %+v", f)
	}
	if len(f.Running) != 1 || f.Running[0].Instances != 2 || *f.Running[0].Image != image(1) || *f.Current[0].Image != image(1) {
		t.Errorf("it runs %+v and launches %+v", f.Running, f.Current)
	}
}

func TestARefresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.add(home, "eu-west-1")
	w.group(p, "web", 4)
	w.advance(5 * time.Minute)
	version := w.version(p, p.amis[1])
	out, err := target.AutoScaling(p.Target).StartInstanceRefresh(t.Context(), &autoscaling.StartInstanceRefreshInput{
		AutoScalingGroupName: aws.String("web"), DesiredConfiguration: desired(p, version),
	})
	ok(t, err)
	w.advance(4 * time.Minute)
	s := w.look()
	f := s.Channels[0].Fleets[0]
	if f.Refresh == nil || f.Refresh.ID != *out.InstanceRefreshId || !f.Refresh.Foreign || f.Refresh.State != promote.Replacing || f.Refresh.Percent == 0 {
		t.Fatalf("got %+v", f.Refresh)
	}
	drifts(t, s, "instances "+f.Fleet, "(refresh "+f.Fleet+")")
	if d := s.Drift[0]; !strings.Contains(d.What, "run "+image(2).String()) || !strings.Contains(d.What, "the channel holds "+image(1).String()) {
		t.Error(d.What)
	}
}

func TestDrift(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change func(w *world, p *place)
		want   []string
	}{
		"somebody made the group use another version": {
			func(w *world, p *place) { w.update(p, w.version(p, p.amis[2])) }, []string{"launch F"},
		},
		"an alias": {
			func(w *world, p *place) { w.update(p, "$Default") }, []string{"(template F)"},
		},
		"the default of an alias was moved": {
			func(w *world, p *place) {
				w.update(p, "$Default")
				_, err := target.EC2(p.Target).ModifyLaunchTemplate(t.Context(), &ec2.ModifyLaunchTemplateInput{LaunchTemplateId: &p.template, DefaultVersion: aws.String(w.version(p, p.amis[1]))})
				ok(w.t, err)
			},
			[]string{"launch F", "(template F)"},
		},
		"an instance by hand": {
			func(w *world, p *place) { w.run(p, p.amis[1]) }, []string{"stray"},
		},
		"an instance by hand of another image": {
			func(w *world, p *place) { w.run(p, p.amis[2]) }, []string{},
		},
		"another group": {
			func(w *world, p *place) {
				w.group(p, "other", 2)
				w.waves[0] = w.waves[0][:1]
			},
			[]string{"(stray)"},
		},
		"instances of another image": {
			func(w *world, p *place) {
				w.update(p, w.version(p, p.amis[1]))
				in := w.instances(p)[0]
				_, err := target.AutoScaling(p.Target).TerminateInstanceInAutoScalingGroup(t.Context(), &autoscaling.TerminateInstanceInAutoScalingGroupInput{
					InstanceId: &in, ShouldDecrementDesiredCapacity: aws.Bool(false),
				})
				ok(w.t, err)
			},
			[]string{"launch F", "instances F"},
		},
		"the AMI is gone": {
			func(w *world, p *place) {
				_, err := target.EC2(p.Target).DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: &p.amis[0]})
				ok(w.t, err)
			},
			[]string{"gone F"},
		},
		"the group is gone": {
			func(w *world, p *place) {
				_, err := target.AutoScaling(p.Target).DeleteAutoScalingGroup(t.Context(), &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: aws.String("web"), ForceDelete: aws.Bool(true)})
				ok(w.t, err)
			},
			[]string{"missing F"},
		},
		"the alias of the channel": {
			func(w *world, p *place) { w.put(p, p.amis[1]) }, []string{"alias"},
		},
		"the image was revoked": {
			func(w *world, _ *place) {
				ok(w.t, promote.NewRevocations(w.catalog).Record(t.Context(), promote.Revocation{Image: image(1), By: "eve", At: w.cloud.Now(), Reason: "CVE"}))
			},
			[]string{"revoked"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := w.add(home, "eu-west-1")
			f := w.group(p, "web", 2)
			w.advance(5 * time.Minute)
			c.change(w, p)
			w.advance(10 * time.Minute)
			for i, want := range c.want {
				c.want[i] = strings.ReplaceAll(want, "F", f.Name)
			}
			drifts(t, w.look(), c.want...)
		})
	}
}
