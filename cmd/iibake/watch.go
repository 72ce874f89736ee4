package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/promote"
)

func watchCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "watch", Usage: "look on while a promotion goes, until it has ended", Category: categoryFleets, ArgsUsage: "[NAME@CHANNEL]",
		Description: "It changes nothing, and ends with the same code as the promotion. Without an operand it is the only promotion that is under way.",
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
			e.tellDriver(c, p)
			outcome, err := e.promoter.Watch(c.Context, p.To.Name, p.Channel)
			if errors.Is(err, context.Canceled) {
				e.rep.Close()
				return withHint(err, fmt.Sprintf("the promotion goes on: iibake watch %s@%s looks on again", p.To.Name, p.Channel))
			}
			return e.tell(con, c, p, outcome, err)
		},
	}
}

// silence is how long a driver may give no sign of life before it is taken for dead. It gives one in a minute.
const silence = 3 * time.Minute

// tellDriver says who carries the promotion out, and what to do where nobody seems to.
func (e *engine) tellDriver(c *cli.Context, p promote.Promotion) {
	a, err := promote.NewActives(e.catalog).Get(c.Context, p.To.Name, p.Channel)
	if err != nil {
		return
	}
	note := func(kind bake.EventKind, text string) {
		e.rep.Report(bake.Event{Time: time.Now().UTC(), Kind: kind, Image: fmt.Sprintf("%s@%s", p.To.Name, p.Channel), Text: text})
	}
	note(bake.EventNote, p.ID()+" is driven by "+a.Driver)
	if quiet := time.Since(a.Seen); quiet > silence {
		note(bake.EventWarn, fmt.Sprintf("nothing was heard of it for %s: iibake promote --resume %s@%s takes over", ui.Took(quiet), p.To.Name, p.Channel))
	}
}

// glance writes how the promotion is now.
func (e *engine) glance(con *console, c *cli.Context, p promote.Promotion) error {
	a, err := promote.NewActives(e.catalog).Get(c.Context, p.To.Name, p.Channel)
	if err != nil {
		return err
	}
	latest, err := promote.NewRollouts(e.catalog).Latest(c.Context, p)
	if err != nil {
		return err
	}
	if wantsJSON(c) {
		return con.printJSON(struct {
			ID        string                     `json:"id"`
			Promotion promote.Promotion          `json:"promotion"`
			Active    promote.Active             `json:"active"`
			Rollouts  map[string]promote.Rollout `json:"rollouts"`
		}{p.ID(), p, a, latest})
	}
	if err := con.printf("%s: %s, wish %s, driven by %s\n", p.ID(), p.To.Version, a.Wish, a.Driver); err != nil {
		return err
	}
	return writeRollouts(con, p, latest, time.Now())
}

func writeRollouts(con *console, p promote.Promotion, latest map[string]promote.Rollout, now time.Time) error {
	paint := con.paint(con.out)
	table := ui.NewTable("FLEET", "WAVE", "PHASE", "SINCE", "REASON")
	for i, wave := range p.Waves {
		for _, m := range wave {
			r, ok := latest[m.Name]
			phase, since := promote.Planned, ""
			if ok {
				phase, since = r.Phase, ago(now.Sub(r.At))
			}
			table.Row(paint.Name(m.Name), strconv.Itoa(i+1), string(phase), since, r.Reason)
		}
	}
	return table.Write(con.out, paint)
}

func wishCommand(con *console, wish promote.Wish, name, usage, description string) *cli.Command {
	return &cli.Command{
		Name: name, Usage: usage, Category: categoryFleets, ArgsUsage: "[NAME@CHANNEL]", Description: description,
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
				if yes, err := con.confirm(c, "end "+p.ID()+" and bring back the fleets that moved?"); err != nil || !yes {
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
		"The process that carries it out does it. Where that has died, iibake promote --resume takes over.")
}

// tellWish says what is on record now, and warns where nobody seems to heed it.
func (e *engine) tellWish(con *console, c *cli.Context, p promote.Promotion, a promote.Active) error {
	e.rep.Close()
	if wantsJSON(c) {
		return con.printJSON(struct {
			ID     string         `json:"id"`
			Active promote.Active `json:"active"`
		}{p.ID(), a})
	}
	words := map[promote.Wish]string{promote.Proceed: "goes on", promote.Pause: "pauses", promote.Abort: "goes back"}
	if err := con.printf("%s: %s %s\n", p.ID(), a.Driver, words[a.Wish]); err != nil {
		return err
	}
	if quiet := time.Since(a.Seen); quiet > silence {
		return con.printf("nothing was heard of it for %s: iibake promote --resume %s@%s takes over\n", ui.Took(quiet), p.To.Name, p.Channel)
	}
	return nil
}
