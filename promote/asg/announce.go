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

// announce marks the group before a refresh of the rollout is started, and returns the tag.
func (f *Fleet) announce(ctx context.Context, r promote.Rollout, history []astypes.InstanceRefresh) (astypes.TagDescription, error) {
	newest := none
	if len(history) > 0 {
		newest = aws.ToString(history[0].InstanceRefreshId)
	}
	tag := astypes.TagDescription{
		ResourceId: &f.m.Group, ResourceType: aws.String("auto-scaling-group"), PropagateAtLaunch: aws.Bool(false),
		Key: aws.String(refreshTag), Value: aws.String(startMark(r) + " " + newest),
	}
	_, err := target.AutoScaling(f.t).CreateOrUpdateTags(ctx, &autoscaling.CreateOrUpdateTagsInput{Tags: []astypes.Tag{astypes.Tag(tag)}})
	return tag, err
}

// tagged returns the group as it is with the tag, which AWS may show later.
func (g *group) tagged(tag astypes.TagDescription) *group {
	marked := *g
	marked.Tags = []astypes.TagDescription{tag}
	return &marked
}

// startMark names the start of a rollout, or of its way back.
func startMark(r promote.Rollout) string {
	if r.Back {
		return digest(r.ID(), "back")
	}
	return digest(r.ID())
}

// ownRefresh returns the refresh that was started for the rollout, or nil.
func ownRefresh(r promote.Rollout, g *group, history []astypes.InstanceRefresh) *astypes.InstanceRefresh {
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
		if isOf(newer[i], r, g.config()) {
			return &newer[i]
		}
	}
	return nil
}

// isOf reports whether a refresh of a group with configuration c goes where the rollout goes. One that has succeeded and did not leave that
// behind is of a rollout of the same name in a catalog that is gone.
func isOf(refresh astypes.InstanceRefresh, r promote.Rollout, c config) bool {
	succeeded := refresh.Status == astypes.InstanceRefreshStatusSuccessful
	wanted, err := wantedOf(c, r)
	if err != nil { // somebody has changed the group since
		return !r.Back && !succeeded && leads(&refresh, r)
	}
	return configOf(refresh.DesiredConfiguration).same(wanted) && (!succeeded || c.same(wanted))
}
