package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/internal/child"
)

// Instance makes a machine a server that lasts instead of a throwaway: its disks stay, it knows itself by its firmware, and its
// network is the caller's affair. It gets no seed and no user, so that [Machine.Dial] and [Machine.Addr] are of no use, and
// nothing of [Spec] that concerns disks, files, users and ports counts.
type Instance struct {
	Drives []Drive // the root disk first
	DMI    DMI
	MAC    string // of its only network card
	// Plug takes over the other end of the network cable. It is called at every start, also halfway through a reboot, with a
	// connection that carries Ethernet frames, each behind its length in four bytes, and ends with the start. It must not block.
	Plug func(net.Conn)
}

// Drive is a disk of an [Instance].
type Drive struct {
	// File is a qcow2 file, made by [Format], that takes what the guest writes. It stays open, and the caller's, until the machine is
	// done. What was written outlives every process, but not a power failure of the host.
	File *os.File
	// Base is what the guest reads where it has not written, filled up with zeros; nil for an empty disk. It is only read where the
	// guest reads, by several goroutines at once.
	Base   *io.SectionReader
	Serial string // at most 20 characters
}

// DMI is what the firmware tells of the machine.
type DMI struct {
	Vendor  string // of firmware, system, board and chassis
	Version string // of the firmware
	Product string
	UUID    string
	Serial  string
	Asset   string // tag of the board
}

// clusterSize is that of the blocks of package disk, so that a file holds exactly the blocks that were changed, each whole.
const clusterSize = "512k"

// Format makes f, an empty file, the qcow2 file of a [Drive] of the given size.
func Format(ctx context.Context, f *os.File, size bake.Size) error {
	return formatQCOW2(ctx, f, int64(size), "-o", "cluster_size="+clusterSize)
}

func formatQCOW2(ctx context.Context, f *os.File, size int64, options ...string) error {
	exe, err := findQEMUImg()
	if err != nil {
		return err
	}
	args := append([]string{"create", "-q", "-f", "qcow2"}, options...)
	cmd := exec.CommandContext(ctx, exe, append(args, "/dev/fd/3", strconv.FormatInt(size, 10))...)
	cmd.ExtraFiles = []*os.File{f}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := child.Run(cmd); err != nil {
		return fmt.Errorf("qemu-img: %w: %s", err, bytes.TrimSpace(said.Bytes()))
	}
	return nil
}

// ErrPoweredOff is the error of a machine whose guest has switched it off.
var ErrPoweredOff = errors.New("the guest powered off")

// Err returns why the machine has ended, and nil until then. The error wraps [ErrPoweredOff] where the guest did it, also on
// request of [Machine.PowerDown].
func (m *Machine) Err() error {
	select {
	case <-m.done:
		return m.err
	default:
		return nil
	}
}

// Pause stops the processors, and returns when all that the guest has written is in the files of its drives, as after a power
// failure.
func (m *Machine) Pause() error { return m.current().monitor.execute("stop") }

// Resume lets the processors go on.
func (m *Machine) Resume() error { return m.current().monitor.execute("cont") }

// connect makes the sockets of an instance for one start.
func (i *Instance) connect(ours, theirs *sockets) (err error) {
	pair := func() (our, their *os.File) {
		if err == nil {
			our, their, err = socketPair()
		}
		return our, their
	}
	ours.cable, theirs.cable = pair()
	for range i.Drives {
		our, their := pair()
		ours.bases, theirs.bases = append(ours.bases, our), append(theirs.bases, their)
	}
	return err
}

// serve takes over our ends of the sockets of an instance.
func (i *Instance) serve(ours *sockets) error {
	cable, err := fileConn(ours.cable)
	if err != nil {
		return fmt.Errorf("network cable: %w", err)
	}
	ours.cable = nil
	i.Plug(cable)
	for n, d := range i.Drives {
		conn, err := fileConn(ours.bases[n])
		if err != nil {
			return fmt.Errorf("disk %s: %w", d.Serial, err)
		}
		ours.bases[n] = nil
		if d.Base == nil {
			_ = conn.Close()
			continue
		}
		go serveNBD(conn, d.Base)
	}
	return nil
}

// fileConn makes a connection of a socket, which it takes over.
func fileConn(socket *os.File) (net.Conn, error) {
	conn, err := net.FileConn(socket)
	return conn, errors.Join(err, socket.Close()) // FileConn has made its own descriptor
}

func (c *commandLine) instance(i *Instance, end sockets) {
	c.dmi(i.DMI)
	c.add("-netdev", fmt.Sprintf("socket,id=net,fd=%d", c.fd(end.cable)),
		"-device", "virtio-net-pci,netdev=net,romfile=,mac="+i.MAC)
	c.add("-boot", "strict=on")
	for n, d := range i.Drives {
		c.drive(n, d, end.bases[n])
	}
}

func (c *commandLine) drive(n int, d Drive, base *os.File) {
	backing := ""
	if d.Base != nil {
		backing = fmt.Sprintf("base%d", n)
		c.add("-blockdev", fmt.Sprintf("driver=nbd,node-name=%s,read-only=on,server.type=fd,server.str=%d", backing, c.fd(base)))
	}
	c.add("-blockdev", fmt.Sprintf("driver=qcow2,node-name=drive%d,backing=%s,discard=unmap,cache.no-flush=on,"+
		"file.driver=file,file.locking=off,file.discard=unmap,file.cache.no-flush=on,file.filename=%s", n, backing, c.set(d.File)))
	// Without a write cache what is written is in the file, the tables of the format included, before the guest hears of it: a killed
	// QEMU takes nothing along. It costs little, for flushes end in the host's memory.
	device := fmt.Sprintf("nvme,drive=drive%d,serial=%s,write-cache=off", n, escape(d.Serial))
	if n == 0 {
		device += ",bootindex=0"
	}
	c.add("-device", device)
}

func (c *commandLine) dmi(d DMI) {
	table := func(kind int, fields ...string) {
		list := []string{"type=" + strconv.Itoa(kind)}
		for f := 0; f < len(fields); f += 2 {
			if fields[f+1] != "" {
				list = append(list, fields[f]+"="+escape(fields[f+1]))
			}
		}
		c.add("-smbios", strings.Join(list, ","))
	}
	table(0, "vendor", d.Vendor, "version", d.Version)
	table(1, "manufacturer", d.Vendor, "product", d.Product, "serial", d.Serial, "uuid", d.UUID)
	table(2, "manufacturer", d.Vendor, "asset", d.Asset)
	table(3, "manufacturer", d.Vendor, "asset", d.Vendor)
}

// escape writes a value as QEMU reads it from a list.
func escape(value string) string { return strings.ReplaceAll(value, ",", ",,") }

// Installed returns an error that says what has to be installed on this host to run guests of an architecture, or nil.
func Installed(a bake.Arch) error {
	if _, err := findQEMU(a); err != nil {
		return err
	}
	_, err := findQEMUImg()
	return err
}

// Accelerator returns what executes the instructions of guests of an architecture on this host: see [Machine.Accelerator]. It may take
// seconds to find out, the first time after the host was started; Start waits for that too.
func Accelerator(ctx context.Context, a bake.Arch, scratch string) (string, error) {
	exe, err := findQEMU(a)
	if err != nil {
		return "", err
	}
	return accelerator(ctx, exe, a, scratch), nil
}
