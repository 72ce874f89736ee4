package machine_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/machine"
)

// drive returns a drive over the content of a file.
func drive(t *testing.T, base string) machine.Drive {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "drive.qcow2"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if err := machine.Format(t.Context(), f, 4*bake.MiB); err != nil {
		t.Fatal(err)
	}
	d := machine.Drive{File: f, Serial: "vol0123456789abcdef0"}
	if base != "" {
		content, err := os.ReadFile(base)
		if err != nil {
			t.Fatal(err)
		}
		d.Base = io.NewSectionReader(bytes.NewReader(content), 0, int64(len(content)))
	}
	return d
}

// startInstance starts a machine with a root disk and an empty one, and counts how often it is plugged in.
func startInstance(t *testing.T, fw bake.Firmware, root machine.Drive) (*machine.Machine, *atomic.Int32) {
	t.Helper()
	plugged := new(atomic.Int32)
	return start(t, machine.Spec{Firmware: fw, Instance: &machine.Instance{
		Drives: []machine.Drive{root, drive(t, "")}, MAC: "0a:00:00:00:00:01",
		DMI: machine.DMI{Vendor: "Amazon EC2", Version: "1.0", Product: "t3.micro", UUID: "ec2e1916-9099-7caf-fd21-012345abcdef", Serial: "x,y"},
		Plug: func(conn net.Conn) {
			plugged.Add(1)
			go func() { _, _ = io.Copy(io.Discard, conn) }()
		},
	}}), plugged
}

// written returns what is in a block that the guest has written to: with clusters of the size of blocks it is the last of the file.
func written(t *testing.T, d machine.Drive) []byte {
	t.Helper()
	const block = 512 << 10
	info, err := d.File.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, info.Size())
	if _, err := d.File.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return b[max(0, (len(b)-1)/block*block):]
}

func TestInstanceKeepsWhatItWrites(t *testing.T) {
	disk := biosDisk(t, overwrite(), say("written\r\n"), powerOff())
	root := drive(t, disk)
	m, plugged := startInstance(t, bake.BIOS, root)
	if <-m.Done(); !errors.Is(m.Err(), machine.ErrPoweredOff) {
		t.Fatalf("ended: %v, console %q", m.Err(), m.Console(5))
	}
	shows(t, m, "written")
	b := written(t, root)
	if boot, err := os.ReadFile(disk); err != nil || !bytes.Equal(b[512:1024], boot[:512]) || !bytes.Equal(b[:512], boot[:512]) {
		t.Errorf("the second sector is not the first, %v", err)
	}
	if plugged.Load() != 1 {
		t.Errorf("plugged in %d times", plugged.Load())
	}
	if m, _ := startInstance(t, bake.BIOS, root); m.Err() != nil { // it starts from what it has written
		t.Error(m.Err())
	}
}

func TestInstanceRestarts(t *testing.T) {
	m, plugged := startInstance(t, bake.BIOS, drive(t, biosDisk(t, say("up\r\n>"), hang())))
	shows(t, m, "up\n>") // all of it: a reset in its midst would run both together
	if err := errors.Join(m.Pause(), m.Resume()); err != nil || m.Err() != nil {
		t.Error(err, m.Err())
	}
	again := m.Restarted()
	if err := m.Reset(); err != nil {
		t.Fatal(err)
	}
	<-again
	shows(t, m, "up\n>up\n>")
	if plugged.Load() != 2 {
		t.Errorf("plugged in %d times", plugged.Load())
	}
}

func TestInstanceByUEFI(t *testing.T) {
	d := drive(t, uefiDisk(t, "hello from UEFI"))
	m, _ := startInstance(t, bake.UEFI, d)
	shows(t, m, "hello from UEFI")
}

func TestBadDriveIsNamed(t *testing.T) {
	d := drive(t, "")
	if err := d.File.Truncate(0); err != nil {
		t.Fatal(err)
	}
	m, err := machine.Start(t.Context(), machine.Spec{Instance: &machine.Instance{Drives: []machine.Drive{d}, MAC: "0a:00:00:00:00:01", Plug: func(c net.Conn) { _ = c.Close() }}})
	if err == nil {
		t.Fatal(m.Close())
	}
	if !strings.Contains(err.Error(), "not in qcow2 format") {
		t.Error(err)
	}
}

