package network

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// What every account has in every region. AWS's default subnets are /20; these are the largest that three zones allow, so that a simulation of
// tens of thousands of instances in one account does not end for want of addresses.
const defaultRange = "172.31.0.0/16"

func defaultSubnetRange(zone int) string { return fmt.Sprintf("172.31.%d.0/18", 64*zone) }

// fixedID returns an identifier that always is the same for the same account, region and thing, so that it need not be looked for.
func fixedID(prefix, region, account, thing string) string {
	sum := sha256.Sum256([]byte(region + "/" + account + "/" + thing))
	return prefix + "-0" + hex.EncodeToString(sum[:8])
}

// DefaultVPC returns the id of an account's default VPC.
func DefaultVPC(region, account string) string { return fixedID("vpc", region, account, "default") }

// DefaultGroup returns the id of the default security group of a VPC.
func DefaultGroup(region, account, vpc string) string { return fixedID("sg", region, account, vpc) }

// DefaultSubnet returns the id of an account's default subnet in a zone.
func DefaultSubnet(region, account, zone string) string {
	return fixedID("subnet", region, account, zone)
}

// EnsureDefaults makes an account's default VPC, its subnets and its default security group in a region, unless they are there. It is called inside
// an Update.
func EnsureDefaults(r *state.Region, account string) {
	vpc := DefaultVPC(r.Name, account)
	if r.VPCs.Get(vpc) != nil {
		return
	}
	r.VPCs.Put(vpc, defaultVPC(r.Name, account, vpc))
	for i, zone := range Zones(r.Name) {
		id := DefaultSubnet(r.Name, account, zone.Name)
		r.Subnets.Put(id, defaultSubnet(r.Name, account, vpc, id, i, zone))
	}
	id := DefaultGroup(r.Name, account, vpc)
	r.SecurityGroups.Put(id, defaultGroup(r.Name, account, vpc, id))
}

func defaultVPC(region, account, id string) *state.VPC {
	return &state.VPC{Vpc: ec2types.Vpc{
		CidrBlock: aws.String(defaultRange), DhcpOptionsId: aws.String(fixedID("dopt", region, account, "default")),
		InstanceTenancy: ec2types.TenancyDefault, IsDefault: aws.Bool(true), OwnerId: &account, State: ec2types.VpcStateAvailable, VpcId: &id,
		CidrBlockAssociationSet: []ec2types.VpcCidrBlockAssociation{{
			AssociationId: aws.String(fixedID("vpc-cidr-assoc", region, account, id)), CidrBlock: aws.String(defaultRange),
			CidrBlockState: &ec2types.VpcCidrBlockState{State: ec2types.VpcCidrBlockStateCodeAssociated},
		}},
	}}
}

func defaultSubnet(region, account, vpc, id string, n int, zone Zone) *state.Subnet {
	return &state.Subnet{Subnet: ec2types.Subnet{
		AssignIpv6AddressOnCreation: aws.Bool(false), AvailabilityZone: &zone.Name, AvailabilityZoneId: &zone.ID,
		CidrBlock: aws.String(defaultSubnetRange(n)), DefaultForAz: aws.Bool(true), EnableDns64: aws.Bool(false),
		Ipv6CidrBlockAssociationSet: []ec2types.SubnetIpv6CidrBlockAssociation{}, Ipv6Native: aws.Bool(false),
		MapCustomerOwnedIpOnLaunch: aws.Bool(false), MapPublicIpOnLaunch: aws.Bool(true), OwnerId: &account,
		PrivateDnsNameOptionsOnLaunch: &ec2types.PrivateDnsNameOptionsOnLaunch{
			HostnameType: ec2types.HostnameTypeIpName, EnableResourceNameDnsARecord: aws.Bool(false), EnableResourceNameDnsAAAARecord: aws.Bool(false),
		},
		State: ec2types.SubnetStateAvailable, SubnetArn: aws.String(arn(region, account, "subnet/"+id)), SubnetId: &id, VpcId: &vpc,
	}}
}

func defaultGroup(region, account, vpc, id string) *state.SecurityGroup {
	g := newGroup(region, account, vpc, id, "default", "default VPC security group")
	g.Rules = append(g.Rules, ec2types.SecurityGroupRule{
		FromPort: aws.Int32(-1), ToPort: aws.Int32(-1), GroupId: &id, GroupOwnerId: &account, IpProtocol: aws.String("-1"), IsEgress: aws.Bool(false),
		ReferencedGroupInfo:  &ec2types.ReferencedSecurityGroup{GroupId: &id, UserId: &account},
		SecurityGroupRuleId:  aws.String(fixedID("sgr", region, account, id+"/ingress")),
		SecurityGroupRuleArn: aws.String(arn(region, account, "security-group-rule/"+fixedID("sgr", region, account, id+"/ingress"))),
	})
	return g
}

func arn(region, account, resource string) string {
	return "arn:aws:ec2:" + region + ":" + account + ":" + resource
}

// View calls f with the region of a call, in which the caller's defaults exist. f must not change it.
func View(store *state.Store, c *wire.Call, f func(*state.Region) error) error {
	missing := false
	err := store.View(c.Region, func(r *state.Region) error {
		if missing = r.VPCs.Get(DefaultVPC(c.Region, c.Account)) == nil; missing {
			return nil
		}
		return f(r)
	})
	if !missing {
		return err
	}
	return store.Update(c.Region, func(r *state.Region) error {
		EnsureDefaults(r, c.Account)
		return f(r)
	})
}
