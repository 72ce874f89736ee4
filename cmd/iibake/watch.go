package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/promote"
)

func watchCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "watch", Usage: "look on while a promotion goes, until it has ended", Category: categoryFleets, ArgsUsage: "[[NAME@]CHANNEL]",
		UsageText: examples(
			[2]string{"iibake watch", "the only promotion that is under way"},
			[2]string{"iibake watch web@production --once", "how it is now"},
			[2]string{"iibake watch --once -o json", "the same for programs: under_way has step and driver, fleets a member each"}),
		Description: "It changes nothing, and ends with the same code as the promotion. Without an operand it is the only promotion that is under way.\n" +
			"Ctrl-C ends the looking on alone: the promotion goes on.",
		Flags: append(variableFlags(), outputFlag(), pollFlag(),
			&cli.BoolFlag{Name: "once", Usage: "show how it is now, and end"}),
		BashComplete: completePlaces(con),
		Action: func(c *cli.Context) error {
			e, err := openEngine(con, c)
			if err != nil {
				return err
			}
			defer e.Close()
			p, err := e.underWay(c)
			if err != nil {
				return err
			}
			if c.Bool("once") {
				return e.glance(con, c, p)
			}
			e.follow.watches = true
			outcome, err := e.promoter.Watch(c.Context, p.To.Name, p.Channel)
			if errors.Is(err, context.Canceled) {
				e.rep.Close()
				return withHint(err, e.whatGoesOn(p))
			}
			return e.tell(con, c, p, outcome, err)
		},
	}
}

// whatGoesOn says what becomes of a promotion that nobody looks at any more.
func (e *engine) whatGoesOn(p promote.Promotion) string {
	place := placeOf(p)
	if life := lifeOf(e.follow.last.Active, time.Now()); e.follow.last.Active.Driver != "" && life.dead {
		return life.text(false, place)
	}
	return "the promotion goes on: iibake watch " + place + " looks on again"
}

func wishCommand(con *console, wish promote.Wish, name, usage, description string) *cli.Command {
	why := "5xx in eu"
	if wish == promote.Proceed {
		why = "it was the load balancer"
	}
	return &cli.Command{
		Name: name, Usage: usage, Category: categoryFleets, ArgsUsage: "[[NAME@]CHANNEL]",
		UsageText: examples(
			[2]string{"iibake " + name, "the only promotion that is under way"},
			[2]string{"iibake " + name + ` web@production --reason "` + why + `"`, "and why"}),
		Description:  description + "\nWho wished it, and why, is on record and in what iibake watch shows.",
		Flags:        append(variableFlags(), outputFlag(), yesFlag(), reasonFlag()),
		BashComplete: completePlaces(con),
		Action: func(c *cli.Context) error {
			e, err := openEngine(con, c)
			if err != nil {
				return err
			}
			defer e.Close()
			p, err := e.underWay(c)
			if err != nil {
				return err
			}
			if wish == promote.Abort {
				if yes, err := con.confirm(c, abortQuestion(p)); err != nil || !yes {
					return err
				}
			}
			a, err := e.promoter.Wish(c.Context, p.To.Name, p.Channel, wish, actor(os.Getenv), c.String("reason"))
			if err != nil {
				return err
			}
			return e.tellWish(con, c, p, a)
		},
	}
}

func pauseCommand(con *console) *cli.Command {
	return wishCommand(con, promote.Pause, "pause", "have a promotion start nothing more",
		"What is being replaced goes on to its end. iibake resume lets it go on.")
}

func resumeCommand(con *console) *cli.Command {
	return wishCommand(con, promote.Proceed, "resume", "let a promotion go on that was paused",
		"The process that carries it out goes on. Where that has died, iibake promote --resume takes over.")
}

func abortCommand(con *console) *cli.Command {
	return wishCommand(con, promote.Abort, "abort", "end a promotion, and bring back what moved",
		"The process that carries it out does it, and ends with code 13. Where that has died, iibake promote --resume takes over.\n"+
			"A rollback is stopped where it is, and ends with code 1: its fleets may be half and half.")
}

// abortQuestion is what is asked before a promotion is ended. One that goes back already can only be stopped.
func abortQuestion(p promote.Promotion) string {
	if p.Back {
		return "stop the rollback " + p.ID() + " where it is, with " + halfAndHalf + "?"
	}
	return "end " + p.ID() + " and bring back the fleets that moved?"
}

// halfAndHalf is what becomes of a rollback that is aborted.
const halfAndHalf = "fleets that may be half and half"

// tellWish says what is on record now, and warns where nobody seems to heed it.
func (e *engine) tellWish(con *console, c *cli.Context, p promote.Promotion, a promote.Active) error {
	e.rep.Close()
	life := lifeOf(a, time.Now())
	if wantsJSON(c) {
		return con.printJSON(movement{ID: p.ID(), Promotion: &p, UnderWay: &course{Active: a, Dead: life.dead}})
	}
	if life.dead {
		words := map[promote.Wish]string{promote.Proceed: "that it goes on", promote.Pause: "the pause", promote.Abort: "the abort"}
		return con.printf("%s: %s is on record, but %s cannot heed it: %s\n", p.ID(), words[a.Wish], a.Driver, life.text(con.paint(con.out), placeOf(p)))
	}
	return con.printf("%s: %s %s\n", p.ID(), a.Driver, heeding(p, a.Wish))
}

// heeding says what the process that carries out a promotion does about a wish.
func heeding(p promote.Promotion, wish promote.Wish) string {
	switch {
	case wish == promote.Proceed:
		return "goes on"
	case wish == promote.Pause:
		return "pauses"
	case p.Back:
		return "stops the rollback where it is, with " + halfAndHalf
	}
	return "goes back"
}
