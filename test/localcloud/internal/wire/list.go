package wire

import (
	"maps"
	"slices"
)

// Operations returns the names of the operations that have handlers, sorted.
func (s *Service) Operations() []string { return slices.Sorted(maps.Keys(s.operations)) }
