package image

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// ancestry is GetImageAncestry: the image, what it was copied or made from, and so on. The chain ends with an image that was registered, and
// before one that the caller may not see or that is gone, which is inferred.
func (s *Service) ancestry(_ context.Context, c *wire.Call, in *ec2.GetImageAncestryInput) (*ec2.GetImageAncestryOutput, error) {
	out := &ec2.GetImageAncestryOutput{ImageAncestryEntries: []ec2types.ImageAncestryEntry{}}
	err := s.store.View(c.Region, func(r *state.Region) error {
		if _, err := seen(r, c, *in.ImageId); err != nil {
			return err
		}
		return dryRun(in.DryRun)
	})
	id, region := *in.ImageId, c.Region
	for err == nil && id != "" {
		var entry *ec2types.ImageAncestryEntry
		if entry, err = s.ancestor(region, c, id); entry == nil {
			break
		}
		out.ImageAncestryEntries = append(out.ImageAncestryEntries, *entry)
		id, region = aws.ToString(entry.SourceImageId), aws.ToString(entry.SourceImageRegion)
	}
	return out, err
}

// ancestor returns nil where the caller may not see the image.
func (s *Service) ancestor(region string, c *wire.Call, id string) (*ec2types.ImageAncestryEntry, error) {
	var entry *ec2types.ImageAncestryEntry
	err := s.store.View(region, func(r *state.Region) error {
		img := r.Images.Get(id)
		if img == nil || !visible(img, c.Account) {
			return nil
		}
		created, err := time.Parse(time.RFC3339, *img.CreationDate)
		entry = &ec2types.ImageAncestryEntry{
			ImageId: img.ImageId, CreationDate: &created, ImageOwnerAlias: img.ImageOwnerAlias,
			SourceImageId: img.SourceImageId, SourceImageRegion: img.SourceImageRegion,
		}
		return err
	})
	return entry, err
}
