package ec2

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
)

const (
	// copyTime bounds the wait for a copy in another region.
	copyTime = 2 * time.Hour
	// seenTime bounds the wait until an account sees an image that was made or shared.
	seenTime = 5 * time.Minute
)

// look returns the image's AMI as an account sees it in a region, or nil. Only its own images count, and those of others that are on record: a
// name alone is no proof, for anybody may publish an image of any name.
func (j job) look(ctx context.Context, at *target.Target, others []bake.Artifact) (*ec2types.Image, error) {
	images, err := j.named(ctx, at, others)
	if err != nil {
		return nil, fmt.Errorf("look in %s: %w", place(at), err)
	}
	var best *ec2types.Image
	for _, img := range images {
		switch mine := aws.ToString(img.OwnerId) == at.Account; {
		case mine && !j.isOurs(img):
			return nil, j.taken(at, img)
		case !mine && !onRecord(others, at, img):
			continue
		}
		if best == nil || worth(img, at) > worth(*best, at) {
			best = &img
		}
	}
	return best, nil
}

// named returns the images of the account, and of those that others are of, that have the name.
func (j job) named(ctx context.Context, at *target.Target, others []bake.Artifact) (all []ec2types.Image, err error) {
	owners := []string{"self"}
	for _, a := range others {
		if a.Account != at.Account && a.Region == at.Region && a.Endpoint == at.Endpoint && !slices.Contains(owners, a.Account) {
			owners = append(owners, a.Account)
		}
	}
	in := awsec2.DescribeImagesInput{
		Owners: owners, Filters: []ec2types.Filter{{Name: aws.String("name"), Values: []string{j.name()}}},
		IncludeDeprecated: aws.Bool(true), IncludeDisabled: aws.Bool(true),
	}
	more := func(in *awsec2.DescribeImagesInput, out *awsec2.DescribeImagesOutput) *string {
		in.NextToken = out.NextToken
		return in.NextToken
	}
	for page, err := range target.Pages(ctx, target.EC2(at).DescribeImages, in, more) {
		if err != nil {
			return nil, explain(err)
		}
		all = append(all, page.Images...)
	}
	return all, nil
}

// isOurs reports whether an AMI of the account is of this very image. Two clones of a repository may give one version to two disks. An import
// into the local cloud has the reference in one tag, and no disk.
func (j job) isOurs(img ec2types.Image) bool {
	held := tagOf(img.Tags, tagDisk)
	switch tagOf(img.Tags, tagImage) {
	case j.img.Name:
		return held == string(j.img.Disk) && tagOf(img.Tags, tagVersion) == j.img.Version
	case j.img.String():
		return held == "" || held == string(j.img.Disk)
	}
	return false
}

// taken says what to do about an AMI that has the name and is not ours.
func (j job) taken(at *target.Target, img ec2types.Image) error {
	what := "iibake did not make it"
	if j.untold(img) {
		return fmt.Errorf("%w: %w", errUnseen, j.takenBy(at, img, "it has no tags"))
	}
	if held := bake.Digest(tagOf(img.Tags, tagDisk)); held != "" {
		what = fmt.Sprintf("it holds disk %s, and the image is disk %s", held.Short(), j.img.Disk.Short())
	}
	return j.takenBy(at, img, what)
}

func (j job) takenBy(at *target.Target, img ec2types.Image, what string) error {
	return fmt.Errorf("%w: %w: AMI %s in %s is called %s, and %s: deregister it if nobody needs it, or build the image again: that gives it a new version",
		bake.ErrRefused, ErrTaken, aws.ToString(img.ImageId), place(at), j.name(), what)
}

// untold reports whether an AMI is so new that its tags may not be told yet, by which ours are known.
func (j job) untold(img ec2types.Image) bool {
	made, err := time.Parse(time.RFC3339, aws.ToString(img.CreationDate))
	return err == nil && len(img.Tags) == 0 && j.c.Clock.Now().Sub(made).Abs() < settleTime
}

