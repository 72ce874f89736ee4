package tags_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
	"github.com/iibake/iibake/test/localcloud/internal/network"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/tags"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// newCloud returns a cloud with a resource of every type, their ids, and the ids whose tags have changed.
func newCloud(t *testing.T) (c *ec2test.Cloud, ids []string, changed *[]string) {
	t.Helper()
	changed = &[]string{}
	c = ec2test.New(t, func(store *state.Store, svc *wire.Service) {
		tags.New(store, func(_ *state.Region, id string) { *changed = append(*changed, id) }).Register(svc)
	})
	image := c.Image(t, nil)
	owner := aws.String(ec2test.Account)
	c.Update(t, func(r *state.Region) {
		network.EnsureDefaults(r, ec2test.Account)
		ids = append(ids, image, "i-1", "vol-1", "lt-1", "key-1", "snap-1", "eni-1")
		r.Instances.Put("i-1", &state.Instance{Account: *owner, Instance: ec2types.Instance{
			NetworkInterfaces: []ec2types.InstanceNetworkInterface{{NetworkInterfaceId: aws.String("eni-1")}},
		}})
		r.Volumes.Put("vol-1", &state.Volume{Account: *owner})
		r.LaunchTemplates.Put("lt-1", &state.LaunchTemplate{Account: *owner})
		r.KeyPairs.Put(state.Key(*owner, "k"), &state.KeyPair{Account: *owner, KeyPairInfo: ec2types.KeyPairInfo{KeyPairId: aws.String("key-1")}})
		r.Snapshots.Put("snap-1", &state.Snapshot{Snapshot: ec2types.Snapshot{OwnerId: owner}})
		for id, g := range r.SecurityGroups.All() {
			ids = append(ids, id, *g.Rules[0].SecurityGroupRuleId)
		}
		for id := range r.Subnets.All() {
			ids = append(ids, id)
			break
		}
		ids = append(ids, network.DefaultVPC(ec2test.Region, ec2test.Account))
	})
	return c, ids, changed
}

func pairs(text ...string) []ec2types.Tag {
	var all []ec2types.Tag
	for i := 0; i < len(text); i += 2 {
		all = append(all, ec2types.Tag{Key: &text[i], Value: &text[i+1]})
	}
	return all
}

func TestTags(t *testing.T) {
	t.Parallel()
	c, ids, changed := newCloud(t)
	if _, err := c.Client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: ids, Tags: pairs("b", "1", "a", "2")}); err != nil {
		t.Fatal(err)
	}
	if slices.Sort(*changed); !slices.Equal(*changed, slices.Sorted(slices.Values(ids))) {
		t.Errorf("told of %v, not of %v", *changed, ids)
	}
	out, err := c.Client.DescribeTags(t.Context(), &ec2.DescribeTagsInput{})
	if err != nil || len(out.Tags) != 2*len(ids) {
		t.Fatalf("got %d tags of %d resources: %v", len(out.Tags), len(ids), err)
	}
	if !slices.IsSortedFunc(out.Tags, func(a, b ec2types.TagDescription) int { return int((*a.Key)[0]) - int((*b.Key)[0]) }) {
		t.Error("not sorted by key")
	}
	types := map[ec2types.ResourceType]bool{}
	for _, tag := range out.Tags {
		types[tag.ResourceType] = true
	}
	if len(types) != 11 {
		t.Errorf("got the types %v", types)
	}
	one, err := c.Client.DescribeTags(t.Context(), &ec2.DescribeTagsInput{Filters: []ec2types.Filter{{Name: aws.String("resource-id"), Values: []string{"i-1"}}, {Name: aws.String("key"), Values: []string{"a"}}}})
	if err != nil || len(one.Tags) != 1 || *one.Tags[0].Value != "2" || one.Tags[0].ResourceType != "instance" {
		t.Errorf("got %+v %v", one, err)
	}
	remove := func(tags ...ec2types.Tag) int {
		t.Helper()
		if _, err := c.Client.DeleteTags(t.Context(), &ec2.DeleteTagsInput{Resources: ids, Tags: tags}); err != nil {
			t.Fatal(err)
		}
		out, err := c.Client.DescribeTags(t.Context(), &ec2.DescribeTagsInput{})
		if err != nil {
			t.Fatal(err)
		}
		return len(out.Tags)
	}
	if n := remove(pairs("a", "another value")...); n != 2*len(ids) {
		t.Errorf("a tag of another value was deleted: %d", n)
	}
	if n := remove(ec2types.Tag{Key: aws.String("a")}); n != len(ids) {
		t.Errorf("%d are left", n)
	}
	if n := remove(); n != 0 {
		t.Errorf("%d are left", n)
	}
}

func TestTagsRefuse(t *testing.T) {
	t.Parallel()
	c, _, _ := newCloud(t)
	create := func(resource string, tags []ec2types.Tag) error {
		_, err := c.Client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{"i-1", resource}, Tags: tags})
		return err
	}
	ec2test.Expect(t, create("i-2", pairs("a", "b")), "InvalidInstanceID.NotFound", "The instance ID 'i-2' does not exist")
	ec2test.Expect(t, create("nonsense", pairs("a", "b")), "InvalidID", "The ID 'nonsense' is not valid")
	ec2test.Expect(t, create("vol-1", pairs("aws:a", "b")), "InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
	_, err := c.As(ec2test.Other).CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{"i-1"}, Tags: pairs("a", "b")})
	ec2test.Expect(t, err, "InvalidInstanceID.NotFound", "")
	for i := range 50 {
		ec2test.Expect(t, create("vol-1", pairs(fmt.Sprint("k", i), "")), "", "")
	}
	ec2test.Expect(t, create("vol-1", pairs("one", "more")), "TagLimitExceeded", "")
	ec2test.Expect(t, create("vol-1", pairs("k7", "other value")), "", "")
}
