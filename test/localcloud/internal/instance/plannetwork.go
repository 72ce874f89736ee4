package instance

import (
	"cmp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/network"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// wishes are what a launch says about its network, in one of the two ways to say it: for the instance, or for its network interface.
type wishes struct {
	subnet, address, description string
	groups, names                []string
	public                       *bool
}

func (p *plan) wishes() (wishes, error) {
	in := p.in
	w := wishes{subnet: aws.ToString(in.SubnetId), address: aws.ToString(in.PrivateIpAddress), groups: in.SecurityGroupIds, names: in.SecurityGroups}
	if len(in.NetworkInterfaces) == 0 {
		return w, nil
	}
	n := in.NetworkInterfaces[0]
	switch {
	case len(in.SecurityGroupIds)+len(in.SecurityGroups) > 0:
		return w, wire.Errorf("InvalidParameterCombination",
			"Network interfaces and an instance-level security groups may not be specified on the same request")
	case len(in.NetworkInterfaces) > 1 || aws.ToInt32(n.DeviceIndex) != 0:
		return w, wire.Errorf("UnsupportedOperation", "An instance has exactly one network interface here, with the device index 0.")
	case aws.ToString(n.NetworkInterfaceId) != "":
		return w, wire.Errorf("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '%s' does not exist", *n.NetworkInterfaceId)
	case len(n.Ipv6Addresses) > 0 || aws.ToInt32(n.Ipv6AddressCount) > 0 || len(n.PrivateIpAddresses) > 1 || aws.ToInt32(n.SecondaryPrivateIpAddressCount) > 0:
		return w, wire.Errorf("UnsupportedOperation", "A network interface has exactly one IPv4 address here, and no IPv6 address.")
	}
	w.groups, w.public, w.description = n.Groups, n.AssociatePublicIpAddress, aws.ToString(n.Description)
	w.subnet = cmp.Or(aws.ToString(n.SubnetId), w.subnet) // RunInstances has refused the one next to the other
	w.address = cmp.Or(aws.ToString(n.PrivateIpAddress), w.address)
	if len(n.PrivateIpAddresses) == 1 {
		w.address = aws.ToString(n.PrivateIpAddresses[0].PrivateIpAddress)
	}
	return w, nil
}

// findNetwork finds the subnet, the zone and the security groups.
func (p *plan) findNetwork(r *state.Region) error {
	w, err := p.wishes()
	if err != nil {
		return err
	}
	if p.subnet, err = p.findSubnet(r, w.subnet); err != nil {
		return err
	}
	if w.address != "" && aws.ToInt32(p.in.MaxCount) > 1 {
		return wire.Errorf("InvalidParameterCombination", "The parameter privateIpAddress cannot be used when launching more than one instance")
	}
	p.address, p.description, p.public = w.address, w.description, aws.ToBool(p.subnet.MapPublicIpOnLaunch)
	if w.public != nil {
		p.public = *w.public
	}
	return p.findGroups(r, w)
}

func (p *plan) findSubnet(r *state.Region, id string) (*state.Subnet, error) {
	wanted := ""
	if p.in.Placement != nil {
		wanted = cmp.Or(aws.ToString(p.in.Placement.AvailabilityZone), aws.ToString(p.in.Placement.AvailabilityZoneId))
	}
	zone, known := network.ZoneOf(r.Name, wanted)
	if wanted != "" && !known {
		return nil, wire.Errorf("InvalidParameterValue", "Invalid availability zone: [%s]", wanted)
	}
	if id == "" {
		return p.defaultSubnet(r, zone), nil
	}
	subnet, err := network.SubnetOf(r, p.account, id)
	if err == nil && wanted != "" && aws.ToString(subnet.AvailabilityZone) != zone.Name {
		return nil, wire.Errorf("InvalidParameterValue", "The availability zone '%s' does not match that of the subnet '%s'.", wanted, id) // text inferred
	}
	return subnet, err
}

// defaultSubnet returns the account's subnet in a zone; without one, that with the most free addresses: where EC2 chooses, instances are spread.
func (p *plan) defaultSubnet(r *state.Region, zone network.Zone) *state.Subnet {
	if zone.Name != "" {
		return r.Subnets.Get(network.DefaultSubnet(r.Name, p.account, zone.Name))
	}
	var best *state.Subnet
	for _, z := range network.Zones(r.Name) {
		subnet := r.Subnets.Get(network.DefaultSubnet(r.Name, p.account, z.Name))
		if best == nil || p.network.Free(r, subnet) > p.network.Free(r, best) {
			best = subnet
		}
	}
	return best
}

const maxGroups = 5 // security groups of an interface [documented]

func (p *plan) findGroups(r *state.Region, w wishes) error {
	vpc := aws.ToString(p.subnet.VpcId)
	ids := w.groups
	for _, name := range w.names {
		g, err := network.GroupNamed(r, p.account, vpc, name)
		if err != nil {
			return err
		}
		ids = append(slices.Clip(ids), aws.ToString(g.GroupId))
	}
	if len(ids) == 0 {
		ids = []string{network.DefaultGroup(r.Name, p.account, vpc)}
	}
	if len(ids) > maxGroups {
		return wire.Errorf("SecurityGroupsPerInterfaceLimitExceeded", "The maximum number of security groups per interface has been reached.")
	}
	for _, id := range ids {
		g, err := network.GroupOf(r, p.account, id)
		if err != nil {
			return err
		}
		if aws.ToString(g.VpcId) != vpc {
			return wire.Errorf("InvalidParameter", "Security group %s and subnet %s belong to different networks.", id, aws.ToString(p.subnet.SubnetId))
		}
		p.groups = append(p.groups, ec2types.GroupIdentifier{GroupId: g.GroupId, GroupName: g.GroupName})
	}
	return nil
}

// findSubnetZone fills in the placement.
func (p *plan) findSubnetZone() {
	p.zone = network.Zone{Name: aws.ToString(p.subnet.AvailabilityZone), ID: aws.ToString(p.subnet.AvailabilityZoneId)}
	p.placement = &ec2types.Placement{
		AvailabilityZone: &p.zone.Name, AvailabilityZoneId: &p.zone.ID, GroupName: aws.String(""), Tenancy: ec2types.TenancyDefault,
	}
}
