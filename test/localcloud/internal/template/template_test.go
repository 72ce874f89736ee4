package template_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
	"github.com/iibake/iibake/test/localcloud/internal/instancetype"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/template"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

func newCloud(t *testing.T) *ec2test.Cloud {
	t.Helper()
	return ec2test.New(t, func(store *state.Store, svc *wire.Service) {
		template.New(store, instancetype.New(), func(_ *state.Region, _, reference string) (string, error) {
			if reference == "resolve:ssm:/web" {
				return "ami-0123456789abcdef0", nil
			}
			return "", wire.Errorf("InvalidParameterValue", "no parameter %s", reference)
		}).Register(svc)
	})
}

type data = ec2types.RequestLaunchTemplateData

func create(t *testing.T, c *ec2test.Cloud, name string, d *data) *ec2types.LaunchTemplate {
	t.Helper()
	out, err := c.Client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: &name, LaunchTemplateData: d})
	if err != nil {
		t.Fatal(err)
	}
	return out.LaunchTemplate
}

func addVersion(t *testing.T, c *ec2test.Cloud, id *string, source string, d *data) *ec2types.LaunchTemplateVersion {
	t.Helper()
	in := &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateId: id, LaunchTemplateData: d}
	if source != "" {
		in.SourceVersion = &source
	}
	out, err := c.Client.CreateLaunchTemplateVersion(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out.LaunchTemplateVersion
}

// nano is data that says little.
func nano() *data { return &data{InstanceType: "t3.nano"} }

// What the real service answered to templates that it did not make.
func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	create(t, c, "taken", nano())
	for name, v := range map[string]struct {
		in            ec2.CreateLaunchTemplateInput
		code, message string
	}{
		"short name": {
			ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("a"), LaunchTemplateData: nano()},
			"InvalidLaunchTemplateName.MalformedException",
			"A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the following characters: - ( ) . / _.",
		},
		"no data": {
			ec2.CreateLaunchTemplateInput{LaunchTemplateData: &data{}},
			"MissingParameter",
			"No launch template data was provided. Launch template data is required to create a launch template.",
		},
		"empty struct": {
			ec2.CreateLaunchTemplateInput{LaunchTemplateData: &data{Monitoring: &ec2types.LaunchTemplatesMonitoringRequest{}}},
			"MissingParameter",
			"No launch template data was provided. Launch template data is required to create a launch template.",
		},
		"dry run comes before the data": {
			ec2.CreateLaunchTemplateInput{LaunchTemplateData: &data{}, DryRun: aws.Bool(true)},
			"DryRunOperation",
			"Request would have succeeded, but DryRun flag is set.",
		},
		"dry run comes before the name": {
			ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("taken"), LaunchTemplateData: &data{}, DryRun: aws.Bool(true)}, "DryRunOperation", "",
		},
		"name in use": {
			ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("taken"), LaunchTemplateData: nano()},
			"InvalidLaunchTemplateName.AlreadyExistsException",
			"Launch template name already in use.",
		},
		"image id comes before user data and hops": {
			ec2.CreateLaunchTemplateInput{LaunchTemplateData: &data{
				ImageId: aws.String("nonsense"), UserData: aws.String("not base64"), MetadataOptions: hops(999),
			}},
			"InvalidAMIID.Malformed",
			"The image ID 'nonsense' is not valid. The expected format is ami-xxxxxxxx or ami-xxxxxxxxxxxxxxxxx.",
		},
		"user data": {
			ec2.CreateLaunchTemplateInput{LaunchTemplateData: &data{UserData: aws.String("not base64")}},
			"InvalidUserData.Malformed",
			"Invalid BASE64 encoding of user data.",
		},
		"hop limit": {
			ec2.CreateLaunchTemplateInput{LaunchTemplateData: &data{MetadataOptions: hops(999)}},
			"InvalidParameterValue",
			"A value of ‘999’ is not valid for http-put-response-hop-limit. Specify a value between 1 and 64, and try again.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if v.in.LaunchTemplateName == nil {
				v.in.LaunchTemplateName = aws.String("free")
			}
			_, err := c.Client.CreateLaunchTemplate(t.Context(), &v.in)
			ec2test.Expect(t, err, v.code, v.message)
		})
	}
}

