package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/test/localcloud/admin"
)

func localStatusCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "status", Usage: "show where the cloud answers and what it holds",
		Flags: []cli.Flag{stateFlag(), outputFlag()},
		Action: func(c *cli.Context) error {
			if _, err := operands(c); err != nil {
				return err
			}
			p, client, err := findCloud(c)
			if err != nil {
				return err
			}
			status, err := client.Status(c.Context)
			if err != nil {
				return err
			}
			s := cloudStatus{p.Endpoint, p.PID, status}
			if wantsJSON(c) {
				return con.printJSON(s)
			}
			return s.write(con, time.Now())
		},
	}
}

// cloudStatus is the result of local status as JSON.
type cloudStatus struct {
	Endpoint string `json:"endpoint"`
	PID      int    `json:"pid"`
	admin.Status
}

func (s cloudStatus) write(con *console, now time.Time) error {
	p := con.paint(con.out)
	table := ui.NewTable()
	row := func(name, value string) {
		if value != "" {
			table.Row(p.Dim(name), value)
		}
	}
	row("endpoint", p.Bold(s.Endpoint))
	row("up for", fmt.Sprintf("%s, process %d", ui.Took(now.Sub(s.Started)), s.PID))
	row("instances", s.mode())
	row("state", s.Folder)
	row("store", s.Store)
	row("accounts", strings.Join(s.Accounts, " "))
	for _, r := range s.Regions {
		row(r.Name, countWords(r.Counts))
	}
	if err := table.Write(con.out, p); err != nil || len(s.Instances) == 0 {
		return err
	}
	return s.writeInstances(con, p)
}

func (s cloudStatus) mode() string {
	if !s.Simulated {
		return "machines on this host"
	}
	return fmt.Sprintf("simulated, at %s, speed %s", s.Time.Format(time.DateTime+" UTC"), s.Speed)
}

// countWords writes counts by the names that they have in AWS.
func countWords(counts map[string]int) string {
	names := map[string]string{
		"Images": "image", "Snapshots": "snapshot", "LaunchTemplates": "launch template", "Instances": "instance", "Volumes": "volume",
		"Groups": "Auto Scaling group", "TargetGroups": "target group", "LoadBalancers": "load balancer", "Parameters": "parameter", "Alarms": "alarm",
	}
	var words []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		if name := names[kind]; name != "" { // the others are what every account has, or what they are made of
			words = append(words, ui.Count(counts[kind], name))
		}
	}
	if len(words) == 0 {
		return "nothing yet"
	}
	return strings.Join(words, ", ")
}

func (s cloudStatus) writeInstances(con *console, p ui.Paint) error {
	if err := con.printf("\n"); err != nil {
		return err
	}
	table := ui.NewTable("INSTANCE", "NAME", "STATE", "STATUS", "TYPE", "IMAGE", "ADDRESS", "GROUP", "REGION", "AGE")
	for _, in := range s.Instances {
		table.Row(p.Bold(in.ID), in.Name, paintState(p, in.State), in.Status, in.Type, in.Image, in.Address, in.Group, p.Dim(in.Region), ui.Age(s.Time.Sub(in.Launched)))
	}
	return table.Write(con.out, p)
}

func paintState(p ui.Paint, state string) string {
	switch state {
	case "running":
		return p.Good(state)
	case "terminated", "stopped":
		return p.Dim(state)
	}
	return state
}
