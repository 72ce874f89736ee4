package instance

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/listing"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// one returns the instance that a request names.
func one(r *state.Region, account string, id *string) (*state.Instance, error) {
	if aws.ToString(id) == "" {
		return nil, wire.Errorf("MissingParameter", "The request must contain the parameter InstanceId")
	}
	found, err := find(r, account, []string{*id})
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

func value(s string) *ec2types.AttributeValue {
	if s == "" {
		return &ec2types.AttributeValue{}
	}
	return &ec2types.AttributeValue{Value: &s}
}

func truth(b bool) *ec2types.AttributeBooleanValue { return &ec2types.AttributeBooleanValue{Value: &b} }

func (s *Service) describeAttribute(_ context.Context, c *wire.Call, in *ec2.DescribeInstanceAttributeInput) (*ec2.DescribeInstanceAttributeOutput, error) {
	out := &ec2.DescribeInstanceAttributeOutput{InstanceId: in.InstanceId}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		i, err := one(r, c.Account, in.InstanceId)
		if err != nil {
			return err
		}
		if aws.ToBool(in.DryRun) {
			return wire.ErrDryRun()
		}
		return showAttribute(i, in.Attribute, out)
	})
}

func showAttribute(i *state.Instance, name ec2types.InstanceAttributeName, out *ec2.DescribeInstanceAttributeOutput) error {
	switch name {
	case ec2types.InstanceAttributeNameInstanceType:
		out.InstanceType = value(string(i.InstanceType))
	case ec2types.InstanceAttributeNameKernel:
		out.KernelId = value("")
	case ec2types.InstanceAttributeNameRamdisk:
		out.RamdiskId = value("")
	case ec2types.InstanceAttributeNameUserData:
		out.UserData = value(i.UserData)
	case ec2types.InstanceAttributeNameDisableApiTermination:
		out.DisableApiTermination = truth(i.Protection)
	case ec2types.InstanceAttributeNameDisableApiStop:
		out.DisableApiStop = truth(i.StopProtection)
	case ec2types.InstanceAttributeNameInstanceInitiatedShutdownBehavior:
		out.InstanceInitiatedShutdownBehavior = value(string(i.Shutdown))
	case ec2types.InstanceAttributeNameRootDeviceName:
		out.RootDeviceName = value(aws.ToString(i.RootDeviceName))
	case ec2types.InstanceAttributeNameBlockDeviceMapping:
		out.BlockDeviceMappings = describeView(i).BlockDeviceMappings
	case ec2types.InstanceAttributeNameProductCodes:
		out.ProductCodes = i.ProductCodes
	case ec2types.InstanceAttributeNameSourceDestCheck:
		out.SourceDestCheck = &ec2types.AttributeBooleanValue{Value: i.SourceDestCheck}
	case ec2types.InstanceAttributeNameGroupSet:
		out.Groups = i.SecurityGroups
	case ec2types.InstanceAttributeNameEbsOptimized:
		out.EbsOptimized = &ec2types.AttributeBooleanValue{Value: i.EbsOptimized}
	case ec2types.InstanceAttributeNameSriovNetSupport:
		out.SriovNetSupport = value(aws.ToString(i.SriovNetSupport))
	case ec2types.InstanceAttributeNameEnaSupport:
		out.EnaSupport = &ec2types.AttributeBooleanValue{Value: i.EnaSupport}
	case ec2types.InstanceAttributeNameEnclaveOptions:
		out.EnclaveOptions = i.EnclaveOptions
	default:
		return wire.Errorf("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", name)
	}
	return nil
}

func (s *Service) modifyMetadata(_ context.Context, c *wire.Call, in *ec2.ModifyInstanceMetadataOptionsInput) (*ec2.ModifyInstanceMetadataOptionsOutput, error) {
	out := &ec2.ModifyInstanceMetadataOptionsOutput{InstanceId: in.InstanceId}
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		i, err := one(r, c.Account, in.InstanceId)
		if err != nil {
			return err
		}
		if i.State.Name == ec2types.InstanceStateNameTerminated || i.State.Name == ec2types.InstanceStateNameShuttingDown {
			return wire.Errorf("IncorrectInstanceState", "The instance '%s' is not in a state from which its metadata options can be changed.", *i.InstanceId) // text inferred
		}
		o := *i.MetadataOptions
		if err := setMetadata(&o, in.HttpEndpoint, in.HttpTokens, in.HttpProtocolIpv6, in.InstanceMetadataTags, in.HttpPutResponseHopLimit); err != nil {
			return err
		}
		if aws.ToBool(in.DryRun) {
			return wire.ErrDryRun()
		}
		i = r.Instances.Edit(*i.InstanceId)
		i.MetadataOptions = &o
		answer := o
		answer.State = ec2types.InstanceMetadataOptionsStatePending // the answer comes before it is applied
		out.InstanceMetadataOptions = &answer
		s.metadataChanged(r, *i.InstanceId, i)
		return nil
	})
}

func (s *Service) describeCredits(_ context.Context, c *wire.Call, in *ec2.DescribeInstanceCreditSpecificationsInput) (*ec2.DescribeInstanceCreditSpecificationsOutput, error) {
	out := &ec2.DescribeInstanceCreditSpecificationsOutput{InstanceCreditSpecifications: []ec2types.InstanceCreditSpecification{}}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		if len(in.InstanceIds) > 0 {
			if _, err := find(r, c.Account, in.InstanceIds); err != nil {
				return err
			}
		}
		if aws.ToBool(in.DryRun) {
			return wire.ErrDryRun()
		}
		q := query(r, c, in.InstanceIds, in.Filters, page(c, in.MaxResults, in.NextToken))
		q.Attr = func(i *state.Instance, name string) ([]string, bool) {
			return listing.Values(i.InstanceId), name == "instance-id"
		}
		q.Set = "instanceIdSet"
		found, next, err := listing.Run(q)
		for _, i := range found {
			if i.Credits == "unlimited" || i.Credits != "" && len(in.InstanceIds) > 0 { // others are only shown by name [documented]
				out.InstanceCreditSpecifications = append(out.InstanceCreditSpecifications, ec2types.InstanceCreditSpecification{InstanceId: i.InstanceId, CpuCredits: &i.Credits})
			}
		}
		out.NextToken = next
		return err
	})
}
