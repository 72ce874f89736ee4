package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/promote"
)

func rollbackCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "rollback", Usage: "bring a channel with its fleets, or one fleet, back to an image that was there before", Category: categoryFleets,
		ArgsUsage: "CHANNEL|FLEET",
		UsageText: examples(
			[2]string{`iibake rollback production --reason "5xx"`, "the channel, with all of its fleets"},
			[2]string{"iibake rollback web@production --plan", "what that would do"},
			[2]string{"iibake rollback web-eu", "one fleet; the channel stays"},
			[2]string{"iibake rollback production --to 2026.11.21-1-g8c4597a", "to an older version"}),
		Description: "CHANNEL is name@channel, or a channel that holds one image alone. Fleets go back to the launch template versions that they had, all at\n" +
			"once, and the channel with them. While a promotion is under way in the channel, the way back is to end that one,\n" +
			"which takes it over from the process that carries it out.",
		Flags: append(variableFlags(), planFlag(), planOutputFlag(), yesFlag(), reasonFlag(), pollFlag(),
			&cli.StringFlag{Name: "to", Usage: "go back to `VERSION`", DefaultText: "what was there before"}),
		BashComplete: completeChannels(con),
		Action: func(c *cli.Context) error {
			args, err := operands(c, "CHANNEL|FLEET")
			if err != nil {
				return err
			}
			e, err := openEngine(con, c)
			if err != nil {
				return err
			}
			defer e.Close()
			r, err := e.rollbackRequest(c, args[0])
			if err != nil {
				return err
			}
			plan, err := e.promoter.PlanRollback(c.Context, r)
			if err != nil {
				return withHint(withBusyHint(withTargetHint(err)), "iibake history "+string(r.Channel)+" lists what the channel held")
			}
			return e.withEarlier(c.Context, args[0], plan, e.carryOut(con, c, plan))
		},
	}
}

// withEarlier names the newest version further back that is not revoked, where a way back is refused because its version is.
func (e *engine) withEarlier(ctx context.Context, what string, plan promote.Plan, err error) error {
	p := plan.Promotion
	if v := (planView{Plan: plan}); !errors.Is(err, bake.ErrRefused) || !v.revoked() {
		return err
	}
	history, failed := e.channels.History(ctx, p.To.Name, p.Channel)
	if failed != nil {
		return err
	}
	target := slices.IndexFunc(history, func(past promote.Past) bool { return past.Moved() && past.To == p.To })
	for _, past := range slices.Backward(history[:max(0, target)]) {
		img, failed := e.images.Get(ctx, past.To)
		if !past.Moved() || failed != nil || p.From != nil && past.To == *p.From {
			continue
		}
		if why, failed := e.revoked(ctx, img); failed == nil && why == "" {
			return withHint(err, "iibake rollback "+what+" --to "+past.To.Version)
		}
	}
	return err
}

// rollbackRequest says what an operand wants back: the channel name@channel, a channel, or a fleet.
func (e *engine) rollbackRequest(c *cli.Context, what string) (promote.RollbackRequest, error) {
	r := promote.RollbackRequest{To: c.String("to"), By: actor(os.Getenv), Reason: c.String("reason")}
	name, ch, ok := splitPlace(what)
	switch _, isFleet := e.project.Fleets[what]; {
	case ok:
		r.Name, r.Channel = name, ch
	case isFleet:
		r.Name, r.Channel, r.Fleets = e.project.Fleets[what].Image, channelOf(e.project, what), []string{what}
		if r.Channel == "" {
			return r, withHint(fmt.Errorf("%w: the fleet %s follows no channel", errUsage, what), "add it to the waves of a channel in iibake.yaml")
		}
	default:
		var err error
		if r.Name, err = e.onlyImageIn(c, promote.Channel(what)); err != nil {
			return r, err
		}
		r.Channel = promote.Channel(what)
	}
	r.Targets = e.publishTargets(r.Name)
	r.To = strings.TrimPrefix(r.To, r.Name+":") // name:version is as good as the version
	return r, nil
}

// onlyImageIn returns the name of the only image that a channel holds, or that is on its way there.
func (e *engine) onlyImageIn(c *cli.Context, ch promote.Channel) (string, error) {
	if _, ok := e.project.Channels[string(ch)]; !ok {
		return "", withHint(notFound("channel or fleet "+string(ch)), placesHint(e.project))
	}
	var names []string
	for _, t := range e.project.Images {
		held, err := e.channels.Held(c.Context, t.Name)
		if err != nil {
			return "", err
		}
		under, err := e.wayOf(c.Context, t.Name, ch)
		if err != nil {
			return "", err
		}
		if held[ch] != (bake.Ref{}) || under != nil { // the first promotion into it is ended by a rollback, too
			names = append(names, t.Name)
		}
	}
	switch len(names) {
	case 0:
		return "", withHint(fmt.Errorf("an image in %s: %w", ch, bake.ErrNotFound), "the channel holds none: iibake channels lists what every channel holds")
	case 1:
		return names[0], nil
	}
	slices.Sort(names)
	return "", withHint(fmt.Errorf("%w: %s holds %s", errUsage, ch, strings.Join(names, ", ")), fmt.Sprintf("say which one: iibake rollback %s@%s", names[0], ch))
}

// completeChannels writes the channels and the fleets of the project.
func completeChannels(con *console) cli.BashCompleteFunc {
	return orFlags(func(c *cli.Context) {
		p, err := loadProject(c)
		if err != nil {
			return
		}
		for _, name := range slices.Concat(slices.Sorted(maps.Keys(p.Channels)), slices.Sorted(maps.Keys(p.Fleets))) {
			_ = con.printf("%s\n", name)
		}
	})
}
