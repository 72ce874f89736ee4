package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/catalog/s3"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/template"
	"github.com/iibake/iibake/cmd/iibake/internal/ui"
	"github.com/iibake/iibake/promote"
)

// The exit codes. The help of the program lists them; keep both the same.
const (
	exitDone        = 0
	exitError       = 1 // what has no code of its own: a full disk, a missing program
	exitInvalid     = 2
	exitBake        = 10
	exitTest        = 11
	exitMoved       = 12
	exitRolledBack  = 13
	exitRefused     = 14
	exitNotFound    = 15
	exitDrift       = 16
	exitInterrupted = 130
)

var (
	errUsage = errors.New("usage")
	errBake  = errors.New("bake failed")
	errTest  = errors.New("test failed")
)

// statusError is the status of a command that ran in a machine: iibake ends with the same one.
type statusError int

func (s statusError) Error() string { return fmt.Sprintf("the command ended with status %d", int(s)) }

// exitCode returns the code that err stands for. Where it stands for several, what the user did comes before what failed.
func exitCode(ctx context.Context, err error) int {
	var status statusError
	var remote *remoteError
	switch {
	case err == nil:
		return exitDone
	case ctx.Err() != nil:
		return exitInterrupted
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &remote):
		return remote.code
	}
	for _, c := range []struct {
		err  error
		code int
	}{
		{errUsage, exitInvalid},
		{bake.ErrInvalid, exitInvalid},
		{promote.ErrRolledBack, exitRolledBack}, // which may be because a gate refused, or the channel moved
		{bake.ErrRefused, exitRefused},
		{s3.ErrDenied, exitRefused},
		{catalog.ErrMoved, exitMoved},
		{bake.ErrNotFound, exitNotFound},
		{errBake, exitBake},
		{errTest, exitTest},
		{errDrift, exitDrift},
	} {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return exitError
}

// hintedError says what to do next. Hints are added in this package only: those below it do not know the commands.
type hintedError struct {
	error
	hints []string
}

func (e *hintedError) Unwrap() error { return e.error }

// withHint adds hints to an error, or to none.
func withHint(err error, hints ...string) error {
	if err == nil {
		return nil
	}
	return &hintedError{err, hints}
}

// stageError gives an error the exit code of a stage without changing what it says.
type stageError struct {
	error
	stage error
}

func (e *stageError) Unwrap() []error { return []error{e.error, e.stage} }

// inStage marks an error, or none, with the stage that it belongs to.
func inStage(stage, err error) error {
	if err == nil {
		return nil
	}
	return &stageError{err, stage}
}

// fail writes err, one line for each thing that is wrong, and returns the exit code.
func (c *console) fail(ctx context.Context, err error) int {
	code := exitCode(ctx, err)
	var status statusError
	if code == exitDone || errors.As(err, &status) {
		return code
	}
	p := c.paint(c.err)
	text := err.Error()
	if code == exitInterrupted {
		text = withoutCancellation(text)
	}
	if c.witness != nil {
		text = withoutShown(text, c.witness.shown)
	}
	c.annotate(err)
	if c.progress == ui.JSON {
		c.reportFailure(text, hints(err))
		return code
	}
	c.writeErrors(p, text)
	for _, h := range hints(err) {
		_, _ = fmt.Fprintf(c.err, "%s %s\n", p.Warn("hint:"), h)
	}
	return code
}

// reportFailure keeps standard error JSON to its end: the failure of the command is an event without a task.
func (c *console) reportFailure(text string, hints []string) {
	r, err := ui.New(c.err, ui.Options{Mode: ui.JSON})
	if err != nil {
		return
	}
	r.Report(bake.Event{Time: time.Now().UTC(), Kind: bake.EventFail, Text: text})
	for _, h := range hints {
		r.Report(bake.Event{Time: time.Now().UTC(), Kind: bake.EventNote, Text: "hint: " + h})
	}
}

func (c *console) writeErrors(p ui.Paint, text string) {
	place := regexp.MustCompile(`^([^\s:]+|[^:]+\.ya?ml):\d+:\d+: `)
	for line := range strings.Lines(text) {
		line = ui.Clean(line)
		switch at := place.FindString(line); {
		case strings.TrimSpace(line) == "":
			continue
		case strings.HasPrefix(line, " "): // goes on with the line before
			line = p.Dim(line)
		case at != "":
			line = p.Bold(at) + line[len(at):]
		default:
			line = p.Bad("iibake:") + " " + line
		}
		_, _ = io.WriteString(c.err, line+"\n")
	}
}

// withoutCancellation leaves out what only says that the user wanted it to end.
func withoutCancellation(text string) string {
	kept := []string{"interrupted"}
	for line := range strings.Lines(text) {
		if !strings.Contains(line, context.Canceled.Error()) && !strings.Contains(line, "signal received") && !strings.Contains(line, "signal: ") {
			kept = append(kept, strings.TrimSuffix(line, "\n"))
		}
	}
	return strings.Join(kept, "\n")
}

// annotate shows what is wrong in a file on its line, inside GitHub Actions. What fails later is annotated as it happens.
func (c *console) annotate(err error) {
	var wrong template.Errors
	if c.actions == nil || !errors.As(err, &wrong) {
		return
	}
	for _, e := range wrong {
		text := e.Text
		if e.Hint != "" {
			text += ": " + e.Hint
		}
		c.actions.Annotate(c.err, "error", &e.Pos, text)
	}
}

// hints returns what to do about err, from the outside in, each once.
func hints(err error) []string {
	var all []string
	var walk func(error)
	walk = func(err error) {
		if h, ok := err.(*hintedError); ok { //nolint:errorlint // the walk itself unwraps
			all = append(all, h.hints...)
		}
		switch err := err.(type) { //nolint:errorlint // the walk itself unwraps
		case interface{ Unwrap() error }:
			if inner := err.Unwrap(); inner != nil {
				walk(inner)
			}
		case interface{ Unwrap() []error }:
			for _, inner := range err.Unwrap() {
				walk(inner)
			}
		}
	}
	walk(err)
	if errors.Is(err, disk.ErrNotFound) {
		all = append(all, elsewhereHint)
	}
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		all = append(all, "the file belongs to somebody else, mostly to root, who builds: run it with sudo")
	}
	return unique(all)
}

// elsewhereHint is for whoever wants the disk of an image that this machine does not have.
const elsewhereHint = "the blocks of a disk stay on the machine that baked it, until iibake gc --store removes them: run this command there; " +
	"or iibake build --force bakes the image here, as a new version; iibake build --publish where it is baked makes an AMI of it, which needs no blocks any more"

func unique(lines []string) []string {
	seen := map[string]bool{}
	var kept []string
	for _, l := range lines {
		if !seen[l] {
			kept = append(kept, l)
		}
		seen[l] = true
	}
	return kept
}
