package instancetype_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
	"github.com/iibake/iibake/test/localcloud/internal/instancetype"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

func newCloud(t *testing.T) *ec2test.Cloud {
	t.Helper()
	return ec2test.New(t, func(_ *state.Store, svc *wire.Service) { instancetype.Register(svc, instancetype.New()) })
}

func TestTypes(t *testing.T) {
	t.Parallel()
	types := instancetype.New()
	for name, want := range map[string]struct {
		cpus, threads int
		memory        bake.Size
		arch          ec2types.ArchitectureValues
		nitro         bool
	}{
		"t3.nano": {2, 2, bake.GiB / 2, "x86_64", true}, "t4g.small": {2, 1, 2 * bake.GiB, "arm64", true}, "m5.4xlarge": {16, 2, 64 * bake.GiB, "x86_64", true},
		"c6g.medium": {1, 1, 2 * bake.GiB, "arm64", true}, "r6i.large": {2, 2, 16 * bake.GiB, "x86_64", true}, "t2.micro": {1, 1, bake.GiB, "x86_64", false},
	} {
		got := types.Get(name)
		if got == nil || got.CPUs != want.cpus || got.ThreadsPerCPU != want.threads || got.Memory != want.memory || got.Arch != want.arch || got.Nitro != want.nitro {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	if types.Get("m5.nano") != nil || types.Get(instancetype.Default) == nil {
		t.Error("wrong types are known")
	}
}

func TestBootModes(t *testing.T) {
	t.Parallel()
	types := instancetype.New()
	for _, v := range []struct {
		kind  string
		mode  ec2types.BootModeValues
		boots bool
		how   ec2types.InstanceBootModeValues
	}{
		{"t3.nano", "", true, "legacy-bios"},
		{"t3.nano", "uefi", true, "uefi"},
		{"t3.nano", "uefi-preferred", true, "uefi"},
		{"t3.nano", "legacy-bios", true, "legacy-bios"},
		{"t4g.nano", "", true, "uefi"},
		{"t4g.nano", "legacy-bios", false, "uefi"},
		{"t2.nano", "uefi", false, "uefi"},
		{"t2.nano", "uefi-preferred", true, "legacy-bios"},
	} {
		kind := types.Get(v.kind)
		if kind.Boots(v.mode) != v.boots || v.boots && kind.Mode(v.mode) != v.how {
			t.Errorf("%s %s: got %v %s", v.kind, v.mode, kind.Boots(v.mode), kind.Mode(v.mode))
		}
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	out, err := c.Client.DescribeInstanceTypes(t.Context(), &ec2.DescribeInstanceTypesInput{InstanceTypes: []ec2types.InstanceType{"m6g.large"}})
	if err != nil || *out.InstanceTypes[0].MemoryInfo.SizeInMiB != 8192 || out.InstanceTypes[0].NetworkInfo.EnaSupport != "required" ||
		len(out.InstanceTypes[0].SupportedBootModes) != 1 || *out.InstanceTypes[0].VCpuInfo.DefaultCores != 2 {
		t.Errorf("got %+v %v", out, err)
	}
	_, err = c.Client.DescribeInstanceTypes(t.Context(), &ec2.DescribeInstanceTypesInput{InstanceTypes: []ec2types.InstanceType{"t3.nano", "x"}})
	ec2test.Expect(t, err, "InvalidInstanceType", "The following supplied instance types do not exist: [x]")
	pages := ec2.NewDescribeInstanceTypesPaginator(c.Client, &ec2.DescribeInstanceTypesInput{
		MaxResults: aws.Int32(5), Filters: []ec2types.Filter{{Name: aws.String("processor-info.supported-architecture"), Values: []string{"arm64"}}},
	})
	n := 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n += len(page.InstanceTypes)
	}
	if n != 7+6*5 { // t4g; m, c and r of two generations
		t.Errorf("%d types are arm64", n)
	}
}

func TestOfferings(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	out, err := c.Client.DescribeInstanceTypeOfferings(t.Context(), &ec2.DescribeInstanceTypeOfferingsInput{
		LocationType: "availability-zone", Filters: []ec2types.Filter{
			{Name: aws.String("location"), Values: []string{"us-east-1b"}}, {Name: aws.String("instance-type"), Values: []string{"t3.micro"}},
		},
	})
	if err != nil || len(out.InstanceTypeOfferings) != 1 || *out.InstanceTypeOfferings[0].Location != "us-east-1b" {
		t.Errorf("got %+v %v", out, err)
	}
}
