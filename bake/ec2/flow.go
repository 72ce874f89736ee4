package ec2

import (
	"context"
	"sync"
)

// Blocks that are on their way at once. 64 are what it takes to use a fast line; each is half a MiB of memory. On a slow one each would take longer
// than an attempt may, all would be given up together, and sent again together.
const (
	maxFlow   = 64
	firstFlow = 8
	minFlow   = 4
)

// flow says how many blocks may be on their way. It begins with a few and doubles the number with each round, until there is trouble. Then it
// halves the number, and adds one for each round that went well.
type flow struct {
	mu     sync.Mutex
	free   sync.Cond
	limit  float64
	calm   bool // there was no trouble yet
	active int
	grace  int // blocks that were on their way when the limit fell: their trouble is known
}

func newFlow() *flow {
	f := &flow{limit: firstFlow, calm: true}
	f.free.L = &f.mu
	return f
}

// enter waits until one more block may be sent.
func (f *flow) enter(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.free.Broadcast()
	})()
	f.mu.Lock()
	defer f.mu.Unlock()
	for float64(f.active) >= f.limit && ctx.Err() == nil {
		f.free.Wait()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	f.active++
	return nil
}

// leave says that a block has arrived, or not, and whether it took more than one try.
func (f *flow) leave(trouble bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.active--
	known := f.grace > 0
	f.grace = max(0, f.grace-1)
	switch {
	case trouble && !known:
		f.limit, f.calm = max(minFlow, f.limit/2), false
		f.grace = f.active
	case !trouble && f.calm:
		f.limit = min(maxFlow, f.limit+1)
	case !trouble:
		f.limit = min(maxFlow, f.limit+1/f.limit)
	}
	f.free.Broadcast()
}
