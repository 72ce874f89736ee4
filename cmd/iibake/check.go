package main

import (
	"errors"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/template"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
)

func checkCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "check", Usage: "check iibake.yaml and every template, and show all errors", Category: categoryProject,
		Description: "It reads files only: nothing is baked, fetched or changed, and it needs neither root nor a commit.",
		Flags: append(variableFlags(), outputFlag(),
			&cli.BoolFlag{Name: "show", Usage: "write the files with every default filled in; secrets are named, never shown"}),
		Action: func(c *cli.Context) error {
			if _, err := operands(c); err != nil {
				return err
			}
			return check(con, c)
		},
	}
}

// checked is the result of check as JSON.
type checked struct {
	Valid  bool           `json:"valid"`
	Images []checkedImage `json:"images"`
	Errors []checkError   `json:"errors"`
}

type checkedImage struct {
	Name   string `json:"name"`
	File   string `json:"file"`
	Parent string `json:"parent,omitempty"`
	Steps  int    `json:"steps"`
}

type checkError struct {
	bake.Position
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"`
}

func check(con *console, c *cli.Context) error {
	p, err := loadProject(c)
	if err == nil {
		_, err = bake.NewPlan(p.Images, nil)
	}
	switch {
	case wantsJSON(c):
		return errors.Join(con.printJSON(checkResult(p, err)), err)
	case err != nil:
		return err
	case c.Bool("show"):
		body, err := template.Show(p)
		if err != nil {
			return err
		}
		_, err = con.out.Write(body)
		return err
	}
	return con.printf("%s valid\n", ui.Count(len(p.Images), "template")+verb(len(p.Images)))
}

func verb(n int) string {
	if n == 1 {
		return " is"
	}
	return " are"
}

func checkResult(p *template.Project, err error) checked {
	result := checked{Valid: err == nil, Images: []checkedImage{}, Errors: []checkError{}}
	if p != nil {
		for _, t := range p.Images {
			result.Images = append(result.Images, checkedImage{t.Name, t.File, t.ParentName(), len(t.Steps)})
		}
	}
	var wrong template.Errors
	switch {
	case errors.As(err, &wrong):
		for _, e := range wrong {
			result.Errors = append(result.Errors, checkError{e.Pos, e.Text, e.Hint})
		}
	case err != nil:
		result.Errors = append(result.Errors, checkError{Text: err.Error()})
	}
	return result
}
