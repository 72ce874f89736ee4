// Package machine runs a disk as a machine: QEMU on this host, reached over SSH on the loopback interface.
//
// A machine is a throwaway. It writes to an overlay that has no name, so the disk it was started from never changes, and
// nothing is left of it when it ends, however it ends: its files are unlinked from the start, it has no sockets in the file
// system, and the kernel kills QEMU when the process that started it dies.
package machine

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/iibake/iibake/bake"
)

// SeedDevice is the guest's name for the read-only ISO 9660 disk with the cloud-init seed and the files of [Spec].Files.
const SeedDevice = "/dev/disk/by-id/virtio-" + seedSerial

const (
	seedSerial  = "iibake-seed"
	sshPort     = 22
	defaultUser = "iibake"
	// quitLimit bounds the wait for a killed QEMU. It takes milliseconds unless the kernel is at work on its I/O: on a busy disk, seconds.
	quitLimit = time.Minute
	startup   = 30 * time.Second // until QEMU answers on its control socket, on a busy host
)

// Spec is the machine to start.
type Spec struct {
	Name     string            // shows in the process list
	Disk     string            // raw root disk; only read. May be /proc/self/fd/N
	DiskSize bake.Size         // size that the guest sees; at least that of Disk, which zero stands for
	Arch     bake.Arch         // default AMD64
	Firmware bake.Firmware     // default BIOS
	Bus      bake.Bus          // default NVMe
	Memory   bake.Size         // default 1 GiB
	CPUs     int               // default 2
	User     string            // made by cloud-init at boot, may use sudo without password; default iibake
	Files    map[string]string // on SeedDevice: name there → path here
	Ports    []int             // TCP ports of the guest, besides SSH, that are reachable on loopback
	Console  io.Writer         // receives the serial console as it comes; may be nil
	Scratch  string            // folder on a file system with room for what the guest writes; default /var/tmp
	Instance *Instance         // makes it a server with disks and a network of its own; nil for a throwaway
}

// Machine is a running machine. Its methods are safe for concurrent use.
type Machine struct {
	name    string
	accel   string
	user    string
	login   login
	console *console
	files   *files
	cancel  context.CancelFunc
	done    chan struct{} // closed when the machine has ended
	err     error         // why; read it once done is closed

	mu        sync.Mutex
	power     *power
	restarted chan struct{} // closed at the next restart
}

// Start powers a machine on. It returns as soon as the firmware runs; see [Machine.Dial]. The machine runs until
// [Machine.Close], until the guest powers off, until ctx is done, or until this process dies.
func Start(ctx context.Context, s Spec) (*Machine, error) {
	s = s.withDefaults()
	m, err := start(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("start machine %s: %w", s.Name, err)
	}
	return m, nil
}

func (s Spec) withDefaults() Spec {
	setDefault(&s.Name, "iibake")
	setDefault(&s.Arch, bake.AMD64)
	setDefault(&s.Firmware, bake.BIOS)
	setDefault(&s.Bus, bake.NVMe)
	setDefault(&s.Memory, bake.GiB)
	setDefault(&s.CPUs, 2)
	setDefault(&s.User, defaultUser)
	setDefault(&s.Scratch, "/var/tmp") // /tmp is often memory
	if s.Arch == bake.ARM64 {
		s.Firmware = bake.UEFI // there is no BIOS
	}
	return s
}

func setDefault[T comparable](p *T, v T) {
	if *p == *new(T) {
		*p = v
	}
}

func start(ctx context.Context, s Spec) (*Machine, error) {
	exe, err := findQEMU(s.Arch)
	if err != nil {
		return nil, err
	}
	key, err := newLogin()
	if err != nil {
		return nil, err
	}
	f, err := openFiles(ctx, s, key)
	if err != nil {
		return nil, err
	}
	m := &Machine{
		name: s.Name, accel: accelerator(ctx, exe, s.Arch, s.Scratch), user: s.User, login: key, files: f,
		console: newConsole(s.Console, f.flaw), done: make(chan struct{}), restarted: make(chan struct{}),
	}
	ctx, m.cancel = context.WithCancel(ctx)
	if m.power, err = m.powerOn(ctx, exe, s, nil); err != nil {
		m.cancel()
		f.Close()
		return nil, err
	}
	go m.supervise(ctx, exe, s)
	return m, nil
}

// Accelerator says what executes the guest's instructions: kvm, or tcg where the host cannot do without emulation.
func (m *Machine) Accelerator() string { return m.accel }

// Addr returns the address on this host that leads to a TCP port of the guest: 22 or one of [Spec].Ports, otherwise "".
func (m *Machine) Addr(port int) string { return m.current().ports[port] }

// Console returns up to the given number of the last lines that the serial console showed, without escape sequences.
func (m *Machine) Console(lines int) []string { return m.console.tail(lines) }

// Done is closed when the machine has ended.
func (m *Machine) Done() <-chan struct{} { return m.done }

// Restarted returns a channel that is closed when the machine starts anew the next time, halfway through a reboot.
func (m *Machine) Restarted() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.restarted
}

// Reset restarts the machine at once, as its reset button would.
func (m *Machine) Reset() error { return m.current().monitor.execute("system_reset") }

// PowerDown presses the power button: the guest shuts down in its own time and the machine ends. See [Machine.Done].
func (m *Machine) PowerDown() error { return m.current().monitor.execute("system_powerdown") }

// Close ends the machine and waits until it is gone. What the guest had not written is as lost as what it had: there is
// nothing to save. Closing twice is fine.
func (m *Machine) Close() error {
	m.cancel()
	select {
	case <-m.done:
		return nil
	case <-time.After(quitLimit):
		return fmt.Errorf("machine %s: QEMU (pid %d) is still there %s after it was killed", m.name, m.current().process.pid, quitLimit)
	}
}

// Error is why a machine cannot be reached: its image does not boot, the guest crashed, or it never answered.
type Error struct {
	Text    string   // what happened
	Console []string // the last lines of the serial console
	Err     error    // cause; may be nil
}

const errorLines = 15 // of the console in the text of an error

// Error returns the text and the very last lines of the console.
func (e *Error) Error() string {
	if len(e.Console) == 0 {
		return e.Text + "; its serial console showed nothing"
	}
	last := e.Console[max(0, len(e.Console)-errorLines):]
	return e.Text + "; its serial console ends with:\n  " + strings.Join(last, "\n  ")
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
