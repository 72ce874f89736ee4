// Package promote is the third stage: it moves images that passed their tests from channel to channel.
//
// A channel is a movable name for one version of an image. Whoever deploys or builds on `web@production` gets the version
// that the channel holds at that moment; moving the channel is the only way to change that. Nothing enters a channel without
// a verdict that it passed, and each move is on record with its proof, so that it can be taken back.
//
// A channel may have fleets that follow it. Then a promotion moves them first, wave by wave: each is a [Rollout], carried out by an
// adapter below this package that implements [Fleet]. The channel moves when all have arrived.
package promote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/test"
)

// Channels is the view of a catalog that knows which version each channel holds.
type Channels struct {
	c        catalog.Catalog
	verdicts test.Verdicts
}

// NewChannels returns the channels of c.
func NewChannels(c catalog.Catalog) Channels { return Channels{c, test.NewVerdicts(c)} }

// Keys of the catalog.
const promotionsPrefix = "promotions/" // NAME/CHANNEL/N → Promotion

func promotionKey(name string, ch Channel, n int) string {
	return fmt.Sprintf("%s%s/%s/%06d", promotionsPrefix, name, ch, n)
}

// Get returns the version of image name that a channel holds, or an error wrapping [bake.ErrNotFound].
func (v Channels) Get(ctx context.Context, name string, ch Channel) (bake.Ref, error) {
	version, err := v.c.Get(ctx, bake.ChannelHead(name, string(ch)))
	if errors.Is(err, catalog.ErrNotFound) {
		return bake.Ref{}, fmt.Errorf("channel %s@%s: %w", name, ch, bake.ErrNotFound)
	}
	if err != nil {
		return bake.Ref{}, fmt.Errorf("channel %s@%s: %w", name, ch, err)
	}
	return bake.Ref{Name: name, Version: string(version)}, nil
}

// Of returns the channels that hold r, sorted.
func (v Channels) Of(ctx context.Context, r bake.Ref) ([]Channel, error) {
	prefix := bake.ChannelHead(r.Name, "")
	heads, err := v.c.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("channels of %s: %w", r, err)
	}
	var found []Channel
	for _, head := range heads {
		ch := Channel(strings.TrimPrefix(head, prefix))
		held, err := v.Get(ctx, r.Name, ch)
		if errors.Is(err, bake.ErrNotFound) {
			continue // removed since it was listed
		}
		if err != nil {
			return nil, err
		}
		if held == r {
			found = append(found, ch)
		}
	}
	return found, nil
}

// Move moves p.Channel of image p.To.Name from the version p.From to p.To, and returns p with its proof. It refuses, with an
// error wrapping [bake.ErrRefused], an image without a verdict that it passed, and wraps [catalog.ErrMoved] where the channel
// does not hold p.From. Only the caller who reads the channel knows what it wants to replace: Move does not try again.
func (v Channels) Move(ctx context.Context, p Promotion) (Promotion, error) {
	fail := func(err error) (Promotion, error) {
		return Promotion{}, fmt.Errorf("move %s@%s to %s: %w", p.To.Name, p.Channel, p.To.Version, err)
	}
	verdict, err := v.verdicts.Latest(ctx, p.To)
	switch {
	case errors.Is(err, bake.ErrNotFound):
		return fail(fmt.Errorf("%w: it was never tested", bake.ErrRefused))
	case err != nil:
		return fail(err)
	case !verdict.Passed():
		return fail(fmt.Errorf("%w: it did not pass its tests", bake.ErrRefused))
	}
	p.Proof = verdict.At
	if err := v.intend(ctx, p); err != nil {
		return fail(err)
	}
	var old []byte
	if p.From != nil {
		old = []byte(p.From.Version)
	}
	if err := v.c.Swap(ctx, bake.ChannelHead(p.To.Name, string(p.Channel)), old, []byte(p.To.Version)); err != nil {
		return fail(err)
	}
	return p, nil
}

// intend puts the record of a promotion behind those that there are.
func (v Channels) intend(ctx context.Context, p Promotion) error {
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	for {
		n, err := v.count(ctx, p.To.Name, p.Channel)
		if err != nil {
			return err
		}
		err = v.c.Put(ctx, promotionKey(p.To.Name, p.Channel, n+1), body)
		if !errors.Is(err, catalog.ErrExists) {
			return err
		}
	}
}

func (v Channels) count(ctx context.Context, name string, ch Channel) (int, error) {
	prefix := promotionsPrefix + name + "/" + string(ch) + "/"
	keys, err := v.c.List(ctx, prefix)
	if err != nil || len(keys) == 0 {
		return 0, err
	}
	return strconv.Atoi(strings.TrimPrefix(keys[len(keys)-1], prefix))
}

// History returns the promotions of a channel of image name, oldest first, those that were only intended among them.
func (v Channels) History(ctx context.Context, name string, ch Channel) ([]Promotion, error) {
	keys, err := v.c.List(ctx, promotionsPrefix+name+"/"+string(ch)+"/")
	if err != nil {
		return nil, fmt.Errorf("history of %s@%s: %w", name, ch, err)
	}
	history := make([]Promotion, len(keys))
	for i, key := range keys {
		body, err := v.c.Get(ctx, key)
		if err == nil {
			err = json.Unmarshal(body, &history[i])
		}
		if err != nil {
			return nil, fmt.Errorf("history of %s@%s: %s: %w", name, ch, key, err)
		}
	}
	return history, nil
}
