package debian

import "github.com/iibake/iibake/bake"

// basePackages are the packages of every image, beside the essential ones and apt. Recommended packages are left out, so
// each one that is wanted stands here.
func basePackages(arch bake.Arch) []string {
	base := []string{
		// To boot and to be a system: an init, device nodes, modules, and an initramfs that unpacks fast.
		"systemd-sysv", "udev", "initramfs-tools", "zstd",
		"dbus",           // systemd-logind and hostnamectl need it; without logind no clean stop by the power button of EC2
		"libpam-systemd", // sessions end before the network does, so that SSH does not hang at power off
		"e2fsprogs",      // fsck and growing of the root

		// To be a machine in a cloud.
		"cloud-init",
		"cloud-guest-utils", // growpart: the root fills the disk
		"openssh-server",
		"sudo", // for the user that cloud-init makes

		// The network: systemd-networkd, which cloud-init writes the configuration for, and what it leaves to others.
		"systemd-resolved", "iproute2", "iputils-ping", "netbase",
		"libnss-myhostname", // the machine's own name resolves whatever cloud-init calls it: sudo wants that
		"systemd-timesyncd", "tzdata",
		"ca-certificates",
	}
	switch arch {
	case bake.ARM64:
		return append(base, "linux-image-cloud-arm64", "grub-efi-arm64-signed", "shim-signed", "grub2-common")
	case bake.AMD64:
	}
	// The cloud kernel carries the drivers of clouds (NVMe, ENA, virtio) and no others. GRUB comes without the packages that
	// install it to a disk: those ask firmware and devices of the machine that builds.
	return append(base, "linux-image-cloud-amd64", "grub-pc-bin", "grub-efi-amd64-signed", "shim-signed", "grub2-common")
}
