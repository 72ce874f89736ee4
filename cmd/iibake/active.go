package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/promote"
)

// splitPlace takes NAME@CHANNEL apart.
func splitPlace(what string) (name string, ch promote.Channel, ok bool) {
	name, channel, ok := strings.Cut(what, "@")
	return name, promote.Channel(channel), ok && name != "" && channel != ""
}

// underWay returns the promotion that the command is about: the one that is under way where the operand says, or the only one.
func (r *record) underWay(c *cli.Context) (promote.Promotion, error) {
	var none promote.Promotion
	args, err := operands(c, "NAME@CHANNEL...")
	if err != nil {
		return none, err
	}
	if len(args) > 1 {
		return none, withHint(fmt.Errorf("%w: %s: want one NAME@CHANNEL, got %d", errUsage, c.Command.HelpName, len(args)), c.Command.HelpName+" --help says more")
	}
	if len(args) == 1 {
		name, ch, ok := splitPlace(args[0])
		if !ok {
			return none, fmt.Errorf("%w: %s %s: want NAME@CHANNEL, for example web@production", errUsage, c.Command.HelpName, args[0])
		}
		return r.activePromotion(c.Context, name, ch)
	}
	all, err := promote.NewActives(r.catalog).List(c.Context)
	switch {
	case err != nil:
		return none, err
	case len(all) == 0:
		return none, withHint(notFound("a promotion that is under way"), "iibake promote begins one; iibake history CHANNEL lists those that have ended")
	case len(all) > 1:
		var places []string
		for _, p := range all {
			places = append(places, fmt.Sprintf("%s@%s", p.To.Name, p.Channel))
		}
		return none, withHint(fmt.Errorf("%w: %s are under way", errUsage, ui.Count(len(all), "promotion")), "name one of them: "+strings.Join(places, ", "))
	}
	return all[0], nil
}

// activePromotion returns what is under way in a channel.
func (r *record) activePromotion(ctx context.Context, name string, ch promote.Channel) (promote.Promotion, error) {
	a, err := promote.NewActives(r.catalog).Get(ctx, name, ch)
	if err != nil {
		return promote.Promotion{}, withHint(err, "iibake history "+string(ch)+" lists the promotions that have ended")
	}
	return r.channels.Promotion(ctx, name, ch, a.Number)
}

// driverOf names the process that drives a promotion.
func (r *record) driverOf(ctx context.Context, p promote.Promotion) string {
	a, err := promote.NewActives(r.catalog).Get(ctx, p.To.Name, p.Channel)
	if err != nil || a.Driver == "" {
		return "nobody"
	}
	return a.Driver
}

// completePlaces writes the promotions that are under way.
func completePlaces(con *console) cli.BashCompleteFunc {
	return orFlags(func(c *cli.Context) {
		r, err := openRecord(c)
		if err != nil {
			return
		}
		all, err := promote.NewActives(r.catalog).List(c.Context)
		if err != nil {
			return
		}
		for _, p := range all {
			_ = con.printf("%s@%s\n", p.To.Name, p.Channel)
		}
	})
}
