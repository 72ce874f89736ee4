package ebs_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake/disk"
)

func TestStartSnapshot(t *testing.T) {
	c := newCloud(t)
	in := &ebs.StartSnapshotInput{
		VolumeSize: aws.Int64(1), Description: aws.String("root"), ClientToken: aws.String("t"), Timeout: aws.Int32(4320),
		Tags: []ebstypes.Tag{{Key: aws.String("a"), Value: aws.String("b")}},
	}
	out, err := c.direct(owner).StartSnapshot(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if *out.BlockSize != disk.BlockSize || *out.Description != "root" || out.KmsKeyArn != nil || *out.OwnerId != owner || out.ParentSnapshotId != nil ||
		out.SseType != "" || out.Status != ebstypes.StatusPending || *out.VolumeSize != 1 || len(out.Tags) != 1 {
		t.Errorf("answer %+v", out)
	}
	snap := c.describe(*out.SnapshotId)
	if *snap.VolumeId != "vol-ffffffff" || *snap.Progress != "0%" || snap.State != ec2types.SnapshotStatePending || *snap.Encrypted ||
		snap.CompletionTime != nil || snap.FullSnapshotSizeInBytes != nil || snap.StateMessage != nil || snap.KmsKeyId != nil || !snap.StartTime.Equal(*out.StartTime) {
		t.Errorf("described %+v", snap)
	}
	c.complete(*out.SnapshotId, 0, nil)
	c.clock.Advance(time.Minute)
	again, err := c.direct(owner).StartSnapshot(t.Context(), in)
	if err != nil || *again.SnapshotId != *out.SnapshotId || again.Status != ebstypes.StatusPending || !again.StartTime.Equal(*out.StartTime) {
		t.Errorf("replayed after its completion: %+v, %v", again, err)
	}
	in.VolumeSize = aws.Int64(2)
	_, err = c.direct(owner).StartSnapshot(t.Context(), in)
	want(t, err, 409, "ConflictException", "", "Current request does not match request stored with this token.")
}

func TestStartSnapshotRefuses(t *testing.T) {
	c := newCloud(t)
	open := c.start("")
	small, broken := c.snapshot("", nil), c.start("")
	c.complete(broken, 3, nil)
	c.clock.Advance(20 * time.Minute)
	big := func() string {
		out, err := c.direct(owner).StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: aws.Int64(8)})
		if err != nil {
			t.Fatal(err)
		}
		c.complete(*out.SnapshotId, 0, nil)
		c.clock.Advance(time.Minute)
		return *out.SnapshotId
	}()
	start := func(account string, in ebs.StartSnapshotInput) error {
		if in.VolumeSize == nil {
			in.VolumeSize = aws.Int64(1)
		}
		_, err := c.direct(account).StartSnapshot(t.Context(), &in)
		return err
	}
	wantInvalid(t, start(owner, ebs.StartSnapshotInput{ParentSnapshotId: &open}), "INVALID_SNAPSHOT_ID", "Source snapshot ("+open+") is not complete.")
	wantNotFound(t, start(owner, ebs.StartSnapshotInput{ParentSnapshotId: &broken}), broken)
	wantNotFound(t, start(owner, ebs.StartSnapshotInput{ParentSnapshotId: aws.String("snap-00000000000000001")}), "snap-00000000000000001")
	wantInvalid(t, start(owner, ebs.StartSnapshotInput{ParentSnapshotId: &big}), "INVALID_VOLUME_SIZE", "Volume size 1 is smaller than that of the parent snapshot, 8")
	wantInvalid(t, start(owner, ebs.StartSnapshotInput{ParentSnapshotId: &small, Encrypted: aws.Bool(true)}), "INVALID_PARAMETER_VALUE",
		"Encrypted and KmsKeyArn cannot be specified when ParentSnapshotId is specified")
	wantInvalid(t, start(owner, ebs.StartSnapshotInput{Encrypted: aws.Bool(false), KmsKeyArn: aws.String("arn:aws:kms:eu-west-1:111122223333:key/x")}),
		"INVALID_PARAMETER_VALUE", "Encrypt cannot be false when KmsKeyArn is specified")
	wantInvalid(t, start(owner, ebs.StartSnapshotInput{VolumeSize: aws.Int64(65537)}), "INVALID_VOLUME_SIZE", "Volume size 65537 is greater than the maximum of 65536 GiB")
	wantInvalid(t, start(owner, ebs.StartSnapshotInput{Tags: []ebstypes.Tag{{Key: aws.String("aws:x"), Value: aws.String("")}}}), "INVALID_TAG",
		"Tag keys starting with 'aws:' are reserved for internal use")
	c.share(small, friend)
	wantNotFound(t, start(friend, ebs.StartSnapshotInput{ParentSnapshotId: &small}), small) // although its blocks can be read
	for err := error(nil); err == nil; {
		if err = start(friend, ebs.StartSnapshotInput{}); err != nil {
			want(t, err, 402, "ServiceQuotaExceededException", "", "You have reached the limit of 100 pending snapshots")
		}
	}
}

