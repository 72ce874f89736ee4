package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/promote"
)

func catalogCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "catalog", Usage: "copy the record of all images", Category: categoryCatalog,
		Subcommands: []*cli.Command{{
			Name: "copy", Usage: "copy every record and channel of one catalog into another", ArgsUsage: "FROM TO",
			Description: "FROM and TO are folders or s3://BUCKET/PREFIX: it is how a project that began with a folder comes to share its catalog. Nothing in TO\n" +
				"is replaced; an interrupted copy is completed by the next one. The blocks of disks stay where they are. Then iibake.yaml has to name TO.",
			Flags:  []cli.Flag{outputFlag(), yesFlag()},
			Action: func(c *cli.Context) error { return copyCatalog(con, c) },
		}},
	}
}

func copyCatalog(con *console, c *cli.Context) error {
	args, err := operands(c, "FROM", "TO")
	if err != nil {
		return err
	}
	from, err := openAddress(c, args[0], nil)
	if err != nil {
		return err
	}
	to, err := openAddress(c, args[1], nil)
	if err != nil {
		return err
	}
	if err := copyable(c, from, args[0]); err != nil {
		return err
	}
	if yes, err := con.confirm(c, fmt.Sprintf("copy all of %s into %s?", args[0], args[1])); err != nil || !yes {
		return err
	}
	done, err := catalog.Copy(c.Context, from.catalog, to.catalog)
	if errors.Is(err, catalog.ErrExists) || errors.Is(err, catalog.ErrMoved) {
		return withHint(err, args[1]+" has a history of its own: copy into one that is empty, or that was copied from "+args[0])
	}
	if err != nil {
		return err
	}
	if wantsJSON(c) {
		return con.printJSON(done)
	}
	return con.printf("%s holds %s and %s of %s, %d of them new\n", args[1], ui.Count(done.Records, "record"), ui.Count(done.Heads, "head"), args[0], done.New)
}

// emptyHint says what is wrong with an address at which there is no catalog.
func emptyHint(address string) string {
	if isAddress(address) {
		return address + " holds no catalog: iibake.yaml says where that of a project is"
	}
	if _, err := os.Stat(address); errors.Is(err, fs.ErrNotExist) {
		return "there is no folder " + address + " here: FROM is a path from the folder that you are in"
	}
	return "the folder " + address + " holds no catalog: that of a project is its folder .iibake, unless iibake.yaml says otherwise"
}

// copyable refuses a catalog that holds nothing, which is mostly a slip, and one in which a promotion is under way: its process would go on there.
func copyable(c *cli.Context, from *record, address string) error {
	keys, err := from.catalog.List(c.Context, "")
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return withHint(notFound("a record in the catalog "+address), emptyHint(address))
	}
	all, err := promote.NewActives(from.catalog).List(c.Context)
	if err != nil || len(all) == 0 {
		return err
	}
	return withHint(fmt.Errorf("%w: %s is under way there", bake.ErrRefused, all[0].ID()), "iibake watch shows how it goes; copy when it has ended")
}
