package localcloud

import (
	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test/localcloud/internal/fault"
)

// SetFaults replaces the rules by which calls fail; an empty document removes them all. The error of a document that cannot be read wraps
// bake.ErrInvalid and names every mistake with its place.
func (c *Cloud) SetFaults(d Document) error {
	e := c.engine.Load()
	if e == nil {
		return errClosed
	}
	rules, err := readFaults(d)
	if err != nil {
		return err
	}
	e.faults.Set(rules)
	return nil
}

func readFaults(d Document) (*fault.File, error) {
	if len(d.Text) == 0 {
		return &fault.File{}, nil
	}
	f, err := fault.Parse(d.Name, d.Text)
	if err != nil {
		return nil, &documentError{err}
	}
	return f, nil
}

// documentError is what is wrong with a document of the user's.
type documentError struct{ error }

// Unwrap says that it is invalid, too, without a word more.
func (e *documentError) Unwrap() []error { return []error{e.error, bake.ErrInvalid} }
