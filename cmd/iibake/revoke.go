package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/template"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/promote/asg/survey"
)

func revokeCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "revoke", Usage: "forbid an image, and all that was baked from it, to go anywhere", Category: categoryFleets, ArgsUsage: "IMAGE",
		UsageText: examples(
			[2]string{`iibake revoke web:2026.11.21-1-g8c4597a --reason "CVE-2026-1234"`, "for ever"},
			[2]string{`iibake revoke --undo web:2026.11.21-1-g8c4597a --reason "another package"`, "take that back"}),
		Description: "Revoked images enter no channel, whatever was approved, and a promotion that is under way stops before its next wave. Images that\n" +
			"were baked from it, or will be, are revoked with it. Instances go on running, and channels stay where they are: iibake names them, and\n" +
			"what to do. --undo takes a revocation back; approvals from before it do not come back.",
		Flags:        []cli.Flag{outputFlag(), yesFlag(), reasonFlag(), &cli.BoolFlag{Name: "undo", Usage: "take a revocation back"}},
		BashComplete: completeImages(con),
		Action: func(c *cli.Context) error {
			args, err := operands(c, "IMAGE")
			if err != nil {
				return err
			}
			if strings.TrimSpace(c.String("reason")) == "" {
				return withHint(fmt.Errorf("%w: iibake revoke: a reason is wanted", errUsage), `add --reason "…": it is what others are told`)
			}
			r, p, err := openSettings(c)
			if err != nil {
				return err
			}
			img, err := r.find(c.Context, args[0])
			if err != nil {
				return err
			}
			return revoking{r, p, survey.Surveyor{Open: openTargets(c, p).get}, img, c.Bool("undo")}.run(con, c)
		},
	}
}

// revocation is the result of revoke as JSON.
type revocation struct {
	promote.Revocation

	Descendants []bake.Ref    `json:"descendants"`         // revoked with it
	Channels    []heldRevoked `json:"channels"`            // that hold one of them
	Fleets      []runsRevoked `json:"fleets"`              // that run one of them
	Unknown     []string      `json:"unknown,omitempty"`   // fleets that could not be looked at, with the reason
	UnderWay    []string      `json:"under_way,omitempty"` // promotions of one of them
}

// heldRevoked is a channel that holds a revoked image.
type heldRevoked struct {
	Channel promote.Channel `json:"channel"`
	Image   bake.Ref        `json:"image"`
}

// runsRevoked is a fleet that runs a revoked image, or will.
type runsRevoked struct {
	Fleet     string   `json:"fleet,omitempty"` // empty for instances that belong to no fleet of the project
	Image     bake.Ref `json:"image"`
	Instances int      `json:"instances"`
	Next      bool     `json:"next,omitempty"` // its next instances will run it
}

// revoking is a revocation that is about to be put on record, or taken back.
type revoking struct {
	*record

	project *template.Project
	survey  surveyor
	img     bake.Image
	undo    bool
}

// run shows what the revocation takes with it, asks, and puts it on record.
func (v revoking) run(con *console, c *cli.Context) error {
	out, err := v.look(c.Context)
	if err != nil {
		return err
	}
	out.Revocation = promote.Revocation{Image: v.img.Ref, By: actor(os.Getenv), At: time.Now().UTC(), Reason: c.String("reason"), Lifted: v.undo}
	if err := v.check(c.Context); err != nil {
		return err
	}
	if !wantsJSON(c) {
		if err := out.write(con); err != nil {
			return err
		}
	}
	question := "revoke " + v.img.String() + "?"
	if v.undo {
		question = "take the revocation of " + v.img.String() + " back?"
	}
	if yes, err := con.confirm(c, question); err != nil || !yes {
		return err
	}
	if err := promote.NewRevocations(v.catalog).Record(c.Context, out.Revocation); err != nil {
		return err
	}
	if wantsJSON(c) {
		return con.printJSON(out)
	}
	return out.advise(con)
}

