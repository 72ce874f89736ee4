package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/crypto/ssh"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/machine"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
)

func runCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "run", Usage: "boot an image as a throwaway machine, with a shell in it", Category: categoryImages, ArgsUsage: "IMAGE [-- COMMAND...]",
		Description: "The machine is gone when the shell, or COMMAND, ends; the image never changes. The status of COMMAND becomes that of iibake.\n" +
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
			r, err := openRecord(c)
			if err != nil {
				return err
			}
			img, err := r.find(c.Context, what)
			if err != nil {
				return err
			}
			return runMachine(con, c, r, img, spec, command)
		},
	}
}

// splitCommand returns the image and the command behind "--".
func splitCommand(c *cli.Context) (image string, command []string, err error) {
	args := c.Args().Slice()
	if i := slices.Index(args, "--"); i >= 0 {
		args, command = args[:i], args[i+1:]
	}
	if len(args) != 1 {
		return "", nil, withHint(fmt.Errorf("%w: iibake run: want one IMAGE, got %d", errUsage, len(args)),
			"a command for the machine stands behind --: iibake run web@candidate -- uname -a")
	}
	return args[0], command, nil
}

func machineSpec(con *console, c *cli.Context) (machine.Spec, error) {
	s := machine.Spec{Firmware: bake.Firmware(c.String("firmware")), Ports: c.IntSlice("port")}
	if err := s.Memory.UnmarshalText([]byte(c.String("memory"))); err != nil {
		return s, fmt.Errorf("%w: --memory: %w", errUsage, err)
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

func runMachine(con *console, c *cli.Context, r *record, img bake.Image, spec machine.Spec, command []string) (err error) {
	rep, err := con.reporter("", img.Name)
	if err != nil {
		return err
	}
	defer rep.Close()
	file, err := newPending(scratchFolder)
	if err != nil {
		return err
	}
	defer func() { file.discard() }()
	if err := r.materialise(c.Context, img, file, rep); err != nil {
		return err
	}
	spec.Name, spec.Arch, spec.Disk = img.Name, img.Arch, ownPath(file)
	m, err := startMachine(c, rep, img, spec)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	rep.Close()
	tellPorts(con, m, spec.Ports)
	return remoteStatus(m.Run(c.Context, shellCommand(command), machine.Streams{In: con.in, Out: con.out, Err: con.err}))
}

// scratchFolder is where disks are for a while: /tmp is often memory.
const scratchFolder = "/var/tmp"

// startMachine powers the machine on and waits until it answers.
func startMachine(c *cli.Context, rep ui.Reporter, img bake.Image, spec machine.Spec) (*machine.Machine, error) {
	task := bake.StartTask(rep, img.Name, "boot", nil)
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
