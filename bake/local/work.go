package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/local/internal/layout"
	"github.com/iibake/iibake/bake/local/internal/provision"
	"github.com/iibake/iibake/bake/local/internal/sandbox"
)

// work is one bake of one template while it runs.
type work struct {
	b       *Builder
	t       bake.Template
	source  bake.Resolution
	keys    bake.Keys
	env     environments
	r       bake.Reporter
	started time.Time

	file  *os.File     // the disk; unnamed, so that it goes with the process
	root  sandbox.Root // where its root filesystem lies
	steps []bake.StepResult
}

// run bakes: source, steps, seal, proof, record.
func (w *work) run(ctx context.Context) (bake.Image, error) {
	file, err := disk.Scratch(w.b.scratchDir())
	if err != nil {
		return bake.Image{}, fmt.Errorf("bake %s: %w", w.t.Name, err)
	}
	w.file = file
	defer func() { _ = file.Close() }()
	img, err := w.bake(ctx)
	if err != nil {
		return bake.Image{}, fmt.Errorf("bake %s: %w", w.t.Name, err)
	}
	return img, nil
}

func (w *work) bake(ctx context.Context) (bake.Image, error) {
	if err := w.start(ctx); err != nil {
		return bake.Image{}, err
	}
	for i := len(w.steps); i < len(w.t.Steps); i++ {
		if err := w.step(ctx, i); err != nil {
			return bake.Image{}, err
		}
	}
	return w.finish(ctx)
}

// start puts the disk where the first step that must run finds it: behind the longest prefix of steps whose result is in
// the store, or else at the source.
func (w *work) start(ctx context.Context) error {
	n, layer := w.cachedSteps(ctx)
	var err error
	if n == 0 {
		err = w.makeSource(ctx)
	} else {
		w.skipSteps(ctx, n)
		err = w.materialise(ctx, layer)
	}
	if err != nil {
		return err
	}
	w.root, err = layout.Filesystems(w.file)
	return err
}

// cachedSteps returns the length of the longest prefix of steps whose result is in the store, and that result.
func (w *work) cachedSteps(ctx context.Context) (int, bake.Digest) {
	if w.b.Force {
		return 0, ""
	}
	for n := len(w.t.Steps); n > 0; n-- {
		if layer, err := w.b.Store.Layer(ctx, w.keys.Steps[n-1]); err == nil {
			return n, layer
		}
	}
	return 0, ""
}

func (w *work) skipSteps(ctx context.Context, n int) {
	for i, s := range w.t.Steps[:n] {
		layer, err := w.b.Store.Layer(ctx, w.keys.Steps[i])
		if err != nil {
			layer = "" // a layer in the middle may have been collected: the last one is all that is needed
		}
		w.steps = append(w.steps, bake.StepResult{Title: s.Title(), Kind: s.Kind(), Key: w.keys.Steps[i], Disk: layer, Cached: true})
		bake.StartTask(w.r, w.t.Name, w.stepName(i), &s.Pos).Skip("unchanged, its result is in the store")
	}
}

func (w *work) stepName(i int) string {
	return fmt.Sprintf("step %d/%d %s", i+1, len(w.t.Steps), w.t.Steps[i].Title())
}

func (w *work) materialise(ctx context.Context, d bake.Digest) error {
	task := bake.StartTask(w.r, w.t.Name, "disk", nil)
	return task.End(w.b.Store.Materialise(ctx, d, w.file, task.Progress))
}

// step runs one step and keeps its result.
func (w *work) step(ctx context.Context, i int) error {
	s := w.t.Steps[i]
	began := time.Now()
	task := bake.StartTask(w.r, w.t.Name, w.stepName(i), &s.Pos)
	layer, err := w.runStep(ctx, i, task)
	if err != nil {
		return task.End(w.wreck(i, err))
	}
	w.steps = append(w.steps, bake.StepResult{
		Title: s.Title(), Kind: s.Kind(), Key: w.keys.Steps[i], Disk: layer, Took: bake.Duration(time.Since(began)),
	})
	return task.End(nil)
}

func (w *work) runStep(ctx context.Context, i int, task *bake.Task) (bake.Digest, error) {
	s := w.t.Steps[i]
	spec := provision.Spec{Step: s, Dir: w.t.Dir, Env: w.env.step(w.t, i)}
	if err := provision.Run(ctx, w.root, spec, task.Log); err != nil {
		return "", err
	}
	// Under its key the result would stand for files that it was not made of.
	files, err := w.t.StepFiles(s)
	if err = unchanged(files, w.keys.Files[i], err); err != nil {
		return "", err
	}
	layer, err := w.b.Store.Import(ctx, w.file, "", task.Progress)
	if err != nil {
		return "", err
	}
	return layer, w.b.Store.SetLayer(ctx, w.keys.Steps[i], layer)
}

// unchanged returns an error where what was read of the repository is not what it was when the build began. err is what kept the caller from
// finding out.
func unchanged(now, before bake.Digest, err error) error {
	const text = "files of the repository were changed while the image was being baked: run the build again"
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", text, err)
	case now != before:
		return errors.New(text)
	}
	return nil
}

// StepError says which step of a template failed. No secret of the template stands in it.
type StepError struct {
	Title string
	Pos   bake.Position
	Tail  []string // last lines of the step's output
	Wreck string   // file that holds the disk as the step left it; empty where it was not kept
	Err   error
}

// Error returns the position, the step, its error, and below it the last lines of its output, indented.
func (e *StepError) Error() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s: step %q: %v", e.Pos, e.Title, e.Err)
	for _, line := range e.Tail {
		s.WriteString("\n    " + line)
	}
	if e.Wreck != "" {
		s.WriteString("\n  the disk as the step left it is kept in " + e.Wreck)
	}
	return s.String()
}

// Unwrap returns the step's error.
func (e *StepError) Unwrap() error { return e.Err }

// wreck makes a StepError of err, and gives the disk a name where it is to be kept.
func (w *work) wreck(i int, err error) error {
	s := w.t.Steps[i]
	failed := &StepError{Title: bake.RedactText(s.Title(), w.env.secrets), Pos: s.Pos, Err: bake.RedactError(err, w.env.secrets)}
	if f := (*provision.Failure)(nil); errors.As(err, &f) {
		for _, line := range f.Tail {
			failed.Tail = append(failed.Tail, bake.RedactText(line, w.env.secrets))
		}
	}
	if w.b.Retain {
		name, keepErr := w.keep(i)
		failed.Wreck, failed.Err = name, errors.Join(failed.Err, keepErr)
	}
	return failed
}

// keep gives the disk a name, so that it outlives the process.
func (w *work) keep(i int) (string, error) {
	dir := filepath.Join(w.b.Dir, "retained")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("retain: %w", err)
	}
	name := filepath.Join(dir, fmt.Sprintf("%s-step%d-%s.raw", w.t.Name, i+1, w.started.UTC().Format("20060102T150405")))
	if err := disk.Keep(w.file, name); err != nil {
		return "", fmt.Errorf("retain: %w", err)
	}
	return name, nil
}
