package machine_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/machine"
)

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestGuestRunsAndDiskStaysAsItIs(t *testing.T) {
	for _, bus := range []bake.Bus{bake.NVMe, bake.Virtio} {
		t.Run(string(bus), func(t *testing.T) {
			disk := biosDisk(t, overwrite(), say("\x1b[32mwritten\x1b[0m\r\n"), hang())
			before, err := os.ReadFile(disk)
			if err != nil {
				t.Fatal(err)
			}
			var console syncBuffer
			m := start(t, machine.Spec{Name: "a,b=c", Disk: disk, Bus: bus, Console: &console, Ports: []int{80, 22, 80}})
			until(t, "the console shows the line, the end of its colour included", func() bool {
				return slices.Equal(m.Console(1), []string{"written"})
			})
			if got := console.String(); !strings.Contains(got, "\x1b[32mwritten") {
				t.Errorf("raw console: %q", got)
			}
			if m.Addr(22) == "" || m.Addr(80) == "" || m.Addr(22) == m.Addr(80) || m.Addr(81) != "" {
				t.Errorf("addresses: %q %q %q", m.Addr(22), m.Addr(80), m.Addr(81))
			}
			if err := errors.Join(m.Close(), m.Close()); err != nil {
				t.Error(err)
			}
			after, err := os.ReadFile(disk)
			if err != nil || !bytes.Equal(before, after) {
				t.Errorf("the disk was changed, %v", err)
			}
		})
	}
}

// Between the end of one QEMU and the start of the next one a port is anybody's.
func TestPortTakenDuringARestart(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	spec := machine.Spec{Disk: biosDisk(t, hang())}
	ports, err := start(t, spec).Again(t.Context(), spec, map[int]string{22: l.Addr().String()})
	if err != nil || ports[22] == "" || ports[22] == l.Addr().String() {
		t.Errorf("ports %v, %v", ports, err)
	}
}

