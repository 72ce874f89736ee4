package asg

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
)

// refreshTag is the tag of the group that says which rollout is about to start a refresh, and which one was the newest before it. A refresh that
// is newer and goes where the rollout goes is its own: AWS keeps nothing of who started one.
const refreshTag = "iibake:refresh"

// none stands in the tag of a group that never had a refresh.
const none = "none"

// announce marks the group before a refresh of the rollout is started.
func (f *Fleet) announce(ctx context.Context, r promote.Rollout, history []astypes.InstanceRefresh) error {
	newest := none
	if len(history) > 0 {
		newest = aws.ToString(history[0].InstanceRefreshId)
	}
	_, err := target.AutoScaling(f.t).CreateOrUpdateTags(ctx, &autoscaling.CreateOrUpdateTagsInput{Tags: []astypes.Tag{{
		ResourceId: &f.m.Group, ResourceType: aws.String("auto-scaling-group"), PropagateAtLaunch: aws.Bool(false),
		Key: aws.String(refreshTag), Value: aws.String(startMark(r) + " " + newest),
	}}})
	return err
}

// startMark names the start of a rollout, or of its way back.
func startMark(r promote.Rollout) string {
	if r.Back {
		return digest(r.ID(), "back")
	}
	return digest(r.ID())
}

// ownRefresh returns the refresh that was started for the rollout, or nil.
func ownRefresh(r promote.Rollout, g *group, history []astypes.InstanceRefresh, wanted config) *astypes.InstanceRefresh {
	i := slices.IndexFunc(g.Tags, func(t astypes.TagDescription) bool { return aws.ToString(t.Key) == refreshTag })
	if i < 0 {
		return nil
	}
	mark, newest, _ := strings.Cut(aws.ToString(g.Tags[i].Value), " ")
	if mark != startMark(r) {
		return nil
	}
	newer := history
	if at := slices.IndexFunc(history, func(h astypes.InstanceRefresh) bool { return aws.ToString(h.InstanceRefreshId) == newest }); at >= 0 {
		newer = history[:at]
	}
	for i := range slices.Backward(newer) { // the first one that was started
		if !configOf(newer[i].DesiredConfiguration).same(wanted) {
			continue
		}
		if newer[i].Status == astypes.InstanceRefreshStatusSuccessful && !g.config().same(wanted) {
			continue // of a rollout of the same name in a catalog that is gone
		}
		return &newer[i]
	}
	return nil
}
