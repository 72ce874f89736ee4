package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/promote"
)

func imagesCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "images", Usage: "list the images of the catalog", Category: categoryImages, ArgsUsage: "[NAME]",
		Flags:        []cli.Flag{outputFlag()},
		BashComplete: completeImages(con),
		Action: func(c *cli.Context) error {
			names, err := operands(c, "NAME...")
			if err != nil {
				return err
			}
			r, err := openRecord(c)
			if err != nil {
				return err
			}
			list, err := r.list(c.Context, names)
			if err != nil {
				return err
			}
			if wantsJSON(c) {
				return con.printJSON(list)
			}
			return listImages(con, list, time.Now())
		},
	}
}

// listed is an image with what became of it.
type listed struct {
	bake.Image
	Verdict  string            `json:"verdict"`           // passed, failed or none
	Revoked  string            `json:"revoked,omitempty"` // why
	Channels []promote.Channel `json:"channels"`
}

// list returns the images of some names, or of all, newest first.
func (r *record) list(ctx context.Context, names []string) ([]listed, error) {
	if len(names) == 0 {
		names = []string{""}
	}
	list := []listed{}
	for _, name := range names {
		images, err := r.images.List(ctx, name)
		if err != nil {
			return nil, err
		}
		if name != "" && len(images) == 0 {
			return nil, withHint(notFound("image "+name), "iibake images lists all of them")
		}
		for _, img := range slices.Backward(images) {
			l, err := r.look(ctx, img)
			if err != nil {
				return nil, err
			}
			list = append(list, l)
		}
	}
	return list, nil
}

// look adds what became of an image.
func (r *record) look(ctx context.Context, img bake.Image) (listed, error) {
	verdict, err := r.verdict(ctx, img.Ref)
	if err != nil {
		return listed{}, err
	}
	channels, err := r.channels.Of(ctx, img.Ref)
	if err != nil {
		return listed{}, err
	}
	revoked, err := r.revoked(ctx, img)
	return listed{img, verdict, revoked, append([]promote.Channel{}, channels...)}, err
}

const (
	passed   = "passed"
	failed   = "failed"
	noResult = "none"
)

func (r *record) verdict(ctx context.Context, ref bake.Ref) (string, error) {
	v, err := r.verdicts.Latest(ctx, ref)
	switch {
	case errors.Is(err, bake.ErrNotFound):
		return noResult, nil
	case err != nil:
		return "", err
	case v.Passed():
		return passed, nil
	}
	return failed, nil
}

func listImages(con *console, list []listed, now time.Time) error {
	if len(list) == 0 {
		return con.printf("no images yet: iibake build makes the first\n")
	}
	p := con.paint(con.out)
	table := ui.NewTable("NAME", "VERSION", "AGE", "SIZE", "STORED", "VERDICT", "CHANNELS", "DISK")
	for _, l := range list {
		table.Row(p.Name(l.Name), l.Version, ui.Age(now.Sub(l.Created)), ui.Bytes(int64(l.Size)), ui.Bytes(int64(l.Stored)),
			l.judgement(p), p.Bold(joinChannels(l.Channels)), p.Dim(l.Disk.Short()))
	}
	return table.Write(con.out, p)
}

// judgement is the verdict, as far as it still matters.
func (l listed) judgement(p ui.Paint) string {
	if l.Revoked != "" {
		return p.Bad("revoked")
	}
	return paintVerdict(p, l.Verdict)
}

func paintVerdict(p ui.Paint, verdict string) string {
	switch verdict {
	case passed:
		return p.Good(verdict)
	case failed:
		return p.Bad(verdict)
	}
	return p.Dim(verdict)
}

func joinChannels(channels []promote.Channel) string {
	names := make([]string, len(channels))
	for i, c := range channels {
		names[i] = string(c)
	}
	return strings.Join(names, " ")
}
