package instancetype_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
	"github.com/iibake/iibake/test/localcloud/internal/instancetype"
)

func filter(name, value string) []ec2types.Filter {
	return []ec2types.Filter{{Name: &name, Values: []string{value}}}
}

// A filter lets through what the answer says of a type, and nothing else.
func TestFiltersAgreeWithTheAnswer(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	all := len(instancetype.New().All())
	yes := func(b *bool) bool { return *b }
	for name, v := range map[string]struct {
		value string
		holds func(i *ec2types.InstanceTypeInfo) bool
	}{
		"instance-type":                   {"t3.*", func(i *ec2types.InstanceTypeInfo) bool { return strings.HasPrefix(string(i.InstanceType), "t3.") }},
		"current-generation":              {"true", func(i *ec2types.InstanceTypeInfo) bool { return yes(i.CurrentGeneration) }},
		"bare-metal":                      {"false", func(i *ec2types.InstanceTypeInfo) bool { return !yes(i.BareMetal) }},
		"burstable-performance-supported": {"true", func(i *ec2types.InstanceTypeInfo) bool { return yes(i.BurstablePerformanceSupported) }},
		"free-tier-eligible":              {"true", func(i *ec2types.InstanceTypeInfo) bool { return yes(i.FreeTierEligible) }},
		"hypervisor":                      {"xen", func(i *ec2types.InstanceTypeInfo) bool { return i.Hypervisor == "xen" }},
		"processor-info.supported-architecture": {"i386", func(i *ec2types.InstanceTypeInfo) bool {
			return slices.Contains(i.ProcessorInfo.SupportedArchitectures, "i386")
		}},
		"supported-boot-mode":                {"uefi", func(i *ec2types.InstanceTypeInfo) bool { return slices.Contains(i.SupportedBootModes, "uefi") }},
		"supported-root-device-type":         {"ebs", func(i *ec2types.InstanceTypeInfo) bool { return i.SupportedRootDeviceTypes[0] == "ebs" }},
		"supported-usage-class":              {"spot", func(i *ec2types.InstanceTypeInfo) bool { return slices.Contains(i.SupportedUsageClasses, "spot") }},
		"supported-virtualization-type":      {"paravirtual", func(*ec2types.InstanceTypeInfo) bool { return false }},
		"vcpu-info.default-vcpus":            {"16", func(i *ec2types.InstanceTypeInfo) bool { return *i.VCpuInfo.DefaultVCpus == 16 }},
		"vcpu-info.default-cores":            {"8", func(i *ec2types.InstanceTypeInfo) bool { return *i.VCpuInfo.DefaultCores == 8 }},
		"vcpu-info.default-threads-per-core": {"1", func(i *ec2types.InstanceTypeInfo) bool { return *i.VCpuInfo.DefaultThreadsPerCore == 1 }},
		"memory-info.size-in-mib":            {"512", func(i *ec2types.InstanceTypeInfo) bool { return *i.MemoryInfo.SizeInMiB == 512 }},
		"ebs-info.nvme-support":              {"unsupported", func(i *ec2types.InstanceTypeInfo) bool { return i.EbsInfo.NvmeSupport == "unsupported" }},
		"network-info.ena-support":           {"required", func(i *ec2types.InstanceTypeInfo) bool { return i.NetworkInfo.EnaSupport == "required" }},
		"network-info.efa-supported":         {"true", func(i *ec2types.InstanceTypeInfo) bool { return yes(i.NetworkInfo.EfaSupported) }},
		"nitro-enclaves-support":             {"unsupported", func(i *ec2types.InstanceTypeInfo) bool { return i.NitroEnclavesSupport == "unsupported" }},
		"hibernation-supported":              {"false", func(i *ec2types.InstanceTypeInfo) bool { return !yes(i.HibernationSupported) }},
	} {
		want, passed := 0, 0
		for _, f := range [][]ec2types.Filter{nil, filter(name, v.value)} {
			pages := ec2.NewDescribeInstanceTypesPaginator(c.Client, &ec2.DescribeInstanceTypesInput{Filters: f})
			for pages.HasMorePages() {
				page, err := pages.NextPage(t.Context())
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				for i := range page.InstanceTypes {
					switch holds := v.holds(&page.InstanceTypes[i]); {
					case f == nil && holds:
						want++
					case f != nil && !holds:
						t.Errorf("%s=%s lets %s through", name, v.value, page.InstanceTypes[i].InstanceType)
					case f != nil:
						passed++
					}
				}
			}
		}
		if passed != want || want > all {
			t.Errorf("%s=%s: %d pass, want %d", name, v.value, passed, want)
		}
	}
}

