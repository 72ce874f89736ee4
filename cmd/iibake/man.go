package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

func manCommand(con *console) *cli.Command {
	return &cli.Command{
		Name: "man", Usage: "write the manual page", Hidden: true,
		Action: func(c *cli.Context) error {
			if _, err := operands(c); err != nil {
				return err
			}
			return con.printf("%s", manPage(c.App))
		},
	}
}

// manPage writes what the help of all verbs says as one manual page: urfave/cli leaves out what verbs do, their operands and exit codes.
func manPage(app *cli.App) string {
	var m roff
	m.line(`.TH IIBAKE 1 "" "iibake" "User Commands"`)
	m.section("name", app.Name+` \- `+escapeRoff(app.Usage))
	m.section("synopsis", escapeRoff(app.UsageText))
	m.section("description", escapeRoff(app.Description))
	m.section("options", "")
	m.options(app.Flags)
	for _, category := range categories() {
		verbs := slices.DeleteFunc(slices.Clone(app.Commands), func(c *cli.Command) bool { return c.Category != category || c.Hidden })
		if len(verbs) > 0 {
			m.section(category, "")
			m.verbs(app.Name, verbs)
		}
	}
	m.section("exit status", "")
	for row := range strings.Lines(strings.TrimSpace(exitCodes)) {
		if code, what, ok := strings.Cut(strings.TrimSpace(row), "\t"); ok {
			m.item(code, what)
		}
	}
	return m.String()
}

// roff is a manual page that is being written.
type roff struct{ strings.Builder }

func (m *roff) line(s string) { _, _ = m.WriteString(s + "\n") }

// section begins a section with text, which is roff already.
func (m *roff) section(title, text string) {
	m.line(`.SH "` + strings.ToUpper(title) + `"`)
	if text != "" {
		m.line(text)
	}
}

func (m *roff) item(head, text string) {
	m.line(".TP\n.B " + escapeRoff(head) + "\n" + escapeRoff(text))
}

func (m *roff) options(flags []cli.Flag) {
	for _, f := range flags {
		if doc, ok := f.(cli.DocGenerationFlag); ok && isVisible(f) {
			head, text, _ := strings.Cut(optionHelp(doc), "\t")
			m.item(head, text)
		}
	}
}

// verbs writes the verbs below a name, and those below them.
func (m *roff) verbs(above string, verbs []*cli.Command) {
	for _, c := range verbs {
		name := above + " " + c.Name
		if len(c.Subcommands) > 0 {
			m.verbs(name, c.Subcommands)
			continue
		}
		m.line(fmt.Sprintf(`.SS "%s"`, escapeRoff(strings.TrimSpace(name+" "+c.ArgsUsage))))
		m.line(escapeRoff(strings.ToUpper(c.Usage[:1]) + c.Usage[1:] + "."))
		if c.Description != "" {
			m.line(".PP\n" + strings.ReplaceAll(escapeRoff(c.Description), "\n\n", "\n.PP\n"))
		}
		m.options(c.Flags)
		if c.UsageText != "" {
			m.line(".PP\n.nf\n.RS")
			m.line(escapeRoff(strings.ReplaceAll(c.UsageText, "\t", "   # ")))
			m.line(".RE\n.fi")
		}
	}
}

// escapeRoff keeps text from being taken for commands, and a minus from becoming a hyphen, which nobody can paste.
func escapeRoff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "→", `\(->`).Replace(s)
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
