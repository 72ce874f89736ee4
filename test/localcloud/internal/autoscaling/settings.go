package autoscaling

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/test/localcloud/internal/network"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// configure changes a group as a request wants it; what the request does not name stays. The group may be half changed where it fails.
func configure(r *state.Region, g *state.Group, in *as.UpdateAutoScalingGroupInput) error {
	for _, step := range []func(*state.Region, *state.Group, *as.UpdateAutoScalingGroupInput) error{source, sizes, placement, plainSettings, modelledSettings, maintenance} {
		if err := step(r, g, in); err != nil {
			return err
		}
	}
	return nil
}

// source sets what instances are launched from.
func source(r *state.Region, g *state.Group, in *as.UpdateAutoScalingGroupInput) error {
	switch {
	case in.LaunchConfigurationName != nil:
		return invalid("Launch configuration name not found - A launch configuration with the name: %s does not exist", *in.LaunchConfigurationName)
	case in.LaunchTemplate != nil && in.MixedInstancesPolicy != nil:
		return invalid(sourceMissing)
	case in.LaunchTemplate != nil:
		t, err := fillIn(r, g.Account, in.LaunchTemplate)
		if err != nil {
			return err
		}
		g.LaunchTemplate, g.MixedInstancesPolicy = t, nil
	case in.MixedInstancesPolicy != nil:
		p, err := fillInPolicy(r, g.Account, in.MixedInstancesPolicy)
		if err != nil {
			return err
		}
		g.LaunchTemplate, g.MixedInstancesPolicy = nil, p
	}
	return nil
}

// sizes sets the bounds and the desired capacity, which follows the bounds where it is not given.
func sizes(_ *state.Region, g *state.Group, in *as.UpdateAutoScalingGroupInput) error {
	least, most := aws.ToInt32(first(in.MinSize, g.MinSize)), aws.ToInt32(first(in.MaxSize, g.MaxSize))
	if least < 0 || most < 0 {
		return invalid("Min and max bounds must be 0 or more.")
	}
	if most < least {
		return invalid("Max bound, %d, must be greater than or equal to min bound, %d", most, least)
	}
	want := least
	if g.DesiredCapacity != nil {
		want = min(max(*g.DesiredCapacity, least), most)
	}
	if in.DesiredCapacity != nil {
		want = *in.DesiredCapacity
		if want < least || want > most {
			return invalid("Desired capacity:%d must be between the specified min size:%d and max size:%d", want, least, most)
		}
	}
	g.MinSize, g.MaxSize, g.DesiredCapacity = &least, &most, &want
	return nil
}

// placement sets subnets and zones.
func placement(r *state.Region, g *state.Group, in *as.UpdateAutoScalingGroupInput) error {
	zones, err := namedZones(r.Name, append(slices.Clone(in.AvailabilityZones), in.AvailabilityZoneIds...))
	if err != nil {
		return err
	}
	if aws.ToString(in.VPCZoneIdentifier) == "" {
		if len(zones) > 0 {
			g.AvailabilityZones, g.AvailabilityZoneIds, g.VPCZoneIdentifier = nil, nil, aws.String("")
			addZones(g, zones)
		}
		return nil
	}
	subnets, err := subnetZones(r, g, *in.VPCZoneIdentifier)
	if err != nil {
		return err
	}
	for _, z := range zones {
		if !slices.Contains(subnets, z) {
			return invalid("The availability zones of the specified subnets and the Auto Scaling group do not match")
		}
	}
	g.VPCZoneIdentifier = aws.String(strings.ReplaceAll(*in.VPCZoneIdentifier, " ", ""))
	g.AvailabilityZones, g.AvailabilityZoneIds = nil, nil
	addZones(g, subnets)
	return nil
}

// addZones sets the zones of a group, by name.
func addZones(g *state.Group, zones []network.Zone) {
	slices.SortFunc(zones, func(a, b network.Zone) int { return strings.Compare(a.Name, b.Name) })
	for _, z := range slices.Compact(zones) {
		g.AvailabilityZones = append(g.AvailabilityZones, z.Name)
		g.AvailabilityZoneIds = append(g.AvailabilityZoneIds, z.ID)
	}
}

func namedZones(region string, names []string) ([]network.Zone, error) {
	var zones []network.Zone
	for _, name := range names {
		z, ok := network.ZoneOf(region, name)
		if !ok {
			return nil, invalid("Invalid availability zones: [%s]", name)
		}
		zones = append(zones, z)
	}
	return zones, nil
}

// subnetZones returns the zones of a list of subnets.
func subnetZones(r *state.Region, g *state.Group, list string) ([]network.Zone, error) {
	var zones []network.Zone
	for id := range strings.SplitSeq(strings.ReplaceAll(list, " ", ""), ",") {
		n := r.Subnets.Get(id)
		if n == nil || aws.ToString(n.OwnerId) != g.Account {
			return nil, invalid("The subnet ID '%s' does not exist", id)
		}
		zones = append(zones, network.Zone{Name: aws.ToString(n.AvailabilityZone), ID: aws.ToString(n.AvailabilityZoneId)})
	}
	return zones, nil
}