// client speaks NBD by hand.
type client struct {
	t *testing.T
	net.Conn
}

func (c client) send(values ...any) {
	c.t.Helper()
	for _, v := range values {
		if err := binary.Write(c, binary.BigEndian, v); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c client) want(values ...any) {
	c.t.Helper()
	for _, v := range values {
		var want bytes.Buffer
		_ = binary.Write(&want, binary.BigEndian, v)
		got := make([]byte, want.Len())
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want.Bytes()) {
			c.t.Fatalf("got %x, %v, want %x", got, err, want.Bytes())
		}
	}
}

const option, optionReply = uint64(0x49484156454f5054), uint64(0x0003e889045565a9)

// greet returns a client that has been greeted.
func greet(t *testing.T, disk string) client {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = ours.Close() })
	go machine.ServeNBD(theirs, io.NewSectionReader(strings.NewReader(disk), 0, int64(len(disk))))
	c := client{t, ours}
	c.want([]byte("NBDMAGIC"), option, uint16(3))
	c.send(uint32(3))
	return c
}

func TestNBDByOptions(t *testing.T) {
	c := greet(t, "0123456789")
	c.send(option, uint32(8), uint32(0)) // structured replies
	c.want(optionReply, uint32(8), uint32(1<<31|1), uint32(0))
	c.send(option, uint32(6), uint32(6), [6]byte{})
	c.want(optionReply, uint32(6), uint32(3), uint32(12), uint16(0), uint64(10), uint16(3), optionReply, uint32(6), uint32(1), uint32(0))
	c.send(option, uint32(7), uint32(6), [6]byte{})
	c.want(optionReply, uint32(7), uint32(3), uint32(12), uint16(0), uint64(10), uint16(3), optionReply, uint32(7), uint32(1), uint32(0))
	const request, reply = uint32(0x25609513), uint32(0x67446698)
	for _, q := range []struct {
		kind   uint16
		offset uint64
		length uint32
		code   uint32
		data   string
	}{
		{kind: 0, offset: 3, length: 4, data: "3456"},
		{kind: 0, offset: 0, length: 10, data: "0123456789"},
		{kind: 3},
		{kind: 0, offset: 8, length: 4, code: 5},
		{kind: 0, offset: 1 << 63, length: 4, code: 5},
		{kind: 0, length: 1 << 31, code: 22},
		{kind: 4, length: 512, code: 22}, // trim
	} {
		c.send(request, uint16(0), q.kind, uint64(77), q.offset, q.length)
		c.want(reply, q.code, uint64(77), []byte(q.data))
	}
	c.send(request, uint16(0), uint16(2), uint64(0), uint64(0), uint32(0))
	c.ends()
}

func (c client) ends() {
	c.t.Helper()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		c.t.Errorf("it goes on: %d, %v", n, err)
	}
}

func TestNBDOtherEnds(t *testing.T) {
	c := greet(t, "0123")
	c.send(option, uint32(1), uint32(0)) // the oldest way
	c.want(uint64(4), uint16(3))
	c.send(uint32(1)) // no magic
	c.send([24]byte{})
	c.ends()
	c = greet(t, "0123")
	c.send(option, uint32(2), uint32(0)) // abort
	c.want(optionReply, uint32(2), uint32(1), uint32(0))
	c.ends()
	c = greet(t, "0123")
	c.send(option, uint32(7), uint32(1<<31))
	c.ends()
}

func TestInstalled(t *testing.T) {
	if err := machine.Installed(bake.AMD64); err != nil {
		t.Error(err)
	}
	if accel, err := machine.Accelerator(t.Context(), bake.AMD64, t.TempDir()); err != nil || accel != "kvm" && accel != "tcg" {
		t.Errorf("%q, %v", accel, err)
	}
	t.Setenv("PATH", only(t, "qemu-system-x86_64"))
	if err := machine.Installed(bake.AMD64); err == nil || !strings.Contains(err.Error(), "install the package qemu-utils") {
		t.Error(err)
	}
	t.Setenv("PATH", t.TempDir())
	if accel, err := machine.Accelerator(t.Context(), bake.AMD64, t.TempDir()); err == nil {
		t.Error(accel)
	}
	if err := machine.Installed(bake.AMD64); err == nil || !strings.Contains(err.Error(), "install the package qemu-system-x86") {
		t.Error(err)
	}
}
