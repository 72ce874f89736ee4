package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/template"
)

// The categories of verbs, in the order in which they are shown.
const (
	categoryProject = "A project"
	categoryImages  = "Images"
	categoryFleets  = "Channels and fleets"
	categoryCatalog = "The catalog"
	categoryCloud   = "A cloud on this machine"
	categoryProgram = "This program"
)

func categories() []string {
	return []string{categoryProject, categoryImages, categoryFleets, categoryCatalog, categoryCloud, categoryProgram}
}

// Help is a text of our own with columns set by tabs, which urfave/cli takes for a template and lines up: its own template
// tells of every option that it is false by default, and twice of each that can be repeated.

func appHelp(app *cli.App) string {
	var b strings.Builder
	fmt.Fprintf(&b, "iibake: %s\n\nUsage: %s\n\n%s\n", app.Usage, app.UsageText, app.Description)
	for _, category := range categories() {
		verbs := slices.DeleteFunc(slices.Clone(app.Commands), func(c *cli.Command) bool { return c.Category != category || c.Hidden })
		if len(verbs) > 0 {
			b.WriteString("\n" + category + ":\n" + verbLines(verbs))
		}
	}
	return b.String() + optionsHelp(app.Flags) + exitCodes + "\niibake VERB --help says more about a verb.\n"
}

const exitCodes = `
Exit codes:
   0` + "\t" + `done, or up to date
   1` + "\t" + `something else went wrong
   2` + "\t" + `invalid template or usage
   10` + "\t" + `bake failed
   11` + "\t" + `test failed
   12` + "\t" + `channel moved under us
   13` + "\t" + `rolled back
   14` + "\t" + `refused by a gate, or for want of a permission
   15` + "\t" + `not found
   16` + "\t" + `status found something to mend
   130` + "\t" + `interrupted
`

func verbHelp(name string, c *cli.Command) string {
	usage := strings.TrimSpace(name + " [options] " + c.ArgsUsage)
	text := fmt.Sprintf("%s: %s\n\nUsage: %s\n", name, c.Usage, usage)
	if c.Description != "" {
		text += "\n" + c.Description + "\n"
	}
	if len(c.Subcommands) > 0 {
		text += "\nVerbs:\n" + verbLines(c.Subcommands)
	}
	return text + optionsHelp(append(slices.Clone(c.Flags), helpFlag())) + examplesHelp(c)
}

// examplesHelp writes the examples of a verb, which stand in its UsageText: a command line each and, behind a tab, what it is for.
func examplesHelp(c *cli.Command) string {
	if c.UsageText == "" {
		return ""
	}
	return "\nExamples:\n   " + strings.ReplaceAll(c.UsageText, "\n", "\n   ") + "\n"
}

// examples joins pairs of a command line and what it is for.
func examples(pairs ...[2]string) string {
	lines := make([]string, len(pairs))
	for i, p := range pairs {
		lines[i] = strings.TrimSuffix(p[0]+"\t"+p[1], "\t")
	}
	return strings.Join(lines, "\n")
}

func verbLines(verbs []*cli.Command) string {
	var b strings.Builder
	for _, c := range verbs {
		fmt.Fprintf(&b, "   %s\t%s\n", c.Name, c.Usage)
	}
	return b.String()
}

func helpFlag() cli.Flag {
	return &cli.BoolFlag{Name: "help", Aliases: []string{"h"}, Usage: "show this"}
}

func optionsHelp(flags []cli.Flag) string {
	var b strings.Builder
	b.WriteString("\nOptions:\n")
	for _, f := range flags {
		if doc, ok := f.(cli.DocGenerationFlag); ok && isVisible(f) {
			fmt.Fprintf(&b, "   %s\n", optionHelp(doc))
		}
	}
	return b.String()
}

func isVisible(f cli.Flag) bool {
	v, ok := f.(cli.VisibleFlag)
	return !ok || v.IsVisible()
}

