package tags_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// shown returns the tags as text, in their order.
func shown(t *testing.T, client *ec2.Client, in *ec2.DescribeTagsInput) string {
	t.Helper()
	out, err := client.DescribeTags(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, tag := range out.Tags {
		all = append(all, fmt.Sprintf("%s %s %s=%s", tag.ResourceType, *tag.ResourceId, *tag.Key, *tag.Value))
	}
	return strings.Join(all, ", ")
}

func TestDescribeTags(t *testing.T) {
	t.Parallel()
	c, _, _ := newCloud(t)
	for id, tags := range map[string][]ec2types.Tag{"i-1": pairs("Name", "web", "env", "prod"), "vol-1": pairs("Name", "data"), "snap-1": pairs("env", "")} {
		if _, err := c.Client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{id}, Tags: tags}); err != nil {
			t.Fatal(err)
		}
	}
	for name, v := range map[string]struct {
		filters string // name=value ...
		want    string
	}{
		"all, by key": {"", "instance i-1 Name=web, volume vol-1 Name=data, instance i-1 env=prod, snapshot snap-1 env="},
		"key":         {"key=Name", "instance i-1 Name=web, volume vol-1 Name=data"},
		"keys differ": {"key=name", ""},
		"value":       {"value=w*", "instance i-1 Name=web"},
		"no value":    {"key=env value=", "snapshot snap-1 env="},
		"resource":    {"resource-id=vol-1", "volume vol-1 Name=data"},
		"type":        {"resource-type=snapshot", "snapshot snap-1 env="},
		"tag":         {"tag:Name=data", "volume vol-1 Name=data"},
		"type and id": {"resource-type=volume resource-id=i-1", ""},
	} {
		in := &ec2.DescribeTagsInput{}
		for f := range strings.FieldsSeq(v.filters) {
			key, value, _ := strings.Cut(f, "=")
			in.Filters = append(in.Filters, ec2types.Filter{Name: &key, Values: []string{value}})
		}
		if got := shown(t, c.Client, in); got != v.want {
			t.Errorf("%s: got %q, want %q", name, got, v.want)
		}
	}
	if got := shown(t, c.As(ec2test.Other), &ec2.DescribeTagsInput{}) + shown(t, c.In("eu-west-1", ec2test.Account), &ec2.DescribeTagsInput{}); got != "" {
		t.Errorf("another account or region sees %s", got)
	}
	for _, v := range []struct {
		in            ec2.DescribeTagsInput
		code, message string
	}{
		{ec2.DescribeTagsInput{DryRun: aws.Bool(true)}, "DryRunOperation", ""},
		{ec2.DescribeTagsInput{MaxResults: aws.Int32(4)}, "InvalidParameterValue", "Invalid value '4' for maxResults. Expecting a value greater than 5."},
		{ec2.DescribeTagsInput{NextToken: aws.String("garbage")}, "InvalidParameterValue", "invalid value for parameter next-token: garbage"},
		{ec2.DescribeTagsInput{Filters: []ec2types.Filter{{Name: aws.String("tag-key"), Values: []string{"x"}}}}, "InvalidParameterValue", "The filter 'tag-key' is invalid"},
	} {
		_, err := c.Client.DescribeTags(t.Context(), &v.in)
		ec2test.Expect(t, err, v.code, v.message)
	}
}

func TestTagPages(t *testing.T) {
	t.Parallel()
	c, ids, _ := newCloud(t)
	if _, err := c.Client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: ids, Tags: pairs("a", "1", "b", "2")}); err != nil {
		t.Fatal(err)
	}
	pages, seen, n := ec2.NewDescribeTagsPaginator(c.Client, &ec2.DescribeTagsInput{MaxResults: aws.Int32(5)}), map[string]bool{}, 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, tag := range page.Tags {
			seen[*tag.Key+*tag.ResourceId] = true
		}
		n += len(page.Tags)
	}
	if n != 2*len(ids) || len(seen) != n {
		t.Errorf("saw %d tags, %d different ones, of %d", n, len(seen), 2*len(ids))
	}
}

