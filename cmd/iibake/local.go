package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test/localcloud"
	"github.com/iibake/iibake/test/localcloud/admin"
	"github.com/iibake/iibake/test/localcloud/daemon"
)

// defaultPort is where the local cloud answers unless it is told otherwise.
const defaultPort = 4580

func localCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "local", Usage: "run a cloud that speaks AWS and boots real machines", Category: categoryCloud, ArgsUsage: "VERB",
		Description: "One process answers as EC2, EBS direct, Auto Scaling, Elastic Load Balancing, CloudWatch, Systems Manager, STS and S3 do, on one port of\n" +
			"the loopback interface. Its instances are QEMU machines on this host, or simulated ones. One cloud for a user is enough; another\n" +
			"one has another --state folder and another --port.",
		Subcommands: []*cli.Command{
			localUpCommand(con), localDownCommand(con), localStatusCommand(con), localResetCommand(con),
			localEnvCommand(con), localImportCommand(con), localConsoleCommand(con), localLogsCommand(con),
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return noVerb(c.App, c.Command, "local "+c.Args().First())
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

func stateFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "state", EnvVars: []string{"IIBAKE_LOCAL_STATE"},
		Usage: "the cloud is the one in `FOLDER`", DefaultText: "iibake/local in $XDG_STATE_HOME or ~/.local/state",
	}
}

// stateDir returns the folder of the cloud that a command is about.
func stateDir(c *cli.Context) (string, error) {
	if dir := c.String("state"); dir != "" {
		return filepath.Abs(dir)
	}
	return usualState() // verbs beside those of local have no such option
}

// usualState returns the folder of the cloud where no option names one.
func usualState() (string, error) {
	dir := os.Getenv("IIBAKE_LOCAL_STATE")
	if dir == "" {
		base := os.Getenv("XDG_STATE_HOME")
		if !filepath.IsAbs(base) { // which the specification has us ignore, like an empty one
			home, err := os.UserHomeDir()
			if err != nil {
				return "", withHint(fmt.Errorf("no place for the state: %w", err), "add --state FOLDER")
			}
			base = filepath.Join(home, ".local", "state")
		}
		dir = filepath.Join(base, "iibake", "local")
	}
	return filepath.Abs(dir)
}

// findCloud returns the process of the cloud that a command is about, which must be up, and a client of it.
func findCloud(c *cli.Context) (daemon.Process, admin.Client, error) {
	dir, err := stateDir(c)
	if err != nil {
		return daemon.Process{}, admin.Client{}, err
	}
	p, err := daemon.Find(dir)
	if errors.Is(err, daemon.ErrNotRunning) {
		err = withHint(inStage(bake.ErrNotFound, daemon.ErrNotRunning), "iibake local up starts it")
	}
	return p, admin.Client{Endpoint: p.Endpoint}, err
}

// endPatience is how long the process may take to end its machines before it is killed, and they with it.
const endPatience = 30 * time.Second

func localDownCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "down", Usage: "end the cloud and its machines; its state stays",
		Flags: []cli.Flag{stateFlag()},
		Action: func(c *cli.Context) error {
			if _, err := operands(c); err != nil {
				return err
			}
			dir, err := stateDir(c)
			if err != nil {
				return err
			}
			ended, err := endCloud(c.Context, dir)
			switch {
			case err != nil:
				return err
			case !ended:
				return con.printf("the local cloud is not up\n")
			}
			return con.printf("the local cloud is down\n")
		},
	}
}

// endCloud ends the process of a folder, if it has one.
func endCloud(ctx context.Context, dir string) (ended bool, err error) {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	unlock, err := daemon.Lock(dir)
	if err != nil {
		return false, err
	}
	defer func() { _ = unlock() }()
	p, err := daemon.Find(dir)
	if errors.Is(err, daemon.ErrNotRunning) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, p.Stop(ctx, endPatience)
}

func localResetCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "reset", Usage: "end all machines and forget everything that the cloud holds",
		Description: "A cloud that is up stays up, empty. Blocks of disks go with it unless they are in the store of a project.",
		Flags:       []cli.Flag{stateFlag(), &cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask"}},
		Action: func(c *cli.Context) error {
			if _, err := operands(c); err != nil {
				return err
			}
			dir, err := stateDir(c)
			if err != nil {
				return err
			}
			if yes, err := con.confirm(c, fmt.Sprintf("forget everything in %s?", dir)); err != nil || !yes {
				return err
			}
			if err := resetCloud(c, dir); err != nil {
				return err
			}
			return con.printf("the local cloud is empty\n")
		},
	}
}

// resetCloud has the process of a folder forget everything, or does it where there is none.
func resetCloud(c *cli.Context, dir string) error {
	unlock, err := daemon.Lock(dir)
	if err != nil {
		return err
	}
	defer func() { _ = unlock() }()
	p, err := daemon.Find(dir)
	switch {
	case errors.Is(err, daemon.ErrNotRunning):
		return localcloud.Forget(dir)
	case err != nil:
		return err
	}
	return admin.Client{Endpoint: p.Endpoint}.Reset(c.Context)
}
