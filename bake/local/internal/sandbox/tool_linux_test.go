package sandbox_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake/local/internal/sandbox"
)

func TestTool(t *testing.T) {
	disk := busybox(t)
	out, err := sandbox.Tool(t.Context(), []*os.File{disk}, "sh", "-c", "stat -L -c %s /dev/fd/3; echo err >&2")
	if err != nil || string(out) != "67108864\nerr\n" {
		t.Fatalf("%q %v", out, err)
	}
	out, err = sandbox.Tool(t.Context(), nil, "sh", "-c", "echo first; echo last; exit 4")
	exit := (*exec.ExitError)(nil)
	if !errors.As(err, &exit) || exit.ExitCode() != 4 || !strings.HasSuffix(err.Error(), ": last") || string(out) != "first\nlast\n" {
		t.Fatalf("%q %v", out, err)
	}
	if _, err := sandbox.Tool(t.Context(), nil, "no-such-tool"); !errors.Is(err, sandbox.ErrUnavailable) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := sandbox.Tool(ctx, nil, "sleep", "1000"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}
