package debian

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/layout"
	"github.com/iibake/iibake/bake/local/internal/sandbox"
)

// bootFiles are what firmware starts, as the image's own packages bring it.
type bootFiles struct {
	Boot, Core []byte            // GRUB for BIOS; empty where there is no BIOS
	ESP        map[string][]byte // by path in the EFI system partition
}

func (b bootFiles) write(ctx context.Context, f *os.File, l layout.Layout) error {
	if err := l.WriteESP(ctx, f, b.ESP); err != nil {
		return err
	}
	if len(b.Boot) == 0 {
		return nil
	}
	return l.EmbedGRUB(f, b.Boot, b.Core)
}

// setUp is the task that runs the image's own programs, and collects its boot loader.
func setUp(ctx context.Context, e *sandbox.Env, raw json.RawMessage) (any, error) {
	var in input
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(e.Root)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	if err := root.MkdirAll(modulesAtRun, 0o755); err != nil {
		return nil, err
	}
	for _, argv := range [][]string{
		{"sh", "-ec", initramfs},
		{"systemctl", "--quiet", "enable", "systemd-networkd.service"},
		// It looks for LVM snapshots at every boot, in images without LVM.
		{"systemctl", "--quiet", "disable", "e2scrub_reap.service", "e2scrub_all.timer"},
		{"update-grub"},
	} {
		if err := e.Command(ctx, sandbox.Command{Argv: argv}); err != nil {
			return nil, err
		}
	}
	boot := bootFiles{}
	if boot.ESP, err = in.efi(root); err != nil {
		return nil, err
	}
	if in.Arch == bake.AMD64 {
		if boot.Boot, boot.Core, err = bios(ctx, e, root); err != nil {
			return nil, err
		}
	}
	return boot, sandbox.Trim(e.Root)
}

// initramfs makes up for what the kernel's package was kept from: its initramfs, and /initrd.img, the link to it.
const initramfs = `update-initramfs -c -k all
for version in $(linux-version list); do
	linux-update-symlinks install "$version" "/boot/vmlinuz-$version"
done`

// Where packages put GRUB, and where GRUB looks for its modules.
const (
	grubModules  = "usr/lib/grub/i386-pc"
	modulesAtRun = "boot/grub/i386-pc"
)

// bios makes GRUB for BIOS. Its modules are copied beside its configuration, as grub-install does: they have to be of the
// version of the core, also when the package is upgraded.
func bios(ctx context.Context, e *sandbox.Env, root *os.Root) (boot, core []byte, err error) {
	modules, err := fs.Glob(root.FS(), grubModules+"/*")
	if err != nil {
		return nil, nil, err
	}
	for _, name := range modules {
		if ext := path.Ext(name); ext != ".mod" && ext != ".lst" {
			continue
		}
		b, err := root.ReadFile(name)
		if err != nil {
			return nil, nil, err
		}
		if err := root.WriteFile(modulesAtRun+"/"+path.Base(name), b, 0o644); err != nil {
			return nil, nil, err
		}
	}
	const made = "tmp/iibake-core.img"
	err = e.Command(ctx, sandbox.Command{Argv: []string{
		// Partition 1 of whatever disk the core was read from: another disk with the same UUID does not matter.
		"grub-mkimage", "--format=i386-pc", "--output=/" + made, "--prefix=(,gpt1)/boot/grub", "biosdisk", "part_gpt", "ext2",
	}})
	if err != nil {
		return nil, nil, err
	}
	if core, err = root.ReadFile(made); err != nil {
		return nil, nil, err
	}
	boot, err = root.ReadFile(grubModules + "/boot.img")
	return boot, core, err
}

// efi collects the files of the EFI system partition: Debian's signed shim and GRUB at the path that firmware tries on a
// disk it does not know, and where that GRUB looks for its configuration.
func (in input) efi(root *os.Root) (map[string][]byte, error) {
	suffix := map[bake.Arch]string{bake.AMD64: "x64", bake.ARM64: "aa64"}[in.Arch]
	target := map[bake.Arch]string{bake.AMD64: "x86_64", bake.ARM64: "arm64"}[in.Arch]
	files := map[string][]byte{"EFI/debian/grub.cfg": fmt.Appendf(nil,
		"search.fs_uuid %s root\nset prefix=($root)'/boot/grub'\nconfigfile $prefix/grub.cfg\n", in.UUID)}
	for to, from := range map[string]string{
		"EFI/BOOT/BOOT" + strings.ToUpper(suffix) + ".EFI": "usr/lib/shim/shim" + suffix + ".efi.signed",
		"EFI/BOOT/mm" + suffix + ".efi":                    "usr/lib/shim/mm" + suffix + ".efi.signed",
		"EFI/BOOT/grub" + suffix + ".efi":                  "usr/lib/grub/" + target + "-efi-signed/grub" + suffix + ".efi.signed",
	} {
		b, err := root.ReadFile(from)
		if err != nil {
			return nil, fmt.Errorf("collect the boot loader: %w", err)
		}
		files[to] = b
	}
	return files, nil
}
