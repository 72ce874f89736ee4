package state

import (
	"iter"
	"maps"
	"slices"
)

// Table is the records of one kind in a region, by key. It is only used under the region's lock.
type Table[T any] struct {
	rows  map[string]*T
	dirty map[string]bool // keys changed since the last commit
}

// Get returns a record for reading, or nil.
func (t *Table[T]) Get(key string) *T { return t.rows[key] }

// Edit returns a record to be changed, or nil. What is changed is kept when the Update returns.
func (t *Table[T]) Edit(key string) *T {
	row := t.rows[key]
	if row != nil {
		t.touch(key)
	}
	return row
}

// Put adds a record, or replaces the one of that key.
func (t *Table[T]) Put(key string, row *T) {
	if t.rows == nil {
		t.rows = map[string]*T{}
	}
	t.rows[key] = row
	t.touch(key)
}

// Delete removes a record. It is fine if there is none.
func (t *Table[T]) Delete(key string) {
	if t.rows[key] != nil {
		delete(t.rows, key)
		t.touch(key)
	}
}

// Len returns how many records there are.
func (t *Table[T]) Len() int { return len(t.rows) }

// All returns the records, in no order. The table must not be changed meanwhile.
func (t *Table[T]) All() iter.Seq2[string, *T] { return maps.All(t.rows) }

// Sorted returns the records in the order of their keys, which makes a copy of the keys: the table may be changed meanwhile.
func (t *Table[T]) Sorted() iter.Seq2[string, *T] {
	return func(yield func(string, *T) bool) {
		for _, key := range slices.Sorted(maps.Keys(t.rows)) {
			if row := t.rows[key]; row != nil && !yield(key, row) {
				return
			}
		}
	}
}

func (t *Table[T]) touch(key string) {
	if t.dirty == nil {
		t.dirty = map[string]bool{}
	}
	t.dirty[key] = true
}
