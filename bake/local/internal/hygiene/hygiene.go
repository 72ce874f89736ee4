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
	"slices"
	"strings"

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
	Changed []int64  // 512 KiB blocks of the whole disk that may hold secrets and keys, the others having been proven; nil: all
}

// Finding is one thing that must not be in an image.
type Finding struct {
	Path string // of the file; "free space" or "block N" for what no file holds
	What string
	Fix  string // what to do about it
}

// String returns the finding as one line.
func (f Finding) String() string { return f.Path + ": " + f.What + ": " + f.Fix }

// RefusedError is the error for an image that is not clean. It wraps [bake.ErrRefused].
type RefusedError struct{ Findings []Finding }

const maxShown = 50 // findings in the text of a RefusedError

// Error lists the findings.
func (r *RefusedError) Error() string {
	lines := []string{fmt.Sprintf("%v: the image is not clean (%d found)", bake.ErrRefused, len(r.Findings))}
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
func (r *RefusedError) Unwrap() error { return bake.ErrRefused }

// Run looks at a sealed disk and returns a [RefusedError] unless it is clean. Nothing is written. log, which may be nil, receives
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
	size, err := sizeOf(root)
	if err != nil {
		return fmt.Errorf("hygiene: %w", err)
	}
	hits, err := newScanner(root.Disk, secrets).blocks(spec.Changed)
	if err != nil {
		return fmt.Errorf("hygiene: %w", err)
	}
	below, err := freeSpace(root, size)
	if errors.Is(err, errors.ErrUnsupported) {
		log("free space is not looked at: " + err.Error())
	} else if err != nil {
		return fmt.Errorf("hygiene: %w", err)
	}
	var files []Finding
	in := input{Secrets: secrets, Pages: pages(hits, root.Offset)}
	if err := sandbox.Run(ctx, sandbox.Job{Task: TaskName, Root: &root, Input: in, Log: log}, &files); err != nil {
		return fmt.Errorf("hygiene: %w", err)
	}
	if findings := slices.Concat(files, below, planted(hits)); len(findings) > 0 {
		return &RefusedError{Findings: findings}
	}
	return nil
}

func sizeOf(root sandbox.Root) (int64, error) {
	if root.Size != 0 {
		return root.Size, nil
	}
	info, err := root.Disk.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size() - root.Offset, nil
}

// input is what the task needs to know.
type input struct {
	Secrets []string
	Pages   []int64 // of the filesystem, 4 KiB each, ascending: only files that lie there can hold secrets or keys
}

const pageSize = 4 << 10

func pages(hits []hit, offset int64) []int64 {
	var list []int64
	for _, h := range hits {
		list = append(list, (h.at-offset)/pageSize)
	}
	slices.Sort(list)
	return slices.Compact(list)
}