func (c *cloud) share(id, account string) {
	c.t.Helper()
	_, err := c.compute().ModifySnapshotAttribute(c.t.Context(), &ec2.ModifySnapshotAttributeInput{
		SnapshotId: &id, CreateVolumePermission: &ec2types.CreateVolumePermissionModifications{Add: []ec2types.CreateVolumePermission{{UserId: &account}}},
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

func TestEncryption(t *testing.T) {
	c := newCloud(t)
	key := "arn:aws:kms:eu-west-1:111122223333:key/1"
	for name, test := range map[string]struct {
		in  ebs.StartSnapshotInput
		key string // empty: not encrypted; *: some
	}{
		"no flags":       {},
		"false":          {ebs.StartSnapshotInput{Encrypted: aws.Bool(false)}, ""},
		"true and a key": {ebs.StartSnapshotInput{Encrypted: aws.Bool(true), KmsKeyArn: &key}, key},
		"a key":          {ebs.StartSnapshotInput{KmsKeyArn: &key}, key},
		"true":           {ebs.StartSnapshotInput{Encrypted: aws.Bool(true)}, "*"},
	} {
		test.in.VolumeSize = aws.Int64(1)
		out, err := c.direct(owner).StartSnapshot(t.Context(), &test.in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		snap := c.describe(*out.SnapshotId)
		if *snap.Encrypted != (test.key != "") || aws.ToString(snap.KmsKeyId) != aws.ToString(out.KmsKeyArn) || (test.key != "*" && aws.ToString(out.KmsKeyArn) != test.key) {
			t.Errorf("%s: %+v", name, snap)
		}
	}
	plain := c.snapshot("", nil)
	if _, err := c.compute().EnableEbsEncryptionByDefault(t.Context(), &ec2.EnableEbsEncryptionByDefaultInput{}); err != nil {
		t.Fatal(err)
	}
	if id := c.start(""); !*c.describe(id).Encrypted {
		t.Error("not encrypted by default")
	}
	_, err := c.direct(owner).StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1), ParentSnapshotId: &plain})
	wantInvalid(t, err, "INVALID_SNAPSHOT_ID", "Parent snapshot ("+plain+") is not encrypted, but encryption by default is enabled.")
}

func TestPutSnapshotBlockRefuses(t *testing.T) {
	c := newCloud(t)
	id, done := c.start(""), c.start("")
	c.complete(done, 0, nil)
	good := block(1)
	wrong := sum(block(2))
	for name, test := range map[string]struct {
		change       func(*ebs.PutSnapshotBlockInput)
		status       int
		code, reason string
		message      string
	}{
		"checksum of another block": {
			func(in *ebs.PutSnapshotBlockInput) { in.Checksum = &wrong }, 403, "InvalidSignatureException", "",
			"The value passed in as x-amz-Checksum does not match the computed checksum. Computed checksum: " + sum(good) + " expected checksum: " + wrong,
		},
		"short": {
			func(in *ebs.PutSnapshotBlockInput) {
				in.DataLength, in.BlockData = aws.Int32(5), strings.NewReader("short")
			}, 400, "ValidationException",
			"INVALID_PARAMETER_VALUE", "Failed to read block data",
		},
		"short with full length": {
			func(in *ebs.PutSnapshotBlockInput) { in.BlockData = strings.NewReader("short") }, 400, "ValidationException",
			"INVALID_PARAMETER_VALUE", "Failed to read block data",
		},
		"long": {
			func(in *ebs.PutSnapshotBlockInput) { in.BlockData = bytes.NewReader(append(good, 0)) }, 400, "ValidationException",
			"INVALID_PARAMETER_VALUE", "Failed to read block data",
		},
		"length": {
			func(in *ebs.PutSnapshotBlockInput) { in.DataLength = aws.Int32(1) }, 400, "ValidationException", "INVALID_BLOCK",
			"Block data length 1 is not valid, expected 524288",
		},
		"behind the end": {
			func(in *ebs.PutSnapshotBlockInput) { in.BlockIndex = aws.Int32(2048) }, 400, "ValidationException", "INVALID_BLOCK",
			"Block index 2048 is beyond the volume size extent",
		},
		"algorithm": {
			func(in *ebs.PutSnapshotBlockInput) { in.ChecksumAlgorithm = "SHA1" }, 400, "ValidationException", "INVALID_PARAMETER_VALUE",
			"Unsupported Checksum Algorithm 'SHA1', supported algorithms are SHA256",
		},
		"completed": {
			func(in *ebs.PutSnapshotBlockInput) { in.SnapshotId = &done }, 400, "ValidationException", "INVALID_SNAPSHOT_ID",
			"Snapshot is already completed",
		},
		"unknown": {
			func(in *ebs.PutSnapshotBlockInput) { in.SnapshotId = aws.String("snap-00000000000000001") }, 404, "ResourceNotFoundException", "SNAPSHOT_NOT_FOUND",
			"The snapshot 'snap-00000000000000001' does not exist.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := putInput(id, 0, good)
			test.change(in)
			_, err := c.direct(owner).PutSnapshotBlock(t.Context(), in)
			want(t, err, test.status, test.code, test.reason, test.message)
		})
	}
	_, err := c.direct(friend).PutSnapshotBlock(t.Context(), putInput(id, 0, good))
	wantNotFound(t, err, id)
	if got := c.complete(id, 0, nil); got != ebstypes.StatusPending {
		t.Errorf("status %s", got)
	}
	c.clock.Advance(2 * time.Second)
	if got := c.describe(id); got.State != ec2types.SnapshotStateCompleted {
		t.Errorf("something was stored: %+v", got)
	}
}

