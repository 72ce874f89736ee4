package image_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func TestCopySnapshot(t *testing.T) {
	c := newCloud(t)
	out, err := c.ec2(owner, oregon).CopySnapshot(t.Context(), &ec2.CopySnapshotInput{
		SourceRegion: aws.String(ireland), SourceSnapshotId: &c.root, CompletionDurationMinutes: aws.Int32(15),
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeSnapshot, Tags: []ec2types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := c.snapshot(owner, oregon, *out.SnapshotId)
	if len(out.Tags) != 1 || got.State != ec2types.SnapshotStatePending || *got.StateMessage != "Metadata not updated" || *got.VolumeSize != 0 ||
		*got.Progress != "0%" || *got.VolumeId != "vol-ffffffff" || *got.Description != "" || got.CompletionTime != nil || len(got.Tags) != 1 {
		t.Errorf("pending: %+v", got)
	}
	if _, err := c.ec2(owner, ireland).DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &c.root}); err != nil {
		t.Fatal(err) // the copy does not need it any more
	}
	if _, err := c.blocks.Collect(t.Context(), nil, 0, false); err != nil {
		t.Fatal(err)
	}
	c.clock.Advance(10 * time.Second)
	got = c.snapshot(owner, oregon, *out.SnapshotId)
	if got.State != ec2types.SnapshotStateCompleted || got.StateMessage != nil || *got.VolumeSize != 1 || *got.Progress != "100%" || *got.FullSnapshotSizeInBytes != 524288 ||
		got.TransferType != ec2types.TransferTypeTimeBased || *got.CompletionDurationMinutes != 15 || *got.Encrypted {
		t.Errorf("completed: %+v", got)
	}
	if b := c.firstBlock(owner, oregon, *out.SnapshotId); bytes.Count(b, []byte{0}) > 4096 {
		t.Error("the copy holds something else")
	}
}

// Whatever is wrong with the source shows only in the copy.
func TestCopiesThatFail(t *testing.T) {
	c := newCloud(t)
	pending, err := c.ec2(owner, ireland).CopySnapshot(t.Context(), &ec2.CopySnapshotInput{SourceRegion: aws.String(ireland), SourceSnapshotId: &c.root})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ account, region, source, message string }{
		{owner, ireland, *pending.SnapshotId, "Source snapshot is not complete."},
		{owner, oregon, c.root, "Source snapshot is not found."},
		{friend, ireland, c.root, "Source snapshot is not found."},
	} {
		out, err := c.ec2(test.account, ireland).CopySnapshot(t.Context(), &ec2.CopySnapshotInput{SourceRegion: &test.region, SourceSnapshotId: &test.source})
		if err != nil {
			t.Fatal(err)
		}
		c.clock.Advance(10 * time.Second)
		got := c.snapshot(test.account, ireland, *out.SnapshotId)
		if got.State != ec2types.SnapshotStateError || *got.StateMessage != test.message || *got.VolumeSize != 0 || *got.Progress != "0%" || got.FullSnapshotSizeInBytes != nil {
			t.Errorf("%+v: %+v", test, got)
		}
	}
}

