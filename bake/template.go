package bake

// The structs below are the image template, key for key: bake/template decodes the YAML into them and derives the JSON
// Schema from them. The tags:
//
//	yaml      the key; "-" for what has none
//	doc       what it means
//	example   a value, for error messages and editors
//	required  the key must be there
//	default   what an absent key means; items of a list are separated by commas
//	enum      the legal values
//	format    the form of a text, by its name in bake/template
//	keys      the form of a mapping's keys, likewise
//	min, max  bounds, in the type's own notation
//	path      the text is a path in the repository: of a "file", or of "any" file or folder
//	oneof     exactly one of the keys with this tag must be there; one with "alone" only counts where it is the only one
//	anyof     at least one of the keys with this tag must be there
//	short     a value of this field's type may stand for the whole struct
//	scalar    a text that may also be written as a number or as true and false
//
// The tags enum, format, min, max, path and scalar of a list or a mapping hold for its items.

// Template says what an image contains and how it is judged. It is complete: variables are filled in, defaults are set,
// and every file that it names exists in its repository.
type Template struct {
	Version      int            `yaml:"version" json:"version" required:"true" enum:"1" doc:"version of the file format"`
	Name         string         `yaml:"name" json:"name" required:"true" format:"image" example:"web" doc:"name of the image: lower-case letters, digits and single dashes"`
	Description  string         `yaml:"description" json:"description,omitempty" format:"line" example:"web server" doc:"one line for people"`
	Arch         Arch           `yaml:"arch" json:"arch" default:"amd64" enum:"amd64,arm64" doc:"processor architecture"`
	Vars         map[string]Var `yaml:"vars" json:"vars,omitempty" keys:"variable" doc:"variables and their defaults, used as ${{ vars.NAME }}"`
	Source       Source         `yaml:"source" json:"source" required:"true" example:"{ debian: { suite: bookworm } }" doc:"what the image starts from"`
	DiskSize     Size           `yaml:"disk_size" json:"disk_size,omitempty" min:"64MiB" max:"64TiB" example:"4GiB" doc:"size of the disk; at least the source's; 2GiB for debian, otherwise the source's"`
	Steps        []Step         `yaml:"steps" json:"steps,omitempty" doc:"what is done to the source, in order"`
	Tests        Tests          `yaml:"tests" json:"tests" doc:"how the booted image is judged"`
	Publish      Publish        `yaml:"publish" json:"publish,omitzero" doc:"where the image goes"`
	Retain       Retain         `yaml:"retain" json:"retain,omitzero" doc:"which old images keep their disk"`
	RefreshAfter Duration       `yaml:"refresh_after" json:"refresh_after,omitempty" min:"1m" example:"7d" doc:"resolve the source anew when the last time is longer ago than this"`

	Dir  string   `yaml:"-" json:"-"` // absolute path of the repository, the root of every path in the template
	File string   `yaml:"-" json:"-"` // path of the template in the repository, with slashes
	Pos  Position `yaml:"-" json:"-"` // of the name
}

// Source is what an image starts from: exactly one of its members.
type Source struct {
	Debian *Debian    `yaml:"debian" json:"debian,omitempty" oneof:"source" example:"{ suite: bookworm }" doc:"bootstrap Debian from its archive"`
	Disk   *DiskImage `yaml:"disk" json:"disk,omitempty" oneof:"source" example:"{ path: disks/base.qcow2 }" doc:"a raw or qcow2 cloud image"`
	Image  string     `yaml:"image" json:"image,omitempty" oneof:"source" format:"image-ref" example:"base@candidate" doc:"another image of the catalog: name@channel or name:version"`

	Pos Position `yaml:"-" json:"-"`
}

// Debian is a source bootstrapped by mmdebstrap into a disk that boots by BIOS and by UEFI, on AWS Nitro and in QEMU.
type Debian struct {
	Suite      string   `yaml:"suite" json:"suite" required:"true" format:"suite" example:"bookworm" doc:"release code name, for example bookworm"`
	Packages   []string `yaml:"packages" json:"packages,omitempty" format:"package" example:"curl" doc:"packages installed with the base"`
	Mirror     string   `yaml:"mirror" json:"mirror" default:"http://deb.debian.org/debian" format:"url" doc:"URL of the archive"`
	Security   string   `yaml:"security" json:"security" default:"http://deb.debian.org/debian-security" format:"url-or-none" doc:"URL of the security archive; none switches it off"`
	Components []string `yaml:"components" json:"components" default:"main" format:"suite" doc:"archive components"`
}

// DiskImage is a source that somebody else made: exactly one of Path and URL. In a template a plain text means Path.
type DiskImage struct {
	Path   string `yaml:"path" json:"path,omitempty" oneof:"place" short:"true" path:"file" example:"disks/base.qcow2" doc:"path in the repository"`
	URL    string `yaml:"url" json:"url,omitempty" oneof:"place" format:"url" example:"https://cloud.debian.org/images/cloud/bookworm/latest/debian-12-generic-amd64.qcow2" doc:"http or https address; needs sha256"`
	SHA256 string `yaml:"sha256" json:"sha256,omitempty" format:"sha256" doc:"hexadecimal SHA-256 of the file as downloaded"`
}

