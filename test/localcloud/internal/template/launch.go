package template

import (
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// Fill returns a launch with the members of its template that it does not set itself, with an image id instead of a reference to a parameter,
// and with the template's tags among those of the instance. What it returns shares with in and with the template, and must not be changed in depth.
// It is called under the region's lock.
func (s *Service) Fill(r *state.Region, account string, in *ec2.RunInstancesInput) (*ec2.RunInstancesInput, error) {
	filled := *in
	if in.LaunchTemplate != nil {
		t, err := s.find(r, account, in.LaunchTemplate.LaunchTemplateId, in.LaunchTemplate.LaunchTemplateName)
		if err != nil {
			return nil, err
		}
		name := aws.ToString(in.LaunchTemplate.Version)
		if name == "" {
			name = standard
		}
		v, err := version(t, name)
		if err != nil {
			return nil, err
		}
		if v.LaunchTemplateData.InstanceRequirements != nil && in.InstanceType == "" { // Auto Scaling chooses a type, a launch cannot
			return nil, wire.Errorf("UnsupportedOperation", "Launching by instance requirements is not supported here. Name an instance type.")
		}
		merge(&filled, in, v)
	}
	if strings.HasPrefix(aws.ToString(filled.ImageId), ssmPrefix) {
		id, err := s.resolve(r, account, *filled.ImageId)
		if err != nil {
			return nil, err
		}
		filled.ImageId = &id
	}
	return &filled, nil
}

// merge puts a version's data under what in sets itself. Most members are taken whole from one of them; the members of MetadataOptions are
// taken one by one, and so are, inferred, those of Placement.
func merge(filled, in *ec2.RunInstancesInput, v *ec2types.LaunchTemplateVersion) {
	var data ec2.RunInstancesInput
	copyFields(&data, v.LaunchTemplateData)
	data.RamdiskId = v.LaunchTemplateData.RamDiskId // the one member with two spellings
	*filled = data
	overlay(filled, in)
	filled.MetadataOptions = overlaid(data.MetadataOptions, in.MetadataOptions)
	filled.Placement = overlaid(data.Placement, in.Placement)
	if len(in.SecurityGroupIds) > 0 || len(in.SecurityGroups) > 0 { // two names of one member
		filled.SecurityGroupIds, filled.SecurityGroups = in.SecurityGroupIds, in.SecurityGroups
	}
	filled.TagSpecifications = mergeTags(data.TagSpecifications, in.TagSpecifications)
	filled.TagSpecifications = mergeTags(filled.TagSpecifications, []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeInstance, Tags: []ec2types.Tag{
		{Key: aws.String("aws:ec2launchtemplate:id"), Value: v.LaunchTemplateId},
		{Key: aws.String("aws:ec2launchtemplate:version"), Value: aws.String(strconv.FormatInt(aws.ToInt64(v.VersionNumber), 10))},
	}}})
}

// mergeTags merges by resource type, and then by key, where over wins.
func mergeTags(base, over []ec2types.TagSpecification) []ec2types.TagSpecification {
	var types []ec2types.ResourceType
	merged := map[ec2types.ResourceType][]ec2types.Tag{}
	for _, specs := range [][]ec2types.TagSpecification{base, over} {
		for _, spec := range specs {
			if _, ok := merged[spec.ResourceType]; !ok {
				types = append(types, spec.ResourceType)
			}
			merged[spec.ResourceType] = kit.MergeTags(merged[spec.ResourceType], spec.Tags)
		}
	}
	var all []ec2types.TagSpecification
	for _, t := range types {
		all = append(all, ec2types.TagSpecification{ResourceType: t, Tags: merged[t]})
	}
	return all
}