func TestCopySnapshotRefuses(t *testing.T) {
	c := newCloud(t)
	for name, test := range map[string]struct {
		change        func(*ec2.CopySnapshotInput)
		code, message string
	}{
		"id":       {func(in *ec2.CopySnapshotInput) { in.SourceSnapshotId = aws.String("bad") }, "InvalidParameterValue", "The specified snapshotId is invalid"},
		"zeros":    {func(in *ec2.CopySnapshotInput) { in.SourceSnapshotId = aws.String("snap-00000000000000000") }, "InvalidParameterValue", "The specified snapshotId is invalid"},
		"region":   {func(in *ec2.CopySnapshotInput) { in.SourceRegion = aws.String("not-a-region") }, "InvalidRegion", "not-a-region is not a valid region name."},
		"alias":    {func(in *ec2.CopySnapshotInput) { in.Encrypted, in.KmsKeyId = aws.Bool(true), aws.String("alias/x") }, "InvalidParameterValue", "The specified keyId alias/x is invalid"},
		"only key": {func(in *ec2.CopySnapshotInput) { in.KmsKeyId = aws.String("alias/aws/ebs") }, "InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set."},
		"URL":      {func(in *ec2.CopySnapshotInput) { in.PresignedUrl = aws.String("not-a-url") }, "InvalidParameterValue", "The protocol in PresignedUrl should be http or https"},
		"URL of another source": {
			func(in *ec2.CopySnapshotInput) { in.PresignedUrl = aws.String("https://x/?SourceSnapshotId=snap-1") }, "InvalidParameterValue",
			"The source snapshot specified in PresignedUrl 'snap-1' does not match the source snapshot in the request: '" + c.root + "'",
		},
		"URL of another destination": {
			func(in *ec2.CopySnapshotInput) {
				in.PresignedUrl = aws.String("https://x/?DestinationRegion=us-east-1")
			}, "InvalidParameterValue",
			"The destination region specified in PresignedUrl: 'us-east-1' is incorrect",
		},
		"duration": {
			func(in *ec2.CopySnapshotInput) { in.CompletionDurationMinutes = aws.Int32(16) }, "InvalidParameterValue",
			"Invalid value '16' for completionDurationMinutes. It must be between 15 and 2880 in 15 minute increments.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := &ec2.CopySnapshotInput{SourceRegion: aws.String(ireland), SourceSnapshotId: &c.root}
			test.change(in)
			_, err := c.ec2(owner, ireland).CopySnapshot(t.Context(), in)
			want(t, err, test.code, test.message)
		})
	}
}

func TestEncryptedCopies(t *testing.T) {
	c := newCloud(t)
	copied := func(in ec2.CopySnapshotInput) ec2types.Snapshot {
		in.SourceRegion = aws.String(ireland)
		out, err := c.ec2(owner, ireland).CopySnapshot(t.Context(), &in)
		if err != nil {
			t.Fatal(err)
		}
		c.clock.Advance(10 * time.Second)
		return c.snapshot(owner, ireland, *out.SnapshotId)
	}
	key := "arn:aws:kms:eu-west-1:111122223333:key/1"
	mine := copied(ec2.CopySnapshotInput{SourceSnapshotId: &c.root, Encrypted: aws.Bool(true), KmsKeyId: &key})
	if !*mine.Encrypted || *mine.KmsKeyId != key {
		t.Errorf("%+v", mine)
	}
	aws1 := copied(ec2.CopySnapshotInput{SourceSnapshotId: &c.root, Encrypted: aws.Bool(true)})
	if !*aws1.Encrypted || *aws1.KmsKeyId == key {
		t.Errorf("%+v", aws1)
	}
	// What is encrypted stays so, with the account's own key, whatever is asked for.
	for _, asked := range []*bool{nil, aws.Bool(false), aws.Bool(true)} {
		if got := copied(ec2.CopySnapshotInput{SourceSnapshotId: mine.SnapshotId, Encrypted: asked}); !*got.Encrypted || *got.KmsKeyId != *aws1.KmsKeyId {
			t.Errorf("%+v", got)
		}
	}
}

func TestCopyImage(t *testing.T) {
	c := newCloud(t)
	in := registerInput("original", c.root)
	in.BootMode, in.EnaSupport, in.ImdsSupport, in.Description = ec2types.BootModeValuesUefi, aws.Bool(true), ec2types.ImdsSupportValuesV20, aws.String("text")
	in.TagSpecifications = []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeImage, Tags: []ec2types.Tag{{Key: aws.String("a"), Value: aws.String("1")}}}}
	original, err := c.ec2(owner, ireland).RegisterImage(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	request := &ec2.CopyImageInput{
		Name: aws.String("copy"), SourceImageId: original.ImageId, SourceRegion: aws.String(ireland), ClientToken: aws.String("t"),
		CopyImageTags: aws.Bool(true), Encrypted: aws.Bool(true),
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeSnapshot, Tags: []ec2types.Tag{{Key: aws.String("s"), Value: aws.String("2")}}}},
	}
	out, err := c.ec2(owner, oregon).CopyImage(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.ec2(owner, oregon).CopyImage(t.Context(), request); err != nil || *again.ImageId != *out.ImageId {
		t.Errorf("replayed: %+v, %v", again, err)
	}
	request.Description = aws.String("other")
	_, err = c.ec2(owner, oregon).CopyImage(t.Context(), request)
	want(t, err, "IdempotentParameterMismatch", "Client token already used before.")
	if got := c.image(owner, oregon, *out.ImageId); got.State != ec2types.ImageStatePending {
		t.Errorf("%+v", got)
	}
	c.clock.Advance(10 * time.Second)
	got := c.image(owner, oregon, *out.ImageId)
	if got.State != ec2types.ImageStateAvailable || *got.SourceImageId != *original.ImageId || *got.SourceImageRegion != ireland || got.BootMode != in.BootMode ||
		!*got.EnaSupport || got.ImdsSupport != in.ImdsSupport || got.Description != nil || len(got.Tags) != 1 || *got.RootDeviceName != "/dev/xvda" {
		t.Errorf("%+v", got)
	}
	ebs := got.BlockDeviceMappings[0].Ebs
	snap := c.snapshot(owner, oregon, *ebs.SnapshotId)
	prefix := "Copied for DestinationAmi " + *out.ImageId + " from SourceAmi " + *original.ImageId + " for SourceSnapshot " + c.root + ". Task created on "
	if !*ebs.Encrypted || !*snap.Encrypted || len(snap.Tags) != 1 || !strings.HasPrefix(*snap.Description, prefix) {
		t.Errorf("%+v, %+v", ebs, snap)
	}
}

