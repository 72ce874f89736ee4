package main

import (
	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/test"
)

// guestCommand is what the test stage runs inside the machine under test.
func guestCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: test.GuestVerb, Usage: "judge this machine from inside", Hidden: true,
		Action: func(c *cli.Context) error { return test.GuestMain(c.Context, con.in, con.out) },
	}
}
