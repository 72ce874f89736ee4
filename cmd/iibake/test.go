package main

import (
	"errors"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/test"
)

func testCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "test", Usage: "boot an image and judge it by the tests of its template", Category: categoryImages, ArgsUsage: "IMAGE",
		Description: "The verdict goes on record; the channels stay where they are. A throwaway overlay is booted: the image never changes.",
		Flags: append(variableFlags(), outputFlag(),
			&cli.StringFlag{Name: "junit", Usage: "write the results to `FILE`, as JUnit XML"}),
		BashComplete: completeImages(con),
		Action:       func(c *cli.Context) error { return testImage(con, c) },
	}
}

func testImage(con *console, c *cli.Context) error {
	args, err := operands(c, "IMAGE")
	if err != nil {
		return err
	}
	p, err := loadProject(c)
	if err != nil {
		return err
	}
	r, err := recordOf(c, p)
	if err != nil {
		return err
	}
	img, err := r.find(c.Context, args[0])
	if err != nil {
		return err
	}
	plan, err := bake.NewPlan(p.Images, []string{img.Name})
	if err != nil {
		return withHint(err, "the image is judged by the tests of its template: bring the template back")
	}
	templates := plan.Templates()
	return judgeImage(con, c, r, img, templates[len(templates)-1])
}

func judgeImage(con *console, c *cli.Context, r *record, img bake.Image, t bake.Template) error {
	store, err := r.store()
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	rep, err := con.reporter(t.Dir, img.Name)
	if err != nil {
		return err
	}
	defer rep.Close()
	v, err := newJudge(store)(c.Context, img, t, rep)
	if err != nil {
		return inStage(errTest, err)
	}
	rep.Close()
	if err := r.verdicts.Record(c.Context, v); err != nil {
		return err
	}
	if err := errors.Join(writeVerdict(con, c, v), writeJUnit(c.String("junit"), []test.Verdict{v})); err != nil || v.Passed() {
		return err
	}
	return inStage(errTest, notPassed(v))
}

func writeVerdict(con *console, c *cli.Context, v test.Verdict) error {
	if wantsJSON(c) {
		return con.printJSON(v)
	}
	p := con.paint(con.out)
	table := ui.NewTable()
	for _, r := range v.Results {
		table.Row(paintCheck(p, r.Status), p.Dim(r.Boot), r.Name, p.Dim(ui.Took(time.Duration(r.Took))))
	}
	return table.Write(con.out, p)
}

func paintCheck(p ui.Paint, s test.Status) string {
	switch s {
	case test.Pass:
		return p.Good(string(s))
	case test.Skip:
		return p.Dim(string(s))
	case test.Fail:
	}
	return p.Bad(string(s))
}
