package image

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// describeImages is DescribeImages. As everywhere in EC2 a page is cut before the filters are applied: it may hold less than was asked for, and
// nothing, although there is more.
func (s *Service) describeImages(_ context.Context, c *wire.Call, in *ec2.DescribeImagesInput) (*ec2.DescribeImagesOutput, error) {
	page := kit.Page{Max: in.MaxResults, Token: in.NextToken, Min: 5, Scope: "DescribeImages " + c.Region + " " + c.Account}
	if err := checkDescribe(in, page); err != nil {
		return nil, err
	}
	out := &ec2.DescribeImagesOutput{Images: []ec2types.Image{}}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		if err := knownImages(r, in.ImageIds); err != nil {
			return err
		}
		var listed []*state.Image
		for _, img := range r.Images.Sorted() {
			if shown(c, in, img) {
				listed = append(listed, img)
			}
		}
		listed, next, err := kit.PaginateBy(listed, func(img *state.Image) string { return *img.ImageId }, page)
		if err != nil {
			return err
		}
		for _, img := range listed {
			if ok, err := kit.Match(in.Filters, func(name string) ([]string, bool) { return imageFilter(img, c.Account, name) }); err != nil {
				return err
			} else if ok {
				out.Images = append(out.Images, view(img, c.Account))
			}
		}
		out.NextToken = next
		return nil
	})
}

// checkDescribe makes the checks that need no records.
func checkDescribe(in *ec2.DescribeImagesInput, page kit.Page) error {
	for _, id := range in.ImageIds {
		if err := checkImageID(id); err != nil {
			return err
		}
	}
	none := &state.Image{}
	if _, err := kit.Match(in.Filters, func(name string) ([]string, bool) { return imageFilter(none, "", name) }); err != nil {
		return err
	}
	if err := page.WithoutIDs("imageIdsSet", len(in.ImageIds)); err != nil {
		return err
	}
	if _, _, err := kit.Paginate([]string{}, page); in.NextToken == nil && err != nil {
		return err
	}
	return dryRun(in.DryRun)
}

// knownImages refuses ids that no image ever had. Those of deregistered images, and of images that the caller may not see, just find nothing.
func knownImages(r *state.Region, ids []string) error {
	var missing []string
	for _, id := range ids {
		if r.Images.Get(id) == nil {
			missing = append(missing, id)
		}
	}
	switch len(missing) {
	case 0:
		return nil
	case 1:
		return imageNotFound(missing[0])
	}
	return wire.Errorf("InvalidAMIID.NotFound", "The image ids '[%s]' do not exist", strings.Join(missing, ", ")) // the plural is inferred
}

// shown reports whether a request is about an image, filters apart.
func shown(c *wire.Call, in *ec2.DescribeImagesInput, img *state.Image) bool {
	named := len(in.ImageIds) > 0
	mine := *img.OwnerId == c.Account
	switch {
	case img.Deregistered || !visible(img, c.Account):
		return false
	case named && !slices.Contains(in.ImageIds, *img.ImageId):
		return false
	case img.State == ec2types.ImageStateDisabled && !aws.ToBool(in.IncludeDisabled):
		return false
	case deprecated(img, c.Time) && !mine && !named && !aws.ToBool(in.IncludeDeprecated):
		return false
	case len(in.Owners) > 0 && !slices.ContainsFunc(in.Owners, func(o string) bool { return ownedBy(img, o, c.Account) }):
		return false
	}
	return len(in.ExecutableUsers) == 0 ||
		slices.ContainsFunc(in.ExecutableUsers, func(u string) bool { return executableBy(img, u, c.Account) })
}

func ownedBy(img *state.Image, owner, caller string) bool {
	if owner == "self" {
		owner = caller
	}
	return *img.OwnerId == owner || img.ImageOwnerAlias != nil && *img.ImageOwnerAlias == owner
}

// executableBy looks at explicit permissions only: an owner needs none.
func executableBy(img *state.Image, user, caller string) bool {
	switch user {
	case "all":
		return isPublic(img)
	case "self":
		return permitted(img, caller)
	}
	return permitted(img, user)
}

func deprecated(img *state.Image, now time.Time) bool {
	return img.DeprecationTime != nil && stamp(now) >= *img.DeprecationTime
}

// view returns an image as an account sees it.
func view(img *state.Image, account string) ec2types.Image {
	out := img.Image
	out.Public = aws.Bool(isPublic(img))
	if *img.OwnerId != account {
		out.Tags, out.DeregistrationProtection = nil, nil
	}
	return out
}

