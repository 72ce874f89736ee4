package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

func localEnvCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "env", Usage: "print what points a shell to the cloud",
		Description: "bash, zsh:   eval \"$(iibake local env)\"\n" +
			"fish:        iibake local env --shell fish | source\n" +
			"powershell:  iibake local env --shell powershell | Invoke-Expression\n" +
			"Every account exists: its number is its access key. Secrets are not checked.",
		Flags: []cli.Flag{
			stateFlag(), outputFlag(),
			&cli.StringFlag{Name: "shell", Value: "bash", Usage: "write it for `SHELL`: bash, zsh, fish or powershell", Action: oneOf("shell", "bash", "zsh", "fish", "powershell")},
			regionFlag(), accountFlag(),
		},
		Action: func(c *cli.Context) error {
			if _, err := operands(c); err != nil {
				return err
			}
			p, _, err := findCloud(c)
			if err != nil {
				return err
			}
			env := environment(p.Endpoint, c.String("region"), c.String("account"))
			if wantsJSON(c) {
				return con.printJSON(asMap(env))
			}
			return writeEnvironment(con, c.String("shell"), env)
		},
	}
}

func regionFlag() cli.Flag {
	return &cli.StringFlag{Name: "region", Value: "eu-west-1", Usage: "in `REGION`; every one exists"}
}

func accountFlag() cli.Flag {
	return &cli.StringFlag{Name: "account", Value: defaultAccount, Usage: "as the account of twelve `DIGITS`; every one exists", Action: checkAccount}
}

// defaultAccount is the one whose access key env prints.
const defaultAccount = "000000000000"

func checkAccount(_ *cli.Context, number string) error {
	for _, r := range number {
		if r < '0' || r > '9' {
			return fmt.Errorf("%w: --account %s: want twelve digits", errUsage, number)
		}
	}
	if len(number) != len(defaultAccount) {
		return fmt.Errorf("%w: --account %s: want twelve digits", errUsage, number)
	}
	return nil
}

// environment returns the variables that SDKs and the AWS CLI read, an empty value for those that must not be set.
func environment(endpoint, region, account string) [][2]string {
	return [][2]string{
		{"AWS_ENDPOINT_URL", endpoint},
		{"AWS_REGION", region},
		{"AWS_DEFAULT_REGION", region}, // what the AWS CLI and boto3 read
		{"AWS_ACCESS_KEY_ID", account},
		{"AWS_SECRET_ACCESS_KEY", "local"},
		{"AWS_EC2_METADATA_DISABLED", "true"},
		{"AWS_SESSION_TOKEN", ""},
		{"AWS_PROFILE", ""},
	}
}

func asMap(env [][2]string) map[string]string {
	m := map[string]string{}
	for _, pair := range env {
		if pair[1] != "" {
			m[pair[0]] = pair[1]
		}
	}
	return m
}

func writeEnvironment(con *console, shell string, env [][2]string) error {
	set, unset := "export %s=%s\n", "unset %s\n"
	switch shell {
	case "fish":
		set, unset = "set -gx %s %s;\n", "set -e %s;\n"
	case "powershell":
		set, unset = "$Env:%s = \"%s\"\n", "Remove-Item Env:%s -ErrorAction Ignore\n"
	}
	for _, pair := range env {
		var err error
		if pair[1] == "" {
			err = con.printf(unset, pair[0])
		} else {
			err = con.printf(set, pair[0], pair[1])
		}
		if err != nil {
			return err
		}
	}
	return nil
}
