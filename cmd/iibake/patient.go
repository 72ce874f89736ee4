package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/iibake/iibake/bake/catalog"
)

// patient is a catalog that is read until a deadline.
type patient struct {
	catalog.Catalog

	within time.Duration
	until  time.Time
}

// Get implements [catalog.Catalog].
func (p patient) Get(ctx context.Context, key string) ([]byte, error) {
	within, cancel := context.WithDeadline(ctx, p.until)
	defer cancel()
	body, err := p.Catalog.Get(within, key)
	return body, p.tell(ctx, within, err)
}

// List implements [catalog.Catalog].
func (p patient) List(ctx context.Context, prefix string) ([]string, error) {
	within, cancel := context.WithDeadline(ctx, p.until)
	defer cancel()
	keys, err := p.Catalog.List(within, prefix)
	return keys, p.tell(ctx, within, err)
}

func (p patient) tell(outer, within context.Context, err error) error {
	if err == nil || outer.Err() != nil || !errors.Is(within.Err(), context.DeadlineExceeded) {
		return err
	}
	return withHint(fmt.Errorf("the catalog did not answer within %s: %w", p.within, err), "--timeout lets it take longer")
}
