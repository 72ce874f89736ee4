package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/disk/qemuimg"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
)

func exportCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "export", Usage: "write the disk of an image to a file", Category: categoryImages, ArgsUsage: "IMAGE",
		Description: "raw is what dd wants, qcow2 QEMU and OpenStack, vmdk (stream optimized) VMware, vhd (fixed to its exact size) Azure and Hyper-V.\n" +
			"The file appears when it is whole, and replaces another one only with --force.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Aliases: []string{"f"}, Value: "qcow2", Usage: "`FORM` of the file: raw, qcow2, vmdk or vhd", Action: oneOf("format", formatRaw, string(qemuimg.QCOW2), string(qemuimg.VMDK), string(qemuimg.VHD))},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write to `FILE`, or - for standard output (default: NAME-VERSION.FORM)"},
			&cli.BoolFlag{Name: "force", Usage: "replace the file if it exists"},
		},
		BashComplete: completeImages(con),
		Action: func(c *cli.Context) error {
			r, img, err := findImage(c)
			if err != nil {
				return err
			}
			e, err := newExport(con, c, img)
			if err != nil {
				return err
			}
			return e.run(c.Context, r)
		},
	}
}

// formatRaw is the one format that needs no conversion.
const formatRaw = "raw"

// export is one disk on its way to a file.
type export struct {
	con    *console
	img    bake.Image
	format string
	to     string // "-" is standard output
	force  bool
}

func newExport(con *console, c *cli.Context, img bake.Image) (*export, error) {
	e := &export{con: con, img: img, format: c.String("format"), to: c.String("output"), force: c.Bool("force")}
	if e.to == "" {
		e.to = img.Name + "-" + img.Version + "." + e.format
	}
	if _, ok := terminal(con.out); ok && e.to == "-" {
		return nil, fmt.Errorf("%w: a disk does not belong on a terminal: write it to a file, or into a pipe", errUsage)
	}
	if _, err := os.Stat(filepath.Dir(e.to)); err != nil {
		return nil, err // a folder is not made: its name may be a mistake
	}
	if _, err := os.Lstat(e.to); err == nil && e.to != "-" && !e.force {
		return nil, withHint(taken(e.to), "add --force to replace it, or choose another name with -o")
	}
	return e, nil
}

func (e *export) run(ctx context.Context, r *record) error {
	rep, err := e.con.reporter("", e.img.Name)
	if err != nil {
		return err
	}
	defer rep.Close()
	folder := filepath.Dir(e.to)
	if e.to == "-" {
		folder = scratchFolder
	}
	file, err := disk.Scratch(folder)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if err := r.materialise(ctx, e.img, file, rep); err != nil {
		return err
	}
	if e.format != formatRaw {
		raw := file
		if file, err = disk.Scratch(folder); err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		task := bake.StartTask(rep, e.img.Name, "convert to "+e.format, nil)
		if err := task.End(qemuimg.FromRaw(ctx, raw, file, qemuimg.Format(e.format))); err != nil {
			return err
		}
	}
	rep.Close()
	return e.deliver(file)
}

// materialise writes the disk of an image to an empty file.
func (r *record) materialise(ctx context.Context, img bake.Image, file *os.File, rep bake.Reporter) error {
	store, err := r.store()
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	task := bake.StartTask(rep, img.Name, "read disk", nil)
	return task.End(store.Materialise(ctx, img.Disk, file, task.Progress))
}

// deliver puts the finished file where it was asked for.
func (e *export) deliver(file *os.File) error {
	if e.to == "-" {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return err
		}
		_, err := io.Copy(e.con.out, file)
		return err
	}
	if err := place(file, e.to, e.force); err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	return e.con.printf("%s %s\n", e.to, e.con.paint(e.con.out).Dim(ui.Bytes(onDisk(info))))
}
