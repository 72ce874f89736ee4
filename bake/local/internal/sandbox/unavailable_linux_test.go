package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/iibake/iibake/bake/local/internal/sandbox"
	"github.com/iibake/iibake/bake/local/internal/sandbox/sandboxtest"
)

const powerless = "powerless"

// bePowerless tries to run a sandbox, as a process that may not, and prints why it cannot. It may have to become another user before: that one
// may not be allowed to start this program.
func bePowerless(user string) {
	if id, err := strconv.Atoi(user); err == nil {
		if err := errors.Join(syscall.Setgid(id), syscall.Setuid(id)); err != nil {
			fmt.Println(err)
			return
		}
	}
	err := sandbox.Run(context.Background(), sandbox.Job{Task: "echo", Root: &sandbox.Root{Disk: os.NewFile(3, "disk")}}, nil)
	fmt.Println(errors.Is(err, sandbox.ErrUnavailable), err)
}

func TestUnavailable(t *testing.T) {
	ids := []syscall.SysProcIDMap{{Size: 1}}
	for name, c := range map[string]struct {
		user string
		attr *syscall.SysProcAttr
		want string
	}{
		"another user": {"65534", nil, "needs root: run it with sudo"},
		"a root without power": {
			"", &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids}, "start it with --privileged",
		},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "/proc/self/exe", powerless, c.user)
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
