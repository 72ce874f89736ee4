package ec2_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
)

// Wherever a process died: after a sweep there is a snapshot for each AMI, and nothing else.
func TestSweep(t *testing.T) {
	t.Parallel()
	for _, f := range []fate{killsFirst, killsAfter} {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			for n, total := int64(1), steps(t, f); n <= total; n += 2 {
				w := newWorld(t, "")
				img, c := chaosImage(w), &chaos{fate: f, n: n}
				_, err := bake.NewImages(w.process(nil, nil).catalog).Record(t.Context(), img, nil)
				ok(t, err)
				_, _ = w.process(c.transport, c.record).Publish(t.Context(), img, chaosTemplate(), chaosTargets())
				ok(t, w.cloud.Advance(time.Hour))
				lines, err := w.process(nil, nil).Sweep(t.Context(), chaosTargets(), time.Minute)
				ok(t, err)
				w.swept(n, lines)
			}
		})
	}
}

func (w *world) swept(n int64, lines []string) {
	w.t.Helper()
	left := w.left()
	for _, region := range []string{"eu-west-1", "us-east-1"} {
		if images, snapshots := count(left, region+"/image"), count(left, region+"/snapshot"); images != snapshots || images > 1 {
			w.t.Errorf("killed at step %d, swept %q: there are %v", n, lines, left)
		}
	}
	c := w.process(nil, nil).catalog
	under, err := c.List(w.t.Context(), "heads/publishing/")
	ok(w.t, err)
	if len(under) != 0 {
		w.t.Errorf("killed at step %d: under way: %v", n, under)
	}
}

// What was begun a moment ago is left alone, as is what is in nobody's account.
func TestSweepLeavesAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	img, c := chaosImage(w), &chaos{fate: killsAfter, n: 12}
	_, err := bake.NewImages(w.process(nil, nil).catalog).Record(t.Context(), img, nil)
	ok(t, err)
	_, _ = w.process(c.transport, c.record).Publish(t.Context(), img, chaosTemplate(), []string{"eu"})
	before := w.left()
	if len(before) != 1 {
		t.Fatalf("there are %v", before)
	}
	for name, targets := range map[string][]string{"young": {"eu"}, "elsewhere": {"us-third"}} {
		age := time.Hour
		if name == "elsewhere" {
			age = 0
		}
		lines, err := w.process(nil, nil).Sweep(t.Context(), targets, age)
		ok(t, err)
		if len(lines) != 0 || !slices.Equal(w.left(), before) {
			t.Errorf("%s: %q, there are %v", name, lines, w.left())
		}
	}
	w.hasLeft(time.Hour)
	w.hasLeft(0, img.String()+" in eu-west-1 of account "+home)
	lines, err := w.process(nil, nil).Sweep(t.Context(), []string{"us"}, 0) // the same account
	ok(t, err)
	if len(lines) != 1 || !strings.Contains(lines[0], "gave up "+img.String()) || len(w.left()) != 0 {
		t.Errorf("%q, there are %v", lines, w.left())
	}
	w.hasLeft(0)
}

// hasLeft fails the test unless these beginnings of lines are told of what publications left.
func (w *world) hasLeft(age time.Duration, want ...string) {
	w.t.Helper()
	lines, err := w.process(nil, nil).Left(w.t.Context(), age)
	ok(w.t, err)
	if !slices.EqualFunc(lines, want, strings.HasPrefix) {
		w.t.Errorf("left %q, want %q", lines, want)
	}
}
