package instance_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
)

func TestModifyRefuses(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.driver.Manual = true
	running, stopped, terminated := c.in(t, "running"), c.in(t, "stopped"), c.in(t, "terminated")
	yes := &ec2types.AttributeBooleanValue{Value: aws.Bool(true)}
	text := func(s string) *ec2types.AttributeValue { return &ec2types.AttributeValue{Value: &s} }
	mapping := func(device string) []ec2types.InstanceBlockDeviceMappingSpecification {
		return []ec2types.InstanceBlockDeviceMappingSpecification{{DeviceName: &device, Ebs: &ec2types.EbsInstanceBlockDeviceSpecification{DeleteOnTermination: aws.Bool(false)}}}
	}
	type input = ec2.ModifyInstanceAttributeInput
	for name, v := range map[string]struct {
		id            string
		in            input
		code, message string
	}{
		"none":            {running, input{}, "InvalidParameterCombination", "No attributes specified."},
		"two":             {running, input{UserData: &ec2types.SecureBlobAttributeValue{Value: []byte("x")}, DisableApiStop: yes}, "InvalidParameterCombination", "Fields for multiple attribute types specified: disableApiStop, userData"},
		"running, EBS":    {running, input{EbsOptimized: yes}, "IncorrectInstanceState", "The instance '" + running + "' is not in the 'stopped' state."},
		"running, data":   {running, input{UserData: &ec2types.SecureBlobAttributeValue{Value: []byte("x")}}, "IncorrectInstanceState", ""},
		"running, ENA":    {running, input{EnaSupport: yes}, "IncorrectInstanceState", ""},
		"running, SR-IOV": {running, input{SriovNetSupport: text("simple")}, "IncorrectInstanceState", ""},
		"type":            {stopped, input{InstanceType: text("x")}, "InvalidInstanceAttributeValue", "Invalid value 'x' for InstanceType."},
		"type of arm":     {stopped, input{InstanceType: text("t4g.nano")}, "InvalidInstanceAttributeValue", "The architecture 'arm64' of the instance type does not match the architecture 'x86_64' of the instance."},
		"large data":      {stopped, input{UserData: &ec2types.SecureBlobAttributeValue{Value: make([]byte, 16385)}}, "InvalidParameterValue", "User data is limited to 16384 bytes"},
		"behavior":        {running, input{InstanceInitiatedShutdownBehavior: text("explode")}, "InvalidParameterValue", "Value (explode) for parameter instanceInitiatedShutdownBehavior is invalid."},
		"device":          {running, input{BlockDeviceMappings: mapping("/dev/sdz")}, "InvalidInstanceAttributeValue", "No device is currently mapped at /dev/sdz"},
		"group":           {running, input{Groups: []string{"sg-1"}}, "InvalidGroup.NotFound", "The security group 'sg-1' does not exist"},
		"kernel":          {stopped, input{Kernel: text("aki-1")}, "UnsupportedOperation", ""},
		"old, unknown":    {running, input{Attribute: "kernel", Value: aws.String("x")}, "UnsupportedOperation", ""},
		"old, no boolean": {running, input{Attribute: "disableApiStop", Value: aws.String("perhaps")}, "InvalidParameterValue", "Value (perhaps) for parameter value is invalid. Expected a boolean."},
		"old, no value":   {running, input{Attribute: "disableApiStop"}, "InvalidParameterCombination", "No attributes specified."},
		"old, running":    {running, input{Attribute: "instanceType", Value: aws.String("t3.micro")}, "IncorrectInstanceState", ""},
		"terminated":      {terminated, input{BlockDeviceMappings: mapping("/dev/xvda")}, "InvalidInstanceAttributeValue", ""},
		"dry run":         {stopped, input{InstanceType: text("t3.micro"), DryRun: aws.Bool(true)}, "DryRunOperation", ""},
		"dry but wrong":   {stopped, input{InstanceType: text("x"), DryRun: aws.Bool(true)}, "InvalidInstanceAttributeValue", ""},
		"missing":         {"i-00000000000000001", input{DisableApiStop: yes}, "InvalidInstanceID.NotFound", ""},
	} {
		v.in.InstanceId = &v.id
		_, err := c.Client.ModifyInstanceAttribute(t.Context(), &v.in)
		if f := ec2test.FailureOf(err); f.Code != v.code || v.message != "" && f.Message != v.message {
			t.Errorf("%s: got %s %q", name, f.Code, f.Message)
		}
	}
	if got := c.get(t, stopped); got.InstanceType != "t3.nano" || *got.EbsOptimized {
		t.Errorf("a refused change was made: %+v", got)
	}
}

