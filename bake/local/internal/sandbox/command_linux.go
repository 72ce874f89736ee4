package sandbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/iibake/iibake/bake/local/internal/sandbox/within"
)

const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// drain is how long to read on when a program has ended but something that it started still holds its output.
const drain = time.Second

// environ is all of the environment that reaches programs in the sandbox: nothing of the user's own but the way to the
// network.
func environ() []string {
	env := []string{"PATH=" + searchPath, "HOME=/root", "LANG=C.UTF-8", "TERM=dumb"}
	for _, name := range []string{"http_proxy", "https_proxy", "ftp_proxy", "no_proxy"} {
		for _, name := range []string{name, strings.ToUpper(name)} {
			if value, ok := os.LookupEnv(name); ok {
				env = append(env, name+"="+value)
			}
		}
	}
	return env
}

// chrootEnviron is what every program of the image gets. SYSTEMD_OFFLINE makes systemctl enable units and not talk to the
// machine's own systemd.
func chrootEnviron() []string {
	return append(environ(), "DEBIAN_FRONTEND=noninteractive", "SYSTEMD_OFFLINE=1", "SHELL=/bin/sh", "USER=root", "LOGNAME=root")
}

// Command runs a program in the image, and returns a [CommandError] where it fails. Cancelling ctx kills it.
func (e *Env) Command(ctx context.Context, c Command) error {
	program, err := e.lookPath(c.Argv[0])
	if err != nil {
		return err
	}
	out := e.tail
	out.reset(e.Log)
	cmd := exec.CommandContext(ctx, program, c.Argv[1:]...)
	cmd.Args[0] = c.Argv[0]
	cmd.Env = chrootEnviron()
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		cmd.Env = append(cmd.Env, name+"="+c.Env[name])
	}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: e.Root, Setsid: true}
	cmd.Stdout, cmd.Stderr = out, out // one writer: exec gives both the same pipe, so the lines keep their order
	if c.Stdout != nil {
		cmd.Stdout = c.Stdout
	}
	cmd.WaitDelay = drain
	err = cmd.Run()
	last := out.Flush()
	if err == nil || errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return &CommandError{Argv: c.Argv, Code: exit.ExitCode(), Text: exit.String(), Tail: last}
	}
	return fmt.Errorf("run %s: %w", c.Argv[0], err)
}

// Has reports whether the image has a program of that name.
func (e *Env) Has(program string) bool {
	_, err := e.lookPath(program)
	return err == nil
}

// lookPath finds a program in the image.
func (e *Env) lookPath(name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for dir := range strings.SplitSeq(searchPath, ":") {
		p := dir + "/" + name
		f, err := within.Open(e.Root, p, os.O_RDONLY, 0)
		if err != nil {
			continue
		}
		info, err := f.Stat()
		_ = f.Close()
		if err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	return "", fmt.Errorf("the image has no %s: %w", name, exec.ErrNotFound)
}
