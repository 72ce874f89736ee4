package ec2

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/bake/internal/sdkerr"
)

// rootDevice is what AMIs of Linux call their root volume. The guest sees it as an NVMe disk.
const rootDevice = "/dev/xvda"

// upload makes the AMI from the disk.
func (j job) upload(ctx context.Context, at *target.Target, e *entry) (*ec2types.Image, error) {
	snapshot, err := j.snapshotOf(ctx, at, e)
	if err != nil {
		return nil, err
	}
	task := j.start("register in %s", place(at))
	img, err := j.register(ctx, at, e, snapshot)
	return img, task.End(target.Terse(err))
}

func (j job) register(ctx context.Context, at *target.Target, e *entry, snapshot string) (*ec2types.Image, error) {
	in, err := j.registration(e.Run, snapshot)
	if err != nil {
		return nil, err
	}
	var out *awsec2.RegisterImageOutput
	err = j.settled(ctx, func() (err error) {
		out, err = target.EC2(at).RegisterImage(ctx, in)
		return err
	})
	if sdkerr.Code(err) == "InvalidAMIName.Duplicate" {
		return j.again(ctx, at, err)
	}
	if err != nil {
		return nil, fmt.Errorf("register %s in %s: %w", snapshot, place(at), err)
	}
	return j.again(ctx, at, fmt.Errorf("AMI %s in %s", aws.ToString(out.ImageId), place(at)))
}

// registration returns how the image is registered. What is left out here is what a bare registration gets: no ENA, no IMDSv2, gp2.
func (j job) registration(run, snapshot string) (*awsec2.RegisterImageInput, error) {
	arch, err := architecture(j.img.Arch)
	if err != nil {
		return nil, err
	}
	in := &awsec2.RegisterImageInput{
		Name: aws.String(j.name()), Description: aws.String(describe(j.img)), Architecture: arch,
		VirtualizationType: aws.String("hvm"), EnaSupport: aws.Bool(true), ImdsSupport: ec2types.ImdsSupportValuesV20,
		BootMode: bootMode(j.template.Tests.Boot.Firmware, j.img.Arch), RootDeviceName: aws.String(rootDevice),
		BlockDeviceMappings: []ec2types.BlockDeviceMapping{{
			DeviceName: aws.String(rootDevice),
			Ebs: &ec2types.EbsBlockDevice{
				SnapshotId: &snapshot, VolumeType: ec2types.VolumeTypeGp3, DeleteOnTermination: aws.Bool(true),
			},
		}},
		TagSpecifications: j.ec2Tags(run, ec2types.ResourceTypeImage),
	}
	if j.template.Publish.TPM {
		if in.BootMode == ec2types.BootModeValuesLegacyBios {
			return nil, fmt.Errorf("%w: %s asks for a TPM, which needs UEFI: add uefi to tests.boot.firmware", bake.ErrRefused, j.img.Name)
		}
		in.BootMode, in.TpmSupport = ec2types.BootModeValuesUefi, ec2types.TpmSupportValuesV20 // EC2 takes no other mode with it
	}
	return in, nil
}

// describe returns the AMI's description: at most 255 ASCII characters.
func describe(img bake.Image) string {
	text := fmt.Sprintf("%s by iibake from commit %.12s", img.Ref, img.Commit)
	return text[:min(len(text), 255)]
}

func architecture(a bake.Arch) (ec2types.ArchitectureValues, error) {
	switch a {
	case bake.AMD64:
		return ec2types.ArchitectureValuesX8664, nil
	case bake.ARM64:
		return ec2types.ArchitectureValuesArm64, nil
	}
	return "", fmt.Errorf("%w architecture %q", bake.ErrInvalid, a)
}

// bootMode returns how instances start, by the firmware that the image was tested with. Graviton knows UEFI only.
func bootMode(tested []bake.Firmware, arch bake.Arch) ec2types.BootModeValues {
	uefi, bios := slices.Contains(tested, bake.UEFI), slices.Contains(tested, bake.BIOS)
	switch {
	case arch == bake.ARM64, uefi && !bios:
		return ec2types.BootModeValuesUefi
	case uefi && bios:
		return ec2types.BootModeValuesUefiPreferred
	}
	return ec2types.BootModeValuesLegacyBios
}
