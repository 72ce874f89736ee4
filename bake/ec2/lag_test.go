package ec2_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/test/localcloud"
)

// hide takes what matches out of the first answers about images that have it.
func hide(pattern string, times int64) func(http.RoundTripper) http.RoundTripper {
	what, left := regexp.MustCompile(pattern), new(atomic.Int64)
	left.Store(times)
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			mine := operation(r) == "DescribeImages"
			resp, err := next.RoundTrip(r)
			if !mine || err != nil {
				return resp, err
			}
			body, err := io.ReadAll(resp.Body)
			err = errors.Join(err, resp.Body.Close())
			if what.Match(body) && left.Add(-1) >= 0 {
				body = what.ReplaceAll(body, nil)
			}
			resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
			return resp, err
		})
	}
}

// An AMI that was made a moment ago is ours, also while its tags are not told.
func TestTagsAreToldLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	_, err := w.process(hide(`(?s)<tagSet>.*?</tagSet>`, 3), nil).Publish(t.Context(), chaosImage(w), chaosTemplate(), chaosTargets())
	ok(t, err)
	w.leaves("eu-west-1", "us-east-1")
}

// What iibake did not make never gets tags.
func TestAForeignImageWithoutTags(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	img := chaosImage(w)
	_, err := w.process(nil, nil).Publish(t.Context(), img, chaosTemplate(), []string{"eu"})
	ok(t, err)
	_, err = w.process(hide(`(?s)<tagSet>.*?</tagSet>`, 1000), nil).Publish(t.Context(), img, chaosTemplate(), []string{"eu"})
	if !errors.Is(err, bake.ErrRefused) || !strings.Contains(err.Error(), "it has no tags") {
		t.Errorf("when it is new: %v", err)
	}
	ok(t, w.cloud.Advance(time.Hour))
	_, err = w.process(hide(`(?s)<tagSet>.*?</tagSet>`, 1000), nil).Publish(t.Context(), img, chaosTemplate(), []string{"eu"})
	if !errors.Is(err, bake.ErrRefused) || !strings.Contains(err.Error(), "iibake did not make it") {
		t.Errorf("an hour later: %v", err)
	}
}

// Of a copy the snapshot is told last. An artifact without one would stand on record for ever.
func TestTheSnapshotIsToldLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	img, p := chaosImage(w), w.process(hide(`<snapshotId>[^<]*</snapshotId>`, 4), nil)
	got, err := p.Publish(t.Context(), img, chaosTemplate(), chaosTargets())
	ok(t, err)
	all, err := bake.NewArtifacts(p.catalog).Of(t.Context(), img.Ref)
	ok(t, err)
	if slices.ContainsFunc(all, func(a bake.Artifact) bool { return a.Snapshot == "" }) || got["us"].Snapshot == "" {
		t.Errorf("on record: %+v", all)
	}
	w.leaves("eu-west-1", "us-east-1")
}

// A sweep leaves a copy alone that AWS is at.
func TestSweepDuringACopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	img, ctx := chaosImage(w), t.Context()
	_, err := bake.NewImages(w.process(nil, nil).catalog).Record(ctx, img, nil)
	ok(t, err)
	killed, kill := context.WithCancel(ctx)
	_, err = w.process(stopAfter("CopyImage", kill), nil).Publish(killed, img, chaosTemplate(), []string{"eu", "us"})
	if err == nil {
		t.Fatal("it was not killed")
	}
	lines, err := w.process(nil, nil).Sweep(ctx, []string{"eu", "us"}, 0)
	if err != nil || len(lines) != 0 {
		t.Errorf("got %q, %v", lines, err)
	}
	all, err := bake.NewArtifacts(w.process(nil, nil).catalog).Of(ctx, img.Ref)
	if err != nil || slices.ContainsFunc(all, func(a bake.Artifact) bool { return a.Region == "us-east-1" }) {
		t.Errorf("on record: %+v, %v", all, err)
	}
	_, err = w.process(nil, nil).Publish(ctx, img, chaosTemplate(), []string{"eu", "us"})
	ok(t, err)
	if got := w.left(); !slices.Equal(got, []string{"eu-west-1/image", "eu-west-1/snapshot", "us-east-1/image", "us-east-1/snapshot"}) {
		t.Errorf("there are %v", got)
	}
}

// A region makes some twenty copies at a time for an account: the others wait for them.
func TestTooManyCopiesAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
version: 1
rules:
- match: { operation: CopyImage, times: 20 }
  do: { error: { code: ResourceLimitExceeded, message: "Too many snapshot copies in progress. The limit is 20 for this destination region." } }
