package main

import (
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// leaves returns the verbs that do something, by what is typed for them.
func leaves(above string, verbs []*cli.Command) map[string]*cli.Command {
	all := map[string]*cli.Command{}
	for _, c := range verbs {
		name := above + c.Name
		all[name] = c
		for below, sub := range leaves(name+" ", c.Subcommands) {
			all[below] = sub
			delete(all, name)
		}
	}
	return all
}

// Every verb of fleets has examples, and no example has a verb or an option that there is not.
func TestExamples(t *testing.T) {
	app := newApp(newConsole(streams{out: io.Discard, err: io.Discard}))
	for name, c := range leaves("", app.Commands) {
		if c.UsageText == "" && c.Category == categoryFleets {
			t.Errorf("%s has no examples", name)
		}
		for line := range strings.Lines(c.UsageText) {
			command, _, _ := strings.Cut(line, "\t")
			rest, ok := strings.CutPrefix(strings.TrimSpace(command), "iibake "+name)
			if !ok {
				t.Errorf("%s: the example is of something else: %s", name, command)
			}
			for word := range strings.FieldsSeq(rest) {
				if f, _ := findFlag(app, c, word); strings.HasPrefix(word, "-") && f == nil {
					t.Errorf("%s: %s: there is no option %s", name, command, word)
				}
			}
		}
	}
}

// The manual has every verb, and the help every exit code.
func TestManual(t *testing.T) {
	app := newApp(newConsole(streams{out: io.Discard, err: io.Discard}))
	lines := strings.Split(manPage(app), "\n")
	for name, c := range leaves("", app.Commands) {
		heading := `.SS "` + escapeRoff(strings.TrimSpace("iibake "+name+" "+c.ArgsUsage)) + `"`
		if slices.Contains(lines, heading) == c.Hidden {
			t.Errorf("%s: hidden %t", heading, c.Hidden)
		}
	}
	for _, line := range lines {
		if strings.HasPrefix(line, "'") || strings.HasPrefix(line, `.\`) {
			t.Errorf("taken for a request: %s", line)
		}
	}
	for _, code := range []int{
		exitDone, exitError, exitInvalid, exitBake, exitTest, exitMoved, exitRolledBack, exitRefused, exitNotFound, exitDrift, exitInterrupted,
	} {
		if !strings.Contains(exitCodes, "\n   "+strconv.Itoa(code)+"\t") || !slices.Contains(lines, ".B "+strconv.Itoa(code)) {
			t.Errorf("nobody is told of %d", code)
		}
	}
}
