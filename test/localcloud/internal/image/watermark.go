package image

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// attachWatermark is AttachImageWatermark. What is made of the image by CreateImage and CopyImage carries the watermark on. The rules are
// documented, the errors inferred; so is that attaching it again changes nothing.
func (s *Service) attachWatermark(_ context.Context, c *wire.Call, in *ec2.AttachImageWatermarkInput) (*ec2.AttachImageWatermarkOutput, error) {
	key := c.Account + ":" + *in.WatermarkName
	return &ec2.AttachImageWatermarkOutput{WatermarkKey: &key}, s.change(c, *in.ImageId, in.DryRun, func(img *state.Image, edit func() *state.Image) error {
		switch {
		case !regexp.MustCompile(`^[A-Za-z0-9()\[\] ./'@_-]{3,128}$`).MatchString(*in.WatermarkName):
			return wire.Errorf("InvalidParameterValue", "Value (%s) for parameter watermarkName is invalid.", *in.WatermarkName)
		case isPublic(img):
			return wire.Errorf("InvalidParameterValue", "Watermarks cannot be attached to the public image '%s'", *img.ImageId)
		case slices.ContainsFunc(img.ImageWatermarks, func(w ec2types.ImageWatermark) bool { return *w.WatermarkKey == key }):
			return nil
		}
		created, err := time.Parse(time.RFC3339, *img.CreationDate)
		if err != nil {
			return err
		}
		region := c.Region
		img = edit()
		img.ImageWatermarks = append(slices.Clone(img.ImageWatermarks), ec2types.ImageWatermark{
			WatermarkKey: &key, WatermarkCreationTime: aws.Time(c.Time), SourceImageId: img.ImageId,
			SourceImageRegion: &region, SourceImageCreationTime: &created,
		})
		return nil
	})
}

// detachWatermark is DetachImageWatermark. It is fine if the image has none of that key.
func (s *Service) detachWatermark(_ context.Context, c *wire.Call, in *ec2.DetachImageWatermarkInput) (*ec2.DetachImageWatermarkOutput, error) {
	return &ec2.DetachImageWatermarkOutput{Return: aws.Bool(true)}, s.change(c, *in.ImageId, in.DryRun, func(_ *state.Image, edit func() *state.Image) error {
		if !strings.Contains(*in.WatermarkKey, ":") {
			return wire.Errorf("InvalidParameterValue", "Value (%s) for parameter watermarkKey is invalid. Expected: 'accountId:watermarkName'.", *in.WatermarkKey)
		}
		img := edit()
		img.ImageWatermarks = slices.DeleteFunc(slices.Clone(img.ImageWatermarks), func(w ec2types.ImageWatermark) bool {
			return *w.WatermarkKey == *in.WatermarkKey
		})
		return nil
	})
}
