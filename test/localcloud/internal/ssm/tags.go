package ssm

import (
	"context"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// maxTags is how many tags a parameter can have.
const maxTags = 50

func checkTags(tags map[string]string) error {
	if len(tags) > maxTags {
		return wire.Errorf("TooManyTagsError", "The Targets parameter includes too many tags. Remove one or more tags and try the command again.")
	}
	for key, value := range tags {
		switch {
		case key == "" || utf8.RuneCountInString(key) > 128 || utf8.RuneCountInString(value) > 256:
			return invalid("A tag has a key of 1 to 128 and a value of up to 256 characters")
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return invalid("Tag keys can't begin with aws: '%s'", key)
		}
	}
	return nil
}

// tagged returns the key of the parameter whose tags a request is about.
func tagged(r *state.Region, c *wire.Call, kind types.ResourceTypeForTagging, id *string) (string, error) {
	if kind != types.ResourceTypeForTaggingParameter {
		return "", wire.Errorf("InvalidResourceType", "The resource type is not valid. For example, if you are attempting to tag an EC2 instance, the instance must be a registered managed node.")
	}
	key := state.Key(c.Account, aws.ToString(id))
	if r.Parameters.Get(key) == nil {
		return "", wire.Errorf("InvalidResourceId", "The resource ID is not valid. Verify that you entered the correct ID and try again.")
	}
	return key, nil
}

func (s *Service) addTagsToResource(_ context.Context, c *wire.Call, in *awsssm.AddTagsToResourceInput) (*awsssm.AddTagsToResourceOutput, error) {
	added, err := tagMap(in.Tags)
	if err != nil {
		return nil, err
	}
	return &awsssm.AddTagsToResourceOutput{}, s.store.Update(c.Region, func(r *state.Region) error {
		key, err := tagged(r, c, in.ResourceType, in.ResourceId)
		if err != nil {
			return err
		}
		tags := maps.Clone(r.Parameters.Get(key).Tags)
		if tags == nil {
			tags = map[string]string{}
		}
		maps.Copy(tags, added)
		if err := checkTags(tags); err != nil {
			return err
		}
		r.Parameters.Edit(key).Tags = tags
		return nil
	})
}

func (s *Service) removeTagsFromResource(_ context.Context, c *wire.Call, in *awsssm.RemoveTagsFromResourceInput) (*awsssm.RemoveTagsFromResourceOutput, error) {
	return &awsssm.RemoveTagsFromResourceOutput{}, s.store.Update(c.Region, func(r *state.Region) error {
		key, err := tagged(r, c, in.ResourceType, in.ResourceId)
		if err != nil {
			return err
		}
		tags := maps.Clone(r.Parameters.Get(key).Tags)
		for _, k := range in.TagKeys {
			delete(tags, k)
		}
		r.Parameters.Edit(key).Tags = tags
		return nil
	})
}

func (s *Service) listTagsForResource(_ context.Context, c *wire.Call, in *awsssm.ListTagsForResourceInput) (*awsssm.ListTagsForResourceOutput, error) {
	out := &awsssm.ListTagsForResourceOutput{TagList: []types.Tag{}}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		key, err := tagged(r, c, in.ResourceType, in.ResourceId)
		if err != nil {
			return err
		}
		tags := r.Parameters.Get(key).Tags
		for _, k := range slices.Sorted(maps.Keys(tags)) {
			out.TagList = append(out.TagList, types.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
		}
		return nil
	})
}
