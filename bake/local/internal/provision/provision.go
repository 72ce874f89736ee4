// Package provision carries out the steps of a template in a mounted image: packages, files, scripts, users.
package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/sandbox"
)

// TaskName is the key of [Task] among the tasks of a sandbox.
const TaskName = "provision"

// ErrNoNetwork is wrapped when a package archive could not be reached.
var ErrNoNetwork = errors.New("no network")

// Spec is a step and what it needs.
type Spec struct {
	Step    bake.Step
	Dir     string            // absolute path of the repository
	Env     map[string]string // environment of the step's programs, secrets too
	Secrets []string          // values that are shown as *** wherever they turn up
}

// Failure is a step that failed.
type Failure struct { //nolint:errname // it is what became of the step
	Title string        // of the step
	Pos   bake.Position // of the step
	Code  int           // exit status of the program that failed; -1 where none did or a signal ended it
	Tail  []string      // last lines of the step's output
	Err   error         // why
}

// Error says which step failed and why.
func (f *Failure) Error() string {
	s := fmt.Sprintf("step %q: %v", f.Title, f.Err)
	if f.Pos.Line > 0 {
		s = f.Pos.String() + ": " + s
	}
	return s
}

// Unwrap returns why the step failed.
func (f *Failure) Unwrap() error { return f.Err }

// Run carries out a step on a root filesystem. Every error but one of ctx is a [Failure]. Lines of output go to log, which
// may be nil.
func Run(ctx context.Context, root sandbox.Root, spec Spec, log func(string)) error {
	if spec.Step.Kind() == bake.StepEnv {
		return nil
	}
	out := &output{hide: redactor(spec.Secrets), log: log}
	limited := ctx
	if limit := time.Duration(spec.Step.Timeout); limit > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	err := sandbox.Run(limited, sandbox.Job{
		Task: TaskName, Root: &root, Bare: spec.Step.Copy != nil, Input: spec, Log: out.line,
	}, nil)
	if err == nil || ctx.Err() != nil {
		return err
	}
	return out.failure(spec.Step, err, errors.Is(limited.Err(), context.DeadlineExceeded))
}

const tailLines = 30 // kept for a Failure

// output hands on the lines of a step and keeps the last ones. No secret passes.
type output struct {
	hide *strings.Replacer
	log  func(string)

	mu   sync.Mutex
	tail []string
}

func (o *output) line(s string) {
	s = o.hide.Replace(s)
	o.mu.Lock()
	if o.tail = append(o.tail, s); len(o.tail) > tailLines {
		o.tail = o.tail[1:]
	}
	o.mu.Unlock()
	if o.log != nil {
		o.log(s)
	}
}

func (o *output) failure(s bake.Step, err error, late bool) error {
	f := &Failure{Title: o.hide.Replace(s.Title()), Pos: s.Pos, Code: -1, Tail: slices.Clone(o.tail)}
	if cmd := (*sandbox.CommandError)(nil); errors.As(err, &cmd) {
		f.Code = cmd.Code
	}
	f.Err = &hiddenError{text: o.hide.Replace(err.Error()), err: err}
	switch {
	case late:
		f.Err = fmt.Errorf("took longer than %v: raise its timeout: %w", s.Timeout, context.DeadlineExceeded)
	case f.Code >= 0 && offline(f.Tail):
		f.Err = fmt.Errorf("%w: cannot reach the package archive: %w", ErrNoNetwork, f.Err)
	}
	return f
}

// hiddenError is an error whose text holds no secret.
type hiddenError struct {
	text string
	err  error
}

// Error returns the text without secrets.
func (h *hiddenError) Error() string { return h.text }

// Is compares with what the error wraps, without handing it out.
func (h *hiddenError) Is(target error) bool { return errors.Is(h.err, target) }

// redactor replaces secrets, and the lines of those that have several: output comes by the line.
func redactor(secrets []string) *strings.Replacer {
	var all []string
	for _, s := range secrets {
		all = append(all, s)
		all = append(all, strings.Split(s, "\n")...)
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) }) // a secret may be part of another
	var pairs []string
	for _, s := range slices.Compact(all) {
		if s = strings.TrimSpace(s); len(s) >= minSecret {
			pairs = append(pairs, s, "***")
		}
	}
	return strings.NewReplacer(pairs...)
}

const minSecret = 4 // bytes; hiding anything shorter would only make the output unreadable
