package ec2_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
)

// What an error of a publication says is said once: of which image, what was done, where, what AWS was asked and what it answered.
func TestWhatErrorsSay(t *testing.T) {
	t.Parallel()
	denied := func(operation, action string) string {
		return fmt.Sprintf("version: 1\nrules:\n- match: { operation: %s }\n  do: { error: { status: 403, code: UnauthorizedOperation, message: %q } }\n", operation,
			"You are not authorized to perform this operation. User: arn:aws:sts::111122223333:assumed-role/ci/x is not authorized to perform: "+action+
				" on resource: * because no identity-based policy allows the "+action+" action. Encoded authorization failure message: "+strings.Repeat("x", 500))
	}
	const ci = " on *, for arn:aws:sts::111122223333:assumed-role/ci/x: because no identity-based policy allows the %s action (UnauthorizedOperation, request ID)"
	for name, c := range map[string]struct {
		faults string
		find   bool
		is     error
		want   string
	}{
		"looking": {
			denied("DescribeImages", "ec2:DescribeImages"), true, target.ErrDenied,
			"look for IMAGE: look in eu-west-1 of account 111122223333: permission denied: ec2:DescribeImages" + fmt.Sprintf(ci, "ec2:DescribeImages"),
		},
		"looking first": {
			denied("DescribeImages", "ec2:DescribeImages"), false, target.ErrDenied,
			"publish IMAGE: look in eu-west-1 of account 111122223333: permission denied: ec2:DescribeImages" + fmt.Sprintf(ci, "ec2:DescribeImages"),
		},
		"uploading": {
			denied("StartSnapshot", "ebs:StartSnapshot"), false, target.ErrDenied,
			"publish IMAGE: snapshot in eu-west-1 of account 111122223333: permission denied: ebs:StartSnapshot" + fmt.Sprintf(ci, "ebs:StartSnapshot"),
		},
		"a block": {
			"version: 1\nrules:\n- match: { operation: PutSnapshotBlock }\n  do: { throttle: true }\n", false, target.ErrThrottled,
			"publish IMAGE: snapshot in eu-west-1 of account 111122223333: block N: the account is asked too much: ebs:PutSnapshotBlock: ",
		},
		"registering": {
			denied("RegisterImage", "ec2:RegisterImage"), false, target.ErrDenied,
			"publish IMAGE: register SNAPSHOT in eu-west-1 of account 111122223333: permission denied: ec2:RegisterImage" + fmt.Sprintf(ci, "ec2:RegisterImage"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.faults)
			img := w.image(version(1), 2, blocks{0: 1}, "")
			p := w.process(nil, nil)
			var err error
			if c.find {
				_, err = p.Find(context.Background(), img, []string{"eu"})
			} else {
				_, err = p.Publish(context.Background(), img, template(bake.BIOS), []string{"eu"})
			}
			if !errors.Is(err, c.is) {
				t.Errorf("got %v", err)
			}
			if got := masked(img, err); !strings.HasPrefix(got, c.want) || strings.Contains(got, "operation error") || len(got) > 400 {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			if w.told("operation error") {
				t.Error("the SDK's words are told meanwhile")
			}
		})
	}
}

// masked leaves out of an error what differs from run to run.
func masked(img bake.Image, err error) string {
	text := strings.ReplaceAll(err.Error(), img.String(), "IMAGE")
	for what, by := range map[string]string{`snap-[0-9a-f]+`: "SNAPSHOT", `request [0-9a-f-]+`: "request ID", `block \d+`: "block N"} {
		text = regexp.MustCompile(what).ReplaceAllString(text, by)
	}
	return text
}
