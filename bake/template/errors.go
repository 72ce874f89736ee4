package template

import (
	"cmp"
	"slices"
	"strings"

	"github.com/iibake/iibake/bake"
)

// Error is one thing that is wrong in a file or an option.
type Error struct {
	Pos  bake.Position // an option has only a File, its name on the command line
	Text string        // what is wrong
	Hint string        // what to write instead
}

// Error returns file:line:column: text: hint.
func (e Error) Error() string {
	s := e.Pos.String() + ": " + e.Text
	if e.Hint != "" {
		s += ": " + e.Hint
	}
	return s
}

// Unwrap returns [bake.ErrInvalid].
func (e Error) Unwrap() error { return bake.ErrInvalid }

// Errors is everything that is wrong, in the order of files and lines.
type Errors []Error

// Error returns one error a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns [bake.ErrInvalid].
func (e Errors) Unwrap() error { return bake.ErrInvalid }

// sorted returns e ordered by place, each error once: anchors can bring one line up several times.
func (e Errors) sorted() Errors {
	slices.SortStableFunc(e, func(a, b Error) int {
		return cmp.Or(
			cmp.Compare(fileRank(a), fileRank(b)), strings.Compare(a.Pos.File, b.Pos.File),
			cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column), strings.Compare(a.Text, b.Text))
	})
	return slices.Compact(e)
}

// fileRank puts options first, then the project, then the templates.
func fileRank(e Error) int {
	switch {
	case e.Pos.Line == 0:
		return 0
	case e.Pos.File == projectFile:
		return 1
	}
	return 2
}
