package ec2_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/ec2"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/test/localcloud"
)

// encrypt has an account encrypt every new snapshot, by a key of its own or by that of AWS.
func (w *world) encrypt(key string) {
	w.t.Helper()
	client := target.EC2(w.target("eu"))
	_, err := client.EnableEbsEncryptionByDefault(w.t.Context(), &awsec2.EnableEbsEncryptionByDefaultInput{})
	ok(w.t, err)
	if key != "" {
		_, err = client.ModifyEbsDefaultKmsKeyId(w.t.Context(), &awsec2.ModifyEbsDefaultKmsKeyIdInput{KmsKeyId: &key})
		ok(w.t, err)
	}
}

const ownKey = "arn:aws:kms:eu-west-1:111122223333:key/12345678-1234-1234-1234-123456789012"

// On an encrypted volume a block that nobody wrote is garbage: all are written, once.
func TestEncryptionByDefault(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.encrypt("")
	p := w.process(nil, nil)
	img := w.image(version(1), 3, blocks{0: 1, 3: 2}, "")
	_, err := p.Publish(t.Context(), img, template(bake.BIOS), []string{"eu"})
	ok(t, err)
	if made := w.made(); count(made, "PutSnapshotBlock") != 2048 {
		t.Errorf("%d blocks were written, want all of a GiB", count(made, "PutSnapshotBlock"))
	}
	next := w.image(version(2), 3, blocks{0: 1, 3: 3}, "")
	got, err := p.Publish(t.Context(), next, template(bake.BIOS), []string{"eu"})
	ok(t, err)
	if made := w.made(); count(made, "PutSnapshotBlock") != 1 {
		t.Errorf("%d blocks were written, want what has changed", count(made, "PutSnapshotBlock"))
	}
	w.holds(w.target("eu"), got["eu"].Snapshot, next.Disk)
}

// The account encrypts everything since lately: what it has cannot be built on.
func TestEncryptionByDefaultSinceLately(t *testing.T) {
	t.Parallel()
	for name, through := range map[string]func(http.RoundTripper) http.RoundTripper{
		"it says so":      nil,
		"it may not tell": refuse("GetEbsEncryptionByDefault"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "")
			p := w.process(through, nil)
			img := w.image(version(1), 2, blocks{0: 1, 1: 2, 2: 3}, "")
			_, err := p.Publish(t.Context(), img, template(bake.BIOS), []string{"eu"})
			ok(t, err)
			w.encrypt("")
			next := w.image(version(2), 2, blocks{0: 1, 1: 2, 2: 4}, "")
			w.made()
			_, err = p.Publish(t.Context(), next, template(bake.BIOS), []string{"eu"})
			ok(t, err)
			if made := w.made(); count(made, "PutSnapshotBlock") != 2048 {
				t.Errorf("%d blocks were written, want all of a GiB", count(made, "PutSnapshotBlock"))
			}
			w.settled()
		})
	}
}

// refuse lets an operation be denied always.
func refuse(name string) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if operation(r) == name {
				return answer(r, http.StatusForbidden, map[string]string{"ec2": "UnauthorizedOperation", "ebs": "AccessDeniedException"}), nil
			}
			return next.RoundTrip(r)
		})
	}
}

// What AWS's own key encrypts cannot be shared: nothing is uploaded for it.
func TestEncryptedCannotBeShared(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.encrypt("")
	img := w.image(version(1), 1, blocks{0: 1}, "")
	_, err := w.process(nil, nil).Publish(t.Context(), img, template(bake.BIOS), []string{"eu", "eu-other"})
	if !errors.Is(err, bake.ErrRefused) || !strings.Contains(err.Error(), "key of your own") {
		t.Errorf("got %v", err)
	}
	w.leaves()
	w.encrypt(ownKey)
	got, err := w.process(nil, nil).Publish(t.Context(), img, template(bake.BIOS), []string{"eu", "eu-other"})
	ok(t, err)
	if got["eu"].AMI != got["eu-other"].AMI {
		t.Errorf("got %v", got)
	}
	w.leaves("eu-west-1")
}

// A new snapshot is said not to exist for a while, and a complete one not to be.
func TestEventualConsistency(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "version: 1\nwindows: { \"ebs:writable\": 125s, \"ebs:readable\": 60s }")
	p := w.process(nil, nil)
	img := w.image(version(1), 2, blocks{0: 1, 1: 2, 2: 3}, "")
	_, err := p.Publish(t.Context(), img, template(bake.BIOS), []string{"eu"})
	ok(t, err)
	next := w.image(version(2), 2, blocks{0: 1, 1: 2, 2: 4}, "")
	w.made()
	got, err := p.Publish(t.Context(), next, template(bake.BIOS), []string{"eu"})
	ok(t, err)
	if made := w.made(); count(made, "RegisterImage") != 1 {
		t.Errorf("calls %v", made)
	}
	ok(t, w.cloud.Advance(2*time.Minute))
	w.holds(w.target("eu"), got["eu"].Snapshot, next.Disk)
}

