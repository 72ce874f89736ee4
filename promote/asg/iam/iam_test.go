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

// What no run here asks for, and AWS does: a launch template with tags, and snapshots that a key of the account's own encrypts.
func TestWhatOnlyAWSAsksFor(t *testing.T) {
	d, err := iam.Policy(iam.Promote)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct{ action, on, operator, key, value string }{
		{"ec2:CreateTags", "arn:aws:ec2:*:*:instance/*", "StringEquals", "ec2:CreateAction", "RunInstances"},
		{"ec2:CreateTags", "arn:aws:ec2:*:*:volume/*", "StringEquals", "ec2:CreateAction", "RunInstances"},
		{"ec2:CreateTags", "arn:aws:ec2:*:*:launch-template/*", "", "", ""},
		{"iam:PassRole", "arn:aws:iam::*:role/*", "StringEquals", "iam:PassedToService", "ec2.amazonaws.com"},
		{"kms:GenerateDataKeyWithoutPlaintext", "arn:aws:kms:*:*:key/*", "", "", ""},
		{"kms:CreateGrant", "arn:aws:kms:*:*:key/*", "Bool", "kms:GrantIsForAWSResource", "true"},
	} {
		if !slices.ContainsFunc(d.Statement, func(s iam.Statement) bool {
			bound := want.operator == "" && s.Condition == nil || want.operator != "" && s.Condition[want.operator][want.key] == want.value
			return slices.Contains(s.Action, want.action) && slices.Contains(s.Resource, want.on) && bound
		}) {
			t.Errorf("nothing like %+v is allowed", want)
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
