package s3

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/iibake/iibake/bake/catalog"
)

// Snapshot returns the catalog for somebody who looks at much of it, once. The first look lists all keys; values are read, and kept, many at a time; none is
// read that the folder cache holds as it was listed, from before. No cache is kept where that is empty. Heads are as they were at the first look, or newer.
// A change goes to the catalog itself, and the next look is another first one. It is safe for concurrent use.
func (c *Catalog) Snapshot(cache string) catalog.Catalog {
	return &snapshot{Catalog: c, cache: shelf{cache}}
}

type snapshot struct {
	*Catalog // for Verify

	cache shelf

	mu    sync.Mutex
	names []listed // by name; nil before the first look
	bytes map[string][]byte
}

// Put implements [catalog.Catalog].
func (s *snapshot) Put(ctx context.Context, key string, body []byte) error {
	defer s.forget()
	return s.Catalog.Put(ctx, key, body)
}

// Swap implements [catalog.Catalog].
func (s *snapshot) Swap(ctx context.Context, head string, old, next []byte) error {
	defer s.forget()
	return s.Catalog.Swap(ctx, head, old, next)
}

func (s *snapshot) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names, s.bytes = nil, nil
}

// look lists everything, the first time. The lock is held.
func (s *snapshot) look(ctx context.Context) error {
	if err := ctx.Err(); err != nil || s.names != nil {
		return err
	}
	names := []listed{}
	err := s.bucket.list(ctx, dataDir, 0, func(l listed) {
		if l.key() != "" {
			names = append(names, l)
		}
	})
	if err != nil {
		return err
	}
	slices.SortFunc(names, byName)
	s.names, s.bytes = names, map[string][]byte{}
	return nil
}

func byName(a, b listed) int { return cmp.Compare(a.name, b.name) }

// List implements [catalog.Catalog].
func (s *snapshot) List(ctx context.Context, prefix string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.look(ctx); err != nil {
		return nil, fmt.Errorf("list %s: %w", prefix, err)
	}
	i, _ := slices.BinarySearchFunc(s.names, listed{name: dataDir + prefix}, byName)
	var keys []string
	for ; i < len(s.names) && strings.HasPrefix(s.names[i].name, dataDir+prefix); i++ {
		keys = append(keys, s.names[i].key())
	}
	return keys, nil
}

// Get implements [catalog.Catalog].
func (s *snapshot) Get(ctx context.Context, key string) ([]byte, error) {
	if err := catalog.CheckKey(key); err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.look(ctx)
	if err == nil {
		err = s.fetch(ctx, key)
	}
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	body := s.bytes[key]
	if body == nil {
		return nil, fmt.Errorf("get %s: %w", key, catalog.ErrNotFound)
	}
	return append([]byte{}, body...), nil
}

const (
	ahead   = 256      // values that are read at once
	isSmall = 16 << 10 // bytes; of larger ones only what is asked for
)

// fetch reads a value, and small ones that come behind it and are of the same kind: whoever asks for one asks for the next. The lock is held.
func (s *snapshot) fetch(ctx context.Context, key string) error {
	i, found := slices.BinarySearchFunc(s.names, listed{name: dataDir + key}, byName)
	if !found || s.bytes[key] != nil {
		return nil
	}
	wanted := []listed{s.names[i]}
	for _, l := range s.names[i+1:] {
		if len(wanted) == ahead || kindOf(l.key()) != kindOf(key) {
			break
		}
		if l.size <= isSmall && s.bytes[l.key()] == nil {
			wanted = append(wanted, l)
		}
	}
	bodies := make([][]byte, len(wanted))
	err := each(ctx, len(wanted), func(ctx context.Context, i int) (err error) {
		bodies[i], err = s.read(ctx, wanted[i])
		return err
	})
	if err != nil {
		return err
	}
	for i, l := range wanted {
		s.bytes[l.key()] = bodies[i]
	}
	return nil
}

// kindOf returns the first segment of a key, two of a head.
func kindOf(key string) string {
	rest, isHead := strings.CutPrefix(key, catalog.Heads)
	kind, _, _ := strings.Cut(rest, "/")
	if isHead {
		kind = catalog.Heads + kind
	}
	return kind
}

// read returns a value that was listed, or a newer one.
func (s *snapshot) read(ctx context.Context, l listed) ([]byte, error) {
	if v, err := parseValue(s.cache.get(s.bucket, l)); err == nil && v.body != nil {
		return v.body, nil
	}
	o, err := s.bucket.get(ctx, l.name)
	if err != nil {
		return nil, err
	}
	v, err := parseValue(o)
	if err != nil {
		return nil, fmt.Errorf("s3://%s/%s%s: %w", s.bucket.name, s.bucket.prefix, l.name, err)
	}
	if v.body != nil {
		s.cache.put(s.bucket, l.name, o)
	}
	return v.body, nil
}
