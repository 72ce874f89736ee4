package disk

import (
	"errors"
	"os"
)

// Scratch returns an empty file in the folder dir, which is made if it does not exist. Where the filesystem allows it the
// file has no name from the start, elsewhere it loses it at once: it is gone when the last process that has it open is,
// however that ends.
func Scratch(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := unnamed(dir)
	if !errors.Is(err, errors.ErrUnsupported) {
		return f, err
	}
	if f, err = os.CreateTemp(dir, ".iibake-*"); err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
