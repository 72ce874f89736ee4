//go:build !linux

package disk

import (
	"errors"
	"os"
)

func unnamed(string) (*os.File, error) { return nil, errors.ErrUnsupported }

// Keep returns an error that wraps errors.ErrUnsupported: only Linux can give a file a name again.
func Keep(f *os.File, name string) error {
	return &os.LinkError{Op: "link", Old: f.Name(), New: name, Err: errors.ErrUnsupported}
}