func TestModifyMetadata(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.driver.Manual = true
	running, terminated := c.in(t, "running"), c.in(t, "terminated")
	for name, v := range map[string]struct {
		id            string
		in            ec2.ModifyInstanceMetadataOptionsInput
		code, message string
	}{
		"hops":       {running, ec2.ModifyInstanceMetadataOptionsInput{HttpPutResponseHopLimit: aws.Int32(0)}, "InvalidParameterValue", "A value of ‘0’ is not valid for http-put-response-hop-limit. Specify a value between 1 and 64, and try again."},
		"dry run":    {running, ec2.ModifyInstanceMetadataOptionsInput{HttpTokens: "required", DryRun: aws.Bool(true)}, "DryRunOperation", ""},
		"terminated": {terminated, ec2.ModifyInstanceMetadataOptionsInput{HttpTokens: "required"}, "IncorrectInstanceState", ""},
		"tags":       {running, ec2.ModifyInstanceMetadataOptionsInput{InstanceMetadataTags: "enabled"}, "", ""},
		"limit":      {running, ec2.ModifyInstanceMetadataOptionsInput{HttpPutResponseHopLimit: aws.Int32(64)}, "", ""},
		"endpoint":   {running, ec2.ModifyInstanceMetadataOptionsInput{HttpEndpoint: "disabled"}, "", ""},
	} {
		v.in.InstanceId = &v.id
		_, err := c.Client.ModifyInstanceMetadataOptions(t.Context(), &v.in)
		if f := ec2test.FailureOf(err); f.Code != v.code || v.message != "" && f.Message != v.message {
			t.Errorf("%s: got %s %q", name, f.Code, f.Message)
		}
	}
	// Each change left what the others had set, and the machine was told.
	if o := c.get(t, running).MetadataOptions; o.HttpTokens != "optional" || o.InstanceMetadataTags != "enabled" || *o.HttpPutResponseHopLimit != 64 || o.HttpEndpoint != "disabled" {
		t.Errorf("got %+v", o)
	}
	if m := c.driver.Spec(running).Metadata; m.Enabled || !m.Tags || m.HopLimit != 64 {
		t.Errorf("the machine serves %+v", m)
	}
}

// DescribeInstanceAttribute answers the one attribute that is asked for, and an empty one where there is no value.
func TestDescribeAttributes(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := c.running(t, nil)
	for _, name := range ec2types.InstanceAttributeName("").Values() {
		out, err := c.Client.DescribeInstanceAttribute(t.Context(), &ec2.DescribeInstanceAttributeInput{InstanceId: &id, Attribute: name})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		answered := 0
		for _, there := range []bool{
			out.InstanceType != nil, out.KernelId != nil, out.RamdiskId != nil, out.UserData != nil, out.DisableApiTermination != nil, out.DisableApiStop != nil,
			out.InstanceInitiatedShutdownBehavior != nil, out.RootDeviceName != nil, out.BlockDeviceMappings != nil, out.ProductCodes != nil, out.SourceDestCheck != nil,
			out.Groups != nil, out.EbsOptimized != nil, out.SriovNetSupport != nil, out.EnaSupport != nil, out.EnclaveOptions != nil,
		} {
			if there {
				answered++
			}
		}
		if answered != 1 || *out.InstanceId != id {
			t.Errorf("%s: %d attributes are answered: %+v", name, answered, out)
		}
	}
	_, err := c.Client.DescribeInstanceAttribute(t.Context(), &ec2.DescribeInstanceAttributeInput{InstanceId: &id, Attribute: "x"})
	ec2test.Expect(t, err, "InvalidParameterValue", "Value (x) for parameter attribute is invalid. Unknown attribute.")
	_, err = c.Client.DescribeInstanceAttribute(t.Context(), &ec2.DescribeInstanceAttributeInput{InstanceId: &id, Attribute: "userData", DryRun: aws.Bool(true)})
	ec2test.Expect(t, err, "DryRunOperation", "")
}
