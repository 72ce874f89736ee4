package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// arrange puts options before operands, and those of the program before the verb, wherever they were written: urfave/cli
// stops at the first operand and would take `iibake build web --force` for two images. What follows "--" is left alone.
func arrange(app *cli.App, args []string) []string {
	if len(args) == 0 || slices.Contains(args, "--generate-bash-completion") {
		return args
	}
	var global, local, operands, rest []string
	var verb *cli.Command
	verbs := 0 // how many of the operands are verbs: local up has two
	for i := 1; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			rest = args[i:]
			i = len(args)
		case !strings.HasPrefix(arg, "-") || arg == "-":
			if next := findVerb(app, verb, arg); next != nil && len(operands) == verbs {
				verb = next
				verbs++
			}
			operands = append(operands, arg)
		default:
			mine := []string{arg}
			f, isGlobal := findFlag(app, verb, arg)
			if takesValue(f, arg) && i+1 < len(args) {
				i++
				mine = append(mine, args[i])
			}
			if isGlobal {
				global = append(global, mine...)
			} else {
				local = append(local, mine...)
			}
		}
	}
	if verb == nil {
		return slices.Concat(args[:1], global, local, operands, rest)
	}
	if len(operands) > verbs || rest != nil {
		local = append(local, "--")
	}
	return slices.Concat(args[:1], global, operands[:verbs], local, operands[verbs:], rest)
}

// findVerb returns the verb of the program, or the one below a verb, that has this name.
func findVerb(app *cli.App, above *cli.Command, name string) *cli.Command {
	if above == nil {
		return app.Command(name)
	}
	if i := slices.IndexFunc(above.Subcommands, func(c *cli.Command) bool { return c.HasName(name) }); i >= 0 {
		return above.Subcommands[i]
	}
	return nil
}

// findFlag returns the flag that arg means: one of the verb or of a verb below it, or else one of the program.
func findFlag(app *cli.App, verb *cli.Command, arg string) (f cli.Flag, global bool) {
	name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	named := func(f cli.Flag) bool { return slices.Contains(f.Names(), name) }
	if verb != nil {
		for _, c := range append([]*cli.Command{verb}, verb.Subcommands...) {
			if i := slices.IndexFunc(c.Flags, named); i >= 0 {
				return c.Flags[i], false
			}
		}
	}
	if i := slices.IndexFunc(app.Flags, named); i >= 0 {
		return app.Flags[i], verb == nil || name != "help" && name != "h" // every verb has help of its own
	}
	return nil, verb == nil
}

// takesValue reports whether the argument behind arg is its value.
func takesValue(f cli.Flag, arg string) bool {
	if f == nil || strings.Contains(arg, "=") {
		return false
	}
	_, isBool := f.(*cli.BoolFlag)
	return !isBool
}
