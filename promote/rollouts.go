package promote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/iibake/iibake/bake/catalog"
)

// Rollouts is the journal of what rollouts did, and were about to do.
type Rollouts struct{ c catalog.Catalog }

// NewRollouts returns the rollouts on record in c.
func NewRollouts(c catalog.Catalog) Rollouts { return Rollouts{c} }

// Append puts r, which is part of p, behind the record that it came from, and returns it with its step. The same once more is no error.
// It wraps [catalog.ErrMoved] where something else stands there: another process carries the rollout on.
func (v Rollouts) Append(ctx context.Context, p Promotion, r Rollout) (Rollout, error) {
	r.Step++
	body, err := json.Marshal(r)
	if err != nil {
		return Rollout{}, err
	}
	err = v.c.Put(ctx, recordKey(rolloutPrefix(p, r.Fleet.Name), r.Step), body)
	if errors.Is(err, catalog.ErrExists) {
		err = fmt.Errorf("another process carries it on: %w", catalog.ErrMoved)
	}
	if err != nil {
		return Rollout{}, fmt.Errorf("record that %s is %s: %w", r.ID(), r.Phase, err)
	}
	return r, nil
}

// Latest returns where each rollout of p is, by the name of its fleet. A fleet whose rollout was never recorded is not in it.
func (v Rollouts) Latest(ctx context.Context, p Promotion) (map[string]Rollout, error) {
	prefix := rolloutPrefix(p, "")
	keys, err := v.c.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("rollouts of %s: %w", p.ID(), err)
	}
	last := map[string]string{}
	for _, key := range keys { // sorted: a later one is further on
		fleet, _, _ := strings.Cut(strings.TrimPrefix(key, prefix), "/")
		last[fleet] = key
	}
	latest := map[string]Rollout{}
	for fleet, key := range last {
		if latest[fleet], err = recordGet[Rollout](ctx, v.c, key); err != nil {
			return nil, fmt.Errorf("rollouts of %s: %w", p.ID(), err)
		}
	}
	return latest, nil
}

// Of returns all records of one fleet in p, oldest first.
func (v Rollouts) Of(ctx context.Context, p Promotion, fleet string) ([]Rollout, error) {
	list, err := recordList[Rollout](ctx, v.c, rolloutPrefix(p, fleet))
	if err != nil {
		return nil, fmt.Errorf("rollout %s/%s: %w", p.ID(), fleet, err)
	}
	return list, nil
}

// rolloutPrefix is what the keys of a fleet in p begin with, or of all fleets where its name is empty.
func rolloutPrefix(p Promotion, fleet string) string {
	prefix := promotionKey(rolloutsPrefix, p.To.Name, p.Channel, p.Number) + "/"
	if fleet == "" {
		return prefix
	}
	return prefix + fleet + "/"
}