// imageFilter returns the values that an image has for a filter of DescribeImages, as an account sees it.
func imageFilter(img *state.Image, account, name string) ([]string, bool) {
	if values, ok := ownTags(img.Tags, img.OwnerId, account, name); ok {
		return values, true
	}
	if part, ok := strings.CutPrefix(name, "block-device-mapping."); ok {
		return mappingFilter(img, part)
	}
	if part, ok := strings.CutPrefix(name, "image-watermark."); ok {
		return watermarkFilter(img, part)
	}
	value, ok := map[string]func() *string{
		"architecture":              func() *string { return text(img.Architecture) },
		"boot-mode":                 func() *string { return text(img.BootMode) },
		"creation-date":             func() *string { return img.CreationDate },
		"description":               func() *string { return img.Description },
		"ena-support":               func() *string { return truth(img.EnaSupport) },
		"free-tier-eligible":        func() *string { return truth(img.FreeTierEligible) },
		"hypervisor":                func() *string { return text(img.Hypervisor) },
		"image-allowed":             func() *string { return truth(img.ImageAllowed) },
		"image-id":                  func() *string { return img.ImageId },
		"image-type":                func() *string { return text(img.ImageType) },
		"is-public":                 func() *string { return truth(aws.Bool(isPublic(img))) },
		"kernel-id":                 func() *string { return img.KernelId },
		"manifest-location":         func() *string { return img.ImageLocation },
		"name":                      func() *string { return img.Name },
		"owner-alias":               func() *string { return img.ImageOwnerAlias },
		"owner-id":                  func() *string { return img.OwnerId },
		"platform":                  func() *string { return text(img.Platform) },
		"product-code":              func() *string { return nil },
		"product-code.type":         func() *string { return nil },
		"public-ssm-parameter-name": func() *string { return img.PublicSsmParameterName },
		"ramdisk-id":                func() *string { return img.RamdiskId },
		"root-device-name":          func() *string { return img.RootDeviceName },
		"root-device-type":          func() *string { return text(img.RootDeviceType) },
		"source-image-id":           func() *string { return img.SourceImageId },
		"source-image-region":       func() *string { return img.SourceImageRegion },
		"source-instance-id":        func() *string { return img.SourceInstanceId },
		"sriov-net-support":         func() *string { return img.SriovNetSupport },
		"state":                     func() *string { return text(img.State) },
		"state-reason-code":         func() *string { return reason(img).Code },
		"state-reason-message":      func() *string { return reason(img).Message },
		"virtualization-type":       func() *string { return text(img.VirtualizationType) },
	}[name]
	if !ok {
		return nil, false
	}
	return list(value()), true
}

// ownTags returns the values of a filter of tags, which only the owner sees.
func ownTags(tags []ec2types.Tag, owner *string, account, name string) ([]string, bool) {
	if aws.ToString(owner) != account {
		tags = nil
	}
	return kit.TagFilter(tags, name)
}

func reason(img *state.Image) ec2types.StateReason {
	if img.StateReason == nil {
		return ec2types.StateReason{}
	}
	return *img.StateReason
}

func mappingFilter(img *state.Image, part string) ([]string, bool) {
	var values []string
	for _, m := range img.BlockDeviceMappings {
		ebs := m.Ebs
		if ebs == nil {
			ebs = &ec2types.EbsBlockDevice{}
		}
		switch part {
		case "delete-on-termination":
			values = append(values, list(truth(ebs.DeleteOnTermination))...)
		case "device-name":
			values = append(values, list(m.DeviceName)...)
		case "snapshot-id":
			values = append(values, list(ebs.SnapshotId)...)
		case "volume-size":
			values = append(values, list(number(ebs.VolumeSize))...)
		case "volume-type":
			values = append(values, list(text(ebs.VolumeType))...)
		case "encrypted":
			values = append(values, list(truth(ebs.Encrypted))...)
		}
	}
	return values, slices.Contains([]string{"delete-on-termination", "device-name", "snapshot-id", "volume-size", "volume-type", "encrypted"}, part)
}

func watermarkFilter(img *state.Image, part string) ([]string, bool) {
	var values []string
	for _, w := range img.ImageWatermarks {
		switch part {
		case "source-image-creation-time":
			values = append(values, w.SourceImageCreationTime.Format(watermarkTime))
		case "source-image-id":
			values = append(values, *w.SourceImageId)
		case "source-image-region":
			values = append(values, *w.SourceImageRegion)
		case "watermark-creation-time":
			values = append(values, w.WatermarkCreationTime.Format(watermarkTime))
		case "watermark-key":
			values = append(values, *w.WatermarkKey)
		}
	}
	return values, slices.Contains([]string{
		"source-image-creation-time", "source-image-id", "source-image-region", "watermark-creation-time", "watermark-key",
	}, part)
}

// watermarkTime is the documented format of times in filters of watermarks.
const watermarkTime = "2006-01-02T15:04:05.000000+00:00"

func list(value *string) []string {
	if value == nil {
		return nil
	}
	return []string{*value}
}

func text[T ~string](value T) *string {
	if value == "" {
		return nil
	}
	return aws.String(string(value))
}

func truth(value *bool) *string {
	if value == nil {
		return nil
	}
	return aws.String(strconv.FormatBool(*value))
}

func number(value *int32) *string {
	if value == nil {
		return nil
	}
	return aws.String(strconv.Itoa(int(*value)))
}