// plainSettings sets what needs few checks.
func plainSettings(_ *state.Region, g *state.Group, in *as.UpdateAutoScalingGroupInput) error {
	for _, n := range []*int32{in.DefaultCooldown, in.HealthCheckGracePeriod} {
		if n != nil && *n < 0 {
			return invalid("Cooldown and health check grace period must be 0 seconds or more.")
		}
	}
	if err := checkPolicies(in.TerminationPolicies); err != nil {
		return err
	}
	if err := checkHealthType(in.HealthCheckType); err != nil {
		return err
	}
	g.DefaultCooldown = first(in.DefaultCooldown, g.DefaultCooldown)
	g.HealthCheckGracePeriod = first(in.HealthCheckGracePeriod, g.HealthCheckGracePeriod)
	g.HealthCheckType = first(in.HealthCheckType, g.HealthCheckType)
	g.NewInstancesProtectedFromScaleIn = first(in.NewInstancesProtectedFromScaleIn, g.NewInstancesProtectedFromScaleIn)
	g.PlacementGroup = first(in.PlacementGroup, g.PlacementGroup)
	g.CapacityRebalance = first(in.CapacityRebalance, g.CapacityRebalance)
	g.Context = first(in.Context, g.Context)
	g.ServiceLinkedRoleARN = first(in.ServiceLinkedRoleARN, g.ServiceLinkedRoleARN)
	g.AvailabilityZoneDistribution = first(in.AvailabilityZoneDistribution, g.AvailabilityZoneDistribution)
	g.AvailabilityZoneImpairmentPolicy = first(in.AvailabilityZoneImpairmentPolicy, g.AvailabilityZoneImpairmentPolicy)
	if len(in.TerminationPolicies) > 0 {
		g.TerminationPolicies = slices.Clone(in.TerminationPolicies)
	}
	if in.DeletionProtection != "" {
		g.DeletionProtection = in.DeletionProtection
	}
	if n := in.DefaultInstanceWarmup; n != nil && *n < 0 {
		g.DefaultInstanceWarmup = nil // documented: -1 takes it off
	} else if n != nil {
		g.DefaultInstanceWarmup = n
	}
	return nil
}

func checkHealthType(t *string) error {
	if t == nil {
		return nil
	}
	for one := range strings.SplitSeq(*t, ",") {
		switch one {
		case "EC2", "ELB":
		case "EBS", "VPC_LATTICE":
			return unsupported("Health check type " + one)
		default:
			return invalid("Invalid Health Check Type : %s", one)
		}
	}
	return nil
}

// modelledSettings refuses what would have a group do what no group here does.
func modelledSettings(_ *state.Region, g *state.Group, in *as.UpdateAutoScalingGroupInput) error {
	if c := in.CapacityReservationSpecification; c != nil {
		if c.CapacityReservationTarget != nil || c.CapacityReservationPreference != astypes.CapacityReservationPreferenceDefault && c.CapacityReservationPreference != astypes.CapacityReservationPreferenceNone {
			return unsupported("CapacityReservationSpecification")
		}
		g.CapacityReservationSpecification = c
	}
	if p := in.InstanceLifecyclePolicy; p != nil && p.RetentionTriggers != nil && p.RetentionTriggers.TerminateHookAbandon == astypes.RetentionActionRetain {
		return unsupported("InstanceLifecyclePolicy with retain")
	}
	if aws.ToInt32(in.MaxInstanceLifetime) != 0 {
		return unsupported("MaxInstanceLifetime")
	}
	if t := aws.ToString(in.DesiredCapacityType); t != "" && t != "units" {
		return unsupported("DesiredCapacityType " + t)
	}
	if d := in.AvailabilityZoneDistribution; d != nil && d.CapacityDistributionStrategy == astypes.CapacityDistributionStrategyReservationsThenBalanced {
		return unsupported("CapacityDistributionStrategy " + string(d.CapacityDistributionStrategy))
	}
	return nil
}

// maintenance sets the instance maintenance policy. Documented: -1 for both takes it off.
func maintenance(_ *state.Region, g *state.Group, in *as.UpdateAutoScalingGroupInput) error {
	p := in.InstanceMaintenancePolicy
	if p == nil {
		return nil
	}
	least, most := aws.ToInt32(p.MinHealthyPercentage), aws.ToInt32(p.MaxHealthyPercentage)
	switch {
	case p.MinHealthyPercentage == nil || p.MaxHealthyPercentage == nil:
		return invalid("Both MinHealthyPercentage and MaxHealthyPercentage must be specified in the InstanceMaintenancePolicy.")
	case least == -1 && most == -1:
		g.InstanceMaintenancePolicy = nil
		return nil
	case least < 0 || least > 100:
		return invalid("MinHealthyPercentage must be between 0 and 100.")
	case most < 100 || most > 200:
		return invalid("MaxHealthyPercentage must be between 100 and 200.")
	case most-least > 100:
		return invalid("The difference between MaxHealthyPercentage and MinHealthyPercentage must be less than or equal to 100.")
	}
	g.InstanceMaintenancePolicy = p
	return nil
}
