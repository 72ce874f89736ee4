package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
	"pgregory.net/rapid"
)

// word is an option with its value, or an operand.
type word struct {
	kind string // global, local or operand
	text []string
}

// TestArrangeAnyOrder: wherever options stand, the program sees the same: its own options, the verb, the verb's options, and the operands in
// their order.
func TestArrangeAnyOrder(t *testing.T) {
	app := newApp(newConsole(streams{}))
	rapid.Check(t, func(t *rapid.T) {
		verb := rapid.SampledFrom([][]string{{"build"}, {"run"}, {"export"}, {"local", "up"}, {"local", "console"}, {"drill", "rollback"}}).Draw(t, "verb")
		options := map[string][][]string{
			"build": {{"--force"}, {"--var", "a=b"}, {"--var=a=b"}, {"-j", "2"}, {"--output", "json"}, {"-o=json"}}, "run": {{"-p", "80"}, {"--memory=1GiB"}, {"--console"}},
			"export": {{"-o", "-"}, {"-f", "raw"}, {"--force"}}, "up": {{"--simulate"}, {"--port", "0"}, {"--state=x"}}, "console": {{"-f"}, {"--state", "x"}}, "rollback": {{"-o", "json"}},
		}[verb[len(verb)-1]]
		words := []word{}
		for range rapid.IntRange(0, 6).Draw(t, "words") {
			switch rapid.SampledFrom([]string{"global", "local", "operand"}).Draw(t, "kind") {
			case "global":
				words = append(words, word{"global", rapid.SampledFrom([][]string{{"-C", "x"}, {"--dir=x"}, {"--verbose"}, {"--no-color"}, {"--progress", "plain"}, {"--catalog", "-"}}).Draw(t, "option")})
			case "local":
				words = append(words, word{"local", rapid.SampledFrom(options).Draw(t, "option")})
			default:
				words = append(words, word{"operand", []string{rapid.SampledFrom([]string{"web", "base", "-", "web@candidate", "i-1", "build", ""}).Draw(t, "operand")}})
			}
		}
		command := rapid.SampledFrom([][]string{nil, nil, {"--"}, {"--", "ls", "-l", "--force"}}).Draw(t, "command")

		// Options of the program may stand before the verb, and between the words of it.
		first := slices.IndexFunc(words, func(w word) bool { return w.kind != "global" })
		if first < 0 {
			first = len(words)
		}
		before := rapid.IntRange(0, first).Draw(t, "before the verb")
		args := []string{"iibake"}
		for _, w := range words[:before] {
			args = append(args, w.text...)
		}
		args = append(args, verb...)
		for _, w := range words[before:] {
			args = append(args, w.text...)
		}
		args = append(args, command...)

		of := func(kind string) (all []string) {
			for _, w := range words {
				if w.kind == kind {
					all = append(all, w.text...)
				}
			}
			return all
		}
		operands := of("operand")
		want := slices.Concat([]string{"iibake"}, of("global"), verb, of("local"))
		if len(operands) > 0 || command != nil {
			want = append(want, "--")
		}
		want = slices.Concat(want, operands, command)
		if got := arrange(app, args); !slices.Equal(got, want) {
			t.Fatalf("%q\nbecame %q\nwant   %q", args, got, want)
		}
	})
}

// TestOptionsDoNotCollide: an option of a verb that is also one of the program would be taken for the verb's, wherever it stands.
func TestOptionsDoNotCollide(t *testing.T) {
	app := newApp(newConsole(streams{}))
	of := func(flags []cli.Flag) (names []string) {
		for _, f := range flags {
			names = append(names, f.Names()...)
		}
		return names
	}
	var walk func(path string, c *cli.Command)
	walk = func(path string, c *cli.Command) {
		own := of(c.Flags)
		for _, name := range of(app.Flags) {
			if name != "help" && name != "h" && slices.Contains(own, name) {
				t.Errorf("%s has the option %s, and so has the program", path, name)
			}
		}
		if slices.Sort(own); len(slices.Compact(slices.Clone(own))) != len(own) {
			t.Errorf("%s has an option twice: %s", path, strings.Join(own, " "))
		}
		for _, sub := range c.Subcommands {
			walk(path+" "+sub.Name, sub)
		}
	}
	for _, c := range app.Commands {
		walk(c.Name, c)
	}
}
