package endtoend_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
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

// abort promotes the second image, and gives that up when half of the second wave has it. Where the process dies or gives up, it is
// resumed. It returns the first process, or fails where the promotion does not end as it must.
func (w *world) abort(t *testing.T, f func(call) fate) *process {
	t.Helper()
	w.wish = promote.Abort
	first := w.start(f)
	o, err := first.run()
	for n := 1; !errors.Is(err, promote.ErrRolledBack); n++ {
		if n > 3 {
			t.Fatalf("it does not get better: %v, %v", o, err)
		}
		t.Logf("then: %v", err)
		if o, err = w.start(nil).goOn(); err != nil && errors.Is(err, bake.ErrRefused) && o.Result == promote.Stopped {
			w.wish = promote.Abort // nothing had moved
		}
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

// check looks at what a promotion has left that ended with the nth image in the channel, however it came to that.
func (w *world) check(t *testing.T, n int) {
	t.Helper()
	w.checkRecords(t, n)
	ok(t, w.cloud.Advance(10*time.Minute)) // a group may have an instance more for a while
	for _, s := range w.specs {
		for _, g := range w.groups(s) {
			checkGroup(t, g, strconv.Itoa(n))
		}
	}
	w.checkResources(t, n)
}

func (w *world) checkRecords(t *testing.T, n int) {
	t.Helper()
	c := w.start(nil).catalog
	channels := promote.NewChannels(c)
	held, err := channels.Get(t.Context(), "web", production)
	if err != nil || held != w.images[n-1].Ref {
		t.Errorf("the channel holds %v, %v", held, err)
	}
	history, err := channels.History(t.Context(), "web", production)
	ok(t, err)
	last, moved := promote.Result(""), 0
	for _, past := range history {
		if past.Outcome == nil {
			t.Errorf("%s has no outcome", past.ID())
			continue
		}
		if last = past.Outcome.Result; last == promote.Promoted {
			moved++
		}
	}
	if moved != n || n == 1 && last != promote.Reverted {
		t.Errorf("the channel moved %d times, and the last promotion ended %s", moved, last)
	}
	if all, err := promote.NewActives(c).List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("under way: %v, %v", all, err)
	}
	if problems, err := c.Verify(t.Context()); err != nil || len(problems) != 0 {
		t.Errorf("catalog: %v, %v", problems, err)
	}
}

// checkGroup finds a group with one version of its launch template, and nothing of another one.
func checkGroup(t *testing.T, g astypes.AutoScalingGroup, version string) {
	t.Helper()
	name := aws.ToString(g.AutoScalingGroupName)
	if has := aws.ToString(g.LaunchTemplate.Version); has != version {
		t.Errorf("%s has version %s of its launch template", name, has)
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

// checkResources finds two images in each region, each of one snapshot, and not more than two versions of each launch template.
func (w *world) checkResources(t *testing.T, n int) {
	t.Helper()
	kinds := map[string]int{}
	for _, r := range w.cloud.Leaked() {
		kinds[r.Type]++
	}
	for kind, want := range map[string]int{"image": 2, "snapshot": 2, "launch-template": len(w.waves), "parameter": n - 1} {
		if kinds[kind] != want {
			t.Errorf("%d of %s, want %d: %v", kinds[kind], kind, want, w.list(kind))
		}
	}
	for _, s := range w.specs {
		out, err := target.EC2(w.observer(s)).DescribeLaunchTemplates(t.Context(), &ec2.DescribeLaunchTemplatesInput{})
		ok(t, err)
		for _, template := range out.LaunchTemplates {
			if versions := aws.ToInt64(template.LatestVersionNumber); versions > 2 {
				t.Errorf("%s has %d versions", aws.ToString(template.LaunchTemplateName), versions)
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
	w.check(t, 2)
	ops := map[string]int{}
	for _, c := range p.wire.seen() {
		ops[c.operation]++
	}
	t.Logf("%d calls: %v", len(p.wire.seen()), ops)
}

// looks is how many calls of an operation that only looks meet their fate: the first ones, and then some.
const looks, lookEvery = 3, 25

// changes reports whether a call changes something.
func changes(c call) bool {
	return !strings.HasPrefix(c.operation, "Describe") && !strings.HasPrefix(c.operation, "Get")
}

// remarkable reports whether something is to happen to a call. All calls that change something are; those that look at the same thing
// again and again while a fleet moves are alike.
func remarkable(c call) bool {
	return changes(c) || c.same <= looks || c.same%lookEvery == 0
}

// At every call of a promotion everything happens that can. After it the promotion is resumed, or begun again, and ends as if
// nothing had happened.
func TestFaults(t *testing.T) {
	t.Parallel()
	faults(t, 2, (*world).promote)
}

// The same at every call of a promotion that is given up halfway: every fleet ends with what it had.
func TestFaultsOfTheWayBack(t *testing.T) {
	t.Parallel()
	faults(t, 1, (*world).abort)
}

// allFaults is the environment variable that has every call meet every fate. In the ordinary run only those do that change something; of the
// others, and in a short run of all, each meets one.
const allFaults = "IIBAKE_FAULTS"

// faults has one call after the other meet each fate, while do is done, which ends with the nth image.
func faults(t *testing.T, n int, do func(*world, *testing.T, func(call) fate) *process) {
	t.Helper()
	calls := slices.DeleteFunc(do(newWorld(t, small()), t, nil).wire.seen(), func(c call) bool { return !remarkable(c) })
	for _, f := range fates() {
		for i, c := range calls {
			all := os.Getenv(allFaults) == "all" || changes(c) && !testing.Short()
			if !all && i%len(fates()) != slices.Index(fates(), f) {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s-%d", f, c.operation, c.same), func(t *testing.T) {
				t.Parallel()
				w := guarded(t, small())
				do(w, t, func(now call) fate {
					if now.operation == c.operation && now.same == c.same {
						return f
					}
					return ""
				})
				w.check(t, n)
			})
		}
	}
}