// optionHelp writes one option. The word between backquotes in its usage stands for its value.
func optionHelp(f cli.DocGenerationFlag) string {
	var names []string
	for _, n := range f.Names() {
		names = append(names, strings.Repeat("-", min(len(n), 2))+n)
	}
	usage := f.GetUsage()
	head := strings.Join(names, ", ")
	if words := strings.SplitN(usage, "`", 3); len(words) == 3 {
		head += " " + words[1]
		usage = words[0] + words[1] + words[2]
	}
	slice, _ := f.(cli.DocGenerationSliceFlag)
	if value := defaultText(f); value != "" && f.TakesValue() && (slice == nil || !slice.IsSliceFlag()) {
		usage += " (default: " + value + ")"
	}
	if env := f.GetEnvVars(); len(env) > 0 {
		usage += " [$" + strings.Join(env, ", $") + "]"
	}
	return head + "\t" + usage
}

// defaultText writes a default value as people would: 1m, and not 1m0s.
func defaultText(f cli.DocGenerationFlag) string {
	text := strings.Trim(f.GetDefaultText(), `"`)
	if _, ok := f.(*cli.DurationFlag); ok {
		text = strings.Replace(text, "m0s", "m", 1)
		text = strings.Replace(text, "h0m", "h", 1)
	}
	return text
}

func helpCommand() *cli.Command {
	return &cli.Command{
		Name: "help", Usage: "show what a verb does", Category: categoryProgram, ArgsUsage: "[VERB]",
		BashComplete: cli.DefaultAppComplete,
		Action: func(c *cli.Context) error {
			args, err := operands(c, "VERB...")
			switch {
			case err != nil:
				return err
			case len(args) == 0:
				return cli.ShowAppHelp(c)
			}
			return helpOf(c, args)
		},
	}
}

// helpOf shows the help of a verb, which may be one below another.
func helpOf(c *cli.Context, words []string) error {
	var verb *cli.Command
	for i, word := range words {
		next := findVerb(c.App, verb, word)
		if next == nil {
			return noVerb(c.App, verb, strings.Join(words[:i+1], " "))
		}
		verb = next
	}
	cli.HelpPrinter(c.App.Writer, verb.CustomHelpTemplate, verb)
	return nil
}

// noVerb says that there is no such verb, below another one or not, and which one may have been meant.
func noVerb(app *cli.App, above *cli.Command, name string) error {
	verbs, help := app.VisibleCommands(), app.Name
	if above != nil {
		verbs, help = above.Subcommands, above.HelpName
	}
	hint := help + " --help lists the verbs"
	if near, ok := nearVerb(verbs, name[strings.LastIndex(name, " ")+1:]); ok {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	return withHint(fmt.Errorf("%w: there is no verb %q", errUsage, name), hint)
}

// nearVerb returns the verb that a word nearly is.
func nearVerb(verbs []*cli.Command, word string) (string, bool) {
	var names []string
	for _, c := range verbs {
		names = append(names, c.Name)
	}
	return template.Nearest(word, names)
}

// wrongVerb says that the first word is no verb. It may be an image, behind which the verb comes or is missing.
func wrongVerb(c *cli.Context) error {
	words := c.Args().Slice()
	word, verb := words[0], ""
	if _, near := nearVerb(c.App.VisibleCommands(), word); near {
		return noVerb(c.App, nil, word)
	}
	if i := slices.IndexFunc(words, func(w string) bool { return findVerb(c.App, nil, w) != nil }); i > 0 {
		verb = words[i]
	}
	switch {
	case verb != "":
	case strings.Contains(word, "@"), isTemplate(c, word):
		verb = "show"
	default:
		return noVerb(c.App, nil, word)
	}
	return withHint(fmt.Errorf("%w: there is no verb %q", errUsage, word), fmt.Sprintf("the verb comes first: iibake %s %s", verb, word))
}

// isTemplate reports whether the project, if there is one, has an image of this name.
func isTemplate(c *cli.Context, name string) bool {
	p, err := loadProject(c)
	return err == nil && slices.ContainsFunc(p.Images, func(t bake.Template) bool { return t.Name == name })
}

// didYouMean returns what urfave/cli suggests in our tone, or something else where it suggests nothing.
func didYouMean(suggestion, otherwise string) string {
	if suggestion == "" {
		return otherwise
	}
	return strings.Replace(suggestion, "Did", "did", 1)
}
