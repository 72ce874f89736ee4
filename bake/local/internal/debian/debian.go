// Package debian bootstraps Debian into a disk that boots by BIOS and by UEFI, in QEMU and on AWS Nitro, and asks Debian's
// archives what they hold.
//
// mmdebstrap installs the packages straight into the mounted filesystem of the image, inside a sandbox. The boot loader is
// made by the image's own GRUB and written where firmware looks for it; no variable of any firmware is touched.
package debian

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/layout"
	"github.com/iibake/iibake/bake/local/internal/sandbox"
)

// Spec says what to bootstrap.
type Spec struct {
	Debian   bake.Debian
	Archives []bake.Archive // where to install from, as Releases returned them; empty for those of Debian
	Arch     bake.Arch
	Seed     string    // names the disk and its parts: the same seed gives the same UUIDs
	Size     bake.Size // of the disk
}

const (
	installTask = "debian: install"
	setupTask   = "debian: set up"
)

// Tasks returns what this package does in a sandbox.
func Tasks() map[string]sandbox.Task {
	return map[string]sandbox.Task{installTask: install, setupTask: setUp}
}

// Bootstrap makes f a disk with Debian on it. Progress goes to log, a line at a time. Where it fails, or is killed, f is to
// be thrown away; nothing else is left behind. An error that says what is wrong with s wraps [bake.ErrInvalid].
func Bootstrap(ctx context.Context, f *os.File, s Spec, log func(string)) error {
	if err := s.check(); err != nil {
		return err
	}
	l, err := layout.Create(ctx, f, s.Size, s.Seed, s.Arch)
	if err != nil {
		return err
	}
	in := newInput(s, l)
	root := sandbox.Root{Disk: f, Offset: l.Root.Offset, Size: l.Root.Size}
	if err := sandbox.Run(ctx, sandbox.Job{Task: installTask, Root: &root, Bare: true, Input: in, Log: log}, nil); err != nil {
		return fmt.Errorf("bootstrap %s: %w", s.Debian.Suite, err)
	}
	var boot bootFiles
	if err := sandbox.Run(ctx, sandbox.Job{Task: setupTask, Root: &root, Input: in, Log: log}, &boot); err != nil {
		return fmt.Errorf("set up %s: %w", s.Debian.Suite, err)
	}
	if err := boot.write(ctx, f, l); err != nil {
		return fmt.Errorf("make %s bootable: %w", s.Debian.Suite, err)
	}
	return l.AddJournal(ctx, f)
}

func (s Spec) check() error {
	if string(s.Arch) != runtime.GOARCH {
		return fmt.Errorf("%w: cannot bootstrap %s on this %s machine: build it on a machine of its own kind, or start from a disk: source",
			bake.ErrInvalid, s.Arch, runtime.GOARCH)
	}
	missing := layout.Missing()
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		missing = append(missing, "mmdebstrap")
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return fmt.Errorf("%w: programs are missing on this machine: run apt-get install %s", sandbox.ErrUnavailable, strings.Join(missing, " "))
	}
	for _, name := range s.Debian.Packages {
		if name == "" || strings.ContainsAny(name, ", \t\n") {
			return fmt.Errorf("%w package name %q", bake.ErrInvalid, name)
		}
	}
	return nil
}

// input is what the tasks are told.
type input struct {
	Suite    string
	Arch     bake.Arch
	Packages []string
	Archives []bake.Archive
	UUID     string // of the root filesystem
	ESPUUID  string
}

func newInput(s Spec, l layout.Layout) input {
	in := input{
		Suite: s.Debian.Suite, Arch: s.Arch, Archives: s.Archives,
		Packages: append(basePackages(s.Arch), s.Debian.Packages...), UUID: l.UUID, ESPUUID: l.ESPUUID,
	}
	if len(in.Archives) == 0 {
		in.Archives = archives(s.Debian)
	}
	return in
}

// noSecurity as the address of the security archive switches it off.
const noSecurity = "none"

// archives returns the suites that d is installed and updated from. Unstable and experimental are updated in place.
func archives(d bake.Debian) []bake.Archive {
	mirror := strings.TrimRight(d.Mirror, "/")
	list := []bake.Archive{{URL: mirror, Suite: d.Suite, Components: d.Components}}
	if slices.Contains([]string{"sid", "unstable", "experimental"}, d.Suite) {
		return list
	}
	list = append(list, bake.Archive{URL: mirror, Suite: d.Suite + updatesSuffix, Components: d.Components})
	if d.Security != noSecurity && d.Security != "" {
		list = append(list, bake.Archive{
			URL: strings.TrimRight(d.Security, "/"), Suite: d.Suite + "-security", Components: d.Components,
		})
	}
	return list
}

const updatesSuffix = "-updates"
