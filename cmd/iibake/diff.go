package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/local"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
)

func diffCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "diff", Usage: "show what is different between two images", Category: categoryImages, ArgsUsage: "IMAGE IMAGE",
		Description:  "Packages, template, steps and sizes come from the catalog; blocks and files come from the disks, which only root may read.",
		Flags:        []cli.Flag{outputFlag(), &cli.BoolFlag{Name: "files", Usage: "mount both disks and compare their files too"}},
		BashComplete: completeImages(con),
		Action: func(c *cli.Context) error {
			args, err := operands(c, "IMAGE", "IMAGE")
			if err != nil {
				return err
			}
			r, err := openRecord(c)
			if err != nil {
				return err
			}
			a, errA := r.find(c.Context, args[0])
			b, errB := r.find(c.Context, args[1])
			if err := errors.Join(errA, errB); err != nil {
				return err
			}
			d, err := r.diff(c.Context, a, b)
			if err == nil && c.Bool("files") {
				d.Files, err = r.diffFiles(c.Context, con, a, b)
			}
			if err != nil {
				return err
			}
			if wantsJSON(c) {
				return con.printJSON(d)
			}
			return d.write(con)
		},
	}
}

// difference is the result of diff. What is the same in both is left out.
type difference struct {
	From     bake.Ref             `json:"from"`
	To       bake.Ref             `json:"to"`
	Fields   []fieldChange        `json:"fields"`
	Steps    []fieldChange        `json:"steps"`
	Packages []bake.PackageChange `json:"packages"`
	Blocks   *blockChange         `json:"blocks,omitempty"`  // nil where the disks could not be read
	Skipped  string               `json:"skipped,omitempty"` // why the blocks were not compared
	Files    []local.FileChange   `json:"files,omitempty"`
}

