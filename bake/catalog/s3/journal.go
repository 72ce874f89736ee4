package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// end is the end of the journal: its last entry, whose values, like those of all before it, are in place.
type end struct {
	seq    int64
	digest string
}

// findEnd finds the end of the journal, unless it is known, and puts in place what a process that died has left.
func (c *Catalog) findEnd(ctx context.Context) error {
	if c.end != nil {
		return nil
	}
	seq, err := c.bucket.newest(ctx)
	if err != nil {
		return err
	}
	if seq == 0 {
		c.end = &end{0, first()}
		return nil
	}
	e, digest, err := c.bucket.entry(ctx, seq)
	if err != nil {
		return err
	}
	if err := c.bucket.complete(ctx, e); err != nil {
		return err
	}
	c.end = &end{seq, digest}
	return nil
}

// newest returns the number of the last entry, or zero.
func (b *bucket) newest(ctx context.Context) (int64, error) {
	seq := int64(0)
	var odd error
	err := b.list(ctx, journalDir, 1, func(l listed) {
		if seq, odd = entrySeq(l.name); odd != nil {
			odd = fmt.Errorf("s3://%s/%s%s: %w", b.name, b.prefix, l.name, odd)
		}
	})
	return seq, errors.Join(err, odd)
}

// entry reads an entry, with the digest of its line.
func (b *bucket) entry(ctx context.Context, seq int64) (entry, string, error) {
	name := entryName(seq)
	fail := func(err error) (entry, string, error) {
		return entry{}, "", fmt.Errorf("s3://%s/%s%s: %w", b.name, b.prefix, name, err)
	}
	o, err := b.get(ctx, name)
	if err != nil {
		return entry{}, "", err
	}
	if o == nil {
		return fail(errors.New("the entry has been removed: restore it"))
	}
	e, digest, err := parseEntry(o.body)
	if err == nil && e.Seq != seq {
		err = fmt.Errorf("it holds entry %d: it was altered", e.Seq)
	}
	if err != nil {
		return fail(fmt.Errorf("%w: restore it, and see what iibake verify says", err))
	}
	return e, digest, nil
}

// append makes changes by a new entry, or returns errTaken where somebody else has made that entry. What they replace is what their keys hold now.
func (c *Catalog) append(ctx context.Context, batch []*request, now []value) error {
	e := entry{Seq: c.end.seq + 1, Time: time.Now().UTC(), Prev: c.end.digest, Nonce: rand.Text()}
	for _, r := range batch {
		e.Changes = append(e.Changes, r.change)
	}
	body, digest, err := e.format()
	if err != nil {
		return err
	}
	if err := c.bucket.create(ctx, entryName(e.Seq), body); err != nil {
		return err
	}
	err = each(ctx, len(batch), func(ctx context.Context, i int) error {
		return c.bucket.place(ctx, e.Seq, batch[i].change, now[i].etag)
	})
	if err != nil {
		return fmt.Errorf("it is on record as entry %d and not yet in place, which the next change will mend: %w", e.Seq, err)
	}
	c.end = &end{e.Seq, digest}
	return nil
}

// create creates an object, or returns errTaken where there is another one. Where an answer was lost, it may be there already.
func (b *bucket) create(ctx context.Context, name string, body []byte) error {
	err := b.put(ctx, name, body, "")
	if !errors.Is(err, errTaken) {
		return err
	}
	o, again := b.get(ctx, name)
	if again != nil {
		return again
	}
	if o != nil && bytes.Equal(o.body, body) {
		return nil
	}
	return errTaken
}

// place puts the value of a change in place of the object with an ETag. Where that is no longer there, somebody else has placed this value, or we have
// and the answer was lost: nothing else can be done to the key before.
func (b *bucket) place(ctx context.Context, seq int64, c change, etag string) error {
	err := b.put(ctx, dataDir+c.Key, formatValue(seq, c.body), etag)
	if errors.Is(err, errTaken) {
		return nil
	}
	return err
}

// complete makes sure that the values of the last entry are in place.
func (b *bucket) complete(ctx context.Context, e entry) error {
	return each(ctx, len(e.Changes), func(ctx context.Context, i int) error {
		now, err := b.value(ctx, e.Changes[i].Key)
		if err != nil || now.seq >= e.Seq {
			return err
		}
		return b.place(ctx, e.Seq, e.Changes[i], now.etag)
	})
}

// parallel is how many calls are made at once.
const parallel = 32

// each calls f for every number below n, many at once.
func each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	if n == 1 {
		return f(ctx, 0)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i := range n {
		g.Go(func() error { return f(ctx, i) })
	}
	return g.Wait()
}