func TestCompletion(t *testing.T) {
	one, two, zero := block(1), block(2), make([]byte, disk.BlockSize)
	c := newCloud(t)
	id := c.start("")
	c.put(id, 9, two)
	c.put(id, 3, two)
	c.put(id, 3, one) // the last one counts, and once
	c.put(id, 5, zero)
	if got := c.describe(id); *got.Progress != "0%" {
		t.Errorf("open: %+v", got)
	}
	if got := c.complete(id, 3, aggregate(one, zero, two)); got != ebstypes.StatusPending {
		t.Errorf("status %s", got)
	}
	if got := c.complete(id, 3, nil); got != ebstypes.StatusPending { // again, too early
		t.Errorf("status %s", got)
	}
	c.clock.Advance(500 * time.Millisecond)
	if got := c.describe(id); got.State != ec2types.SnapshotStatePending || *got.Progress != "99%" || got.CompletionTime != nil || got.FullSnapshotSizeInBytes != nil {
		t.Errorf("completing: %+v", got)
	}
	c.clock.Advance(time.Second)
	got := c.describe(id)
	if got.State != ec2types.SnapshotStateCompleted || *got.Progress != "100%" || *got.FullSnapshotSizeInBytes != 3*disk.BlockSize || got.CompletionTime == nil || got.StateMessage != nil {
		t.Errorf("completed: %+v", got)
	}
	if took := got.CompletionTime.Sub(*got.StartTime); took != 1400*time.Millisecond {
		t.Errorf("it took %s", took)
	}
	if got := c.complete(id, 1, nil); got != ebstypes.StatusCompleted { // any count
		t.Errorf("status %s", got)
	}
	child := c.snapshot(id, map[int32][]byte{3: zero, 100: one})
	if got := *c.describe(child).FullSnapshotSizeInBytes; got != 4*disk.BlockSize {
		t.Errorf("the child's size is %d", got)
	}
	c.wantSound()
}

