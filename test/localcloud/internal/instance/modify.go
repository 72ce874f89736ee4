package instance

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/network"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

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
		change, err := s.change(r, i, in)
		if err != nil {
			return err
		}
		if aws.ToBool(in.DryRun) {
			return wire.ErrDryRun()
		}
		change(r.Instances.Edit(*i.InstanceId))
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

// change returns the change that a request asks for, after checking it.
func (s *Service) change(r *state.Region, i *state.Instance, in *ec2.ModifyInstanceAttributeInput) (func(*state.Instance), error) {
	var names []string
	var check func() (func(*state.Instance), error)
	for _, c := range s.changes(r, i, in) {
		if c.asked {
			names, check = append(names, c.name), c.check
		}
	}
	switch len(names) {
	case 0:
		return nil, wire.Errorf("InvalidParameterCombination", "No attributes specified.") // as recorded of images
	case 1:
		return check()
	}
	return nil, wire.Errorf("InvalidParameterCombination", "Fields for multiple attribute types specified: %s", strings.Join(names, ", "))
}

// attributeChange is what can be changed of an instance.
type attributeChange struct {
	name  string
	asked bool
	check func() (func(*state.Instance), error)
}

// changes returns all changes that there are, in the order of their names.
func (s *Service) changes(r *state.Region, i *state.Instance, in *ec2.ModifyInstanceAttributeInput) []attributeChange {
	unsupported := func() (func(*state.Instance), error) {
		return nil, wire.Errorf("UnsupportedOperation", "Kernel, RAM disk and enclave options cannot be changed here.")
	}
	return []attributeChange{
		{"blockDeviceMapping", in.BlockDeviceMappings != nil, func() (func(*state.Instance), error) { return changeMappings(r, i, in.BlockDeviceMappings) }},
		{"disableApiStop", in.DisableApiStop != nil, flag(in.DisableApiStop, func(i *state.Instance, yes bool) { i.StopProtection = yes })},
		{"disableApiTermination", in.DisableApiTermination != nil, flag(in.DisableApiTermination, func(i *state.Instance, yes bool) { i.Protection = yes })},
		{"ebsOptimized", in.EbsOptimized != nil, whenStopped(i, flag(in.EbsOptimized, func(i *state.Instance, yes bool) { i.EbsOptimized = &yes }))},
		{"enaSupport", in.EnaSupport != nil, whenStopped(i, flag(in.EnaSupport, func(i *state.Instance, yes bool) { i.EnaSupport = &yes }))},
		{"enclaveOptions", in.EnclaveOptions != nil, unsupported},
		{"groupSet", in.Groups != nil, func() (func(*state.Instance), error) { return s.changeGroups(r, i, in.Groups) }},
		{"instanceInitiatedShutdownBehavior", in.InstanceInitiatedShutdownBehavior != nil, func() (func(*state.Instance), error) { return changeShutdown(in) }},
		{"instanceType", in.InstanceType != nil, whenStopped(i, func() (func(*state.Instance), error) { return s.changeType(i, aws.ToString(in.InstanceType.Value)) })},
		{"kernel", in.Kernel != nil, unsupported},
		{"ramdisk", in.Ramdisk != nil, unsupported},
		{"sourceDestCheck", in.SourceDestCheck != nil, flag(in.SourceDestCheck, func(i *state.Instance, yes bool) { i.SourceDestCheck = &yes })},
		{"sriovNetSupport", in.SriovNetSupport != nil, whenStopped(i, func() (func(*state.Instance), error) {
			return func(i *state.Instance) { i.SriovNetSupport = in.SriovNetSupport.Value }, nil
		})},
		{"userData", in.UserData != nil, whenStopped(i, func() (func(*state.Instance), error) { return changeUserData(in.UserData.Value) })},
	}
}

// flag sets a truth value; one that is not given is false.
func flag(value *ec2types.AttributeBooleanValue, set func(i *state.Instance, yes bool)) func() (func(*state.Instance), error) {
	return func() (func(*state.Instance), error) {
		return func(i *state.Instance) { set(i, aws.ToBool(value.Value)) }, nil
	}
}

// whenStopped is for what only a stopped instance takes.
func whenStopped(i *state.Instance, check func() (func(*state.Instance), error)) func() (func(*state.Instance), error) {
	return func() (func(*state.Instance), error) {
		change, err := check()
		if err == nil && i.State.Name != ec2types.InstanceStateNameStopped {
			return nil, wire.Errorf("IncorrectInstanceState", "The instance '%s' is not in the 'stopped' state.", *i.InstanceId)
		}
		return change, err
	}
}

func changeShutdown(in *ec2.ModifyInstanceAttributeInput) (func(*state.Instance), error) {
	behavior := ec2types.ShutdownBehavior(aws.ToString(in.InstanceInitiatedShutdownBehavior.Value))
	if !slices.Contains(behavior.Values(), behavior) {
		return nil, wire.Errorf("InvalidParameterValue", "Value (%s) for parameter instanceInitiatedShutdownBehavior is invalid.", behavior)
	}
	return func(i *state.Instance) { i.Shutdown = behavior }, nil
}

func changeUserData(data []byte) (func(*state.Instance), error) {
	if len(data) > maxUserData {
		return nil, wire.Errorf("InvalidParameterValue", "User data is limited to %d bytes", maxUserData)
	}
	return func(i *state.Instance) { i.UserData = encode(data) }, nil
}

func (s *Service) changeType(i *state.Instance, name string) (func(*state.Instance), error) {
	t := s.types.Get(name)
	switch {
	case t == nil:
		return nil, wire.Errorf("InvalidInstanceAttributeValue", "Invalid value '%s' for InstanceType.", name)
	case !t.Runs(i.Architecture):
		return nil, wire.Errorf("InvalidInstanceAttributeValue", "The architecture '%s' of the instance type does not match the architecture '%s' of the instance.", t.Arch, i.Architecture)
	}
	return func(i *state.Instance) {
		cores, threads := int32(t.CPUs/t.ThreadsPerCPU), int32(t.ThreadsPerCPU) //nolint:gosec // a few
		i.InstanceType, i.CpuOptions, i.Credits = ec2types.InstanceType(t.Name), &ec2types.CpuOptions{CoreCount: &cores, ThreadsPerCore: &threads}, t.DefaultCredits()
		i.CurrentInstanceBootMode = t.Mode(i.BootMode)
	}, nil
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
