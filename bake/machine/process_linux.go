package machine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// process is a running QEMU.
type process struct {
	pid  int
	kill context.CancelFunc
	done chan struct{}
	err  error // why it ended; read it once done is closed
}

// startProcess starts QEMU so that it cannot outlive us: the kernel kills it when the thread that started it dies, and that
// thread lives exactly as long as we do, or as QEMU does. In a process group of its own QEMU does not get the Ctrl-C that a
// terminal sends to everything in the foreground: it ends when we decide that it does.
func startProcess(ctx context.Context, exe string, c *commandLine, out *console) (*process, error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, exe, c.args...)
	cmd.ExtraFiles = c.files
	cmd.Stdout = out
	var stderr tailBuffer
	cmd.Stderr = &stderr
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p := &process{kill: cancel, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // see above; ending locked also ends the thread, which nobody needs any more
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		err = cmd.Wait()
		p.err = ended(filepath.Base(exe), err, ctx.Err(), stderr.String())
		cancel()
		close(p.done)
	}()
	if err := <-started; err != nil {
		cancel()
		return nil, err
	}
	p.pid = cmd.Process.Pid
	return p, nil
}

func ended(name string, err, cancelled error, stderr string) error {
	switch {
	case cancelled != nil:
		return fmt.Errorf("%s was stopped: %w", name, cancelled)
	case err == nil:
		return ErrPoweredOff
	}
	if stderr != "" {
		stderr = ": " + stderr
	}
	return fmt.Errorf("%s: %w%s", name, err, stderr)
}

// tailBuffer keeps the end of what is written to it.
type tailBuffer struct{ b []byte }

const stderrTail = 4 << 10

func (t *tailBuffer) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	t.b = t.b[max(0, len(t.b)-stderrTail):]
	return len(p), nil
}

func (t *tailBuffer) String() string { return string(bytes.TrimSpace(t.b)) }

var _ io.Writer = (*tailBuffer)(nil)
