package autoscaling

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// maxAlarms is how many alarms a refresh may have, as documented.
const maxAlarms = 10

// checkPreferences returns the error of a refresh that asks for what does not fit together. The texts of the first four are recorded.
func checkPreferences(in *as.StartInstanceRefreshInput) error {
	p := astypes.RefreshPreferences{}
	if in.Preferences != nil {
		p = *in.Preferences
	}
	configured := in.DesiredConfiguration != nil && (in.DesiredConfiguration.LaunchTemplate != nil || in.DesiredConfiguration.MixedInstancesPolicy != nil)
	switch {
	case in.Strategy == astypes.RefreshStrategyReplaceRootVolume && !configured:
		return invalid("The request isn't valid. The DesiredConfiguration parameter must be specified when using ReplaceRootVolume. " +
			"Add the DesiredConfiguration parameter and try again.")
	case aws.ToBool(p.AutoRollback) && !configured:
		return invalid("The request isn’t valid. The AutoRollback parameter cannot be set to true when the DesiredConfiguration parameter is empty. " +
			"Set AutoRollback to false or specify a desired configuration and try again.")
	case !ascending(p.CheckpointPercentages):
		return invalid("Checkpoint percentages must be sorted in ascending order with no duplicates.")
	case p.MaxHealthyPercentage != nil && p.MinHealthyPercentage != nil && *p.MaxHealthyPercentage-*p.MinHealthyPercentage > 100:
		return invalid("The difference between MaxHealthyPercentage and MinHealthyPercentage must be less than or equal to 100.")
	case p.MaxHealthyPercentage != nil && p.MinHealthyPercentage == nil:
		return invalid("MinHealthyPercentage must be specified when MaxHealthyPercentage is specified.")
	case p.CheckpointDelay != nil && len(p.CheckpointPercentages) == 0:
		return invalid("CheckpointPercentages must be specified when CheckpointDelay is specified.")
	case p.AlarmSpecification != nil && len(p.AlarmSpecification.Alarms) > maxAlarms:
		return invalid("An instance refresh can have no more than %d alarms.", maxAlarms)
	}
	return nil
}

func ascending(list []int32) bool {
	for i := 1; i < len(list); i++ {
		if list[i] <= list[i-1] {
			return false
		}
	}
	return true
}

// checkRoots returns the error of a refresh that cannot replace root volumes. Documented: group and desired configuration have a mixed instances
// policy whose every override names an image, and the images have one volume.
func (s *Service) checkRoots(r *state.Region, g *state.Group, rec *state.Refresh) error {
	if _, can := s.instances.(RootReplacer); !can {
		return unsupported("Strategy ReplaceRootVolume")
	}
	wants := after(rec)
	if !imagesNamed(configOf(g)) || !imagesNamed(wants) {
		return invalid("The request isn't valid. ReplaceRootVolume needs a mixed instances policy with an ImageId in every override, in the Auto Scaling group and in the DesiredConfiguration.")
	}
	for _, o := range wants.overrides() {
		image := r.Images.Get(aws.ToString(o.ImageId))
		if image == nil || image.Deregistered {
			return invalid("%sThe image id '[%s]' does not exist", badTemplate, aws.ToString(o.ImageId))
		}
		volumes := 0
		for _, m := range image.BlockDeviceMappings {
			if m.Ebs != nil {
				volumes++
			}
		}
		if volumes != 1 {
			return invalid("The request isn't valid. ReplaceRootVolume needs images with one volume, and %s has %d.", aws.ToString(o.ImageId), volumes)
		}
	}
	return nil
}

func imagesNamed(c config) bool {
	overrides := c.overrides()
	return len(overrides) > 0 && !slices.ContainsFunc(overrides, func(o astypes.LaunchTemplateOverrides) bool {
		return !strings.HasPrefix(aws.ToString(o.ImageId), "ami-")
	})
}
