package ec2

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/ec2/target"
)

// basis is a snapshot to begin with, and what it holds.
type basis struct {
	origin
	manifest disk.Manifest
}

// maxCandidates bounds how many manifests are read to find the nearest snapshot.
const maxCandidates = 48

// nearest returns the snapshot of ours that lacks the fewest blocks of m, or nil where writing everything costs as much. Encrypted ones are
// for accounts that encrypt everything, and the others are refused there; one that was encrypted by an earlier key would pass that key on, by which
// nobody else may be able to read.
func (j job) nearest(ctx context.Context, at *target.Target, m disk.Manifest, encrypted bool) (*basis, error) {
	snapshots, err := j.ownSnapshots(ctx, at, ec2types.Filter{Name: aws.String("tag-key"), Values: []string{tagDisk}})
	if err != nil {
		return nil, err
	}
	best, fewest := (*basis)(nil), len(changes(m, nil, encrypted))
	key := ""
	if encrypted {
		if key, err = j.ownKey(ctx, at); err != nil {
			return nil, err
		}
	}
	snapshots = slices.DeleteFunc(snapshots, func(s ec2types.Snapshot) bool { return key != "" && aws.ToString(s.KmsKeyId) != key })
	for _, o := range j.candidates(snapshots, m, encrypted) {
		old, err := j.c.Store.Manifest(ctx, o.Disk)
		if errors.Is(err, disk.ErrNotFound) || errors.Is(err, disk.ErrCorrupt) || errors.Is(err, bake.ErrInvalid) {
			continue // only who has its manifest knows what a snapshot holds
		}
		if err != nil {
			return nil, err
		}
		from := &basis{o, old}
		if n := len(changes(m, from, encrypted)); n < fewest {
			best, fewest = from, n
		}
		if fewest == 0 {
			break
		}
	}
	return best, nil
}

// candidates returns the snapshots that could be the parent, one for each disk, the likeliest first.
func (j job) candidates(snapshots []ec2types.Snapshot, m disk.Manifest, encrypted bool) []origin {
	slices.SortStableFunc(snapshots, func(a, b ec2types.Snapshot) int {
		return cmp.Or(j.distance(a)-j.distance(b), aws.ToTime(b.StartTime).Compare(aws.ToTime(a.StartTime)))
	})
	var all []origin
	seen := map[bake.Digest]bool{}
	for _, s := range snapshots {
		o := originOf(s)
		if s.State != ec2types.SnapshotStateCompleted || o.Encrypted != encrypted || o.GiB > volumeGiB(m) || seen[o.Disk] || len(all) == maxCandidates {
			continue
		}
		if o.Encrypted && tagOf(s.Tags, tagSource) != "" {
			continue // blocks that the source of an encrypted copy lacks may be garbage in it
		}
		seen[o.Disk] = true
		all = append(all, o)
	}
	return all
}

// distance tells snapshots of the same disk from those of the same image and from others.
func (j job) distance(s ec2types.Snapshot) int {
	switch {
	case tagOf(s.Tags, tagDisk) == string(j.img.Disk):
		return 0
	case tagOf(s.Tags, tagImage) == j.img.Name:
		return 1
	case j.img.Parent != nil && tagOf(s.Tags, tagImage) == j.img.Parent.Name:
		return 2
	}
	return 3
}

func originOf(s ec2types.Snapshot) origin {
	return origin{
		Snapshot: aws.ToString(s.SnapshotId), Disk: bake.Digest(tagOf(s.Tags, tagDisk)), GiB: int64(aws.ToInt32(s.VolumeSize)), Encrypted: aws.ToBool(s.Encrypted),
	}
}

func tagOf(tags []ec2types.Tag, key string) string {
	for _, tag := range tags {
		if aws.ToString(tag.Key) == key {
			return aws.ToString(tag.Value)
		}
	}
	return ""
}

// ownSnapshots returns snapshots of the account.
func (p *Publisher) ownSnapshots(ctx context.Context, at *target.Target, filters ...ec2types.Filter) ([]ec2types.Snapshot, error) {
	var all []ec2types.Snapshot
	in := awsec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: filters, MaxResults: aws.Int32(1000)}
	more := func(in *awsec2.DescribeSnapshotsInput, out *awsec2.DescribeSnapshotsOutput) *string {
		in.NextToken = out.NextToken
		return in.NextToken
	}
	for page, err := range target.Pages(ctx, target.EC2(at).DescribeSnapshots, in, more) {
		if err != nil {
			return nil, explain(err)
		}
		all = append(all, page.Snapshots...)
	}
	return all, nil
}

// snapshot returns one snapshot of the account, or nil.
func (p *Publisher) snapshot(ctx context.Context, at *target.Target, id string) (*ec2types.Snapshot, error) {
	out, err := target.EC2(at).DescribeSnapshots(ctx, &awsec2.DescribeSnapshotsInput{SnapshotIds: []string{id}})
	if notThere(err) {
		return nil, nil //nolint:nilnil // nothing is an answer
	}
	if err != nil || len(out.Snapshots) == 0 {
		return nil, err
	}
	return &out.Snapshots[0], nil
}

// ownKey returns the ARN of the key of the account's own that encrypts its new snapshots. It is empty where that is a key of AWS, or known by
// an alias, and where the caller may not ask.
func (p *Publisher) ownKey(ctx context.Context, at *target.Target) (string, error) {
	key, err := p.defaultKey(ctx, at)
	if !strings.Contains(key, ":key/") {
		return "", err
	}
	return key, err
}

// defaultKey returns what AWS calls the key that encrypts new snapshots; nothing where the caller may not ask.
func (p *Publisher) defaultKey(ctx context.Context, at *target.Target) (string, error) {
	out, err := target.EC2(at).GetEbsDefaultKmsKeyId(ctx, &awsec2.GetEbsDefaultKmsKeyIdInput{})
	if errors.Is(err, target.ErrDenied) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return aws.ToString(out.KmsKeyId), nil
}

// encryptsByDefault reports whether the account encrypts every new snapshot. Who may not ask finds out when it happens.
func (p *Publisher) encryptsByDefault(ctx context.Context, at *target.Target) (bool, error) {
	out, err := target.EC2(at).GetEbsEncryptionByDefault(ctx, &awsec2.GetEbsEncryptionByDefaultInput{})
	if errors.Is(err, target.ErrDenied) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return aws.ToBool(out.EbsEncryptionByDefault), nil
}
