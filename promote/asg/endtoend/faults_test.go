package endtoend_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/test/localcloud/admin"
)

// promote promotes the second image, and takes the promotion up again where the process died or gave up.
func (w *world) promote(t *testing.T, f func(call) fate) *process {
	t.Helper()
	first := w.start(f)
	_, err := first.run()
	if err == nil {
		return first
	}
	t.Logf("first: %v", err)
	for n := 1; err != nil; n++ {
		if n > 3 {
			t.Fatalf("it does not get better: %v", err)
		}
		_, err = w.start(nil).goOn()
	}
	return first
}

// run promotes the second image as a user does who says yes to the plan.
func (p *process) run() (promote.Outcome, error) {
	plan, err := p.promoter.Plan(p.ctx, promote.Request{Image: p.images[1].Ref, Channel: production, By: "somebody"})
	if err != nil {
		return promote.Outcome{}, err
	}
	return p.promoter.Run(p.ctx, plan)
}

// goOn resumes what is under way, or else promotes afresh.
func (p *process) goOn() (promote.Outcome, error) {
	o, err := p.promoter.Resume(p.ctx, "web", production)
	if errors.Is(err, bake.ErrNotFound) {
		return p.run()
	}
	return o, err
}

// check looks at what a promotion that came to a good end has left, however it came to it.
func (w *world) check(t *testing.T) {
	t.Helper()
	w.checkRecords(t)
	for _, s := range w.specs {
		for _, g := range w.groups(s) {
			w.checkGroup(t, g)
		}
	}
	w.checkResources(t)
}

func (w *world) checkRecords(t *testing.T) {
	t.Helper()
	c := w.start(nil).catalog
	channels := promote.NewChannels(c)
	held, err := channels.Get(t.Context(), "web", production)
	if err != nil || held != w.images[1].Ref {
		t.Errorf("the channel holds %v, %v", held, err)
	}
	history, err := channels.History(t.Context(), "web", production)
	ok(t, err)
	moved := 0
	for i, past := range history {
		switch last := i == len(history)-1; {
		case past.Outcome == nil:
			t.Errorf("%s has no outcome", past.ID())
		case last && past.Outcome.Result != promote.Promoted:
			t.Errorf("%s, the last one, ended %s", past.ID(), past.Outcome.Result)
		case past.Outcome.Result == promote.Promoted:
			moved++
		}
	}
	if moved != 1+1 { // the first image, and the second
		t.Errorf("the channel moved %d times", moved)
	}
	if all, err := promote.NewActives(c).List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("under way: %v, %v", all, err)
	}
	if problems, err := c.Verify(t.Context()); err != nil || len(problems) != 0 {
		t.Errorf("catalog: %v, %v", problems, err)
	}
}

// checkGroup finds a group with the second image, and nothing of the first one.
func (w *world) checkGroup(t *testing.T, g astypes.AutoScalingGroup) {
	t.Helper()
	name := aws.ToString(g.AutoScalingGroupName)
	version := aws.ToString(g.LaunchTemplate.Version)
	if version != "2" {
		t.Errorf("%s has version %s of its launch template", name, version)
	}
	for _, in := range g.Instances {
		if aws.ToString(in.LaunchTemplate.Version) != version || in.LifecycleState != astypes.LifecycleStateInService {
			t.Errorf("%s: instance of version %s is %s", name, aws.ToString(in.LaunchTemplate.Version), in.LifecycleState)
		}
	}
	if len(g.Instances) != int(aws.ToInt32(g.DesiredCapacity)) {
		t.Errorf("%s has %d instances", name, len(g.Instances))
	}
}

// checkResources finds two images in each region, each of one snapshot, and two versions of each launch template.
func (w *world) checkResources(t *testing.T) {
	t.Helper()
	kinds := map[string]int{}
	for _, r := range w.cloud.Leaked() {
		kinds[r.Type]++
	}
	for kind, want := range map[string]int{"image": 2, "snapshot": 2, "launch-template": len(w.waves), "parameter": 1} {
		if kinds[kind] != want {
			t.Errorf("%d of %s, want %d: %v", kinds[kind], kind, want, w.list(kind))
		}
	}
	for _, s := range w.specs {
		out, err := w.observer(s).EC2().DescribeLaunchTemplates(t.Context(), &ec2.DescribeLaunchTemplatesInput{})
		ok(t, err)
		for _, template := range out.LaunchTemplates {
			if n := aws.ToInt64(template.LatestVersionNumber); n != 2 {
				t.Errorf("%s has %d versions", aws.ToString(template.LaunchTemplateName), n)
			}
		}
	}
}

func (w *world) list(kind string) []admin.Resource {
	return slices.DeleteFunc(w.cloud.Leaked(), func(r admin.Resource) bool { return r.Type != kind })
}

// guarded makes a world that notices when a fleet has fewer healthy instances than it must.
func guarded(t *testing.T, p plot) *world {
	t.Helper()
	w := newWorld(t, p)
	w.watch = func() {
		if n := w.leastHealthy(); n*100 < p.size*p.strategy.MinHealthy {
			t.Errorf("a fleet has %d of %d instances", n, p.size)
		}
	}
	return w
}

func TestPromote(t *testing.T) {
	w := guarded(t, small())
	p := w.promote(t, nil)
	w.check(t)
	ops := map[string]int{}
	for _, c := range p.wire.seen() {
		ops[c.operation]++
	}
	t.Logf("%d calls: %v", len(p.wire.seen()), ops)
}

// looks is how many calls of an operation that only looks meet their fate: the first ones, and then some.
const looks, lookEvery = 3, 25

// remarkable reports whether something is to happen to a call. All calls that change something are; those that look at the same thing
// again and again while a fleet moves are alike.
func remarkable(c call) bool {
	if strings.HasPrefix(c.operation, "Describe") || strings.HasPrefix(c.operation, "Get") {
		return c.same <= looks || c.same%lookEvery == 0
	}
	return true
}

// At every call of a promotion everything happens that can. After it the promotion is resumed, or begun again, and ends as if
// nothing had happened.
func TestFaults(t *testing.T) {
	w := newWorld(t, small())
	calls := slices.DeleteFunc(w.promote(t, nil).wire.seen(), func(c call) bool { return !remarkable(c) })
	if testing.Short() {
		calls = slices.DeleteFunc(calls, func(c call) bool { return c.number%7 != 0 })
	}
	for _, f := range fates() {
		for _, c := range calls {
			t.Run(fmt.Sprintf("%s/%s-%d", f, c.operation, c.same), func(t *testing.T) {
				t.Parallel()
				w := guarded(t, small())
				w.promote(t, func(now call) fate {
					if now.operation == c.operation && now.same == c.same {
						return f
					}
					return ""
				})
				w.check(t)
			})
		}
	}
}
