package elb

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// maxTags is how many tags a resource can have.
const maxTags = 50

// checkTags returns the error where a caller cannot give tags.
func checkTags(tags []types.Tag) error {
	seen := map[string]bool{}
	for _, tag := range tags {
		key, value := aws.ToString(tag.Key), aws.ToString(tag.Value)
		switch {
		case key == "" || utf8.RuneCountInString(key) > 128:
			return invalid("A tag key must have 1 to 128 characters")
		case utf8.RuneCountInString(value) > 256:
			return invalid("A tag value can have up to 256 characters")
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return invalid("Tag keys cannot begin with 'aws:': '%s'", key)
		case seen[key]:
			return wire.Errorf("DuplicateTagKeys", "Tag keys '%s' are duplicated", key)
		}
		seen[key] = true
	}
	if len(tags) > maxTags {
		return tooManyTags()
	}
	return nil
}

func tooManyTags() error {
	return wire.Errorf("TooManyTags", "The maximum number of tags '%d' on a resource has been reached", maxTags)
}

// tagged is the tags of a resource, and how to replace them.
type tagged struct {
	tags []types.Tag
	set  func(r *state.Region, tags []types.Tag)
}

// resource returns the tags of a target group, a balancer, a listener or a rule of the caller.
func resource(r *state.Region, c *wire.Call, arn string) (tagged, error) {
	kind, _, _ := strings.Cut(arn[strings.LastIndexByte(arn, ':')+1:], "/")
	switch kind {
	case "targetgroup":
		g, err := group(r, c, &arn)
		if err != nil {
			return tagged{}, err
		}
		return tagged{g.Tags, func(r *state.Region, tags []types.Tag) { r.TargetGroups.Edit(arn).Tags = tags }}, nil
	case "loadbalancer":
		b, err := balancer(r, c, &arn)
		if err != nil {
			return tagged{}, err
		}
		return tagged{b.Tags, func(r *state.Region, tags []types.Tag) { r.LoadBalancers.Edit(arn).Tags = tags }}, nil
	case "listener":
		b, i, err := listener(r, c, &arn)
		if err != nil {
			return tagged{}, err
		}
		return tagged{b.Listeners[i].Tags, func(r *state.Region, tags []types.Tag) {
			b := r.LoadBalancers.Edit(*b.LoadBalancerArn)
			b.Listeners = slices.Clone(b.Listeners)
			b.Listeners[i].Tags = tags
		}}, nil
	case "listener-rule":
		return ruleTags(r, c, arn)
	}
	return tagged{}, invalid("'%s' is not a valid load balancer ARN", arn)
}

func ruleTags(r *state.Region, c *wire.Call, arn string) (tagged, error) {
	b, i, j, err := rule(r, c, arn)
	if err != nil {
		return tagged{}, err
	}
	return tagged{b.Listeners[i].Rules[j].Tags, func(r *state.Region, tags []types.Tag) {
		b := r.LoadBalancers.Edit(*b.LoadBalancerArn)
		b.Listeners = slices.Clone(b.Listeners)
		b.Listeners[i].Rules = slices.Clone(b.Listeners[i].Rules)
		b.Listeners[i].Rules[j].Tags = tags
	}}, nil
}

// retag replaces the tags of all resources, or of none.
func (s *Service) retag(c *wire.Call, arns []string, f func([]types.Tag) []types.Tag) error {
	return s.store.Update(c.Region, func(r *state.Region) error {
		var changes []tagged
		for _, arn := range arns {
			t, err := resource(r, c, arn)
			if err != nil {
				return err
			}
			if t.tags = f(t.tags); len(t.tags) > maxTags {
				return tooManyTags()
			}
			changes = append(changes, t)
		}
		for _, t := range changes {
			t.set(r, t.tags)
		}
		return nil
	})
}

func without(tags []types.Tag, keys []string) []types.Tag {
	return slices.DeleteFunc(slices.Clone(tags), func(t types.Tag) bool { return slices.Contains(keys, aws.ToString(t.Key)) })
}

func (s *Service) addTags(_ context.Context, c *wire.Call, in *elbv2.AddTagsInput) (*elbv2.AddTagsOutput, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	var keys []string
	for _, t := range in.Tags {
		keys = append(keys, *t.Key)
	}
	return &elbv2.AddTagsOutput{}, s.retag(c, in.ResourceArns, func(tags []types.Tag) []types.Tag {
		return append(without(tags, keys), in.Tags...)
	})
}

func (s *Service) removeTags(_ context.Context, c *wire.Call, in *elbv2.RemoveTagsInput) (*elbv2.RemoveTagsOutput, error) {
	return &elbv2.RemoveTagsOutput{}, s.retag(c, in.ResourceArns, func(tags []types.Tag) []types.Tag { return without(tags, in.TagKeys) })
}

func (s *Service) describeTags(_ context.Context, c *wire.Call, in *elbv2.DescribeTagsInput) (*elbv2.DescribeTagsOutput, error) {
	if len(in.ResourceArns) > 20 {
		return nil, invalid("The tags of up to 20 resources can be described in one request")
	}
	out := &elbv2.DescribeTagsOutput{TagDescriptions: []types.TagDescription{}}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		for _, arn := range in.ResourceArns {
			t, err := resource(r, c, arn)
			if err != nil {
				return err
			}
			tags := append([]types.Tag{}, t.tags...)
			out.TagDescriptions = append(out.TagDescriptions, types.TagDescription{ResourceArn: aws.String(arn), Tags: tags})
		}
		return nil
	})
}
