package machine_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/iibake/iibake/bake/machine"
)

// ownerDisk makes this program the owner of a machine instead of a test: see owner.
const ownerDisk = "IIBAKE_TEST_OWNER_DISK"

func TestMain(m *testing.M) {
	if disk := os.Getenv(ownerDisk); disk != "" {
		if err := owner(disk); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// owner starts a machine, prints the process that it runs in, and closes it on Ctrl-C.
func owner(disk string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	m, err := machine.Start(context.Background(), machine.Spec{Disk: disk, Scratch: os.Getenv("TMPDIR")})
	if err != nil {
		return err
	}
	fmt.Println(m.PID())
	select {
	case <-ctx.Done():
	case <-m.Done():
		return errors.New("the machine ended before its owner wanted it to")
	}
	return m.Close()
}

// startOwner starts an owner in a process group of its own, as a shell does, and returns it with its QEMU.
func startOwner(t *testing.T) (cmd *exec.Cmd, qemu int, scratch string) {
	t.Helper()
	scratch = t.TempDir()
	cmd = exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), ownerDisk+"="+biosDisk(t, say("up"), hang()), "TMPDIR="+scratch)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if qemu, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		t.Fatal(err)
	}
	return cmd, qemu, scratch
}

func TestKilledOwnerLeavesNothing(t *testing.T) {
	cmd, qemu, scratch := startOwner(t)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	until(t, "QEMU is gone", func() bool { return !running(qemu) })
	if left, err := os.ReadDir(scratch); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// A terminal sends Ctrl-C to the whole group in its foreground. The owner decides what becomes of the machine.
func TestInterruptReachesTheOwnerOnly(t *testing.T) {
	cmd, qemu, scratch := startOwner(t)
	if group, err := syscall.Getpgid(qemu); err != nil || group != qemu {
		t.Errorf("QEMU (pid %d) is in group %d, %v", qemu, group, err)
	}
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("owner: %v", err)
	}
	if left, err := os.ReadDir(scratch); running(qemu) || err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
