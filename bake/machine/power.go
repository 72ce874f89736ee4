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
type sockets struct{ qmp, bios *os.File }

// powerOn starts QEMU. The ports of this host are chosen anew where there are none from before.
func (m *Machine) powerOn(ctx context.Context, exe string, s Spec, ports map[int]string) (_ *power, err error) {
	var ours, theirs sockets
	defer func() { closeAll(theirs.qmp, theirs.bios) }() // our copies of QEMU's ends would hide that it has hung up
	if ours.qmp, theirs.qmp, err = socketPair(); err != nil {
		return nil, err
	}
	if ours.bios, theirs.bios, err = socketPair(); err != nil {
		closeAll(ours.qmp)
		return nil, err
	}
	p := &power{}
	if p.process, err = startProcess(ctx, exe, arguments(s, m.accel, m.files, theirs, ports), m.console); err != nil {
		closeAll(ours.qmp, ours.bios)
		return nil, err
	}
	closeAll(theirs.qmp, theirs.bios)
	go m.console.watchFirmware(ours.bios)
	if p.monitor, err = newMonitor(ours.qmp, startup); err == nil {
		p.ports, err = p.monitor.ports()
	}
	if err != nil {
		return nil, p.explain(err)
	}
	return p, nil
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
		next, err := m.powerOn(ctx, exe, s, p.ports)
		if err != nil {
			m.err = err
			return
		}
		m.replace(next)
		p = next
	}
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