func hops(n int32) *ec2types.LaunchTemplateInstanceMetadataOptionsRequest {
	return &ec2types.LaunchTemplateInstanceMetadataOptionsRequest{HttpPutResponseHopLimit: &n}
}

// What the real service accepted with a warning, or without.
func TestCreateWarns(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for i, v := range []struct {
		data data
		want []string
	}{
		{data{ImageId: aws.String("ami-00000000000000001"), KeyName: aws.String("missing")}, nil},
		{data{ImageId: aws.String("resolve:ssm:/anything")}, nil},
		{data{InstanceType: "not-real"}, []string{"InvalidInstanceType: The following supplied instance types do not exist: [not-real]"}},
		{data{HibernationOptions: &ec2types.LaunchTemplateHibernationOptionsRequest{Configured: aws.Bool(true)}, EnclaveOptions: &ec2types.LaunchTemplateEnclaveOptionsRequest{Enabled: aws.Bool(true)}}, nil},
		{
			data{
				SecurityGroupIds:  []string{"sg-00000000000000001"},
				NetworkInterfaces: []ec2types.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest{{Groups: []string{"sg-00000000000000002"}}},
			},
			[]string{
				"InvalidParameterCombination: If you specify a network interface, you must specify all security groups as part of the network interface.",
				"InvalidSecurityGroupID.NotFound: The security group 'sg-00000000000000002' does not exist",
			},
		},
	} {
		out, err := c.Client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String(fmt.Sprint("warned-", i)), LaunchTemplateData: &v.data})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		if out.Warning != nil {
			for _, e := range out.Warning.Errors {
				got = append(got, *e.Code+": "+*e.Message)
			}
		}
		if !slices.Equal(got, v.want) {
			t.Errorf("%d: got %q, want %q", i, got, v.want)
		}
	}
}

func TestNewTemplate(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	out, err := c.Client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("web"), VersionDescription: aws.String("first"),
		LaunchTemplateData: &data{MetadataOptions: hops(2), TagSpecifications: []ec2types.LaunchTemplateTagSpecificationRequest{{ResourceType: "instance", Tags: tags("of", "instances")}}},
		TagSpecifications:  []ec2types.TagSpecification{{ResourceType: "launch-template", Tags: tags("of", "the template")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	lt := out.LaunchTemplate
	if n := *lt.LaunchTemplateId; !strings.HasPrefix(n, "lt-") || len(n) != 20 || *lt.DefaultVersionNumber != 1 || *lt.LatestVersionNumber != 1 ||
		*lt.CreatedBy != "arn:aws:iam::123456789012:root" || *lt.Operator.Managed || len(lt.Tags) != 1 || *lt.Tags[0].Value != "the template" {
		t.Errorf("got %+v", lt)
	}
	if want := time.Date(2026, 9, 27, 4, 28, 26, 0, time.UTC); !lt.CreateTime.Equal(want) {
		t.Errorf("made at %v, want whole seconds: %v", lt.CreateTime, want)
	}
	versions, err := c.Client.DescribeLaunchTemplateVersions(t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: aws.String("web")})
	if err != nil {
		t.Fatal(err)
	}
	v := versions.LaunchTemplateVersions[0]
	m := v.LaunchTemplateData.MetadataOptions
	if !*v.DefaultVersion || *v.VersionDescription != "first" || *m.HttpPutResponseHopLimit != 2 || m.HttpTokens != "" || m.State != "" || v.LaunchTemplateData.InstanceType != "" {
		t.Errorf("no default is filled in: got %+v %+v", v, m)
	}
	if plain := create(t, c, "plain", nano()); plain.Tags != nil {
		t.Errorf("got tags %v", plain.Tags)
	}
}

func tags(key, value string) []ec2types.Tag { return []ec2types.Tag{{Key: &key, Value: &value}} }

func TestTokens(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	made := func(description string) (*ec2.CreateLaunchTemplateOutput, error) {
		return c.Client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
			LaunchTemplateName: aws.String("web"), ClientToken: aws.String("t"), VersionDescription: &description, LaunchTemplateData: nano(),
		})
	}
	first, err := made("d")
	if err != nil {
		t.Fatal(err)
	}
	again, err := made("d")
	if err != nil || *again.LaunchTemplate.LaunchTemplateId != *first.LaunchTemplate.LaunchTemplateId {
		t.Errorf("replay: %v %v", again, err)
	}
	_, err = made("other")
	ec2test.Expect(t, err, "IdempotentParameterMismatch", "Client token already used before.")

	id := first.LaunchTemplate.LaunchTemplateId
	version := func(kind string) (*ec2.CreateLaunchTemplateVersionOutput, error) {
		return c.Client.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{
			LaunchTemplateId: id, ClientToken: aws.String("v"), LaunchTemplateData: &data{InstanceType: ec2types.InstanceType(kind)},
		})
	}
	for range 2 {
		v, err := version("t3.micro")
		if err != nil || *v.LaunchTemplateVersion.VersionNumber != 2 {
			t.Fatalf("got %v %v", v, err)
		}
	}
	_, err = version("t3.small")
	ec2test.Expect(t, err, "IdempotentParameterMismatch", "Client token already used before")
	_, err = made("d") // the template is not any more what the answer said
	ec2test.Expect(t, err, "IdempotentParameterMismatch", "")

	set := func(v string) error {
		_, err := c.Client.ModifyLaunchTemplate(t.Context(), &ec2.ModifyLaunchTemplateInput{LaunchTemplateId: id, DefaultVersion: &v, ClientToken: aws.String("m")})
		return err
	}
	ec2test.Expect(t, set("2"), "", "")
	ec2test.Expect(t, set("2"), "", "")
	ec2test.Expect(t, set("1"), "IdempotentParameterMismatch", "The specified client token has already been used before.")
	if _, err := c.Client.DeleteLaunchTemplate(t.Context(), &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: id}); err != nil {
		t.Fatal(err)
	}
	_, err = made("d")
	ec2test.Expect(t, err, "IdempotentParameterMismatch", "")
}

