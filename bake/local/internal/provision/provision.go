// Package provision carries out the steps of a template in a mounted image: packages, files, scripts, users.
package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	Step bake.Step
	Dir  string            // absolute path of the repository
	Env  map[string]string // environment of the step's programs, secrets too
}

// Failure is a step that failed. What its programs said stands in it as they said it, secrets too.
type Failure struct { //nolint:errname // it is what became of the step
	Tail []string // last lines of the step's output
	Err  error    // why
}

// Error says why the step failed.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns why the step failed.
func (f *Failure) Unwrap() error { return f.Err }

// Run carries out a step on a root filesystem. Every error but one of ctx is a [Failure]. Lines of output go to log, which
// may be nil, secrets too.
func Run(ctx context.Context, root sandbox.Root, spec Spec, log func(string)) error {
	if spec.Step.Kind() == bake.StepEnv {
		return nil
	}
	out := &output{log: log}
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

// output hands on the lines of a step and keeps the last ones.
type output struct {
	log func(string)

	mu   sync.Mutex
	tail []string
}

func (o *output) line(s string) {
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
	f := &Failure{Tail: slices.Clone(o.tail), Err: err}
	exit := (*sandbox.CommandError)(nil)
	switch {
	case late:
		f.Err = fmt.Errorf("took longer than %v: raise its timeout: %w", s.Timeout, context.DeadlineExceeded)
	case errors.As(err, &exit) && exit.Code >= 0 && offline(f.Tail):
		f.Err = fmt.Errorf("%w: cannot reach the package archive: %w", ErrNoNetwork, err)
	}
	return f
}
