package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/internal/child"
)

const (
	kvm = "kvm"
	tcg = "tcg"

	probeLimit = 10 * time.Second // KVM takes a tenth of a second on an idle host
	probeExit  = 33               // of QEMU, when the guest wrote 16 to the exit port: value*2+1
)

// accelerator returns what to run guests with: kvm where it works, otherwise tcg. That /dev/kvm exists says little: on
// many virtual hosts it opens, and then fails on the first ordinary guest. So a guest is run, and the outcome is kept until
// this host is booted again or QEMU is replaced.
func accelerator(ctx context.Context, exe string, a bake.Arch, scratch string) string {
	if string(a) != runtime.GOARCH {
		return tcg
	}
	dev, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return tcg
	}
	_ = dev.Close()
	note, key := probeNote(exe)
	if found, err := os.ReadFile(note); err == nil && strings.HasPrefix(string(found), key+"\n") {
		return strings.TrimPrefix(string(found), key+"\n")
	}
	result := kvm
	if err := probe(ctx, exe, kvm, a, scratch, probeLimit); err != nil {
		result = tcg
	}
	if ctx.Err() == nil {
		writeNote(note, key+"\n"+result)
	}
	return result
}

// probeNote returns the file that the outcome is kept in, and what it was found out about: this boot of this host, and
// this very QEMU.
func probeNote(exe string) (path, key string) {
	dir := noteFolder()
	if dir == "" {
		return "", ""
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", ""
	}
	info, err := os.Stat(exe)
	if err != nil {
		return "", ""
	}
	key = fmt.Sprintf("%s %s %d %d", strings.TrimSpace(string(boot)), exe, info.Size(), info.ModTime().UnixNano())
	return filepath.Join(dir, "iibake", "accelerator-"+filepath.Base(exe)), key
}

// noteFolder returns the folder that notes go below, or "" where there is none: the user's cache, but not where sudo has left us the home of
// somebody else, who could not use a cache that root has made.
func noteFolder() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	info, err := os.Stat(dir)
	if errors.Is(err, os.ErrNotExist) {
		info, err = os.Stat(filepath.Dir(dir))
	}
	if err != nil {
		return ""
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return "/run" // until the next boot is as long as a note lasts; who is not root makes none
	}
	return dir
}

// writeNote replaces the note. Without it the next machine starts a little later: failing is no error.
func writeNote(path, text string) {
	if path == "" || os.MkdirAll(filepath.Dir(path), 0o755) != nil {
		return
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".accelerator-*")
	if err != nil {
		return
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err == nil && os.Rename(f.Name(), path) == nil {
		return
	}
	_ = os.Remove(f.Name())
}

// probe runs a guest of a few instructions, with the processor and board that machines get.
func probe(ctx context.Context, exe, accel string, a bake.Arch, scratch string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	disk, err := probeDisk(a, scratch)
	if err != nil {
		return err
	}
	defer func() { _ = disk.Close() }()
	c := &commandLine{}
	c.add("-nodefaults", "-no-user-config", "-display", "none", "-m", "64M")
	c.board(a, accel)
	want := probeExit
	if a == bake.ARM64 {
		c.add("-kernel", fmt.Sprintf("/proc/self/fd/%d", c.fd(disk)))
		want = 0
	} else {
		c.rawNode("probe", disk, true)
		c.add("-device", "virtio-blk-pci,drive=probe", "-device", "isa-debug-exit,iobase=0xf4,iosize=1")
	}
	cmd := exec.CommandContext(ctx, exe, c.args...)
	cmd.ExtraFiles = c.files
	cmd.WaitDelay = time.Second
	err = child.Run(cmd)
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != want {
		return fmt.Errorf("%s does not work here: %w", accel, err)
	}
	return nil
}

func probeDisk(a bake.Arch, scratch string) (*os.File, error) {
	f, err := disk.Scratch(scratch)
	if err != nil {
		return nil, err
	}
	guest := probeAMD64()
	if a == bake.ARM64 {
		guest = probeARM64()
	}
	if _, err := f.Write(guest); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return readOnly(f)
}

// probeAMD64 returns a disk whose boot sector does what the first instructions of every kernel do: it builds page tables,
// enters 64-bit mode, and then exits. Offsets are of address 0x7c00.
func probeAMD64() []byte {
	code := []byte{
		0xfa,       // cli
		0x31, 0xc0, // xor %ax,%ax
		0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, // mov %ax to %ds, %es, %ss
		0xbc, 0x00, 0x7c, // mov $0x7c00,%sp
		0xbf, 0x00, 0x10, 0xb9, 0x00, 0x18, 0xfc, 0xf3, 0xab, // clear 0x1000 to 0x4000
		0xc7, 0x06, 0x00, 0x10, 0x03, 0x20, // level 4 of the page tables at 0x1000 points to 0x2000
		0xc7, 0x06, 0x00, 0x20, 0x03, 0x30, // level 3 points to 0x3000
		0xc7, 0x06, 0x00, 0x30, 0x83, 0x00, // level 2 maps the first 2 MiB
		0x66, 0xb8, 0x00, 0x10, 0x00, 0x00, 0x0f, 0x22, 0xd8, // cr3 = 0x1000
		0x0f, 0x20, 0xe0, 0x0c, 0x20, 0x0f, 0x22, 0xe0, // cr4 |= PAE
		0x66, 0xb9, 0x80, 0x00, 0x00, 0xc0, 0x0f, 0x32, 0x80, 0xcc, 0x01, 0x0f, 0x30, // EFER |= long mode
		0x0f, 0x01, 0x16, 0x62, 0x7c, // lgdt, at offset 0x62
		0x0f, 0x20, 0xc0, 0x66, 0x0d, 0x01, 0x00, 0x00, 0x80, 0x0f, 0x22, 0xc0, // cr0 |= paging, protection
		0xea, 0x5b, 0x7c, 0x08, 0x00, // jump to the next instruction, in 64-bit mode
		0xb0, 0x10, 0xe6, 0xf4, // out $16 to the exit port
		0xf4, 0xeb, 0xfd, // hlt for ever
		0x0f, 0x00, 0x68, 0x7c, 0x00, 0x00, // 0x62: the table lies at offset 0x68
		0, 0, 0, 0, 0, 0, 0, 0, // 0x68: empty segment
		0, 0, 0, 0, 0, 0x9a, 0x20, 0, // 64-bit code segment
	}
	disk := make([]byte, 1<<20) // SeaBIOS does not boot from a disk of less than a cylinder
	copy(disk, code)
	copy(disk[510:], []byte{0x55, 0xaa})
	return disk
}

// probeARM64 returns a kernel that asks the firmware to power off (PSCI SYSTEM_OFF).
func probeARM64() []byte {
	return []byte{
		0x00, 0x01, 0x80, 0x52, // mov w0, #8
		0x00, 0x80, 0xb0, 0x72, // movk w0, #0x8400, lsl #16
		0x02, 0x00, 0x00, 0xd4, // hvc #0
	}
}
