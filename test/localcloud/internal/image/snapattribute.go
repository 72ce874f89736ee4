package image

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// describeSnapshotAttribute is DescribeSnapshotAttribute.
func (s *Service) describeSnapshotAttribute(_ context.Context, c *wire.Call, in *ec2.DescribeSnapshotAttributeInput) (*ec2.DescribeSnapshotAttributeOutput, error) {
	out := new(ec2.DescribeSnapshotAttributeOutput)
	return out, s.store.View(c.Region, func(r *state.Region) error {
		snap, err := ownSnapshot(r, c, *in.SnapshotId)
		if err == nil {
			err = dryRun(in.DryRun)
		}
		if err != nil {
			return err
		}
		out.SnapshotId = snap.SnapshotId
		switch in.Attribute {
		case ec2types.SnapshotAttributeNameCreateVolumePermission:
			out.CreateVolumePermissions = append([]ec2types.CreateVolumePermission{}, snap.Permissions...)
		case ec2types.SnapshotAttributeNameProductCodes:
			out.ProductCodes = []ec2types.ProductCode{}
		default: // inferred
			return wire.Errorf("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", in.Attribute)
		}
		return nil
	})
}

// modifySnapshotAttribute is ModifySnapshotAttribute, in its two forms.
func (s *Service) modifySnapshotAttribute(_ context.Context, c *wire.Call, in *ec2.ModifySnapshotAttributeInput) (*ec2.ModifySnapshotAttributeOutput, error) {
	add, remove := volumeChange(in)
	return &ec2.ModifySnapshotAttributeOutput{}, s.store.Update(c.Region, func(r *state.Region) error {
		snap, err := ownSnapshot(r, c, *in.SnapshotId)
		if err == nil {
			err = checkVolumeChange(snap, add, remove)
		}
		if err == nil {
			err = dryRun(in.DryRun)
		}
		if err != nil {
			return err
		}
		r.Snapshots.Edit(*in.SnapshotId).Permissions = applyChange(snap.Permissions, add, remove, func(a, b ec2types.CreateVolumePermission) bool {
			return aws.ToString(a.UserId) == aws.ToString(b.UserId) && a.Group == b.Group
		})
		return nil
	})
}

// volumeChange returns the permissions that a request adds and removes.
func volumeChange(in *ec2.ModifySnapshotAttributeInput) (add, remove []ec2types.CreateVolumePermission) {
	if in.CreateVolumePermission != nil {
		return in.CreateVolumePermission.Add, in.CreateVolumePermission.Remove
	}
	var entries []ec2types.CreateVolumePermission
	for _, id := range in.UserIds {
		entries = append(entries, ec2types.CreateVolumePermission{UserId: &id})
	}
	for _, group := range in.GroupNames {
		entries = append(entries, ec2types.CreateVolumePermission{Group: ec2types.PermissionGroup(group)})
	}
	if in.OperationType == ec2types.OperationTypeRemove {
		return nil, entries
	}
	return entries, nil
}

func checkVolumeChange(snap *state.Snapshot, add, remove []ec2types.CreateVolumePermission) error {
	if len(add)+len(remove) == 0 {
		return wire.Errorf("InvalidParameterCombination", "No attributes specified.")
	}
	if err := checkModification(len(add) + len(remove)); err != nil {
		return err
	}
	for _, e := range slices.Concat(add, remove) {
		if err := checkGrantee(e.UserId, e.Group); err != nil {
			return err
		}
	}
	everybody := slices.ContainsFunc(add, func(e ec2types.CreateVolumePermission) bool { return e.Group != "" })
	if everybody && aws.ToBool(snap.Encrypted) { // documented; the error is inferred
		return wire.Errorf("InvalidParameterValue", "Encrypted snapshots cannot be made public: %s", *snap.SnapshotId)
	}
	return nil
}

// resetSnapshotAttribute is ResetSnapshotAttribute: it takes back all permissions.
func (s *Service) resetSnapshotAttribute(_ context.Context, c *wire.Call, in *ec2.ResetSnapshotAttributeInput) (*ec2.ResetSnapshotAttributeOutput, error) {
	return &ec2.ResetSnapshotAttributeOutput{}, s.store.Update(c.Region, func(r *state.Region) error {
		_, err := ownSnapshot(r, c, *in.SnapshotId)
		if err == nil && in.Attribute != ec2types.SnapshotAttributeNameCreateVolumePermission { // as for images
			err = wire.Errorf("InvalidRequest", "The request received was invalid.")
		}
		if err == nil {
			err = dryRun(in.DryRun)
		}
		if err == nil {
			r.Snapshots.Edit(*in.SnapshotId).Permissions = nil
		}
		return err
	})
}
