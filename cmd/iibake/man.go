package main

import "github.com/urfave/cli/v2"

func manCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "man", Usage: "write the manual page", Hidden: true,
		Action: func(c *cli.Context) error {
			if _, err := operands(c); err != nil {
				return err
			}
			page, err := c.App.ToManWithSection(1)
			if err != nil {
				return err
			}
			return con.printf("%s", page)
		},
	}
}