func TestVersionsMergeShallowly(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	first := create(t, c, "web", &data{
		ImageId: aws.String("ami-00000000000000001"), KeyName: aws.String("k"),
		MetadataOptions:   &ec2types.LaunchTemplateInstanceMetadataOptionsRequest{HttpTokens: "required", HttpPutResponseHopLimit: aws.Int32(2)},
		Placement:         &ec2types.LaunchTemplatePlacementRequest{Tenancy: "default", AvailabilityZone: aws.String("us-east-1a")},
		TagSpecifications: []ec2types.LaunchTemplateTagSpecificationRequest{{ResourceType: "instance", Tags: tags("a", "1")}},
		BlockDeviceMappings: []ec2types.LaunchTemplateBlockDeviceMappingRequest{{
			DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.LaunchTemplateEbsBlockDeviceRequest{VolumeSize: aws.Int32(9), VolumeType: "gp3"},
		}},
	})
	for _, source := range []string{"1", "$Latest", "$Default"} {
		v := addVersion(t, c, first.LaunchTemplateId, source, &data{
			MetadataOptions:   &ec2types.LaunchTemplateInstanceMetadataOptionsRequest{HttpEndpoint: "enabled"},
			Placement:         &ec2types.LaunchTemplatePlacementRequest{AvailabilityZone: aws.String("us-east-1b")},
			TagSpecifications: []ec2types.LaunchTemplateTagSpecificationRequest{{ResourceType: "instance", Tags: tags("b", "2")}},
		})
		d := v.LaunchTemplateData
		if m := d.MetadataOptions; m.HttpTokens != "" || m.HttpPutResponseHopLimit != nil || m.HttpEndpoint != "enabled" {
			t.Errorf("%s: got %+v", source, m)
		}
		if d.Placement.Tenancy != "" || len(d.TagSpecifications) != 1 || *d.TagSpecifications[0].Tags[0].Key != "b" {
			t.Errorf("%s: got %+v %+v", source, d.Placement, d.TagSpecifications)
		}
		if *d.ImageId != "ami-00000000000000001" || *d.KeyName != "k" || *d.BlockDeviceMappings[0].Ebs.VolumeSize != 9 || *v.DefaultVersion {
			t.Errorf("%s: got %+v", source, d)
		}
	}
	copied := addVersion(t, c, first.LaunchTemplateId, "1", &data{})
	if *copied.LaunchTemplateData.KeyName != "k" || *copied.VersionNumber != 5 {
		t.Errorf("got %+v", copied)
	}
	if alone := addVersion(t, c, first.LaunchTemplateId, "", nano()); alone.LaunchTemplateData.ImageId != nil {
		t.Error("inherited without a source")
	}
	_, err := c.Client.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{
		LaunchTemplateId: first.LaunchTemplateId, SourceVersion: aws.String("99"), LaunchTemplateData: nano(),
	})
	ec2test.Expect(t, err, "InvalidLaunchTemplateId.VersionNotFound", "Could not find the specified version 99 for the launch template with ID "+*first.LaunchTemplateId+".")
	_, err = c.Client.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateId: first.LaunchTemplateId, LaunchTemplateData: &data{}})
	ec2test.Expect(t, err, "MissingParameter", "")
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	a, b := create(t, c, "aaa", nano()), create(t, c, "bbb", nano())
	for name, v := range map[string]struct {
		in            ec2.DescribeLaunchTemplatesInput
		code, message string
	}{
		"malformed":    {ec2.DescribeLaunchTemplatesInput{LaunchTemplateIds: []string{"oops"}}, "InvalidLaunchTemplateId.Malformed", "The following launch template ids are malformed: oops"},
		"unknown id":   {ec2.DescribeLaunchTemplatesInput{LaunchTemplateIds: []string{"lt-00000000000000001"}}, "InvalidLaunchTemplateId.NotFound", "At least one of the launch templates specified in the request does not exist."},
		"unknown name": {ec2.DescribeLaunchTemplatesInput{LaunchTemplateNames: []string{"none"}}, "InvalidLaunchTemplateName.NotFoundException", "At least one of the launch templates specified in the request does not exist."},
		"filter":       {ec2.DescribeLaunchTemplatesInput{LaunchTemplateIds: []string{*a.LaunchTemplateId}, Filters: []ec2types.Filter{{Name: aws.String("garbage"), Values: []string{"x"}}}}, "InvalidParameterValue", "The filter 'garbage' is invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := c.Client.DescribeLaunchTemplates(t.Context(), &v.in)
			ec2test.Expect(t, err, v.code, v.message)
		})
	}
	out, err := c.Client.DescribeLaunchTemplates(t.Context(), &ec2.DescribeLaunchTemplatesInput{MaxResults: aws.Int32(1)})
	if err != nil || len(out.LaunchTemplates) != 1 || out.NextToken == nil {
		t.Fatalf("got %v %v", out, err)
	}
	rest, err := c.Client.DescribeLaunchTemplates(t.Context(), &ec2.DescribeLaunchTemplatesInput{NextToken: out.NextToken})
	if err != nil || len(rest.LaunchTemplates) != 1 || rest.NextToken != nil || *rest.LaunchTemplates[0].LaunchTemplateId == *out.LaunchTemplates[0].LaunchTemplateId {
		t.Fatalf("got %v %v", rest, err)
	}
	if out, err := c.As(ec2test.Other).DescribeLaunchTemplates(t.Context(), &ec2.DescribeLaunchTemplatesInput{}); err != nil || len(out.LaunchTemplates) != 0 {
		t.Errorf("another account sees %v %v", out, err)
	}
	named, err := c.Client.DescribeLaunchTemplates(t.Context(), &ec2.DescribeLaunchTemplatesInput{LaunchTemplateNames: []string{"bbb"}})
	if err != nil || *named.LaunchTemplates[0].LaunchTemplateId != *b.LaunchTemplateId {
		t.Errorf("got %v %v", named, err)
	}
}

