package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
)

func showCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "show everything that is on record about an image", Category: categoryImages, ArgsUsage: "IMAGE",
		Flags:        []cli.Flag{outputFlag(), &cli.BoolFlag{Name: "packages", Usage: "also list the packages in it"}},
		BashComplete: completeImages(con),
		Action: func(c *cli.Context) error {
			r, img, err := findImage(c)
			if err != nil {
				return err
			}
			s, err := r.show(c.Context, img, c.Bool("packages") || wantsJSON(c))
			if err != nil {
				return err
			}
			if wantsJSON(c) {
				return con.printJSON(s)
			}
			return s.write(con, c.Bool("packages"), time.Now())
		},
	}
}

// findImage returns the image that the only operand means, and the catalog that it is in.
func findImage(c *cli.Context) (*record, bake.Image, error) {
	args, err := operands(c, "IMAGE")
	if err != nil {
		return nil, bake.Image{}, err
	}
	r, err := openRecord(c)
	if err != nil {
		return nil, bake.Image{}, err
	}
	img, err := r.find(c.Context, args[0])
	return r, img, err
}

// find returns the image that what means.
func (r *record) find(ctx context.Context, what string) (bake.Image, error) {
	img, err := r.images.Find(ctx, what)
	if err != nil && len(hints(err)) == 0 { // a catalog that cannot be read lists nothing
		err = withHint(err, "iibake images lists what there is")
	}
	return img, err
}

// notFound returns an error that says what was not found.
func notFound(what string) error { return fmt.Errorf("%s: %w", what, bake.ErrNotFound) }

// shown is the result of show as JSON. Packages shadows the digest of the list in the image's record.
type shown struct {
	listed
	PackageList []bake.Package `json:"package_list,omitempty"`
}

func (r *record) show(ctx context.Context, img bake.Image, packages bool) (shown, error) {
	l, err := r.look(ctx, img)
	if err != nil {
		return shown{}, err
	}
	s := shown{listed: l}
	if packages {
		s.PackageList, err = r.images.Packages(ctx, img)
	}
	return s, err
}

func (s shown) write(con *console, packages bool, now time.Time) error {
	p := con.paint(con.out)
	table := ui.NewTable()
	row := func(name, value string) {
		if value != "" {
			table.Row(p.Dim(name), value)
		}
	}
	row("image", p.Bold(s.String()))
	row("verdict", paintVerdict(p, s.Verdict))
	row("revoked", p.Bad(ui.Clean(s.Revoked)))
	row("channels", joinChannels(s.Channels))
	row("created", fmt.Sprintf("%s (%s), in %s", s.Created.UTC().Format(time.DateTime+" UTC"), ago(now.Sub(s.Created)), ui.Took(time.Duration(s.Took))))
	row("arch", string(s.Arch))
	row("size", fmt.Sprintf("%s, %s of it stored", ui.Bytes(int64(s.Size)), ui.Bytes(int64(s.Stored))))
	row("disk", string(s.Disk))
	row("bake key", string(s.Key))
	row("template", s.Template)
	row("commit", s.commit())
	row("author", ui.Clean(s.Author))
	row("baked by", s.By)
	row("repository", s.Repo)
	if s.Parent != nil {
		row("parent", s.Parent.String())
	}
	for _, a := range s.Source.Archives {
		row("source", strings.TrimSpace(a.String()+" "+a.Release.Short()))
	}
	for i, step := range s.Steps {
		row(fmt.Sprintf("step %d", i+1), step.Title+p.Dim(stepNote(step)))
	}
	if packages {
		for _, pkg := range s.PackageList {
			row("package", pkg.Name+" "+pkg.Version+p.Dim(" "+pkg.Arch))
		}
	}
	return table.Write(con.out, p)
}

func (s shown) commit() string {
	if s.Dirty {
		return s.Commit + ", with changes that were not committed"
	}
	return s.Commit
}

func stepNote(s bake.StepResult) string {
	if s.Cached {
		return "  unchanged"
	}
	return "  " + ui.Took(time.Duration(s.Took))
}

func ago(d time.Duration) string {
	if age := ui.Age(d); age != "now" {
		return age + " ago"
	}
	return "just now"
}
