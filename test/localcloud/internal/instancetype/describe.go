package instancetype

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/listing"
	"github.com/iibake/iibake/test/localcloud/internal/network"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// Register adds the operations to EC2's.
func Register(svc *wire.Service, types *Catalog) {
	wire.Handle(svc, types.describe)
	wire.Handle(svc, types.offerings)
}

func scope(c *wire.Call) string { return c.Operation + "/" + c.Account + "/" + c.Region }

func (c *Catalog) describe(_ context.Context, call *wire.Call, in *ec2.DescribeInstanceTypesInput) (*ec2.DescribeInstanceTypesOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, wire.ErrDryRun()
	}
	var names []string
	for _, t := range in.InstanceTypes {
		names = append(names, string(t))
	}
	if bad := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return c.Get(name) != nil }); len(bad) > 0 {
		return nil, wire.Errorf("InvalidInstanceType", "The following supplied instance types do not exist: %v", bad)
	}
	found, next, err := listing.Run(listing.Query[*Type]{
		IDs: names, Set: "instanceTypes", Filters: in.Filters, None: &Type{}, Attr: attribute, All: slices.Values(c.All()),
		Get:  func(name string) (*Type, error) { return c.Get(name), nil },
		Key:  func(t *Type) string { return t.Name },
		Page: kit.Page{Max: in.MaxResults, Token: in.NextToken, Min: 5, Limit: 100, Default: 100, Scope: scope(call)},
	})
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeInstanceTypesOutput{InstanceTypes: []ec2types.InstanceTypeInfo{}, NextToken: next}
	for _, t := range found {
		out.InstanceTypes = append(out.InstanceTypes, t.info())
	}
	return out, nil
}

func attribute(t *Type, name string) ([]string, bool) {
	yes := func(b bool) ([]string, bool) { return []string{strconv.FormatBool(b)}, true }
	switch name {
	case "instance-type":
		return []string{t.Name}, true
	case "current-generation":
		return yes(t.Current)
	case "bare-metal", "instance-storage-supported", "network-info.efa-supported", "network-info.ipv6-supported", "hibernation-supported":
		return yes(false)
	case "ebs-info.nvme-support":
		return []string{string(t.nvme())}, true
	case "network-info.ena-support":
		return []string{string(t.ena())}, true
	case "nitro-enclaves-support":
		return []string{"unsupported"}, true
	case "vcpu-info.default-cores":
		return []string{strconv.Itoa(t.CPUs / max(1, t.ThreadsPerCPU))}, true
	case "vcpu-info.default-threads-per-core":
		return []string{strconv.Itoa(t.ThreadsPerCPU)}, true
	case "burstable-performance-supported":
		return yes(t.Burstable)
	case "free-tier-eligible":
		return yes(t.free())
	case "hypervisor":
		return []string{string(t.hypervisor())}, true
	case "processor-info.supported-architecture":
		return text(t.architectures()), true
	case "supported-boot-mode":
		return text(t.modes()), true
	case "supported-root-device-type":
		return []string{"ebs"}, true
	case "supported-usage-class":
		return []string{"on-demand", "spot"}, true
	case "supported-virtualization-type":
		return []string{"hvm"}, true
	case "vcpu-info.default-vcpus":
		return []string{strconv.Itoa(t.CPUs)}, true
	case "memory-info.size-in-mib":
		return []string{strconv.FormatInt(int64(t.Memory/bake.MiB), 10)}, true
	}
	return nil, false
}

func text[T ~string](values []T) []string {
	var all []string
	for _, v := range values {
		all = append(all, string(v))
	}
	return all
}

// free reports whether a type is in the free tier [documented].
func (t *Type) free() bool {
	return t.Name == "t2.micro" || t.Name == "t3.micro" || t.Name == "t4g.small"
}

func (t *Type) hypervisor() ec2types.InstanceTypeHypervisor {
	if t.Nitro {
		return ec2types.InstanceTypeHypervisorNitro
	}
	return ec2types.InstanceTypeHypervisorXen
}

func (t *Type) nvme() ec2types.EbsNvmeSupport {
	if t.Nitro {
		return ec2types.EbsNvmeSupportRequired
	}
	return ec2types.EbsNvmeSupportUnsupported
}

func (t *Type) ena() ec2types.EnaSupport {
	if t.Nitro {
		return ec2types.EnaSupportRequired
	}
	return ec2types.EnaSupportUnsupported
}

func (t *Type) modes() []ec2types.BootModeType {
	var modes []ec2types.BootModeType
	if t.BIOS {
		modes = append(modes, ec2types.BootModeTypeLegacyBios)
	}
	if t.UEFI {
		modes = append(modes, ec2types.BootModeTypeUefi)
	}
	return modes
}

