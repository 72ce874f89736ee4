package instance_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
)

func TestAttributes(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := c.running(t, nil)
	modify := func(in ec2.ModifyInstanceAttributeInput) error {
		in.InstanceId = &id
		_, err := c.Client.ModifyInstanceAttribute(t.Context(), &in)
		return err
	}
	type value = ec2types.AttributeValue
	yes := &ec2types.AttributeBooleanValue{Value: aws.Bool(true)}
	kind := ec2.ModifyInstanceAttributeInput{InstanceType: &value{Value: aws.String("t3.large")}}
	ec2test.Expect(t, modify(kind), "IncorrectInstanceState", "The instance '"+id+"' is not in the 'stopped' state.")
	ec2test.Expect(t, modify(ec2.ModifyInstanceAttributeInput{}), "InvalidParameterCombination", "")
	ec2test.Expect(t, modify(ec2.ModifyInstanceAttributeInput{DisableApiStop: yes, DisableApiTermination: yes}), "InvalidParameterCombination", "")
	ec2test.Expect(t, modify(ec2.ModifyInstanceAttributeInput{InstanceInitiatedShutdownBehavior: &value{Value: aws.String("terminate")}}), "", "")
	ec2test.Expect(t, modify(ec2.ModifyInstanceAttributeInput{Attribute: "sourceDestCheck", Value: aws.String("false")}), "", "")
	ec2test.Expect(t, modify(ec2.ModifyInstanceAttributeInput{Attribute: "sourceDestCheck", Value: aws.String("maybe")}), "InvalidParameterValue", "")
	ec2test.Expect(t, modify(ec2.ModifyInstanceAttributeInput{BlockDeviceMappings: []ec2types.InstanceBlockDeviceMappingSpecification{{
		DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsInstanceBlockDeviceSpecification{DeleteOnTermination: aws.Bool(false)},
	}}}), "", "")
	if _, err := c.Client.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: []string{id}}); err != nil {
		t.Fatal(err)
	}
	c.Clock.Advance(time.Minute)
	ec2test.Expect(t, modify(kind), "", "")
	ec2test.Expect(t, modify(ec2.ModifyInstanceAttributeInput{EnaSupport: yes}), "", "")
	ec2test.Expect(t, modify(ec2.ModifyInstanceAttributeInput{SriovNetSupport: &value{Value: aws.String("simple")}}), "", "")
	ec2test.Expect(t, modify(ec2.ModifyInstanceAttributeInput{InstanceType: &value{Value: aws.String("t4g.nano")}}), "InvalidInstanceAttributeValue", "")
	ec2test.Expect(t, modify(ec2.ModifyInstanceAttributeInput{UserData: &ec2types.SecureBlobAttributeValue{Value: []byte("hi")}}), "", "")

	show := func(name ec2types.InstanceAttributeName) *ec2.DescribeInstanceAttributeOutput {
		t.Helper()
		out, err := c.Client.DescribeInstanceAttribute(t.Context(), &ec2.DescribeInstanceAttributeInput{InstanceId: &id, Attribute: name})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if out := show("instanceType"); *out.InstanceType.Value != "t3.large" || out.UserData != nil {
		t.Errorf("got %+v", out)
	}
	if out := show("userData"); *out.UserData.Value != "aGk=" {
		t.Errorf("got %+v", out)
	}
	if out := show("kernel"); out.KernelId == nil || out.KernelId.Value != nil {
		t.Errorf("got %+v", out)
	}
	if *show("instanceInitiatedShutdownBehavior").InstanceInitiatedShutdownBehavior.Value != "terminate" || *show("sourceDestCheck").SourceDestCheck.Value ||
		*show("disableApiTermination").DisableApiTermination.Value || *show("blockDeviceMapping").BlockDeviceMappings[0].Ebs.DeleteOnTermination {
		t.Error("changes were lost")
	}
	if _, err := c.Client.StartInstances(t.Context(), &ec2.StartInstancesInput{InstanceIds: []string{id}}); err != nil {
		t.Fatal(err)
	}
	if spec := c.driver.Spec(id); spec.Type != "t3.large" || string(spec.Metadata.UserData) != "hi" {
		t.Errorf("got %+v", spec)
	}
}
