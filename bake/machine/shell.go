package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/crypto/ssh"
	"golang.org/x/term"
)

// Streams are where the input of a command in the guest comes from and where its output goes.
type Streams struct {
	In       io.Reader // a terminal, if it is one, is switched to raw mode for the duration
	Out, Err io.Writer
}

// Run runs a shell command in the guest as the user, or an interactive shell where command is empty. It waits for the
// machine to answer first. The error of a command that failed is an *ssh.ExitError, which knows its exit status.
func (m *Machine) Run(ctx context.Context, command string, s Streams) error {
	client, err := m.Dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	return runOn(ctx, client, command, s)
}

func runOn(ctx context.Context, client *ssh.Client, command string, s Streams) (err error) {
	stop := context.AfterFunc(ctx, func() { _ = client.Close() })
	defer stop()
	session, err := client.NewSession()
	if err != nil {
		return errors.Join(fmt.Errorf("ssh: %w", err), ctx.Err())
	}
	session.Stdin, session.Stdout, session.Stderr = s.In, s.Out, s.Err
	if in, ok := s.In.(*os.File); ok && term.IsTerminal(int(in.Fd())) {
		restore, err := attachTerminal(session, in)
		if err != nil {
			return fmt.Errorf("terminal: %w", err)
		}
		defer func() { err = errors.Join(err, restore()) }()
	}
	if command == "" {
		command = "command -v bash >/dev/null && exec bash -l; exec sh -l"
	}
	if err := session.Run(command); err != nil {
		return errors.Join(err, ctx.Err())
	}
	return nil
}

// attachTerminal gives the session a terminal of the size of ours, and ours to the session: raw, so that every key,
// Ctrl-C too, goes to the guest.
func attachTerminal(session *ssh.Session, in *os.File) (restore func() error, err error) {
	fd := int(in.Fd())
	width, height, err := term.GetSize(fd)
	if err != nil {
		return nil, err
	}
	kind := os.Getenv("TERM")
	if kind == "" {
		kind = "vt100"
	}
	if err := session.RequestPty(kind, height, width, ssh.TerminalModes{}); err != nil {
		return nil, err
	}
	old, err := term.MakeRaw(fd)
	if err != nil {
		return nil, err
	}
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	go func() {
		for range resized {
			if width, height, err := term.GetSize(fd); err == nil {
				_ = session.WindowChange(height, width)
			}
		}
	}()
	return func() error {
		signal.Stop(resized)
		close(resized)
		return term.Restore(fd, old)
	}, nil
}
