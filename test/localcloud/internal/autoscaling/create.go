package autoscaling

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

func (s *Service) createAutoScalingGroup(_ context.Context, c *wire.Call, given *as.CreateAutoScalingGroupInput) (*as.CreateAutoScalingGroupOutput, error) {
	in, err := own(given)
	if err != nil {
		return nil, err
	}
	return &as.CreateAutoScalingGroupOutput{}, s.store.Update(c.Region, func(r *state.Region) error {
		name := aws.ToString(in.AutoScalingGroupName)
		key := state.Key(c.Account, name)
		if r.Groups.Get(key) != nil {
			return wire.Errorf("AlreadyExists", "AutoScalingGroup by this name already exists - A group with the name %s already exists", name)
		}
		if err := modelled(in); err != nil {
			return err
		}
		g := newGroup(c, r.Now(), name)
		if err := configure(r, g, updateOf(in)); err != nil {
			return err
		}
		if err := s.furnish(r, g, in); err != nil {
			return err
		}
		g.Cause = fmt.Sprintf("At %s a user request created an AutoScalingGroup changing the desired capacity from 0 to %d.", stamp(r.Now()), desired(g))
		r.Groups.Put(key, g)
		s.wake(r, key)
		return nil
	})
}

// newGroup returns a group with what all groups have, and the defaults of the rest.
func newGroup(c *wire.Call, now time.Time, name string) *state.Group {
	g := &state.Group{Account: c.Account}
	g.AutoScalingGroupName = &name
	g.AutoScalingGroupARN = aws.String(fmt.Sprintf("arn:aws:autoscaling:%s:%s:autoScalingGroup:%s:autoScalingGroupName/%s", c.Region, c.Account, kit.UUID(), name))
	g.CreatedTime = aws.Time(now.Truncate(time.Millisecond))
	g.DefaultCooldown = aws.Int32(300)
	g.HealthCheckType, g.HealthCheckGracePeriod = aws.String("EC2"), aws.Int32(0)
	g.LoadBalancerNames, g.TargetGroupARNs, g.TrafficSources = []string{}, []string{}, []astypes.TrafficSourceIdentifier{}
	g.SuspendedProcesses, g.EnabledMetrics, g.Tags = []astypes.SuspendedProcess{}, []astypes.EnabledMetric{}, []astypes.TagDescription{}
	g.TerminationPolicies = []string{"Default"}
	g.NewInstancesProtectedFromScaleIn = aws.Bool(false)
	g.ServiceLinkedRoleARN = aws.String("arn:aws:iam::" + c.Account + ":role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling")
	g.AvailabilityZoneDistribution = &astypes.AvailabilityZoneDistribution{CapacityDistributionStrategy: astypes.CapacityDistributionStrategyBalancedBestEffort}
	g.CapacityReservationSpecification = &astypes.CapacityReservationSpecification{CapacityReservationPreference: astypes.CapacityReservationPreferenceDefault}
	g.InstanceLifecyclePolicy = &astypes.InstanceLifecyclePolicy{RetentionTriggers: &astypes.RetentionTriggers{TerminateHookAbandon: astypes.RetentionActionTerminate}}
	return g
}

// updateOf is what a request to create a group has in common with one to change it.
func updateOf(in *as.CreateAutoScalingGroupInput) *as.UpdateAutoScalingGroupInput {
	return &as.UpdateAutoScalingGroupInput{
		AutoScalingGroupName: in.AutoScalingGroupName, AvailabilityZoneDistribution: in.AvailabilityZoneDistribution, AvailabilityZoneIds: in.AvailabilityZoneIds,
		AvailabilityZoneImpairmentPolicy: in.AvailabilityZoneImpairmentPolicy, AvailabilityZones: in.AvailabilityZones, CapacityRebalance: in.CapacityRebalance,
		CapacityReservationSpecification: in.CapacityReservationSpecification, Context: in.Context, DefaultCooldown: in.DefaultCooldown,
		DefaultInstanceWarmup: in.DefaultInstanceWarmup, DeletionProtection: in.DeletionProtection, DesiredCapacity: in.DesiredCapacity,
		DesiredCapacityType: in.DesiredCapacityType, HealthCheckGracePeriod: in.HealthCheckGracePeriod, HealthCheckType: in.HealthCheckType,
		InstanceLifecyclePolicy: in.InstanceLifecyclePolicy, InstanceMaintenancePolicy: in.InstanceMaintenancePolicy, LaunchConfigurationName: in.LaunchConfigurationName,
		LaunchTemplate: in.LaunchTemplate, MaxInstanceLifetime: in.MaxInstanceLifetime, MaxSize: in.MaxSize, MinSize: in.MinSize,
		MixedInstancesPolicy: in.MixedInstancesPolicy, NewInstancesProtectedFromScaleIn: in.NewInstancesProtectedFromScaleIn, PlacementGroup: in.PlacementGroup,
		ServiceLinkedRoleARN: in.ServiceLinkedRoleARN, TerminationPolicies: in.TerminationPolicies, VPCZoneIdentifier: in.VPCZoneIdentifier,
	}
}

// modelled refuses what a request to create a group can ask for, and what is not modelled here.
func modelled(in *as.CreateAutoScalingGroupInput) error {
	sources := 0
	for _, given := range []bool{in.LaunchTemplate != nil, in.MixedInstancesPolicy != nil, in.LaunchConfigurationName != nil, in.InstanceId != nil} {
		if given {
			sources++
		}
	}
	switch {
	case sources != 1:
		return invalid(sourceMissing)
	case in.InstanceId != nil: // it would make a launch configuration, as new accounts cannot
		return wire.Errorf("UnsupportedOperation", "The Launch Configuration creation operation is not available in your account. "+
			"Use launch templates to create configuration templates for your Auto Scaling groups.")
	case len(in.LoadBalancerNames) > 0:
		return invalid("Provided Load Balancers may not be valid. Please ensure they exist and try again.") // there are no Classic Load Balancers
	case in.Operator != nil:
		return unsupported("Operator")
	}
	return nil
}

// furnish gives a new group what only its making can give: target groups, tags and hooks.
func (s *Service) furnish(r *state.Region, g *state.Group, in *as.CreateAutoScalingGroupInput) error {
	if len(subnetsOf(g)) == 0 && len(g.AvailabilityZones) == 0 {
		return invalid("At least one Availability Zone or VPC Subnet is required.")
	}
	if err := addSources(r, g, append(sourcesOf(in.TargetGroupARNs), in.TrafficSources...)); err != nil {
		return err
	}
	for _, t := range in.Tags {
		if err := putTag(g, t); err != nil {
			return err
		}
	}
	for _, h := range in.LifecycleHookSpecificationList {
		err := putHook(g, astypes.LifecycleHook{
			AutoScalingGroupName: g.AutoScalingGroupName, LifecycleHookName: h.LifecycleHookName, LifecycleTransition: h.LifecycleTransition,
			DefaultResult: h.DefaultResult, HeartbeatTimeout: h.HeartbeatTimeout, NotificationMetadata: h.NotificationMetadata,
			NotificationTargetARN: h.NotificationTargetARN, RoleARN: h.RoleARN,
		})
		if err != nil {
			return err
		}
	}
	return nil
}
