package asg_test

import (
	"errors"
	"regexp"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/test/localcloud"
)

// What an error of a fleet says, it says once: of which group, where, what AWS was asked, and what it answered.
func TestWhatErrorsSay(t *testing.T) {
	for name, c := range map[string]struct {
		operation, do string
		is            error
		want          string
	}{
		"denied": {
			"DescribeAutoScalingGroups", "error: { status: 403, code: AccessDenied, message: 'User: arn:aws:sts::111122223333:assumed-role/ci/x is not authorized to perform: " +
				"autoscaling:DescribeAutoScalingGroups because no identity-based policy allows the autoscaling:DescribeAutoScalingGroups action' }", target.ErrDenied,
			"permission denied: autoscaling:DescribeAutoScalingGroups, for arn:aws:sts::111122223333:assumed-role/ci/x: " +
				"because no identity-based policy allows the autoscaling:DescribeAutoScalingGroups action (AccessDenied, request ID)",
		},
		"throttled": {
			"DescribeInstanceRefreshes", "throttle: true", target.ErrThrottled,
			"the account is asked too much: autoscaling:DescribeInstanceRefreshes: Rate exceeded (Throttling, request ID), after 12 tries",
		},
		"refused": {
			"DescribeImages", "error: { status: 400, code: InvalidParameterValue, message: no }", bake.ErrRefused,
			"refused: ec2:DescribeImages: no (InvalidParameterValue, request ID)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			w.addGroup(2)
			rule := "version: 1\nrules:\n- match: { operation: " + c.operation + " }\n  do: { " + c.do + " }\n"
			ok(t, w.cloud.SetFaults(localcloud.Document{Name: "faults", Text: []byte(rule)}))
			_, err := w.fleet(strategy()).Preflight(t.Context(), w.query())
			if !errors.Is(err, c.is) {
				t.Fatalf("got %v", err)
			}
			got := regexp.MustCompile(`request [0-9a-f-]+`).ReplaceAllString(err.Error(), "request ID")
			if want := "group web in eu-west-1 of account " + home + ": " + c.want; got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}