// What EC2 has just made it may not know yet.
func TestImageIsSeenLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
version: 1
rules:
- match: { operation: EnableImageDeprecation, times: 2 }
  do: { error: { code: InvalidAMIID.NotFound, message: "The image id does not exist" } }
- match: { operation: ModifyImageAttribute, times: 3 }
  do: { error: { code: InvalidAMIID.NotFound, message: "The image id does not exist" } }
- match: { operation: RegisterImage, times: 1 }
  do: { error: { code: InvalidSnapshotID.NotFound, message: "The snapshot does not exist" } }
- match: { operation: CopyImage, times: 1 }
  do: { error: { code: InvalidAMIID.NotFound, message: "The image id does not exist" } }
`)
	_, err := w.process(nil, nil).Publish(t.Context(), chaosImage(w), chaosTemplate(), chaosTargets())
	ok(t, err)
	w.leaves("eu-west-1", "us-east-1")
}

// A snapshot that somebody deletes in the middle is begun anew.
func TestSnapshotIsDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	img := w.image(version(1), 4, blocks{0: 1, 2: 2, 4: 3, 6: 4}, "")
	deleted := stopAt("CompleteSnapshot", 1, func() {
		all, err := target.EC2(w.target("eu")).DescribeSnapshots(context.WithoutCancel(t.Context()), &awsec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}})
		ok(t, err)
		for _, s := range all.Snapshots {
			_, err := target.EC2(w.target("eu")).DeleteSnapshot(t.Context(), &awsec2.DeleteSnapshotInput{SnapshotId: s.SnapshotId})
			ok(t, err)
		}
	})
	got, err := w.process(deleted, nil).Publish(t.Context(), img, template(bake.BIOS), []string{"eu"})
	ok(t, err)
	w.holds(w.target("eu"), got["eu"].Snapshot, img.Disk)
	w.leaves("eu-west-1")
}

// A snapshot that ends in error is deleted, and another one begun; a third time is the last.
func TestSnapshotEndsInError(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	img := w.image(version(1), 4, blocks{0: 1, 2: 2}, "")
	got, err := w.process(spoil(1), nil).Publish(t.Context(), img, template(bake.BIOS), []string{"eu"})
	ok(t, err)
	w.holds(w.target("eu"), got["eu"].Snapshot, img.Disk)
	w.leaves("eu-west-1")

	w = newWorld(t, "")
	img = w.image(version(1), 4, blocks{0: 1, 2: 2}, "")
	_, err = w.process(spoil(100), nil).Publish(t.Context(), img, template(bake.BIOS), []string{"eu"})
	if err == nil || !strings.Contains(err.Error(), "Changed blocks count mismatch") {
		t.Errorf("got %v", err)
	}
	w.leaves()
}

// spoil lies about the number of blocks for the first n snapshots.
func spoil(n int) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if operation(r) == "CompleteSnapshot" && n > 0 {
				n--
				r = r.Clone(r.Context())
				r.Header.Set("X-Amz-Changedblockscount", "7")
			}
			return next.RoundTrip(r)
		})
	}
}

// The upload of a process that was killed has timed out since.
func TestResumeAfterDays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	img := w.image(version(1), 4, blocks{0: 1, 2: 2, 4: 3}, "")
	c := &chaos{fate: killsAfter, n: 12}
	if _, err := w.process(c.transport, c.record).Publish(t.Context(), img, template(bake.BIOS), []string{"eu"}); !errors.Is(err, errKilled) {
		t.Errorf("got %v", err)
	}
	if got := w.left(); !slices.Equal(got, []string{"eu-west-1/snapshot"}) {
		t.Fatalf("there are %v", got)
	}
	ok(t, w.cloud.Advance(72*time.Hour))
	_, err := w.process(nil, nil).Publish(t.Context(), img, template(bake.BIOS), []string{"eu"})
	ok(t, err)
	w.leaves("eu-west-1")
}

// What the parent holds is not known any more when an upload is taken up.
func TestResumeWithoutTheParentsDisk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	first := w.image(version(1), 4, blocks{0: 1, 2: 2, 4: 3}, "")
	_, err := w.process(nil, nil).Publish(t.Context(), first, template(bake.BIOS), []string{"eu"})
	ok(t, err)
	next := w.image(version(2), 4, blocks{0: 1, 2: 2, 4: 4}, "")
	c := &chaos{fate: killsAfter, n: 9}
	if _, err := w.process(c.transport, c.record).Publish(t.Context(), next, template(bake.BIOS), []string{"eu"}); !errors.Is(err, errKilled) {
		t.Errorf("got %v", err)
	}
	ok(t, w.store.Close())
	_, err = w.store.Collect(t.Context(), []bake.Digest{next.Disk}, -time.Hour, false)
	ok(t, err)
	got, err := w.process(nil, nil).Publish(t.Context(), next, template(bake.BIOS), []string{"eu"})
	ok(t, err)
	w.holds(w.target("eu"), got["eu"].Snapshot, next.Disk)
	w.settled()
}

// The store has lost the disk: nothing is made.
func TestDiskIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	img := w.image(version(1), 1, blocks{0: 1}, "")
	img.Disk = bake.DigestOf([]byte("another"))
	if _, err := w.process(nil, nil).Publish(t.Context(), img, template(bake.BIOS), []string{"eu"}); !errors.Is(err, disk.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	w.leaves()
}

// What is denied is named, and leaves nothing behind.
func TestDenied(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"StartSnapshot", "PutSnapshotBlock", "CompleteSnapshot", "DescribeImages", "DescribeSnapshots"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "")
			img := w.image(version(1), 2, blocks{0: 1, 2: 2}, "")
			_, err := w.process(refuse(name), nil).Publish(t.Context(), img, template(bake.BIOS), []string{"eu"})
			if !errors.Is(err, target.ErrDenied) || !errors.Is(err, bake.ErrRefused) || !strings.Contains(err.Error(), name) {
				t.Errorf("got %v", err)
			}
			if name != "DescribeSnapshots" { // who may not look cannot clean up
				w.leaves()
			}
			_, err = w.process(nil, nil).Publish(t.Context(), img, template(bake.BIOS), []string{"eu"})
			ok(t, err)
			w.leaves("eu-west-1")
		})
	}
}

// A hundred snapshots are open already.
func TestQuota(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	for range 100 {
		_, err := target.EBS(w.target("eu")).StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1)})
		ok(t, err)
	}
	_, err := w.process(nil, nil).Publish(t.Context(), w.image(version(1), 1, blocks{0: 1}, ""), template(bake.BIOS), []string{"eu"})
	if !errors.Is(err, ec2.ErrQuota) || !errors.Is(err, bake.ErrRefused) {
		t.Errorf("got %v", err)
	}
	w.settled()
}

// A copy that fails is made again by the next run.
func TestCopyFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	img := w.image(version(1), 1, blocks{0: 1}, "")
	c := stopAt("CopyImage", 1, func() {
		ok(t, w.cloud.SetFaults(localcloud.Document{Name: "faults", Text: []byte("version: 1\nrules:\n- match: { operation: CopyImage }\n  do: { error: { code: ResourceLimitExceeded, message: too many copies } }")}))
	})
	_, err := w.process(c, nil).Publish(t.Context(), img, template(bake.BIOS), []string{"eu", "us"})
	if !errors.Is(err, ec2.ErrQuota) {
		t.Errorf("got %v", err)
	}
	ok(t, w.cloud.SetFaults(localcloud.Document{}))
	_, err = w.process(nil, nil).Publish(t.Context(), img, template(bake.BIOS), []string{"eu", "us"})
	ok(t, err)
	w.leaves("eu-west-1", "us-east-1")
}

// AWS has forgotten the token of a process that was killed: there are two snapshots, and one of them goes.
func TestTokenIsForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	img := w.image(version(1), 2, blocks{0: 1, 2: 2}, "")
	c := &chaos{fate: killsAfter, n: 7}
	if _, err := w.process(c.transport, c.record).Publish(t.Context(), img, template(bake.BIOS), []string{"eu"}); !errors.Is(err, errKilled) {
		t.Errorf("got %v", err)
	}
	all, err := target.EC2(w.target("eu")).DescribeSnapshots(t.Context(), &awsec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}})
	ok(t, err)
	if len(all.Snapshots) != 1 {
		t.Fatalf("there are %d snapshots", len(all.Snapshots))
	}
	var tags []ebstypes.Tag
	for _, tag := range all.Snapshots[0].Tags {
		tags = append(tags, ebstypes.Tag{Key: tag.Key, Value: tag.Value})
	}
	_, err = target.EBS(w.target("eu")).StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1), Tags: tags})
	ok(t, err)
	_, err = w.process(nil, nil).Publish(t.Context(), img, template(bake.BIOS), []string{"eu"})
	ok(t, err)
	w.leaves("eu-west-1")
}

// An account that says time and again that it is asked too often gets the image all the same.
func TestThrottled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
version: 1
throttling: aws
rules:
- match: { service: "e*", probability: 0.3 }
  do: { throttle: true }
- match: { operation: PutSnapshotBlock, probability: 0.1 }
  do: { lose: true }
`)
	has := blocks{}
	for i := range int64(120) {
		has[2*i] = byte(1 + i)
	}
	img := w.image(version(1), 120, has, "")
	got, err := w.process(nil, nil).Publish(t.Context(), img, template(bake.BIOS), chaosTargets())
	ok(t, err)
	ok(t, w.cloud.SetFaults(localcloud.Document{}))
	w.holds(w.target("us"), got["us"].Snapshot, img.Disk)
	w.leaves("eu-west-1", "us-east-1")
}
