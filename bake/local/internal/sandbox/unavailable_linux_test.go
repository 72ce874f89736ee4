package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/iibake/iibake/bake/local/internal/sandbox"
	"github.com/iibake/iibake/bake/local/internal/sandbox/sandboxtest"
)

const powerless = "powerless"

// bePowerless tries to run a sandbox, as a process that may not, and prints why it cannot.
func bePowerless() {
	err := sandbox.Run(context.Background(), sandbox.Job{Task: "echo", Root: &sandbox.Root{Disk: os.NewFile(3, "disk")}}, nil)
	fmt.Println(errors.Is(err, sandbox.ErrUnavailable), err)
}

func TestUnavailable(t *testing.T) {
	ids := []syscall.SysProcIDMap{{Size: 1}}
	for name, c := range map[string]struct {
		attr *syscall.SysProcAttr
		want string
	}{
		"another user": {&syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}, "needs root: run it with sudo"},
		"a root without power": {
			&syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids}, "start it with --privileged",
		},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "/proc/self/exe", powerless)
			cmd.SysProcAttr = c.attr
			cmd.ExtraFiles = []*os.File{busybox(t)}
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.HasPrefix(string(out), "true ") || !strings.Contains(string(out), c.want) {
				t.Fatalf("%v %s", err, out)
			}
			sandboxtest.NothingLeft(t)
		})
	}
}