func TestDescribeVersions(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := create(t, c, "web", nano()).LaunchTemplateId
	for range 3 {
		addVersion(t, c, id, "1", &data{})
	}
	create(t, c, "other", &data{ImageId: aws.String("resolve:ssm:/web")})
	list := func(in ec2.DescribeLaunchTemplateVersionsInput) string {
		t.Helper()
		out, err := c.Client.DescribeLaunchTemplateVersions(t.Context(), &in)
		if err != nil {
			return ec2test.FailureOf(err).Code
		}
		var numbers []int64
		for _, v := range out.LaunchTemplateVersions {
			numbers = append(numbers, *v.VersionNumber)
		}
		return fmt.Sprint(numbers)
	}
	for _, v := range []struct {
		in   ec2.DescribeLaunchTemplateVersionsInput
		want string
	}{
		{ec2.DescribeLaunchTemplateVersionsInput{}, "MissingParameter"},
		{ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"1"}}, "MissingParameter"},
		{ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: id, LaunchTemplateName: aws.String("web")}, "InvalidParameterCombination"},
		{ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: id}, "[4 3 2 1]"},
		{ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: id, Versions: []string{"x"}}, "InvalidParameterValue"},
		{ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: id, Versions: []string{"0"}}, "InvalidParameterValue"},
		{ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: aws.String("web"), Versions: []string{"999"}}, "InvalidLaunchTemplateId.VersionNotFound"},
		{ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: id, Versions: []string{"1", "1", "$Default"}}, "[1 1 1]"},
		{ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: id, MinVersion: aws.String("2"), MaxVersion: aws.String("3")}, "[3 2]"},
		{ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: id, MinVersion: aws.String("2"), Versions: []string{"1"}}, "InvalidParameterCombination"},
		{ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: id, MaxResults: aws.Int32(1)}, "[4]"},
		{ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Default"}}, "[1 1]"},
		{ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: id, Filters: []ec2types.Filter{{Name: aws.String("is-default-version"), Values: []string{"true"}}}}, "[1]"},
		{ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: id, Filters: []ec2types.Filter{{Name: aws.String("launch-template-id"), Values: []string{"x"}}}}, "InvalidParameterValue"},
	} {
		if got := list(v.in); got != v.want {
			t.Errorf("%+v: got %s, want %s", v.in, got, v.want)
		}
	}
	for resolve, want := range map[bool]string{true: "ami-0123456789abcdef0", false: "resolve:ssm:/web"} {
		out, err := c.Client.DescribeLaunchTemplateVersions(t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: aws.String("other"), ResolveAlias: &resolve})
		if err != nil || *out.LaunchTemplateVersions[0].LaunchTemplateData.ImageId != want {
			t.Errorf("got %v %v", out, err)
		}
	}
}

