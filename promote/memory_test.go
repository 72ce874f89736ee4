package promote_test

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/catalog/catalogtest"
)

// memory is a catalog for state machines, which put thousands of records: it does not wait for a disk.
type memory struct {
	mu     sync.Mutex
	values map[string][]byte
}

func newMemory() *memory { return &memory{values: map[string][]byte{}} }

func TestMemoryIsACatalog(t *testing.T) {
	t.Parallel()
	catalogtest.Run(t, func(*testing.T) func() catalog.Catalog {
		m := newMemory()
		return func() catalog.Catalog { return m }
	})
}

func (m *memory) Put(ctx context.Context, key string, body []byte) error {
	if err := catalog.CheckRecord(key); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, ok := m.values[key]; ok && !bytes.Equal(old, body) {
		return catalog.ErrExists
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.values[key] = append([]byte{}, body...)
	return nil
}

func (m *memory) Get(ctx context.Context, key string) ([]byte, error) {
	if err := catalog.CheckKey(key); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	value, ok := m.values[key]
	if !ok {
		return nil, catalog.ErrNotFound
	}
	return append([]byte{}, value...), ctx.Err()
}

func (m *memory) List(ctx context.Context, prefix string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(m.values)) {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	return keys, ctx.Err()
}

func (m *memory) Swap(ctx context.Context, head string, old, next []byte) error {
	if err := catalog.CheckHead(head); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now, ok := m.values[head]
	if ok != (old != nil) || !bytes.Equal(now, old) {
		return catalog.ErrMoved
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if next == nil {
		delete(m.values, head)
	} else {
		m.values[head] = append([]byte{}, next...)
	}
	return nil
}

func (m *memory) Verify(ctx context.Context) ([]catalog.Problem, error) { return nil, ctx.Err() }
