package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/template"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/promote"
)

func channelsCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "channels", Usage: "list what every channel holds, and since when", Category: categoryFleets, ArgsUsage: "[NAME...]",
		UsageText: examples([2]string{"iibake channels web", "those of one image"}),
		Description: "NAME is that of an image. A channel that holds nothing is shown where the one before it holds something: that is what could be\n" +
			"promoted next. iibake history tells how a channel got there.",
		Flags:        []cli.Flag{outputFlag()},
		BashComplete: completeTemplates(con),
		Action: func(c *cli.Context) error {
			names, err := operands(c, "NAME...")
			if err != nil {
				return err
			}
			r, p, err := openSettings(c)
			if err != nil {
				return err
			}
			list, err := r.holdings(c.Context, p, names)
			if err != nil {
				return err
			}
			if wantsJSON(c) {
				return con.printJSON(list)
			}
			return writeHoldings(con, list, time.Now())
		},
	}
}

// holding is what a channel holds of an image.
type holding struct {
	Name      string          `json:"name"`
	Channel   promote.Channel `json:"channel"`
	Version   string          `json:"version,omitempty"`   // nothing where the channel holds none
	Promotion int             `json:"promotion,omitempty"` // number of the one that brought it
	Since     time.Time       `json:"since,omitzero"`
	By        string          `json:"by,omitempty"`
	Reason    string          `json:"reason,omitempty"`
	Proof     time.Time       `json:"proof,omitzero"`    // when the verdict was given
	Revoked   string          `json:"revoked,omitempty"` // why
	Frozen    time.Time       `json:"frozen,omitzero"`   // until when the channel does not move
	UnderWay  *underWay       `json:"under_way,omitempty"`
}

// underWay is a promotion that wants to move the channel.
type underWay struct {
	promote.Active

	To   string `json:"to"` // version
	ID   string `json:"id"`
	Back bool   `json:"back,omitempty"` // a rollback
}

// holdings returns what the channels hold of some images, or of all.
func (r *record) holdings(ctx context.Context, p *template.Project, names []string) ([]holding, error) {
	all, err := r.imageNames(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !slices.Contains(all, name) {
			return nil, withHint(notFound("image "+name), "iibake images lists all of them")
		}
	}
	if len(names) == 0 {
		names = all
	}
	list := []holding{}
	for _, name := range names {
		mine, err := r.holdingsOf(ctx, p, name)
		if err != nil {
			return nil, err
		}
		list = append(list, mine...)
	}
	return list, nil
}

func (r *record) holdingsOf(ctx context.Context, p *template.Project, name string) ([]holding, error) {
	held, err := r.channels.Held(ctx, name)
	if err != nil {
		return nil, err
	}
	var list []holding
	for _, ch := range pipeline(p, slices.Collect(maps.Keys(held))...) {
		ref, holds := held[ch]
		_, next := held[promote.Channel(p.Channels[string(ch)].After)]
		h := holding{Name: name, Channel: ch, Version: ref.Version}
		if h.UnderWay, err = r.wayOf(ctx, name, ch); err != nil {
			return nil, err
		}
		if !holds && !next && h.UnderWay == nil {
			continue
		}
		if h.Frozen, err = frozen(p, ch); err != nil {
			return nil, err
		}
		if holds {
			if err := r.trace(ctx, &h); err != nil {
				return nil, err
			}
		}
		list = append(list, h)
	}
	return list, nil
}

// wayOf returns what is under way in a channel, or nil for nothing.
func (r *record) wayOf(ctx context.Context, name string, ch promote.Channel) (*underWay, error) {
	a, err := promote.NewActives(r.catalog).Get(ctx, name, ch)
	if errors.Is(err, bake.ErrNotFound) {
		return nil, nil //nolint:nilnil // nothing is an answer here
	}
	if err != nil {
		return nil, err
	}
	p, err := r.channels.Promotion(ctx, name, ch, a.Number)
	return &underWay{a, p.To.Version, p.ID(), p.Back}, err
}

// frozen returns until when a channel of the project does not move, the zero time where it may.
func frozen(p *template.Project, ch promote.Channel) (time.Time, error) {
	rule := promote.Rule{Freeze: freezes(p.Channels[string(ch)].Freeze)}
	until, _, err := rule.Frozen(time.Now())
	return until, err
}

// trace finds how the version got into the channel, and whether it may stay there.
func (r *record) trace(ctx context.Context, h *holding) error {
	history, err := r.channels.History(ctx, h.Name, h.Channel)
	if err != nil {
		return err
	}
	held := bake.Ref{Name: h.Name, Version: h.Version}
	if past, known := promote.Arrival(history, held); known {
		h.Promotion, h.Since, h.By, h.Reason, h.Proof = past.Number, past.Outcome.At, past.By, past.Reason, past.Proof
	}
	img, err := r.images.Get(ctx, held)
	if err != nil {
		return err
	}
	h.Revoked, err = r.revoked(ctx, img)
	return err
}

// revoked says why an image is revoked, or nothing where it is not.
func (r *record) revoked(ctx context.Context, img bake.Image) (string, error) {
	said, err := promote.NewRevocations(r.catalog).Of(ctx, img)
	switch {
	case errors.Is(err, bake.ErrNotFound):
		return "", nil
	case err != nil:
		return "", err
	case said.Image != img.Ref:
		return said.Image.String() + ": " + said.Reason, nil
	}
	return said.Reason, nil
}

func writeHoldings(con *console, list []holding, now time.Time) error {
	if len(list) == 0 {
		return con.printf("no channel holds an image: iibake build makes candidates\n")
	}
	p := con.paint(con.out)
	table := ui.NewTable("NAME", "CHANNEL", "VERSION", "SINCE", "BY", "NOTE")
	for _, h := range list {
		since := ""
		if !h.Since.IsZero() {
			since = ui.Age(now.Sub(h.Since))
		}
		table.Row(p.Name(h.Name), p.Bold(string(h.Channel)), dash(h.Version), since, h.By, h.note(p))
	}
	return table.Write(con.out, p)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// note joins what is to be known of the channel.
func (h holding) note(p ui.Paint) string {
	var notes []string
	if h.Revoked != "" {
		notes = append(notes, p.Bad("revoked: "+ui.Clean(h.Revoked)))
	}
	if !h.Frozen.IsZero() {
		notes = append(notes, p.Warn("frozen until "+minuteText(h.Frozen)+" UTC"))
	}
	if u := h.UnderWay; u != nil {
		state := map[promote.Wish]string{promote.Proceed: "under way", promote.Pause: "paused", promote.Abort: "going back"}[u.Wish]
		if u.Back && u.Wish == promote.Abort {
			state = "being stopped"
		}
		notes = append(notes, fmt.Sprintf("%s to %s is %s, driven by %s", u.ID, u.To, state, u.Driver))
		if life := lifeOf(u.Active, time.Now()); life.dead {
			notes = append(notes, life.text(p, h.Name+"@"+string(h.Channel)))
		}
	}
	return strings.Join(notes, "; ")
}
