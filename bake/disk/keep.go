package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/internal/flock"
)

// Keep holds a manifest of the store against [Store.Collect] under a name, in place of the one that it may hold, until Release. It is for
// those whose record of it is not in the catalog. The name is as that of a draft.
func (s *Store) Keep(ctx context.Context, name string, d bake.Digest) error {
	if err := s.keep(ctx, name, d); err != nil {
		return fmt.Errorf("keep disk %s: %w", d.Short(), explainFull(err, s.dir, page))
	}
	return nil
}

func (s *Store) keep(ctx context.Context, name string, d bake.Digest) error {
	if err := checkName(name); err != nil {
		return err
	}
	unlock, err := s.lock(ctx, flock.Shared)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := s.Manifest(ctx, d); err != nil {
		return err
	}
	if err := s.write(keptDir, name, []byte(string(d)+"\n")); err != nil {
		return err
	}
	return s.syncDir(keptDir)
}

// Release ends what Keep has begun. It is fine if nothing is kept under the name.
func (s *Store) Release(name string) error {
	err := checkName(name)
	if err == nil {
		err = os.Remove(s.path(keptDir, name))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("release %s: %w", name, err)
	}
	return nil
}

// kept returns the manifests that are held by name. One that cannot be read is an error: nobody knows what it speaks for.
func (s *Store) kept() ([]bake.Digest, error) {
	entries, err := os.ReadDir(s.path(keptDir, ""))
	if err != nil {
		return nil, err
	}
	var all []bake.Digest
	for _, e := range entries {
		body, err := os.ReadFile(s.path(keptDir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		d, err := bake.ParseDigest(strings.TrimSuffix(string(body), "\n"))
		if err != nil {
			return nil, fmt.Errorf("%s: %w: %w: remove the file if nobody needs the disk", s.path(keptDir, e.Name()), ErrCorrupt, err)
		}
		all = append(all, d)
	}
	return all, nil
}
