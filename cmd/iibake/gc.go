package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/template"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/promote"
)

func gcCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "gc", Usage: "remove what was left behind, and disks that no image needs", Category: categoryCatalog,
		Description: "Results of steps, downloads and retained wrecks go when they were not used for --older-than. Records always stay. With --store, disks go, too:\n" +
			"that of an image stays while its template's retain speaks for it, while it is in a channel, and while it is the newest.",
		Flags: []cli.Flag{
			outputFlag(),
			&cli.BoolFlag{Name: "store", Usage: "also remove the disks of older images, and blocks that no disk needs"},
			&cli.BoolFlag{Name: "cloud", Usage: "also end what publications have begun in accounts and nobody took up"},
			&cli.DurationFlag{Name: "older-than", Value: 7 * 24 * time.Hour, Usage: "keep what was used less than `TIME` ago"},
			&cli.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "only say what would go"},
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask"},
		},
		Action: func(c *cli.Context) error {
			if _, err := operands(c); err != nil {
				return err
			}
			if !c.Bool("store") && !c.Bool("cloud") {
				r, err := openRecord(c)
				if err != nil {
					return err
				}
				return gc(con, c, nil, r)
			}
			p, err := loadProject(c) // the templates say which disks to retain
			if err != nil {
				return err
			}
			r, err := recordOf(c, p)
			if err != nil {
				return err
			}
			return gc(con, c, p, r)
		},
	}
}

// garbage is what gc removes, or would remove.
type garbage struct {
	Files []staleFile    `json:"files"`
	Store disk.Collected `json:"store,omitzero"`
	Cloud []string       `json:"cloud,omitempty"` // what publications left, or what was done about it
	Gone  bool           `json:"gone"`            // false where it was only a plan
}

type staleFile struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

// gc removes files that were left behind and, with --store, blocks of disks, with --cloud what publications left. Only then it needs p.
func gc(con *console, c *cli.Context, p *template.Project, r *record) error {
	collect := func(dryRun bool) (g garbage, err error) {
		if g.Files, err = r.stale(time.Now().Add(-c.Duration("older-than"))); err != nil {
			return garbage{}, err
		}
		if c.Bool("store") {
			if g.Store, err = r.collect(c, p, dryRun); err != nil {
				return g, err
			}
		}
		if c.Bool("cloud") {
			g.Cloud, err = r.sweep(c, p, dryRun)
		}
		return g, err
	}
	plan, err := collect(true)
	if err != nil {
		return err
	}
	if plan.empty() || c.Bool("dry-run") {
		return plan.write(con, c)
	}
	if !wantsJSON(c) {
		if err := plan.write(con, c); err != nil {
			return err
		}
	}
	if yes, err := con.confirm(c, "remove this?"); err != nil || !yes {
		return err
	}
	done, err := collect(false)
	if err != nil {
		return err
	}
	for _, f := range done.Files {
		if err := os.Remove(f.Name); err != nil {
			return err
		}
	}
	done.Gone = true
	return done.write(con, c)
}

// collect removes the blocks that no disk needs, or only counts them.
func (r *record) collect(c *cli.Context, p *template.Project, dryRun bool) (disk.Collected, error) {
	live, err := r.live(c.Context, p, time.Now())
	if err != nil {
		return disk.Collected{}, err
	}
	store, err := r.store()
	if err != nil {
		return disk.Collected{}, err
	}
	defer func() { _ = store.Close() }()
	return store.Collect(c.Context, live, c.Duration("older-than"), dryRun)
}

// live returns the disks that images need: what each template's retain keeps, and everything whose template is gone.
func (r *record) live(ctx context.Context, p *template.Project, now time.Time) ([]bake.Digest, error) {
	r = r.now()
	images, err := r.images.List(ctx, "")
	if err != nil {
		return nil, err
	}
	byName := map[string][]bake.Image{}
	held, err := r.onTheirWay(ctx)
	if err != nil {
		return nil, err
	}
	for _, img := range images {
		byName[img.Name] = append(byName[img.Name], img)
		channels, err := r.channels.Of(ctx, img.Ref)
		if err != nil {
			return nil, err
		}
		held[img.Ref] = held[img.Ref] || len(channels) > 0
	}
	retain := map[string]bake.Retain{}
	for _, t := range p.Images {
		retain[t.Name] = t.Retain
	}
	var live []bake.Digest
	for name, images := range byName {
		for _, img := range retain[name].Keep(images, func(ref bake.Ref) bool { return held[ref] }, now) {
			live = append(live, img.Disk)
		}
	}
	return live, nil
}

// onTheirWay returns the images of the promotions that are under way: their disks may have to be published still.
func (r *record) onTheirWay(ctx context.Context) (map[bake.Ref]bool, error) {
	all, err := promote.NewActives(r.catalog).List(ctx)
	images := map[bake.Ref]bool{}
	for _, p := range all {
		images[p.To] = true
	}
	return images, err
}

// stale returns the files that builds left behind and nobody has touched since before.
func (r *record) stale(before time.Time) ([]staleFile, error) {
	files := []staleFile{}
	roots := []string{filepath.Join(r.work(), "scratch"), filepath.Join(r.work(), "retained"), filepath.Join(r.work(), "downloads")}
	if cache := recordCache(); r.shared != nil && cache != "" {
		roots = append(roots, cache)
	}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			info, err := entry.Info()
			if err == nil && info.ModTime().Before(before) {
				files = append(files, staleFile{name, onDisk(info)})
			}
			return err
		})
		if err != nil && !os.IsNotExist(err) {
			return nil, err
		}
	}
	return files, nil
}

func (g garbage) empty() bool {
	return len(g.Files)+len(g.Cloud) == 0 && g.Store.Layers+g.Store.Manifests+g.Store.Blocks == 0
}

func (g garbage) write(con *console, c *cli.Context) error {
	if wantsJSON(c) {
		return con.printJSON(g)
	}
	if g.empty() {
		return con.printf("nothing to remove\n")
	}
	for _, line := range g.Cloud {
		if err := con.printf("%s\n", line); err != nil {
			return err
		}
	}
	if g.Gone {
		return con.printf("removed %s\n", ui.Bytes(g.bytes()))
	}
	table := ui.NewTable()
	for _, f := range g.Files {
		table.Row(f.Name, ui.Bytes(f.Bytes))
	}
	if s := g.Store; s.Layers+s.Manifests+s.Blocks > 0 {
		table.Row(fmt.Sprintf("%s, %s and %s of the store", ui.Count(s.Layers, "step result"), ui.Count(s.Manifests, "disk"), ui.Count(s.Blocks, "block")), ui.Bytes(s.Bytes))
	}
	return table.Write(con.out, con.paint(con.out))
}

func (g garbage) bytes() int64 {
	sum := g.Store.Bytes
	for _, f := range g.Files {
		sum += f.Bytes
	}
	return sum
}