// A request changes the tags of all its resources or of none.
func TestAllOrNone(t *testing.T) {
	t.Parallel()
	c, _, changed := newCloud(t)
	for name, v := range map[string]struct {
		in            ec2.CreateTagsInput
		code, message string
	}{
		"no tags":         {ec2.CreateTagsInput{Resources: []string{"i-1"}, Tags: []ec2types.Tag{}}, "MissingParameter", "The request must contain the parameter Tag"},
		"no resources":    {ec2.CreateTagsInput{Resources: []string{}, Tags: pairs("a", "b")}, "MissingParameter", ""},
		"too many":        {ec2.CreateTagsInput{Resources: make([]string, 1001), Tags: pairs("a", "b")}, "InvalidParameterValue", ""},
		"one is missing":  {ec2.CreateTagsInput{Resources: []string{"i-1", "vol-2"}, Tags: pairs("a", "b")}, "InvalidVolume.NotFound", "The volume 'vol-2' does not exist."},
		"missing, dry":    {ec2.CreateTagsInput{Resources: []string{"snap-2"}, Tags: pairs("a", "b"), DryRun: aws.Bool(true)}, "InvalidSnapshot.NotFound", "The snapshot 'snap-2' does not exist."},
		"template":        {ec2.CreateTagsInput{Resources: []string{"lt-2"}, Tags: pairs("a", "b")}, "InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID lt-2, does not exist."},
		"key pair":        {ec2.CreateTagsInput{Resources: []string{"key-2"}, Tags: pairs("a", "b")}, "InvalidKeyPair.NotFound", "The key pair 'key-2' does not exist"},
		"rule":            {ec2.CreateTagsInput{Resources: []string{"sgr-2"}, Tags: pairs("a", "b")}, "InvalidSecurityGroupRuleId.NotFound", "The security group rule ID 'sgr-2' does not exist"},
		"group":           {ec2.CreateTagsInput{Resources: []string{"sg-2"}, Tags: pairs("a", "b")}, "InvalidGroup.NotFound", "The security group 'sg-2' does not exist"},
		"interface":       {ec2.CreateTagsInput{Resources: []string{"eni-2"}, Tags: pairs("a", "b")}, "InvalidNetworkInterfaceID.NotFound", "The networkInterface ID 'eni-2' does not exist"},
		"subnet":          {ec2.CreateTagsInput{Resources: []string{"subnet-2"}, Tags: pairs("a", "b")}, "InvalidSubnetID.NotFound", "The subnet ID 'subnet-2' does not exist"},
		"vpc":             {ec2.CreateTagsInput{Resources: []string{"vpc-2"}, Tags: pairs("a", "b")}, "InvalidVpcID.NotFound", "The vpc ID 'vpc-2' does not exist"},
		"same key twice":  {ec2.CreateTagsInput{Resources: []string{"i-1"}, Tags: pairs("a", "b", "a", "c")}, "InvalidParameterValue", "Duplicate tag key 'a' specified."},
		"long key":        {ec2.CreateTagsInput{Resources: []string{"i-1"}, Tags: pairs(strings.Repeat("k", 129), "b")}, "InvalidParameterValue", ""},
		"long value":      {ec2.CreateTagsInput{Resources: []string{"i-1"}, Tags: pairs("k", strings.Repeat("v", 257))}, "InvalidParameterValue", ""},
		"reserved in any": {ec2.CreateTagsInput{Resources: []string{"i-1"}, Tags: pairs("AWS:k", "v")}, "InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use"},
		"dry run":         {ec2.CreateTagsInput{Resources: []string{"i-1"}, Tags: pairs("a", "b"), DryRun: aws.Bool(true)}, "DryRunOperation", ""},
	} {
		_, err := c.Client.CreateTags(t.Context(), &v.in)
		if f := ec2test.FailureOf(err); f.Code != v.code || v.message != "" && f.Message != v.message {
			t.Errorf("%s: got %s %q", name, f.Code, f.Message)
		}
	}
	if got := shown(t, c.Client, &ec2.DescribeTagsInput{}); got != "" || len(*changed) != 0 {
		t.Errorf("refused requests left %s and told of %v", got, *changed)
	}
}

func TestDeregisteredImageHasNoTags(t *testing.T) {
	t.Parallel()
	c, ids, _ := newCloud(t)
	image := ids[0]
	if _, err := c.Client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{image}, Tags: pairs("a", "b")}); err != nil {
		t.Fatal(err)
	}
	c.Update(t, func(r *state.Region) { r.Images.Edit(image).Deregistered = true })
	if got := shown(t, c.Client, &ec2.DescribeTagsInput{}); got != "" {
		t.Errorf("got %s", got)
	}
	_, err := c.Client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{image}, Tags: pairs("a", "b")})
	ec2test.Expect(t, err, "InvalidAMIID.NotFound", "The image id '["+image+"]' does not exist")
}

// Tags of AWS's own are seen, do not count for the limit, and cannot be deleted.
func TestTagsOfAWS(t *testing.T) {
	t.Parallel()
	c, _, _ := newCloud(t)
	c.Update(t, func(r *state.Region) {
		r.Instances.Edit("i-1").Tags = pairs("aws:autoscaling:groupName", "g", "own", "1")
	})
	remove := func(in ec2.DeleteTagsInput) error {
		in.Resources = []string{"i-1"}
		_, err := c.Client.DeleteTags(t.Context(), &in)
		return err
	}
	ec2test.Expect(t, remove(ec2.DeleteTagsInput{Tags: pairs("aws:autoscaling:groupName", "g")}), "InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
	ec2test.Expect(t, remove(ec2.DeleteTagsInput{DryRun: aws.Bool(true)}), "DryRunOperation", "")
	ec2test.Expect(t, remove(ec2.DeleteTagsInput{Tags: pairs("own", "")}), "", "") // another value
	ec2test.Expect(t, remove(ec2.DeleteTagsInput{Tags: pairs("nothing", "")}), "", "")
	if got := shown(t, c.Client, &ec2.DescribeTagsInput{}); got != "instance i-1 aws:autoscaling:groupName=g, instance i-1 own=1" {
		t.Errorf("got %s", got)
	}
	var many []ec2types.Tag
	for i := range 49 {
		many = append(many, pairs(fmt.Sprint("k", i), "")...)
	}
	_, err := c.Client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{"i-1"}, Tags: many})
	ec2test.Expect(t, err, "", "")
	_, err = c.Client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{"i-1"}, Tags: pairs("one", "more")})
	ec2test.Expect(t, err, "TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
	ec2test.Expect(t, remove(ec2.DeleteTagsInput{}), "", "")
	if got := shown(t, c.Client, &ec2.DescribeTagsInput{}); got != "instance i-1 aws:autoscaling:groupName=g" {
		t.Errorf("got %s", got)
	}
}
