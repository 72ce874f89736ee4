package image

import (
	"cmp"
	"context"
	"encoding/base64"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// registerImage makes an image of snapshots. It is available at once.
func (s *Service) registerImage(_ context.Context, c *wire.Call, in *ec2.RegisterImageInput) (*ec2.RegisterImageOutput, error) {
	if err := checkRegister(in); err != nil {
		return nil, err
	}
	out := new(ec2.RegisterImageOutput)
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		mappings, err := newMappings(r, c, in)
		if err == nil {
			err = freeName(r, c.Account, *in.Name)
		}
		if err == nil {
			err = dryRun(in.DryRun)
		}
		if err != nil {
			return err
		}
		img := newImage(c, *in.Name)
		img.Architecture = cmp.Or(in.Architecture, ec2types.ArchitectureValuesI386) // documented default
		img.VirtualizationType = cmp.Or(ec2types.VirtualizationType(aws.ToString(in.VirtualizationType)), ec2types.VirtualizationTypeParavirtual)
		img.BlockDeviceMappings, img.RootDeviceName, img.Description = mappings, in.RootDeviceName, given(in.Description)
		img.EnaSupport, img.SriovNetSupport = in.EnaSupport, given(in.SriovNetSupport)
		img.BootMode, img.TpmSupport, img.ImdsSupport = in.BootMode, in.TpmSupport, in.ImdsSupport
		img.KernelId, img.RamdiskId, img.UefiData = given(in.KernelId), given(in.RamdiskId), aws.ToString(in.UefiData)
		img.State, img.Tags = ec2types.ImageStateAvailable, kit.TagsFor(in.TagSpecifications, ec2types.ResourceTypeImage)
		r.Images.Put(*img.ImageId, img)
		out.ImageId = img.ImageId
		return nil
	})
}

// checkRegister makes the checks that need no records. Those but for the name's are documented; their texts are inferred.
func checkRegister(in *ec2.RegisterImageInput) error {
	if err := checkName(aws.ToString(in.Name)); err != nil {
		return err
	}
	if in.ImageLocation != nil || len(in.BillingProducts) > 0 {
		return wire.Errorf("UnsupportedOperation", "Images of instance stores and billing products are not supported here: register an image of snapshots")
	}
	if _, err := base64.StdEncoding.DecodeString(aws.ToString(in.UefiData)); err != nil {
		return wire.Errorf("InvalidParameterValue", "Invalid value for UefiData: it is not base64")
	}
	if in.TpmSupport != "" && in.BootMode != ec2types.BootModeValuesUefi {
		return wire.Errorf("InvalidParameterCombination", "The parameter TpmSupport requires the parameter BootMode to be uefi")
	}
	return kit.CheckTagSpecs(in.TagSpecifications, ec2types.ResourceTypeImage)
}

func checkName(name string) error {
	if regexp.MustCompile(`^[A-Za-z0-9()\[\] ./'@_-]{3,128}$`).MatchString(name) {
		return nil
	}
	return wire.Errorf("InvalidAMIName.Malformed",
		"AMI names must be between 3 and 128 characters long, and may contain letters, numbers, '(', ')', '.', '-', '/' and '_'")
}

// freeName refuses a name that an image of the account has.
func freeName(r *state.Region, account, name string) error {
	for id, img := range r.Images.All() {
		if !img.Deregistered && *img.OwnerId == account && *img.Name == name {
			return wire.Errorf("InvalidAMIName.Duplicate", "AMI name %s is already in use by AMI %s", name, id)
		}
	}
	return nil
}

// newImage returns what all images of an account start from.
func newImage(c *wire.Call, name string) *state.Image {
	return &state.Image{Image: ec2types.Image{
		ImageId: aws.String(kit.ID("ami")), Name: &name, OwnerId: &c.Account, ImageLocation: aws.String(c.Account + "/" + name),
		CreationDate: aws.String(stamp(c.Time)), Hypervisor: ec2types.HypervisorTypeXen, ImageType: ec2types.ImageTypeValuesMachine,
		RootDeviceType: ec2types.DeviceTypeEbs, PlatformDetails: aws.String("Linux/UNIX"), UsageOperation: aws.String("RunInstances"),
		Public: aws.Bool(false), DeregistrationProtection: aws.String("disabled"), FreeTierEligible: aws.Bool(true),
		BlockDeviceMappings: []ec2types.BlockDeviceMapping{},
	}}
}

// stamp is a time as images have it: text, of whole seconds.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z")[:19] + ".000Z" }

// given drops an empty text, which images do not have.
func given(s *string) *string {
	if aws.ToString(s) == "" {
		return nil
	}
	return s
}
