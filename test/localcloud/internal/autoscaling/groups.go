package autoscaling

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

func (s *Service) registerGroups(svc *wire.Service) {
	wire.Handle(svc, s.createAutoScalingGroup)
	wire.Handle(svc, s.updateAutoScalingGroup)
	wire.Handle(svc, s.deleteAutoScalingGroup)
	wire.Handle(svc, s.describeAutoScalingGroups)
	wire.Handle(svc, s.setDesiredCapacity)
	wire.Handle(svc, s.suspendProcesses)
	wire.Handle(svc, s.resumeProcesses)
	wire.Handle(svc, s.createOrUpdateTags)
	wire.Handle(svc, s.deleteTags)
	wire.Handle(svc, s.describeTags)
}

// edit calls f with a group to be changed, and has the group looked at afterwards.
func (s *Service) edit(c *wire.Call, name *string, f func(*state.Region, *state.Group) error) error {
	return s.store.Update(c.Region, func(r *state.Region) error {
		key := state.Key(c.Account, aws.ToString(name))
		g := r.Groups.Edit(key)
		if g == nil {
			return noGroup(aws.ToString(name))
		}
		if !g.DeletedAt.IsZero() {
			return deleting()
		}
		if err := f(r, g); err != nil {
			return err
		}
		s.wake(r, key)
		return nil
	})
}

// read calls f with a group.
func (s *Service) read(c *wire.Call, name *string, f func(*state.Region, *state.Group) error) error {
	return s.store.View(c.Region, func(r *state.Region) error {
		g := r.Groups.Get(state.Key(c.Account, aws.ToString(name)))
		if g == nil {
			return noGroup(aws.ToString(name))
		}
		return f(r, g)
	})
}

// groupsOf returns the groups of an account by name.
func groupsOf(r *state.Region, account string) []*state.Group {
	var all []*state.Group
	for _, g := range r.Groups.All() {
		if g.Account == account {
			all = append(all, g)
		}
	}
	slices.SortFunc(all, func(a, b *state.Group) int {
		return strings.Compare(aws.ToString(a.AutoScalingGroupName), aws.ToString(b.AutoScalingGroupName))
	})
	return all
}

// scope binds the tokens of an operation.
func scope(c *wire.Call) string { return c.Operation + "/" + c.Region + "/" + c.Account }

// page is what a request says about the page that it wants.
func page(c *wire.Call, size *int32, token *string, usual, limit int32) kit.Page {
	if size != nil { // documented is the limit; that more is no error is inferred
		size = aws.Int32(max(1, min(*size, limit)))
	}
	return kit.Page{
		Max: size, Token: token, Default: usual, Scope: scope(c),
		BadToken: wire.Errorf("InvalidNextToken", "The token '%s' is invalid.", aws.ToString(token)),
	}
}

