package instance

import (
	"encoding/base64"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/network"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// spec returns what the driver needs to run an instance.
func (s *Service) spec(r *state.Region, in *state.Instance) compute.Spec {
	spec := compute.Spec{
		Region: r.Name, Account: in.Account, ID: aws.ToString(in.InstanceId), Zone: aws.ToString(in.Placement.AvailabilityZone),
		ZoneID: aws.ToString(in.Placement.AvailabilityZoneId), Type: string(in.InstanceType), Arch: bake.AMD64, Firmware: bake.BIOS,
		Disks: specDisks(r, in), Addresses: compute.Addresses{Private: in.Address}, Ports: network.Ports(r, in.SecurityGroups),
		Metadata: metadata(r, in), Tags: kit.TagMap(in.Tags),
	}
	if in.Architecture == ec2types.ArchitectureValuesArm64 {
		spec.Arch = bake.ARM64
	}
	if in.CurrentInstanceBootMode == ec2types.InstanceBootModeValuesUefi {
		spec.Firmware = bake.UEFI
	}
	if t := s.types.Get(string(in.InstanceType)); t != nil {
		spec.CPUs, spec.Memory = t.CPUs, t.Memory
	}
	if o := in.CpuOptions; o != nil {
		spec.CPUs = int(aws.ToInt32(o.CoreCount) * aws.ToInt32(o.ThreadsPerCore))
	}
	return spec
}

// metadata returns what the metadata service of an instance serves.
func metadata(r *state.Region, in *state.Instance) compute.Metadata {
	o := in.MetadataOptions
	m := compute.Metadata{
		Enabled:        o.HttpEndpoint == ec2types.InstanceMetadataEndpointStateEnabled,
		TokensRequired: o.HttpTokens == ec2types.HttpTokensStateRequired,
		Tags:           o.InstanceMetadataTags == ec2types.InstanceMetadataTagsStateEnabled,
		HopLimit:       int(aws.ToInt32(o.HttpPutResponseHopLimit)), ImageID: aws.ToString(in.ImageId), Hostname: privateName(r.Name, in.Address),
		KeyName: aws.ToString(in.KeyName), LaunchIndex: int(aws.ToInt32(in.AmiLaunchIndex)), Reservation: in.Reservation,
		VPC: aws.ToString(in.VpcId), Subnet: aws.ToString(in.SubnetId),
	}
	m.UserData, _ = base64.StdEncoding.DecodeString(in.UserData) // checked when it was given
	if key := r.KeyPairs.Get(state.Key(in.Account, m.KeyName)); key != nil && m.KeyName != "" {
		m.PublicKey = key.PublicKey
	}
	for _, g := range in.SecurityGroups {
		m.SecurityGroups, m.SecurityGroupIDs = append(m.SecurityGroups, aws.ToString(g.GroupName)), append(m.SecurityGroupIDs, aws.ToString(g.GroupId))
	}
	if len(in.NetworkInterfaces) > 0 {
		m.MAC, m.Interface = aws.ToString(in.NetworkInterfaces[0].MacAddress), aws.ToString(in.NetworkInterfaces[0].NetworkInterfaceId)
	}
	if subnet, vpc := r.Subnets.Get(m.Subnet), r.VPCs.Get(m.VPC); subnet != nil && vpc != nil {
		m.SubnetBlock, m.VPCBlock = aws.ToString(subnet.CidrBlock), aws.ToString(vpc.CidrBlock)
	}
	return m
}

// portsChanged tells the driver what the instances of a security group open now.
func (s *Service) portsChanged(r *state.Region, group string) {
	for id, in := range r.Instances.All() {
		if network.HasGroup(in, group) {
			s.tellPorts(r, id, in)
		}
	}
}

func (s *Service) tellPorts(r *state.Region, id string, in *state.Instance) {
	ports := network.Ports(r, in.SecurityGroups)
	s.tell(r, func(d compute.Driver) {
		if c, ok := d.(PortsChanger); ok {
			c.SetPorts(id, ports)
		}
	})
}

// metadataChanged tells the driver what the metadata service of an instance serves now.
func (s *Service) metadataChanged(r *state.Region, id string, in *state.Instance) {
	m, tags := metadata(r, in), kit.TagMap(in.Tags)
	s.tell(r, func(d compute.Driver) {
		if c, ok := d.(MetadataChanger); ok {
			c.SetMetadata(id, m, tags)
		}
	})
}

// tagsChanged is called when the tags of a resource were changed by the API.
func (s *Service) tagsChanged(r *state.Region, id string) {
	if in := r.Instances.Get(id); in != nil {
		s.metadataChanged(r, id, in)
	}
}
