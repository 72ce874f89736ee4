package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test/localcloud/admin"
	"github.com/iibake/iibake/test/localcloud/daemon"
)

// followEvery is the time between two looks at what is followed.
const followEvery = 300 * time.Millisecond

func followFlag() cli.Flag {
	return &cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "go on as more comes, until interrupted"}
}

func localLogsCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "logs", Usage: "show the log of the cloud: a line for each request",
		Flags: []cli.Flag{stateFlag(), followFlag()},
		Action: func(c *cli.Context) error {
			if _, err := operands(c); err != nil {
				return err
			}
			dir, err := stateDir(c)
			if err != nil {
				return err
			}
			f, err := os.Open(filepath.Join(dir, daemon.LogName))
			if errors.Is(err, os.ErrNotExist) {
				return withHint(notFound("a log in "+dir), "iibake local up starts the cloud and its log")
			}
			if err != nil {
				return err
			}
			defer func() { _ = f.Close() }()
			return follow(c, func() (bool, error) {
				_, err := io.Copy(con.out, f)
				return true, err
			})
		},
	}
}

func localConsoleCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "console", Usage: "show the serial console of an instance", ArgsUsage: "INSTANCE",
		Flags:        []cli.Flag{stateFlag(), followFlag()},
		BashComplete: completeInstances(con),
		Action: func(c *cli.Context) error {
			args, err := operands(c, "INSTANCE")
			if err != nil {
				return err
			}
			_, client, err := findCloud(c)
			if err != nil {
				return err
			}
			var before []byte
			return follow(c, func() (bool, error) {
				text, running, err := client.Console(c.Context, args[0])
				if err != nil {
					return false, consoleError(err)
				}
				_, err = con.out.Write(newText(before, text))
				before = text
				return running, err
			})
		},
	}
}

// follow calls show once, or with --follow until it says that nothing more will come or the user ends it.
func follow(c *cli.Context, show func() (more bool, err error)) error {
	for {
		more, err := show()
		if err != nil || !more || !c.Bool("follow") {
			return err
		}
		if !wait(c.Context, followEvery) {
			return nil // following ends by being interrupted
		}
	}
}

// wait reports whether d has passed before the user ended it.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// newText returns what a console shows that it did not show before. Its beginning may have been dropped meanwhile.
func newText(before, now []byte) []byte {
	if more, ok := bytes.CutPrefix(now, before); ok {
		return more
	}
	const mark = 256 // bytes by which the end of before is found again
	end := before[max(0, len(before)-mark):]
	if i := bytes.LastIndex(now, end); i >= 0 {
		return now[i+len(end):]
	}
	return now
}

func consoleError(err error) error {
	var e *admin.Error
	if errors.As(err, &e) && e.Status == 404 {
		return withHint(inStage(bake.ErrNotFound, e), "iibake local status lists the instances")
	}
	return err
}

// completeInstances writes the instances of the cloud.
func completeInstances(con *console) cli.BashCompleteFunc {
	return orFlags(func(c *cli.Context) {
		_, client, err := findCloud(c)
		if err != nil {
			return
		}
		status, err := client.Status(c.Context)
		if err != nil {
			return
		}
		for _, in := range status.Instances {
			_ = con.printf("%s\n", in.ID)
		}
	})
}
