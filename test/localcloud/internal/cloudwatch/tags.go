package cloudwatch

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	cw "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// maxTags is how many tags an alarm can have.
const maxTags = 50

func checkTags(tags []types.Tag) error {
	seen := map[string]bool{}
	for _, t := range tags {
		key, value := aws.ToString(t.Key), aws.ToString(t.Value)
		switch {
		case key == "" || utf8.RuneCountInString(key) > 128 || utf8.RuneCountInString(value) > 256:
			return badValue("A tag has a key of 1 to 128 and a value of up to 256 characters.")
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return badValue("Tag keys cannot begin with aws: (%s)", key)
		case seen[key]:
			return badValue("The tag key %s is given twice.", key)
		}
		seen[key] = true
	}
	if len(tags) > maxTags {
		return badValue("An alarm can have up to %d tags.", maxTags)
	}
	return nil
}

// alarm returns the key of the alarm with an ARN.
func alarm(r *state.Region, c *wire.Call, arn *string) (string, error) {
	prefix := "arn:aws:cloudwatch:" + c.Region + ":" + c.Account + ":alarm:"
	name, ok := strings.CutPrefix(aws.ToString(arn), prefix)
	key := state.Key(c.Account, name)
	if !ok || r.Alarms.Get(key) == nil {
		return "", notFound("ResourceNotFoundException", "The resource %s does not exist", aws.ToString(arn))
	}
	return key, nil
}

func without(tags []types.Tag, keys []string) []types.Tag {
	return slices.DeleteFunc(slices.Clone(tags), func(t types.Tag) bool { return slices.Contains(keys, aws.ToString(t.Key)) })
}

func (s *Service) tagResource(_ context.Context, c *wire.Call, in *cw.TagResourceInput) (*cw.TagResourceOutput, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	var keys []string
	for _, t := range in.Tags {
		keys = append(keys, *t.Key)
	}
	return &cw.TagResourceOutput{}, s.store.Update(c.Region, func(r *state.Region) error {
		key, err := alarm(r, c, in.ResourceARN)
		if err != nil {
			return err
		}
		tags := append(without(r.Alarms.Get(key).Tags, keys), in.Tags...)
		if len(tags) > maxTags {
			return badValue("An alarm can have up to %d tags.", maxTags)
		}
		r.Alarms.Edit(key).Tags = tags
		return nil
	})
}

func (s *Service) untagResource(_ context.Context, c *wire.Call, in *cw.UntagResourceInput) (*cw.UntagResourceOutput, error) {
	return &cw.UntagResourceOutput{}, s.store.Update(c.Region, func(r *state.Region) error {
		key, err := alarm(r, c, in.ResourceARN)
		if err == nil {
			r.Alarms.Edit(key).Tags = without(r.Alarms.Get(key).Tags, in.TagKeys)
		}
		return err
	})
}

func (s *Service) listTagsForResource(_ context.Context, c *wire.Call, in *cw.ListTagsForResourceInput) (*cw.ListTagsForResourceOutput, error) {
	out := &cw.ListTagsForResourceOutput{}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		key, err := alarm(r, c, in.ResourceARN)
		if err == nil {
			out.Tags = append([]types.Tag{}, r.Alarms.Get(key).Tags...)
		}
		return err
	})
}

// notFound is answered with the status that the service model has for it.
func notFound(code, format string, args ...any) *wire.Error {
	e := wire.Errorf(code, format, args...)
	e.Status = http.StatusNotFound
	return e
}
