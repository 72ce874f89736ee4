// Package instancetype knows the instance types of the cloud: the common families of EC2 from nano to 4xlarge.
//
// The figures are those of AWS's public tables ("Amazon EC2 instance types", https://docs.aws.amazon.com/ec2/latest/instancetypes/).
package instancetype

import (
	"slices"
	"strings"
	"sync"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
)

// Default is the type of an instance that is launched without one [documented].
const Default = "m1.small"

// Type is an instance type.
type Type struct {
	Name          string
	CPUs          int // virtual
	ThreadsPerCPU int // threads a core
	Memory        bake.Size
	Arch          ec2types.ArchitectureValues // i386 images run on no type but m1.small and t2
	Nitro         bool                        // otherwise Xen: no ENA, no NVMe
	UEFI, BIOS    bool                        // boot modes
	Burstable     bool
	Current       bool // of the current generation
	Clock         float64
	Network       string // performance, in AWS's words
	Maker         string // of the processor
}

// family is types that differ in size only.
type family struct {
	name, maker, network string
	arch                 ec2types.ArchitectureValues
	threads              int
	clock                float64
	sizes                []size
	xen, bursts, old     bool
	biosOnly             bool
}

type size struct {
	name   string
	cpus   int
	memory bake.Size
}

// bursting are the sizes of t3, t3a and t4g.
func bursting() []size {
	return []size{
		{"nano", 2, bake.GiB / 2},
		{"micro", 2, bake.GiB},
		{"small", 2, 2 * bake.GiB},
		{"medium", 2, 4 * bake.GiB},
		{"large", 2, 8 * bake.GiB},
		{"xlarge", 4, 16 * bake.GiB},
		{"2xlarge", 8, 32 * bake.GiB},
	}
}

// sized are the sizes from large to 4xlarge with so much memory a virtual CPU.
func sized(perCPU bake.Size) []size {
	return []size{{"large", 2, 2 * perCPU}, {"xlarge", 4, 4 * perCPU}, {"2xlarge", 8, 8 * perCPU}, {"4xlarge", 16, 16 * perCPU}}
}

// fromMedium is sized and a medium with one CPU.
func fromMedium(perCPU bake.Size) []size {
	return append([]size{{"medium", 1, perCPU}}, sized(perCPU)...)
}

func families() []family {
	const (
		intel, amd, aws = "Intel", "AMD", "AWS"
		x86, arm        = ec2types.ArchitectureValuesX8664, ec2types.ArchitectureValuesArm64
		c, m, r         = 2 * bake.GiB, 4 * bake.GiB, 8 * bake.GiB // memory a CPU
		five, ten       = "Up to 5 Gigabit", "Up to 10 Gigabit"
		twelve, fifteen = "Up to 12.5 Gigabit", "Up to 15 Gigabit"
	)
	return []family{
		{name: "m1", maker: intel, network: "Low", arch: x86, threads: 1, xen: true, old: true, biosOnly: true, sizes: []size{{"small", 1, 1740 * bake.MiB}}},
		{name: "t2", maker: intel, network: "Low to Moderate", arch: x86, threads: 1, clock: 2.3, xen: true, bursts: true, biosOnly: true, sizes: []size{
			{"nano", 1, bake.GiB / 2},
			{"micro", 1, bake.GiB},
			{"small", 1, 2 * bake.GiB},
			{"medium", 2, 4 * bake.GiB},
			{"large", 2, 8 * bake.GiB},
			{"xlarge", 4, 16 * bake.GiB},
			{"2xlarge", 8, 32 * bake.GiB},
		}},
		{name: "t3", maker: intel, network: five, arch: x86, threads: 2, clock: 2.5, bursts: true, sizes: bursting()},
		{name: "t3a", maker: amd, network: five, arch: x86, threads: 2, clock: 2.2, bursts: true, sizes: bursting()},
		{name: "t4g", maker: aws, network: five, arch: arm, threads: 1, clock: 2.5, bursts: true, sizes: bursting()},
		{name: "m5", maker: intel, network: ten, arch: x86, threads: 2, clock: 3.1, sizes: sized(m)},
		{name: "m5a", maker: amd, network: ten, arch: x86, threads: 2, clock: 2.5, sizes: sized(m)},
		{name: "m6i", maker: intel, network: twelve, arch: x86, threads: 2, clock: 3.5, sizes: sized(m)},
		{name: "m6a", maker: amd, network: twelve, arch: x86, threads: 2, clock: 3.6, sizes: sized(m)},
		{name: "m6g", maker: aws, network: ten, arch: arm, threads: 1, clock: 2.5, sizes: fromMedium(m)},
		{name: "m7i", maker: intel, network: twelve, arch: x86, threads: 2, clock: 3.2, sizes: sized(m)},
		{name: "m7a", maker: amd, network: twelve, arch: x86, threads: 1, clock: 3.7, sizes: fromMedium(m)},
		{name: "m7g", maker: aws, network: fifteen, arch: arm, threads: 1, clock: 2.6, sizes: fromMedium(m)},
		{name: "c5", maker: intel, network: ten, arch: x86, threads: 2, clock: 3.4, sizes: sized(c)},
		{name: "c5a", maker: amd, network: ten, arch: x86, threads: 2, clock: 3.3, sizes: sized(c)},
		{name: "c6i", maker: intel, network: twelve, arch: x86, threads: 2, clock: 3.5, sizes: sized(c)},
		{name: "c6a", maker: amd, network: twelve, arch: x86, threads: 2, clock: 3.6, sizes: sized(c)},
		{name: "c6g", maker: aws, network: ten, arch: arm, threads: 1, clock: 2.5, sizes: fromMedium(c)},
		{name: "c7i", maker: intel, network: twelve, arch: x86, threads: 2, clock: 3.2, sizes: sized(c)},
		{name: "c7g", maker: aws, network: fifteen, arch: arm, threads: 1, clock: 2.6, sizes: fromMedium(c)},
		{name: "r5", maker: intel, network: ten, arch: x86, threads: 2, clock: 3.1, sizes: sized(r)},
		{name: "r5a", maker: amd, network: ten, arch: x86, threads: 2, clock: 2.5, sizes: sized(r)},
		{name: "r6i", maker: intel, network: twelve, arch: x86, threads: 2, clock: 3.5, sizes: sized(r)},
		{name: "r6g", maker: aws, network: ten, arch: arm, threads: 1, clock: 2.5, sizes: fromMedium(r)},
		{name: "r7i", maker: intel, network: twelve, arch: x86, threads: 2, clock: 3.2, sizes: sized(r)},
		{name: "r7g", maker: aws, network: fifteen, arch: arm, threads: 1, clock: 2.6, sizes: fromMedium(r)},
	}
}

