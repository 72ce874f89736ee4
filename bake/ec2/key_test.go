package ec2_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
)

// A snapshot that begins as another one is encrypted by the key of that one: after a change of keys none from before is begun with, for nobody
// else can be given what AWS's own key encrypts.
func TestAnotherKeySinceLately(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.encrypt("")
	first, second := w.image(version(1), 2, blocks{0: 1, 1: 2}, ""), w.image(version(2), 2, blocks{0: 1, 1: 3}, "")
	_, err := target.EBS(w.target("eu")).StartSnapshot(t.Context(), &ebs.StartSnapshotInput{
		VolumeSize: aws.Int64(1), Tags: []ebstypes.Tag{{Key: aws.String("iibake:disk"), Value: aws.String(string(first.Disk))}},
	})
	ok(t, err)
	w.completeAll()
	w.encrypt(ownKey)
	w.made()
	got, err := w.process(nil, nil).Publish(t.Context(), second, template(bake.BIOS), []string{"eu", "eu-other"})
	ok(t, err)
	if n := count(w.made(), "PutSnapshotBlock"); n != 2048 {
		t.Errorf("%d blocks were written, want all", n)
	}
	all, err := target.EC2(w.target("eu")).DescribeSnapshots(t.Context(), &awsec2.DescribeSnapshotsInput{SnapshotIds: []string{got["eu"].Snapshot}})
	ok(t, err)
	if key := aws.ToString(all.Snapshots[0].KmsKeyId); key != ownKey {
		t.Errorf("encrypted by %s", key)
	}
}

// completeAll ends the snapshots of eu that are open, and have no blocks.
func (w *world) completeAll() {
	w.t.Helper()
	at := w.target("eu")
	for range 600 {
		all, err := target.EC2(at).DescribeSnapshots(w.t.Context(), &awsec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}})
		ok(w.t, err)
		open := slices.DeleteFunc(all.Snapshots, func(s ec2types.Snapshot) bool { return s.State == ec2types.SnapshotStateCompleted })
		if len(open) == 0 {
			return
		}
		for _, s := range open {
			_, err := target.EBS(at).CompleteSnapshot(w.t.Context(), &ebs.CompleteSnapshotInput{SnapshotId: s.SnapshotId, ChangedBlocksCount: aws.Int32(0)})
			ok(w.t, err)
		}
		ok(w.t, w.Sleep(w.t.Context(), time.Second))
	}
	w.t.Fatal("snapshots do not become complete")
}

// The copy of an encrypted snapshot is encrypted by the default key of its region, also where that encrypts nothing else.
func TestTheCopyOfAnEncryptedSnapshotCannotBeShared(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.encrypt(ownKey)
	img := w.image(version(1), 1, blocks{0: 1}, "")
	_, err := w.process(nil, nil).Publish(t.Context(), img, template(bake.BIOS), []string{"eu", "us-third"})
	if !errors.Is(err, bake.ErrRefused) || !strings.Contains(err.Error(), "us-east-1") || !strings.Contains(err.Error(), "key of your own") {
		t.Errorf("got %v", err)
	}
	w.leaves()
	us, err := w.process(nil, nil).targets.Get(t.Context(), "us")
	ok(t, err)
	key := strings.ReplaceAll(ownKey, "eu-west-1", "us-east-1")
	_, err = target.EC2(us).ModifyEbsDefaultKmsKeyId(t.Context(), &awsec2.ModifyEbsDefaultKmsKeyIdInput{KmsKeyId: &key})
	ok(t, err)
	_, err = w.process(nil, nil).Publish(t.Context(), img, template(bake.BIOS), []string{"eu", "us-third"})
	ok(t, err)
	w.leaves("eu-west-1", "us-east-1")
}
