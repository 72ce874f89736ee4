package template_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
)

// tape keeps the body of the last answer.
type tape struct {
	next ec2.HTTPClient
	body string
}

func (r *tape) Do(q *http.Request) (*http.Response, error) {
	a, err := r.next.Do(q)
	if err != nil {
		return a, err
	}
	body, err := io.ReadAll(a.Body)
	r.body, a.Body = string(body), io.NopCloser(bytes.NewReader(body))
	return a, err
}

func recorded(c *ec2test.Cloud) (*ec2.Client, *tape) {
	options := c.Client.Options()
	r := &tape{next: options.HTTPClient}
	options.HTTPClient = r
	return ec2.New(options), r
}

// Recorded: what is absent from an answer, and what is there and empty.
func TestAbsentAndEmpty(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	client, answer := recorded(c)
	has := func(want bool, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if strings.Contains(answer.body, part) != want {
				t.Errorf("%s: want %v in\n%s", part, want, answer.body)
			}
		}
	}
	made, err := client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("web"), LaunchTemplateData: nano()})
	if err != nil {
		t.Fatal(err)
	}
	has(true, "<createTime>2026-09-27T04:28:26.000Z</createTime>", "<operator><managed>false</managed></operator>", `xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"`,
		"<defaultVersionNumber>1</defaultVersionNumber>", "<latestVersionNumber>1</latestVersionNumber>")
	has(false, "tagSet", "warning")
	id := made.LaunchTemplate.LaunchTemplateId
	if _, err := client.DescribeLaunchTemplateVersions(t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: id}); err != nil {
		t.Fatal(err)
	}
	has(true, "<launchTemplateData><instanceType>t3.nano</instanceType></launchTemplateData>", "<defaultVersion>true</defaultVersion>", "<operator><managed>false</managed></operator>")
	has(false, "versionDescription", "nextToken", "tagSpecificationSet", "blockDeviceMappingSet")
	if _, err := client.DeleteLaunchTemplateVersions(t.Context(), &ec2.DeleteLaunchTemplateVersionsInput{LaunchTemplateId: id, Versions: []string{"9"}}); err != nil {
		t.Fatal(err)
	}
	has(true, "<successfullyDeletedLaunchTemplateVersionSet></successfullyDeletedLaunchTemplateVersionSet>", "<unsuccessfullyDeletedLaunchTemplateVersionSet><item>")
	addVersion(t, c, id, "1", &data{})
	if _, err := client.DeleteLaunchTemplateVersions(t.Context(), &ec2.DeleteLaunchTemplateVersionsInput{LaunchTemplateId: id, Versions: []string{"2"}}); err != nil {
		t.Fatal(err)
	}
	has(true, "<unsuccessfullyDeletedLaunchTemplateVersionSet></unsuccessfullyDeletedLaunchTemplateVersionSet>", "<successfullyDeletedLaunchTemplateVersionSet><item>")
	_, err = client.DescribeLaunchTemplates(t.Context(), &ec2.DescribeLaunchTemplatesInput{LaunchTemplateIds: []string{"lt-00000000000000001"}})
	if err == nil {
		t.Error("found what is not there")
	}
	has(true, "<Response><Errors><Error><Code>InvalidLaunchTemplateId.NotFound</Code><Message>", "</Error></Errors><RequestID>")
	has(false, "<Type>", "requestId")
}