func TestDefaultMoves(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := create(t, c, "web", nano()).LaunchTemplateId
	addVersion(t, c, id, "1", &data{})
	_, err := c.Client.ModifyLaunchTemplate(t.Context(), &ec2.ModifyLaunchTemplateInput{LaunchTemplateId: id})
	ec2test.Expect(t, err, "MissingParameter", "A launch template version must be specified to set the new default version for the template with ID "+*id+".")
	out, err := c.Client.ModifyLaunchTemplate(t.Context(), &ec2.ModifyLaunchTemplateInput{LaunchTemplateId: id, DefaultVersion: aws.String("$Latest")})
	if err != nil || *out.LaunchTemplate.DefaultVersionNumber != 2 || !out.LaunchTemplate.CreateTime.Equal(time.Unix(0, 0)) || out.LaunchTemplate.Tags != nil {
		t.Errorf("got %+v %v", out, err)
	}
	addVersion(t, c, id, "1", &data{})
	now, err := c.Client.DescribeLaunchTemplates(t.Context(), &ec2.DescribeLaunchTemplatesInput{LaunchTemplateIds: []string{*id}})
	if err != nil || *now.LaunchTemplates[0].DefaultVersionNumber != 2 || now.LaunchTemplates[0].CreateTime.Year() != 2026 {
		t.Errorf("$Latest was kept, not its number, or the time was lost: %+v %v", now.LaunchTemplates, err)
	}
}

