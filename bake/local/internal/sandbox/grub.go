package sandbox

// GrubConfig is where images that iibake bootstraps keep [GrubRoot] themselves.
const GrubConfig = "/etc/default/grub.d/10-iibake-sandbox.cfg"

// GrubRoot lets update-grub work while an image is built. GRUB's scripts leave a root on a loop device out of the menu;
// found by its UUID it is a device like any other.
const GrubRoot = `# While an image is built its root is a loop device.
case "$GRUB_DEVICE" in
/dev/loop*)
	GRUB_DEVICE=/dev/disk/by-uuid/$GRUB_DEVICE_UUID
	GRUB_DEVICE_BOOT=/dev/disk/by-uuid/$GRUB_DEVICE_BOOT_UUID
	;;
esac
`