// Catalog is all types. Use New.
type Catalog struct {
	byName func() map[string]*Type
}

// New returns the catalog. It is built when it is first asked.
func New() *Catalog { return &Catalog{byName: sync.OnceValue(build)} }

// Get returns the type of that name, or nil. It must not be changed.
func (c *Catalog) Get(name string) *Type { return c.byName()[name] }

// All returns the types in the order of their names.
func (c *Catalog) All() []*Type {
	var all []*Type
	for _, t := range c.byName() {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b *Type) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func build() map[string]*Type {
	types := map[string]*Type{}
	for _, f := range families() {
		for _, s := range f.sizes {
			t := f.of(s)
			types[t.Name] = t
		}
	}
	return types
}

func (f *family) of(s size) *Type {
	arm := f.arch == ec2types.ArchitectureValuesArm64
	return &Type{
		Name: f.name + "." + s.name, CPUs: s.cpus, ThreadsPerCPU: min(f.threads, s.cpus), Memory: s.memory, Arch: f.arch,
		Nitro: !f.xen, UEFI: !f.biosOnly, BIOS: !arm, Burstable: f.bursts, Current: !f.old, Clock: f.clock, Network: f.network, Maker: f.maker,
	}
}

// Runs reports whether the type can run images of an architecture.
func (t *Type) Runs(arch ec2types.ArchitectureValues) bool {
	return slices.Contains(t.architectures(), arch)
}

// Boots reports whether the type can boot images of a boot mode; images without one boot by the type's default.
func (t *Type) Boots(mode ec2types.BootModeValues) bool {
	switch mode {
	case ec2types.BootModeValuesLegacyBios:
		return t.BIOS
	case ec2types.BootModeValuesUefi:
		return t.UEFI
	case ec2types.BootModeValuesUefiPreferred:
		return true
	}
	return true
}

// Mode returns how an image of a boot mode, or of none, boots on the type.
func (t *Type) Mode(mode ec2types.BootModeValues) ec2types.InstanceBootModeValues {
	uefi := mode == ec2types.BootModeValuesUefi || mode == ec2types.BootModeValuesUefiPreferred && t.UEFI || !t.BIOS
	if uefi {
		return ec2types.InstanceBootModeValuesUefi
	}
	return ec2types.InstanceBootModeValuesLegacyBios
}

// DefaultCredits returns the CPU credits of a burstable type where the launch says nothing [documented], and "" of others.
func (t *Type) DefaultCredits() string {
	switch {
	case !t.Burstable:
		return ""
	case t.Nitro:
		return "unlimited"
	}
	return "standard"
}

func (t *Type) architectures() []ec2types.ArchitectureValues {
	if t.Nitro {
		return []ec2types.ArchitectureValues{t.Arch}
	}
	return []ec2types.ArchitectureValues{ec2types.ArchitectureValuesI386, t.Arch}
}
