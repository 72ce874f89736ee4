package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Tool runs a program of this machine that is killed when this program is, and returns its output. The program finds the
// files at descriptors 3 and up, that is /dev/fd/3 and so on. The error of one that exits otherwise than with 0 wraps an
// [exec.ExitError] and ends with the last line of the output.
func Tool(ctx context.Context, files []*os.File, argv ...string) ([]byte, error) {
	runtime.LockOSThread() // as in Run: the signal comes when this thread ends
	defer runtime.UnlockOSThread()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.ExtraFiles = files
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL, Setsid: true}
	err := cmd.Run()
	switch {
	case err == nil:
		return out.Bytes(), nil
	case ctx.Err() != nil:
		return out.Bytes(), context.Cause(ctx)
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("%w: %s is not installed: %w", ErrUnavailable, argv[0], err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	return out.Bytes(), fmt.Errorf("%s: %w: %s", argv[0], err, lines[len(lines)-1])
}
