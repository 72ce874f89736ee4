# shellcheck shell=bash disable=SC2153
# How the other tools are set up and asked for the same thing: Debian bookworm with nginx, bootable, and then the same with one
# file changed. Sourced by scripts/bench. Each peer has
#
#   NAME_ready      sets the tool up outside the clock; fails with a reason on its last line of output
#   NAME_cold       makes the image from nothing
#   NAME_changed    makes it again after site/index.html changed, with whatever cache the tool offers
#
# $ROOT is the checkout, $IIBAKE the binary, $PROJECT its project, $WORK the bench's folder, $SITE the folder with index.html, $PACKAGES the file with the packages' names.

MIRROR=http://deb.debian.org/debian
SECURITY=http://deb.debian.org/debian-security
SOURCES="deb $MIRROR bookworm main
deb $MIRROR bookworm-updates main
deb $SECURITY bookworm-security main"
PACKER_QEMU=github.com/hashicorp/packer-plugin-qemu@v1.0.9

# The names of every package in iibake's image, with commas. Not that of the kernel: the package that wants it brings it.
packages() { grep -v '^linux-image-[0-9]' "$PACKAGES" | paste -s -d ,; }

mmdebstrap_cold() {
	rm -rf "$WORK/mmdebstrap"
	mmdebstrap --variant=apt --include="$(packages)" --format=directory bookworm "$WORK/mmdebstrap" - <<<"$SOURCES"
}

# mkosi as Debian 13 has it, in a Debian 13 of its own: it needs a newer systemd than Debian 12 and Ubuntu 24.04 have.
mkosi_ready() {
	local root=$WORK/mkosi-root
	[ -x "$root/usr/bin/mkosi" ] || mmdebstrap --variant=minbase --format=directory \
		--include=mkosi,systemd-repart,systemd-ukify,systemd-boot-efi,debian-archive-keyring,e2fsprogs,dosfstools,mtools,apt,ca-certificates,cpio,zstd \
		trixie "$root" "$MIRROR" || return
	cp /etc/resolv.conf "$root/etc/resolv.conf"
	mkdir -p "$root/bench/mkosi.sandbox/etc/apt/sources.list.d" "$root/bench/mkosi.extra/var/www/html"
	cat >"$root/bench/mkosi.conf" <<-EOF
		[Distribution]
		Distribution=debian
		Release=bookworm
		[Output]
		Format=disk
		[Content]
		Bootable=yes
		Packages=systemd-boot,$(packages)
		[Build]
		Incremental=yes
		CacheDirectory=cache
	EOF
	# Its own list names the archive of debug symbols, which mirrors lack.
	cat >"$root/bench/mkosi.sandbox/etc/apt/sources.list.d/mkosi.sources" <<-EOF
		Types: deb
		URIs: $MIRROR
		Suites: bookworm bookworm-updates
		Components: main
		Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

		Types: deb
		URIs: $SECURITY
		Suites: bookworm-security
		Components: main
		Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
	EOF
	cp "$SITE/index.html" "$root/bench/mkosi.extra/var/www/html/"
	chroot "$root" mkosi --version
}
# mkosi_run ARGUMENTS... runs mkosi with Debian 13 as its root, in namespaces of its own.
mkosi_run() {
	# shellcheck disable=SC2016 # expanded in the namespaces
	ROOTFS=$WORK/mkosi-root unshare --mount --pid --fork bash -euc '
		mount --make-rprivate /
		mount --bind "$ROOTFS" "$ROOTFS"
		cd "$ROOTFS"
		mount -t proc proc proc; mount -t sysfs sys sys; mount --rbind /dev dev
		mount -t tmpfs run run; mount -t tmpfs tmp tmp
		mkdir -p .old; pivot_root . .old; umount -l /.old
		cd /bench; exec mkosi "$@"' mkosi "$@"
}
mkosi_cold() {
	rm -rf "$WORK/mkosi-root/bench/cache" "$WORK/mkosi-root/var/cache/mkosi"
	mkdir -p "$WORK/mkosi-root/bench/cache"
	mkosi_run -ff build
}
mkosi_changed() {
	cp "$SITE/index.html" "$WORK/mkosi-root/bench/mkosi.extra/var/www/html/"
	mkosi_run -f build
}

