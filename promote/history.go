package promote

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/iibake/iibake/bake"
)

// Past is a promotion with what became of it.
type Past struct {
	Promotion

	// Outcome is nil where nobody has said yet how it ended: it is under way, or its process died.
	Outcome *Outcome `json:"outcome,omitempty"`
}

// Moved reports whether the promotion moved its channel.
func (p Past) Moved() bool { return p.Outcome != nil && p.Outcome.Result == Promoted && !p.Only }

// History returns the promotions of a channel of image name, oldest first. Of one whose process died between moving the channel
// and saying so, the outcome follows from what came after it.
func (v Channels) History(ctx context.Context, name string, ch Channel) ([]Past, error) {
	history, err := v.history(ctx, name, ch)
	if err != nil {
		return nil, fmt.Errorf("history of %s@%s: %w", name, ch, err)
	}
	var held *bake.Ref
	if now, err := v.Get(ctx, name, ch); err == nil {
		held = &now
	} else if !errors.Is(err, bake.ErrNotFound) {
		return nil, err
	}
	inferOutcomes(history, held)
	return history, nil
}

func (v Channels) history(ctx context.Context, name string, ch Channel) ([]Past, error) {
	keys, err := v.c.List(ctx, channelPrefix(promotionsPrefix, name, ch))
	if err != nil {
		return nil, err
	}
	history := make([]Past, len(keys))
	for i, key := range keys {
		n, err := recordNumber(key)
		if err != nil {
			return nil, err
		}
		if history[i].Promotion, err = v.Promotion(ctx, name, ch, n); err != nil {
			return nil, err
		}
		o, err := v.Outcome(ctx, history[i].Promotion)
		if err == nil {
			history[i].Outcome = &o
		} else if !errors.Is(err, bake.ErrNotFound) {
			return nil, err
		}
	}
	return history, nil
}

// inferOutcomes goes back from what the channel holds: what it holds came from the promotion that says so, and where none
// does, from the last one whose end nobody told.
func inferOutcomes(history []Past, held *bake.Ref) {
	for i := len(history) - 1; i >= 0 && held != nil; i-- {
		p := &history[i]
		switch {
		case p.Moved():
			held = p.From
		case p.Outcome == nil && !p.Only && p.To == *held && !earlierMoved(history[:i], p.Promotion):
			p.Outcome = &Outcome{Result: Promoted, At: p.At}
			held = p.From
		}
	}
}

// earlierMoved reports whether a promotion before p says itself that it brought the channel to p.To, and nothing moved it since.
func earlierMoved(before []Past, p Promotion) bool {
	for _, past := range slices.Backward(before) {
		if past.Moved() {
			return past.To == p.To
		}
	}
	return false
}

func channelsSorted(held map[Channel]bake.Ref) []Channel { return slices.Sorted(maps.Keys(held)) }
