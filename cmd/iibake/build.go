package main

import (
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local"
	"github.com/iibake/iibake/bake/template"
)

func buildCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "build", Usage: "bake and test the images whose template, files or source changed", Category: categoryImages, ArgsUsage: "[NAME...]",
		Description: "Without names it builds every template, otherwise the named ones and the images that they start from. An image that is up to\n" +
			"date is not baked again, one that passed is not tested again, and one that passes enters the channel candidate.\n" +
			"Baking needs root: sudo iibake build. The catalog then belongs to root; images, show and verify read it without.\n" +
			"sudo forgets the environment, secrets and IIBAKE_VAR_* with it: sudo --preserve-env=NAME,NAME iibake build.",
		Flags: append(variableFlags(), outputFlag(),
			&cli.BoolFlag{Name: "refresh", Usage: "look whether sources have moved; otherwise what they were last time counts"},
			&cli.BoolFlag{Name: "force", Usage: "bake although the image is up to date, and run every step"},
			&cli.BoolFlag{Name: "skip-test", Usage: "do not boot and judge the images; they do not become candidates"},
			&cli.BoolFlag{Name: "publish", Usage: "make images that passed exist as AMIs in the targets of their templates"},
			&cli.BoolFlag{Name: "retain", Usage: "keep the disk of a step that failed, to look into"},
			&cli.BoolFlag{Name: "allow-dirty", Usage: "bake a work tree with changes of its own; the version says so for ever"},
			&cli.IntFlag{Name: "parallel", Aliases: []string{"j"}, Usage: "work on `N` images at a time", DefaultText: "half the processors"},
			&cli.StringFlag{Name: "junit", Usage: "write the test results to `FILE`, as JUnit XML"}),
		BashComplete: completeTemplates(con),
		Action: func(c *cli.Context) error {
			names, err := operands(c, "NAME...")
			if err != nil {
				return err
			}
			p, err := loadProject(c)
			if err != nil {
				return err
			}
			plan, err := bake.NewPlan(p.Images, names)
			if err != nil {
				return err
			}
			return build(con, c, p, plan)
		},
	}
}

func build(con *console, c *cli.Context, p *template.Project, plan *bake.Plan) error {
	commit, err := bake.ReadCommit(c.Context, p.Dir)
	if err != nil {
		return err
	}
	r, err := recordOf(c, p)
	if err != nil {
		return err
	}
	if err := r.prepare(); err != nil {
		return err
	}
	store, err := r.store()
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	rep, err := con.reporter(p.Dir, namesOf(plan)...)
	if err != nil {
		return err
	}
	defer rep.Close()
	b := newBuilding(r, plan, rep)
	b.skipTest = c.Bool("skip-test")
	b.builder = local.New(local.Config{
		Images: r.images, Store: store, Dir: r.work(), Commit: commit, By: actor(os.Getenv), AllowDirty: c.Bool("allow-dirty"),
		Refresh: c.Bool("refresh"), Force: c.Bool("force"), Retain: c.Bool("retain"),
	})
	b.judge = newJudge(store)
	if c.Bool("publish") {
		b.publish = newPublisher(r, store, p, openTargets(c, p), rep).Publish
	}
	err = plan.Run(c.Context, parallel(c), b.one)
	rep.Close()
	if errors.Is(err, local.ErrHost) && os.Geteuid() != 0 {
		err = withHint(err, sudoCommand(c, plan.Templates(), os.Environ()))
	}
	if c.Err() != nil {
		err = withHint(err, "every step that was finished is kept: run the same command again to go on")
	} else if step, ok := errors.AsType[*local.StepError](err); ok {
		err = withHint(err, stepHint(step))
	}
	return errors.Join(b.report(con, c), err)
}

// stepHint says how to look into a step that failed.
func stepHint(e *local.StepError) string {
	if e.Wreck == "" {
		return "iibake build --retain keeps the disk as the failed step left it; the next build goes on behind the last good step"
	}
	return "look into it as a throwaway machine: sudo iibake run " + e.Wreck + "; iibake gc removes it in time"
}

func namesOf(plan *bake.Plan) []string {
	var names []string
	for _, t := range plan.Templates() {
		names = append(names, t.Name)
	}
	return names
}

// parallel returns how many images to work on at a time: each boots a machine with processors of its own.
func parallel(c *cli.Context) int {
	if n := c.Int("parallel"); n > 0 {
		return n
	}
	return max(1, runtime.NumCPU()/2)
}

// secretsIn names the secrets that templates use. Their values are the builder's affair: nothing that it reports or returns
// holds one.
func secretsIn(templates []bake.Template) func(yield func(bake.Value) bool) {
	return func(yield func(bake.Value) bool) {
		for _, t := range templates {
			for _, s := range t.Steps {
				for _, v := range s.Env {
					if v.Secret != nil && !yield(v) {
						return
					}
				}
			}
		}
	}
}

// sudoCommand says how to run the same build as root, with the part of the environment that it needs.
func sudoCommand(c *cli.Context, templates []bake.Template, environ []string) string {
	var keep []string
	for v := range secretsIn(templates) {
		if v.Secret.Env != "" {
			keep = append(keep, v.Secret.Env)
		}
	}
	for _, e := range environ {
		name, _, _ := strings.Cut(e, "=")
		if strings.HasPrefix(name, "IIBAKE_") || strings.HasPrefix(name, "GITHUB_") || strings.HasPrefix(name, "AWS_") {
			keep = append(keep, name)
		}
	}
	slices.Sort(keep)
	sudo := "sudo "
	if keep = slices.Compact(keep); len(keep) > 0 {
		sudo += "--preserve-env=" + strings.Join(keep, ",") + " "
	}
	return "run " + sudo + strings.TrimSpace(c.App.Name+" build "+strings.Join(c.Args().Slice(), " "))
}

// publish makes an image usable in targets; see [promote.Publisher].
type publish func(ctx context.Context, img bake.Image, targets []string) (map[string]bake.Artifact, error)

// building is one run of build.
type building struct {
	r        *record
	rep      bake.Reporter
	builder  bake.Builder
	judge    judge
	skipTest bool
	publish  publish // nil where images are not to be published

	results []*result // in the order of the plan
}

func newBuilding(r *record, plan *bake.Plan, rep bake.Reporter) *building {
	b := &building{r: r, rep: rep}
	for _, t := range plan.Templates() {
		b.results = append(b.results, &result{Name: t.Name, Status: notBaked, Verdict: noResult})
	}
	return b
}

func (b *building) result(name string) *result {
	i := slices.IndexFunc(b.results, func(r *result) bool { return r.Name == name })
	return b.results[i]
}
