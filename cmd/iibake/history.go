package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/promote"
)

func historyCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "history", Usage: "list the promotions of a channel, newest first", Category: categoryFleets, ArgsUsage: "[NAME@]CHANNEL[#NUMBER]",
		UsageText: examples(
			[2]string{"iibake history production", "what moved it, newest first"},
			[2]string{"iibake history 'web@production#7'", "one promotion, fleet by fleet"}),
		Description: "Without NAME it lists those of all images. With NUMBER it shows one promotion, and what each of its fleets went through.",
		Flags:       []cli.Flag{outputFlag(), &cli.IntFlag{Name: "limit", Aliases: []string{"n"}, Value: 20, Usage: "list `N` at most; 0 for all"}},
		BashComplete: orFlags(func(c *cli.Context) {
			if _, p, err := openSettings(c); err == nil {
				for _, ch := range pipeline(p) {
					_ = con.printf("%s\n", ch)
				}
			}
		}),
		Action: func(c *cli.Context) error {
			args, err := operands(c, "CHANNEL")
			if err != nil {
				return withChannels(c, err)
			}
			r, p, err := openSettings(c)
			if err != nil {
				return err
			}
			if id, number, one := strings.Cut(args[0], "#"); one {
				return r.writePromotion(con, c, id, number)
			}
			name, ch, _ := splitPlace(args[0])
			if ch == "" {
				name, ch = "", promote.Channel(name)
			}
			list, err := r.history(c.Context, name, ch)
			if err != nil {
				return err
			}
			if _, known := p.Channels[string(ch)]; len(list) == 0 && !known {
				return withHint(notFound("channel "+string(ch)), "iibake channels lists what there is")
			}
			if n := c.Int("limit"); n > 0 && len(list) > n {
				list = list[:n]
			}
			if wantsJSON(c) {
				return con.printJSON(list)
			}
			return writeHistory(con, list)
		},
	}
}

// passage is a promotion with what became of it, as people and programs read it.
type passage struct {
	ID     string `json:"id"`
	Result string `json:"result"` // promoted, went back (a rollback), rolled back (a promotion that failed), stopped, under way or unfinished

	promote.Past
}

const (
	onItsWay   = "under way"
	unfinished = "unfinished" // its process died, and nobody took it up
)

// history returns the promotions of a channel of one image, or of all, newest first.
func (r *record) history(ctx context.Context, name string, ch promote.Channel) ([]passage, error) {
	names := []string{name}
	if name == "" {
		var err error
		if names, err = r.imageNames(ctx); err != nil {
			return nil, err
		}
	}
	list := []passage{}
	for _, name := range names {
		history, err := r.channels.History(ctx, name, ch)
		if err != nil {
			return nil, err
		}
		a, err := promote.NewActives(r.catalog).Get(ctx, name, ch)
		if err != nil && !errors.Is(err, bake.ErrNotFound) {
			return nil, err
		}
		for _, past := range history {
			list = append(list, passage{past.ID(), resultOf(past, a.Number), past})
		}
	}
	slices.SortStableFunc(list, func(a, b passage) int {
		return cmp.Or(b.At.Compare(a.At), strings.Compare(a.To.Name, b.To.Name), cmp.Compare(b.Number, a.Number))
	})
	return list, nil
}

func writeHistory(con *console, list []passage) error {
	if len(list) == 0 {
		return con.printf("the channel never moved\n")
	}
	p := con.paint(con.out)
	table := ui.NewTable("PROMOTION", "AT", "FROM", "TO", "BY", "PROOF", "RESULT", "REASON")
	for _, e := range list {
		table.Row(p.Name(e.ID), minuteText(e.At), fromText(e.Promotion), cmp.Or(e.To.Version, "-"), e.By, proofText(e.Proof),
			paintResult(p, e.Result), shortened(ui.Clean(e.why())))
	}
	return table.Write(con.out, p)
}

// why joins why the promotion was begun and why it ended as it did.
func (e passage) why() string {
	var words []string
	if e.Back {
		words = append(words, "rollback")
	}
	if e.Only {
		words = append(words, "some fleets alone")
	}
	if e.Reason != "" {
		words = append(words, e.Reason)
	}
	if e.Outcome != nil && e.Outcome.Reason != "" {
		words = append(words, e.Outcome.Reason)
	}
	return strings.Join(words, "; ")
}

func fromText(p promote.Promotion) string {
	if p.From == nil {
		return "-"
	}
	return p.From.Version
}

// toText names what a promotion brings.
func toText(p promote.Promotion) string { return cmp.Or(p.To.Version, "what was there before") }