// Recorded: ModifyLaunchTemplate and DeleteLaunchTemplate answer without the tags that a template has, and later descriptions have them again.
func TestAnswersWithoutTags(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	out, err := c.Client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("web"), LaunchTemplateData: nano(), TagSpecifications: []ec2types.TagSpecification{{ResourceType: "launch-template", Tags: tags("ключ", "")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	id := out.LaunchTemplate.LaunchTemplateId
	modified, err := c.Client.ModifyLaunchTemplate(t.Context(), &ec2.ModifyLaunchTemplateInput{LaunchTemplateId: id, DefaultVersion: aws.String("1")})
	if err != nil || modified.LaunchTemplate.Tags != nil || modified.LaunchTemplate.CreateTime.Unix() != 0 {
		t.Errorf("got %+v %v", modified, err)
	}
	seen, err := c.Client.DescribeLaunchTemplates(t.Context(), &ec2.DescribeLaunchTemplatesInput{Filters: []ec2types.Filter{{Name: aws.String("tag:ключ"), Values: []string{""}}}})
	if err != nil || len(seen.LaunchTemplates) != 1 || len(seen.LaunchTemplates[0].Tags) != 1 || *seen.LaunchTemplates[0].Tags[0].Value != "" || seen.LaunchTemplates[0].CreateTime.Unix() == 0 {
		t.Errorf("got %+v %v", seen, err)
	}
	deleted, err := c.Client.DeleteLaunchTemplate(t.Context(), &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: id})
	if err != nil || deleted.LaunchTemplate.Tags != nil || *deleted.LaunchTemplate.LatestVersionNumber != 1 || deleted.LaunchTemplate.CreateTime.Unix() == 0 {
		t.Errorf("got %+v %v", deleted, err)
	}
	_, err = c.Client.DescribeLaunchTemplates(t.Context(), &ec2.DescribeLaunchTemplatesInput{LaunchTemplateIds: []string{*id}})
	ec2test.Expect(t, err, "InvalidLaunchTemplateId.NotFound", "")
}

// What a version holds comes back member by member, in scripts that are not ours and at the ends of what numbers can be.
func TestDataComesBackAsGiven(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	script := base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\necho '<&>\" \x00\x01 grüße 你好 🙂'\n"))
	given := &data{
		ImageId: aws.String("ami-0123456789abcdef0"), InstanceType: "t3.nano", UserData: &script, KeyName: aws.String("schlüssel <1> & \"zwei\""), EbsOptimized: aws.Bool(false),
		DisableApiTermination: aws.Bool(true), InstanceInitiatedShutdownBehavior: "terminate", SecurityGroupIds: []string{"sg-1", "sg-2", "sg-1"},
		Monitoring:         &ec2types.LaunchTemplatesMonitoringRequest{Enabled: aws.Bool(false)},
		MetadataOptions:    &ec2types.LaunchTemplateInstanceMetadataOptionsRequest{HttpTokens: "required", HttpPutResponseHopLimit: aws.Int32(64), InstanceMetadataTags: "enabled"},
		IamInstanceProfile: &ec2types.LaunchTemplateIamInstanceProfileSpecificationRequest{Name: aws.String("web")},
		BlockDeviceMappings: []ec2types.LaunchTemplateBlockDeviceMappingRequest{
			{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.LaunchTemplateEbsBlockDeviceRequest{VolumeSize: aws.Int32(65536), Iops: aws.Int32(16000), Throughput: aws.Int32(1000), VolumeType: "gp3", DeleteOnTermination: aws.Bool(false), Encrypted: aws.Bool(true)}},
			{DeviceName: aws.String("/dev/sdb"), VirtualName: aws.String("ephemeral0")},
			{DeviceName: aws.String("/dev/sdc"), NoDevice: aws.String("")},
		},
		TagSpecifications: []ec2types.LaunchTemplateTagSpecificationRequest{{ResourceType: "instance", Tags: tags("a b", "c=d&e")}, {ResourceType: "volume", Tags: tags("", "")}},
		Placement:         &ec2types.LaunchTemplatePlacementRequest{PartitionNumber: aws.Int32(2147483647)},
	}
	id := create(t, c, "web", given).LaunchTemplateId
	out, err := c.Client.DescribeLaunchTemplateVersions(t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: id})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := compact(t, out.LaunchTemplateVersions[0].LaunchTemplateData), compact(t, given); got != want {
		t.Errorf("came back as\n%s\nwant\n%s", got, want)
	}
}

// compact writes a structure as JSON without the members that are not there.
func compact(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	text, err = json.Marshal(prune(tree))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, below := range v {
			if below = prune(below); below == nil || below == "" && k != "NoDevice" && k != "Value" && k != "Key" {
				delete(v, k)
			}
		}
	case []any:
		for i := range v {
			v[i] = prune(v[i])
		}
	}
	return v
}

// Documented: the limits of what a template says of itself.
func TestLimits(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := create(t, c, "web", nano()).LaunchTemplateId
	for _, test := range []struct {
		description, userData int
		code                  string
	}{{255, 16384, ""}, {256, 1, "InvalidParameterValue"}, {1, 16385, "InvalidUserData.Malformed"}} {
		text, script := strings.Repeat("ü", test.description), base64.StdEncoding.EncodeToString(make([]byte, test.userData))
		_, err := c.Client.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateId: id, VersionDescription: &text, LaunchTemplateData: &data{UserData: &script}})
		ec2test.Expect(t, err, test.code, "")
	}
	for name, good := range map[string]bool{
		"ab": false, "abc": true, strings.Repeat("n", 128): true, strings.Repeat("n", 129): false, "a b": false, "ä.b": false, "a-(b)./_C9": true, "a\nb": false, "": false,
	} {
		_, err := c.Client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: &name, LaunchTemplateData: nano()})
		if f := ec2test.FailureOf(err); good != (err == nil) || !good && f.Code != "InvalidLaunchTemplateName.MalformedException" && f.Code != "MissingParameter" {
			t.Errorf("%q: %v", name, err)
		}
	}
	for hops, good := range map[int32]bool{0: false, 1: true, 64: true, 65: false} {
		_, err := c.Client.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateId: id, LaunchTemplateData: &data{MetadataOptions: &ec2types.LaunchTemplateInstanceMetadataOptionsRequest{HttpPutResponseHopLimit: &hops}}})
		if good != (err == nil) {
			t.Errorf("%d hops: %v", hops, err)
		}
	}
}

