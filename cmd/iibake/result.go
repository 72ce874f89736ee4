package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/test"
)

// What became of a template in a build. A failed bake is [failed].
const (
	baked       = "baked"
	upToDate    = "up to date"
	interrupted = "interrupted"
	notBaked    = "not baked" // its parent failed, or the build was interrupted before
)

// result is what became of one template.
type result struct {
	Name     string               `json:"name"`
	Version  string               `json:"version,omitempty"`
	Status   string               `json:"status"`
	Verdict  string               `json:"verdict"` // passed, failed or none
	Disk     bake.Digest          `json:"disk,omitempty"`
	Seconds  float64              `json:"seconds"`
	Previous string               `json:"previous,omitempty"` // version that packages are compared with
	Packages []bake.PackageChange `json:"packages,omitempty"`
	Error    string               `json:"error,omitempty"`

	Artifacts []published `json:"artifacts,omitempty"` // with --publish: where it exists as an AMI

	verdict *test.Verdict // nil where it was not tested now
}

func (r *result) take(img bake.Image) { r.Version, r.Disk = img.Version, img.Disk }

// report writes the results: to standard output, and to the files that were asked for.
func (b *building) report(con *console, c *cli.Context) error {
	return errors.Join(b.write(con, c), b.writeJUnit(c.String("junit")), b.tellActions(con))
}

func (b *building) write(con *console, c *cli.Context) error {
	if wantsJSON(c) {
		return con.printJSON(struct {
			Images []*result `json:"images"`
		}{b.results})
	}
	p := con.paint(con.out)
	table := ui.NewTable()
	for _, r := range b.results {
		table.Row(p.Bold(joinRef(r.Name, r.Version)), paintStatus(p, r.Status), paintVerdict(p, verdictWord(r.Verdict)), p.Dim(r.Disk.Short()), p.Dim(ui.Took(r.took())))
	}
	if err := table.Write(con.out, p); err != nil {
		return err
	}
	for _, r := range b.results {
		if err := errors.Join(r.writePackages(con, p), r.writeArtifacts(con, p)); err != nil {
			return err
		}
	}
	return nil
}

// took is the time that the template took.
func (r *result) took() time.Duration { return time.Duration(r.Seconds * float64(time.Second)) }

func joinRef(name, version string) string {
	if version == "" {
		return name
	}
	return name + ":" + version
}

func verdictWord(verdict string) string {
	if verdict == noResult {
		return "not tested"
	}
	return verdict
}

func paintStatus(p ui.Paint, status string) string {
	switch status {
	case baked:
		return p.Good(status)
	case failed:
		return p.Bad(status)
	}
	return p.Dim(status)
}

// maxPackages is how many changed packages are listed: more of them are no longer read.
const maxPackages = 20

func (r *result) writePackages(con *console, p ui.Paint) error {
	if len(r.Packages) == 0 {
		return nil
	}
	if err := con.printf("\n%s: %s since %s\n", r.Name, ui.Count(len(r.Packages), "changed package"), r.Previous); err != nil {
		return err
	}
	for i, c := range r.Packages {
		if i == maxPackages && len(r.Packages) > maxPackages+1 {
			more := fmt.Sprintf("and %d more: iibake diff %s:%s %s:%s", len(r.Packages)-i, r.Name, r.Previous, r.Name, r.Version)
			return con.printf("   %s\n", p.Dim(more))
		}
		if err := con.printf("   %s\n", c); err != nil {
			return err
		}
	}
	return nil
}

func (r *result) writeArtifacts(con *console, p ui.Paint) error {
	for _, a := range r.Artifacts {
		if err := con.printf("%s in %s: %s %s\n", r.Name, p.Name(a.Target), p.Bold(a.AMI), p.Dim(a.Region)); err != nil {
			return err
		}
	}
	return nil
}

// tellActions gives the results to the later steps of a job, and to its summary.
func (b *building) tellActions(con *console) error {
	if con.actions == nil {
		return nil
	}
	images, err := jsonLine(b.results)
	if err != nil {
		return err
	}
	last := b.results[len(b.results)-1]
	return errors.Join(
		con.actions.SetOutputs("image", last.Name, "version", last.Version, "disk", string(last.Disk), "verdict", last.Verdict, "images", images),
		con.actions.AddSummary(b.markdown()))
}

func (b *building) markdown() string {
	var s strings.Builder
	s.WriteString("| image | version | bake | test | disk | time |\n|---|---|---|---|---|---|\n")
	for _, r := range b.results {
		fmt.Fprintf(&s, "| %s | %s | %s | %s | %s | %s |\n", r.Name, code(r.Version), r.Status, verdictWord(r.Verdict), code(r.Disk.Short()), ui.Took(r.took()))
	}
	for _, r := range b.results {
		if len(r.Packages) == 0 {
			continue
		}
		fmt.Fprintf(&s, "\n<details><summary>%s: %s since %s</summary>\n\n```\n", r.Name, ui.Count(len(r.Packages), "changed package"), code(r.Previous))
		for _, c := range r.Packages {
			fmt.Fprintf(&s, "%s\n", c)
		}
		s.WriteString("```\n\n</details>\n")
	}
	return s.String() + "\n"
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}