func TestTypesRefuse(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for name, v := range map[string]struct {
		in            ec2.DescribeInstanceTypesInput
		code, message string
	}{
		"unknown":    {ec2.DescribeInstanceTypesInput{InstanceTypes: []ec2types.InstanceType{"m5.nano", "t3.nano", "x"}}, "InvalidInstanceType", "The following supplied instance types do not exist: [m5.nano x]"},
		"filter":     {ec2.DescribeInstanceTypesInput{Filters: filter("type", "t3.nano")}, "InvalidParameterValue", "The filter 'type' is invalid"},
		"page":       {ec2.DescribeInstanceTypesInput{MaxResults: aws.Int32(4)}, "InvalidParameterValue", "Invalid value '4' for maxResults. Expecting a value greater than 5."},
		"big page":   {ec2.DescribeInstanceTypesInput{MaxResults: aws.Int32(101)}, "InvalidParameterValue", ""},
		"named page": {ec2.DescribeInstanceTypesInput{MaxResults: aws.Int32(5), InstanceTypes: []ec2types.InstanceType{"t3.nano"}}, "InvalidParameterCombination", ""},
		"token":      {ec2.DescribeInstanceTypesInput{NextToken: aws.String("x")}, "InvalidParameterValue", "invalid value for parameter next-token: x"},
		"dry run":    {ec2.DescribeInstanceTypesInput{DryRun: aws.Bool(true)}, "DryRunOperation", ""},
	} {
		_, err := c.Client.DescribeInstanceTypes(t.Context(), &v.in)
		if f := ec2test.FailureOf(err); f.Code != v.code || v.message != "" && f.Message != v.message {
			t.Errorf("%s: got %s %q", name, f.Code, f.Message)
		}
	}
}

func TestOfferingsByPlace(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for name, v := range map[string]struct {
		in            ec2.DescribeInstanceTypeOfferingsInput
		want          []string
		code, message string
	}{
		"region":  {ec2.DescribeInstanceTypeOfferingsInput{}, []string{"us-east-1"}, "", ""},
		"zones":   {ec2.DescribeInstanceTypeOfferingsInput{LocationType: "availability-zone"}, []string{"us-east-1a", "us-east-1b", "us-east-1c"}, "", ""},
		"ids":     {ec2.DescribeInstanceTypeOfferingsInput{LocationType: "availability-zone-id"}, []string{"use1-az1", "use1-az2", "use1-az3"}, "", ""},
		"outpost": {ec2.DescribeInstanceTypeOfferingsInput{LocationType: "outpost"}, nil, "", ""},
		"unknown": {ec2.DescribeInstanceTypeOfferingsInput{LocationType: "moon"}, nil, "InvalidParameterValue", "Value (moon) for parameter locationType is invalid."},
		"filter":  {ec2.DescribeInstanceTypeOfferingsInput{Filters: filter("zone", "x")}, nil, "InvalidParameterValue", "The filter 'zone' is invalid"},
		"dry run": {ec2.DescribeInstanceTypeOfferingsInput{DryRun: aws.Bool(true)}, nil, "DryRunOperation", ""},
	} {
		if v.code == "" {
			v.in.Filters = filter("instance-type", "t4g.small")
		}
		out, err := c.Client.DescribeInstanceTypeOfferings(t.Context(), &v.in)
		if f := ec2test.FailureOf(err); f.Code != v.code || v.message != "" && f.Message != v.message {
			t.Errorf("%s: got %s %q", name, f.Code, f.Message)
		}
		var got []string
		for i := 0; err == nil && i < len(out.InstanceTypeOfferings); i++ {
			got = append(got, *out.InstanceTypeOfferings[i].Location)
		}
		if !slices.Equal(got, v.want) {
			t.Errorf("%s: got %v, want %v", name, got, v.want)
		}
	}
}

// What holds for every type, so that a wrong line in the table is seen.
func TestTableIsPlausible(t *testing.T) {
	t.Parallel()
	for _, kind := range instancetype.New().All() {
		arm := kind.Arch == "arm64"
		if kind.CPUs < 1 || kind.CPUs%kind.ThreadsPerCPU != 0 || kind.Memory <= 0 || kind.Network == "" || kind.Maker == "" {
			t.Errorf("got %+v", kind)
		}
		if arm != (kind.Maker == "AWS") || arm && (kind.ThreadsPerCPU != 1 || kind.BIOS) || !arm && !kind.BIOS || !kind.Runs(kind.Arch) || kind.Runs("i386") == kind.Nitro {
			t.Errorf("%s: processor and boot mode disagree: %+v", kind.Name, kind)
		}
		if want := map[bool]string{false: "", true: "unlimited"}[kind.Burstable]; kind.DefaultCredits() != want && !strings.HasPrefix(kind.Name, "t2.") || kind.Burstable != (kind.Name[0] == 't') {
			t.Errorf("%s: credits %q", kind.Name, kind.DefaultCredits())
		}
	}
}
