// Package hygiene proves that a sealed image is clean. It looks at the finished disk and knows nothing of how it was
// sealed: what one forgets the other finds.
//
// It looks at files that belong to one machine or to the build, at secrets and keys, at dangerous permissions, and at the
// disk below the filesystem: free space must be zero, and the blocks that the build wrote must not hold its secrets.
package hygiene

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/local/internal/sandbox"
)

// TaskName is the key of [Task] among the tasks of a sandbox.
const TaskName = "hygiene"

// minSecret is the length in bytes below which a value cannot be told from something that looks like it by chance.
const minSecret = 8

// blockSize is the unit of Spec.Changed.
const blockSize = 512 << 10

// Spec says what to look for beside what no image may hold.
type Spec struct {
	Secrets []string // values used in the build; those below 8 bytes are not looked for
	Changed []int64  // 512 KiB blocks of the whole disk that the build wrote; there the secrets are looked for
}

// Finding is one thing that must not be in an image.
type Finding struct {
	Path string // of the file; "free space" or "block N" for what no file holds
	What string
	Fix  string // what to do about it
}

// String returns the finding as one line.
func (f Finding) String() string { return f.Path + ": " + f.What + ": " + f.Fix }

// Refusal is the error for an image that is not clean. It wraps [bake.ErrRefused].
type Refusal struct{ Findings []Finding }

const maxShown = 50 // findings in the text of a Refusal

// Error lists the findings.
func (r *Refusal) Error() string {
	lines := []string{fmt.Sprintf("%v: the image is not clean: %d findings", bake.ErrRefused, len(r.Findings))}
	for i, f := range r.Findings {
		if i == maxShown {
			lines = append(lines, fmt.Sprintf("and %d more", len(r.Findings)-i))
			break
		}
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n  ")
}

// Unwrap returns [bake.ErrRefused].
func (r *Refusal) Unwrap() error { return bake.ErrRefused }

// Run looks at a sealed disk and returns a [Refusal] unless it is clean. Nothing is written. log, which may be nil, receives
// what could not be looked at.
func Run(ctx context.Context, root sandbox.Root, spec Spec, log func(string)) error {
	root.ReadOnly = true
	if log == nil {
		log = func(string) {}
	}
	var secrets []string
	for _, s := range spec.Secrets {
		if len(s) < minSecret {
			log(fmt.Sprintf("a secret of less than %d bytes is not looked for: use longer ones", minSecret))
			continue
		}
		secrets = append(secrets, s)
	}
	var files, below, planted []Finding
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error {
		return sandbox.Run(ctx, sandbox.Job{Task: TaskName, Root: &root, Input: secrets, Log: log}, &files)
	})
	all.Go(func() (err error) {
		below, err = freeSpace(root)
		if errors.Is(err, errors.ErrUnsupported) {
			log("free space is not looked at: " + err.Error())
			return nil
		}
		return err
	})
	all.Go(func() (err error) {
		planted, err = search(root.Disk, spec.Changed, secrets)
		return err
	})
	if err := all.Wait(); err != nil {
		return fmt.Errorf("hygiene: %w", err)
	}
	if findings := append(append(files, below...), planted...); len(findings) > 0 {
		return &Refusal{Findings: findings}
	}
	return nil
}
