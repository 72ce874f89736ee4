package autoscaling

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

const tagResource = "auto-scaling-group"

// putTag adds a tag to a group, or replaces the one of its key.
func putTag(g *state.Group, t astypes.Tag) error {
	key := aws.ToString(t.Key)
	tags := slices.DeleteFunc(slices.Clone(g.Tags), func(o astypes.TagDescription) bool { return aws.ToString(o.Key) == key })
	tags = append(tags, astypes.TagDescription{
		ResourceId: g.AutoScalingGroupName, ResourceType: aws.String(tagResource), Key: &key,
		Value: aws.String(aws.ToString(t.Value)), PropagateAtLaunch: aws.Bool(aws.ToBool(t.PropagateAtLaunch)),
	})
	slices.SortFunc(tags, func(a, b astypes.TagDescription) int {
		return strings.Compare(aws.ToString(a.Key), aws.ToString(b.Key))
	})
	var plain []ec2types.Tag
	for _, o := range tags {
		plain = append(plain, ec2types.Tag{Key: o.Key, Value: o.Value})
	}
	if err := kit.CheckTags(plain); err != nil {
		return invalid("Tag %s: %s", key, strings.TrimPrefix(err.Error(), "InvalidParameterValue: "))
	}
	g.Tags = tags
	return nil
}

// taggedGroup returns the group of a tag in a request, for changing it.
func taggedGroup(r *state.Region, account string, t astypes.Tag) (*state.Group, error) {
	if kind := aws.ToString(t.ResourceType); kind != "" && kind != tagResource {
		return nil, invalid("Invalid resource type: %s. The resource type must be %s.", kind, tagResource)
	}
	g := r.Groups.Edit(state.Key(account, aws.ToString(t.ResourceId)))
	if g == nil {
		return nil, noGroup(aws.ToString(t.ResourceId))
	}
	return g, nil
}

func (s *Service) createOrUpdateTags(_ context.Context, c *wire.Call, in *as.CreateOrUpdateTagsInput) (*as.CreateOrUpdateTagsOutput, error) {
	return &as.CreateOrUpdateTagsOutput{}, s.store.Update(c.Region, func(r *state.Region) error {
		for _, check := range []bool{true, false} {
			for _, t := range in.Tags {
				g, err := taggedGroup(r, c.Account, t)
				if err != nil {
					return err
				}
				if check {
					copied := *g
					g = &copied
				}
				if err := putTag(g, t); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (s *Service) deleteTags(_ context.Context, c *wire.Call, in *as.DeleteTagsInput) (*as.DeleteTagsOutput, error) {
	return &as.DeleteTagsOutput{}, s.store.Update(c.Region, func(r *state.Region) error {
		for _, t := range in.Tags {
			if _, err := taggedGroup(r, c.Account, t); err != nil {
				return err
			}
		}
		for _, t := range in.Tags {
			g, _ := taggedGroup(r, c.Account, t)
			g.Tags = slices.DeleteFunc(slices.Clone(g.Tags), func(o astypes.TagDescription) bool {
				return aws.ToString(o.Key) == aws.ToString(t.Key) && (t.Value == nil || aws.ToString(o.Value) == *t.Value)
			})
		}
		return nil
	})
}

func (s *Service) describeTags(_ context.Context, c *wire.Call, in *as.DescribeTagsInput) (*as.DescribeTagsOutput, error) {
	out := &as.DescribeTagsOutput{Tags: []astypes.TagDescription{}}
	if _, err := tagPasses(astypes.TagDescription{}, in.Filters); err != nil {
		return nil, err
	}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		var found []astypes.TagDescription
		for _, g := range groupsOf(r, c.Account) {
			for _, t := range g.Tags {
				ok, err := tagPasses(t, in.Filters)
				if err != nil {
					return err
				}
				if ok {
					found = append(found, t)
				}
			}
		}
		var err error
		out.Tags, out.NextToken, err = kit.Paginate(found, page(c, in.MaxRecords, in.NextToken, 50, 100))
		return err
	})
}

// tagPasses reports whether a tag passes the filters of DescribeTags.
func tagPasses(t astypes.TagDescription, filters []astypes.Filter) (bool, error) {
	passes := true
	for _, f := range filters {
		var value string
		switch name := aws.ToString(f.Name); name {
		case "auto-scaling-group":
			value = aws.ToString(t.ResourceId)
		case "key":
			value = aws.ToString(t.Key)
		case "value":
			value = aws.ToString(t.Value)
		case "propagate-at-launch":
			value = "false"
			if aws.ToBool(t.PropagateAtLaunch) {
				value = "true"
			}
		default:
			return false, invalid("Filter type %s is not correct. Allowed Filter types are: auto-scaling-group key value propagate-at-launch", name)
		}
		passes = passes && slices.Contains(f.Values, value)
	}
	return passes, nil
}

// tagged reports whether a group passes the filters of DescribeAutoScalingGroups, which are all about tags.
func tagged(g *state.Group, filters []astypes.Filter) (bool, error) {
	passes := true
	for _, f := range filters {
		name := aws.ToString(f.Name)
		key, byKey := strings.CutPrefix(name, "tag:")
		if !byKey && name != "tag-key" && name != "tag-value" {
			return false, invalid("Filter type %s is not correct. Allowed Filter types are: tag-key tag-value tag:", name)
		}
		ok := slices.ContainsFunc(g.Tags, func(t astypes.TagDescription) bool {
			switch {
			case byKey:
				return aws.ToString(t.Key) == key && slices.Contains(f.Values, aws.ToString(t.Value))
			case name == "tag-key":
				return slices.Contains(f.Values, aws.ToString(t.Key))
			}
			return slices.Contains(f.Values, aws.ToString(t.Value))
		})
		passes = passes && ok
	}
	return passes, nil
}
