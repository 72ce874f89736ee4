package promote

import (
	"context"
	"errors"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
)

// task is what the catalog is needed for. Each has a patience of its own: one that goes well does not hide that another one never does, and
// minutes after one failed, when it went well long since, another one that fails is new.
type task string

const (
	looking  task = "look"    // at what people wish
	deciding task = "decide"  // by the gates and what the channel holds
	settling task = "settle"  // that there is no way back
	moving   task = "move"    // the channel
	ending   task = "outcome" // on record, and the channel free
)

// bear tolerates for a while that the catalog does not answer: nothing is begun meanwhile.
func (d *drive) bear(what task, err error) error {
	if err == nil || errors.Is(err, catalog.ErrMoved) || errors.Is(err, bake.ErrNotFound) || errors.Is(err, context.Canceled) {
		return err
	}
	if d.trouble[what] == nil {
		d.trouble[what] = &spell{}
	}
	if d.trouble[what].on(d.c.Clock.Now(), d.c.Patience/2) >= d.c.Patience {
		return err
	}
	d.view.Reason = d.trouble[what].say(err) + "; it is tried again"
	d.tell()
	return nil
}

// fine says that something that the catalog is needed for went well.
func (d *drive) fine(what task) { delete(d.trouble, what) }
