package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/iibake/iibake/bake/catalog"
)

// request is a change that somebody asks for.
type request struct {
	change
	allow func(now []byte) error // objects to what the key holds now
	done  chan error             // gets what became of it, once
}

// Put implements [catalog.Catalog].
func (c *Catalog) Put(ctx context.Context, key string, body []byte) error {
	if err := catalog.CheckRecord(key); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	body = append([]byte{}, body...) // not nil, which would be a removal, and not the caller's
	err := c.request(ctx, opPut, key, body, func(now []byte) error {
		if now != nil && !bytes.Equal(now, body) {
			return fmt.Errorf("%w with another body", catalog.ErrExists)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	return nil
}

// Swap implements [catalog.Catalog].
func (c *Catalog) Swap(ctx context.Context, head string, old, next []byte) error {
	if err := catalog.CheckHead(head); err != nil {
		return fmt.Errorf("swap: %w", err)
	}
	old = bytes.Clone(old)
	err := c.request(ctx, opSwap, head, bytes.Clone(next), func(now []byte) error {
		if !same(now, old) {
			return catalog.ErrMoved
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("swap %s: %w", head, err)
	}
	return nil
}

// same is bytes.Equal, but nil, which means absent, equals only nil.
func same(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }

// request asks for a change and waits for what becomes of it. Who stops waiting does not know whether it is made.
func (c *Catalog) request(ctx context.Context, op, key string, body []byte, allow func([]byte) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &request{change{op, key, digestOf(body), int64(len(body)), body}, allow, make(chan error, 1)}
	c.mu.Lock()
	c.queue = append(c.queue, r)
	if !c.working {
		c.working = true
		go c.work(context.WithoutCancel(ctx)) // it works for others as well
	}
	c.mu.Unlock()
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		c.mu.Lock()
		c.queue = slices.DeleteFunc(c.queue, func(other *request) bool { return other == r })
		c.mu.Unlock()
		return ctx.Err()
	}
}

// work makes the changes that are asked for, until there are none.
func (c *Catalog) work(ctx context.Context) {
	for {
		batch := c.take()
		if batch == nil {
			return
		}
		rest, err := c.commit(ctx, batch)
		if err != nil {
			c.end = nil // whatever happened, the next one looks
		}
		for _, r := range rest {
			r.done <- err
		}
	}
}

// What an entry holds at most; a value that alone is larger has one of its own.
const (
	maxChanges = 64
	maxBytes   = 4 << 20
)

// take takes out changes that can be made at once: of different keys, the oldest first. It returns nil, and the work is over, where there are none.
func (c *Catalog) take() []*request {
	c.mu.Lock()
	defer c.mu.Unlock()
	var batch, later []*request
	keys, size := map[string]bool{}, int64(0)
	for _, r := range c.queue {
		fits := len(batch) == 0 || len(batch) < maxChanges && size+r.Size <= maxBytes
		if keys[r.Key] || !fits {
			later = append(later, r)
		} else {
			batch = append(batch, r)
			size += r.Size
		}
		keys[r.Key] = true
	}
	c.queue = later
	c.working = batch != nil
	return batch
}

// commit makes changes, and returns those whose askers do not know yet what became of them, which is its error.
func (c *Catalog) commit(ctx context.Context, batch []*request) ([]*request, error) {
	for {
		if err := c.findEnd(ctx); err != nil {
			return batch, err
		}
		now, err := c.bucket.values(ctx, batch)
		if err != nil {
			return batch, err
		}
		batch, now = settled(batch, now)
		if len(batch) == 0 {
			return nil, nil
		}
		err = c.append(ctx, batch, now)
		if !errors.Is(err, errTaken) {
			return batch, err
		}
		c.end = nil // somebody was faster
	}
}

// settled tells those whose change is refused or made already, and returns the others.
func settled(batch []*request, now []value) ([]*request, []value) {
	var left []*request
	var held []value
	for i, r := range batch {
		if err := r.allow(now[i].body); err != nil || same(now[i].body, r.body) {
			r.done <- err
			continue
		}
		left, held = append(left, r), append(held, now[i])
	}
	return left, held
}

// values returns what the keys of changes hold now.
func (b *bucket) values(ctx context.Context, batch []*request) ([]value, error) {
	values := make([]value, len(batch))
	err := each(ctx, len(batch), func(ctx context.Context, i int) (err error) {
		values[i], err = b.value(ctx, batch[i].Key)
		return err
	})
	return values, err
}

func (b *bucket) value(ctx context.Context, key string) (value, error) {
	o, err := b.get(ctx, dataDir+key)
	if err != nil {
		return value{}, err
	}
	v, err := parseValue(o)
	if err != nil {
		return value{}, fmt.Errorf("s3://%s/%s%s%s: %w", b.name, b.prefix, dataDir, key, err)
	}
	return v, nil
}
