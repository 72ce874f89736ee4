package asg_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/promote/asg"
)

// policyOf returns the group's policy without names of templates, versions and images: what must not change.
func policyOf(g astypes.AutoScalingGroup) *astypes.MixedInstancesPolicy {
	p := *g.MixedInstancesPolicy
	lt := *p.LaunchTemplate
	lt.LaunchTemplateSpecification = spec(aws.ToString(lt.LaunchTemplateSpecification.LaunchTemplateId), "")
	lt.Overrides = append([]astypes.LaunchTemplateOverrides{}, lt.Overrides...)
	for i, o := range lt.Overrides {
		if o.LaunchTemplateSpecification != nil {
			lt.Overrides[i].LaunchTemplateSpecification = spec(aws.ToString(o.LaunchTemplateSpecification.LaunchTemplateId), "")
		}
		lt.Overrides[i].ImageId = nil
	}
	p.LaunchTemplate = &lt
	return &p
}

func samePolicy(t *testing.T, before, after astypes.AutoScalingGroup) {
	t.Helper()
	ignore := cmpopts.IgnoreUnexported(astypes.MixedInstancesPolicy{}, astypes.LaunchTemplate{}, astypes.LaunchTemplateOverrides{},
		astypes.LaunchTemplateSpecification{}, astypes.InstancesDistribution{})
	if d := cmp.Diff(policyOf(before), policyOf(after), ignore); d != "" {
		t.Error(d)
	}
}

// A policy with several templates, overrides with a template or an image of their own, goes there and back, and stays whole.
func TestMixedInstancesPolicy(t *testing.T) {
	w := newWorld(t, "")
	other := w.addTemplate("other", &ec2types.RequestLaunchTemplateData{ImageId: &w.images[0], InstanceType: ec2types.InstanceTypeT3Small})
	w.addGroup(6, mixed(w, []astypes.LaunchTemplateOverrides{
		{InstanceType: aws.String("t3.micro")},
		{InstanceType: aws.String("t3.small"), LaunchTemplateSpecification: spec(other, "1")},
		{InstanceType: aws.String("t3.medium"), ImageId: &w.images[0]},
	}))
	before := w.group()
	f := w.fleet(strategy())
	p, err := f.Preflight(t.Context(), w.query())
	ok(t, err)
	if len(p.Refusals) > 0 || len(p.Current) != 2 {
		t.Fatalf("got %+v", p)
	}
	r := w.begin(f, w.rollout(strategy()))
	if len(r.Moves) != 2 || len(w.versions(w.template)) != 2 || len(w.versions(other)) != 2 {
		t.Fatalf("got %+v", r.Moves)
	}
	if h := w.follow(f, r, nil); h.last.State != promote.Succeeded || h.last.New != 6 || h.last.Old != 0 {
		t.Errorf("got %+v", h)
	}
	after := w.group()
	samePolicy(t, before, after)
	o := after.MixedInstancesPolicy.LaunchTemplate.Overrides
	if aws.ToString(o[1].LaunchTemplateSpecification.Version) != "2" || aws.ToString(o[2].ImageId) != w.images[1] || o[0].ImageId != nil {
		t.Errorf("got %+v", o)
	}
	r.Refresh, r.Back = "", true
	r, err = f.Start(t.Context(), r)
	ok(t, err)
	if h := w.follow(f, r, nil); h.last.State != promote.Succeeded || h.last.New != 6 {
		t.Errorf("got %+v", h)
	}
	after = w.group()
	samePolicy(t, before, after)
	o = after.MixedInstancesPolicy.LaunchTemplate.Overrides
	if aws.ToString(o[1].LaunchTemplateSpecification.Version) != "1" || aws.ToString(o[2].ImageId) != w.images[0] {
		t.Errorf("got %+v", o)
	}
}

