package promote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
)

// Channels is the view of a catalog that knows which version each channel holds, and how it got there.
//
// A promotion is put on record before anything is done ([Channels.Intend]), then the channel moves ([Channels.Set]), then what became
// of it is put on record ([Channels.End]). Whoever carries the promotion on after a crash calls the last two again.
type Channels struct{ c catalog.Catalog }

// NewChannels returns the channels of c.
func NewChannels(c catalog.Catalog) Channels { return Channels{c} }

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

// Held returns what every channel of image name holds.
func (v Channels) Held(ctx context.Context, name string) (map[Channel]bake.Ref, error) {
	prefix := bake.ChannelHead(name, "")
	heads, err := v.c.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("channels of %s: %w", name, err)
	}
	held := map[Channel]bake.Ref{}
	for _, head := range heads {
		ch := Channel(strings.TrimPrefix(head, prefix))
		ref, err := v.Get(ctx, name, ch)
		if errors.Is(err, bake.ErrNotFound) {
			continue // removed since it was listed
		}
		if err != nil {
			return nil, err
		}
		held[ch] = ref
	}
	return held, nil
}

// Of returns the channels that hold r, sorted.
func (v Channels) Of(ctx context.Context, r bake.Ref) ([]Channel, error) {
	held, err := v.Held(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	var found []Channel
	for _, ch := range channelsSorted(held) {
		if held[ch] == r {
			found = append(found, ch)
		}
	}
	return found, nil
}

// Move moves a channel that no fleet follows: p.Channel of image p.To.Name from the version p.From to p.To, and returns p with its
// number and proof. It refuses, with an error wrapping [bake.ErrRefused], what the gates of every channel refuse: an image without a
// verdict that it passed, a revoked one. It wraps [catalog.ErrMoved] where the channel does not hold p.From. Only the caller who reads
// the channel knows what it wants to replace: Move does not try again.
func (v Channels) Move(ctx context.Context, p Promotion) (Promotion, error) {
	fail := func(err error) (Promotion, error) {
		return Promotion{}, fmt.Errorf("move %s@%s to %s: %w", p.To.Name, p.Channel, p.To.Version, err)
	}
	img, err := bake.NewImages(v.c).Get(ctx, p.To)
	if err != nil {
		return fail(err)
	}
	gates, err := NewGates(v.c).Check(ctx, img, Rule{Channel: p.Channel}, p.At)
	if err == nil {
		err = Refused(gates)
	}
	if err != nil {
		return fail(err)
	}
	if p, err = v.Intend(ctx, p); err != nil {
		return Promotion{}, err
	}
	if err := v.Set(ctx, p); err != nil {
		late := v.End(context.WithoutCancel(ctx), p, Outcome{Stopped, err.Error(), p.At})
		return fail(errors.Join(err, late))
	}
	return p, v.End(ctx, p, Outcome{Promoted, "", p.At})
}

// Intend puts p on record behind the promotions that its channel has, and returns it with its number, and its proof where it had
// none: the time of the newest verdict. The way back to what iibake did not make has none.
func (v Channels) Intend(ctx context.Context, p Promotion) (Promotion, error) {
	if p.Proof.IsZero() && p.To.Version != "" {
		verdict, err := v.verdict(ctx, p.To)
		if err != nil {
			return Promotion{}, err
		}
		p.Proof = verdict.At
	}
	err := recordAppend(ctx, v.c, channelPrefix(promotionsPrefix, p.To.Name, p.Channel), func(n int) any {
		p.Number = n
		return p
	})
	if err != nil {
		return Promotion{}, fmt.Errorf("record the promotion of %s to %s: %w", p.To, p.Channel, err)
	}
	return p, nil
}

// Set moves the channel from p.From to p.To. To have done so before is no error. It wraps [catalog.ErrMoved], and says who was faster,
// where the channel holds neither.
func (v Channels) Set(ctx context.Context, p Promotion) error {
	var old []byte
	if p.From != nil {
		old = []byte(p.From.Version)
	}
	err := v.c.Swap(ctx, bake.ChannelHead(p.To.Name, string(p.Channel)), old, []byte(p.To.Version))
	if !errors.Is(err, catalog.ErrMoved) {
		return err
	}
	return v.moved(ctx, p, &p.To)
}

// Holds returns an error wrapping [catalog.ErrMoved], which says who was faster, where the channel does not hold p.From.
func (v Channels) Holds(ctx context.Context, p Promotion) error { return v.moved(ctx, p, p.From) }

// moved says who moved the channel of p, unless it holds want.
func (v Channels) moved(ctx context.Context, p Promotion, want *bake.Ref) error {
	held, err := v.Get(ctx, p.To.Name, p.Channel)
	none := errors.Is(err, bake.ErrNotFound)
	switch {
	case err != nil && !none:
		return err
	case none && want == nil, !none && want != nil && held == *want:
		return nil
	case none:
		return fmt.Errorf("channel %s@%s holds nothing: %w", p.To.Name, p.Channel, catalog.ErrMoved)
	}
	history, err := v.History(ctx, p.To.Name, p.Channel)
	if err != nil {
		return err
	}
	who := "somebody"
	for _, past := range history {
		if past.Moved() && past.To == held {
			who = fmt.Sprintf("%s at %s, by %s", past.By, past.Outcome.At.UTC().Format(time.DateTime+" UTC"), past.ID())
		}
	}
	return fmt.Errorf("channel %s@%s holds %s, moved by %s: %w", p.To.Name, p.Channel, held, who, catalog.ErrMoved)
}

// End puts on record what became of p. Saying so again is no error; to say something else is one that wraps [catalog.ErrExists].
func (v Channels) End(ctx context.Context, p Promotion, o Outcome) error {
	body, err := json.Marshal(o)
	if err != nil {
		return err
	}
	err = v.c.Put(ctx, promotionKey(outcomesPrefix, p.To.Name, p.Channel, p.Number), body)
	if errors.Is(err, catalog.ErrExists) {
		if known, again := v.Outcome(ctx, p); again == nil && known.Result == o.Result {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("record the outcome of %s: %w", p.ID(), err)
	}
	return nil
}

// Outcome returns what became of p, or an error wrapping [bake.ErrNotFound].
func (v Channels) Outcome(ctx context.Context, p Promotion) (Outcome, error) {
	return recordGet[Outcome](ctx, v.c, promotionKey(outcomesPrefix, p.To.Name, p.Channel, p.Number))
}

// Promotion returns one promotion by its number, or an error wrapping [bake.ErrNotFound].
func (v Channels) Promotion(ctx context.Context, name string, ch Channel, number int) (Promotion, error) {
	p, err := recordGet[Promotion](ctx, v.c, promotionKey(promotionsPrefix, name, ch, number))
	if err != nil {
		return Promotion{}, fmt.Errorf("promotion %s@%s#%d: %w", name, ch, number, err)
	}
	p.Number = number // the first releases kept it in the key alone
	return p, nil
}

// Arrival returns the promotion that brought a channel to r, which it holds since then without a break, and whether there is one. One that
// came later and brought fleets to what the channel held already is another matter.
func Arrival(history []Past, r bake.Ref) (Past, bool) {
	var arrival Past
	for _, past := range history {
		switch {
		case !past.Moved():
		case past.To != r:
			arrival = Past{}
		case arrival.Outcome == nil:
			arrival = past
		}
	}
	return arrival, arrival.Outcome != nil
}

func channelPrefix(prefix, name string, ch Channel) string {
	return prefix + name + "/" + string(ch) + "/"
}

func promotionKey(prefix, name string, ch Channel, n int) string {
	return recordKey(channelPrefix(prefix, name, ch), n)
}