`)
	_, err := w.process(nil, nil).Publish(t.Context(), chaosImage(w), chaosTemplate(), chaosTargets())
	ok(t, err)
	w.leaves("eu-west-1", "us-east-1")
}

// What another version of iibake has begun is asked for in other words, which AWS refuses to take for the same.
func TestAnotherVersionOfIibake(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	img := chaosImage(w)
	c := &chaos{fate: killsAfter, n: 7}
	if _, err := w.process(c.transport, c.record).Publish(t.Context(), img, chaosTemplate(), []string{"eu"}); !errors.Is(err, errKilled) {
		t.Errorf("got %v", err)
	}
	if got := w.left(); !slices.Equal(got, []string{"eu-west-1/snapshot"}) {
		t.Fatalf("there are %v", got)
	}
	img.Commit = "fedcba9876543210"
	_, err := w.process(nil, nil).Publish(t.Context(), img, chaosTemplate(), []string{"eu"})
	ok(t, err)
	w.leaves("eu-west-1")
}

// The same of a copy, which cannot be seen.
func TestAnotherVersionsCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	ok(t, w.cloud.SetFaults(localcloud.Document{Name: "faults", Text: []byte(
		"version: 1\nrules:\n- match: { operation: CopyImage, times: 1 }\n  do: { error: { code: IdempotentParameterMismatch, message: used } }")}))
	_, err := w.process(nil, nil).Publish(t.Context(), chaosImage(w), chaosTemplate(), chaosTargets())
	if err == nil || !strings.Contains(err.Error(), "run again") {
		t.Errorf("got %v", err)
	}
	_, err = w.process(nil, nil).Publish(t.Context(), chaosImage(w), chaosTemplate(), chaosTargets())
	ok(t, err)
	w.leaves("eu-west-1", "us-east-1")
}

// An upload was begun by a machine whose clock is a day ahead, and somebody has deleted its snapshot: nobody waits a day for it.
func TestAnIntentOfTomorrow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	img := chaosImage(w)
	c := &chaos{fate: killsAfter, n: 9}
	_, _ = w.process(c.transport, c.record).Publish(t.Context(), img, chaosTemplate(), []string{"eu"})
	dir, err := catalog.OpenDir(w.dir)
	ok(t, err)
	keys, err := dir.List(t.Context(), "heads/publishing/")
	if err != nil || len(keys) != 1 {
		t.Fatalf("under way: %v, %v", keys, err)
	}
	old, err := dir.Get(t.Context(), keys[0])
	ok(t, err)
	intent := map[string]any{}
	ok(t, json.Unmarshal(old, &intent))
	if intent["snapshot"] == nil {
		t.Fatalf("got %s", old)
	}
	intent["at"] = w.cloud.Now().Add(24 * time.Hour)
	changed, err := json.Marshal(intent)
	ok(t, err)
	ok(t, dir.Swap(t.Context(), keys[0], old, changed))
	_, err = target.EC2(w.target("eu")).DeleteSnapshot(t.Context(), &awsec2.DeleteSnapshotInput{SnapshotId: aws.String(intent["snapshot"].(string))})
	ok(t, err)
	began := w.cloud.Now()
	_, err = w.process(nil, nil).Publish(t.Context(), img, chaosTemplate(), []string{"eu"})
	ok(t, err)
	if took := w.cloud.Now().Sub(began); took > time.Hour {
		t.Errorf("it took %v", took)
	}
	w.leaves("eu-west-1")
}

// EBS direct takes so many calls at once.
func TestTooManyCallsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
version: 1
rules:
- match: { service: ebs, every: 3, times: 6 }
  do: { error: { code: ConcurrentLimitExceededException, message: "You have reached the limit for concurrent API requests." } }
`)
	_, err := w.process(nil, nil).Publish(t.Context(), chaosImage(w), chaosTemplate(), chaosTargets())
	ok(t, err)
	w.leaves("eu-west-1", "us-east-1")
}

// One part of EC2 says that a snapshot is completed, and another one does not know it yet.
func TestCompletedAndNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
version: 1
rules:
- match: { operation: RegisterImage, times: 3 }
  do: { error: { code: IncorrectState, message: "Snapshot 'snap-1' is not 'completed'." } }
- match: { operation: CopyImage, times: 3 }
  do: { error: { code: IncorrectState, message: "Snapshot 'snap-1' is not 'completed'." } }
`)
	_, err := w.process(nil, nil).Publish(t.Context(), chaosImage(w), chaosTemplate(), chaosTargets())
	ok(t, err)
	w.leaves("eu-west-1", "us-east-1")
}

// Between partitions nothing is copied and nothing shared: each gets an upload.
func TestPartitions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	got, err := w.process(nil, nil).Publish(t.Context(), chaosImage(w), chaosTemplate(), []string{"eu", "cn"})
	ok(t, err)
	made := w.made()
	if count(made, "RegisterImage") != 2 || count(made, "CopyImage") != 0 || count(made, "ModifyImageAttribute") != 0 || got["cn"].Account == home {
		t.Errorf("%v, calls %v", got, made)
	}
}

// An account that is shown nothing of what was shared with it may admit images of some accounts only.
func TestNotAdmitted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	through := func(next http.RoundTripper) http.RoundTripper {
		blind := hide(`(?s)<item><blockDeviceMapping>.*</item>|<imagesSet>.*</imagesSet>`, 1000)(next)
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if strings.Contains(r.Header.Get("Authorization"), other) {
				return blind.RoundTrip(r)
			}
			return next.RoundTrip(r)
		})
	}
	_, err := w.process(through, nil).Publish(t.Context(), chaosImage(w), chaosTemplate(), []string{"eu", "eu-other"})
	if err == nil || !strings.Contains(err.Error(), "Allowed AMIs") || !strings.Contains(err.Error(), home) {
		t.Errorf("got %v", err)
	}
}
