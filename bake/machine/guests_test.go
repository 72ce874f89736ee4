package machine_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake/machine"
)

// The guests of these tests are a few instructions long, so that a machine is up in a fraction of a second.

// say prints a text on the first serial port.
func say(text string) []byte {
	text += "\x00"
	code := []byte{
		0xe8, 0x00, 0x00, 0x5e, // call the next instruction, which pops its own address into si
		0x83, 0xc6, 0, // add si: the text follows the code
		0xac, 0x84, 0xc0, 0x74, 0x06, 0xba, 0xf8, 0x03, 0xee, 0xeb, 0xf5, // print up to the zero
		0xeb, byte(len(text)), // jump over the text
	}
	code[6] = byte(len(code) - 3)
	return append(code, text...)
}

func hang() []byte { return []byte{0xf4, 0xeb, 0xfd} }

// forever repeats code.
func forever(code []byte) []byte {
	back := -len(code) - 3
	return append(code, 0xe9, byte(back), byte(back>>8))
}

// powerOff asks the board's ACPI to switch the machine off.
func powerOff() []byte { return append([]byte{0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef}, hang()...) }

// reset asks the keyboard controller, as PCs do.
func reset() []byte { return append([]byte{0xb0, 0xfe, 0xe6, 0x64}, hang()...) }

// giveUp tells the BIOS that there is nothing to boot.
func giveUp() []byte { return []byte{0xcd, 0x18} }

// overwrite writes the boot sector over the second sector of the disk, or hangs.
func overwrite() []byte {
	packet := []byte{16, 0, 1, 0, 0x00, 0x7c, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}
	code := []byte{0xe8, 0x00, 0x00, 0x5e, 0x83, 0xc6, 0, 0xb8, 0x00, 0x43, 0xcd, 0x13, 0x73, 0x03}
	code = append(code, hang()...)
	code = append(code, 0xeb, byte(len(packet)))
	code[6] = byte(len(code) - 3)
	return append(code, packet...)
}

// biosDisk returns a disk whose boot sector is the given code.
func biosDisk(t testing.TB, code ...[]byte) string {
	t.Helper()
	disk := make([]byte, 1<<20)
	all := append([]byte{0x31, 0xc0, 0x8e, 0xd8}, bytes.Join(code, nil)...) // ds = 0
	if len(all) > 440 {
		t.Fatalf("%d bytes of code do not fit into a boot sector", len(all))
	}
	copy(disk, all)
	copy(disk[510:], "\x55\xaa")
	return write(t, disk)
}

func write(t testing.TB, disk []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(name, disk, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// uefiDisk returns a disk with a UEFI program on a FAT file system that prints a text on the first serial port and hangs.
func uefiDisk(t testing.TB, text string) string {
	t.Helper()
	dir := t.TempDir()
	program, disk := filepath.Join(dir, "program.efi"), filepath.Join(dir, "disk.raw")
	if err := os.WriteFile(program, efiProgram(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"truncate", "-s", "4M", disk},
		{"mkfs.vfat", disk},
		{"mmd", "-i", disk, "::EFI", "::EFI/BOOT"},
		{"mcopy", "-i", disk, program, "::EFI/BOOT/BOOTX64.EFI"},
	} {
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", args, err, out)
		}
	}
	return disk
}

// efiProgram is a PE32+ image of one section.
func efiProgram(text string) []byte {
	const (
		header  = 512
		section = 4096
	)
	code := []byte{
		0x48, 0x8d, 0x35, 0x10, 0, 0, 0, // lea rsi, text
		0xac, 0x84, 0xc0, 0x74, 0x08, 0x66, 0xba, 0xf8, 0x03, 0xee, 0xeb, 0xf4, // print it
		0x90, 0xf4, 0xeb, 0xfc, // hang
	}
	code = append(append(code, text...), 0)
	var b bytes.Buffer
	put := func(values ...any) {
		for _, v := range values {
			_ = binary.Write(&b, binary.LittleEndian, v)
		}
	}
	put([]byte("MZ"), make([]byte, 58), uint32(64), []byte("PE\x00\x00"))
	put(uint16(0x8664), uint16(1), uint32(0), uint32(0), uint32(0), uint16(240), uint16(0x22))
	put(uint16(0x20b), uint16(0), uint32(header), uint32(0), uint32(0), uint32(section), uint32(section))
	put(uint64(0), uint32(section), uint32(header), make([]byte, 16), uint32(2*section), uint32(header), uint32(0))
	put(uint16(10), uint16(0), make([]byte, 32), uint32(0), uint32(16), make([]byte, 128)) // subsystem: EFI application
	put([]byte(".text\x00\x00\x00"), uint32(header), uint32(section), uint32(header), uint32(header), make([]byte, 12), uint32(0x60000020))
	image := make([]byte, 2*header)
	copy(image, b.Bytes())
	copy(image[header:], code)
	return image
}

// start starts a machine that is closed at the end of the test, which then checks that nothing is left of it.
func start(t testing.TB, s machine.Spec) *machine.Machine {
	t.Helper()
	scratch := t.TempDir()
	s.Scratch = scratch
	m, err := machine.Start(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(scratch); err != nil || len(left) > 0 {
			t.Errorf("left in the scratch folder: %v, %v", left, err)
		}
		if running(m.PID()) {
			t.Errorf("QEMU (pid %d) is still there", m.PID())
		}
	})
	return m
}

func running(pid int) bool {
	_, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid)))
	return err == nil
}

// shows waits until the console shows a text.
func shows(t testing.TB, m *machine.Machine, text string) {
	t.Helper()
	until(t, "the console shows "+text, func() bool { return strings.Contains(strings.Join(m.Console(100), "\n"), text) })
}

// until waits for something that happens soon unless it never will.
func until(t testing.TB, what string, happened func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Minute); !happened(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never happened that %s", what)
		}
	}
}
