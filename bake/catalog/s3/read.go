package s3

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/iibake/iibake/bake/catalog"
)

// Get implements [catalog.Catalog].
func (c *Catalog) Get(ctx context.Context, key string) ([]byte, error) {
	if err := catalog.CheckKey(key); err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	v, err := c.bucket.value(ctx, key)
	if err == nil && v.body == nil {
		err = catalog.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	return v.body, nil
}

// List implements [catalog.Catalog].
func (c *Catalog) List(ctx context.Context, prefix string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("list %s: %w", prefix, err)
	}
	if strings.ContainsFunc(prefix, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, nil // no key begins like this, and S3 would not take it
	}
	var keys []string
	err := c.bucket.list(ctx, dataDir+prefix, 0, func(l listed) {
		if key := l.key(); key != "" {
			keys = append(keys, key)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", prefix, err)
	}
	slices.Sort(keys)
	return keys, nil
}

// key returns the key of a value, or nothing for a head that was removed and for what is no object of the catalog.
func (l listed) key() string {
	key := strings.TrimPrefix(l.name, dataDir)
	if l.size < minValue() || catalog.CheckKey(key) != nil {
		return ""
	}
	return key
}
