package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
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
		if name, ch, ok := splitPlace(args[0]); ok {
			p, err := r.activePromotion(c.Context, name, ch)
			return p, r.withTurned(c.Context, err, name, ch)
		}
		if strings.Contains(args[0], "@") {
			return none, fmt.Errorf("%w: %s %s: want NAME@CHANNEL, for example web@production", errUsage, c.Command.HelpName, args[0])
		}
	}
	all, err := promote.NewActives(r.catalog).List(c.Context)
	if len(args) == 1 { // a channel
		all = slices.DeleteFunc(all, func(p promote.Promotion) bool { return string(p.Channel) != args[0] })
	}
	switch {
	case err != nil:
		return none, err
	case len(all) == 0 && len(args) == 1:
		return none, withHint(notFound("a promotion that is under way in "+args[0]), "iibake history "+args[0]+" lists those that have ended")
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
		return promote.Promotion{}, withHint(err, r.lastEnd(ctx, name, ch))
	}
	return r.channels.Promotion(ctx, name, ch, a.Number)
}

// lastEnd says how the last promotion in a channel ended, where nothing is under way there, or where to look for those that did.
func (r *record) lastEnd(ctx context.Context, name string, ch promote.Channel) string {
	list, err := r.history(ctx, name, ch)
	list = slices.DeleteFunc(list, func(e passage) bool { return e.Outcome == nil })
	if err != nil || len(list) == 0 {
		return "iibake history " + string(ch) + " lists the promotions that have ended"
	}
	last := slices.MaxFunc(list, func(a, b passage) int { return a.Outcome.At.Compare(b.Outcome.At) })
	result := last.Result
	if result != wentBack {
		result = "was " + result
	}
	return fmt.Sprintf("the last one, %s, %s %s: iibake history %s", last.ID, result, ago(max(time.Since(last.Outcome.At), 0)), last.ID)
}

// withTurned says so where NAME@CHANNEL was not found because its halves have changed places.
func (r *record) withTurned(ctx context.Context, err error, name string, ch promote.Channel) error {
	if !errors.Is(err, bake.ErrNotFound) {
		return err
	}
	names, listed := r.imageNames(ctx)
	if listed != nil || slices.Contains(names, name) || !slices.Contains(names, string(ch)) {
		return err
	}
	return withHint(err, fmt.Sprintf("did you mean %s@%s?", ch, name))
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