func onRecord(artifacts []bake.Artifact, at *target.Target, img ec2types.Image) bool {
	return slices.ContainsFunc(artifacts, func(a bake.Artifact) bool {
		return a.Endpoint == at.Endpoint && a.Region == at.Region && a.AMI == aws.ToString(img.ImageId) && a.Account == aws.ToString(img.OwnerId)
	})
}

// worth orders AMIs of one image: what can be launched first, and then the account's own.
func worth(img ec2types.Image, at *target.Target) int {
	n := map[ec2types.ImageState]int{ec2types.ImageStateAvailable: 6, ec2types.ImageStatePending: 4, ec2types.ImageStateDisabled: 2}[img.State]
	if aws.ToString(img.OwnerId) == at.Account {
		n++
	}
	return n
}

// usable reports whether an AMI can be launched. One that never will be is an error.
func usable(at *target.Target, img *ec2types.Image) (bool, error) {
	if img == nil {
		return false, nil
	}
	switch img.State { //nolint:exhaustive // all others pass by
	case ec2types.ImageStateAvailable:
		return launchable(img), nil
	case ec2types.ImageStateDisabled:
		return false, fmt.Errorf("%w: AMI %s in %s is disabled: enable it again, or deregister it", bake.ErrRefused, aws.ToString(img.ImageId), place(at))
	}
	return false, nil
}

// launchable reports whether an AMI can be launched, and whether that is all told of it: of a copy, the snapshot may be told last.
func launchable(img *ec2types.Image) bool {
	return img != nil && img.State == ec2types.ImageStateAvailable && rootSnapshot(img) != ""
}

// dead reports whether an AMI will never be available.
func dead(img *ec2types.Image) bool {
	switch img.State { //nolint:exhaustive // all others may become available
	case ec2types.ImageStateFailed, ec2types.ImageStateError, ec2types.ImageStateInvalid:
		return true
	}
	return false
}

// artifact returns what is to be put on record of an AMI.
func (j job) artifact(at *target.Target, img *ec2types.Image) bake.Artifact {
	return bake.Artifact{
		Image: j.img.Ref, Disk: j.img.Disk, Endpoint: at.Endpoint, Account: aws.ToString(img.OwnerId), Region: at.Region,
		AMI: aws.ToString(img.ImageId), Snapshot: rootSnapshot(img), At: j.c.Clock.Now().UTC(),
	}
}

func rootSnapshot(img *ec2types.Image) string {
	for _, m := range img.BlockDeviceMappings {
		if m.Ebs != nil && aws.ToString(m.DeviceName) == aws.ToString(img.RootDeviceName) {
			return aws.ToString(m.Ebs.SnapshotId)
		}
	}
	return ""
}

// own sees to it that the account has the AMI in a region, and returns it when it is available: from the disk, or as a copy of source.
func (j job) own(ctx context.Context, at *target.Target, source *bake.Artifact) (*ec2types.Image, error) {
	e, err := openEntry(ctx, j.c.Catalog, j.img.Ref, at)
	if err != nil {
		return nil, err
	}
	img, err := j.look(ctx, at, nil)
	if err != nil {
		return nil, err
	}
	if img != nil && dead(img) {
		if err := j.remove(ctx, at, e, img); err != nil {
			return nil, err
		}
		img = nil
	}
	if img == nil {
		if source == nil {
			img, err = j.upload(ctx, at, e)
		} else {
			img, err = j.copy(ctx, at, e, *source)
		}
		if err != nil {
			return nil, err
		}
	}
	if img, err = j.available(ctx, at, img); err != nil {
		return nil, err
	}
	return img, j.settle(ctx, at, e, img)
}

