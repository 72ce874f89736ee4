package autoscaling

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

func (s *Service) setDesiredCapacity(_ context.Context, c *wire.Call, in *as.SetDesiredCapacityInput) (*as.SetDesiredCapacityOutput, error) {
	return &as.SetDesiredCapacityOutput{}, s.edit(c, in.AutoScalingGroupName, func(r *state.Region, g *state.Group) error {
		to, from := aws.ToInt32(in.DesiredCapacity), aws.ToInt32(g.DesiredCapacity)
		switch {
		case to > *g.MaxSize:
			return invalid("New SetDesiredCapacity value %d is above max value %d for the AutoScalingGroup.", to, *g.MaxSize)
		case to < *g.MinSize:
			return invalid("New SetDesiredCapacity value %d is below min value %d for the AutoScalingGroup.", to, *g.MinSize)
		}
		if aws.ToBool(in.HonorCooldown) {
			if err := cooled(r, g); err != nil {
				return err
			}
		}
		if to != from {
			g.DesiredCapacity = &to
			g.Cause = fmt.Sprintf("At %s a user request explicitly set group desired capacity changing the desired capacity from %d to %d.", stamp(r.Now()), from, to)
			hurry(r, g)
		}
		return nil
	})
}

// cooled returns the error of a request that respects the cooldown before that is over.
func cooled(r *state.Region, g *state.Group) error {
	if !g.CooledAt.After(r.Now()) {
		return nil
	}
	last := ""
	if n := len(g.Activities); n > 0 {
		last = aws.ToString(g.Activities[n-1].ActivityId)
	}
	return wire.Errorf("ScalingActivityInProgress", "Scaling activity %s is in progress and blocks this action", last)
}

// processNames are the processes that can be suspended.
func processNames() []string {
	return []string{"AZRebalance", "AddToLoadBalancer", "AlarmNotification", "HealthCheck", "InstanceRefresh", "Launch", "ReplaceUnhealthy", "ScheduledActions", "Terminate"}
}

// processes returns the processes that a request means: all where it names none.
func processes(names []string) ([]string, error) {
	for _, n := range names {
		if !slices.Contains(processNames(), n) {
			return nil, invalid("Scaling process type not recognized. Valid process types are: %v", processNames())
		}
	}
	if len(names) == 0 {
		return processNames(), nil
	}
	return names, nil
}

func (s *Service) suspendProcesses(_ context.Context, c *wire.Call, in *as.SuspendProcessesInput) (*as.SuspendProcessesOutput, error) {
	return &as.SuspendProcessesOutput{}, s.edit(c, in.AutoScalingGroupName, func(r *state.Region, g *state.Group) error {
		names, err := processes(in.ScalingProcesses)
		if err != nil {
			return err
		}
		list := slices.Clone(g.SuspendedProcesses)
		for _, n := range names {
			if !suspended(g, n) {
				list = append(list, astypes.SuspendedProcess{ProcessName: aws.String(n), SuspensionReason: aws.String("User suspended at " + stamp(r.Now()))})
			}
		}
		g.SuspendedProcesses = list
		return nil
	})
}

func (s *Service) resumeProcesses(_ context.Context, c *wire.Call, in *as.ResumeProcessesInput) (*as.ResumeProcessesOutput, error) {
	return &as.ResumeProcessesOutput{}, s.edit(c, in.AutoScalingGroupName, func(r *state.Region, g *state.Group) error {
		names, err := processes(in.ScalingProcesses)
		if err != nil {
			return err
		}
		g.SuspendedProcesses = slices.DeleteFunc(slices.Clone(g.SuspendedProcesses), func(p astypes.SuspendedProcess) bool {
			return slices.Contains(names, aws.ToString(p.ProcessName))
		})
		g.ActsAt = r.Now().Add(pollInterval)
		hurry(r, g)
		return nil
	})
}
