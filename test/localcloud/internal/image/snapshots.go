package image

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/ebs"
	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// describeSnapshots is DescribeSnapshots.
func (s *Service) describeSnapshots(_ context.Context, c *wire.Call, in *ec2.DescribeSnapshotsInput) (*ec2.DescribeSnapshotsOutput, error) {
	page := kit.Page{Max: in.MaxResults, Token: in.NextToken, Min: 5, Scope: "DescribeSnapshots " + c.Region + " " + c.Account}
	none := &state.Snapshot{}
	if _, err := kit.Match(in.Filters, func(name string) ([]string, bool) { return snapshotFilter(none, "", name) }); err != nil {
		return nil, err
	}
	if err := page.WithoutIDs("snapshotSet", len(in.SnapshotIds)); err != nil {
		return nil, err
	}
	out := &ec2.DescribeSnapshotsOutput{Snapshots: []ec2types.Snapshot{}}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		for _, id := range in.SnapshotIds {
			if _, err := findSnapshot(r, c, id); err != nil {
				return err
			}
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		var listed []*state.Snapshot
		for _, snap := range r.Snapshots.Sorted() {
			if snapshotShown(c, in, snap) {
				listed = append(listed, snap)
			}
		}
		listed, next, err := kit.PaginateBy(listed, func(snap *state.Snapshot) string { return *snap.SnapshotId }, page)
		if err != nil {
			return err
		}
		for _, snap := range listed {
			if ok, err := kit.Match(in.Filters, func(name string) ([]string, bool) { return snapshotFilter(snap, c.Account, name) }); err != nil {
				return err
			} else if ok {
				out.Snapshots = append(out.Snapshots, snapshotView(snap, c.Account))
			}
		}
		out.NextToken = next
		return nil
	})
}

// snapshotShown reports whether a request is about a snapshot, filters apart.
func snapshotShown(c *wire.Call, in *ec2.DescribeSnapshotsInput, snap *state.Snapshot) bool {
	switch {
	case snap.Deleted || !snapshotSeen(snap, c.Account):
		return false
	case len(in.SnapshotIds) > 0 && !slices.Contains(in.SnapshotIds, *snap.SnapshotId):
		return false
	case len(in.OwnerIds) > 0 && !slices.ContainsFunc(in.OwnerIds, func(o string) bool {
		return o == *snap.OwnerId || o == "self" && *snap.OwnerId == c.Account || snap.OwnerAlias != nil && o == *snap.OwnerAlias
	}):
		return false
	}
	return len(in.RestorableByUserIds) == 0 ||
		slices.ContainsFunc(in.RestorableByUserIds, func(u string) bool { return restorableBy(snap, u, c.Account) })
}

// restorableBy looks at explicit permissions, and at the owner for himself.
func restorableBy(snap *state.Snapshot, user, caller string) bool {
	if user == "self" {
		user = caller
	}
	if user == caller && caller == *snap.OwnerId {
		return true
	}
	return slices.ContainsFunc(snap.Permissions, func(p ec2types.CreateVolumePermission) bool {
		return user == "all" && p.Group == ec2types.PermissionGroupAll || aws.ToString(p.UserId) == user
	})
}

func snapshotView(snap *state.Snapshot, account string) ec2types.Snapshot {
	out := snap.Snapshot
	if *snap.OwnerId != account {
		out.Tags = nil
	}
	return out
}

func snapshotFilter(snap *state.Snapshot, account, name string) ([]string, bool) {
	if values, ok := ownTags(snap.Tags, snap.OwnerId, account, name); ok {
		return values, true
	}
	value, ok := map[string]func() *string{
		"description":   func() *string { return snap.Description },
		"encrypted":     func() *string { return truth(snap.Encrypted) },
		"owner-alias":   func() *string { return snap.OwnerAlias },
		"owner-id":      func() *string { return snap.OwnerId },
		"progress":      func() *string { return snap.Progress },
		"snapshot-id":   func() *string { return snap.SnapshotId },
		"start-time":    func() *string { return text(aws.ToTime(snap.StartTime).UTC().Format("2006-01-02T15:04:05.000Z")) },
		"status":        func() *string { return text(snap.State) },
		"storage-tier":  func() *string { return text(snap.StorageTier) },
		"transfer-type": func() *string { return text(snap.TransferType) },
		"volume-id":     func() *string { return snap.VolumeId },
		"volume-size":   func() *string { return number(snap.VolumeSize) },
	}[name]
	if !ok {
		return nil, false
	}
	return list(value()), true
}

// deleteSnapshot is DeleteSnapshot. A dry run does not look at whether the snapshot is in use.
func (s *Service) deleteSnapshot(_ context.Context, c *wire.Call, in *ec2.DeleteSnapshotInput) (*ec2.DeleteSnapshotOutput, error) {
	return &ec2.DeleteSnapshotOutput{}, s.store.Update(c.Region, func(r *state.Region) error {
		if _, err := ownSnapshot(r, c, *in.SnapshotId); err != nil {
			return err
		}
		if err := dryRun(in.DryRun); err != nil {
			return err
		}
		if users := usedBy(r, *in.SnapshotId); len(users) > 0 {
			return wire.Errorf("InvalidSnapshot.InUse", "The snapshot %s is currently in use by %s", *in.SnapshotId, strings.Join(users, ", "))
		}
		ebs.Delete(s.store, s.blocks, r, *in.SnapshotId)
		return nil
	})
}