vmdb2_ready() {
	need_packages vmdb2 kpartx debootstrap zerofree jq
	mkdir -p "$WORK/vmdb2"
	cat >"$WORK/vmdb2/image.yaml" <<-EOF
		steps:
		  - { mkimg: "{{ output }}", size: 2G }
		  - { mklabel: gpt, device: "{{ output }}" }
		  - { mkpart: primary, device: "{{ output }}", start: 1MiB, end: 2MiB, tag: bios }
		  - { set_part_flag: "{{ output }}", tag: bios, flag: bios_grub }
		  - { mkpart: primary, device: "{{ output }}", start: 2MiB, end: 100%, tag: root }
		  - kpartx: "{{ output }}"
		  - { mkfs: ext4, partition: root }
		  - mount: root
		  - unpack-rootfs: root
		  - { debootstrap: bookworm, mirror: "$MIRROR", target: root, variant: minbase, unless: rootfs_unpacked }
		  - { create-file: /etc/apt/sources.list, contents: "${SOURCES//$'\n'/\\n}\\n", unless: rootfs_unpacked }
		  # With the boot loader, which the grub step would fetch: by then systemd-resolved has taken /etc/resolv.conf over.
		  - { apt: install, packages: [$(packages),grub-pc], tag: root, unless: rootfs_unpacked }
		  - { cache-rootfs: root, unless: rootfs_unpacked }
		  - { copy-file: /var/www/html/index.html, src: "$SITE/index.html" }
		  - { fstab: root }
		  - { grub: bios, tag: root, console: serial }
	EOF
	dpkg-query -W -f '${Version}\n' vmdb2
}
vmdb2_run() (
	cd "$WORK/vmdb2" || return
	dmsetup version >/dev/null 2>&1 || PATH=$ROOT/scripts/bench.d:$PATH
	rm -f image.raw
	vmdb2 image.yaml --output image.raw --rootfs-tarball rootfs.tar.gz
)
vmdb2_cold() {
	rm -f "$WORK/vmdb2/rootfs.tar.gz"
	vmdb2_run
}
vmdb2_changed() { vmdb2_run; }

# Packer wants a disk to begin with: it gets the one that iibake exported, without nginx, and installs nginx over SSH.
packer_ready() {
	local dir=$WORK/packer module
	need_packages openssh-client
	mkdir -p "$dir/http"
	for module in "$PACKER" "$PACKER_QEMU"; do
		packer_build "$module" "$dir" || return
	done
	[ -f "$dir/base.qcow2" ] || "$IIBAKE" -C "$PROJECT" export base --format qcow2 --output "$dir/base.qcow2" || return
	[ -f "$dir/key" ] || ssh-keygen -q -t ed25519 -N '' -f "$dir/key"
	: >"$dir/http/vendor-data"
	echo 'instance-id: bench' >"$dir/http/meta-data"
	cat >"$dir/http/user-data" <<-EOF
		#cloud-config
		users:
		  - { name: packer, sudo: "ALL=(ALL) NOPASSWD:ALL", shell: /bin/sh, ssh_authorized_keys: ["$(cat "$dir/key.pub")"] }
	EOF
	cat >"$dir/image.pkr.hcl" <<-EOF
		source "qemu" "web" {
		  disk_image           = true
		  iso_url              = "$dir/base.qcow2"
		  iso_checksum         = "none"
		  format               = "qcow2"
		  output_directory     = "$dir/out"
		  accelerator          = "$(accelerator)"
		  headless             = true
		  memory               = 1024
		  cpus                 = 2
		  net_device           = "virtio-net"
		  disk_interface       = "virtio"
		  boot_wait            = "1s"
		  http_directory       = "$dir/http"
		  ssh_username         = "packer"
		  ssh_private_key_file = "$dir/key"
		  ssh_timeout          = "15m"
		  shutdown_command     = "sudo poweroff"
		  qemuargs             = [["-smbios", "type=1,serial=ds=nocloud-net;s=http://10.0.2.2:{{ .HTTPPort }}/"]]
		}
		build {
		  sources = ["source.qemu.web"]
		  provisioner "shell" {
		    inline = [
		      "cloud-init status --wait || true",
		      "sudo apt-get update -q",
		      "sudo DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends nginx",
		    ]
		  }
		  provisioner "file" {
		    source      = "$SITE/index.html"
		    destination = "/tmp/index.html"
		  }
		  provisioner "shell" { inline = ["sudo install -m 644 /tmp/index.html /var/www/html/"] }
		}
	EOF
	"$dir/packer" version
}
# accelerator prints what QEMU runs guests with here: what iibake found out when it booted its own image. That there is a
# KVM device says little.
accelerator() {
	tail -n 1 "$CACHE/accelerator-qemu-system-x86_64" 2>/dev/null | grep -x kvm || echo tcg
}
packer_cold() {
	rm -rf "$WORK/packer/out"
	PACKER_PLUGIN_PATH=$WORK/packer CHECKPOINT_DISABLE=1 "$WORK/packer/packer" build -color=false "$WORK/packer/image.pkr.hcl"
}
packer_changed() { packer_cold; }
