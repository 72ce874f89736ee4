package survey_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/promote/asg/iam"
	"github.com/iibake/iibake/promote/asg/survey"
)

// arrive ends the promotion that begin began: all refreshes are through, and the channel has moved.
func (w *world) arrive() {
	w.t.Helper()
	w.advance(time.Hour)
	ctx, channels := w.t.Context(), promote.NewChannels(w.catalog)
	pro, err := channels.Promotion(ctx, "web", "production", 2)
	ok(w.t, err)
	latest, err := promote.NewRollouts(w.catalog).Latest(ctx, pro)
	ok(w.t, err)
	for _, r := range latest {
		r.Phase, r.At = promote.Done, w.cloud.Now()
		w.record(pro, r)
	}
	ok(w.t, channels.Set(ctx, pro))
	ok(w.t, channels.End(ctx, pro, promote.Outcome{Result: promote.Promoted, At: w.cloud.Now()}))
	ok(w.t, promote.NewActives(w.catalog).Release(ctx, pro, "ada on laptop"))
	for _, p := range w.places {
		w.put(p, p.amis[1])
	}
}

// While a promotion is under way its fleets may be anywhere on the way, and are shown as such.
func TestAPromotionUnderWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.group(w.add(home, "eu-west-1"), "web", 4)
	w.advance(5 * time.Minute)
	w.begin()
	s := w.look()
	drifts(t, s)
	c := s.Channels[0]
	if c.UnderWay == nil || c.UnderWay.Silent || c.UnderWay.Promotion.Number != 2 || c.UnderWay.Active.Driver != "ada on laptop" {
		t.Errorf("got %+v", c.UnderWay)
	}
	f := c.Fleets[0]
	if f.Phase != promote.Refreshing || f.Refresh == nil || f.Refresh.Foreign || f.Refresh.Estimated {
		t.Errorf("got %+v, %+v", f, f.Refresh)
	}
	w.advance(promote.Silence + time.Second)
	drifts(t, w.look(), "silent")
	w.arrive()
	s = w.look()
	drifts(t, s)
	if c := s.Channels[0]; c.UnderWay != nil || *c.Holds != image(2) || c.Fleets[0].Running[0].Instances != 4 || *c.Fleets[0].Running[0].Image != image(2) {
		t.Errorf("got %+v", c)
	}
}

// What a rollout left is on record: whoever moved a group since is told of, whatever it launches now.
func TestWhatARolloutLeft(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(w *world, p *place)
		want   []string
		says   string
	}{
		"the same image by another version": {
			func(w *world, p *place) { w.update(p, w.version(p, p.amis[1])) },
			[]string{"(launch F)"},
			"web version 3: web:2026.11.02-1-gabc1234; iibake left it at version 2, in web@production#2",
		},
		"back to the version before": {
			func(w *world, p *place) { w.update(p, "1") },
			[]string{"launch F"},
			"web version 1: web:2026.11.01-1-gabc1234; iibake left it at version 2",
		},
		"a version that nobody uses": {
			func(w *world, p *place) { w.version(p, p.amis[2]) },
			[]string{"(template F)"},
			"somebody made version 3 of launch template web; the fleet uses version 2",
		},
		"and the default is that": {
			func(w *world, p *place) {
				_, err := target.EC2(p.Target).ModifyLaunchTemplate(t.Context(), &ec2.ModifyLaunchTemplateInput{
					LaunchTemplateId: &p.template, DefaultVersion: aws.String(w.version(p, p.amis[2])),
				})
				ok(w.t, err)
			},
			[]string{"(template F)"},
			"and the default is the new one",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := w.add(home, "eu-west-1")
			f := w.group(p, "web", 2)
			w.advance(5 * time.Minute)
			w.begin()
			w.arrive()
			drifts(t, w.look())
			c.change(w, p)
			for i := range c.want {
				c.want[i] = strings.ReplaceAll(c.want[i], "F", f.Name)
			}
			s := w.look()
			if drifts(t, s, c.want...); len(s.Drift) > 0 && !strings.Contains(s.Drift[0].What, c.says) {
				t.Error(s.Drift[0].What)
			}
		})
	}
}

