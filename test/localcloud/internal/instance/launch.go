package instance

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/network"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// groupTag is the tag that Auto Scaling gives to its instances.
const groupTag = "aws:autoscaling:groupName"

// Launch makes as many instances as in allows, all of one reservation, and has them started after the Update inside which it is called. Nothing
// is made where it fails, with EC2's error. Unlike RunInstances it accepts a subnet next to a template with a network interface, which goes into that
// subnet, as Auto Scaling wants it, tags of AWS's own, and does not look at the client token.
func (s *Service) Launch(r *state.Region, account, caller string, in *ec2.RunInstancesInput) ([]*state.Instance, error) {
	network.EnsureDefaults(r, account)
	p, err := s.plan(r, account, in)
	if err != nil {
		return nil, err
	}
	p.caller = caller
	return s.carryOut(r, p)
}

// carryOut makes the instances of a plan.
func (s *Service) carryOut(r *state.Region, p *plan) ([]*state.Instance, error) {
	least, most := int(aws.ToInt32(p.in.MinCount)), int(aws.ToInt32(p.in.MaxCount))
	addresses, err := s.addresses(r, p, least, most)
	if err != nil {
		return nil, err
	}
	p.reservation = kit.ID("r")
	all := make([]*state.Instance, 0, len(addresses))
	for i, address := range addresses {
		in := p.instance(r, i, address)
		p.volumes(r, in)
		r.Instances.Put(*in.InstanceId, in)
		all = append(all, in)
		spec := s.spec(r, in)
		s.tell(r, func(d compute.Driver) { d.Start(spec) })
		s.changed(r, in)
	}
	return all, nil
}

// addresses takes the addresses of up to most instances, and none where there are not even least.
func (s *Service) addresses(r *state.Region, p *plan, least, most int) ([]string, error) {
	var taken []string
	for range most {
		a, err := s.network.Take(r, p.subnet, p.address)
		if err == nil {
			taken = append(taken, a)
			continue
		}
		if len(taken) >= least {
			break
		}
		for _, a := range taken {
			s.network.Release(r, aws.ToString(p.subnet.SubnetId), a)
		}
		return nil, err
	}
	return taken, nil
}

// instance returns the record of the i-th instance of a plan.
func (p *plan) instance(r *state.Region, i int, address string) *state.Instance {
	id, now := kit.ID("i"), r.Now().UTC().Truncate(time.Second)
	dns := privateName(r.Name, address)
	in := &state.Instance{
		Account: p.account, UserData: aws.ToString(p.in.UserData), Status: ec2types.SummaryStatusInitializing, Reservation: p.reservation,
		Protection: aws.ToBool(p.in.DisableApiTermination), StopProtection: aws.ToBool(p.in.DisableApiStop), Address: address, PublicAddress: p.public,
		Shutdown: cmp.Or(p.in.InstanceInitiatedShutdownBehavior, ec2types.ShutdownBehaviorStop), Starts: 1, Credits: p.credits, Group: p.group,
		Requester: p.requester(), CardTags: p.tags[ec2types.ResourceTypeNetworkInterface],
	}
	in.Instance = p.common()
	in.InstanceId, in.AmiLaunchIndex, in.LaunchTime, in.UsageOperationUpdateTime = &id, aws.Int32(int32(i)), &now, &now //nolint:gosec // a count
	in.PrivateIpAddress, in.PrivateDnsName, in.PublicDnsName = &address, &dns, aws.String("")
	in.State, in.StateReason = stateOf(ec2types.InstanceStateNamePending), &ec2types.StateReason{Code: aws.String("pending"), Message: aws.String("pending")}
	in.StateTransitionReason = aws.String("")
	in.NetworkInterfaces = []ec2types.InstanceNetworkInterface{p.card(now, address, dns)}
	return in
}