// check refuses to say again what is on record.
func (v revoking) check(ctx context.Context) error {
	said, err := promote.NewRevocations(v.catalog).Of(ctx, v.img)
	own := err == nil && said.Image == v.img.Ref
	switch {
	case err != nil && !errors.Is(err, bake.ErrNotFound):
		return err
	case v.undo && err != nil:
		return fmt.Errorf("%w: %s is not revoked", bake.ErrRefused, v.img.Ref)
	case v.undo && !own:
		return withHint(fmt.Errorf("%w: %s is revoked because it comes from %s", bake.ErrRefused, v.img.Ref, said.Image), "iibake revoke --undo "+said.Image.String()+" takes that back")
	case !v.undo && own:
		return fmt.Errorf("%w: %s was revoked by %s already: %s", bake.ErrRefused, v.img.Ref, said.By, said.Reason)
	}
	return nil
}

// look finds all that is revoked with the image, and where it is.
func (v revoking) look(ctx context.Context) (revocation, error) {
	out := revocation{Descendants: []bake.Ref{}, Channels: []heldRevoked{}, Fleets: []runsRevoked{}}
	children, err := promote.NewRevocations(v.catalog).Descendants(ctx, v.img.Ref)
	if err != nil {
		return out, err
	}
	all := map[bake.Ref]bool{v.img.Ref: true}
	for _, child := range children {
		all[child.Ref] = true
		out.Descendants = append(out.Descendants, child.Ref)
	}
	for _, ref := range append([]bake.Ref{v.img.Ref}, out.Descendants...) {
		channels, err := v.channels.Of(ctx, ref)
		if err != nil {
			return out, err
		}
		for _, ch := range channels {
			out.Channels = append(out.Channels, heldRevoked{ch, ref})
		}
	}
	under, err := promote.NewActives(v.catalog).List(ctx)
	if err != nil {
		return out, err
	}
	for _, p := range under {
		if all[p.To] {
			out.UnderWay = append(out.UnderWay, p.ID())
		}
	}
	out.Fleets, out.Unknown, err = v.running(ctx, all)
	return out, err
}

// write shows what the revocation is about.
func (out revocation) write(con *console) error {
	p := con.paint(con.out)
	table := ui.NewTable()
	row := func(name string, lines []string) {
		for _, line := range lines {
			table.Row(p.Dim(name), line)
			name = ""
		}
	}
	row("image", []string{p.Bold(out.Image.String())})
	row("reason", []string{ui.Clean(out.Reason)})
	var descendants, channels, fleets []string
	for _, d := range out.Descendants {
		descendants = append(descendants, d.String())
	}
	for _, h := range out.Channels {
		channels = append(channels, fmt.Sprintf("%s@%s holds %s", h.Image.Name, h.Channel, h.Image.Version))
	}
	for _, f := range out.Fleets {
		fleet := f.Fleet
		if fleet == "" {
			fleet = "somebody outside of the fleets"
		}
		text := fmt.Sprintf("%s runs %s on %s", fleet, f.Image, ui.Count(f.Instances, "instance"))
		if f.Next {
			text += ", and on its next ones"
		}
		fleets = append(fleets, text)
	}
	row("with it", descendants)
	row("channels", channels)
	row("fleets", fleets)
	row("not known", out.Unknown)
	row("under way", out.UnderWay)
	return table.Write(con.out, p)
}

// advise says what is left to do.
func (out revocation) advise(con *console) error {
	if out.Lifted {
		return con.printf("%s may be promoted again\n", out.Image)
	}
	if err := con.printf("%s is revoked\n", out.Image); err != nil {
		return err
	}
	for _, id := range out.UnderWay {
		place, _, _ := strings.Cut(id, "#")
		if err := con.printf("%s is under way, and stops before its next wave: iibake abort %s brings it back at once\n", id, place); err != nil {
			return err
		}
	}
	for _, h := range out.Channels {
		todo := "iibake rollback " + h.Image.Name + "@" + string(h.Channel)
		if h.Channel == promote.Candidate {
			todo = "mend it and build " + h.Image.Name
		}
		if err := con.printf("%s@%s still holds %s: %s\n", h.Image.Name, h.Channel, h.Image.Version, todo); err != nil {
			return err
		}
	}
	return nil
}