// What comes from a revoked image is revoked with it, until that is taken back.
func TestRevokedByDescent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.add(home, "eu-west-1")
	f := w.group(p, "web", 2)
	w.advance(5 * time.Minute)
	base := bake.Ref{Name: "web", Version: "2026.10.01-1-gabc1234"}
	w.bake(3, &base)
	w.publish(p, image(3), p.amis[2])
	w.update(p, w.version(p, p.amis[2]))
	w.run(p, p.amis[2])
	revoke := func(lifted bool) {
		w.advance(time.Minute)
		ok(t, promote.NewRevocations(w.catalog).Record(t.Context(), promote.Revocation{Image: base, By: "eve", At: w.cloud.Now(), Reason: "CVE", Lifted: lifted}))
	}
	drifts(t, w.look(), "launch "+f.Name, "stray")
	revoke(false)
	s := w.look()
	drifts(t, s, "launch "+f.Name, "stray")
	if d := s.Drift[1]; !strings.Contains(d.What, "which was revoked: it comes from "+base.String()+": CVE") {
		t.Error(d.What)
	}
	revoke(true)
	if d := w.look().Drift[1]; strings.Contains(d.What, "revoked") {
		t.Error(d.What)
	}
}

func TestAge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.config(survey.Surveyor{})
	c.Watched[0].Rule.MaxAge = bake.Duration(9 * 24 * time.Hour)
	for advance, old := range map[time.Duration]bool{-time.Minute: false, time.Minute: true} {
		c.Now = w.cloud.Now().Add(advance)
		s, err := promote.Look(t.Context(), c)
		ok(t, err)
		if s.Channels[0].Old != old || len(s.Drift) > 0 != old {
			t.Errorf("after %s: %+v %v", advance, s.Channels[0], kinds(s))
		}
	}
}

// Two targets may reach the same account and region: what is there is told of once.
func TestTwoWaysToOnePlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.add(home, "eu-west-1")
	w.group(p, "web", 1)
	again := w.specs[0]
	again.Name = "again"
	w.specs = append(w.specs, again)
	w.waves[0] = append(w.waves[0], promote.Member{Name: "second", Target: "again", Group: "web", Image: "web"})
	w.run(p, p.amis[0])
	w.advance(5 * time.Minute)
	drifts(t, w.look(), "stray")
}

// A fleet that follows no channel is shown, and can only be missing.
func TestAFleetOfNoChannel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.add(home, "eu-west-1")
	w.group(p, "web", 1)
	w.advance(5 * time.Minute)
	w.update(p, w.version(p, p.amis[2]))
	c := w.config(survey.Surveyor{Open: target.NewSet(w.specs, w.options()).Get})
	c.Rest = slices.Concat(w.waves[0], []promote.Member{{Name: "nowhere", Target: p.Name, Group: "nowhere"}})
	c.Watched[0].Rule.Waves = nil
	s, err := promote.Look(t.Context(), c)
	ok(t, err)
	drifts(t, s, "missing nowhere")
	if len(s.Rest) != 2 || s.Rest[0].Healthy != 1 || !s.Rest[1].Missing || len(s.Channels[0].Fleets) != 0 {
		t.Errorf("got %+v", s)
	}
}

// An alias is where the image is published, too, and may be missing. What it should hold is not told where no group shows that the AMI exists.
func TestAliasesWithoutFleets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.add(home, "eu-west-1")
	c := w.config(survey.Surveyor{Open: target.NewSet(w.specs, w.options()).Get})
	c.Watched[0].Targets = []string{p.Name}
	s, err := promote.Look(t.Context(), c)
	ok(t, err)
	drifts(t, s)
	_, err = target.SSM(p.Target).DeleteParameter(t.Context(), &ssm.DeleteParameterInput{Name: aws.String(parameter)})
	ok(t, err)
	s, err = promote.Look(t.Context(), c)
	ok(t, err)
	drifts(t, s, "alias")
	if d := s.Drift[0]; d.AMI != "" || d.Want == nil || !strings.Contains(d.What, "there is no parameter") {
		t.Errorf("got %+v", d)
	}
}

// Every call that a survey may make is in the policy of status, and it changes nothing.
func TestThePolicyOfStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.add(home, "eu-west-1")
	w.group(p, "web", 2)
	w.advance(5 * time.Minute)
	w.update(p, w.version(p, p.amis[2])) // which only its launch template tells
	w.look()
	all, err := iam.Of(iam.Status)
	ok(t, err)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, action := range w.actions {
		if action != "sts:AssumeRole" && action != "sts:GetCallerIdentity" && !slices.ContainsFunc(all, func(p iam.Permission) bool { return p.Action == action }) {
			t.Errorf("%s is not in the policy", action)
		}
	}
	for _, p := range all {
		if !slices.Contains(w.actions, p.Action) {
			t.Errorf("%s is in the policy, and was not asked for: %s", p.Action, p.Uncalled)
		}
	}
}
