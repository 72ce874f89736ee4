package debian

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/sandbox"
)

// file is a file of the image that no package brings.
type file struct {
	name string // without a leading slash
	text string
}

// writeFiles writes what makes a Debian tree an image for clouds.
func (in input) writeFiles(root *os.Root) error {
	key, err := keyring(root)
	if err != nil {
		return err
	}
	for _, f := range in.files(key) {
		if err := root.MkdirAll(path.Dir(f.name), 0o755); err != nil {
			return fmt.Errorf("write %s: %w", f.name, err)
		}
		if err := root.WriteFile(f.name, []byte(f.text), 0o644); err != nil {
			return fmt.Errorf("write %s: %w", f.name, err)
		}
	}
	return root.MkdirAll("boot/efi", 0o755)
}

func (in input) files(key string) []file {
	return []file{
		{"etc/fstab", in.fstab()},
		{"etc/hostname", "localhost\n"},
		{"etc/hosts", hosts},
		{"etc/default/locale", "LANG=C.UTF-8\n"},
		{"etc/default/grub", in.grubDefaults()},
		{strings.TrimPrefix(sandbox.GrubConfig, "/"), sandbox.GrubRoot},
		{"etc/apt/sources.list.d/debian.sources", sources(in.Archives, key)},
		{"etc/cloud/cloud.cfg.d/90_iibake.cfg", cloudConfig},
		{"etc/cloud/ds-identify.cfg", cloudIdentify},
		{"etc/ssh/sshd_config.d/60-iibake.conf", sshdConfig},
	}
}

// fstab names filesystems by what does not change with the bus or the order of disks. The EFI system partition is mounted
// when somebody looks into it: no boot waits for it or fails for it.
func (in input) fstab() string {
	return fmt.Sprintf(`UUID=%s / ext4 errors=remount-ro,x-systemd.growfs 0 1
UUID=%s /boot/efi vfat umask=0077,nofail,noauto,x-systemd.automount,x-systemd.idle-timeout=1min 0 0
`, in.UUID, in.ESPUUID)
}

const hosts = `127.0.0.1 localhost
::1 localhost ip6-localhost ip6-loopback
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
`

// grubDefaults puts everything on screen and serial line, the latter being the console that clouds show. The timeout of
// NVMe requests is the longest there is, as AWS asks for EBS volumes: what is slow must not become an I/O error.
func (in input) grubDefaults() string {
	console, terminal := "console=tty0 console=ttyS0,115200n8", "console serial"
	if in.Arch == bake.ARM64 { // firmware puts GRUB on the serial line there
		console, terminal = "console=tty0 console=ttyAMA0,115200n8 console=ttyS0,115200n8", "console"
	}
	return fmt.Sprintf(`GRUB_DEFAULT=0
GRUB_TIMEOUT=0
GRUB_DISTRIBUTOR=Debian
GRUB_CMDLINE_LINUX_DEFAULT=""
GRUB_CMDLINE_LINUX="%s nvme_core.io_timeout=4294967295"
GRUB_TERMINAL="%s"
GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"
GRUB_DISABLE_OS_PROBER=true
`, console, terminal)
}

// cloudConfig keeps cloud-init to the sources that exist where images run and to what the image has, and off what takes
// time at the first boot for nothing: C.UTF-8 need not be generated, no client of the last ten years wants an RSA key of the
// host, and there is no package of GRUB that asks which disk it is on.
const cloudConfig = `datasource_list: [NoCloud, Ec2, None]
locale: C.UTF-8
ssh_genkeytypes: [ed25519, ecdsa]
grub_dpkg: {enabled: false}
system_info:
  network:
    renderers: [networkd]
    activators: [networkd]
`

// cloudIdentify lets cloud-init run where there is no datasource too: a machine without one still gets host keys, its
// network and its whole disk. Looking takes no time: EC2 is told by DMI.
const cloudIdentify = "policy: search,found=all,maybe=none,notfound=enabled\n"

// sshdConfig keeps passwords off the network. The file of cloud-init, should it say otherwise, is read first and wins.
const sshdConfig = "PasswordAuthentication no\n"

// keyring returns the file that holds the keys of the archive where apt has to be told, or "". Up to bookworm apt trusts
// them without.
func keyring(root *os.Root) (string, error) {
	trusted, err := fs.Glob(root.FS(), "etc/apt/trusted.gpg.d/debian-archive-*")
	if err != nil || len(trusted) > 0 {
		return "", err
	}
	keyrings, err := fs.Glob(root.FS(), "usr/share/keyrings/debian-archive-keyring.*")
	if err != nil || len(keyrings) == 0 {
		return "", err
	}
	return "/" + slices.Max(keyrings), nil // .pgp is the newer name, .gpg a link to it
}

// sources writes archives as apt reads them, in its deb822 form. key may be empty.
func sources(list []bake.Archive, key string) string {
	var b strings.Builder
	for i, a := range list {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "Types: deb\nURIs: %s\nSuites: %s\nComponents: %s\n", a.URL, a.Suite, strings.Join(a.Components, " "))
		if key != "" {
			fmt.Fprintf(&b, "Signed-By: %s\n", key)
		}
	}
	return b.String()
}
