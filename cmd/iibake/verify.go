package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
)

// errDamaged is wrapped by the error of verify that found something.
var errDamaged = errors.New("the catalog is damaged")

func verifyCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "verify", Usage: "check that no record was altered, removed or slipped in", Category: categoryCatalog,
		Description: "Every change of the catalog is an entry of a journal that holds the digest of the one before it.",
		Flags:       []cli.Flag{outputFlag(), &cli.BoolFlag{Name: "store", Usage: "also read every block of every disk and check its digest"}},
		Action: func(c *cli.Context) error {
			if _, err := operands(c); err != nil {
				return err
			}
			r, err := openRecord(c)
			if err != nil {
				return err
			}
			problems, err := r.verify(con, c)
			if err != nil {
				return err
			}
			return reportProblems(con, c, problems)
		},
	}
}

func (r *record) verify(con *console, c *cli.Context) ([]catalog.Problem, error) {
	rep, err := con.reporter("")
	if err != nil {
		return nil, err
	}
	defer rep.Close()
	task := bake.StartTask(rep, "", "verify catalog", nil)
	problems, err := r.catalog.Verify(c.Context)
	if task.End(err) != nil {
		return nil, err
	}
	if !c.Bool("store") {
		return problems, nil
	}
	more, err := r.verifyStore(c.Context, rep)
	return append(problems, more...), err
}

// verifyStore reads every disk in the store. One that gc may have taken away is no problem; one in a channel must be there, unless the catalog is
// shared: then it may have been baked on another machine.
func (r *record) verifyStore(ctx context.Context, rep bake.Reporter) ([]catalog.Problem, error) {
	held, err := r.held(ctx)
	if err != nil {
		return nil, err
	}
	store, err := r.store()
	if err != nil {
		return nil, err
	}
	defer func() { _ = store.Close() }()
	task := bake.StartTask(rep, "", "verify store", nil)
	found, err := store.Verify(ctx, held, task.Progress)
	if task.End(err) != nil {
		return nil, err
	}
	problems := make([]catalog.Problem, len(found))
	for i, p := range found {
		problems[i] = catalog.Problem{Key: string(p.Disk), Text: p.Text}
	}
	return problems, nil
}

// held returns the disks that must be here: of the images that are in a channel.
func (r *record) held(ctx context.Context) ([]bake.Digest, error) {
	if r.shared != nil {
		return nil, nil
	}
	images, err := r.images.List(ctx, "")
	if err != nil {
		return nil, err
	}
	var disks []bake.Digest
	for _, img := range images {
		channels, err := r.channels.Of(ctx, img.Ref)
		if err != nil {
			return nil, err
		}
		if len(channels) > 0 {
			disks = append(disks, img.Disk)
		}
	}
	return disks, nil
}

func reportProblems(con *console, c *cli.Context, problems []catalog.Problem) error {
	if wantsJSON(c) {
		if err := con.printJSON(append([]catalog.Problem{}, problems...)); err != nil {
			return err
		}
	}
	if len(problems) == 0 {
		if wantsJSON(c) {
			return nil
		}
		return con.printf("nothing is wrong\n")
	}
	errs := []error{fmt.Errorf("%w: %s", errDamaged, ui.Count(len(problems), "problem"))}
	for _, p := range problems {
		errs = append(errs, errors.New("  "+p.String()))
	}
	return errors.Join(errs...)
}
