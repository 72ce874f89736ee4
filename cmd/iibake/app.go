package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/cmd/iibake/internal/ui"
)

// run is the whole program: it does what args say and returns the exit code.
func run(ctx context.Context, s streams, args []string) int {
	con := newConsole(s)
	app := newApp(con) //nolint:contextcheck // the clock of a local cloud ends with the cloud, not with what made it
	return con.fail(ctx, app.RunContext(ctx, arrange(app, args)))
}

func newApp(con *console) *cli.App {
	app := &cli.App{
		Name:      "iibake",
		Usage:     "bake machine images from source control, test them, promote them",
		UsageText: "iibake [options] VERB [options] [arguments]",
		Description: "An image is baked from a template and a commit, booted and judged, and recorded in the catalog.\n" +
			"IMAGE is name@channel, name:version, the first digits of a disk's digest, or a name for its newest version.",
		Writer: con.out, ErrWriter: con.err, Reader: con.in,
		HideVersion: true, EnableBashCompletion: true, Suggest: true,
		HideHelpCommand: true, // there is one below
		Flags:           globalFlags(),
		ExitErrHandler:  func(*cli.Context, error) {}, // the default one exits by itself and skips every defer
		OnUsageError:    onUsageError,
		Before:          func(c *cli.Context) error { con.setFlags(c); return nil },
		Action:          func(c *cli.Context) error { return withoutVerb(con, c) },
		Commands: []*cli.Command{
			initCommand(con), checkCommand(con), explainCommand(con), schemaCommand(con),
			buildCommand(con), testCommand(con), imagesCommand(con), showCommand(con), diffCommand(con), runCommand(con), exportCommand(con),
			publishCommand(con), promoteCommand(con), watchCommand(con), pauseCommand(con), resumeCommand(con), abortCommand(con),
			rollbackCommand(con), drillCommand(con), statusCommand(con), iamPolicyCommand(con),
			channelsCommand(con), historyCommand(con), approveCommand(con), revokeCommand(con),
			gcCommand(con), verifyCommand(con), catalogCommand(con),
			localCommand(con),
			completionCommand(con), versionCommand(con), helpCommand(), manCommand(con), guestCommand(con),
		},
	}
	app.CustomAppHelpTemplate = appHelp(app)
	setUpVerbs(app.Name, app.Commands)
	return app
}

// setUpVerbs gives the verbs below a name, and those below them, what all have.
func setUpVerbs(above string, verbs []*cli.Command) {
	for _, c := range verbs {
		name := above + " " + c.Name
		c.HideHelpCommand = true // `iibake show help` shows the image that is named help
		c.CustomHelpTemplate = verbHelp(name, c)
		c.OnUsageError = onUsageError
		setUpVerbs(name, c.Subcommands)
	}
}

func globalFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "dir", Aliases: []string{"C"}, Value: ".", Usage: "the project is in `FOLDER` or above it"},
		&cli.StringFlag{Name: "catalog", EnvVars: []string{"IIBAKE_CATALOG"}, Usage: "use the catalog at `PLACE`, a folder or s3://bucket/prefix, whatever iibake.yaml says"},
		&cli.StringFlag{
			Name: "progress", Value: ui.Auto, EnvVars: []string{"IIBAKE_PROGRESS"}, Usage: "show progress as `KIND`: auto, bars, plain, json or none",
			Action: oneOf("progress", ui.Auto, ui.Bars, ui.Plain, ui.JSON, ui.None),
		},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "show the output of every program that is run"},
		&cli.BoolFlag{Name: "no-color", Usage: "no colours (also: NO_COLOR)"},
		helpFlag(), // urfave/cli adds none beside a help verb of ours
		&cli.BoolFlag{Name: "version", Usage: "show the version", Hidden: true},
	}
}

func onUsageError(c *cli.Context, err error, _ bool) error {
	help, flags := "iibake --help", c.App.Flags
	if c.Command != nil && c.Command.HelpName != "" && c.Command.HelpName != c.App.Name {
		help, flags = c.Command.HelpName+" --help", c.Command.Flags
	}
	hint := help + " lists the options"
	if _, name, ok := strings.Cut(err.Error(), "not defined: -"); ok {
		hint = didYouMean(suggestFlag(flags, name), hint)
		if help == "iibake --help" && ofVerbs(c.App.Commands, name) {
			hint = "it is an option of verbs, and comes behind the verb: iibake VERB " + strings.Repeat("-", min(len(name), 2)) + name
		}
	}
	return withHint(fmt.Errorf("%w: %w", errUsage, err), hint)
}

// ofVerbs reports whether one of the verbs, or one below them, has an option of that name.
func ofVerbs(verbs []*cli.Command, name string) bool {
	return slices.ContainsFunc(verbs, func(c *cli.Command) bool {
		return slices.ContainsFunc(c.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) }) || ofVerbs(c.Subcommands, name)
	})
}

// suggestFlag returns a suggestion only where it is a near one: urfave/cli always finds something.
func suggestFlag(flags []cli.Flag, name string) string {
	near := cli.SuggestFlag(flags, name, true)
	if len(near) < 3 || len(name) < 3 {
		return ""
	}
	return fmt.Sprintf(cli.SuggestDidYouMeanTemplate, near)
}

// withoutVerb shows help where nothing was asked for, and says so where what was asked for does not exist.
func withoutVerb(con *console, c *cli.Context) error {
	switch {
	case c.Bool("version"):
		return printVersion(con)
	case !c.Args().Present():
		return cli.ShowAppHelp(c)
	}
	return wrongVerb(c)
}

// operands returns the operands of a verb, which must be as many as names has; the last name may end in "..." for any number.
func operands(c *cli.Context, names ...string) ([]string, error) {
	args := c.Args().Slice()
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if n := len(names); n > 0 && strings.HasSuffix(names[n-1], "...") && len(args) >= n-1 {
		return args, nil
	}
	if len(args) == len(names) {
		return args, nil
	}
	want := "no operands"
	if len(names) > 0 {
		want = strings.Join(names, " ")
	}
	return nil, withHint(fmt.Errorf("%w: %s: want %s, got %d", errUsage, c.Command.HelpName, want, len(args)), c.Command.HelpName+" --help says more")
}
