package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Copied counts what a [Copy] dealt with.
type Copied struct {
	Records int `json:"records"` // in from
	Heads   int `json:"heads"`   // in from
	New     int `json:"new"`     // of both, those that to did not hold
}

// copies is how many records are put at once: a catalog in a bucket makes what is asked for together in few calls.
const copies = 64

// Copy puts every record and head of from into to, the heads last: one that is there leads to records that are. Nothing in to is replaced: where it holds
// something else under a key the error wraps [ErrExists], or [ErrMoved] for a head, and names the key. What was copied before is not copied again, so
// that whoever was interrupted calls it again. The journal is not copied: that of to tells what to did.
func Copy(ctx context.Context, from, to Catalog) (Copied, error) {
	var done Copied
	keys, err := from.List(ctx, "")
	if err != nil {
		return done, err
	}
	there, err := to.List(ctx, "")
	if err != nil {
		return done, err
	}
	isHead := func(key string) bool { return strings.HasPrefix(key, Heads) }
	heads := slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return !isHead(key) })
	records := slices.DeleteFunc(keys, isHead)
	if err := copyAll(ctx, records, func(ctx context.Context, key string) error {
		body, err := from.Get(ctx, key)
		if err != nil {
			return err
		}
		return to.Put(ctx, key, body)
	}); err != nil {
		return done, err
	}
	if err := copyAll(ctx, heads, func(ctx context.Context, key string) error { return copyHead(ctx, from, to, key) }); err != nil {
		return done, err
	}
	done.Records, done.Heads = len(records), len(heads)
	for _, key := range slices.Concat(records, heads) {
		if _, known := slices.BinarySearch(there, key); !known {
			done.New++
		}
	}
	return done, nil
}

func copyAll(ctx context.Context, keys []string, one func(context.Context, string) error) error {
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(copies)
	for _, key := range keys {
		all.Go(func() error {
			if err := one(ctx, key); err != nil {
				return fmt.Errorf("copy %s: %w", key, err)
			}
			return nil
		})
	}
	return all.Wait()
}

func copyHead(ctx context.Context, from, to Catalog, key string) error {
	value, err := from.Get(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return nil // removed since it was listed
	}
	if err != nil {
		return err
	}
	held, err := to.Get(ctx, key)
	switch {
	case errors.Is(err, ErrNotFound):
		return to.Swap(ctx, key, nil, value)
	case err != nil:
		return err
	case !slices.Equal(held, value):
		return fmt.Errorf("%w: it holds something else there", ErrMoved)
	}
	return nil
}
