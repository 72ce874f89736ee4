package instance

import (
	"context"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/listing"
	"github.com/iibake/iibake/test/localcloud/internal/network"
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

func (s *Service) modifyAttribute(_ context.Context, c *wire.Call, in *ec2.ModifyInstanceAttributeInput) (*ec2.ModifyInstanceAttributeOutput, error) {
	in, err := newForm(in)
	if err != nil {
		return nil, err
	}
	return &ec2.ModifyInstanceAttributeOutput{}, s.store.Update(c.Region, func(r *state.Region) error {
		i, err := one(r, c.Account, in.InstanceId)
		if err != nil {
			return err
		}
		changes, err := s.changes(r, i, in)
		if err != nil {
			return err
		}
		if len(changes) != 1 {
			return wire.Errorf("InvalidParameterCombination", "Fields for multiple attribute types specified, or for none: give exactly one attribute")
		}
		if aws.ToBool(in.DryRun) {
			return wire.ErrDryRun()
		}
		changes[0](r.Instances.Edit(*i.InstanceId))
		return nil
	})
}

// newForm turns the old form of the request, with Attribute and Value, into the one with a parameter for each attribute.
func newForm(in *ec2.ModifyInstanceAttributeInput) (*ec2.ModifyInstanceAttributeInput, error) {
	if in.Attribute == "" || in.Value == nil {
		return in, nil
	}
	c := *in
	yes, err := strconv.ParseBool(*in.Value)
	flag := &ec2types.AttributeBooleanValue{Value: &yes}
	text := &ec2types.AttributeValue{Value: in.Value}
	switch in.Attribute {
	case ec2types.InstanceAttributeNameInstanceType:
		c.InstanceType, err = text, nil
	case ec2types.InstanceAttributeNameInstanceInitiatedShutdownBehavior:
		c.InstanceInitiatedShutdownBehavior, err = text, nil
	case ec2types.InstanceAttributeNameSriovNetSupport:
		c.SriovNetSupport, err = text, nil
	case ec2types.InstanceAttributeNameDisableApiTermination:
		c.DisableApiTermination = flag
	case ec2types.InstanceAttributeNameDisableApiStop:
		c.DisableApiStop = flag
	case ec2types.InstanceAttributeNameEbsOptimized:
		c.EbsOptimized = flag
	case ec2types.InstanceAttributeNameEnaSupport:
		c.EnaSupport = flag
	case ec2types.InstanceAttributeNameSourceDestCheck:
		c.SourceDestCheck = flag
	case ec2types.InstanceAttributeNameKernel, ec2types.InstanceAttributeNameRamdisk, ec2types.InstanceAttributeNameUserData,
		ec2types.InstanceAttributeNameRootDeviceName, ec2types.InstanceAttributeNameBlockDeviceMapping, ec2types.InstanceAttributeNameProductCodes,
		ec2types.InstanceAttributeNameGroupSet, ec2types.InstanceAttributeNameEnclaveOptions:
		return nil, wire.Errorf("UnsupportedOperation", "The attribute '%s' cannot be changed in this form here.", in.Attribute)
	}
	if err != nil {
		return nil, wire.Errorf("InvalidParameterValue", "Value (%s) for parameter value is invalid. Expected a boolean.", *in.Value)
	}
	return &c, nil
}

// changes returns the changes that a request asks for, after checking them.
func (s *Service) changes(r *state.Region, i *state.Instance, in *ec2.ModifyInstanceAttributeInput) ([]func(*state.Instance), error) {
	var all []func(*state.Instance)
	add := func(f func(*state.Instance)) { all = append(all, f) }
	if in.DisableApiTermination != nil {
		add(func(i *state.Instance) { i.Protection = aws.ToBool(in.DisableApiTermination.Value) })
	}
	if in.DisableApiStop != nil {
		add(func(i *state.Instance) { i.StopProtection = aws.ToBool(in.DisableApiStop.Value) })
	}
	if in.SourceDestCheck != nil {
		add(func(i *state.Instance) { i.SourceDestCheck = aws.Bool(aws.ToBool(in.SourceDestCheck.Value)) })
	}
	if in.Groups != nil {
		change, err := s.changeGroups(r, i, in.Groups)
		if err != nil {
			return nil, err
		}
		add(change)
	}
	if in.BlockDeviceMappings != nil {
		change, err := changeMappings(r, i, in.BlockDeviceMappings)
		if err != nil {
			return nil, err
		}
		add(change)
	}
	if b := in.InstanceInitiatedShutdownBehavior; b != nil {
		behavior := ec2types.ShutdownBehavior(aws.ToString(b.Value))
		if !slices.Contains(behavior.Values(), behavior) {
			return nil, wire.Errorf("InvalidParameterValue", "Value (%s) for parameter instanceInitiatedShutdownBehavior is invalid.", behavior)
		}
		add(func(i *state.Instance) { i.Shutdown = behavior })
	}
	if in.Kernel != nil || in.Ramdisk != nil || in.EnclaveOptions != nil {
		return nil, wire.Errorf("UnsupportedOperation", "Kernel, RAM disk and enclave options cannot be changed here.")
	}
	return s.changesWhenStopped(i, in, all)
}

// changesWhenStopped adds the changes that only a stopped instance takes.
func (s *Service) changesWhenStopped(i *state.Instance, in *ec2.ModifyInstanceAttributeInput, all []func(*state.Instance)) ([]func(*state.Instance), error) {
	n := len(all)
	if in.InstanceType != nil {
		t := s.types.Get(aws.ToString(in.InstanceType.Value))
		switch {
		case t == nil:
			return nil, wire.Errorf("InvalidInstanceAttributeValue", "Invalid value '%s' for InstanceType.", aws.ToString(in.InstanceType.Value))
		case !t.Runs(i.Architecture):
			return nil, wire.Errorf("InvalidInstanceAttributeValue", "The architecture '%s' of the instance type does not match the architecture '%s' of the instance.", t.Arch, i.Architecture)
		}
		all = append(all, func(i *state.Instance) {
			cores, threads := int32(t.CPUs/t.ThreadsPerCPU), int32(t.ThreadsPerCPU) //nolint:gosec // a few
			i.InstanceType, i.CpuOptions, i.Credits = ec2types.InstanceType(t.Name), &ec2types.CpuOptions{CoreCount: &cores, ThreadsPerCore: &threads}, t.DefaultCredits()
			i.CurrentInstanceBootMode = t.Mode(i.BootMode)
		})
	}
	if in.UserData != nil {
		if len(in.UserData.Value) > maxUserData {
			return nil, wire.Errorf("InvalidParameterValue", "User data is limited to %d bytes", maxUserData)
		}
		all = append(all, func(i *state.Instance) { i.UserData = encode(in.UserData.Value) })
	}
	if in.EbsOptimized != nil {
		all = append(all, func(i *state.Instance) { i.EbsOptimized = aws.Bool(aws.ToBool(in.EbsOptimized.Value)) })
	}
	if in.EnaSupport != nil {
		all = append(all, func(i *state.Instance) { i.EnaSupport = aws.Bool(aws.ToBool(in.EnaSupport.Value)) })
	}
	if in.SriovNetSupport != nil {
		all = append(all, func(i *state.Instance) { i.SriovNetSupport = in.SriovNetSupport.Value })
	}
	if len(all) > n && i.State.Name != ec2types.InstanceStateNameStopped {
		return nil, wire.Errorf("IncorrectInstanceState", "The instance '%s' is not in the 'stopped' state.", *i.InstanceId)
	}
	return all, nil
}

// changeGroups replaces the security groups of an instance.
func (s *Service) changeGroups(r *state.Region, i *state.Instance, ids []string) (func(*state.Instance), error) {
	var all []ec2types.GroupIdentifier
	for _, id := range ids {
		g, err := network.GroupOf(r, i.Account, id)
		if err != nil {
			return nil, err
		}
		all = append(all, ec2types.GroupIdentifier{GroupId: g.GroupId, GroupName: g.GroupName})
	}
	if len(i.NetworkInterfaces) == 0 || len(all) == 0 {
		return nil, wire.Errorf("InvalidParameterValue", "An instance that is not terminated has at least one security group.") // text inferred
	}
	return func(i *state.Instance) {
		n := i.NetworkInterfaces[0]
		n.Groups = all
		i.SecurityGroups, i.NetworkInterfaces = all, []ec2types.InstanceNetworkInterface{n}
		s.tellPorts(r, *i.InstanceId, i)
		s.metadataChanged(r, *i.InstanceId, i)
	}, nil
}

// changeMappings changes which volumes end with their instance, the only thing of a mapping that can be changed.
func changeMappings(r *state.Region, i *state.Instance, specs []ec2types.InstanceBlockDeviceMappingSpecification) (func(*state.Instance), error) {
	changed := slices.Clone(i.BlockDeviceMappings)
	volumes := map[string]*bool{}
	for _, spec := range specs {
		at := slices.IndexFunc(changed, func(m ec2types.InstanceBlockDeviceMapping) bool {
			return aws.ToString(m.DeviceName) == aws.ToString(spec.DeviceName)
		})
		if at < 0 || spec.Ebs == nil || spec.Ebs.DeleteOnTermination == nil {
			return nil, wire.Errorf("InvalidInstanceAttributeValue", "No device is currently mapped at %s", aws.ToString(spec.DeviceName))
		}
		ebs := *changed[at].Ebs
		ebs.DeleteOnTermination = spec.Ebs.DeleteOnTermination
		changed[at].Ebs = &ebs
		volumes[aws.ToString(ebs.VolumeId)] = ebs.DeleteOnTermination
	}
	return func(i *state.Instance) {
		i.BlockDeviceMappings = changed
		for id, gone := range volumes {
			if v := r.Volumes.Edit(id); v != nil && len(v.Attachments) > 0 {
				a := v.Attachments[0]
				a.DeleteOnTermination = gone
				v.Attachments = []ec2types.VolumeAttachment{a}
			}
		}
	}, nil
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
		q := query(r, c, in.InstanceIds, in.Filters, page(c, in.MaxResults, in.NextToken))
		q.Attr = func(i *state.Instance, name string) ([]string, bool) {
			return listing.Values(i.InstanceId), name == "instance-id"
		}
		found, next, err := listing.Run(q)
		for _, i := range found {
			if i.Credits != "" {
				out.InstanceCreditSpecifications = append(out.InstanceCreditSpecifications, ec2types.InstanceCreditSpecification{InstanceId: i.InstanceId, CpuCredits: &i.Credits})
			}
		}
		out.NextToken = next
		return err
	})
}