// Tests is how the booted image is judged. That it boots, answers on SSH, has no failed unit and passes hygiene is always
// judged.
type Tests struct {
	Goss               string      `yaml:"goss" json:"goss,omitempty" path:"file" example:"tests/web.goss.yaml" doc:"path of a goss file, evaluated by goss inside the booted machine"`
	HTTP               []HTTPProbe `yaml:"http" json:"http,omitempty" example:"{ port: 80 }" doc:"requests from outside that must be answered"`
	TCP                []TCPProbe  `yaml:"tcp" json:"tcp,omitempty" example:"22" doc:"ports that must accept a connection from outside"`
	Reboot             *bool       `yaml:"reboot" json:"reboot,omitempty" default:"true" doc:"reboot the machine and judge it again"`
	AllowedFailedUnits []string    `yaml:"allowed_failed_units" json:"allowed_failed_units,omitempty" format:"unit" example:"nfs-server.service" doc:"systemd units that may fail"`
	Timeout            Duration    `yaml:"timeout" json:"timeout" default:"10m" min:"1s" doc:"limit for the checks of one boot"`
	Boot               Boot        `yaml:"boot" json:"boot" doc:"the machine that the image is booted on"`
}

// Boot is the machine that an image is booted on.
type Boot struct {
	Memory   Size       `yaml:"memory" json:"memory" default:"1GiB" min:"128MiB" max:"1TiB" doc:"memory of the machine"`
	CPUs     int        `yaml:"cpus" json:"cpus" default:"2" min:"1" max:"64" doc:"processors of the machine"`
	Timeout  Duration   `yaml:"timeout" json:"timeout" default:"5m" min:"1s" doc:"limit from power on to SSH"`
	Firmware []Firmware `yaml:"firmware" json:"firmware" default:"bios" enum:"bios,uefi" doc:"firmware to boot by, one machine each; uefi where arch is arm64"`
	RootDisk Bus        `yaml:"root_disk" json:"root_disk" default:"nvme" enum:"nvme,virtio" doc:"how the root disk is attached"`
	User     string     `yaml:"user" json:"user" default:"iibake" format:"user" doc:"user that cloud-init makes for the test; exists only in the throwaway machine"`
}

// HTTPProbe is a request to a port of the machine.
type HTTPProbe struct {
	Port     int      `yaml:"port" json:"port" default:"80" min:"1" max:"65535" doc:"port of the machine"`
	Path     string   `yaml:"path" json:"path" default:"/" format:"url-path" doc:"path and query of the request"`
	TLS      bool     `yaml:"tls" json:"tls,omitempty" doc:"use https, without checking the certificate"`
	Status   int      `yaml:"status" json:"status" default:"200" min:"100" max:"599" doc:"status that the answer must have"`
	Contains string   `yaml:"contains" json:"contains,omitempty" example:"Welcome" doc:"text that the body must contain"`
	Timeout  Duration `yaml:"timeout" json:"timeout" default:"30s" min:"1s" doc:"how long to keep trying"`
}

// TCPProbe is a connection to a port of the machine. In a template a plain number means Port.
type TCPProbe struct {
	Port    int      `yaml:"port" json:"port" required:"true" short:"true" min:"1" max:"65535" example:"22" doc:"port of the machine"`
	Timeout Duration `yaml:"timeout" json:"timeout" default:"30s" min:"1s" doc:"how long to keep trying"`
}

// Publish says where an image goes once it has passed.
type Publish struct {
	Targets        []string `yaml:"targets" json:"targets,omitempty" format:"name" example:"eu" doc:"names of targets in iibake.yaml"`
	DeprecateAfter Duration `yaml:"deprecate_after" json:"deprecate_after,omitempty" min:"1h" example:"90d" doc:"mark the image deprecated after this time"`
	TPM            bool     `yaml:"tpm" json:"tpm,omitempty" doc:"give instances a TPM 2.0; the image must be tested with uefi"`
}

// Retain says which old images keep their disk: those that any of its members speaks for, and those in a channel. An empty
// one keeps them all. Records are kept in any case.
type Retain struct {
	Last int      `yaml:"last" json:"last,omitempty" min:"1" example:"10" doc:"the newest so many"`
	For  Duration `yaml:"for" json:"for,omitempty" min:"1h" example:"90d" doc:"those younger than this"`
}

// Var is the declaration of a variable: a default, or where to find a secret at run time.
type Var struct {
	Default string  `yaml:"-" json:"default,omitempty" short:"true" scalar:"true" example:"strict" doc:"the text that stands for ${{ vars.NAME }}; empty for a secret"`
	Secret  *Secret `yaml:"secret" json:"secret,omitempty" required:"true" example:"{ env: TOKEN }" doc:"where to find the value at run time"`
}

// Secret says where a value is found at run time: exactly one of Env and File. The value is never part of a template, a bake
// key, a record or a log.
type Secret struct {
	Env  string `yaml:"env" json:"env,omitempty" oneof:"place" format:"env" example:"TOKEN" doc:"environment variable that holds the value"`
	File string `yaml:"file" json:"file,omitempty" oneof:"place" example:"/run/secrets/token" doc:"file that holds the value, absolute or seen from the repository; a trailing newline is dropped"`

	Dir string `yaml:"-" json:"-"` // absolute path of the repository, where a relative File is looked for
}

// String says where the value is found, as users see it.
func (s Secret) String() string {
	if s.Env != "" {
		return "environment variable " + s.Env
	}
	return "file " + s.File
}

// Arch is a processor architecture, by Go's and Debian's name for it.
type Arch string

// The architectures that images exist for.
const (
	AMD64 Arch = "amd64"
	ARM64 Arch = "arm64"
)

// Firmware is how a machine starts its boot loader.
type Firmware string

// The firmwares that a machine can have.
const (
	BIOS Firmware = "bios"
	UEFI Firmware = "uefi"
)

// Bus is how a disk is attached to a machine.
type Bus string

// The ways to attach a root disk.
const (
	NVMe   Bus = "nvme"   // as EBS volumes appear on AWS Nitro
	Virtio Bus = "virtio" // as disks appear on most other clouds
)
