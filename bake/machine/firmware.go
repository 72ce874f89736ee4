package machine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
)

// uefiBuild is one distribution's UEFI firmware: code that is executed in place, and the variable store to start with.
type uefiBuild struct{ code, vars string }

// uefiBuilds lists where distributions put UEFI firmware without Secure Boot, newest layout first.
func uefiBuilds(a bake.Arch) []uefiBuild {
	if a == bake.ARM64 {
		return []uefiBuild{
			{"/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"}, // Debian 13
			{"/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"},            // Debian, Ubuntu
			{"/usr/share/edk2/aarch64/QEMU_EFI-pflash.raw", "/usr/share/edk2/aarch64/vars-template-pflash.raw"},
			{"/usr/share/edk2/aarch64/QEMU_CODE.fd", "/usr/share/edk2/aarch64/QEMU_VARS.fd"}, // Arch
		}
	}
	return []uefiBuild{
		{"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},             // Debian, Ubuntu
		{"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},                   // Debian 11
		{"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"},         // Fedora
		{"/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"},     // Arch
		{"/usr/share/edk2-ovmf/x64/OVMF_CODE.fd", "/usr/share/edk2-ovmf/x64/OVMF_VARS.fd"}, // Arch before 2023
	}
}

func openUEFI(s Spec) (code, vars *os.File, err error) {
	for _, b := range uefiBuilds(s.Arch) {
		code, err := os.Open(b.code)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("UEFI firmware: %w", err)
		}
		vars, err := copyToTemp(b.vars, s.Scratch)
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("UEFI variable store: %w", err), code.Close())
		}
		return code, vars, nil
	}
	if s.Arch == bake.ARM64 {
		return nil, nil, errors.New("no UEFI firmware for arm64 found: install the package qemu-efi-aarch64 (Debian, Ubuntu) or edk2-aarch64 (Fedora)")
	}
	return nil, nil, errors.New("no UEFI firmware found: install the package ovmf (Debian, Ubuntu) or edk2-ovmf (Fedora, Arch)")
}

func copyToTemp(path, dir string) (*os.File, error) {
	src, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = src.Close() }()
	f, err := disk.Scratch(dir)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(f, src); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func findQEMU(a bake.Arch) (string, error) {
	name, debian := "qemu-system-x86_64", "qemu-system-x86"
	if a == bake.ARM64 {
		name, debian = "qemu-system-aarch64", "qemu-system-arm"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%w: install the package %s (Debian, Ubuntu) or qemu-kvm (Fedora)", err, debian)
	}
	return path, nil
}

func findQEMUImg() (string, error) {
	path, err := exec.LookPath("qemu-img")
	if err != nil {
		return "", fmt.Errorf("%w: install the package qemu-utils (Debian, Ubuntu) or qemu-img (Fedora)", err)
	}
	return path, nil
}
