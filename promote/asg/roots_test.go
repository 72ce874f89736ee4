package asg_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/test/localcloud"
)

func replacing() promote.Strategy {
	s := strategy()
	s.Kind = promote.ReplaceRootVolume
	return s
}

// policy is one whose overrides all name an image.
func (w *world) policy(version string, kinds ...string) *astypes.MixedInstancesPolicy {
	var overrides []astypes.LaunchTemplateOverrides
	for _, kind := range kinds {
		overrides = append(overrides, astypes.LaunchTemplateOverrides{InstanceType: aws.String(kind), ImageId: &w.images[0]})
	}
	return &astypes.MixedInstancesPolicy{LaunchTemplate: &astypes.LaunchTemplate{LaunchTemplateSpecification: spec(w.template, version), Overrides: overrides}}
}

// refused looks at a group whose root volumes are to be replaced.
func (w *world) refused(through tripper) []string {
	w.t.Helper()
	p, err := w.fleetThrough(replacing(), through).Preflight(w.t.Context(), w.query())
	ok(w.t, err)
	return p.Refusals
}

// What AWS documents as limits of the strategy is said before a refresh is asked for.
func TestRootVolumesThatCannotBeReplaced(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world) tripper
		says   string
	}{
		"a warm pool": {func(w *world) tripper {
			return w.rewrite("<MinSize>", "<WarmPoolConfiguration><MinSize>1</MinSize></WarmPoolConfiguration><MinSize>", 100)
		}, "warm pool"},
		"a load balancer": {func(w *world) tripper {
			return w.rewrite("<MinSize>", "<TargetGroupARNs><member>arn:aws:x</member></TargetGroupARNs><MinSize>", 100)
		}, "load balancer"},
		"other types": {func(w *world) tripper {
			w.update(&autoscaling.UpdateAutoScalingGroupInput{MixedInstancesPolicy: w.policy("1", "t3.medium")})
			return w.rewrite("", "", 0)
		}, "of the types that the policy names"},
		"other versions": {func(w *world) tripper {
			w.update(&autoscaling.UpdateAutoScalingGroupInput{MixedInstancesPolicy: w.policy(w.addVersion(w.template, w.images[0]), "t3.micro", "t3.small")})
			return w.rewrite("", "", 0)
		}, "all what the group launches"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			w.addGroup(2, mixed(w, w.policy("1", "t3.micro", "t3.small").LaunchTemplate.Overrides))
			if got := w.refused(w.rewrite("", "", 0)); len(got) > 0 {
				t.Fatalf("before: %q", got)
			}
			if got := w.refused(c.change(w)); len(got) != 1 || !strings.Contains(got[0], c.says) {
				t.Errorf("got %q", got)
			}
		})
	}
}

// Where AWS replaces no volumes on the way back, it replaces instances.
func TestTheWayBackOfRootVolumes(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(2, mixed(w, w.policy("1", "t3.micro", "t3.small").LaunchTemplate.Overrides))
	f := w.fleet(replacing())
	r := w.begin(f, w.rollout(replacing()))
	w.follow(f, r, nil)
	ok(t, w.cloud.SetFaults(localcloud.Document{Name: "faults", Text: []byte(
		"version: 1\nrules:\n- match: { operation: StartInstanceRefresh, times: 1 }\n  do: { error: { status: 400, code: ValidationError, message: no } }")}))
	r.Back, r.Refresh = true, ""
	r, err := f.Start(t.Context(), r)
	ok(t, err)
	if got := w.refreshes()[0].Strategy; got != astypes.RefreshStrategyRolling {
		t.Errorf("it goes back by %s", got)
	}
	if h := w.follow(f, r, nil); h.last.State != promote.Succeeded || h.last.New != 2 {
		t.Errorf("got %+v", h.last)
	}
}
