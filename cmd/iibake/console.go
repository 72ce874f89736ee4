package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/iibake/iibake/cmd/iibake/internal/ui"
)

// streams are the standard streams of a command.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// redraw is the time between two pictures of the running tasks.
const redraw = 100 * time.Millisecond

// console is where one command reads and writes, and how it was told to.
type console struct {
	streams
	progress string
	colour   bool // wanted, where there is a terminal
	verbose  bool
	actions  *ui.Actions
	witness  *witness // of the progress that was shown; nil where there was none
}

func newConsole(s streams) *console {
	return &console{streams: s, colour: wantsColour(os.LookupEnv), actions: ui.NewActions(os.Getenv)}
}

// wantsColour follows https://no-color.org.
func wantsColour(lookup func(string) (string, bool)) bool {
	no, _ := lookup("NO_COLOR")
	kind, _ := lookup("TERM")
	return no == "" && kind != "dumb"
}

func (c *console) setFlags(ctx *cli.Context) {
	c.progress = ctx.String("progress")
	c.verbose = ctx.Bool("verbose")
	c.colour = c.colour && !ctx.Bool("no-color")
}

// paint returns the colours for w.
func (c *console) paint(w io.Writer) ui.Paint {
	_, ok := terminal(w)
	return ui.Paint(ok && c.colour)
}

// reporter returns what shows the progress of images with these names. It must be closed before anything else is written.
func (c *console) reporter(projectDir string, names ...string) (ui.Reporter, error) {
	o := ui.Options{
		Mode: c.progress, Paint: c.paint(c.err), Verbose: c.verbose, Names: names, Now: time.Now, Every: redraw, Actions: c.actionsIn(projectDir),
	}
	if fd, ok := terminal(c.err); ok && os.Getenv("TERM") != "dumb" {
		o.Size = func() (int, int) {
			columns, rows, err := term.GetSize(fd)
			if err != nil || columns == 0 {
				return 80, 24
			}
			return columns, rows
		}
	}
	r, err := ui.New(c.err, o)
	if err != nil {
		return nil, err
	}
	if o.Mode == ui.JSON || o.Mode == ui.None {
		return r, nil // which show people nothing
	}
	c.witness = newWitness(r)
	return c.witness, nil
}

func (c *console) actionsIn(projectDir string) *ui.Actions {
	if c.actions == nil {
		return nil
	}
	a := *c.actions
	a.Project = projectDir
	return &a
}

// printf writes a part of the result.
func (c *console) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(c.out, format, args...)
	return err
}

// printJSON writes the result as JSON.
func (c *console) printJSON(v any) error {
	e := json.NewEncoder(c.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// confirm asks whether to go on. Where nobody can be asked, only --yes will do.
func (c *console) confirm(ctx *cli.Context, question string) (bool, error) {
	if ctx.Bool("yes") {
		return true, nil
	}
	if _, ok := terminal(c.in); !ok {
		return false, withHint(fmt.Errorf("%w: nobody is there to be asked: %s", errUsage, question), "add --yes to go on without being asked")
	}
	if _, err := fmt.Fprintf(c.err, "%s [y/N] ", question); err != nil {
		return false, err
	}
	answer, err := c.readLine(ctx.Context)
	if err != nil {
		return false, err
	}
	if answer == "y" || answer == "yes" {
		return true, nil
	}
	_, err = io.WriteString(c.err, nothingDone+"\n")
	return false, err
}

const nothingDone = "nothing was done"

// readLine reads an answer, in lower case. A read from a terminal cannot be cancelled: who is interrupted does not wait for its end.
func (c *console) readLine(ctx context.Context) (string, error) {
	type line struct {
		text string
		err  error
	}
	read := make(chan line, 1)
	go func() {
		text, err := bufio.NewReader(c.in).ReadString('\n')
		read <- line{text, err}
	}()
	select {
	case <-ctx.Done():
		_, _ = io.WriteString(c.err, "\n")
		return "", errors.New(nothingDone)
	case l := <-read:
		if !strings.HasSuffix(l.text, "\n") { // the end of the input
			_, _ = io.WriteString(c.err, "\n")
		}
		if l.err != nil && !errors.Is(l.err, io.EOF) {
			return "", l.err
		}
		return strings.ToLower(strings.TrimSpace(l.text)), nil
	}
}

// terminal returns the descriptor of a stream that is a terminal.
func terminal(stream any) (fd int, ok bool) {
	f, ok := stream.(*os.File)
	if !ok {
		return 0, false
	}
	fd = int(f.Fd())
	return fd, term.IsTerminal(fd)
}

// outputFlag chooses the form of the result.
func outputFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "output", Aliases: []string{"o"}, Value: "text", Usage: "write the result as `FORM`: text or json", Action: oneOf("output", "text", "json"),
	}
}

// oneOf checks the value of an option.
func oneOf(name string, values ...string) func(*cli.Context, string) error {
	return func(_ *cli.Context, v string) error {
		if slices.Contains(values, v) {
			return nil
		}
		last := len(values) - 1
		return fmt.Errorf("%w: --%s %s: want %s or %s", errUsage, name, v, strings.Join(values[:last], ", "), values[last])
	}
}

func wantsJSON(ctx *cli.Context) bool { return ctx.String("output") == "json" }