func minuteText(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

// proofText says when the verdict was given. Who goes back to what was there before has none.
func proofText(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return minuteText(t)
}

// maxReason is how much of a reason a table shows: the errors of AWS fill a screen, and history NAME@CHANNEL#NUMBER has all of it.
const maxReason = 120

func shortened(s string) string {
	runes := []rune(s)
	if len(runes) <= maxReason {
		return s
	}
	return string(runes[:maxReason-1]) + "…"
}

func paintResult(p ui.Paint, result string) string {
	switch result {
	case string(promote.Promoted), wentBack:
		return p.Good(result)
	case onItsWay:
		return p.Warn(result)
	}
	return p.Bad(result)
}

// told is one promotion with everything that is on record about it.
type told struct {
	passage

	Rollouts map[string][]promote.Rollout `json:"rollouts"` // by fleet, oldest first
}

// writePromotion shows the promotion NAME@CHANNEL#NUMBER, or CHANNEL#NUMBER where one image alone has been in the channel.
func (r *record) writePromotion(con *console, c *cli.Context, place, number string) error {
	name, ch, ok := splitPlace(place)
	if !ok && !strings.Contains(place, "@") {
		name, ch, ok = "", promote.Channel(place), place != ""
	}
	n, err := strconv.Atoi(number)
	if !ok || err != nil {
		return fmt.Errorf("%w: %s %s#%s: want [NAME@]CHANNEL#NUMBER, for example web@production#7", errUsage, c.Command.HelpName, place, number)
	}
	list, err := r.history(c.Context, name, ch)
	if err != nil {
		return err
	}
	if names := imagesOf(list); len(names) > 1 {
		return withHint(fmt.Errorf("%w: %s had %s", errUsage, ch, strings.Join(names, ", ")),
			fmt.Sprintf("say which one: iibake history '%s@%s#%d'", names[0], ch, n))
	}
	i := slices.IndexFunc(list, func(e passage) bool { return e.Number == n })
	if i < 0 {
		return withHint(notFound("promotion "+place+"#"+number), "iibake history "+place+" lists those that there are")
	}
	t := told{passage: list[i]}
	if t.Rollouts, err = r.rolloutsOf(c.Context, t.Promotion); err != nil {
		return err
	}
	if wantsJSON(c) {
		return con.printJSON(t)
	}
	return t.write(con)
}

// imagesOf returns the names of the images that promotions are about, sorted.
func imagesOf(list []passage) []string {
	var names []string
	for _, e := range list {
		names = append(names, e.To.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (r *record) rolloutsOf(ctx context.Context, p promote.Promotion) (map[string][]promote.Rollout, error) {
	journal := promote.NewRollouts(r.catalog)
	latest, err := journal.Latest(ctx, p)
	if err != nil {
		return nil, err
	}
	all := map[string][]promote.Rollout{}
	for fleet := range latest {
		if all[fleet], err = journal.Of(ctx, p, fleet); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (t told) write(con *console) error {
	p := con.paint(con.out)
	facts := ui.NewTable()
	row := func(name, value string) {
		if value != "" {
			facts.Row(p.Dim(name), ui.Clean(value))
		}
	}
	row("promotion", t.ID)
	row("from", fromText(t.Promotion))
	row("to", toText(t.Promotion))
	row("by", t.By)
	row("at", t.At.UTC().Format(time.DateTime+" UTC"))
	if !t.Proof.IsZero() {
		row("proof", "verdict of "+t.Proof.UTC().Format(time.DateTime+" UTC"))
	}
	row("reason", t.Reason)
	row("result", t.Result)
	if t.Outcome != nil {
		row("ended", t.Outcome.At.UTC().Format(time.DateTime+" UTC"))
		row("because", t.Outcome.Reason)
	}
	if err := facts.Write(con.out, p); err != nil || len(t.Rollouts) == 0 {
		return err
	}
	if err := con.printf("\n"); err != nil {
		return err
	}
	return t.writeRollouts(con, p)
}

// writeRollouts lists what became of the fleets, in the order of the waves.
func (t told) writeRollouts(con *console, p ui.Paint) error {
	table := ui.NewTable("FLEET", "WAVE", "AT", "PHASE", "REASON")
	for i, wave := range t.Waves {
		for _, m := range wave {
			for _, r := range t.Rollouts[m.Name] {
				table.Row(p.Name(m.Name), strconv.Itoa(i+1), r.At.UTC().Format(time.DateTime), phaseWord(r.Phase, t.Back), ui.Clean(r.Reason))
			}
		}
	}
	return table.Write(con.out, p)
}
