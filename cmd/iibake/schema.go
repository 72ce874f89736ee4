package main

import (
	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake/template"
)

func schemaCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "schema", Usage: "write the JSON Schema of the files that you write", Category: categoryProject, ArgsUsage: "[template|project]",
		Description: "Editors use it to complete and to check. The schema of image templates is the default, project is that of iibake.yaml.",
		Action: func(c *cli.Context) error {
			kinds, err := operands(c, "KIND...")
			if err != nil {
				return err
			}
			kind := template.TemplateFile
			if len(kinds) > 0 {
				kind = template.Kind(kinds[0])
			}
			body, err := template.Schema(kind)
			if err != nil {
				return err
			}
			_, err = con.out.Write(body)
			return err
		},
	}
}
