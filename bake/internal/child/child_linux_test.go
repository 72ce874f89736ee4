package child_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/bake/internal/child"
)

// parent is the variable that makes the test binary a program that starts a child.
const parent = "TEST_CHILD_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(parent) == "" {
		os.Exit(m.Run())
	}
	cmd := exec.CommandContext(context.Background(), "sh", "-c", "echo there; exec sleep 1000")
	cmd.Stdout = os.Stdout
	if err := child.Run(cmd); err != nil {
		os.Exit(1)
	}
}

func TestOutput(t *testing.T) {
	disk, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = disk.Close() }()
	if err := disk.Truncate(64 << 20); err != nil {
		t.Fatal(err)
	}
	out, err := child.Output(t.Context(), []*os.File{disk}, "sh", "-c", "stat -L -c %s /dev/fd/3; echo err >&2")
	if err != nil || string(out) != "67108864\nerr\n" {
		t.Fatalf("%q %v", out, err)
	}
	out, err = child.Output(t.Context(), nil, "sh", "-c", "echo first; echo last; exit 4")
	exit := (*exec.ExitError)(nil)
	if !errors.As(err, &exit) || exit.ExitCode() != 4 || !strings.HasSuffix(err.Error(), ": last") || string(out) != "first\nlast\n" {
		t.Fatalf("%q %v", out, err)
	}
	if _, err := child.Output(t.Context(), nil, "no-such-tool"); !errors.Is(err, exec.ErrNotFound) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := child.Output(ctx, nil, "sleep", "1000"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

func TestChildDiesWithItsParent(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), parent+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	if line, err := r.ReadString('\n'); line != "there\n" {
		t.Fatalf("%q %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// The pipe ends with the last process that writes to it: the child. It would sleep for a quarter of an hour.
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
}
