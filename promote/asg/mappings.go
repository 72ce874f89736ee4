package asg

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake/ec2/target"
)

// mappings returns the block device mappings that a version made of v with another image has to be given, none where it inherits them as they
// are. The snapshots of mappings are not inherited: a data volume would come up empty. That of a root volume holds the image before, and EC2
// launches no other image with it.
func (f *Fleet) mappings(ctx context.Context, v *version, ami string) ([]ec2types.LaunchTemplateBlockDeviceMappingRequest, error) {
	if !slices.ContainsFunc(v.mappings, hasSnapshot) {
		return nil, nil
	}
	images, err := f.amisOf(ctx, v.ami, ami)
	if err != nil {
		return nil, fmt.Errorf("volumes of launch template %s: %w", v.name, err)
	}
	var all []ec2types.LaunchTemplateBlockDeviceMappingRequest
	for _, m := range v.mappings {
		given := ec2types.LaunchTemplateBlockDeviceMappingRequest{DeviceName: m.DeviceName, NoDevice: m.NoDevice, VirtualName: m.VirtualName}
		if m.Ebs != nil {
			ebs := ec2types.LaunchTemplateEbsBlockDeviceRequest(*m.Ebs)
			if isRoot(m, images) {
				ebs.SnapshotId = nil
			}
			given.Ebs = &ebs
		}
		all = append(all, given)
	}
	return all, nil
}

func hasSnapshot(m ec2types.LaunchTemplateBlockDeviceMapping) bool {
	return m.Ebs != nil && aws.ToString(m.Ebs.SnapshotId) != ""
}

// isRoot reports whether a mapping is that of the root volume of one of some images.
func isRoot(m ec2types.LaunchTemplateBlockDeviceMapping, images map[string]ec2types.Image) bool {
	for _, img := range images {
		if aws.ToString(m.DeviceName) == aws.ToString(img.RootDeviceName) {
			return true
		}
	}
	return false
}

// rootVolumes refuses a launch template that makes the root volume smaller than the image is: EC2 launches nothing from it, and a refresh
// tries for an hour.
func (l *look) rootVolumes() []string {
	img, ok := l.images[l.q.Artifact.AMI]
	if !ok || l.isRollback() {
		return nil
	}
	size := rootSize(img)
	var all []string
	for _, p := range launchingPlaces(l.places) {
		if p.version == nil {
			continue
		}
		for _, m := range p.mappings {
			if m.Ebs == nil || m.Ebs.VolumeSize == nil || aws.ToString(m.DeviceName) != aws.ToString(img.RootDeviceName) || *m.Ebs.VolumeSize >= size {
				continue
			}
			all = append(all, fmt.Sprintf("version %s of launch template %s makes a root volume of %d GiB, and the image needs %d: set the group to a version with a larger one",
				p.number, p.version.name, *m.Ebs.VolumeSize, size))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// rootSize returns the size of an image's root volume in GiB.
func rootSize(img ec2types.Image) int32 {
	for _, m := range img.BlockDeviceMappings {
		if m.Ebs != nil && aws.ToString(m.DeviceName) == aws.ToString(img.RootDeviceName) {
			return aws.ToInt32(m.Ebs.VolumeSize)
		}
	}
	return 0
}

// otherRoots tells of settings for the root volume of the image before that are none for the new one, which calls it something else.
func (l *look) otherRoots() []string {
	img, ok := l.images[l.q.Artifact.AMI]
	if !ok || l.isRollback() {
		return nil
	}
	var all []string
	for _, p := range launchingPlaces(l.places) {
		before := l.images[p.ami()].RootDeviceName
		if p.version == nil || before == nil || *before == aws.ToString(img.RootDeviceName) {
			continue
		}
		set := func(m ec2types.LaunchTemplateBlockDeviceMapping) bool {
			return aws.ToString(m.DeviceName) == *before && m.Ebs != nil
		}
		if slices.ContainsFunc(p.mappings, set) {
			all = append(all, fmt.Sprintf("version %s of launch template %s has settings for %s, the root volume of what the group has now; the image's is %s, "+
				"so that they make another, empty volume", p.number, p.version.name, *before, aws.ToString(img.RootDeviceName)))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// amisOf returns those of some AMIs that the account sees: it asks by a filter, for one that is gone would fail a call by ids.
func (f *Fleet) amisOf(ctx context.Context, amis ...string) (map[string]ec2types.Image, error) {
	slices.Sort(amis)
	amis = slices.DeleteFunc(slices.Compact(amis), func(ami string) bool { return ami == "" })
	images := map[string]ec2types.Image{}
	if len(amis) == 0 {
		return images, nil
	}
	in := ec2.DescribeImagesInput{
		Filters: []ec2types.Filter{filter("image-id", amis...)}, IncludeDeprecated: aws.Bool(true), IncludeDisabled: aws.Bool(true),
	}
	more := func(in *ec2.DescribeImagesInput, out *ec2.DescribeImagesOutput) *string {
		in.NextToken = out.NextToken
		return in.NextToken
	}
	for page, err := range target.Pages(ctx, target.EC2(f.t).DescribeImages, in, more) {
		if err != nil {
			return nil, err
		}
		for _, img := range page.Images {
			images[aws.ToString(img.ImageId)] = img
		}
	}
	return images, nil
}
