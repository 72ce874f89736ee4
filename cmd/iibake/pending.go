package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/iibake/iibake/bake"
)

// pending is a file that is being written and has no name yet where the system allows that: it is gone with the process,
// however that ends.
type pending struct {
	*os.File
	named bool // the file has a name for the time being
}

// newNamed returns a pending file for systems that know no unnamed ones.
func newNamed(dir string) (*pending, error) {
	f, err := os.CreateTemp(dir, ".iibake-")
	if err != nil {
		return nil, err
	}
	return &pending{f, true}, nil
}

// discard gives the file up, or only its descriptor once it has been placed.
func (p *pending) discard() {
	_ = p.Close()
	if p.named {
		_ = os.Remove(p.Name())
	}
}

// place makes the file appear, whole, under its final name. A file that is there already is replaced or refused.
func (p *pending) place(name string, replace bool) error {
	if err := errors.Join(p.Chmod(0o644), p.Sync()); err != nil {
		return err
	}
	err := p.link(name)
	if errors.Is(err, fs.ErrExist) && replace {
		return p.replace(name)
	}
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %s exists already", bake.ErrRefused, name)
	}
	return err
}

// replace needs a second name for a moment: a link never takes the place of another one.
func (p *pending) replace(name string) error {
	dir, err := os.MkdirTemp(filepath.Dir(name), ".iibake-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	interim := filepath.Join(dir, "file")
	if err := p.link(interim); err != nil {
		return err
	}
	return os.Rename(interim, name)
}
