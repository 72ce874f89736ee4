package state

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
)

// Table is the records of one kind in a region, by key. It is only used under the region's lock.
type Table[T any] struct {
	rows  map[string]*T
	dirty map[string]bool // keys changed since the last commit; nil where nobody commits
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
	if t.dirty != nil {
		t.dirty[key] = true
	}
}

// anyTable is a Table of whatever records: what keeping them needs. All its calls are made under the region's lock.
type anyTable interface {
	changing
	Len() int
	// load adds a record as take encoded it.
	load(key string, row []byte) error
	// encode encodes every record.
	encode() (map[string][]byte, error)
}

// changing is what a table remembers of its changes.
type changing interface {
	// note has changes remembered from now on.
	note()
	// dirtyLen returns how many keys were changed since the last take.
	dirtyLen() int
	// take encodes what was changed since the last take; a record that is gone is nil. Nothing is taken where it fails.
	take() (map[string][]byte, error)
	// untake says that what was taken under these keys was not kept.
	untake(map[string][]byte)
}

func (t *Table[T]) note() {
	if t.dirty == nil {
		t.dirty = map[string]bool{}
	}
}

func (t *Table[T]) dirtyLen() int { return len(t.dirty) }

func (t *Table[T]) take() (map[string][]byte, error) {
	rows, err := t.encodeKeys(maps.Keys(t.dirty), len(t.dirty))
	if err == nil {
		clear(t.dirty)
	}
	return rows, err
}

func (t *Table[T]) untake(rows map[string][]byte) {
	for key := range rows {
		t.touch(key)
	}
}

func (t *Table[T]) load(key string, row []byte) error {
	record := new(T)
	if err := json.Unmarshal(row, record); err != nil {
		return err
	}
	if t.rows == nil {
		t.rows = map[string]*T{}
	}
	t.rows[key] = record
	return nil
}

func (t *Table[T]) encode() (map[string][]byte, error) {
	return t.encodeKeys(maps.Keys(t.rows), len(t.rows))
}

func (t *Table[T]) encodeKeys(keys iter.Seq[string], n int) (map[string][]byte, error) {
	rows := make(map[string][]byte, n)
	for key := range keys {
		rows[key] = nil
		record := t.rows[key]
		if record == nil {
			continue
		}
		row, err := json.Marshal(record)
		if err != nil {
			return nil, fmt.Errorf("%T %s: %w", record, key, err)
		}
		rows[key] = row
	}
	return rows, nil
}
