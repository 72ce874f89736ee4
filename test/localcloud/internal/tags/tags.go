// Package tags is the operations of EC2 on the tags of all its resources.
package tags

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/listing"
	"github.com/iibake/iibake/test/localcloud/internal/network"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// Service answers for tags.
type Service struct {
	store   *state.Store
	changed func(r *state.Region, id string)
}

// New returns the service. changed is called inside the Update that changed the tags of a resource.
func New(store *state.Store, changed func(r *state.Region, id string)) *Service {
	return &Service{store: store, changed: changed}
}

// Register adds the operations to EC2's.
func (s *Service) Register(svc *wire.Service) {
	wire.Handle(svc, s.create)
	wire.Handle(svc, s.delete)
	wire.Handle(svc, s.describe)
}

const (
	maxResources = 1000 // of one request [documented]
	maxTags      = 50   // of a resource, without those of AWS [documented]
)

func (s *Service) create(_ context.Context, c *wire.Call, in *ec2.CreateTagsInput) (*ec2.CreateTagsOutput, error) {
	if len(in.Tags) == 0 {
		return nil, wire.Errorf("MissingParameter", "The request must contain the parameter Tag")
	}
	if err := kit.CheckTags(in.Tags); err != nil {
		return nil, err
	}
	return &ec2.CreateTagsOutput{}, s.change(c, in.Resources, in.DryRun, func(tags []ec2types.Tag) ([]ec2types.Tag, error) {
		merged := kit.MergeTags(tags, in.Tags)
		own := slices.DeleteFunc(slices.Clone(merged), func(t ec2types.Tag) bool { return reserved(aws.ToString(t.Key)) })
		if len(own) > maxTags {
			return nil, wire.Errorf("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
		}
		return merged, nil
	})
}

func reserved(key string) bool { return strings.HasPrefix(strings.ToLower(key), "aws:") }

// delete deletes tags by their keys, and where a value is given only those that have it; without any, all tags of the user.
func (s *Service) delete(_ context.Context, c *wire.Call, in *ec2.DeleteTagsInput) (*ec2.DeleteTagsOutput, error) {
	for _, t := range in.Tags {
		if reserved(aws.ToString(t.Key)) {
			return nil, wire.Errorf("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
		}
	}
	goes := func(t ec2types.Tag) bool {
		if len(in.Tags) == 0 {
			return !reserved(aws.ToString(t.Key))
		}
		return slices.ContainsFunc(in.Tags, func(d ec2types.Tag) bool {
			return aws.ToString(d.Key) == aws.ToString(t.Key) && (d.Value == nil || *d.Value == aws.ToString(t.Value))
		})
	}
	return &ec2.DeleteTagsOutput{}, s.change(c, in.Resources, in.DryRun, func(tags []ec2types.Tag) ([]ec2types.Tag, error) {
		kept := slices.DeleteFunc(slices.Clone(tags), goes)
		if len(kept) == 0 {
			return nil, nil
		}
		return kept, nil
	})
}

// change replaces the tags of resources: of all or of none.
func (s *Service) change(c *wire.Call, ids []string, dryRun *bool, f func(tags []ec2types.Tag) ([]ec2types.Tag, error)) error {
	switch {
	case len(ids) == 0:
		return wire.Errorf("MissingParameter", "The request must contain the parameter resourceIdSet")
	case len(ids) > maxResources:
		return wire.Errorf("InvalidParameterValue", "A request may name up to %d resources.", maxResources)
	}
	return s.store.Update(c.Region, func(r *state.Region) error {
		network.EnsureDefaults(r, c.Account)
		changed := map[string][]ec2types.Tag{}
		for _, id := range ids {
			t, err := find(r, c.Account, id)
			if err != nil {
				return err
			}
			if changed[id], err = f(t.tags); err != nil {
				return err
			}
		}
		if aws.ToBool(dryRun) {
			return wire.ErrDryRun()
		}
		for _, id := range slices.Sorted(maps.Keys(changed)) {
			if t, err := find(r, c.Account, id); err == nil {
				t.set(changed[id])
				s.changed(r, id)
			}
		}
		return nil
	})
}

func (s *Service) describe(_ context.Context, c *wire.Call, in *ec2.DescribeTagsInput) (*ec2.DescribeTagsOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, wire.ErrDryRun()
	}
	out := &ec2.DescribeTagsOutput{}
	return out, s.store.View(c.Region, func(r *state.Region) (err error) {
		out.Tags, out.NextToken, err = listing.Run(listing.Query[ec2types.TagDescription]{
			Filters: in.Filters, Attr: attribute,
			Page: kit.Page{Max: in.MaxResults, Token: in.NextToken, Min: 5, Limit: 1000, Scope: c.Operation + "/" + c.Account + "/" + c.Region},
			All:  func(yield func(ec2types.TagDescription) bool) { all(r, c.Account, yield) },
			Key: func(t ec2types.TagDescription) string {
				return aws.ToString(t.Key) + "\x00" + aws.ToString(t.ResourceId)
			}, // sorted by key, as recorded
		})
		return err
	})
}

func attribute(t ec2types.TagDescription, name string) ([]string, bool) {
	switch name {
	case "key":
		return listing.Values(t.Key), true
	case "value":
		return listing.Values(t.Value), true
	case "resource-id":
		return listing.Values(t.ResourceId), true
	case "resource-type":
		return []string{string(t.ResourceType)}, true
	}
	if key, ok := strings.CutPrefix(name, "tag:"); ok {
		if key == aws.ToString(t.Key) {
			return listing.Values(t.Value), true
		}
		return nil, true
	}
	return nil, false
}
