package bake

import (
	"context"
	"fmt"
	"strings"
)

// Change is a commit that one image has and another one lacks.
type Change struct {
	Commit  string `json:"commit"` // as git abbreviates it
	Author  string `json:"author"` // name
	Subject string `json:"subject"`
}

// Changes returns the commits that lead from one commit to another, newest first, as the repository around dir knows them. The error wraps
// [ErrNotFound] where it lacks one of them: it may be another repository, or a clone without its past.
func Changes(ctx context.Context, dir, from, to string) ([]Change, error) {
	for _, hash := range []string{from, to} {
		if strings.HasPrefix(hash, "-") {
			return nil, fmt.Errorf("%w: commit %q", ErrInvalid, hash)
		}
		if _, err := git(ctx, dir, "cat-file", "-e", hash+"^{commit}"); err != nil {
			return nil, fmt.Errorf("commit %.12s: %w in the repository of %s", hash, ErrNotFound, dir)
		}
	}
	// %x00 ends a field: no field can hold it.
	out, err := git(ctx, dir, "log", "--no-show-signature", "--format=%h%x00%an%x00%s", from+".."+to, "--")
	if err != nil {
		return nil, explainGit(dir, err)
	}
	var changes []Change
	for line := range strings.Lines(out) {
		if parts := strings.SplitN(strings.TrimSuffix(line, "\n"), "\x00", 3); len(parts) == 3 {
			changes = append(changes, Change{parts[0], parts[1], parts[2]})
		}
	}
	return changes, nil
}
