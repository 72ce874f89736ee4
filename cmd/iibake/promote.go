package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/promote"
)

func promoteCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "promote", Usage: "move a channel to an image, and the fleets that follow it first", Category: categoryFleets, ArgsUsage: "IMAGE CHANNEL",
		UsageText: examples(
			[2]string{"iibake promote web@staging production --plan", "what would move, and why not"},
			[2]string{"iibake promote web@staging production", "show that, ask, and do it"},
			[2]string{"iibake promote web@staging production --yes -o json", "from a job: plan, fleets and outcome as JSON"},
			[2]string{"iibake promote web@production production --only web-eu", "bring one fleet to what the channel holds"},
			[2]string{"iibake promote --resume web@production", "go on where a process died"}),
		Description: "It prints what it is about to do and asks. Then the image is published where the fleets are, and they get it wave by wave. The channel\n" +
			"moves when all have it. A failure stops later waves and brings back what moved. Nothing is lost when this process ends in the midst of\n" +
			"it: iibake promote --resume NAME@CHANNEL goes on, iibake watch looks on, and pause, resume and abort work from anywhere.\n\n" +
			"It ends with 12 where somebody else promotes in the channel or moved it, 13 where fleets were brought back, 14 where the plan or a gate\n" +
			"refuses, and 130 where it was interrupted. The JSON has the members id, promotion, plan, outcome and fleets, as far as there are any;\n" +
			"that of rollback and watch is the same. In GitHub Actions the summary of the job gets plan and outcome.",
		Flags: append(variableFlags(), planFlag(), planOutputFlag(), yesFlag(), reasonFlag(), pollFlag(),
			&cli.StringSliceFlag{Name: "only", Usage: "move `FLEET` alone, and leave the channel; may be repeated"},
			&cli.BoolFlag{Name: "keep", Usage: "leave fleets that moved where they are when another one fails"},
			&cli.BoolFlag{Name: "pin", Usage: "fix aliases of launch template versions that groups use to numbers"},
			&cli.BoolFlag{Name: "resume", Usage: "take over the promotion that is under way; the operand is [NAME@]CHANNEL, or nothing where there is one alone"}),
		BashComplete: completeMove(con),
		Action: func(c *cli.Context) error {
			e, err := openEngine(con, c)
			if err != nil {
				return err
			}
			defer e.Close()
			if c.Bool("resume") {
				return e.takeOver(con, c)
			}
			return withSwapped(c, e.project, e.promote(con, c))
		},
	}
}

func planFlag() cli.Flag {
	return &cli.BoolFlag{Name: "plan", Usage: "only print what would be done"}
}

// planOutputFlag chooses the form of a plan, and of how it ended.
func planOutputFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "output", Aliases: []string{"o"}, Value: "text", Usage: "write the result as `FORM`: text, json or markdown",
		Action: oneOf("output", "text", "json", "markdown"),
	}
}

func yesFlag() cli.Flag {
	return &cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask"}
}

func reasonFlag() cli.Flag {
	return &cli.StringFlag{Name: "reason", Usage: "put `TEXT` on record as the reason"}
}

// promote plans a promotion and, if it may, carries it out.
func (e *engine) promote(con *console, c *cli.Context) error {
	args, err := operands(c, "IMAGE", "CHANNEL")
	if err != nil {
		return err
	}
	r, err := e.request(c, args[0], promote.Channel(args[1]))
	if err != nil {
		return err
	}
	plan, err := e.promoter.Plan(c.Context, r)
	if err != nil {
		return e.withFollowers(withBusyHint(withTargetHint(err)), r)
	}
	if err := e.wantBlocks(c.Context, &plan); err != nil {
		return err
	}
	return e.carryOut(con, c, plan)
}

// withFollowers says which fleets --only may name, where it names another one.
func (e *engine) withFollowers(err error, r promote.Request) error {
	var names []string
	for _, wave := range e.project.Channels[string(r.Channel)].Waves {
		names = append(names, wave...)
	}
	if !errors.Is(err, bake.ErrNotFound) || !slices.ContainsFunc(r.Fleets, func(f string) bool { return !slices.Contains(names, f) }) {
		return err
	}
	if len(names) == 0 {
		return withHint(err, "no fleet follows "+string(r.Channel)+": iibake.yaml has its waves")
	}
	return withHint(err, string(r.Channel)+" has the fleets "+strings.Join(names, ", "))
}

// request is what the command wants of the channel.
func (e *engine) request(c *cli.Context, what string, ch promote.Channel) (promote.Request, error) {
	img, err := e.find(c.Context, what)
	if err != nil {
		return promote.Request{}, err
	}
	return promote.Request{
		Image: img.Ref, Channel: ch, Fleets: c.StringSlice("only"), Targets: e.publishTargets(img.Name),
		Keep: c.Bool("keep"), Pin: c.Bool("pin"), By: actor(os.Getenv), Reason: c.String("reason"),
	}, nil
}

// publishTargets are those that the template of an image names.
func (e *engine) publishTargets(image string) []string {
	for _, t := range e.project.Images {
		if t.Name == image {
			return t.Publish.Targets
		}
	}
	return nil
}

