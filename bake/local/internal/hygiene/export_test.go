//go:build linux

package hygiene

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/iibake/iibake/bake/local/internal/sandbox"
)

// Look is what [Task] does in the folder root. With no pages known, every file may hold something.
func Look(ctx context.Context, root string, secrets []string, pages []int64) ([]Finding, error) {
	w := &walker{input: input{Secrets: secrets, Pages: pages}, root: root, all: pages == nil, rules: rules()}
	var err error
	if w.dev, err = device(root); err != nil {
		return nil, err
	}
	if w.owned, err = owned(ctx, &sandbox.Env{Root: root}); err != nil {
		return nil, err
	}
	if err := w.shadow(); err != nil {
		return nil, err
	}
	err = filepath.WalkDir(root, func(at string, d fs.DirEntry, err error) error { return w.visit(at, d, err) })
	return w.findings, err
}

// Scan looks for secrets and keys in blocks of a disk. It returns the findings of secrets, and the pages where anything is.
func Scan(disk *os.File, secrets []string, blocks []int64) ([]Finding, []int64, error) {
	hits, err := newScanner(disk, secrets).blocks(blocks)
	return planted(hits), pages(hits, 0), err
}

// NonZero is [nonZero].
var NonZero = nonZero