// Two versions of one template in a policy are two moves.
func TestTwoVersionsOfATemplate(t *testing.T) {
	w := newWorld(t, "")
	second := w.addVersion(w.template, w.images[0])
	w.addGroup(2, mixed(w, []astypes.LaunchTemplateOverrides{
		{InstanceType: aws.String("t3.micro")},
		{InstanceType: aws.String("t3.small"), LaunchTemplateSpecification: spec(w.template, second)},
	}))
	f := w.fleet(strategy())
	r := w.begin(f, w.rollout(strategy()))
	if len(r.Moves) != 2 || r.Moves[0].From != "1" || r.Moves[0].To != "3" || r.Moves[1].From != "2" || r.Moves[1].To != "4" {
		t.Errorf("got %+v", r.Moves)
	}
	if h := w.follow(f, r, nil); h.last.State != promote.Succeeded || h.last.New != 2 {
		t.Errorf("got %+v", h)
	}
}

// pinned tries a group that uses something by an alias.
func pinned(t *testing.T, alias func(*world) func(*autoscaling.CreateAutoScalingGroupInput), versions int) (*world, promote.Rollout) {
	t.Helper()
	w := newWorld(t, "")
	w.addGroup(2, alias(w))
	f, q := w.fleet(strategy()), w.query()
	q.Pin = true
	p, err := f.Preflight(t.Context(), q)
	ok(t, err)
	if len(p.Refusals) > 0 || len(p.Pins) != 1 {
		t.Fatalf("got %+v", p)
	}
	r := w.begin(f, w.rollout(strategy()))
	if n := len(w.versions(w.template)); n != versions {
		t.Errorf("%d versions", n)
	}
	w.follow(f, r, func(o promote.Observation) bool { return o.New == 1 })
	ok(t, f.Rollback(t.Context(), r))
	if h := w.follow(f, r, nil); h.last.State != promote.WentBack {
		t.Errorf("got %+v", h)
	}
	return w, r
}

func TestPin(t *testing.T) {
	for _, alias := range []string{"$Latest", "$Default"} {
		w, r := pinned(t, func(*world) func(*autoscaling.CreateAutoScalingGroupInput) { return aliased(alias) }, 2)
		if got := aws.ToString(w.group().LaunchTemplate.Version); got != "1" || r.Moves[0].From != "1" {
			t.Errorf("%s became %s: %+v", alias, got, r.Moves)
		}
	}
}

func TestPinOfAParameter(t *testing.T) {
	w, r := pinned(t, func(w *world) func(*autoscaling.CreateAutoScalingGroupInput) {
		w.parameter("/web", w.images[0])
		return aliased(w.addVersion(w.template, "resolve:ssm:/web"))
	}, 4) // one and the one with the parameter, which became one with an AMI, and the new one
	v := w.versions(w.template)
	if got := aws.ToString(w.group().LaunchTemplate.Version); got != "3" || aws.ToString(v[2].LaunchTemplateData.ImageId) != w.images[0] || r.Moves[0].From != "3" {
		t.Errorf("became %s: %+v", got, r.Moves)
	}
}

// A pin that died at any request is made by whoever comes next, once.
func TestFaultsOfAPin(t *testing.T) {
	for _, what := range fates() {
		for at, more := 1, true; more && !t.Failed(); at++ {
			w := newWorld(t, "")
			w.parameter("/web", w.images[0])
			w.addGroup(2, aliased(w.addVersion(w.template, "resolve:ssm:/web")))
			p, r := w.processes(at, what), w.rollout(strategy())
			ok(t, p.do(func(f *asg.Fleet) error { out, err := f.Stage(t.Context(), r); return keep(&r, out, err) }))
			if n := len(w.versions(w.template)); n != 4 || r.Moves[0].From != "3" || r.Moves[0].To != "4" || aws.ToString(w.group().LaunchTemplate.Version) != "3" {
				t.Errorf("%s %d: %d versions, %+v", what, at, n, r.Moves)
			}
			more = p.first.wire.dead || p.first.wire.n >= at
		}
	}
}
