package endtoend_test

import (
	"context"
	"sync/atomic"

	"github.com/iibake/iibake/bake/catalog"
)

// mortal is the catalog as a process sees it: a dead process sees nothing of it, and changes nothing.
type mortal struct {
	catalog.Catalog

	dead atomic.Bool
}

// Put implements catalog.Catalog.
func (m *mortal) Put(ctx context.Context, key string, body []byte) error {
	if m.dead.Load() {
		return errKilled
	}
	return m.Catalog.Put(ctx, key, body)
}

// Get implements catalog.Catalog.
func (m *mortal) Get(ctx context.Context, key string) ([]byte, error) {
	if m.dead.Load() {
		return nil, errKilled
	}
	return m.Catalog.Get(ctx, key)
}

// List implements catalog.Catalog.
func (m *mortal) List(ctx context.Context, prefix string) ([]string, error) {
	if m.dead.Load() {
		return nil, errKilled
	}
	return m.Catalog.List(ctx, prefix)
}

// Swap implements catalog.Catalog.
func (m *mortal) Swap(ctx context.Context, head string, old, next []byte) error {
	if m.dead.Load() {
		return errKilled
	}
	return m.Catalog.Swap(ctx, head, old, next)
}