type fieldChange struct {
	Name string `json:"name"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

// blockChange tells how much of the disk is different.
type blockChange struct {
	Changed int   `json:"changed"`
	Of      int   `json:"of"`    // blocks of the second disk
	Bytes   int64 `json:"bytes"` // of the changed blocks
}

func (r *record) diff(ctx context.Context, a, b bake.Image) (difference, error) {
	before, errA := r.images.Packages(ctx, a)
	after, errB := r.images.Packages(ctx, b)
	if err := errors.Join(errA, errB); err != nil {
		return difference{}, err
	}
	d := difference{
		From: a.Ref, To: b.Ref, Fields: diffFields(a, b), Steps: diffSteps(a.Steps, b.Steps), Packages: bake.DiffPackages(before, after),
	}
	blocks, err := r.diffBlocks(ctx, a, b)
	switch {
	case errors.Is(err, disk.ErrNotFound):
		d.Skipped = "one of the disks is not on this machine: gc removed it, or another machine baked it"
	case errors.Is(err, fs.ErrPermission):
		d.Skipped = "only root may read the disks: sudo iibake diff"
	case err != nil:
		return difference{}, err
	}
	d.Blocks = blocks
	return d, nil
}

func diffFields(a, b bake.Image) []fieldChange {
	changes := []fieldChange{}
	add := func(name, old, now string) {
		if old != now {
			changes = append(changes, fieldChange{name, old, now})
		}
	}
	add("arch", string(a.Arch), string(b.Arch))
	addSize := func(name string, a, b bake.Size) {
		old, now := ui.Bytes(int64(a)), ui.Bytes(int64(b))
		if a != b && old == now { // in three digits they look alike
			old, now = fmt.Sprintf("%d bytes", int64(a)), fmt.Sprintf("%d bytes", int64(b))
		}
		add(name, old, now)
	}
	addSize("size", a.Size, b.Size)
	addSize("stored", a.Stored, b.Stored)
	add("template", a.Template, b.Template)
	add("commit", a.Commit, b.Commit)
	add("parent", refOf(a.Parent), refOf(b.Parent))
	return changes
}

func refOf(r *bake.Ref) string {
	if r == nil {
		return ""
	}
	return r.String()
}

// diffSteps compares steps by what they do: their keys also hold everything before them.
func diffSteps(a, b []bake.StepResult) []fieldChange {
	changes := []fieldChange{}
	for i := range max(len(a), len(b)) {
		c := fieldChange{Name: fmt.Sprintf("step %d", i+1)}
		if i < len(a) {
			c.Old = a[i].Title
		}
		if i < len(b) {
			c.New = b[i].Title
		}
		if c.Old != c.New {
			changes = append(changes, c)
		}
	}
	return changes
}

func (r *record) diffBlocks(ctx context.Context, a, b bake.Image) (*blockChange, error) {
	if a.Disk == b.Disk {
		return &blockChange{}, nil
	}
	store, err := r.store()
	if err != nil {
		return nil, err
	}
	defer func() { _ = store.Close() }()
	before, errA := store.Manifest(ctx, a.Disk)
	after, errB := store.Manifest(ctx, b.Disk)
	if err := errors.Join(errA, errB); err != nil {
		return nil, err
	}
	changed := len(disk.Diff(before, after))
	return &blockChange{Changed: changed, Of: len(after.Blocks), Bytes: int64(changed) * disk.BlockSize}, nil
}

// diffFiles mounts both disks, one after the other.
func (r *record) diffFiles(ctx context.Context, con *console, a, b bake.Image) ([]local.FileChange, error) {
	if os.Geteuid() != 0 {
		return nil, withHint(errors.New("files are read by mounting the disks, which only root may do"), "run it with sudo")
	}
	store, err := r.store()
	if err != nil {
		return nil, err
	}
	defer func() { _ = store.Close() }()
	rep, err := con.reporter("", a.Name, b.Name)
	if err != nil {
		return nil, err
	}
	defer rep.Close()
	var lists [2][]local.File
	for i, img := range []bake.Image{a, b} {
		task := bake.StartTask(rep, img.Name, "read files of "+img.Version, nil)
		lists[i], err = local.Files(ctx, store, img.Disk, r.work())
		if task.End(err) != nil {
			return nil, err
		}
	}
	return local.DiffFiles(lists[0], lists[1]), nil
}

func (d difference) write(con *console) error {
	p := con.paint(con.out)
	table := ui.NewTable()
	table.Row(p.Dim("from"), d.From.String())
	table.Row(p.Dim("to"), d.To.String())
	for _, c := range append(d.Fields, d.Steps...) {
		table.Row(p.Dim(c.Name), arrow(p, c.Old, c.New))
	}
	if d.Blocks != nil {
		table.Row(p.Dim("blocks"), fmt.Sprintf("%d of %d changed (%s)", d.Blocks.Changed, d.Blocks.Of, ui.Bytes(d.Blocks.Bytes)))
	}
	if d.Skipped != "" {
		table.Row(p.Dim("blocks"), p.Dim("not compared: "+d.Skipped))
	}
	for _, c := range d.Packages {
		table.Row(p.Dim("package"), c.Name+" "+arrow(p, c.Old, c.New))
	}
	for _, c := range d.Files {
		table.Row(p.Dim("file"), describeFile(p, c))
	}
	return table.Write(con.out, p)
}

// arrow writes a change.
func arrow(p ui.Paint, old, now string) string {
	switch {
	case old == "":
		return p.Good("+ " + now)
	case now == "":
		return p.Bad("- " + old)
	}
	return old + p.Dim(" → ") + now
}

// describeFile says what is different about a file.
func describeFile(p ui.Paint, c local.FileChange) string {
	switch {
	case c.Old == nil:
		return p.Good("+ " + c.Path)
	case c.New == nil:
		return p.Bad("- " + c.Path)
	}
	what := []string{c.Path}
	add := func(name, old, now string) {
		if old != now {
			what = append(what, p.Dim(name+" ")+arrow(p, old, now))
		}
	}
	add("type", string(c.Old.Type), string(c.New.Type))
	add("mode", fmt.Sprintf("%04o", c.Old.Mode), fmt.Sprintf("%04o", c.New.Mode))
	add("owner", fmt.Sprintf("%d:%d", c.Old.UID, c.Old.GID), fmt.Sprintf("%d:%d", c.New.UID, c.New.GID))
	add("target", c.Old.Target, c.New.Target)
	add("size", ui.Bytes(c.Old.Size), ui.Bytes(c.New.Size))
	if c.Old.Digest != c.New.Digest {
		what = append(what, p.Dim("content"))
	}
	return strings.Join(what, "  ")
}