// common returns what all instances of a plan have in common.
func (p *plan) common() ec2types.Instance {
	image, in := p.image, p.in
	return ec2types.Instance{
		Architecture: image.Architecture, BlockDeviceMappings: []ec2types.InstanceBlockDeviceMapping{}, BootMode: image.BootMode,
		CapacityReservationSpecification: &ec2types.CapacityReservationSpecificationResponse{CapacityReservationPreference: p.reserved()},
		ClientToken:                      aws.String(aws.ToString(in.ClientToken)), CpuOptions: p.cpus, CurrentInstanceBootMode: p.kind.Mode(image.BootMode),
		EbsOptimized: aws.Bool(aws.ToBool(in.EbsOptimized)), EnaSupport: image.EnaSupport, EnclaveOptions: &ec2types.EnclaveOptions{Enabled: aws.Bool(false)},
		HibernationOptions: &ec2types.HibernationOptions{Configured: aws.Bool(false)}, Hypervisor: ec2types.HypervisorTypeXen, IamInstanceProfile: p.profile,
		ImageId: image.ImageId, InstanceLifecycle: p.lifecycle, InstanceType: ec2types.InstanceType(p.kind.Name), KeyName: p.keyName(),
		MaintenanceOptions: p.maintenance(), MetadataOptions: p.metadata, Monitoring: p.monitoring(),
		NetworkPerformanceOptions: &ec2types.InstanceNetworkPerformanceOptions{BandwidthWeighting: ec2types.InstanceBandwidthWeightingDefault},
		Operator:                  &ec2types.OperatorResponse{Managed: aws.Bool(false)}, Placement: p.placement, Platform: image.Platform,
		PlatformDetails: image.PlatformDetails, PrivateDnsNameOptions: p.names(), ProductCodes: orEmpty(image.ProductCodes),
		RootDeviceName: image.RootDeviceName, RootDeviceType: ec2types.DeviceTypeEbs, SecondaryInterfaces: []ec2types.InstanceSecondaryInterface{},
		SecurityGroups: p.groups, SourceDestCheck: aws.Bool(true), SriovNetSupport: image.SriovNetSupport, SubnetId: p.subnet.SubnetId,
		Tags: p.tags[ec2types.ResourceTypeInstance], TpmSupport: tpm(image.TpmSupport), UsageOperation: image.UsageOperation,
		VirtualizationType: ec2types.VirtualizationTypeHvm, VpcId: p.subnet.VpcId,
	}
}

// card returns the network interface of an instance.
func (p *plan) card(now time.Time, address, dns string) ec2types.InstanceNetworkInterface {
	id, attachment, mac := kit.ID("eni"), kit.ID("eni-attach"), macAddress()
	return ec2types.InstanceNetworkInterface{
		Attachment: &ec2types.InstanceNetworkInterfaceAttachment{
			AttachTime: &now, AttachmentId: &attachment, DeleteOnTermination: aws.Bool(true), DeviceIndex: aws.Int32(0), NetworkCardIndex: aws.Int32(0),
			Status: ec2types.AttachmentStatusAttaching,
		},
		Description: aws.String(p.description), Groups: p.groups, InterfaceType: aws.String("interface"), Ipv6Addresses: []ec2types.InstanceIpv6Address{},
		MacAddress: &mac, NetworkInterfaceId: &id, Operator: &ec2types.OperatorResponse{Managed: aws.Bool(false)}, OwnerId: &p.account,
		PrivateDnsName: &dns, PrivateIpAddress: &address, SourceDestCheck: aws.Bool(true), Status: ec2types.NetworkInterfaceStatusInUse,
		PrivateIpAddresses: []ec2types.InstancePrivateIpAddress{{Primary: aws.Bool(true), PrivateDnsName: &dns, PrivateIpAddress: &address}},
		SubnetId:           p.subnet.SubnetId, VpcId: p.subnet.VpcId,
	}
}

// requester is the service that launched an instance for its owner: in EC2 the number of an account of Auto Scaling's.
func (p *plan) requester() string {
	if strings.Contains(p.caller, "AWSServiceRoleForAutoScaling") {
		return autoScalingAccount
	}
	return ""
}

const autoScalingAccount = "940372691376"

func macAddress() string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("02:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4])
}

// privateName is the name of an instance in the DNS of its VPC.
func privateName(region, address string) string {
	domain := region + ".compute.internal"
	if region == "us-east-1" {
		domain = "ec2.internal"
	}
	return "ip-" + strings.ReplaceAll(address, ".", "-") + "." + domain
}

// publicName is the name of an instance in public DNS.
func publicName(region, address string) string {
	domain := region + ".compute.amazonaws.com"
	if region == "us-east-1" {
		domain = "compute-1.amazonaws.com"
	}
	return "ec2-" + strings.ReplaceAll(address, ".", "-") + "." + domain
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return slices.Clip(list)
}

func tpm(v ec2types.TpmSupportValues) *string {
	if v == "" {
		return nil
	}
	return aws.String(string(v))
}
