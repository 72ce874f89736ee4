package sandbox_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/iibake/iibake/bake/local/internal/sandbox"
	"github.com/iibake/iibake/bake/local/internal/sandbox/sandboxtest"
)

const victim = "victim"

// beVictim runs sandboxes on a disk until it is killed. Their programs carry a number by which one finds them.
func beVictim(disk, number string) error {
	f, err := os.OpenFile(disk, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	script := "(sleep " + number + " &); (setsid sleep " + number + " &); dd if=/dev/zero of=/root/x bs=64k count=64"
	for {
		if err := sandbox.Run(context.Background(), sandbox.Job{Task: "sh", Root: &sandbox.Root{Disk: f}, Input: script}, nil); err != nil {
			return err
		}
	}
}

// TestKilledParentLeavesNothing kills the parent at random moments of the life of its sandboxes.
func TestKilledParentLeavesNothing(t *testing.T) {
	tries := 50
	if testing.Short() {
		tries = 5
	}
	name, base := filepath.Join(t.TempDir(), "disk"), busybox(t)
	number := strconv.Itoa(1_000_000 + os.Getpid())
	for range tries {
		fresh(t, name, base)
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe", victim, name, number)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.Int64N(int64(150 * time.Millisecond))))
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
			t.Fatal("the victim ended by itself: ", err)
		}
		sandboxtest.NothingLeft(t)
		if left := running(t, number); left != "" {
			t.Fatal("a program is left: ", left)
		}
	}
}

// running returns a process that has number among its arguments.
func running(t *testing.T, number string) string {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if args, _ := os.ReadFile(name); bytes.Contains(args, []byte("\x00"+number+"\x00")) {
			return name
		}
	}
	return ""
}

// fresh writes a new disk to name.
func fresh(t *testing.T, name string, base *os.File) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	sparse(t, f, base)
}

// TestStubbornProgramsEndToo leaves programs behind that ignore what they are asked for.
func TestStubbornProgramsEndToo(t *testing.T) {
	disk := busybox(t)
	number := strconv.Itoa(2_000_000 + os.Getpid())
	mustSh(t, disk, "trap '' TERM HUP; (setsid sleep "+number+" >/dev/null 2>&1 &); echo started > /etc/started")
	if left := running(t, number); left != "" {
		t.Fatal("a program is left: ", left)
	}
	if s, err := content(t, disk, "etc/started"); s != "started\n" {
		t.Fatal(s, err)
	}
}
