package autoscaling

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// Default quotas of an account, as documented.
const (
	maxGroups         = 500
	maxConfigurations = 200
)

func (s *Service) registerInformation(svc *wire.Service) {
	wire.Handle(svc, s.describeScalingActivities)
	wire.Handle(svc, s.describeAccountLimits)
	wire.Handle(svc, s.describeTerminationPolicyTypes)
	wire.Handle(svc, s.describeScalingProcessTypes)
	wire.Handle(svc, s.describeLifecycleHookTypes)
	wire.Handle(svc, s.describeLaunchConfigurations)
	wire.Handle(svc, s.describePolicies)
	wire.Handle(svc, s.describeScheduledActions)
	wire.Handle(svc, s.describeNotificationConfigurations)
}

// What follows lists what cannot be made here, so that there is none of it. Clients that look at a whole group ask for it.

func (s *Service) describeLaunchConfigurations(context.Context, *wire.Call, *as.DescribeLaunchConfigurationsInput) (*as.DescribeLaunchConfigurationsOutput, error) {
	return &as.DescribeLaunchConfigurationsOutput{LaunchConfigurations: []astypes.LaunchConfiguration{}}, nil
}

func (s *Service) describePolicies(context.Context, *wire.Call, *as.DescribePoliciesInput) (*as.DescribePoliciesOutput, error) {
	return &as.DescribePoliciesOutput{ScalingPolicies: []astypes.ScalingPolicy{}}, nil
}

func (s *Service) describeScheduledActions(context.Context, *wire.Call, *as.DescribeScheduledActionsInput) (*as.DescribeScheduledActionsOutput, error) {
	return &as.DescribeScheduledActionsOutput{ScheduledUpdateGroupActions: []astypes.ScheduledUpdateGroupAction{}}, nil
}

func (s *Service) describeNotificationConfigurations(context.Context, *wire.Call, *as.DescribeNotificationConfigurationsInput) (*as.DescribeNotificationConfigurationsOutput, error) {
	return &as.DescribeNotificationConfigurationsOutput{NotificationConfigurations: []astypes.NotificationConfiguration{}}, nil
}

// describeAccountLimits tells the quotas that accounts have by default; here nobody is held to them.
func (s *Service) describeAccountLimits(_ context.Context, c *wire.Call, _ *as.DescribeAccountLimitsInput) (*as.DescribeAccountLimitsOutput, error) {
	out := &as.DescribeAccountLimitsOutput{
		MaxNumberOfAutoScalingGroups: aws.Int32(maxGroups), MaxNumberOfLaunchConfigurations: aws.Int32(maxConfigurations), NumberOfLaunchConfigurations: aws.Int32(0),
	}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		out.NumberOfAutoScalingGroups = aws.Int32(int32(len(groupsOf(r, c.Account)))) //nolint:gosec // a count of records in memory
		return nil
	})
}

func (s *Service) describeTerminationPolicyTypes(context.Context, *wire.Call, *as.DescribeTerminationPolicyTypesInput) (*as.DescribeTerminationPolicyTypesOutput, error) {
	return &as.DescribeTerminationPolicyTypesOutput{TerminationPolicyTypes: policies()}, nil
}

func (s *Service) describeScalingProcessTypes(context.Context, *wire.Call, *as.DescribeScalingProcessTypesInput) (*as.DescribeScalingProcessTypesOutput, error) {
	out := &as.DescribeScalingProcessTypesOutput{}
	for _, name := range processNames() {
		out.Processes = append(out.Processes, astypes.ProcessType{ProcessName: aws.String(name)})
	}
	return out, nil
}

func (s *Service) describeLifecycleHookTypes(context.Context, *wire.Call, *as.DescribeLifecycleHookTypesInput) (*as.DescribeLifecycleHookTypesOutput, error) {
	return &as.DescribeLifecycleHookTypesOutput{LifecycleHookTypes: []string{launching, ending}}, nil
}
