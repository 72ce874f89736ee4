package image

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test/localcloud/internal/ebs"
	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// Seed is an image that the owner of the cloud puts into it.
type Seed struct {
	Region, Account string      // where it is to be, and whose
	Name            string      // as for RegisterImage; of the account, no other image has it
	Description     string      // may be empty
	Disk            bake.Digest // manifest in the block store
	Arch            bake.Arch
	Firmware        bake.Firmware     // what it boots with; empty leaves the boot mode open
	Public          bool              // everybody may launch it
	Tags            map[string]string // of the image and its snapshot
}

// Seed registers an image that boots as those of AWS do: gp3 root volume, ENA, and as seed says. It returns the image's id.
func (s *Service) Seed(ctx context.Context, seed Seed) (string, error) {
	m, err := s.blocks.Manifest(ctx, seed.Disk)
	if err != nil {
		return "", fmt.Errorf("image %s: %w", seed.Name, err)
	}
	c := &wire.Call{Account: seed.Account, Region: seed.Region, Time: s.store.Clock().Now()}
	snap := newSnapshot(c, seed.Description, kit.TagList(seed.Tags))
	snap.VolumeSize = aws.Int32(int32((m.Size + int64(bake.GiB) - 1) / int64(bake.GiB))) //nolint:gosec // a disk has fewer GiB
	img, err := seededImage(c, seed, snap)
	if err != nil {
		return "", err
	}
	content, err := ebs.Keep(ctx, s.blocks, *snap.SnapshotId, seed.Disk, false)
	if err != nil {
		return "", fmt.Errorf("image %s: %w", seed.Name, err)
	}
	content.Complete(snap, c.Time)
	return *img.ImageId, s.store.Update(seed.Region, func(r *state.Region) error {
		if err := freeName(r, seed.Account, seed.Name); err != nil {
			r.Then(func() { _ = ebs.Release(s.blocks, *snap.SnapshotId) }) // a collection takes what is left
			return err
		}
		r.Snapshots.Put(*snap.SnapshotId, snap)
		r.Images.Put(*img.ImageId, img)
		return nil
	})
}

func seededImage(c *wire.Call, seed Seed, snap *state.Snapshot) (*state.Image, error) {
	if err := checkName(seed.Name); err != nil {
		return nil, err
	}
	arch, err := architecture(seed.Arch)
	if err != nil {
		return nil, err
	}
	img := newImage(c, seed.Name)
	img.State, img.Architecture, img.VirtualizationType = ec2types.ImageStateAvailable, arch, ec2types.VirtualizationTypeHvm
	img.Description, img.Tags, img.EnaSupport = given(&seed.Description), snap.Tags, aws.Bool(true)
	img.RootDeviceName, img.BootMode = aws.String("/dev/xvda"), bootMode(seed.Firmware)
	if seed.Public {
		img.Public, img.Permissions = aws.Bool(true), []ec2types.LaunchPermission{{Group: ec2types.PermissionGroupAll}}
	}
	ebs := &ec2types.EbsBlockDevice{
		DeleteOnTermination: aws.Bool(true), SnapshotId: snap.SnapshotId, VolumeSize: snap.VolumeSize,
		VolumeType: ec2types.VolumeTypeGp3, Encrypted: aws.Bool(false),
	}
	fillVolume(ebs)
	img.BlockDeviceMappings = []ec2types.BlockDeviceMapping{{DeviceName: img.RootDeviceName, Ebs: ebs}}
	return img, nil
}

func architecture(arch bake.Arch) (ec2types.ArchitectureValues, error) {
	switch arch {
	case bake.AMD64:
		return ec2types.ArchitectureValuesX8664, nil
	case bake.ARM64:
		return ec2types.ArchitectureValuesArm64, nil
	}
	return "", fmt.Errorf("%w architecture %q", bake.ErrInvalid, arch)
}

func bootMode(f bake.Firmware) ec2types.BootModeValues {
	switch f {
	case bake.BIOS:
		return ec2types.BootModeValuesLegacyBios
	case bake.UEFI:
		return ec2types.BootModeValuesUefi
	}
	return ""
}