func (t *Type) info() ec2types.InstanceTypeInfo {
	cpus, threads := int32(t.CPUs), int32(t.ThreadsPerCPU) //nolint:gosec // a few
	var architectures []ec2types.ArchitectureType
	for _, a := range t.architectures() {
		architectures = append(architectures, ec2types.ArchitectureType(a))
	}
	processor := &ec2types.ProcessorInfo{Manufacturer: &t.Maker, SupportedArchitectures: architectures}
	if t.Clock > 0 {
		processor.SustainedClockSpeedInGhz = &t.Clock
	}
	return ec2types.InstanceTypeInfo{
		BareMetal: aws.Bool(false), BurstablePerformanceSupported: &t.Burstable, CurrentGeneration: &t.Current, FreeTierEligible: aws.Bool(t.free()),
		EbsInfo:    &ec2types.EbsInfo{EbsOptimizedSupport: ec2types.EbsOptimizedSupportDefault, EncryptionSupport: ec2types.EbsEncryptionSupportSupported, NvmeSupport: t.nvme()},
		Hypervisor: t.hypervisor(), InstanceStorageSupported: aws.Bool(false), InstanceType: ec2types.InstanceType(t.Name),
		MemoryInfo: &ec2types.MemoryInfo{SizeInMiB: aws.Int64(int64(t.Memory / bake.MiB))},
		// One interface with one address is what instances can have here.
		NetworkInfo: &ec2types.NetworkInfo{
			DefaultNetworkCardIndex: aws.Int32(0), EfaSupported: aws.Bool(false), EnaSupport: t.ena(), Ipv4AddressesPerInterface: aws.Int32(1),
			Ipv6AddressesPerInterface: aws.Int32(0), Ipv6Supported: aws.Bool(false), MaximumNetworkCards: aws.Int32(1),
			MaximumNetworkInterfaces: aws.Int32(1), NetworkPerformance: &t.Network,
		},
		NitroEnclavesSupport: ec2types.NitroEnclavesSupportUnsupported, ProcessorInfo: processor, SupportedBootModes: t.modes(),
		SupportedRootDeviceTypes: []ec2types.RootDeviceType{ec2types.RootDeviceTypeEbs}, HibernationSupported: aws.Bool(false),
		SupportedUsageClasses:        []ec2types.UsageClassType{ec2types.UsageClassTypeOnDemand, ec2types.UsageClassTypeSpot},
		SupportedVirtualizationTypes: []ec2types.VirtualizationType{ec2types.VirtualizationTypeHvm},
		VCpuInfo:                     &ec2types.VCpuInfo{DefaultCores: aws.Int32(cpus / threads), DefaultThreadsPerCore: &threads, DefaultVCpus: &cpus},
	}
}

func (c *Catalog) offerings(_ context.Context, call *wire.Call, in *ec2.DescribeInstanceTypeOfferingsInput) (*ec2.DescribeInstanceTypeOfferingsOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, wire.ErrDryRun()
	}
	kind, places, err := locations(call.Region, in.LocationType)
	if err != nil {
		return nil, err
	}
	found, next, err := listing.Run(listing.Query[ec2types.InstanceTypeOffering]{
		Filters: in.Filters, Attr: offeringAttribute,
		Page: kit.Page{Max: in.MaxResults, Token: in.NextToken, Min: 5, Limit: 1000, Default: 1000, Scope: scope(call)},
		Key:  func(o ec2types.InstanceTypeOffering) string { return fmt.Sprint(o.InstanceType, " ", *o.Location) },
		All: func(yield func(ec2types.InstanceTypeOffering) bool) {
			for _, t := range c.All() {
				for _, place := range places {
					if !yield(ec2types.InstanceTypeOffering{InstanceType: ec2types.InstanceType(t.Name), Location: &place, LocationType: kind}) {
						return
					}
				}
			}
		},
	})
	return &ec2.DescribeInstanceTypeOfferingsOutput{InstanceTypeOfferings: found, NextToken: next}, err
}

// locations returns the places of a kind; all types are offered in all of them.
func locations(region string, kind ec2types.LocationType) (ec2types.LocationType, []string, error) {
	var names, ids []string
	for _, z := range network.Zones(region) {
		names, ids = append(names, z.Name), append(ids, z.ID)
	}
	switch kind {
	case "", ec2types.LocationTypeRegion:
		return ec2types.LocationTypeRegion, []string{region}, nil
	case ec2types.LocationTypeAvailabilityZone:
		return kind, names, nil
	case ec2types.LocationTypeAvailabilityZoneId:
		return kind, ids, nil
	case ec2types.LocationTypeOutpost:
		return kind, nil, nil
	}
	return kind, nil, wire.Errorf("InvalidParameterValue", "Value (%s) for parameter locationType is invalid.", kind)
}

func offeringAttribute(o ec2types.InstanceTypeOffering, name string) ([]string, bool) {
	switch name {
	case "instance-type":
		return []string{string(o.InstanceType)}, true
	case "location":
		return listing.Values(o.Location), true
	}
	return nil, false
}
