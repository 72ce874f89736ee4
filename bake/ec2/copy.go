package ec2

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/bake/internal/sdkerr"
)

// copy has AWS copy the AMI from another region of the account. Who waits for the copy may go: it is found again by its name.
func (j job) copy(ctx context.Context, at *target.Target, e *entry, source bake.Artifact) (*ec2types.Image, error) {
	task := j.start("copy to %s", place(at))
	img, err := j.copyOnce(ctx, at, e, source)
	if err == nil {
		id := aws.ToString(img.ImageId)
		if img, err = j.available(ctx, at, img); ctx.Err() != nil {
			task.Note("AWS goes on with the copy, %s: the next try finds it", id)
		}
	}
	if err != nil {
		err = fmt.Errorf("copy %s from %s to %s: %w", source.AMI, source.Region, place(at), err)
	}
	return img, task.End(target.Terse(err))
}

func (j job) copyOnce(ctx context.Context, at *target.Target, e *entry, source bake.Artifact) (*ec2types.Image, error) {
	if !e.known() {
		e.Copy = true
		if err := e.begin(ctx, at, j.c.Clock.Now()); err != nil {
			return nil, err
		}
	}
	tags := j.ec2Tags(e.Run, ec2types.ResourceTypeImage, ec2types.ResourceTypeSnapshot)
	for i := range tags {
		tags[i].Tags = append(tags[i].Tags, ec2types.Tag{Key: aws.String(tagSource), Value: aws.String(source.AMI)})
	}
	out, err := j.copyImage(ctx, at, &awsec2.CopyImageInput{
		Name: aws.String(j.name()), Description: aws.String(describe(j.img)), SourceImageId: aws.String(source.AMI),
		SourceRegion: aws.String(source.Region), ClientToken: e.token("copy", source.AMI), TagSpecifications: tags,
	})
	switch sdkerr.Code(err) {
	case "":
		if err != nil {
			return nil, err
		}
		err = fmt.Errorf("AMI %s", aws.ToString(out.ImageId))
	case "InvalidAMIName.Duplicate", "IdempotentParameterMismatch": // the latter: another version of iibake asked for it, in other words
	default:
		return nil, err
	}
	img, err := j.again(ctx, at, err)
	if errors.Is(err, errUnseen) && !errors.Is(err, ErrTaken) { // the copy of an earlier process was deregistered by somebody: another one needs another token
		err = errors.Join(fmt.Errorf("%w: run again to make another copy", err), e.remove(context.WithoutCancel(ctx)))
	}
	return img, err
}

const (
	// queueTime is how long a copy waits for others to end: a region takes some twenty at a time from an account.
	queueTime = 30 * time.Minute
	queuePoll = 15 * time.Second
)

// copyImage asks for a copy, as soon as there are few enough of them under way.
func (j job) copyImage(ctx context.Context, at *target.Target, in *awsec2.CopyImageInput) (out *awsec2.CopyImageOutput, err error) {
	for end := j.c.Clock.Now().Add(queueTime); ; {
		err = j.settled(ctx, func() error {
			out, err = target.EC2(at).CopyImage(ctx, in)
			return err
		})
		if sdkerr.Code(err) != "ResourceLimitExceeded" || !j.c.Clock.Now().Before(end) {
			return out, err
		}
		if cause := j.c.Clock.Sleep(ctx, queuePoll); cause != nil {
			return nil, errors.Join(cause, err)
		}
	}
}

// share lets accounts launch an AMI, and copy it or build on it. Doing so again changes nothing.
func (j job) share(ctx context.Context, at *target.Target, img *ec2types.Image, accounts []string) error {
	if len(accounts) == 0 {
		return nil
	}
	task := j.start("share in %s with %s", at.Region, strings.Join(accounts, ", "))
	err := j.settled(ctx, func() error { return allowLaunch(ctx, at, img, accounts) })
	if err == nil {
		err = j.settled(ctx, func() error { return allowVolumes(ctx, at, rootSnapshot(img), accounts) })
	}
	if err != nil {
		err = fmt.Errorf("share %s in %s with %s: %w", aws.ToString(img.ImageId), place(at), strings.Join(accounts, ", "), err)
	}
	return task.End(target.Terse(err))
}

func allowLaunch(ctx context.Context, at *target.Target, img *ec2types.Image, accounts []string) error {
	var add []ec2types.LaunchPermission
	for _, id := range accounts {
		add = append(add, ec2types.LaunchPermission{UserId: aws.String(id)})
	}
	_, err := target.EC2(at).ModifyImageAttribute(ctx, &awsec2.ModifyImageAttributeInput{
		ImageId: img.ImageId, LaunchPermission: &ec2types.LaunchPermissionModifications{Add: add},
	})
	return err
}

func allowVolumes(ctx context.Context, at *target.Target, snapshot string, accounts []string) error {
	var add []ec2types.CreateVolumePermission
	for _, id := range accounts {
		add = append(add, ec2types.CreateVolumePermission{UserId: aws.String(id)})
	}
	_, err := target.EC2(at).ModifySnapshotAttribute(ctx, &awsec2.ModifySnapshotAttributeInput{
		SnapshotId: &snapshot, CreateVolumePermission: &ec2types.CreateVolumePermissionModifications{Add: add},
	})
	return err
}

// awsKey ends the name of the key that AWS manages for EBS.
const awsKey = "alias/aws/ebs"

// shareable refuses an account whose snapshots can never be shared, before anything is uploaded for it. The copy of an encrypted snapshot
// is encrypted by the default key of its region, whether or not the region encrypts everything.
func (p *Publisher) shareable(ctx context.Context, at *target.Target, accounts []string, encrypted bool) error {
	if len(accounts) == 0 {
		return nil
	}
	if !encrypted {
		var err error
		if encrypted, err = p.encryptsByDefault(ctx, at); err != nil || !encrypted {
			return err
		}
	}
	key, err := p.defaultKey(ctx, at)
	if err != nil {
		return err
	}
	if strings.HasSuffix(key, awsKey) {
		return fmt.Errorf("%w: %s would encrypt the snapshot by a key of AWS, and what that encrypts cannot be shared with other accounts: "+
			"set a key of your own as the default for EBS there and let those accounts use it", bake.ErrRefused, place(at))
	}
	return nil
}

// allShareable refuses accounts whose snapshots could not be shared with those that need them.
func (g *group) allShareable(ctx context.Context, home *target.Target, needs map[string][]string) error {
	encrypted := false
	for region, accounts := range sorted(needs) {
		if region != home.Region && len(accounts) > 0 {
			var err error
			if encrypted, err = g.encryptsByDefault(ctx, home); err != nil {
				return err
			}
			break
		}
	}
	return together(slices.Sorted(maps.Keys(needs)), func(_ int, r string) error { return g.shareable(ctx, home.In(r), needs[r], encrypted) })
}
