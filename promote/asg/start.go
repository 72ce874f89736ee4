package asg

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
)

// Start starts an instance refresh to the versions of r.Moves, or adopts the one that was started for r before. The call has no token, so that
// the group is marked before it; see [mark].
func (f *Fleet) Start(ctx context.Context, r promote.Rollout) (promote.Rollout, error) {
	if r.Refresh != "" {
		return r, nil
	}
	id, err := f.start(ctx, r)
	if err != nil {
		return r, f.fail(err)
	}
	r.Refresh = id
	return r, nil
}

func (f *Fleet) start(ctx context.Context, r promote.Rollout) (string, error) {
	g, err := f.group(ctx)
	if err != nil {
		return "", err
	}
	history, err := f.refreshes(ctx)
	if err != nil {
		return "", err
	}
	if own := ownRefresh(r, g, history); own != nil {
		return aws.ToString(own.InstanceRefreshId), nil
	}
	busy := activeOf(history)
	ours := busy != nil && leads(busy, r)
	if undoes(r) && !ours && !g.touched(r) {
		return "", nil // it was never begun: what the group has is not ours to take away
	}
	wanted, err := wantedOf(g.config(), r)
	if err != nil {
		return "", err
	}
	if there := g.config().same(wanted) && g.all(wanted); there && (busy == nil || r.Back && !ours) {
		return "", nil // what somebody else has begun is not ours to turn round
	}
	if busy != nil {
		return "", fmt.Errorf("%w: another instance refresh is running: %s; wait for it, or cancel it", bake.ErrRefused, aws.ToString(busy.InstanceRefreshId))
	}
	tag, err := f.announce(ctx, r, history)
	if err != nil {
		return "", err
	}
	return f.begin(ctx, r, g.tagged(tag), wanted)
}

// begin calls for the refresh. When the answer was lost on the way, and the call made again, it is there already.
func (f *Fleet) begin(ctx context.Context, r promote.Rollout, g *group, wanted config) (string, error) {
	in := &autoscaling.StartInstanceRefreshInput{
		AutoScalingGroupName: &f.m.Group, DesiredConfiguration: wanted.desired(), Strategy: strategyOf(r), Preferences: preferencesOf(r, g.desired()),
	}
	out, err := target.AutoScaling(f.t).StartInstanceRefresh(ctx, in)
	if r.Back && in.Strategy == astypes.RefreshStrategyReplaceRootVolume && hasCode(err, "ValidationError") && !notYet(err) {
		in.Strategy = astypes.RefreshStrategyRolling // of a mixture AWS may replace no volumes: then the way back is by other instances
		out, err = target.AutoScaling(f.t).StartInstanceRefresh(ctx, in)
	}
	if err == nil {
		return aws.ToString(out.InstanceRefreshId), nil
	}
	if !hasCode(err, "InstanceRefreshInProgress") {
		return "", lagging(f.recent(r), err)
	}
	history, findErr := f.refreshes(ctx)
	if findErr != nil {
		return "", findErr
	}
	own, busy := ownRefresh(r, g, history), activeOf(history)
	switch {
	case own != nil:
		return aws.ToString(own.InstanceRefreshId), nil
	case busy == nil && f.recent(r): // the next try sees whose it is
		return "", fmt.Errorf("an instance refresh is running that AWS does not list yet: %w", err)
	}
	return "", fmt.Errorf("%w: somebody else has just started another instance refresh: %w", bake.ErrRefused, err)
}

// find returns the refresh of a rollout whose id nobody remembers, or nil.
func (f *Fleet) find(ctx context.Context, r promote.Rollout) (*astypes.InstanceRefresh, error) {
	g, err := f.group(ctx)
	if err != nil {
		return nil, err
	}
	history, err := f.refreshes(ctx)
	if err != nil {
		return nil, err
	}
	return ownRefresh(r, g, history), nil
}

// refreshes returns the newest refreshes of the group, newest first. Six weeks of them are kept.
func (f *Fleet) refreshes(ctx context.Context) ([]astypes.InstanceRefresh, error) {
	out, err := target.AutoScaling(f.t).DescribeInstanceRefreshes(ctx, &autoscaling.DescribeInstanceRefreshesInput{
		AutoScalingGroupName: &f.m.Group, MaxRecords: aws.Int32(maxHistory),
	})
	if err != nil {
		return nil, err
	}
	return out.InstanceRefreshes, nil
}

// maxHistory is how many refreshes are told of at once.
const maxHistory = 100

// activeOf returns the refresh that has not ended, or nil.
func activeOf(history []astypes.InstanceRefresh) *astypes.InstanceRefresh {
	i := slices.IndexFunc(history, func(r astypes.InstanceRefresh) bool { return !stateOf(r.Status).Ended() })
	if i < 0 {
		return nil
	}
	return &history[i]
}

// all reports whether every instance is what a configuration gives.
func (g *group) all(c config) bool {
	return !slices.ContainsFunc(g.Instances, func(in astypes.Instance) bool { return !leaving(in) && !c.has(in) })
}

// wantedOf returns what a group with configuration c has after the rollout. It must have what the rollout found, or what it made; but where going
// back is what was asked for, a template that somebody has meanwhile set to yet another version goes back all the same.
func wantedOf(c config, r promote.Rollout) (config, error) {
	uses := c.uses()
	moves := make([]*promote.Move, len(uses))
	for i, u := range uses {
		at := slices.IndexFunc(r.Moves, func(m promote.Move) bool {
			return m.Template == u.template && (m.From == u.version || m.To == u.version)
		})
		if at < 0 && r.Back && !undoes(r) {
			at = slices.IndexFunc(r.Moves, func(m promote.Move) bool { return m.Template == u.template })
		}
		if at < 0 {
			return c, fmt.Errorf("%w: it uses version %s of launch template %s, which the rollout knows nothing of: plan again", errChanged, u.version, u.template)
		}
		moves[i] = &r.Moves[at]
	}
	if len(uses) == 0 {
		return c, fmt.Errorf("%w: it has no launch template", errChanged)
	}
	before := overridesBefore(uses, moves)
	return c.with(func(i int, u use) (string, string) {
		switch {
		case r.Back:
			return moves[i].From, before[i]
		case u.image != "":
			return moves[i].To, moves[i].ToAMI
		}
		return moves[i].To, ""
	}), nil
}

// overridesBefore returns the AMI that each use named itself before the rollout.
func overridesBefore(uses []use, moves []*promote.Move) []string {
	count := map[*promote.Move]int{}
	for i, u := range uses {
		if !u.base {
			count[moves[i]]++
		}
	}
	images, next := make([]string, len(uses)), map[*promote.Move]int{}
	for i, u := range uses {
		m := moves[i]
		switch {
		case u.image == "":
		case len(m.Overrides) == count[m]:
			images[i] = m.Overrides[next[m]]
		default:
			images[i] = m.FromAMI
		}
		if !u.base {
			next[m]++
		}
	}
	return images
}
