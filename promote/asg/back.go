package asg

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
)

// Cancel stops the refresh of r where it is, without a wait for instances that come or go.
func (f *Fleet) Cancel(ctx context.Context, r promote.Rollout) error { return f.fail(f.cancel(ctx, r)) }

func (f *Fleet) cancel(ctx context.Context, r promote.Rollout) error {
	refresh, err := f.own(ctx, r)
	if err != nil || refresh == nil {
		return err
	}
	if state := stateOf(refresh.Status); state.Ended() || state == promote.Cancelling {
		return nil
	}
	_, err = target.AutoScaling(f.t).CancelInstanceRefresh(ctx, &autoscaling.CancelInstanceRefreshInput{
		AutoScalingGroupName: &f.m.Group, WaitForTransitioningInstances: aws.Bool(false),
	})
	if hasCode(err, "ActiveInstanceRefreshNotFound") {
		return nil
	}
	return err
}

// Rollback turns the refresh of r round. AWS cannot do that before it has begun.
func (f *Fleet) Rollback(ctx context.Context, r promote.Rollout) error {
	return f.fail(f.rollback(ctx, r))
}

func (f *Fleet) rollback(ctx context.Context, r promote.Rollout) error {
	refresh, err := f.own(ctx, r)
	if err != nil {
		return err
	}
	if done, err := turned(refresh); done || err != nil {
		return err
	}
	_, err = target.AutoScaling(f.t).RollbackInstanceRefresh(ctx, &autoscaling.RollbackInstanceRefreshInput{AutoScalingGroupName: &f.m.Group})
	switch {
	case hasCode(err, "IrreversibleInstanceRefresh"):
		return fmt.Errorf("%w: %w", promote.ErrTooLate, err)
	case hasCode(err, "ActiveInstanceRefreshNotFound"):
		return f.afterwards(ctx, r, err)
	}
	return err
}

// turned reports whether a refresh goes back already, or returns the error of one that cannot.
func turned(refresh *astypes.InstanceRefresh) (bool, error) {
	if refresh == nil {
		return false, fmt.Errorf("there is no instance refresh: %w", promote.ErrTooLate)
	}
	switch state := stateOf(refresh.Status); state {
	case promote.GoingBack:
		return true, nil
	case promote.Replacing, promote.Soaking:
		return false, nil
	case promote.Waiting, promote.Succeeded, promote.Failing, promote.Cancelling, promote.Cancelled, promote.WentBack, promote.NotGoneBack:
		return false, fmt.Errorf("instance refresh %s is %s: %w", aws.ToString(refresh.InstanceRefreshId), state, promote.ErrTooLate)
	}
	return false, nil
}

// afterwards looks again at a refresh that could not be turned round any more: it may have been by the same call, whose answer was lost.
func (f *Fleet) afterwards(ctx context.Context, r promote.Rollout, cause error) error {
	refresh, err := f.own(ctx, r)
	if err != nil {
		return err
	}
	if done, err := turned(refresh); done || err != nil {
		return err
	}
	return cause
}

// own returns the refresh of r, also one whose id is not on record, or nil.
func (f *Fleet) own(ctx context.Context, r promote.Rollout) (*astypes.InstanceRefresh, error) {
	if r.Refresh != "" {
		return f.refresh(ctx, r.Refresh)
	}
	return f.find(ctx, r)
}
