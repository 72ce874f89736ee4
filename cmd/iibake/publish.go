package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
)

func publishCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "publish", Usage: "make an image exist as an AMI in targets", Category: categoryFleets, ArgsUsage: "IMAGE",
		UsageText: examples(
			[2]string{"iibake publish web@candidate", "where the template of web says"},
			[2]string{"iibake publish web@candidate -t eu -t us", "in these targets"},
			[2]string{"iibake publish web@production -o json", "and the AMIs as JSON"}),
		Description: "Without --target those count that the image's template names. Only blocks that the account lacks are sent; what is there already\n" +
			"stays as it is, so that publishing twice makes nothing.",
		Flags: append(variableFlags(), outputFlag(),
			&cli.StringSliceFlag{Name: "target", Aliases: []string{"t"}, Usage: "publish to `TARGET` of iibake.yaml"}),
		BashComplete: completeImages(con),
		Action: func(c *cli.Context) error {
			args, err := operands(c, "IMAGE")
			if err != nil {
				return err
			}
			e, err := openEngine(con, c)
			if err != nil {
				return err
			}
			defer e.Close()
			img, err := e.find(c.Context, args[0])
			if err != nil {
				return err
			}
			targets, err := e.chooseTargets(c, img)
			if err != nil {
				return err
			}
			found, err := e.publish.Publish(c.Context, img, targets)
			if err != nil && c.Err() != nil {
				e.rep.Close()
				return withHint(err, "what was sent is kept: iibake publish "+img.String()+" goes on with it, iibake gc --cloud removes it")
			}
			if err != nil {
				return err
			}
			e.rep.Close()
			return writeArtifacts(con, c, found)
		},
	}
}

// chooseTargets returns the targets that were named, or else those of the template.
func (e *engine) chooseTargets(c *cli.Context, img bake.Image) ([]string, error) {
	names := c.StringSlice("target")
	if len(names) == 0 {
		names = e.publishTargets(img.Name)
	}
	if len(names) == 0 {
		return nil, withHint(fmt.Errorf("%w: nobody says where %s shall be published", errUsage, img.Name),
			"add --target NAME, or publish: { targets: [NAME] } to its template; targets of iibake.yaml: "+joinKeys(e.project.Targets))
	}
	for _, name := range names {
		if _, ok := e.project.Targets[name]; !ok {
			return nil, withHint(notFound("target "+name), "targets of iibake.yaml: "+joinKeys(e.project.Targets))
		}
	}
	return names, nil
}

func joinKeys[V any](m map[string]V) string {
	if len(m) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}

// published is where an image exists, as JSON.
type published struct {
	Target string `json:"target"`
	bake.Artifact
}

func publishedOf(found map[string]bake.Artifact) []published {
	list := []published{}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		list = append(list, published{name, found[name]})
	}
	return list
}

func writeArtifacts(con *console, c *cli.Context, found map[string]bake.Artifact) error {
	list := publishedOf(found)
	if wantsJSON(c) {
		return con.printJSON(list)
	}
	p := con.paint(con.out)
	table := ui.NewTable("TARGET", "ACCOUNT", "REGION", "AMI", "SNAPSHOT")
	for _, a := range list {
		table.Row(p.Name(a.Target), a.Account, a.Region, p.Bold(a.AMI), p.Dim(a.Snapshot))
	}
	return table.Write(con.out, p)
}