func TestDiskWithoutName(t *testing.T) {
	disk := biosDisk(t, say("hello"), hang())
	f, err := os.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if err := os.Remove(disk); err != nil {
		t.Fatal(err)
	}
	shows(t, start(t, machine.Spec{Disk: "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))}), "hello")
}

func TestUEFI(t *testing.T) {
	shows(t, start(t, machine.Spec{Disk: uefiDisk(t, "hello from UEFI"), Firmware: bake.UEFI}), "hello from UEFI")
}

// No test below waits for a timeout: what is wrong shows at once.
func TestUnbootable(t *testing.T) {
	for name, c := range map[string]struct {
		spec machine.Spec
		want string
	}{
		"empty disk": {machine.Spec{Disk: write(t, make([]byte, 1<<20))}, "no boot sector"},

		"boot loader gave up": {machine.Spec{Disk: biosDisk(t, giveUp())}, "the BIOS found nothing to boot"},
		"nothing for UEFI":    {machine.Spec{Disk: biosDisk(t, hang()), Firmware: bake.UEFI}, "the UEFI firmware found nothing to boot"},
		"panic":               {machine.Spec{Disk: biosDisk(t, say("Kernel panic - not syncing: VFS\r\n"), hang())}, "the kernel of the guest panicked"},
		"powered off":         {machine.Spec{Disk: biosDisk(t, say("bye\r\n"), powerOff())}, "the guest powered off"},
	} {
		t.Run(name, func(t *testing.T) {
			m := start(t, c.spec)
			client, err := m.Dial(t.Context())
			var broken *machine.Error
			if client != nil || !errors.As(err, &broken) || !strings.Contains(broken.Text, c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestZeroBootCode(t *testing.T) {
	disk := make([]byte, 1<<20)
	copy(disk[510:], "\x55\xaa")
	m := start(t, machine.Spec{Disk: write(t, disk)})
	if _, err := m.Dial(t.Context()); err == nil || !strings.Contains(err.Error(), "holds no boot loader for a BIOS") {
		t.Errorf("got %v", err)
	}
}

func TestGuestThatNeverAnswers(t *testing.T) {
	m := start(t, machine.Spec{Disk: biosDisk(t, say("one\r\n\r\ntwo\r\n"), hang())})
	shows(t, m, "two")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := m.Dial(ctx)
	var broken *machine.Error
	if !errors.As(err, &broken) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	if want := []string{"one", "two"}; strings.Join(broken.Console, "|") != strings.Join(want, "|") {
		t.Errorf("console of the error: %q, want %q", broken.Console, want)
	}
	if !strings.Contains(err.Error(), "did not answer on SSH in time") || !strings.HasSuffix(err.Error(), "ends with:\n  one\n  two") {
		t.Errorf("got %v", err)
	}
}

func TestCancelEndsTheMachine(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	m, err := machine.Start(ctx, machine.Spec{Disk: biosDisk(t, say("up"), hang()), Scratch: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	shows(t, m, "up")
	cancel()
	<-m.Done()
	if _, err := m.Dial(t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := m.Close(); err != nil || running(m.PID()) {
		t.Errorf("close: %v", err)
	}
}

func TestRestart(t *testing.T) {
	m := start(t, machine.Spec{Disk: biosDisk(t, say("up\r\n"), reset())})
	for range 3 {
		<-m.Restarted() // by the guest
	}
	m = start(t, machine.Spec{Disk: biosDisk(t, say("up\r\n>"), hang())})
	shows(t, m, "up\n>") // all of it: a reset in its midst would run both together
	again := m.Restarted()
	if err := m.Reset(); err != nil {
		t.Fatal(err)
	}
	<-again
	shows(t, m, "up\n>up\n>")
	if err := m.PowerDown(); err != nil { // the guest does not listen
		t.Error(err)
	}
}

func TestGrownDisk(t *testing.T) {
	var console syncBuffer
	m := start(t, machine.Spec{Disk: biosDisk(t, say("up"), hang()), DiskSize: 3 * bake.GiB, Console: &console})
	shows(t, m, "up")
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	disk := biosDisk(t, hang())
	for name, c := range map[string]struct {
		spec machine.Spec
		path string // PATH
		want string
	}{
		"disk":     {machine.Spec{Disk: "/nowhere/disk.raw"}, os.Getenv("PATH"), "/nowhere/disk.raw: no such file"},
		"file":     {machine.Spec{Disk: disk, Files: map[string]string{"x": "/nowhere/x"}}, os.Getenv("PATH"), "/nowhere/x: no such file"},
		"scratch":  {machine.Spec{Disk: disk, Scratch: disk}, os.Getenv("PATH"), disk + ": not a directory"},
		"qemu":     {machine.Spec{Disk: disk}, t.TempDir(), "install the package qemu-system-x86"},
		"qemu arm": {machine.Spec{Disk: disk, Arch: bake.ARM64}, t.TempDir(), "install the package qemu-system-arm"},
		"qemu-img": {machine.Spec{Disk: disk}, only(t, "qemu-system-x86_64"), "install the package qemu-utils"},
		"memory":   {machine.Spec{Disk: disk, Memory: bake.TiB * 1000}, os.Getenv("PATH"), "qemu-system-x86_64: exit status 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PATH", c.path)
			m, err := machine.Start(t.Context(), c.spec)
			if err == nil {
				t.Fatal(m.Close())
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// only returns a folder that holds one program.
func only(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(path, dir+"/"+program); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestNothingIsLeft(t *testing.T) {
	before := descriptors(t)
	for range 2 {
		m, err := machine.Start(t.Context(), machine.Spec{Disk: biosDisk(t, hang()), Scratch: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	until(t, "all files are closed", func() bool { return descriptors(t) <= before })
}

func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

func BenchmarkStart(b *testing.B) {
	disk := biosDisk(b, say("up"), hang())
	for b.Loop() {
		m, err := machine.Start(b.Context(), machine.Spec{Disk: disk})
		if err != nil {
			b.Fatal(err)
		}
		shows(b, m, "up")
		if err := m.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
