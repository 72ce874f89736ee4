// Package child runs programs of this machine that do not outlive this process, however it ends.
package child

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Output runs a program as [Run] does, and returns what it wrote to its standard output and standard error. It finds the
// files at descriptors 3 and up, that is /dev/fd/3 and so on. The error is the cause of ctx where that is done; that of a
// program that exits otherwise than with 0 wraps an [exec.ExitError] and ends with the last line of the output; that of a
// program that is not installed wraps [exec.ErrNotFound].
func Output(ctx context.Context, files []*os.File, argv ...string) ([]byte, error) {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = &out, &out, files
	err := Run(cmd)
	switch {
	case err == nil:
		return out.Bytes(), nil
	case ctx.Err() != nil:
		return out.Bytes(), context.Cause(ctx)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	return out.Bytes(), fmt.Errorf("%s: %w: %s", argv[0], err, lines[len(lines)-1])
}
