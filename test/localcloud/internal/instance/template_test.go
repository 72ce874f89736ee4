package instance_test

import (
	"encoding/base64"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
)

func TestRunWithTemplate(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	image := c.Image(t, nil)
	template, err := c.Client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("web"), LaunchTemplateData: &ec2types.RequestLaunchTemplateData{
			ImageId: &image, InstanceType: "m6i.large", UserData: aws.String(base64.StdEncoding.EncodeToString([]byte("hello"))),
			MetadataOptions: &ec2types.LaunchTemplateInstanceMetadataOptionsRequest{HttpTokens: "required", HttpPutResponseHopLimit: aws.Int32(2), InstanceMetadataTags: "enabled"},
			TagSpecifications: []ec2types.LaunchTemplateTagSpecificationRequest{{ResourceType: "instance", Tags: []ec2types.Tag{
				{Key: aws.String("both"), Value: aws.String("template")}, {Key: aws.String("only"), Value: aws.String("template")},
			}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	lt := template.LaunchTemplate.LaunchTemplateId
	if _, err := c.Client.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{
		LaunchTemplateId: lt, LaunchTemplateData: &ec2types.RequestLaunchTemplateData{InstanceType: "t3.nano"},
	}); err != nil {
		t.Fatal(err)
	}
	in := &ec2.RunInstancesInput{
		MinCount: aws.Int32(1), MaxCount: aws.Int32(1), LaunchTemplate: &ec2types.LaunchTemplateSpecification{LaunchTemplateName: aws.String("web")},
		MetadataOptions: &ec2types.InstanceMetadataOptionsRequest{HttpEndpoint: "enabled"}, TagSpecifications: instanceTags("both", "request"),
	}
	out, err := c.Client.RunInstances(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	made := out.Instances[0]
	if m := made.MetadataOptions; made.InstanceType != "m6i.large" || m.HttpTokens != "required" || *m.HttpPutResponseHopLimit != 2 || m.HttpEndpoint != "enabled" || m.InstanceMetadataTags != "enabled" {
		t.Errorf("members are merged one by one, of the default version: got %+v", made)
	}
	got := map[string]string{}
	for _, tag := range made.Tags {
		got[*tag.Key] = *tag.Value
	}
	if len(got) != 4 || got["both"] != "request" || got["only"] != "template" || got["aws:ec2launchtemplate:id"] != *lt || got["aws:ec2launchtemplate:version"] != "1" {
		t.Errorf("got %v", got)
	}
	if spec := c.driver.Spec(*made.InstanceId); string(spec.Metadata.UserData) != "hello" || !spec.Metadata.TokensRequired || !spec.Metadata.Tags {
		t.Errorf("got %+v", spec.Metadata)
	}
	for version, code := range map[string]string{"99": "InvalidLaunchTemplateId.VersionNotFound", "2": "MissingParameter", "$Latest": "MissingParameter", "x": "InvalidParameterValue"} {
		in.LaunchTemplate.Version, in.DryRun, in.ClientToken = &version, aws.Bool(true), nil // the client has set a token
		_, err := c.Client.RunInstances(t.Context(), in)
		ec2test.Expect(t, err, code, "")
	}
	data, err := c.Client.GetLaunchTemplateData(t.Context(), &ec2.GetLaunchTemplateDataInput{InstanceId: made.InstanceId})
	if err != nil {
		t.Fatal(err)
	}
	d := data.LaunchTemplateData
	if *d.ImageId != image || d.InstanceType != "m6i.large" || len(d.TagSpecifications[0].Tags) != 2 || *d.BlockDeviceMappings[0].Ebs.VolumeSize != 8 ||
		d.NetworkInterfaces[0].Ipv6Addresses == nil || *d.NetworkInterfaces[0].Description != "" || d.InstanceInitiatedShutdownBehavior != "stop" || *d.UserData == "" || d.MetadataOptions.State != "" {
		t.Errorf("got %+v", d)
	}
	_, err = c.Client.GetLaunchTemplateData(t.Context(), &ec2.GetLaunchTemplateDataInput{InstanceId: aws.String("i-00000000000000001")})
	ec2test.Expect(t, err, "InvalidInstanceID.NotFound", "")
}
