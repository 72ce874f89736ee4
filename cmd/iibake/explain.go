package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake/template"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
)

func explainCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "explain", Usage: "tell what a key of iibake.yaml or of an image template means", Category: categoryProject, ArgsUsage: "[KEY]",
		Description: "KEY is dotted: fleets.refresh, channels.production.freeze, steps.copy. Without it, it lists the keys of both files.",
		Flags:       []cli.Flag{outputFlag()},
		BashComplete: orFlags(func(*cli.Context) {
			for _, key := range template.Keys() {
				_ = con.printf("%s\n", key)
			}
		}),
		Action: func(c *cli.Context) error {
			keys, err := operands(c, "KEY...")
			if err != nil {
				return err
			}
			if len(keys) > 1 {
				return fmt.Errorf("%w: %s: want one key, for example fleets.refresh", errUsage, c.Command.HelpName)
			}
			entries, err := template.Explain(strings.Join(keys, ""))
			if err != nil {
				return withHint(err, "iibake explain lists the keys of both files")
			}
			if wantsJSON(c) {
				return con.printJSON(entries)
			}
			return writeEntries(con, entries)
		},
	}
}

func writeEntries(con *console, entries []template.Entry) error {
	p := con.paint(con.out)
	for i, e := range entries {
		if i > 0 {
			if err := con.printf("\n"); err != nil {
				return err
			}
		}
		if err := writeEntry(con, p, e); err != nil {
			return err
		}
	}
	return nil
}

// writeEntry writes what is known of a key itself, and then a line for each one below it.
func writeEntry(con *console, p ui.Paint, e template.Entry) error {
	where := map[template.Kind]string{template.ProjectFile: "iibake.yaml", template.TemplateFile: "an image template"}[e.File]
	facts := ui.NewTable()
	row := func(name, value string) {
		if value != "" {
			facts.Row(p.Dim(name), value)
		}
	}
	if e.Key == "" {
		row("file", p.Bold(where))
	} else {
		row("key", p.Bold(e.Key)+p.Dim(" of "+where))
		row("type", e.Type)
	}
	row("means", e.Doc)
	row("must be there", map[bool]string{true: "yes"}[e.Required])
	row("default", e.Default)
	row("example", e.Example)
	row("short form", shortForm(e))
	if err := facts.Write(con.out, p); err != nil || len(e.Keys) == 0 {
		return err
	}
	table := ui.NewTable("KEY", "TYPE", "DEFAULT", "MEANS")
	for _, below := range e.Keys {
		table.Row(p.Name(below.Key[strings.LastIndex(below.Key, ".")+1:]), below.Type, absent(below), below.Doc)
	}
	if err := con.printf("\n"); err != nil {
		return err
	}
	return table.Write(con.out, p)
}

// shortForm says what may be written in the place of a mapping.
func shortForm(e template.Entry) string {
	switch e.Short {
	case "":
		return ""
	case "-":
		return "a text alone"
	}
	return "the value of " + e.Short + " alone"
}

// absent says what it means that a key is not there.
func absent(e template.Entry) string {
	switch {
	case e.Required:
		return "must be there"
	case e.OneOf != "":
		return "one of these"
	}
	return cmp.Or(e.Default, "-")
}
