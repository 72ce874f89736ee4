package machine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

const connectPoll = 50 * time.Millisecond

// Connect reports, by a nil error, that the guest accepts a connection to a TCP port of [Spec].Ports. That a connection to
// [Machine.Addr] succeeds does not tell: QEMU accepts it first and asks the guest then.
func (m *Machine) Connect(ctx context.Context, port int) error {
	fail := func(err error) error { return fmt.Errorf("connect to port %d of the machine: %w", port, err) }
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", m.Addr(port))
	if err != nil {
		return fail(err)
	}
	defer func() { _ = conn.Close() }()
	heard := make(chan error, 1)
	go func() {
		_, err := conn.Read(make([]byte, 1))
		heard <- err
	}()
	for {
		select {
		case err := <-heard:
			if err != nil {
				return fail(errors.New("refused"))
			}
			return nil
		case <-ctx.Done():
			return fail(fmt.Errorf("no answer: %w", context.Cause(ctx)))
		case <-time.After(connectPoll):
		}
		all, err := m.current().monitor.forwards()
		if err != nil {
			return fail(err)
		}
		for _, f := range all {
			if f.state == "ESTABLISHED" && f.guest == port {
				return nil
			}
		}
	}
}