// wantSound fails unless the store holds all that snapshots consist of.
func (c *cloud) wantSound() {
	c.t.Helper()
	problems, err := c.blocks.Verify(c.t.Context(), nil, nil)
	if err != nil || len(problems) > 0 {
		c.t.Errorf("%v, %v", problems, err)
	}
}

func TestWrongCompletions(t *testing.T) {
	one := block(1)
	text := aws.String(sum([]byte(sum(one))))
	for name, test := range map[string]struct {
		count    int32
		checksum *string
		after    time.Duration
		message  string
	}{
		"count too high":    {2, nil, time.Minute, "Changed blocks count mismatch for snapshot"},
		"count too low":     {0, nil, time.Minute, "Changed blocks count mismatch for snapshot"},
		"checksum of texts": {1, text, 20 * time.Second, "Checksum mismatch for snapshot"},
		"both":              {2, text, time.Minute, "Changed blocks count mismatch for snapshot"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCloud(t)
			id := c.start("")
			c.put(id, 0, one)
			if got := c.complete(id, test.count, test.checksum); got != ebstypes.StatusPending {
				t.Errorf("status %s", got)
			}
			c.clock.Advance(test.after)
			if got := c.describe(id); got.State != ec2types.SnapshotStatePending || *got.Progress != "0%" {
				t.Errorf("after %s: %+v", test.after, got)
			}
			c.clock.Advance(11 * time.Minute)
			if got := c.describe(id); got.State != ec2types.SnapshotStateError || *got.StateMessage != test.message || *got.Progress != "0%" {
				t.Errorf("in the end: %+v", got)
			}
			_, err := c.direct(owner).ListSnapshotBlocks(t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: &id})
			wantNotFound(t, err, id)
			_, err = c.direct(owner).PutSnapshotBlock(t.Context(), putInput(id, 0, one))
			wantNotFound(t, err, id)
			if got := c.complete(id, 1, nil); got != ebstypes.StatusError {
				t.Errorf("status %s", got)
			}
			if _, err := c.compute().DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &id}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestHalfAChecksum(t *testing.T) {
	c := newCloud(t)
	id := c.start("")
	sha, linear := ebstypes.ChecksumAlgorithmChecksumAlgorithmSha256, ebstypes.ChecksumAggregationMethodChecksumAggregationLinear
	for _, test := range []struct {
		in      ebs.CompleteSnapshotInput
		message string
	}{
		{ebs.CompleteSnapshotInput{Checksum: aggregate()}, "Invalid parameter combination. Checksum algorithm is missing."},
		{ebs.CompleteSnapshotInput{ChecksumAlgorithm: sha}, "Invalid parameter combination. Snapshot checksum is missing."},
		{ebs.CompleteSnapshotInput{ChecksumAggregationMethod: linear}, "Invalid parameter combination. Snapshot checksum is missing."},
		{ebs.CompleteSnapshotInput{Checksum: aggregate(), ChecksumAlgorithm: sha}, "Invalid parameter combination. Checksum aggregation method is missing."},
	} {
		test.in.SnapshotId, test.in.ChangedBlocksCount = &id, aws.Int32(0)
		_, err := c.direct(owner).CompleteSnapshot(t.Context(), &test.in)
		wantInvalid(t, err, "INVALID_PARAMETER_VALUE", test.message)
	}
	_, err := c.direct(friend).CompleteSnapshot(t.Context(), &ebs.CompleteSnapshotInput{SnapshotId: &id, ChangedBlocksCount: aws.Int32(0)})
	wantNotFound(t, err, id)
	c.complete(id, 0, aws.String("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")) // of no blocks
	c.clock.Advance(time.Second)
	if got := c.describe(id); got.State != ec2types.SnapshotStateCompleted || *got.FullSnapshotSizeInBytes != 0 {
		t.Errorf("empty: %+v", got)
	}
}

// What the service's model forbids is refused before anything else is looked at.
func TestModelComesFirst(t *testing.T) {
	c := newCloud(t)
	direct, gone := c.direct(owner), "snap-00000000000000001"
	in := putInput(gone, -1, block(1))
	_, err := direct.PutSnapshotBlock(t.Context(), in)
	wantInvalid(t, err, "", "1 validation error detected: Value '-1' at 'blockIndex' failed to satisfy constraint: Member must have value greater than or equal to 0")
	in = putInput(gone, 0, block(1))
	in.Progress = aws.Int32(101)
	if _, err = direct.PutSnapshotBlock(t.Context(), in); err == nil || !strings.Contains(err.Error(), "less than or equal to 100") {
		t.Errorf("progress: %v", err)
	}
	_, err = direct.StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1), ClientToken: aws.String(strings.Repeat("x", 256))})
	if err == nil || !strings.Contains(err.Error(), "at 'clientToken'") {
		t.Errorf("token: %v", err)
	}
	_, err = direct.ListSnapshotBlocks(t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: &gone, MaxResults: aws.Int32(99)})
	if err == nil || !strings.Contains(err.Error(), "greater than or equal to 100") {
		t.Errorf("page: %v", err)
	}
}

