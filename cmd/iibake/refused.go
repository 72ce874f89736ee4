package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/promote"
)

// wantBlocks refuses a plan that would have to send a disk that is not here: it was baked on another machine, or gc has removed it. Where there is
// an AMI already, others are made from that one.
func (e *engine) wantBlocks(ctx context.Context, plan *promote.Plan) error {
	if plan.Image == nil || len(plan.Publish) == 0 {
		return nil
	}
	made, err := bake.NewArtifacts(e.catalog).Of(ctx, plan.Image.Ref)
	if err != nil || len(made) > 0 {
		return err
	}
	_, err = e.store.Manifest(ctx, plan.Image.Disk)
	if errors.Is(err, disk.ErrNotFound) {
		plan.Refusals = append(plan.Refusals, fmt.Sprintf("publish: %s is no AMI yet, and its disk is not on this machine: publish it where it was baked", plan.Image.Ref))
		return nil
	}
	return err
}

// refusedPlan is the error of a plan that has refusals, which have been shown.
func refusedPlan(v planView) error {
	p := v.Promotion
	why := strings.Join(v.Refusals, "; ")
	if len(v.Refusals) > 1 {
		why = "there are " + ui.Count(len(v.Refusals), "reason") + ", which the plan shows"
	}
	err := fmt.Errorf("%w: %s: %s", bake.ErrRefused, v.title(), why)
	var todo []string
	for _, g := range v.Gates {
		if !g.Open && (g.Name != "approvals" || !v.revoked()) { // nobody may agree to what is revoked
			todo = append(todo, gateHint(g.Name, p)...)
		}
	}
	for _, f := range v.Fleets {
		if !p.Pin && slices.ContainsFunc(f.Current, func(l promote.Launch) bool { return l.Alias != "" }) {
			todo = append(todo, "iibake promote --pin fixes the launch template version of "+f.Fleet.Name+" to a number")
		}
	}
	if slices.ContainsFunc(v.Refusals, func(line string) bool { return strings.HasPrefix(line, "publish: ") }) {
		todo = append(todo, elsewhereHint)
	}
	if slices.ContainsFunc(v.Refusals, func(line string) bool { return strings.Contains(line, target.ErrDenied.Error()) }) {
		todo = append(todo, policyHint)
	}
	return withHint(err, todo...)
}

// revoked reports whether the image, or what it comes from, is revoked.
func (v planView) revoked() bool {
	return slices.ContainsFunc(v.Gates, func(g promote.Gate) bool { return g.Name == "revoked" && !g.Open })
}

// gateHint says which command opens a gate, if one does.
func gateHint(gate string, p promote.Promotion) []string {
	switch gate {
	case "verdict":
		return []string{"iibake test " + p.To.String() + " judges it again"}
	case "approvals":
		return []string{fmt.Sprintf("iibake approve %s %s puts an approval on record", p.To, p.Channel)}
	}
	return nil
}
