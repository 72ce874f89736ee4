package template

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// fromInstance returns the template data that an instance could have been launched with.
func (s *Service) fromInstance(_ context.Context, c *wire.Call, in *ec2.GetLaunchTemplateDataInput) (*ec2.GetLaunchTemplateDataOutput, error) {
	out := &ec2.GetLaunchTemplateDataOutput{}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		i := r.Instances.Get(aws.ToString(in.InstanceId))
		if i == nil || i.Account != c.Account {
			return wire.Errorf("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist (Service: Ec2, Status Code: 400, Request ID: %s) (SDK Attempt Count: 1)",
				aws.ToString(in.InstanceId), c.RequestID)
		}
		if aws.ToBool(in.DryRun) {
			return wire.ErrDryRun()
		}
		out.LaunchTemplateData = reverse(r, i)
		return nil
	})
}

func reverse(r *state.Region, i *state.Instance) *ec2types.ResponseLaunchTemplateData {
	data := &ec2types.ResponseLaunchTemplateData{
		BlockDeviceMappings: reverseDisks(r, i), DisableApiStop: &i.StopProtection, DisableApiTermination: &i.Protection, EbsOptimized: i.EbsOptimized,
		ImageId: i.ImageId, InstanceInitiatedShutdownBehavior: i.Shutdown, InstanceType: i.InstanceType, KeyName: i.KeyName,
		Monitoring:        &ec2types.LaunchTemplatesMonitoring{Enabled: aws.Bool(i.Monitoring != nil && i.Monitoring.State == ec2types.MonitoringStateEnabled)},
		NetworkInterfaces: reverseInterfaces(i), SecondaryInterfaces: []ec2types.LaunchTemplateInstanceSecondaryInterfaceSpecification{},
		TagSpecifications: reverseTags(i),
		HibernationOptions: &ec2types.LaunchTemplateHibernationOptions{
			Configured: aws.Bool(i.HibernationOptions != nil && aws.ToBool(i.HibernationOptions.Configured)),
		},
	}
	// These members have the same names in an instance.
	same := ec2types.Instance{
		CapacityReservationSpecification: i.CapacityReservationSpecification, CpuOptions: i.CpuOptions, EnclaveOptions: i.EnclaveOptions,
		MaintenanceOptions: i.MaintenanceOptions, MetadataOptions: i.MetadataOptions, NetworkPerformanceOptions: i.NetworkPerformanceOptions,
		Placement: i.Placement, PrivateDnsNameOptions: i.PrivateDnsNameOptions,
	}
	copyFields(data, &same)
	if data.MetadataOptions != nil {
		data.MetadataOptions.State = ""
	}
	if data.Placement != nil {
		data.Placement.AvailabilityZoneId = nil
	}
	if i.UserData != "" {
		data.UserData = &i.UserData
	}
	if i.Credits != "" {
		data.CreditSpecification = &ec2types.CreditSpecification{CpuCredits: &i.Credits}
	}
	return data
}

func reverseDisks(r *state.Region, i *state.Instance) []ec2types.LaunchTemplateBlockDeviceMapping {
	all := []ec2types.LaunchTemplateBlockDeviceMapping{}
	for _, m := range i.BlockDeviceMappings {
		v := r.Volumes.Get(aws.ToString(m.Ebs.VolumeId))
		if v == nil {
			continue
		}
		all = append(all, ec2types.LaunchTemplateBlockDeviceMapping{DeviceName: m.DeviceName, Ebs: &ec2types.LaunchTemplateEbsBlockDevice{
			DeleteOnTermination: m.Ebs.DeleteOnTermination, Encrypted: v.Encrypted, Iops: v.Iops, KmsKeyId: v.KmsKeyId, SnapshotId: v.SnapshotId,
			Throughput: v.Throughput, VolumeSize: v.Size, VolumeType: v.VolumeType,
		}})
	}
	return all
}

func reverseInterfaces(i *state.Instance) []ec2types.LaunchTemplateInstanceNetworkInterfaceSpecification {
	all := []ec2types.LaunchTemplateInstanceNetworkInterfaceSpecification{}
	for _, n := range i.NetworkInterfaces {
		spec := ec2types.LaunchTemplateInstanceNetworkInterfaceSpecification{
			AssociatePublicIpAddress: &i.PublicAddress, Description: n.Description, Groups: []string{}, InterfaceType: n.InterfaceType,
			Ipv4Prefixes: []ec2types.Ipv4PrefixSpecificationResponse{}, Ipv6Addresses: []ec2types.InstanceIpv6Address{},
			Ipv6Prefixes: []ec2types.Ipv6PrefixSpecificationResponse{}, PrivateIpAddresses: []ec2types.PrivateIpAddressSpecification{}, SubnetId: n.SubnetId,
		}
		if n.Attachment != nil {
			spec.DeleteOnTermination, spec.DeviceIndex, spec.NetworkCardIndex = n.Attachment.DeleteOnTermination, n.Attachment.DeviceIndex, n.Attachment.NetworkCardIndex
		}
		for _, g := range n.Groups {
			spec.Groups = append(spec.Groups, aws.ToString(g.GroupId))
		}
		for _, p := range n.PrivateIpAddresses {
			spec.PrivateIpAddresses = append(spec.PrivateIpAddresses, ec2types.PrivateIpAddressSpecification{Primary: p.Primary, PrivateIpAddress: p.PrivateIpAddress})
		}
		all = append(all, spec)
	}
	return all
}

// reverseTags leaves out the tags that only AWS can give.
func reverseTags(i *state.Instance) []ec2types.LaunchTemplateTagSpecification {
	own := slices.DeleteFunc(slices.Clone(i.Tags), func(t ec2types.Tag) bool { return strings.HasPrefix(aws.ToString(t.Key), "aws:") })
	if len(own) == 0 {
		return nil
	}
	return []ec2types.LaunchTemplateTagSpecification{{ResourceType: ec2types.ResourceTypeInstance, Tags: own}}
}
