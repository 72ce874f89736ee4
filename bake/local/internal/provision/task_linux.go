package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/sandbox"
	"github.com/iibake/iibake/bake/local/internal/sandbox/within"
)

// Task carries out the step of a [Spec] inside a sandbox.
func Task(ctx context.Context, e *sandbox.Env, input json.RawMessage) (any, error) {
	var spec Spec
	if err := json.Unmarshal(input, &spec); err != nil {
		return nil, err
	}
	return nil, runner{Env: e, env: spec.Env}.step(ctx, spec)
}

// runner runs the programs of a step.
type runner struct {
	*sandbox.Env
	env map[string]string
}

func (r runner) step(ctx context.Context, spec Spec) error {
	switch s := spec.Step; s.Kind() {
	case bake.StepApt:
		return r.apt(ctx, *s.Apt)
	case bake.StepDnf:
		return r.all(ctx, dnfCommands(*s.Dnf))
	case bake.StepPackages:
		return r.packages(ctx, *s.Packages)
	case bake.StepCopy:
		return copyTree(r.Root, spec.Dir, *s.Copy)
	case bake.StepScript:
		return r.script(ctx, spec.Dir, *s.Script)
	case bake.StepRun:
		return r.program(ctx, "run", []byte(s.Run), []string{"sh", "-e"}, nil)
	case bake.StepUser:
		return r.user(ctx, *s.User)
	case bake.StepEnv:
		return nil
	}
	return fmt.Errorf("%w step: it does nothing", bake.ErrInvalid)
}

func (r runner) run(ctx context.Context, argv ...string) error {
	return r.Command(ctx, sandbox.Command{Argv: argv, Env: r.env})
}

func (r runner) all(ctx context.Context, calls [][]string) error {
	for _, argv := range calls {
		if err := r.run(ctx, argv...); err != nil {
			return err
		}
	}
	return nil
}

func (r runner) apt(ctx context.Context, p bake.Packages) error {
	var err error
	if p.Remove, err = r.installed(ctx, p.Remove); err != nil {
		return err
	}
	return r.all(ctx, aptCommands(p))
}

// installed returns those of names that dpkg knows. Removing what is not there is done already.
func (r runner) installed(ctx context.Context, names []string) ([]string, error) {
	var known []string
	for _, name := range names {
		var state strings.Builder
		err := r.Command(ctx, sandbox.Command{Argv: []string{"dpkg-query", "-W", "-f=${db:Status-Status} ", "--", name}, Stdout: &state})
		if exit := (*sandbox.CommandError)(nil); err != nil && !errors.As(err, &exit) {
			return nil, err
		}
		if strings.Trim(strings.ReplaceAll(state.String(), "not-installed", ""), " ") != "" {
			known = append(known, name)
		}
	}
	return known, nil
}

func (r runner) packages(ctx context.Context, p bake.Packages) error {
	switch {
	case r.Has("apt-get"):
		return r.apt(ctx, p)
	case r.Has("dnf"):
		return r.all(ctx, dnfCommands(p))
	}
	return fmt.Errorf("%w step: the image has neither apt-get nor dnf: use a script", bake.ErrInvalid)
}

const maxScript = 16 << 20 // bytes; whatever is larger is no script

func (r runner) script(ctx context.Context, dir string, s bake.Script) error {
	repo, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = repo.Close() }()
	f, err := repo.Open(path.Clean(s.File))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxScript+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", s.File, err)
	}
	if len(text) > maxScript {
		return fmt.Errorf("%w script %s: it is larger than %d MiB: copy it into the image, and run it there", bake.ErrInvalid, s.File, maxScript>>20)
	}
	var interpreter []string
	if !strings.HasPrefix(string(text), "#!") {
		interpreter = []string{"sh"}
	}
	return r.program(ctx, path.Base(s.File), text, interpreter, s.Args)
}

// program runs a text as a program of the image. It lies in /tmp, which is in memory.
func (r runner) program(ctx context.Context, name string, text []byte, interpreter, args []string) error {
	dir := "/tmp/iibake"
	if err := within.MkdirAll(r.Root, dir, nil); err != nil {
		return err
	}
	at := path.Join(dir, name)
	f, err := within.Open(r.Root, at, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW, 0o755)
	if err != nil {
		return err
	}
	if _, err := f.Write(text); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	return r.run(ctx, slices.Concat(interpreter, []string{at}, args)...)
}
