package state

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// Verify returns an error for every record that is not on disk as it is in memory, which is a mistake of somebody who changed a
// record that he had got for reading. Nobody may change records meanwhile. It is for tests, and does nothing for a store in memory.
func (s *Store) Verify() error {
	if s.keeper == nil {
		return nil
	}
	if err := s.Sync(); err != nil {
		return err
	}
	var wrong []error
	err := s.keeper.db.View(func(tx *bolt.Tx) error {
		for _, name := range slices.Sorted(slices.Values(s.Regions())) {
			r := s.region(name)
			for _, t := range r.tables {
				rows, err := t.encode()
				if err != nil {
					return err
				}
				wrong = append(wrong, differences(r.Name+" "+t.name, rows, keptRows(tx, r.Name, t.name)))
			}
		}
		return nil
	})
	return errors.Join(append(wrong, err)...)
}

func keptRows(tx *bolt.Tx, region, table string) map[string][]byte {
	b := tx.Bucket([]byte(recordsBucket))
	for _, name := range []string{region, table} {
		if b != nil {
			b = b.Bucket([]byte(name))
		}
	}
	rows := map[string][]byte{}
	if b == nil {
		return rows
	}
	for key, row := range cursor(b) {
		rows[string(key)] = row
	}
	return rows
}

// cursor returns what is in a bucket, in order.
func cursor(b *bolt.Bucket) func(yield func(key, row []byte) bool) {
	return func(yield func(key, row []byte) bool) {
		c := b.Cursor()
		for key, row := c.First(); key != nil; key, row = c.Next() {
			if !yield(key, row) {
				return
			}
		}
	}
}

// differences compares encoded rows. Fields of a struct are encoded in their order and keys of maps in theirs: same means same bytes.
func differences(table string, memory, kept map[string][]byte) error {
	var wrong []error
	for _, key := range slices.Sorted(maps.Keys(memory)) {
		if !bytes.Equal(memory[key], kept[key]) {
			wrong = append(wrong, fmt.Errorf("%s %s: in memory %s, on disk %q", table, key, memory[key], kept[key]))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(kept)) {
		if _, ok := memory[key]; !ok {
			wrong = append(wrong, fmt.Errorf("%s %s: on disk only", table, key))
		}
	}
	return errors.Join(wrong...)
}