func TestDeleteVersions(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := create(t, c, "web", nano()).LaunchTemplateId
	for range 3 {
		addVersion(t, c, id, "1", &data{})
	}
	remove := func(versions ...string) (*ec2.DeleteLaunchTemplateVersionsOutput, error) {
		return c.Client.DeleteLaunchTemplateVersions(t.Context(), &ec2.DeleteLaunchTemplateVersionsInput{LaunchTemplateId: id, Versions: versions})
	}
	for _, bad := range []string{"x", "0", "-1"} {
		_, err := remove("2", bad, "$Default")
		ec2test.Expect(t, err, "InvalidParameterValue", "Invalid value for version: "+bad)
	}
	for _, bad := range []string{"1", "$Default"} {
		_, err := remove("2", bad)
		ec2test.Expect(t, err, "InvalidParameterValue", "The default version cannot be deleted. Either specify another version as default or delete the launch template.")
	}
	out, err := remove("$Latest", "999")
	if err != nil || len(out.SuccessfullyDeletedLaunchTemplateVersions) != 1 || *out.SuccessfullyDeletedLaunchTemplateVersions[0].VersionNumber != 4 {
		t.Fatalf("got %+v %v", out, err)
	}
	missing := out.UnsuccessfullyDeletedLaunchTemplateVersions[0]
	if *missing.VersionNumber != 999 || missing.ResponseError.Code != "launchTemplateVersionDoesNotExist" || *missing.ResponseError.Message != "The launch template version does not exist." {
		t.Errorf("got %+v", missing)
	}
	if v := addVersion(t, c, id, "1", &data{}); *v.VersionNumber != 5 {
		t.Errorf("the counter went back: %d", *v.VersionNumber)
	}
	if _, err := remove("5", "3"); err != nil {
		t.Fatal(err)
	}
	now, err := c.Client.DescribeLaunchTemplates(t.Context(), &ec2.DescribeLaunchTemplatesInput{LaunchTemplateIds: []string{*id}})
	if err != nil || *now.LaunchTemplates[0].LatestVersionNumber != 2 {
		t.Errorf("got %+v %v", now.LaunchTemplates, err)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := create(t, c, "web", nano()).LaunchTemplateId
	out, err := c.Client.DeleteLaunchTemplate(t.Context(), &ec2.DeleteLaunchTemplateInput{LaunchTemplateName: aws.String("web")})
	if err != nil || *out.LaunchTemplate.LaunchTemplateId != *id || out.LaunchTemplate.CreateTime.Year() != 2026 {
		t.Errorf("got %+v %v", out, err)
	}
	gone := "The specified launch template, with template ID " + *id + ", does not exist."
	_, err = c.Client.DeleteLaunchTemplate(t.Context(), &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: id})
	ec2test.Expect(t, err, "InvalidLaunchTemplateId.NotFound", gone)
	_, err = c.Client.DeleteLaunchTemplateVersions(t.Context(), &ec2.DeleteLaunchTemplateVersionsInput{LaunchTemplateId: id, Versions: []string{"1"}})
	ec2test.Expect(t, err, "InvalidLaunchTemplateId.NotFound", gone)
	create(t, c, "web", nano()) // the name is free again
}

// A snapshot of a mapping is not inherited.
func TestVersionsLoseSnapshots(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	disks := []ec2types.LaunchTemplateBlockDeviceMappingRequest{{
		DeviceName: aws.String("/dev/sdf"), Ebs: &ec2types.LaunchTemplateEbsBlockDeviceRequest{SnapshotId: aws.String("snap-00000000000000001"), VolumeSize: aws.Int32(9)},
	}}
	first := create(t, c, "web", &data{KeyName: aws.String("k"), BlockDeviceMappings: disks})
	lost := addVersion(t, c, first.LaunchTemplateId, "1", &data{KeyName: aws.String("other")}).LaunchTemplateData.BlockDeviceMappings
	if len(lost) != 1 || lost[0].Ebs.SnapshotId != nil || *lost[0].Ebs.VolumeSize != 9 {
		t.Errorf("got %+v", lost)
	}
	kept := addVersion(t, c, first.LaunchTemplateId, "1", &data{BlockDeviceMappings: disks}).LaunchTemplateData.BlockDeviceMappings
	if len(kept) != 1 || *kept[0].Ebs.SnapshotId != "snap-00000000000000001" {
		t.Errorf("got %+v", kept)
	}
}
