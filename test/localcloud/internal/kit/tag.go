package kit

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// Limits of EC2.
const (
	maxTags     = 50
	maxTagKey   = 128 // characters
	maxTagValue = 256 // characters
)

// TagsFor returns the tags that a request gives to new resources of type t, or nil. They are not checked; see CheckTags.
func TagsFor(specs []ec2types.TagSpecification, t ec2types.ResourceType) []ec2types.Tag {
	var tags []ec2types.Tag
	for _, spec := range specs {
		if spec.ResourceType == t {
			tags = MergeTags(tags, spec.Tags)
		}
	}
	return tags
}

// CheckTagSpecs returns EC2's error where specs tag what the operation does not make, or tag it in a way that is not allowed.
func CheckTagSpecs(specs []ec2types.TagSpecification, makes ...ec2types.ResourceType) error {
	for _, spec := range specs {
		if !slices.Contains(makes, spec.ResourceType) {
			return wire.Errorf("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation.", spec.ResourceType)
		}
		if err := CheckTags(spec.Tags); err != nil {
			return err
		}
	}
	return nil
}

// CheckTags returns EC2's error where a caller cannot give tags: too many, too long, the same key twice, or of AWS's own.
func CheckTags(tags []ec2types.Tag) error {
	if len(tags) > maxTags {
		return wire.Errorf("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
	}
	seen := map[string]bool{}
	for _, tag := range tags {
		key, value := str(tag.Key), str(tag.Value)
		switch {
		case key == "" || utf8.RuneCountInString(key) > maxTagKey:
			return wire.Errorf("InvalidParameterValue", "Tag key exceeds the maximum length of %d characters, or is empty: '%s'", maxTagKey, key)
		case utf8.RuneCountInString(value) > maxTagValue:
			return wire.Errorf("InvalidParameterValue", "Tag value exceeds the maximum length of %d characters", maxTagValue)
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return wire.Errorf("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
		case seen[key]:
			return wire.Errorf("InvalidParameterValue", "Duplicate tag key '%s' specified.", key)
		}
		seen[key] = true
	}
	return nil
}

// MergeTags returns a new list of the tags of both, sorted by key; where both have a key, the second wins. It is nil if there are none.
func MergeTags(tags, more []ec2types.Tag) []ec2types.Tag {
	byKey := TagMap(tags)
	maps.Copy(byKey, TagMap(more))
	return TagList(byKey)
}

// TagMap returns tags as a map.
func TagMap(tags []ec2types.Tag) map[string]string {
	m := make(map[string]string, len(tags))
	for _, tag := range tags {
		m[str(tag.Key)] = str(tag.Value)
	}
	return m
}

// TagList returns the tags in m, sorted by key; nil if there are none.
func TagList(m map[string]string) []ec2types.Tag {
	var tags []ec2types.Tag
	for _, key := range slices.Sorted(maps.Keys(m)) {
		value := m[key]
		tags = append(tags, ec2types.Tag{Key: &key, Value: &value})
	}
	return tags
}

// TagFilter returns the values that tags have for the filters tag:KEY and tag-key, and whether name is one of them.
func TagFilter(tags []ec2types.Tag, name string) (values []string, ok bool) {
	key, byKey := strings.CutPrefix(name, "tag:")
	if !byKey && name != "tag-key" {
		return nil, false
	}
	for _, tag := range tags {
		switch {
		case !byKey:
			values = append(values, str(tag.Key))
		case str(tag.Key) == key:
			values = append(values, str(tag.Value))
		}
	}
	return values, true
}

func str(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
