package machine

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"time"
)

// power is what a machine has from power on until it is switched off or restarts: a process.
type power struct {
	process *process
	monitor *monitor
	ports   map[int]string // guest port → host:port
}

// sockets are the connections of one process. QEMU inherits the other ends.
type sockets struct {
	qmp, bios *os.File
	// of an Instance
	cable *os.File
	bases []*os.File // where its drives read what they do not hold
}

func (s *sockets) close() { closeAll(append(s.bases, s.qmp, s.bios, s.cable)...) }

// powerOn starts QEMU. The ports of this host are chosen anew where there are none from before.
func (m *Machine) powerOn(ctx context.Context, exe string, s Spec, ports map[int]string) (_ *power, err error) {
	var ours, theirs sockets
	defer theirs.close() // our copies of QEMU's ends would hide that it has hung up
	if err := connect(s, &ours, &theirs); err != nil {
		ours.close()
		return nil, err
	}
	p := &power{}
	if p.process, err = startProcess(ctx, exe, arguments(s, m.accel, m.files, theirs, ports), m.console); err != nil {
		ours.close()
		return nil, err
	}
	theirs.close()
	if err := m.attach(p, s, &ours); err != nil {
		ours.close()
		return nil, p.explain(err)
	}
	return p, nil
}

// connect makes the connections of one process.
func connect(s Spec, ours, theirs *sockets) (err error) {
	if ours.qmp, theirs.qmp, err = socketPair(); err != nil {
		return err
	}
	if ours.bios, theirs.bios, err = socketPair(); err != nil {
		return err
	}
	if s.Instance != nil {
		return s.Instance.connect(ours, theirs)
	}
	return nil
}

// attach takes over our ends of the connections, each of which it removes from the list.
func (m *Machine) attach(p *power, s Spec, ours *sockets) (err error) {
	go m.console.watchFirmware(ours.bios)
	ours.bios = nil
	if s.Instance != nil {
		if err := s.Instance.serve(ours); err != nil { // QEMU reads the disks before it greets
			return err
		}
	}
	p.monitor, err = newMonitor(ours.qmp, startup)
	ours.qmp = nil
	if err == nil && s.Instance == nil {
		p.ports, err = p.monitor.ports()
	}
	return err
}

// explain ends a process that could not be started right, and turns the loss of its control socket into what it said when it
// went.
func (p *power) explain(err error) error {
	select {
	case <-p.process.done:
		return p.process.err
	case <-time.After(time.Second):
	}
	p.process.kill()
	select {
	case <-p.process.done:
		return err
	case <-time.After(quitLimit):
		return errors.Join(err, errors.New("QEMU is still there after it was killed"))
	}
}

// supervise starts QEMU again whenever the guest restarts, until it ends otherwise. A reset inside QEMU would do as well, were
// it not for what a long-running emulator remembers of the code that the memory held before: every write to that memory is
// then slow, and a second boot takes many times as long as the first.
func (m *Machine) supervise(ctx context.Context, exe string, s Spec) {
	defer close(m.done)
	defer m.files.Close()
	for p := m.current(); ; {
		<-p.process.done
		restart := p.monitor.restart()
		p.monitor.close()
		if !restart {
			m.err = p.process.err
			return
		}
		next, err := m.again(ctx, exe, s, p.ports)
		if err != nil {
			m.err = err
			return
		}
		m.replace(next)
		p = next
	}
}

// again starts QEMU with the ports of before, or with others where somebody has taken one of them meanwhile.
func (m *Machine) again(ctx context.Context, exe string, s Spec, ports map[int]string) (*power, error) {
	next, err := m.powerOn(ctx, exe, s, ports)
	if err != nil && len(ports) > 0 && ctx.Err() == nil {
		return m.powerOn(ctx, exe, s, nil)
	}
	return next, err
}

func (m *Machine) current() *power {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.power
}

func (m *Machine) replace(p *power) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.power = p
	close(m.restarted)
	m.restarted = make(chan struct{})
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func closeAll(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
}
