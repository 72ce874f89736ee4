package image

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// describeImageAttribute is DescribeImageAttribute. What an image does not have comes as an empty structure or list.
func (s *Service) describeImageAttribute(_ context.Context, c *wire.Call, in *ec2.DescribeImageAttributeInput) (*ec2.DescribeImageAttributeOutput, error) {
	out := new(ec2.DescribeImageAttributeOutput)
	return out, s.store.View(c.Region, func(r *state.Region) error {
		img, err := own(r, c, *in.ImageId)
		if err == nil {
			err = dryRun(in.DryRun)
		}
		if err != nil {
			return err
		}
		out.ImageId = img.ImageId
		return fillAttribute(out, img, in.Attribute)
	})
}

func fillAttribute(out *ec2.DescribeImageAttributeOutput, img *state.Image, name ec2types.ImageAttributeName) error {
	switch name {
	case ec2types.ImageAttributeNameDescription:
		out.Description = attribute(img.Description)
	case ec2types.ImageAttributeNameKernel:
		out.KernelId = attribute(img.KernelId)
	case ec2types.ImageAttributeNameRamdisk:
		out.RamdiskId = attribute(img.RamdiskId)
	case ec2types.ImageAttributeNameLaunchPermission:
		out.LaunchPermissions = append([]ec2types.LaunchPermission{}, img.Permissions...)
	case ec2types.ImageAttributeNameProductCodes:
		out.ProductCodes = []ec2types.ProductCode{}
	case ec2types.ImageAttributeNameBlockDeviceMapping: // also for the owner
		return wire.Errorf("AuthFailure", "Unauthorized attempt to access restricted resource")
	case ec2types.ImageAttributeNameSriovNetSupport:
		out.SriovNetSupport = attribute(img.SriovNetSupport)
	case ec2types.ImageAttributeNameBootMode:
		out.BootMode = attribute(text(img.BootMode))
	case ec2types.ImageAttributeNameTpmSupport:
		out.TpmSupport = attribute(text(img.TpmSupport))
	case ec2types.ImageAttributeNameUefiData:
		out.UefiData = attribute(given(&img.UefiData))
	case ec2types.ImageAttributeNameLastLaunchedTime:
		out.LastLaunchedTime = attribute(img.LastLaunchedTime)
	case ec2types.ImageAttributeNameImdsSupport:
		out.ImdsSupport = attribute(text(img.ImdsSupport))
	case ec2types.ImageAttributeNameDeregistrationProtection:
		out.DeregistrationProtection = attribute(img.DeregistrationProtection)
	default: // inferred
		return wire.Errorf("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", name)
	}
	return nil
}

func attribute(value *string) *ec2types.AttributeValue { return &ec2types.AttributeValue{Value: value} }

// resetImageAttribute is ResetImageAttribute: it takes back all launch permissions.
func (s *Service) resetImageAttribute(_ context.Context, c *wire.Call, in *ec2.ResetImageAttributeInput) (*ec2.ResetImageAttributeOutput, error) {
	return &ec2.ResetImageAttributeOutput{}, s.change(c, *in.ImageId, in.DryRun, func(_ *state.Image, edit func() *state.Image) error {
		if in.Attribute != ec2types.ResetImageAttributeNameLaunchPermission {
			return wire.Errorf("InvalidRequest", "The request received was invalid.")
		}
		img := edit()
		img.Permissions, img.Public = nil, aws.Bool(false)
		return nil
	})
}
