package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/promote"
)

// maxCommits is how many commits are listed, newest first.
const maxCommits = 20

// text writes the plan for people at a terminal.
func (v planView) text(con *console, now time.Time) error {
	p := con.paint(con.out)
	var b strings.Builder
	b.WriteString(p.Bold(v.title()) + "\n\n")
	if err := v.facts(p, now).Write(&b, p); err != nil {
		return err
	}
	if len(v.Fleets) > 0 {
		b.WriteString("\n")
		if err := v.fleets(p).Write(&b, p); err != nil {
			return err
		}
	}
	for _, line := range v.remarks() {
		b.WriteString(p.Warn("!") + " " + line + "\n")
	}
	for _, line := range v.Refusals {
		b.WriteString(p.Bad("✗ "+line) + "\n")
	}
	return con.printf("%s", b.String())
}

// facts is what is known about the images, one fact a line. Of a list only the first line has a name.
func (v planView) facts(p ui.Paint, now time.Time) *ui.Table {
	table := ui.NewTable()
	list := func(name string, lines []string) {
		for i, line := range lines {
			if i > 0 {
				name = ""
			}
			if line != "" {
				table.Row(p.Dim(name), line)
			}
		}
	}
	list("commits", v.commitLines(p))
	list("packages", v.packageLines(p))
	list("size", []string{v.size()})
	list("verdict", []string{v.verdict(now)})
	list("gates", gateLines(p, v.Gates))
	if len(v.Publish) > 0 {
		list("publish", []string{"to " + strings.Join(v.Publish, ", ")})
	}
	list("strategy", v.strategies())
	list("reason", []string{v.reason()})
	if !v.There {
		list("time", []string{v.duration()})
	}
	return table
}

func (v planView) commitLines(p ui.Paint) []string {
	if v.CommitsNote != "" {
		return []string{v.CommitsNote}
	}
	var lines []string
	for i, c := range v.Commits {
		if i == maxCommits {
			return append(lines, p.Dim(fmt.Sprintf("and %d more", len(v.Commits)-i)))
		}
		line := p.Dim(c.Commit) + " " + ui.Clean(c.Subject) + p.Dim(", "+ui.Clean(c.Author))
		if v.Promotion.Back {
			line = p.Bad("- ") + line
		}
		lines = append(lines, line)
	}
	return lines
}

func (v planView) packageLines(p ui.Paint) []string {
	var lines []string
	for i, c := range v.Packages {
		if i == maxPackages && len(v.Packages) > maxPackages+1 {
			return append(lines, p.Dim(fmt.Sprintf("and %d more: iibake diff %s %s", len(v.Packages)-i, v.Before.Ref, v.Image.Ref)))
		}
		lines = append(lines, c.Name+" "+arrow(p, c.Old, c.New))
	}
	return lines
}

func gateLines(p ui.Paint, gates []promote.Gate) []string {
	var lines []string
	for _, g := range gates {
		mark := p.Good("✓")
		if !g.Open {
			mark = p.Bad("✗")
		}
		lines = append(lines, mark+" "+g.Name+p.Dim(": "+g.Detail))
	}
	return lines
}

func (v planView) fleets(p ui.Paint) *ui.Table {
	table := ui.NewTable("WAVE", "FLEET", "GROUP", "INSTANCES", "LAUNCHED FROM", "GETS", "TIME", "BACK TO")
	for _, f := range v.Fleets {
		from, back := current(f)
		table.Row(strconv.Itoa(f.Wave+1), p.Name(f.Fleet.Name), f.Fleet.Group, sizeOf(f), from, v.moves(f), estimateOf(f), back)
	}
	return table
}

// remarks are the notes of the plan and its fleets, and what --pin would change.
func (v planView) remarks() []string {
	lines := append([]string{}, v.Notes...)
	for _, f := range v.Fleets {
		for _, note := range f.Notes {
			lines = append(lines, f.Fleet.Name+": "+note)
		}
		for _, pin := range f.Pins {
			lines = append(lines, f.Fleet.Name+": --pin: "+pin)
		}
	}
	return lines
}
