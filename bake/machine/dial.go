package machine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// knock is the pace of new connections while the guest is silent, patience how long each may stay silent. QEMU
	// accepts for the guest and passes on nothing until the guest has a network, so an old connection may be stuck in
	// retransmission when a new one gets through at once; and a slow guest needs seconds to answer.
	knock    = time.Second
	patience = 10 * time.Second
	// refused is the pace while the guest refuses: it is up, its SSH server is about to be.
	refused = 100 * time.Millisecond
	// unready is the pace while it answers and does not let us in: cloud-init has not made the user or the host key yet.
	// OpenSSH punishes those who fail too often.
	unready = 1500 * time.Millisecond
	// handshake bounds what follows on the first sign of life; it takes seconds on an emulated machine.
	handshake = time.Minute
)

// Dial waits until the guest's SSH server lets the user in, and returns the connection. It fails with an *Error as soon as
// the machine has ended or its console shows that it will never answer, and when ctx is done.
func (m *Machine) Dial(ctx context.Context) (*ssh.Client, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-m.done:
			cancel(m.err)
		case <-m.console.doomed():
			cancel(errors.New(m.console.reason()))
		case <-ctx.Done():
		}
	}()
	client, last := dial(ctx, m.Addr(sshPort), m.clientConfig())
	if client != nil {
		m.console.forgive()
		return client, nil
	}
	cause := context.Cause(ctx)
	text := "the machine cannot be reached: " + cause.Error()
	if errors.Is(cause, context.DeadlineExceeded) {
		text = "the machine did not answer on SSH in time: " + last.Error()
	}
	return nil, &Error{Text: text, Console: m.Console(maxTail), Err: cause}
}

const maxTail = 200 // lines of the console in an Error

func (m *Machine) clientConfig() *ssh.ClientConfig {
	var want ssh.PublicKey
	if signer, err := ssh.NewSignerFromKey(m.login.host); err == nil {
		want = signer.PublicKey()
	}
	return &ssh.ClientConfig{
		User:              m.user,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(m.login.user)},
		HostKeyCallback:   ssh.FixedHostKey(want),
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519},
	}
}

// dial knocks until somebody opens. With a nil client comes the reason why the last attempt failed.
func dial(ctx context.Context, addr string, config *ssh.ClientConfig) (*ssh.Client, error) {
	last := errors.New("nothing listens")
	for tries := 0; ctx.Err() == nil; tries++ {
		conn, err := answering(ctx, addr)
		if err != nil {
			return nil, last // only ctx ends it
		}
		client, err := shake(ctx, conn, addr, config)
		if err == nil {
			return client, nil
		}
		if ctx.Err() == nil || tries == 0 { // what an attempt says that was cut off is no news
			last = err
		}
		wait(ctx, unready)
	}
	return nil, last
}

// answering returns the first connection on which the guest says something.
func answering(ctx context.Context, addr string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // hangs up the others
	open := make(chan net.Conn)
	for pace := time.Duration(0); ; {
		failed := make(chan struct{})
		if wait(ctx, pace); ctx.Err() != nil {
			return nil, ctx.Err()
		}
		go func() {
			conn, err := greeted(ctx, addr)
			if err != nil {
				close(failed)
				return
			}
			select {
			case open <- conn:
			case <-ctx.Done():
				_ = conn.Close()
			}
		}()
		select {
		case conn := <-open:
			return conn, nil
		case <-failed:
			pace = refused
		case <-time.After(knock):
			pace = 0
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// greetedConn is a connection of which the first bytes were looked at.
type greetedConn struct {
	net.Conn
	r *bufio.Reader
}

// Read reads what was looked at again, and then on.
func (c greetedConn) Read(p []byte) (int, error) { return c.r.Read(p) }

func greeted(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	c := greetedConn{Conn: conn, r: bufio.NewReader(conn)}
	err = conn.SetReadDeadline(time.Now().Add(patience))
	if err == nil {
		_, err = c.r.Peek(1)
	}
	if err == nil {
		err = conn.SetReadDeadline(time.Time{})
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return c, nil
}

// shake makes an SSH client of a connection, or closes it.
func shake(ctx context.Context, conn net.Conn, addr string, config *ssh.ClientConfig) (*ssh.Client, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(handshake)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	c, channels, requests, err := ssh.NewClientConn(conn, addr, config)
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("ssh: %w", err)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return ssh.NewClient(c, channels, requests), nil
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
