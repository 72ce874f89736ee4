package machine

import (
	"bytes"
	"context"
	"io"
	"net"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/iibake/iibake/bake"
)

// ISO writes files as the seed is written.
func ISO(w io.Writer, label string, files map[string][]byte) error {
	var list []isoFile
	for name, body := range files {
		list = append(list, isoFile{name: name, size: int64(len(body)), data: bytes.NewReader(body)})
	}
	return writeISO(w, label, list)
}

// UserData returns what cloud-init is told about a user, and the host key that it is given.
func UserData(user string) (text []byte, host ssh.PublicKey, err error) {
	l, err := newLogin()
	if err != nil {
		return nil, nil, err
	}
	if text, err = l.userData(user); err != nil {
		return nil, nil, err
	}
	host, err = ssh.NewPublicKey(l.host.Public())
	return text, host, err
}

// Probe runs the guest that tells whether an accelerator works. It gives it longer than [Start] does: emulation on a busy host is slow.
func Probe(ctx context.Context, accel string, a bake.Arch, scratch string) error {
	exe, err := findQEMU(a)
	if err != nil {
		return err
	}
	return probe(ctx, exe, accel, a, scratch, 5*time.Minute)
}

// Again starts a machine as after a reset, with ports of before, and returns those that it gets.
func (m *Machine) Again(ctx context.Context, s Spec, ports map[int]string) (map[int]string, error) {
	exe, err := findQEMU(bake.AMD64)
	if err != nil {
		return nil, err
	}
	p, err := m.again(ctx, exe, s.withDefaults(), ports)
	if err != nil {
		return nil, err
	}
	p.process.kill()
	<-p.process.done
	p.monitor.close()
	return p.ports, nil
}

// NoteFolder returns where the outcome of a probe is kept.
func NoteFolder() string { return noteFolder() }

// PID returns the process that the machine runs in.
func (m *Machine) PID() int { return m.current().process.pid }

// DialAddr waits for an SSH server.
func DialAddr(ctx context.Context, addr string, config *ssh.ClientConfig) (*ssh.Client, error) {
	return dial(ctx, addr, config)
}

// RunOn runs a command on a connection.
func RunOn(ctx context.Context, client *ssh.Client, command string, s Streams) error {
	return runOn(ctx, client, command, s)
}

// Hopeless returns what a console's text means.
func Hopeless(text string) string { return hopeless([]byte(text)) }

// ServeNBD lets a connection read a disk.
func ServeNBD(conn net.Conn, disk *io.SectionReader) { serveNBD(conn, disk) }
