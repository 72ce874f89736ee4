package sandbox_test

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/iibake/iibake/bake/local/internal/sandbox"
	"github.com/iibake/iibake/bake/local/internal/sandbox/sandboxtest"
)

const victim = "victim"

// beVictim runs sandboxes on a disk until it is killed.
func beVictim(disk string) int {
	f, err := os.OpenFile(disk, os.O_RDWR, 0)
	if err != nil {
		return 1
	}
	for {
		err := sandbox.Run(context.Background(), sandbox.Job{
			Task: "sh", Root: &sandbox.Root{Disk: f},
			Input: "(sleep 1000 &); (trap '' TERM HUP; sleep 1000 & sleep 1000 &); dd if=/dev/zero of=/root/x bs=64k count=64; exit 0",
		}, nil)
		if err != nil {
			return 1
		}
	}
}

// TestKilledParentLeavesNothing kills the parent at random moments of the life of its sandboxes.
func TestKilledParentLeavesNothing(t *testing.T) {
	tries := 50
	if testing.Short() {
		tries = 5
	}
	name := filepath.Join(t.TempDir(), "disk")
	for range tries {
		fresh(t, name)
		cmd := exec.Command("/proc/self/exe", victim, name)
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
	}
}

// fresh writes a new disk to name.
func fresh(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := busybox(t).WriteTo(f); err != nil {
		t.Fatal(err)
	}
}
