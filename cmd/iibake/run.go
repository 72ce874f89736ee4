package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/crypto/ssh"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/disk/qemuimg"
	"github.com/iibake/iibake/bake/machine"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
)

func runCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "run", Usage: "boot an image as a throwaway machine, with a shell in it", Category: categoryImages, ArgsUsage: "IMAGE|FILE [-- COMMAND...]",
		Description: "The machine is gone when the shell, or COMMAND, ends; the image never changes. The status of COMMAND becomes that of iibake.\n" +
			"An operand with a slash in it, such as ./disk.raw, is a FILE instead: a raw or qcow2 disk, which never changes either.\n" +
			"Ports of the machine that --port names are reachable on this host, on the loopback interface only.",
		Flags: []cli.Flag{
			&cli.IntSliceFlag{Name: "port", Aliases: []string{"p"}, Usage: "make TCP `PORT` of the machine reachable"},
			&cli.StringFlag{Name: "firmware", Value: "bios", Usage: "boot by `KIND`: bios or uefi", Action: oneOf("firmware", "bios", "uefi")},
			&cli.StringFlag{Name: "memory", Value: "1GiB", Usage: "memory of the machine, as `SIZE`"},
			&cli.BoolFlag{Name: "console", Usage: "show the serial console while the machine boots"},
		},
		BashComplete: completeImages(con),
		Action: func(c *cli.Context) error {
			what, command, err := splitCommand(c)
			if err != nil {
				return err
			}
			spec, err := machineSpec(con, c)
			if err != nil {
				return err
			}
			if isFile(what) {
				return runMachine(con, c, diskFile(what), spec, command)
			}
			r, err := openRecord(c)
			if err != nil {
				return err
			}
			img, err := r.find(c.Context, what)
			if err != nil {
				return err
			}
			spec.Arch = img.Arch
			return runMachine(con, c, recorded{r, img}, spec, command)
		},
	}
}

// isFile reports whether an operand names a file. As in a shell, a slash tells: no reference of an image has one.
func isFile(what string) bool { return strings.Contains(what, "/") }

// bootable is a disk that a machine can be started from.
type bootable interface {
	name() string // of the machine
	// open returns the disk as a raw file. It may report what it does, and the caller closes it.
	open(ctx context.Context, rep bake.Reporter) (*os.File, error)
}

// recorded is the disk of an image in the catalog.
type recorded struct {
	*record
	img bake.Image
}

func (r recorded) name() string { return r.img.Name }

func (r recorded) open(ctx context.Context, rep bake.Reporter) (*os.File, error) {
	return intoScratch(func(f *os.File) error { return r.materialise(ctx, r.img, f, rep) })
}

// diskFile is the path of a disk in a file, for example one that build --retain kept.
type diskFile string

func (d diskFile) name() string {
	base := filepath.Base(string(d))
	return strings.TrimSuffix(base, filepath.Ext(base))
}

func (d diskFile) open(ctx context.Context, rep bake.Reporter) (*os.File, error) {
	info, err := os.Stat(string(d))
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w: %s is no file: want a raw or qcow2 disk", bake.ErrInvalid, string(d))
	case filepath.Ext(string(d)) == ".qcow2":
		task := bake.StartTask(rep, d.name(), "convert from qcow2", nil)
		f, err := intoScratch(func(f *os.File) error { return qemuimg.ToRaw(ctx, string(d), f) })
		return f, task.End(err)
	}
	return os.Open(string(d))
}

// intoScratch returns a nameless file with what write wrote to it.
func intoScratch(write func(*os.File) error) (*os.File, error) {
	f, err := disk.Scratch(scratchFolder)
	if err != nil {
		return nil, err
	}
	if err := write(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// splitCommand returns the image and the command behind "--".
func splitCommand(c *cli.Context) (image string, command []string, err error) {
	args := c.Args().Slice()
	if i := slices.Index(args, "--"); i >= 0 {
		args, command = args[:i], args[i+1:]
	}
	if len(args) != 1 {
		return "", nil, withHint(fmt.Errorf("%w: iibake run: want one IMAGE or FILE, got %d", errUsage, len(args)),
			"a command for the machine stands behind --: iibake run web@candidate -- uname -a")
	}
	return args[0], command, nil
}

// leastMemory is what a template has to give a machine, too.
const leastMemory = 128 * bake.MiB

func machineSpec(con *console, c *cli.Context) (machine.Spec, error) {
	s := machine.Spec{Arch: bake.Arch(runtime.GOARCH), Firmware: bake.Firmware(c.String("firmware")), Ports: c.IntSlice("port")}
	if err := s.Memory.UnmarshalText([]byte(c.String("memory"))); err != nil {
		return s, fmt.Errorf("%w: --memory: %w", errUsage, err)
	}
	if s.Memory < leastMemory {
		return s, fmt.Errorf("%w: --memory %s: want %s or more", errUsage, s.Memory, leastMemory)
	}
	for _, p := range s.Ports {
		if p < 1 || p > 65535 {
			return s, fmt.Errorf("%w: --port %d: want 1 to 65535", errUsage, p)
		}
	}
	if c.Bool("console") {
		s.Console, con.progress = con.err, ui.Plain // a block of tasks and a console cannot share the screen
	}
	return s, nil
}

func runMachine(con *console, c *cli.Context, what bootable, spec machine.Spec, command []string) (err error) {
	rep, err := con.reporter("", what.name())
	if err != nil {
		return err
	}
	defer rep.Close()
	file, err := what.open(c.Context, rep)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	spec.Name, spec.Disk = what.name(), ownPath(file)
	m, err := startMachine(c, rep, spec)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	rep.Close()
	tellPorts(con, m, spec.Ports)
	return remoteStatus(m.Run(c.Context, shellCommand(command), machine.Streams{In: con.in, Out: con.out, Err: con.err}))
}

// startMachine powers the machine on and waits until it answers.
func startMachine(c *cli.Context, rep ui.Reporter, spec machine.Spec) (*machine.Machine, error) {
	task := bake.StartTask(rep, spec.Name, "boot", nil)
	m, err := machine.Start(c.Context, spec)
	if err != nil {
		return nil, task.End(err)
	}
	client, err := m.Dial(c.Context)
	if err != nil {
		return nil, task.End(errors.Join(err, m.Close()))
	}
	return m, task.End(client.Close())
}

func tellPorts(con *console, m *machine.Machine, ports []int) {
	for _, p := range ports {
		_, _ = fmt.Fprintf(con.err, "port %d is %s\n", p, m.Addr(p))
	}
}

// shellCommand quotes a command for the shell of the machine. A single word is given to it as it is: a whole command line.
func shellCommand(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	return strings.Join(quoted, " ")
}

// remoteStatus turns the end of a command in the machine into the end of iibake.
func remoteStatus(err error) error {
	if exit, ok := errors.AsType[*ssh.ExitError](err); ok {
		return statusError(exit.ExitStatus())
	}
	return err
}
