package machine_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake/machine"
)

// phase is how a booting guest treats one connection.
type phase func(t *testing.T, conn net.Conn)

// slam refuses, as a guest does whose SSH server is not up.
func slam(_ *testing.T, conn net.Conn) { _ = conn.Close() }

// sleep says nothing, as a guest does that has no network yet.
func sleep(t *testing.T, _ net.Conn) {
	t.Helper()
	<-t.Context().Done()
}

// serve is an SSH server with a host key that lets the owner of a key in.
func serve(host ssh.Signer, user ssh.PublicKey) phase {
	return func(_ *testing.T, conn net.Conn) {
		config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
			if !bytes.Equal(k.Marshal(), user.Marshal()) {
				return nil, errors.New("who are you?")
			}
			return nil, nil
		}}
		config.AddHostKey(host)
		_, channels, requests, err := ssh.NewServerConn(conn, config)
		if err != nil {
			return
		}
		go ssh.DiscardRequests(requests)
		for c := range channels {
			go session(c)
		}
	}
}

// session echoes what the client asks for, then its input, and exits with 3.
func session(c ssh.NewChannel) {
	channel, requests, err := c.Accept()
	if err != nil {
		return
	}
	for r := range requests {
		_ = r.Reply(true, nil)
		switch r.Type {
		case "pty-req":
			_, _ = fmt.Fprintf(channel, "terminal %s %d\n", r.Payload[4:8], r.Payload[11])
		case "exec":
			go func() {
				_, _ = fmt.Fprintf(channel, "run %s\n", r.Payload[4:])
				if strings.Contains(string(r.Payload), "hang") {
					return
				}
				if !strings.Contains(string(r.Payload), "deaf") {
					_, _ = io.Copy(channel, channel)
				}
				_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{3}))
				_ = channel.Close()
			}()
		}
	}
}

// guestPort listens and treats one connection after the other as the phases say, and all later ones as the last does.
func guestPort(t *testing.T, phases ...phase) (addr string, connections *atomic.Int64) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	connections = new(atomic.Int64)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			n := connections.Add(1)
			go phases[min(int(n), len(phases))-1](t, conn)
		}
	}()
	return l.Addr().String(), connections
}

func newKey(t *testing.T) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func clientConfig(user ssh.Signer, host ssh.PublicKey) *ssh.ClientConfig {
	return &ssh.ClientConfig{User: "x", Auth: []ssh.AuthMethod{ssh.PublicKeys(user)}, HostKeyCallback: ssh.FixedHostKey(host)}
}

func TestDialThroughABoot(t *testing.T) {
	host, user := newKey(t), newKey(t)
	ready := serve(host, user.PublicKey())
	for name, phases := range map[string][]phase{
		"up":                    {ready},
		"server starts":         {slam, slam, slam, ready},
		"network starts":        {sleep, ready},
		"both":                  {sleep, slam, slam, ready},
		"host key not yet made": {slam, serve(newKey(t), user.PublicKey()), ready},
		"user not yet made":     {serve(host, newKey(t).PublicKey()), ready},
	} {
		t.Run(name, func(t *testing.T) {
			addr, connections := guestPort(t, phases...)
			client, err := machine.DialAddr(t.Context(), addr, clientConfig(user, host.PublicKey()))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = client.Close() })
			if n := connections.Load(); n < int64(len(phases)) {
				t.Errorf("in after %d connections, want %d", n, len(phases))
			}
			if _, err := client.NewSession(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A machine in the middle is never talked to, however long it tries.
func TestDialWantsTheHostKey(t *testing.T) {
	user := newKey(t)
	addr, _ := guestPort(t, serve(newKey(t), user.PublicKey()))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	config := clientConfig(user, newKey(t).PublicKey())
	check, tries := config.HostKeyCallback, new(atomic.Int64)
	config.HostKeyCallback = func(host string, at net.Addr, key ssh.PublicKey) error {
		if tries.Add(1) == 2 {
			cancel()
		}
		return check(host, at, key)
	}
	client, err := machine.DialAddr(ctx, addr, config)
	if client != nil || err == nil || !strings.Contains(err.Error(), "host key mismatch") {
		t.Errorf("got %v, %v", client, err)
	}
}

// When the time is over in the midst of an attempt, what the attempts before have failed by is told.
func TestDialTellsWhyItFailed(t *testing.T) {
	user := newKey(t)
	refused := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	addr, _ := guestPort(t, serve(newKey(t), user.PublicKey()), func(t *testing.T, conn net.Conn) {
		t.Helper()
		<-refused
		_, _ = io.WriteString(conn, "SSH-2.0-late\r\n")
		_, _ = io.ReadFull(conn, make([]byte, 1)) // it has begun to shake hands
		cancel()
	})
	config := clientConfig(user, newKey(t).PublicKey())
	check := config.HostKeyCallback
	config.HostKeyCallback = func(host string, at net.Addr, key ssh.PublicKey) error {
		defer close(refused)
		return check(host, at, key)
	}
	client, err := machine.DialAddr(ctx, addr, config)
	if client != nil || err == nil || !strings.Contains(err.Error(), "host key mismatch") {
		t.Errorf("got %v, %v", client, err)
	}
}

func connect(t *testing.T) *ssh.Client {
	t.Helper()
	host, user := newKey(t), newKey(t)
	addr, _ := guestPort(t, serve(host, user.PublicKey()))
	client, err := machine.DialAddr(t.Context(), addr, clientConfig(user, host.PublicKey()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestRun(t *testing.T) {
	var out bytes.Buffer
	err := machine.RunOn(t.Context(), connect(t), "echo", machine.Streams{In: strings.NewReader("input"), Out: &out, Err: io.Discard})
	var exit *ssh.ExitError
	if !errors.As(err, &exit) || exit.ExitStatus() != 3 {
		t.Errorf("got %v, want exit status 3", err)
	}
	if got, want := out.String(), "run echo\ninput"; got != want {
		t.Errorf("output %q, want %q", got, want)
	}
}

func TestRunIsCancelled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := machine.RunOn(ctx, connect(t), "hang", machine.Streams{Out: io.Discard, Err: io.Discard}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestShellOnATerminal(t *testing.T) {
	t.Setenv("TERM", "tty7")
	ours, theirs := terminal(t)
	before := settings(t, theirs)
	var out bytes.Buffer
	err := machine.RunOn(t.Context(), connect(t), "deaf", machine.Streams{In: theirs, Out: &out, Err: io.Discard})
	if _, ok := errors.AsType[*ssh.ExitError](err); !ok {
		t.Errorf("got %v", err)
	}
	if got, want := out.String(), "terminal tty7 71\nrun deaf\n"; got != want {
		t.Errorf("output %q, want %q", got, want)
	}
	if after := settings(t, theirs); *after != *before {
		t.Errorf("the terminal was left in mode %+v, want %+v", after, before)
	}
	_ = ours
}

// terminal returns both ends of a pseudo-terminal of 71 columns.
func terminal(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetUint32(int(ours.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(ours.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 20, Col: 71})
	}
	if err == nil {
		theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(ours.Close(), theirs.Close()) })
	return ours, theirs
}

func settings(t *testing.T, f *os.File) *unix.Termios {
	t.Helper()
	s, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
