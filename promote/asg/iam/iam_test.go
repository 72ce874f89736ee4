package iam_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/promote/asg/iam"
)

// Who only looks may change nothing.
func TestLookingVerbsOnlyLook(t *testing.T) {
	all, err := iam.Of(iam.Drill, iam.Status)
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	for _, p := range all {
		_, operation, _ := strings.Cut(p.Action, ":")
		if !strings.HasPrefix(operation, "Describe") && !strings.HasPrefix(operation, "Get") {
			t.Errorf("%s changes something", p.Action)
		}
	}
}

// What changes something is allowed on its kind of resource only, except for RunInstances, which touches a dozen kinds.
func TestChangesAreBounded(t *testing.T) {
	for _, v := range iam.Verbs() {
		d, err := iam.Policy(v)
		if err != nil {
			t.Fatal(err)
		}
		sids := map[string]bool{}
		for _, s := range d.Statement {
			if sids[s.Sid] {
				t.Errorf("%s: two statements %s", v, s.Sid)
			}
			sids[s.Sid] = true
			if !slices.Equal(s.Resource, []string{"*"}) {
				continue
			}
			for _, a := range s.Action {
				_, operation, _ := strings.Cut(a, ":")
				if !strings.HasPrefix(operation, "Describe") && !strings.HasPrefix(operation, "Get") && a != "ec2:RunInstances" {
					t.Errorf("%s: %s on everything", v, a)
				}
			}
		}
	}
}

func TestTogetherAreAsMuchAsEach(t *testing.T) {
	both, err := iam.Policy(iam.Publish, iam.Promote)
	if err != nil {
		t.Fatal(err)
	}
	alone, err := iam.Policy(iam.Promote)
	if err != nil || len(both.Statement) != len(alone.Statement) {
		t.Errorf("%d statements and %d, %v", len(both.Statement), len(alone.Statement), err)
	}
}

func TestUnknownVerb(t *testing.T) {
	if _, err := iam.Policy("bake"); !errors.Is(err, bake.ErrInvalid) {
		t.Errorf("got %v", err)
	}
	if _, err := iam.Of("bake"); !errors.Is(err, bake.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}
