package machine

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/iibake/iibake/bake"
)

// inherited numbers the files that QEMU inherits: descriptor 3 is the first, fd set 1 as well.
type inherited struct{ files []*os.File }

func (in *inherited) fd(f *os.File) int {
	in.files = append(in.files, f)
	return len(in.files) + 2
}

// commandLine builds the arguments of QEMU.
type commandLine struct {
	inherited
	args []string
}

func (c *commandLine) add(args ...string) { c.args = append(c.args, args...) }

// set passes a file and returns the name that QEMU opens it by. The descriptor's access mode must be the one QEMU asks for.
func (c *commandLine) set(f *os.File) string {
	fd := c.fd(f)
	c.add("-add-fd", fmt.Sprintf("fd=%d,set=%d", fd, fd))
	return fmt.Sprintf("/dev/fdset/%d", fd)
}

// rawNode opens a file as the block node name. Nobody else writes to these files, and locks would only get in the way of
// two machines on one disk.
func (c *commandLine) rawNode(name string, f *os.File, readOnly bool) {
	c.add("-blockdev", fmt.Sprintf("driver=raw,node-name=%s,read-only=%s,file.driver=file,file.locking=off,file.filename=%s",
		name, onOff(readOnly), c.set(f)))
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

func arguments(s Spec, accel string, f *files, end sockets, ports map[int]string) *commandLine {
	c := &commandLine{}
	c.add("-name", escape(s.Name), "-nodefaults", "-no-user-config", "-display", "none", "-vga", "none",
		"-action", "reboot=shutdown") // see supervise
	c.board(s.Arch, accel)
	c.add("-m", strconv.FormatInt(int64(s.Memory/bake.MiB), 10)+"M", "-smp", strconv.Itoa(s.CPUs))
	c.add("-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console")
	c.add("-chardev", fmt.Sprintf("socket,id=qmp,fd=%d", c.fd(end.qmp)), "-mon", "chardev=qmp,mode=control")
	c.add("-device", "virtio-rng-pci")
	c.firmware(s.Firmware, f, end.bios)
	if s.Instance != nil {
		c.instance(s.Instance, end)
		return c
	}
	c.disks(s.Bus, f)
	c.network(s.Ports, ports)
	return c
}

func (c *commandLine) board(a bake.Arch, accel string) {
	cpu := "max" // emulation at its best: more than x86-64-v2
	if accel == kvm {
		cpu = "host"
	}
	machine := "q35,hpet=off"
	if a == bake.ARM64 {
		machine = "virt,gic-version=max"
	}
	if accel == tcg {
		accel += ",thread=multi"
	}
	c.add("-machine", machine, "-accel", accel, "-cpu", cpu)
}

func (c *commandLine) firmware(fw bake.Firmware, f *files, log *os.File) {
	if fw == bake.UEFI {
		c.rawNode("code", f.code, true)
		c.rawNode("vars", f.vars, false)
		c.add("-machine", "pflash0=code,pflash1=vars")
		return
	}
	// SeaBIOS has no other way to say that it found nothing to boot.
	c.add("-chardev", fmt.Sprintf("socket,id=bios,fd=%d", c.fd(log)), "-device", "isa-debugcon,iobase=0x402,chardev=bios")
}

func (c *commandLine) disks(bus bake.Bus, f *files) {
	c.rawNode("base", f.disk, true)
	// A throwaway has nothing to lose in a power failure: flushes cost time only.
	c.add("-blockdev", "driver=qcow2,node-name=root,backing=base,discard=unmap,cache.no-flush=on,"+
		"file.driver=file,file.locking=off,file.discard=unmap,file.cache.no-flush=on,file.filename="+c.set(f.overlay))
	device := "nvme"
	if bus == bake.Virtio {
		device = "virtio-blk-pci"
	}
	c.add("-boot", "strict=on", "-device", device+",drive=root,serial=iibake-root,bootindex=0")
	c.rawNode("seed", f.seed, true)
	c.add("-device", "virtio-blk-pci,drive=seed,serial="+seedSerial)
}

// network gives the guest an address behind a NAT in user space. Host port 0 lets the kernel choose a free one while
// binding it, so that there is no race for it; the monitor tells which it was. A guest that restarts keeps its ports, if it can.
func (c *commandLine) network(ports []int, chosen map[int]string) {
	forwards := []string{"user,id=net"}
	ports = append([]int{sshPort}, ports...)
	slices.Sort(ports)
	for _, p := range slices.Compact(ports) {
		forwards = append(forwards, fmt.Sprintf("hostfwd=tcp:%s-:%d", cmp.Or(chosen[p], loopback(0)), p))
	}
	c.add("-netdev", strings.Join(forwards, ","), "-device", "virtio-net-pci,netdev=net,romfile=") // no ROM: nothing boots from the network
}