// available waits until an AMI can be launched.
func (j job) available(ctx context.Context, at *target.Target, img *ec2types.Image) (*ec2types.Image, error) {
	began, id := j.c.Clock.Now(), aws.ToString(img.ImageId)
	for {
		if ok, err := usable(at, img); ok || err != nil {
			return img, err
		}
		waited := j.c.Clock.Now().Sub(began)
		switch {
		case img != nil && dead(img):
			return nil, fmt.Errorf("AMI %s in %s has failed: %s: run again to make another", id, place(at), reasonOf(img))
		case waited > copyTime, img == nil && waited > seenTime:
			return nil, fmt.Errorf("AMI %s in %s is not available after %s: run again to go on waiting", id, place(at), waited.Round(time.Second))
		}
		if err := j.c.Clock.Sleep(ctx, pollEvery(waited)); err != nil {
			return nil, err
		}
		var err error
		if img, err = j.look(ctx, at, nil); err != nil {
			return nil, err
		}
	}
}

func reasonOf(img *ec2types.Image) string {
	if img.StateReason == nil {
		return string(img.State)
	}
	return cmp.Or(aws.ToString(img.StateReason.Message), string(img.State))
}

// settle puts an AMI of ours on record, and takes what led to it off.
func (j job) settle(ctx context.Context, at *target.Target, e *entry, img *ec2types.Image) error {
	if err := j.deprecate(ctx, at, img); err != nil {
		return err
	}
	if err := j.artifacts.Record(ctx, j.artifact(at, img)); err != nil {
		return err
	}
	if e.known() && !e.Copy {
		if err := j.deleteMade(ctx, at, e, rootSnapshot(img)); err != nil { // somebody was faster to register
			return err
		}
	}
	return e.remove(ctx)
}

// deprecate has an AMI marked some time after its image was baked. AWS knows whole minutes in the future only.
func (j job) deprecate(ctx context.Context, at *target.Target, img *ec2types.Image) error {
	after := time.Duration(j.template.Publish.DeprecateAfter)
	if after == 0 || aws.ToString(img.DeprecationTime) != "" {
		return nil
	}
	when := j.img.Created.Add(after)
	if soon := j.c.Clock.Now().Add(2 * time.Minute); when.Before(soon) {
		when = soon
	}
	err := j.settled(ctx, func() error {
		_, err := target.EC2(at).EnableImageDeprecation(ctx, &awsec2.EnableImageDeprecationInput{ImageId: img.ImageId, DeprecateAt: aws.Time(when.UTC().Truncate(time.Minute))})
		return err
	})
	if err != nil {
		return fmt.Errorf("deprecate %s in %s: %w", aws.ToString(img.ImageId), place(at), err)
	}
	return nil
}

// remove takes away an AMI that has failed, with its snapshots.
func (j job) remove(ctx context.Context, at *target.Target, e *entry, img *ec2types.Image) error {
	id := aws.ToString(img.ImageId)
	_, err := target.EC2(at).DeregisterImage(ctx, &awsec2.DeregisterImageInput{ImageId: &id})
	if err != nil && !notThere(err) {
		return fmt.Errorf("deregister %s in %s, which has failed: %w", id, place(at), err)
	}
	for _, m := range img.BlockDeviceMappings {
		if m.Ebs != nil && aws.ToString(m.Ebs.SnapshotId) != "" {
			if err := j.deleteSnapshot(ctx, at, *m.Ebs.SnapshotId); err != nil {
				return err
			}
		}
	}
	if e.Copy {
		return e.remove(ctx)
	}
	return nil
}

// again looks for an AMI whose name was said to be taken a moment ago: by another process that makes the same, or by a call whose answer was
// lost.
func (j job) again(ctx context.Context, at *target.Target, why error) (*ec2types.Image, error) {
	var img *ec2types.Image
	err := j.until(ctx, j.c.Clock.Now().Add(settleTime), func(err error) bool { return errors.Is(err, errUnseen) }, func() (err error) {
		if img, err = j.look(ctx, at, nil); err == nil && img == nil {
			err = fmt.Errorf("%w: %w", errUnseen, why)
		}
		return err
	})
	return img, err
}

// errUnseen is wrapped while AWS says at once that something exists and that it does not.
var errUnseen = errors.New("not seen yet")
