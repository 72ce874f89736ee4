package endtoend_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/promote/asg/iam"
	"github.com/iibake/iibake/promote/asg/survey"
)

// actions returns the calls that a process has made, as IAM knows them. Who asks for his own identity needs no permission.
func actions(p *process) []string {
	var all []string
	p.made.Range(func(action, _ any) bool {
		if a := action.(string); !strings.HasPrefix(a, "sts:") {
			all = append(all, a)
		}
		return true
	})
	return all
}

// allowed fails the test where a process did what its policy does not allow, or did not need what the policy allows without a reason.
func allowed(t *testing.T, verb iam.Verb, made []string) {
	t.Helper()
	permissions, err := iam.Of(verb)
	ok(t, err)
	for _, a := range made {
		if !slices.ContainsFunc(permissions, func(p iam.Permission) bool { return p.Action == a }) {
			t.Errorf("%s calls %s, which its policy does not allow", verb, a)
		}
	}
	for _, p := range permissions {
		if p.Uncalled == "" && !slices.Contains(made, p.Action) {
			t.Errorf("%s is allowed %s, and does not use it", verb, p.Action)
		}
	}
}

// The policies are compared with the calls that are really made.
func TestPolicies(t *testing.T) {
	w := newWorld(t, small())
	publishing := w.start(nil)
	_, err := published{publishing}.Publish(t.Context(), w.images[1], w.targets())
	ok(t, err)
	allowed(t, iam.Publish, actions(publishing))

	fresh := newWorld(t, small())
	allowed(t, iam.Promote, actions(fresh.promote(t, nil)))

	looking := fresh.start(nil)
	member := fresh.waves[0][0]
	asks := []promote.Ask{{
		Target: member.Target, Groups: []string{member.Group}, Moving: []string{member.Group}, Parameters: []string{parameter},
		AMIs: map[string][]string{"eu-west-1": {"ami-0123456789abcdef0"}},
	}}
	for _, s := range (survey.Surveyor{Open: looking.set.Get}).Survey(t.Context(), asks) {
		if len(s.Gaps) > 0 {
			t.Errorf("gaps: %v", s.Gaps)
		}
	}
	allowed(t, iam.Status, actions(looking))

	rehearsing := fresh.start(nil)
	_, err = rehearsing.promoter.Drill(t.Context(), promote.DrillRequest{Channel: production, Fleet: member, By: "somebody"})
	ok(t, err)
	allowed(t, iam.Drill, actions(rehearsing))

	returning := fresh.start(nil)
	plan, err := returning.promoter.PlanRollback(t.Context(), promote.RollbackRequest{Name: "web", Channel: production, By: "somebody", Reason: "slow"})
	ok(t, err)
	_, err = returning.promoter.Run(t.Context(), plan)
	t.Logf("the way back: %v", err)
	for _, a := range actions(returning) {
		permissions, err := iam.Of(iam.Rollback)
		ok(t, err)
		if !slices.ContainsFunc(permissions, func(p iam.Permission) bool { return p.Action == a }) {
			t.Errorf("rollback calls %s, which its policy does not allow", a)
		}
	}
}
