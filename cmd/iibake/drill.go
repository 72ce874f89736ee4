package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/promote"
)

func drillCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "drill", Usage: "rehearse what must work some day", Category: categoryFleets, ArgsUsage: "VERB",
		Subcommands: []*cli.Command{drillRollbackCommand(con)},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return noDrill(c)
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

// noDrill says that there is no such rehearsal. Mostly the operand of the only one there is was written in its place.
func noDrill(c *cli.Context) error {
	word := c.Args().First()
	if _, near := nearVerb(c.Command.Subcommands, word); near {
		return noVerb(c.App, c.Command, "drill "+word)
	}
	return withHint(fmt.Errorf("%w: there is no verb %q", errUsage, "drill "+word), "iibake drill rollback "+word)
}

func drillRollbackCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "rollback", Usage: "find out whether a fleet could go back, without touching it", ArgsUsage: "FLEET...",
		UsageText: examples(
			[2]string{"iibake drill rollback web-eu web-us", "from cron, on a host that can boot the image"},
			[2]string{"iibake drill rollback web-eu --skip-boot", "in seconds: is it there, and how long would it take"}),
		Description: "Is the image before still there, can it be launched, does it boot and pass its tests on this host, and how long would it take? The\n" +
			"answer goes on record. A way back that would not work ends with code 11, as cron wants it. A fleet that went back before is said to be\n" +
			"there already.",
		Flags: append(variableFlags(), outputFlag(),
			&cli.BoolFlag{Name: "skip-boot", Usage: "do not boot and judge the image"}),
		BashComplete: completeFleets(con),
		Action: func(c *cli.Context) error {
			args, err := operands(c, "FLEET...")
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return withHint(fmt.Errorf("%w: %s: want FLEET", errUsage, c.Command.HelpName), c.Command.HelpName+" --help says more")
			}
			e, err := openEngine(con, c)
			if err != nil {
				return err
			}
			defer e.Close()
			return e.drill(con, c, args)
		},
	}
}

// drill rehearses the way back of fleets, one after the other.
func (e *engine) drill(con *console, c *cli.Context, fleets []string) error {
	for _, name := range fleets { // before anything is booted
		if _, ok := e.project.Fleets[name]; !ok {
			return withHint(notFound("fleet "+name), "iibake.yaml has the fleets "+joinKeys(e.project.Fleets))
		}
		if channelOf(e.project, name) == "" {
			return withHint(fmt.Errorf("%w: the fleet %s follows no channel", errUsage, name), "add it to the waves of a channel in iibake.yaml")
		}
	}
	var drills []promote.Drill
	var errs []error
	for _, name := range fleets {
		d, err := e.drillOne(c, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		drills = append(drills, d)
		if !d.Passed() {
			errs = append(errs, inStage(errTest, fmt.Errorf("%s could not go back: %s", name, strings.Join(d.Failures, "; "))))
		}
	}
	e.rep.Close()
	return errors.Join(writeDrills(con, c, drills), errors.Join(errs...))
}

func (e *engine) drillOne(c *cli.Context, name string) (promote.Drill, error) {
	r := promote.DrillRequest{Channel: channelOf(e.project, name), Fleet: member(e.project, name), By: actor(os.Getenv)}
	if !c.Bool("skip-boot") {
		r.Try = e.try
	}
	task := bake.StartTask(e.rep, name, "rehearse the way back", nil)
	d, err := e.promoter.Drill(c.Context, r)
	return d, withTargetHint(task.End(err))
}

// try boots and judges an image on this host. The verdict is part of the drill, and not on record for itself.
func (e *engine) try(ctx context.Context, img bake.Image) error {
	i := slices.IndexFunc(e.project.Images, func(t bake.Template) bool { return t.Name == img.Name })
	if i < 0 {
		return notFound("template " + img.Name)
	}
	v, err := newJudge(e.store)(ctx, img, e.project.Images[i], e.rep)
	if err != nil {
		return err
	}
	if !v.Passed() {
		return notPassed(v)
	}
	return nil
}

func writeDrills(con *console, c *cli.Context, drills []promote.Drill) error {
	if wantsJSON(c) {
		return con.printJSON(append([]promote.Drill{}, drills...))
	}
	if len(drills) == 0 {
		return nil // errors say why
	}
	p := con.paint(con.out)
	table := ui.NewTable("FLEET", "BACK TO", "INSTANCES", "TIME", "TRIED", "ANSWER")
	for _, d := range drills {
		answer, tried, takes := p.Good("could go back"), p.Dim("no"), "~"+ui.Took(time.Duration(d.Preflight.Estimate))
		switch {
		case !d.Passed():
			answer = p.Bad("could not go back")
		case d.Preflight.There:
			answer, takes = p.Good("is back already"), "-"
		}
		if d.Tried {
			tried = "booted and judged in " + ui.Took(time.Duration(d.Took))
		}
		table.Row(p.Name(d.Fleet), drillTarget(d), strconv.Itoa(d.Preflight.Instances), takes, tried, answer)
	}
	if err := table.Write(con.out, p); err != nil {
		return err
	}
	for _, d := range drills {
		for _, note := range d.Notes {
			if err := con.printf("%s %s: %s\n", p.Warn("!"), d.Fleet, note); err != nil {
				return err
			}
		}
	}
	return nil
}

// drillTarget says what a fleet would go back to.
func drillTarget(d promote.Drill) string {
	var words []string
	for _, m := range d.Moves {
		words = append(words, m.Name+" "+m.From+": "+imageOrAMI(d.Image, m.FromAMI))
	}
	return strings.Join(words, ", ")
}

// completeFleets writes the fleets of the project.
func completeFleets(con *console) cli.BashCompleteFunc {
	return orFlags(func(c *cli.Context) {
		p, err := loadProject(c)
		if err != nil {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(p.Fleets)) {
			_ = con.printf("%s\n", name)
		}
	})
}
