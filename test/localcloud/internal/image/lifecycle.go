package image

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/ebs"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

const (
	cooldown        = 24 * time.Hour            // documented
	maxDeprecation  = 10 * 365 * 24 * time.Hour // documented
	withCooldown    = "enabled-with-cooldown"
	withoutCooldown = "enabled-without-cooldown"
)

// deregisterImage is DeregisterImage. Snapshots that only this image has are deleted on request.
func (s *Service) deregisterImage(_ context.Context, c *wire.Call, in *ec2.DeregisterImageInput) (*ec2.DeregisterImageOutput, error) {
	out := &ec2.DeregisterImageOutput{Return: aws.Bool(true), DeleteSnapshotResults: []ec2types.DeleteSnapshotReturnCode{}}
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		img, err := own(r, c, *in.ImageId)
		if err == nil {
			err = dryRun(in.DryRun)
		}
		if err == nil {
			err = unprotected(img, c.Time)
		}
		if err != nil {
			return err
		}
		r.Images.Edit(*in.ImageId).Deregistered = true
		if aws.ToBool(in.DeleteAssociatedSnapshots) {
			for _, id := range snapshotsOf(img) {
				out.DeleteSnapshotResults = append(out.DeleteSnapshotResults, s.deleteWithImage(r, c, id))
			}
		}
		return nil
	})
}

func (s *Service) deleteWithImage(r *state.Region, c *wire.Call, id string) ec2types.DeleteSnapshotReturnCode {
	code := ec2types.DeleteSnapshotReturnCode{SnapshotId: &id, ReturnCode: ec2types.SnapshotReturnCodesSuccess}
	switch _, err := ownSnapshot(r, c, id); {
	case err != nil:
		code.ReturnCode = ec2types.SnapshotReturnCodesErrorCodeClientError
	case len(usedBy(r, id)) > 0:
		code.ReturnCode = ec2types.SnapshotReturnCodesWarnSkipped
	default:
		ebs.Delete(s.store, s.blocks, r, id)
	}
	return code
}

// unprotected refuses what deregistration protection does. That it does is documented; the errors are inferred.
func unprotected(img *state.Image, now time.Time) error {
	switch {
	case aws.ToString(img.DeregistrationProtection) != "disabled":
		return wire.Errorf("OperationNotPermitted", "The image '%s' has deregistration protection enabled. Disable it and try again.", *img.ImageId)
	case now.Before(img.ProtectedUntil):
		return wire.Errorf("OperationNotPermitted", "The image '%s' is in the cooldown of its deregistration protection until %s.",
			*img.ImageId, stamp(img.ProtectedUntil))
	}
	return nil
}

// enableProtection is EnableImageDeregistrationProtection.
func (s *Service) enableProtection(_ context.Context, c *wire.Call, in *ec2.EnableImageDeregistrationProtectionInput) (*ec2.EnableImageDeregistrationProtectionOutput, error) {
	out := &ec2.EnableImageDeregistrationProtectionOutput{Return: aws.String("true")}
	return out, s.change(c, *in.ImageId, in.DryRun, func(_ *state.Image, edit func() *state.Image) error {
		img := edit()
		img.Cooldown, img.ProtectedUntil = aws.ToBool(in.WithCooldown), time.Time{}
		img.DeregistrationProtection = aws.String(withoutCooldown)
		if img.Cooldown {
			img.DeregistrationProtection = aws.String(withCooldown)
		}
		return nil
	})
}

// disableProtection is DisableImageDeregistrationProtection. Protection with a cooldown goes on for a day.
func (s *Service) disableProtection(_ context.Context, c *wire.Call, in *ec2.DisableImageDeregistrationProtectionInput) (*ec2.DisableImageDeregistrationProtectionOutput, error) {
	out := &ec2.DisableImageDeregistrationProtectionOutput{Return: aws.String("true")}
	return out, s.change(c, *in.ImageId, in.DryRun, func(_ *state.Image, edit func() *state.Image) error {
		img := edit()
		if img.Cooldown {
			img.ProtectedUntil = c.Time.Add(cooldown)
		}
		img.Cooldown, img.DeregistrationProtection = false, aws.String("disabled")
		return nil
	})
}

// disableImage is DisableImage: nobody launches the image any more, and only its owner sees it, on request.
func (s *Service) disableImage(_ context.Context, c *wire.Call, in *ec2.DisableImageInput) (*ec2.DisableImageOutput, error) {
	return &ec2.DisableImageOutput{Return: aws.Bool(true)}, s.change(c, *in.ImageId, in.DryRun, func(img *state.Image, edit func() *state.Image) error {
		if img.State != ec2types.ImageStateAvailable && img.State != ec2types.ImageStateDisabled {
			return wrongState(img)
		}
		img = edit()
		img.State, img.Permissions, img.Public = ec2types.ImageStateDisabled, nil, aws.Bool(false)
		return nil
	})
}

// enableImage is EnableImage. The permissions that the image had do not come back.
func (s *Service) enableImage(_ context.Context, c *wire.Call, in *ec2.EnableImageInput) (*ec2.EnableImageOutput, error) {
	return &ec2.EnableImageOutput{Return: aws.Bool(true)}, s.change(c, *in.ImageId, in.DryRun, func(img *state.Image, edit func() *state.Image) error {
		if img.State != ec2types.ImageStateAvailable && img.State != ec2types.ImageStateDisabled {
			return wrongState(img)
		}
		edit().State = ec2types.ImageStateAvailable
		return nil
	})
}

// wrongState is inferred.
func wrongState(img *state.Image) error {
	return wire.Errorf("IncorrectState", "The image '%s' is in the state %s", *img.ImageId, img.State)
}

// enableDeprecation is EnableImageDeprecation. The time is rounded to the minute. Its limits are documented; the texts are inferred.
func (s *Service) enableDeprecation(_ context.Context, c *wire.Call, in *ec2.EnableImageDeprecationInput) (*ec2.EnableImageDeprecationOutput, error) {
	return &ec2.EnableImageDeprecationOutput{Return: aws.Bool(true)}, s.change(c, *in.ImageId, in.DryRun, func(_ *state.Image, edit func() *state.Image) error {
		at := in.DeprecateAt.UTC().Round(time.Minute)
		switch {
		case in.DeprecateAt.Before(c.Time):
			return wire.Errorf("InvalidParameterValue", "Invalid value '%s' for deprecateAt. It must not be in the past.", stamp(*in.DeprecateAt))
		case at.Sub(c.Time) > maxDeprecation:
			return wire.Errorf("InvalidParameterValue", "Invalid value '%s' for deprecateAt. It must be within 10 years.", stamp(*in.DeprecateAt))
		}
		edit().DeprecationTime = aws.String(stamp(at))
		return nil
	})
}

// disableDeprecation is DisableImageDeprecation.
func (s *Service) disableDeprecation(_ context.Context, c *wire.Call, in *ec2.DisableImageDeprecationInput) (*ec2.DisableImageDeprecationOutput, error) {
	return &ec2.DisableImageDeprecationOutput{Return: aws.Bool(true)}, s.change(c, *in.ImageId, in.DryRun, func(_ *state.Image, edit func() *state.Image) error {
		edit().DeprecationTime = nil
		return nil
	})
}