// carryOut shows a plan, asks, and does what it says. With --plan it only shows it.
func (e *engine) carryOut(con *console, c *cli.Context, plan promote.Plan) error {
	v := e.view(c.Context, e.project, plan)
	e.follow.plan = &v
	form, dry := c.String("output"), c.Bool("plan")
	if dry || form != "json" || len(plan.Refusals) > 0 {
		if err := v.write(con, form, time.Now()); err != nil {
			return err
		}
	}
	if con.actions != nil {
		if err := con.actions.AddSummary(v.markdown(time.Now()) + "\n"); err != nil {
			return err
		}
	}
	switch {
	case len(plan.Refusals) > 0:
		return refusedPlan(v)
	case dry:
		return nil
	case plan.There:
		if _, err := e.promoter.Run(c.Context, plan); err != nil { // which sets the parameter of the channel where it was left behind
			return withTargetHint(err)
		}
		return e.nothingToDo(con, c, v)
	}
	if yes, err := con.confirm(c, v.question()); err != nil || !yes {
		return err
	}
	outcome, err := e.promoter.Run(c.Context, plan)
	if plan.Aborts != nil && outcome.Result == promote.Reverted && errors.Is(err, promote.ErrRolledBack) {
		err = nil // it is what was asked for
	}
	return e.tell(con, c, plan.Promotion, outcome, err)
}

// question is what is asked before anything moves.
func (v planView) question() string {
	if v.Aborts != nil {
		return fmt.Sprintf("take %s over from %s, and bring back %s?", v.Promotion.ID(), v.Aborts.Driver, ui.Count(len(v.Fleets), "fleet"))
	}
	fleets, instances := v.moving()
	if fleets == 0 {
		return "move the channel?"
	}
	what := "replace"
	if v.Promotion.Back {
		what = "roll back"
	}
	return fmt.Sprintf("%s %s in %s?", what, ui.Count(instances, "instance"), ui.Count(fleets, "fleet"))
}

func (e *engine) nothingToDo(con *console, c *cli.Context, v planView) error {
	switch c.String("output") {
	case "json":
		return con.printJSON(movement{Plan: &v})
	case "markdown":
		return con.printf("\n%s\n", escapeMarkdown(v.already()))
	}
	return con.printf("\n%s\n", v.already())
}

// wantBare refuses options of a new promotion beside --resume: what is under way goes on as it was begun.
func wantBare(c *cli.Context) error {
	var idle []string
	for _, name := range []string{"plan", "reason", "only", "keep", "pin"} {
		if c.IsSet(name) {
			idle = append(idle, "--"+name)
		}
	}
	if len(idle) == 0 {
		return nil
	}
	return withHint(fmt.Errorf("%w: promote --resume: it goes on as it was begun, and takes no %s", errUsage, strings.Join(idle, ", ")),
		"leave that out; iibake watch --once shows how it is")
}

// takeOver carries on the promotion that another process began.
func (e *engine) takeOver(con *console, c *cli.Context) error {
	if err := wantBare(c); err != nil {
		return err
	}
	p, err := e.underWay(c)
	if err != nil {
		return err
	}
	if yes, err := con.confirm(c, fmt.Sprintf("take over %s from %s?", p.ID(), e.driverOf(c.Context, p))); err != nil || !yes {
		return err
	}
	outcome, err := e.promoter.Resume(c.Context, p.To.Name, p.Channel)
	return e.tell(con, c, p, outcome, err)
}

// tell writes how a promotion ended, and says what to do where it did not end well.
func (e *engine) tell(con *console, c *cli.Context, p promote.Promotion, o promote.Outcome, err error) error {
	e.rep.Close()
	if last := e.follow.last.Promotion; last.Number > 0 {
		p = last
	}
	if o.Result != "" {
		err = errors.Join(e.writeEnding(con, c, p, o), err)
	}
	return e.withNext(p, o, err)
}

// withNext says what to do about a promotion that did not end well.
func (e *engine) withNext(p promote.Promotion, o promote.Outcome, err error) error {
	place := placeOf(p)
	busy, _ := errors.AsType[*promote.BusyError](err)
	switch {
	case err == nil:
		return nil
	case busy != nil && busy.Promotion.ID() == p.ID():
		taken := fmt.Errorf("%s was taken over by %s", p.ID(), busy.Active.Driver)
		return withHint(inStage(catalog.ErrMoved, taken), "iibake watch "+place+" shows how that goes")
	case busy != nil:
		return withBusyHint(err)
	case errors.Is(err, catalog.ErrMoved):
		return withHint(err, "iibake history "+string(p.Channel)+" says who moved what; plan again")
	case o.Result == "" && p.Number == 0:
		return withTargetHint(err) // nothing was begun
	case o.Result == "":
		return withHint(withTargetHint(err), "what AWS was told goes on: iibake promote --resume "+place+" carries it on, iibake rollback "+place+" brings the fleets back")
	case o.Result == promote.Stopped && p.Keep:
		return withHint(withTargetHint(err), "fleets stay where they are: iibake rollback FLEET brings one back")
	}
	return withTargetHint(err)
}

// withBusyHint says what to do where somebody else promotes in the channel.
func withBusyHint(err error) error {
	busy, ok := errors.AsType[*promote.BusyError](err)
	if !ok {
		return err
	}
	place := placeOf(busy.Promotion)
	if life := lifeOf(busy.Active, time.Now()); life.dead {
		return withHint(err, life.text(false, place))
	}
	return withHint(err, "iibake watch "+place+" shows how that goes; where its process is dead, iibake promote --resume "+place+" takes it over")
}