func TestOpenSnapshotsTimeOut(t *testing.T) {
	c := newCloud(t)
	out, err := c.direct(owner).StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1), Timeout: aws.Int32(10)})
	if err != nil {
		t.Fatal(err)
	}
	c.clock.Advance(808 * time.Second)
	if got := c.describe(*out.SnapshotId); got.State != ec2types.SnapshotStatePending {
		t.Errorf("too early: %+v", got)
	}
	c.put(*out.SnapshotId, 0, block(1)) // begins anew
	c.clock.Advance(808 * time.Second)
	if got := c.describe(*out.SnapshotId); got.State != ec2types.SnapshotStatePending {
		t.Errorf("too early after a block: %+v", got)
	}
	c.clock.Advance(time.Hour)
	if got := c.describe(*out.SnapshotId); got.State != ec2types.SnapshotStateError {
		t.Errorf("never: %+v", got)
	}
	if _, err := c.direct(owner).PutSnapshotBlock(t.Context(), putInput(*out.SnapshotId, 0, block(1))); err == nil {
		t.Error("a block was taken")
	}
}

func TestDeleteOpenSnapshot(t *testing.T) {
	c := newCloud(t)
	id := c.start("")
	c.put(id, 0, block(1))
	if _, err := c.compute().DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &id}); err != nil {
		t.Fatal(err)
	}
	_, err := c.compute().DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}})
	want(t, err, 400, "InvalidSnapshot.NotFound", "", "The snapshot '"+id+"' does not exist.")
	_, err = c.direct(owner).PutSnapshotBlock(t.Context(), putInput(id, 0, block(1)))
	wantNotFound(t, err, id)
	got, err := c.blocks.Collect(t.Context(), nil, 0, false)
	if err != nil || got.Kept != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// Windows open at random moments of the real service; here on request.
func TestWindows(t *testing.T) {
	c := newCloud(t)
	c.service.SetWindows(windows{"ebs:writable": 10 * time.Second, "ebs:readable": 52 * time.Second})
	id := c.start("")
	_, err := c.direct(owner).PutSnapshotBlock(t.Context(), putInput(id, 0, block(1)))
	wantNotFound(t, err, id)
	c.clock.Advance(10 * time.Second)
	c.put(id, 0, block(1))
	c.complete(id, 1, nil)
	c.clock.Advance(50 * time.Second)
	if got := c.describe(id); got.State != ec2types.SnapshotStateCompleted {
		t.Errorf("%+v", got)
	}
	_, err = c.direct(owner).ListSnapshotBlocks(t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: &id})
	wantNotFound(t, err, id)
	_, err = c.direct(owner).StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1), ParentSnapshotId: &id})
	wantInvalid(t, err, "INVALID_SNAPSHOT_ID", "Source snapshot ("+id+") is not complete.")
	c.clock.Advance(5 * time.Second)
	if _, err = c.direct(owner).ListSnapshotBlocks(t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: &id}); err != nil {
		t.Error(err)
	}
}

type windows map[string]time.Duration

func (w windows) Window(kind string) time.Duration { return w[kind] }
