package image_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func filtered(name, value string) []ec2types.Filter {
	return []ec2types.Filter{{Name: &name, Values: []string{value}}}
}

// Every filter finds the image by its own value, and does not by another.
func TestImageFiltersChoose(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	in := registerInput("filtered", c.root)
	in.BootMode, in.EnaSupport, in.SriovNetSupport, in.Description = "uefi", aws.Bool(true), aws.String("simple"), aws.String("of a test")
	in.TagSpecifications = []ec2types.TagSpecification{{ResourceType: "image", Tags: []ec2types.Tag{{Key: aws.String("env"), Value: aws.String("prod")}}}}
	made, err := c.ec2(owner, ireland).RegisterImage(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"architecture": "x86_64", "boot-mode": "uefi", "creation-date": "2026-11-22T08:*", "description": "of a test", "ena-support": "true", "free-tier-eligible": "true",
		"hypervisor": "xen", "image-id": *made.ImageId, "image-type": "machine", "is-public": "false", "manifest-location": owner + "/filtered", "name": "filt*",
		"owner-id": owner, "root-device-name": "/dev/xvda", "root-device-type": "ebs", "sriov-net-support": "simple", "state": "available", "virtualization-type": "hvm",
		"tag:env": "prod", "tag-key": "env", "block-device-mapping.device-name": "/dev/xvda", "block-device-mapping.snapshot-id": c.root,
		"block-device-mapping.volume-size": "1", "block-device-mapping.volume-type": "gp2", "block-device-mapping.encrypted": "false",
		"block-device-mapping.delete-on-termination": "true",
	} {
		if got := c.images(owner, ireland, &ec2.DescribeImagesInput{Filters: filtered(name, value)}); len(got) != 1 {
			t.Errorf("%s=%s: got %d images", name, value, len(got))
		}
		if got := c.images(owner, ireland, &ec2.DescribeImagesInput{Filters: filtered(name, "another")}); len(got) != 0 {
			t.Errorf("%s=another: got %d images", name, len(got))
		}
	}
}

func TestSnapshotFiltersChoose(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	snap := c.snapshot(owner, ireland, c.root)
	found := func(name, value string) int {
		out, err := c.ec2(owner, ireland).DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{Filters: filtered(name, value)})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return -1
		}
		return len(out.Snapshots)
	}
	for name, value := range map[string]string{
		"encrypted": "false", "owner-id": owner, "progress": "100%", "snapshot-id": c.root, "status": "completed", "storage-tier": "standard",
		"volume-id": *snap.VolumeId, "volume-size": "1", "start-time": snap.StartTime.UTC().Format("2006-01-02T15:04:05.000Z"),
	} {
		if found(name, value) != 1 || found(name, "another") != 0 {
			t.Errorf("%s=%s does not choose the snapshot", name, value)
		}
	}
}

// Tags are their owner's: who was given an image or a snapshot neither sees them nor finds it by them.
func TestTagsOfOthersChooseNothing(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	in := registerInput("tagged", c.root)
	in.TagSpecifications = []ec2types.TagSpecification{{ResourceType: "image", Tags: []ec2types.Tag{{Key: aws.String("env"), Value: aws.String("prod")}}}}
	made, err := c.ec2(owner, ireland).RegisterImage(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	c.share(*made.ImageId, friend)
	source, err := c.ec2(owner, ireland).CopySnapshot(t.Context(), &ec2.CopySnapshotInput{
		SourceRegion: aws.String(ireland), SourceSnapshotId: &c.root,
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: "snapshot", Tags: []ec2types.Tag{{Key: aws.String("env"), Value: aws.String("prod")}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.shareSnapshot(*source.SnapshotId)
	for account, want := range map[string]int{owner: 1, friend: 0} {
		for name, value := range map[string]string{"tag:env": "prod", "tag-key": "env"} {
			if got := c.images(account, ireland, &ec2.DescribeImagesInput{Filters: filtered(name, value)}); len(got) != want {
				t.Errorf("%s finds %d images by %s", account, len(got), name)
			}
			out, err := c.ec2(account, ireland).DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{Filters: filtered(name, value)})
			if err != nil || len(out.Snapshots) != want {
				t.Errorf("%s finds %d snapshots by %s: %v", account, len(out.Snapshots), name, err)
			}
		}
	}
	if got := c.image(friend, ireland, *made.ImageId); got.Tags != nil || got.DeregistrationProtection != nil {
		t.Errorf("another account sees %+v", got)
	}
}