func (s *Service) createAutoScalingGroup(_ context.Context, c *wire.Call, in *as.CreateAutoScalingGroupInput) (*as.CreateAutoScalingGroupOutput, error) {
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

func (s *Service) updateAutoScalingGroup(_ context.Context, c *wire.Call, in *as.UpdateAutoScalingGroupInput) (*as.UpdateAutoScalingGroupOutput, error) {
	return &as.UpdateAutoScalingGroupOutput{}, s.edit(c, in.AutoScalingGroupName, func(r *state.Region, g *state.Group) error {
		changed := *g
		if err := configure(r, &changed, in); err != nil {
			return err
		}
		from, to := desired(g), desired(&changed)
		*g = changed
		if from != to {
			g.Cause = fmt.Sprintf("At %s a user request update of AutoScalingGroup constraints to min: %d, max: %d, desired: %d changing the desired capacity from %d to %d.",
				stamp(r.Now()), *g.MinSize, *g.MaxSize, to, from, to)
			hurry(r, g)
		}
		return nil
	})
}

// hurry lets the refresh of a group look at it again soon.
func hurry(r *state.Region, g *state.Group) {
	if rec := r.Refreshes.Get(g.ActiveRefresh); rec != nil && rec.Progress.Next.After(r.Now()) && replacing(rec) {
		if soon := r.Now().Add(pollInterval); rec.Progress.Next.After(soon) {
			r.Refreshes.Edit(g.ActiveRefresh).Progress.Next = soon
		}
	}
}

func (s *Service) deleteAutoScalingGroup(_ context.Context, c *wire.Call, in *as.DeleteAutoScalingGroupInput) (*as.DeleteAutoScalingGroupOutput, error) {
	return &as.DeleteAutoScalingGroupOutput{}, s.store.Update(c.Region, func(r *state.Region) error {
		key := state.Key(c.Account, aws.ToString(in.AutoScalingGroupName))
		g := r.Groups.Edit(key)
		if g == nil {
			return noGroup(aws.ToString(in.AutoScalingGroupName))
		}
		if err := deletable(g, aws.ToBool(in.ForceDelete)); err != nil || !g.DeletedAt.IsZero() {
			return err
		}
		g.DeletedAt = r.Now()
		g.Status = aws.String("Delete in progress")
		g.MinSize, g.MaxSize, g.DesiredCapacity = aws.Int32(0), aws.Int32(0), aws.Int32(0)
		s.wake(r, key)
		return nil
	})
}

// deletable returns the error where a group must not be deleted.
func deletable(g *state.Group, force bool) error {
	switch {
	case g.DeletionProtection == astypes.DeletionProtectionPreventAllDeletion, force && g.DeletionProtection == astypes.DeletionProtectionPreventForceDeletion:
		return invalid("You cannot delete AutoScalingGroup %s because its deletion protection is %s.", aws.ToString(g.AutoScalingGroupName), g.DeletionProtection)
	case force || len(g.Members) == 0:
		return nil
	case capacity(g) == 0:
		return wire.Errorf("ScalingActivityInProgress", "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.")
	}
	return wire.Errorf("ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.")
}

func (s *Service) describeAutoScalingGroups(_ context.Context, c *wire.Call, in *as.DescribeAutoScalingGroupsInput) (*as.DescribeAutoScalingGroupsOutput, error) {
	out := &as.DescribeAutoScalingGroupsOutput{AutoScalingGroups: []astypes.AutoScalingGroup{}}
	if _, err := tagged(&state.Group{}, in.Filters); err != nil {
		return nil, err
	}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		var found []*state.Group
		for _, g := range chosen(r, c.Account, in.AutoScalingGroupNames) {
			ok, err := tagged(g, in.Filters)
			if err != nil {
				return err
			}
			if ok {
				found = append(found, g)
			}
		}
		name := func(g *state.Group) string { return aws.ToString(g.AutoScalingGroupName) }
		part, next, err := kit.PaginateBy(found, name, page(c, in.MaxRecords, in.NextToken, 50, 100))
		for _, g := range part {
			out.AutoScalingGroups = append(out.AutoScalingGroups, describe(g, in.IncludeInstances == nil || *in.IncludeInstances))
		}
		out.NextToken = next
		return err
	})
}

// chosen returns the groups of these names, or all of the account, by name.
func chosen(r *state.Region, account string, names []string) []*state.Group {
	if len(names) == 0 {
		return groupsOf(r, account)
	}
	var all []*state.Group
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		if g := r.Groups.Get(state.Key(account, name)); g != nil {
			all = append(all, g)
		}
	}
	return all
}

// describe returns a group as it is told, with copies of the lists that looks change.
func describe(g *state.Group, instances bool) astypes.AutoScalingGroup {
	d := g.AutoScalingGroup
	d.Instances = []astypes.Instance{}
	if instances {
		for i := range g.Members {
			d.Instances = append(d.Instances, g.Members[i].Instance)
		}
	}
	return d
}
