package machines_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
)

// The guests of these tests are a few instructions long, so that a machine is up in a fraction of a second.

// say prints a text on the serial console.
func say(text string) []byte {
	text += "\x00"
	code := []byte{
		0xe8, 0x00, 0x00, 0x5e, 0x83, 0xc6, 0, // the text follows the code: its address to si
		0xac, 0x84, 0xc0, 0x74, 0x06, 0xba, 0xf8, 0x03, 0xee, 0xeb, 0xf5, // print up to the zero
		0xeb, byte(len(text)), // jump over the text
	}
	code[6] = byte(len(code) - 3)
	return append(code, text...)
}

func hang() []byte { return []byte{0xf4, 0xeb, 0xfd} }

// powerOff asks the board's ACPI to switch the machine off.
func powerOff() []byte { return append([]byte{0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef}, hang()...) }

// onButton enables the power button of the board's ACPI, waits until it is pressed, and goes on.
func onButton() []byte {
	return []byte{
		0xba, 0x02, 0x06, 0xb8, 0x00, 0x01, 0xef, // enable bit 8 of the events at 0x600
		0xba, 0x00, 0x06, 0xed, 0xf6, 0xc4, 0x01, 0x74, 0xfa, // until it is set
	}
}

// overwrite writes the boot sector over the second sector of the disk, or hangs.
func overwrite() []byte {
	packet := []byte{16, 0, 1, 0, 0x00, 0x7c, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}
	code := []byte{0xe8, 0x00, 0x00, 0x5e, 0x83, 0xc6, 0, 0xb8, 0x00, 0x43, 0xcd, 0x13, 0x73, 0x03}
	code = append(append(code, hang()...), 0xeb, byte(len(packet)))
	code[6] = byte(len(code) - 3)
	return append(code, packet...)
}

// biosDisk stores a disk whose boot sector is the given code.
func biosDisk(t *testing.T, s *disk.Store, code ...[]byte) bake.Digest {
	t.Helper()
	content := make([]byte, 2<<20)
	all := append([]byte{0x31, 0xc0, 0x8e, 0xd8}, bytes.Join(code, nil)...) // ds = 0
	if len(all) > 440 {
		t.Fatalf("%d bytes of code do not fit into a boot sector", len(all))
	}
	copy(content, all)
	copy(content[510:], "\x55\xaa")
	name := filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	d, err := s.Import(t.Context(), f, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// small is an instance with a root disk and nothing else.
func small(id string, root bake.Digest) compute.Spec {
	return compute.Spec{
		Region: "eu-west-1", ID: id, Type: "t3.nano", Arch: bake.AMD64, Firmware: bake.BIOS, CPUs: 1, Memory: 64 * bake.MiB,
		Disks:    []compute.Disk{{Device: "/dev/xvda", Volume: "vol-" + id[2:], Disk: root, Size: 2 * bake.MiB}},
		Ports:    []compute.Port{{From: 22, To: 22}, {From: 8080, To: 8081}},
		Metadata: compute.Metadata{Enabled: true, HopLimit: 1, MAC: "0a:00:00:00:00:01"},
	}
}

func blocks(t *testing.T) *disk.Store {
	t.Helper()
	s, err := disk.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
