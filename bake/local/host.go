package local

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"github.com/iibake/iibake/bake"
)

// ErrHost is wrapped when this machine lacks what a bake needs.
var ErrHost = errors.New("this machine cannot bake")

// tool is a program of the host that a bake runs, and the Debian package that brings it.
type tool struct{ name, pkg string }

// toolsFor returns the programs that baking t runs.
func toolsFor(t bake.Template) []tool {
	tools := []tool{{"e2fsck", "e2fsprogs"}}
	switch {
	case t.Source.Debian != nil:
		return append(tools, tool{"mmdebstrap", "mmdebstrap"}, tool{"mke2fs", "e2fsprogs"}, tool{"mkfs.vfat", "dosfstools"}, tool{"mcopy", "mtools"})
	case t.Source.Disk != nil:
		return append(tools, tool{"qemu-img", "qemu-utils"})
	}
	return tools
}

// checkHost tells everything at once that this machine lacks.
func checkHost(t bake.Template) error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("%w: local bakes need Linux, this is %s: run the build on a Linux machine or in CI", ErrHost, runtime.GOOS)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: a bake mounts disks and enters namespaces, which only root may do: run sudo iibake build "+
			"(secrets in the environment: sudo --preserve-env=NAME)", ErrHost)
	}
	var names, packages []string
	for _, t := range toolsFor(t) {
		if _, err := exec.LookPath(t.name); err != nil {
			names, packages = append(names, t.name), append(packages, t.pkg)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(packages)
	return fmt.Errorf("%w: %s not found: install with apt-get install %s", ErrHost, strings.Join(names, ", "),
		strings.Join(slices.Compact(packages), " "))
}