func TestCopyImageOfAnotherAccount(t *testing.T) {
	c := newCloud(t)
	id := c.register("theirs")
	copyIt := func() (*ec2.CopyImageOutput, error) {
		return c.ec2(friend, oregon).CopyImage(t.Context(), &ec2.CopyImageInput{Name: aws.String("mine"), SourceImageId: &id, SourceRegion: aws.String(ireland)})
	}
	_, err := copyIt()
	want(t, err, "InvalidAMIID.NotFound", "The image id '["+id+"]' does not exist")
	c.share(id, friend)
	_, err = copyIt()
	want(t, err, "InvalidRequest", "You do not have permission to access the storage of this ami")
	c.shareSnapshot(c.root)
	out, err := copyIt()
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.ec2(owner, ireland).DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: &id, DeleteAssociatedSnapshots: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	c.clock.Advance(10 * time.Second)
	got := c.image(friend, oregon, *out.ImageId)
	if got.State != ec2types.ImageStateAvailable || *got.OwnerId != friend {
		t.Errorf("%+v", got)
	}
	c.firstBlock(friend, oregon, *got.BlockDeviceMappings[0].Ebs.SnapshotId)
}

// A copy whose snapshot is deleted before it is there never becomes available.
func TestCopyImageThatFails(t *testing.T) {
	c := newCloud(t)
	id := c.register("one")
	out, err := c.ec2(owner, ireland).CopyImage(t.Context(), &ec2.CopyImageInput{Name: aws.String("two"), SourceImageId: &id, SourceRegion: aws.String(ireland)})
	if err != nil {
		t.Fatal(err)
	}
	img := c.image(owner, ireland, *out.ImageId)
	_, err = c.ec2(owner, ireland).DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: img.BlockDeviceMappings[0].Ebs.SnapshotId})
	want(t, err, "InvalidSnapshot.InUse", "The snapshot "+*img.BlockDeviceMappings[0].Ebs.SnapshotId+" is currently in use by "+*out.ImageId)
	if _, err := c.ec2(owner, ireland).DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: out.ImageId, DeleteAssociatedSnapshots: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	c.clock.Advance(10 * time.Second)
	if got := c.images(owner, ireland, &ec2.DescribeImagesInput{Owners: []string{"self"}}); len(got) != 1 {
		t.Errorf("%+v", got)
	}
}

// A process that ends while copies are being made leaves them to the next one.
func TestResume(t *testing.T) {
	dir := t.TempDir()
	first := newCloud(t)
	c := openCloud(t, first.clock, nil, dir)
	c.root = c.seedSnapshot(owner, 1)
	id := c.register("one")
	out, err := c.ec2(owner, ireland).CopyImage(t.Context(), &ec2.CopyImageInput{Name: aws.String("two"), SourceImageId: &id, SourceRegion: aws.String(ireland)})
	if err != nil {
		t.Fatal(err)
	}
	next := openCloud(t, first.clock, c.store, dir)
	next.service.Resume(ireland)
	next.clock.Advance(10 * time.Second)
	if got := next.image(owner, ireland, *out.ImageId); got.State != ec2types.ImageStateAvailable {
		t.Errorf("%+v", got)
	}
}
