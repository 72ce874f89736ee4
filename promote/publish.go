package promote

import (
	"context"
	"errors"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
)

type published struct {
	artifacts map[string]bake.Artifact
	err       error
}

// publish makes the image exist where the fleets are. That takes minutes, in which the catalog is asked now and then what people wish.
func (d *drive) publish(ctx context.Context) error {
	if d.published || !d.needsImage() {
		return nil
	}
	d.view.Step = Publishing
	d.tell()
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan published, 1)
	go func() {
		artifacts, err := d.c.Publisher.Publish(within, d.img, d.p.Targets)
		done <- published{artifacts, err}
	}()
	tick := time.NewTicker(d.c.Poll)
	defer tick.Stop()
	for {
		select {
		case r := <-done:
			return d.publishedAs(ctx, r)
		case <-tick.C:
			a, err := d.watch.look(ctx)
			if err == nil {
				d.fine(looking)
			}
			over := errors.Is(err, catalog.ErrMoved) || errors.Is(err, bake.ErrNotFound)
			if !over && (err != nil || a.Wish != Abort) {
				continue // a catalog that does not answer is no reason to give up what is being uploaded
			}
			cancel()
			r := <-done
			return d.publishedAs(ctx, r)
		}
	}
}

// publishedAs takes in what became of publishing. Where nothing has moved, an error is the end of the promotion; otherwise it is tried again.
func (d *drive) publishedAs(ctx context.Context, r published) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	a, err := d.watch.look(ctx)
	if err != nil {
		return err
	}
	d.active = a
	d.blame()
	switch {
	case d.failure != nil:
		d.retreat()
	case r.err == nil:
		d.artifacts, d.published = r.artifacts, true
	case d.untouched() || errors.Is(r.err, bake.ErrRefused):
		d.refuse(r.err)
	default:
		return r.err
	}
	return nil
}

// needsImage reports whether it must be known where the image is: fleets that go back to what they were launched from do not ask.
func (d *drive) needsImage() bool {
	if d.p.To.Version == "" || len(d.p.Targets) == 0 {
		return false
	}
	for _, l := range d.legs {
		if !l.home {
			return true
		}
	}
	return !d.p.Back
}

// untouched reports whether no fleet was touched.
func (d *drive) untouched() bool {
	for _, l := range d.legs {
		if l.busy || l.r.Phase != Planned {
			return false
		}
	}
	return true
}
