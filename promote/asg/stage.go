package asg

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
)

// maxDescription is how long the description of a version may be.
const maxDescription = 255

// Stage makes a version of each launch template that the group uses, in which the image is r.AMI and everything else as it was. Aliases become
// numbers first: only a rollout whose preflight allowed it gets here.
func (f *Fleet) Stage(ctx context.Context, r promote.Rollout) (promote.Rollout, error) {
	if len(r.Moves) > 0 {
		return r, nil
	}
	moves, err := f.stage(ctx, r)
	if err != nil {
		return r, f.fail(err)
	}
	r.Moves = moves
	return r, nil
}

func (f *Fleet) stage(ctx context.Context, r promote.Rollout) ([]promote.Move, error) {
	g, err := f.group(ctx)
	if err != nil {
		return nil, err
	}
	c, err := f.pin(ctx, r, g)
	if err != nil {
		return nil, err
	}
	places, err := f.places(ctx, c)
	if err != nil {
		return nil, err
	}
	if len(places) == 0 {
		return nil, fmt.Errorf("%w: it has no launch template", bake.ErrRefused)
	}
	var moves []promote.Move
	for _, part := range byVersion(places) {
		move, err := f.move(ctx, r, part)
		if err != nil {
			return nil, err
		}
		moves = append(moves, move)
	}
	return moves, nil
}

// byVersion groups the uses of the same version of the same template, in the order in which they come.
func byVersion(places []place) [][]place {
	var parts [][]place
	at := map[[2]string]int{}
	for _, p := range places {
		key := [2]string{p.use.template, p.use.version}
		i, ok := at[key]
		if !ok {
			i, at[key] = len(parts), len(parts)
			parts = append(parts, nil)
		}
		parts[i] = append(parts[i], p)
	}
	return parts
}

// move finds or makes the version that the uses of one version go to.
func (f *Fleet) move(ctx context.Context, r promote.Rollout, part []place) (promote.Move, error) {
	v := part[0].version
	if v == nil && f.recent(r) { // it may have been pinned a moment ago
		return promote.Move{}, fmt.Errorf("launch template %s has no version %s: %w", part[0].use.template, part[0].use.version, errLag)
	}
	if v == nil {
		return promote.Move{}, fmt.Errorf("%w: launch template %s has no version %s any more", bake.ErrRefused, part[0].use.template, part[0].use.version)
	}
	if from, ok := stagedFrom(v.text); ok && strings.HasPrefix(v.text, mark(v.template, from, r.AMI)) && strings.HasSuffix(v.text, author(r)) {
		return f.moved(ctx, r, v, from)
	}
	m := promote.Move{Template: v.template, Name: v.name, From: v.number, To: v.number, FromAMI: v.ami, ToAMI: r.AMI}
	there := true
	for _, p := range part {
		if p.base {
			continue
		}
		m.Overrides = append(m.Overrides, p.image)
		there = there && p.ami() == r.AMI
	}
	if first := firstImage(m.Overrides); first == "" {
		m.Overrides = nil
	} else if v.ami == "" {
		m.FromAMI = first
	}
	if there && v.ami == r.AMI {
		return m, nil
	}
	var err error
	m.To, err = f.newVersion(ctx, r, v, r.AMI)
	return m, err
}

// moved is what move returned before the group had taken the version.
func (f *Fleet) moved(ctx context.Context, r promote.Rollout, v *version, from string) (promote.Move, error) {
	m := promote.Move{Template: v.template, Name: v.name, From: from, To: v.number, ToAMI: r.AMI}
	before, err := f.version(ctx, v.template, from)
	if err == nil && before != nil {
		m.FromAMI = before.ami
	}
	return m, err
}

// newVersion returns the number of a version that iibake made of v, with another image, and makes it where there is none: a rollout that is
// tried again, or comes after one that was rolled back, finds what the one before it made.
func (f *Fleet) newVersion(ctx context.Context, r promote.Rollout, v *version, ami string) (string, error) {
	text := mark(v.template, v.number, ami)
	if found, err := f.staged(ctx, v, text, ami); err != nil || found != "" {
		return found, err
	}
	if err := f.tag(ctx, r, v.template); err != nil {
		return "", err
	}
	mappings, err := f.mappings(ctx, v, ami)
	if err != nil {
		return "", err
	}
	out, err := target.EC2(f.t).CreateLaunchTemplateVersion(ctx, &ec2.CreateLaunchTemplateVersionInput{
		LaunchTemplateId: &v.template, SourceVersion: &v.number, ClientToken: aws.String(digest(text, r.ID())),
		LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: &ami, BlockDeviceMappings: mappings},
		VersionDescription: aws.String(describe(text, r)),
	})
	if err != nil {
		return "", fmt.Errorf("new version of launch template %s: %w", v.name, lagging(f.recent(r), err))
	}
	return versionOf(*out.LaunchTemplateVersion).number, nil
}

// staged finds a version by its description: a token is good for a while only.
func (f *Fleet) staged(ctx context.Context, v *version, text, ami string) (string, error) {
	in := ec2.DescribeLaunchTemplateVersionsInput{
		LaunchTemplateId: &v.template, MinVersion: &v.number, Filters: []ec2types.Filter{{Name: aws.String("image-id"), Values: []string{ami}}},
	}
	more := func(in *ec2.DescribeLaunchTemplateVersionsInput, out *ec2.DescribeLaunchTemplateVersionsOutput) *string {
		in.NextToken = out.NextToken
		return in.NextToken
	}
	for page, err := range target.Pages(ctx, target.EC2(f.t).DescribeLaunchTemplateVersions, in, more) {
		if err != nil {
			return "", err
		}
		for _, told := range page.LaunchTemplateVersions {
			if found := versionOf(told); strings.HasPrefix(found.text, text) && found.ami == ami {
				return found.number, nil
			}
		}
	}
	return "", nil
}

// tag says on the launch template which rollout works on it. Versions have no tags of their own.
func (f *Fleet) tag(ctx context.Context, r promote.Rollout, template string) error {
	_, err := target.EC2(f.t).CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{template}, Tags: []ec2types.Tag{
		{Key: aws.String("iibake:fleet"), Value: &r.Fleet.Name},
		{Key: aws.String("iibake:rollout"), Value: aws.String(fmt.Sprintf("%.*s", maxTag, r.ID()))},
	}})
	return err
}

// maxTag is how long the value of a tag may be.
const maxTag = 256

// mark begins the description of a version that iibake made: it says of what, and with which image.
func mark(template, from, ami string) string {
	return "iibake " + digest(template, from, ami)[:20] + " from " + from
}

// author ends it: it says which rollout made the version first.
func author(r promote.Rollout) string { return " for " + r.ID() }

// describe returns the description of a version. With long names it is the image that is cut short: beginning and end are what it is found by.
func describe(text string, r promote.Rollout) string {
	room := max(0, maxDescription-len(author(r)))
	return fmt.Sprintf("%.*s", maxDescription, fmt.Sprintf("%.*s", room, text+": "+r.To.String())+author(r))
}

// stagedFrom returns the version that one with such a description was made of.
func stagedFrom(text string) (string, bool) {
	var token, from string
	n, _ := fmt.Sscanf(text, "iibake %s from %s", &token, &from)
	return strings.TrimSuffix(from, ":"), n == 2
}

// digest names something by what decides it.
func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return hex.EncodeToString(sum[:20])
}

func firstImage(overrides []string) string {
	for _, ami := range overrides {
		if ami != "" {
			return ami
		}
	}
	return ""
}
