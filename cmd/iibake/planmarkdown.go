package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/iibake/iibake/cmd/iibake/internal/ui"
)

// markdown writes the plan for a pull request.
func (v planView) markdown(now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", escapeMarkdown(v.title()))
	for _, line := range v.Refusals {
		fmt.Fprintf(&b, "- :x: %s\n", escapeMarkdown(line))
	}
	for _, line := range v.remarks() {
		fmt.Fprintf(&b, "- :warning: %s\n", escapeMarkdown(line))
	}
	if len(v.Refusals)+len(v.remarks()) > 0 {
		b.WriteString("\n")
	}
	v.markdownFacts(&b, now)
	v.markdownFleets(&b)
	v.markdownDetails(&b)
	return b.String()
}

func (v planView) markdownFacts(b *strings.Builder, now time.Time) {
	b.WriteString("| | |\n|---|---|\n")
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(b, "| %s | %s |\n", name, escapeMarkdown(value))
		}
	}
	row("commits", v.CommitsNote)
	row("size", v.size())
	row("verdict", v.verdict(now))
	for _, g := range v.Gates {
		mark := "✓ "
		if !g.Open {
			mark = "✗ "
		}
		row("gate "+g.Name, mark+g.Detail)
	}
	row("publish", strings.Join(v.Publish, ", "))
	row("strategy", strings.Join(v.strategies(), "; "))
	row("reason", v.reason())
	if !v.There {
		row("time", v.duration())
	}
}

func (v planView) markdownFleets(b *strings.Builder) {
	if len(v.Fleets) == 0 {
		return
	}
	b.WriteString("\n| wave | fleet | group | instances | launched from | gets | time | back to |\n|---|---|---|---|---|---|---|---|\n")
	for _, f := range v.Fleets {
		from, back := current(f)
		fmt.Fprintf(b, "| %d | %s | %s | %s | %s | %s | %s | %s |\n", f.Wave+1, escapeMarkdown(f.Fleet.Name), escapeMarkdown(f.Fleet.Group), sizeOf(f),
			escapeMarkdown(from), escapeMarkdown(v.moves(f)), estimateOf(f), escapeMarkdown(back))
	}
}

// markdownDetails folds away what is long.
func (v planView) markdownDetails(b *strings.Builder) {
	var plain ui.Paint
	fold := func(what string, lines []string) {
		if len(lines) == 0 {
			return
		}
		fmt.Fprintf(b, "\n<details><summary>%s</summary>\n\n```\n", what)
		for _, line := range lines {
			b.WriteString(strings.ReplaceAll(line, "```", "'''") + "\n")
		}
		b.WriteString("```\n\n</details>\n")
	}
	if v.CommitsNote == "" {
		fold(ui.Count(len(v.Commits), "commit"), v.commitLines(plain))
	}
	fold(ui.Count(len(v.Packages), "changed package"), v.packageLines(plain))
}

// escapeMarkdown keeps the signs that Markdown would take for its own, and line ends, from changing a table.
func escapeMarkdown(s string) string {
	return strings.NewReplacer("\n", " ", "|", `\|`, "<", "&lt;", "`", "'", "*", `\*`, "_", `\_`).Replace(s)
}