// Recorded: an unknown template is refused by every operation that names one, in the singular, by id and by name.
func TestUnknownTemplates(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for _, test := range []struct {
		id, name      *string
		code, message string
	}{
		{aws.String("lt-00000000000000001"), nil, "InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID lt-00000000000000001, does not exist."},
		{nil, aws.String("none"), "InvalidLaunchTemplateName.NotFoundException", "The specified launch template, with template name none, does not exist."},
		{aws.String("oops"), nil, "InvalidLaunchTemplateId.Malformed", "The following launch template ids are malformed: oops"},
		{aws.String("lt-00000000000000001"), aws.String("none"), "InvalidParameterCombination", "Either provide launch template ID or launch template name to modify the template."},
		{nil, nil, "MissingParameter", "Either launch template ID or launch template name must be specified."},
	} {
		for name, call := range map[string]func() error{
			"version": func() error {
				_, err := c.Client.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateId: test.id, LaunchTemplateName: test.name, LaunchTemplateData: nano()})
				return err
			},
			"modify": func() error {
				_, err := c.Client.ModifyLaunchTemplate(t.Context(), &ec2.ModifyLaunchTemplateInput{LaunchTemplateId: test.id, LaunchTemplateName: test.name, DefaultVersion: aws.String("1")})
				return err
			},
			"delete": func() error {
				_, err := c.Client.DeleteLaunchTemplate(t.Context(), &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: test.id, LaunchTemplateName: test.name})
				return err
			},
			"delete versions": func() error {
				_, err := c.Client.DeleteLaunchTemplateVersions(t.Context(), &ec2.DeleteLaunchTemplateVersionsInput{LaunchTemplateId: test.id, LaunchTemplateName: test.name, Versions: []string{"1"}})
				return err
			},
		} {
			t.Run(fmt.Sprintf("%s of %s %s", name, aws.ToString(test.id), aws.ToString(test.name)), func(t *testing.T) {
				t.Parallel()
				ec2test.Expect(t, call(), test.code, test.message)
			})
		}
	}
}

// A dry run finds what would go wrong, and changes nothing.
func TestDryRuns(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := create(t, c, "web", nano()).LaunchTemplateId
	addVersion(t, c, id, "1", &data{})
	yes := aws.Bool(true)
	for name, call := range map[string]func() error{
		"version": func() error {
			_, err := c.Client.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateId: id, LaunchTemplateData: nano(), DryRun: yes})
			return err
		},
		"modify": func() error {
			_, err := c.Client.ModifyLaunchTemplate(t.Context(), &ec2.ModifyLaunchTemplateInput{LaunchTemplateId: id, DefaultVersion: aws.String("2"), DryRun: yes})
			return err
		},
		"delete": func() error {
			_, err := c.Client.DeleteLaunchTemplate(t.Context(), &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: id, DryRun: yes})
			return err
		},
		"delete versions": func() error {
			_, err := c.Client.DeleteLaunchTemplateVersions(t.Context(), &ec2.DeleteLaunchTemplateVersionsInput{LaunchTemplateId: id, Versions: []string{"2"}, DryRun: yes})
			return err
		},
		"describe": func() error {
			_, err := c.Client.DescribeLaunchTemplates(t.Context(), &ec2.DescribeLaunchTemplatesInput{DryRun: yes})
			return err
		},
		"describe versions": func() error {
			_, err := c.Client.DescribeLaunchTemplateVersions(t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: id, DryRun: yes})
			return err
		},
	} {
		err := call()
		ec2test.Expect(t, err, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
		if f := ec2test.FailureOf(err); f.Status != http.StatusPreconditionFailed {
			t.Errorf("%s: status %d", name, f.Status)
		}
	}
	out, err := c.Client.DescribeLaunchTemplates(t.Context(), &ec2.DescribeLaunchTemplatesInput{LaunchTemplateIds: []string{*id}})
	if err != nil || *out.LaunchTemplates[0].LatestVersionNumber != 2 || *out.LaunchTemplates[0].DefaultVersionNumber != 1 {
		t.Errorf("got %+v %v", out, err)
	}
}
