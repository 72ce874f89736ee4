package promote

import (
	"context"
	"sync"
	"time"
)

// crew is a number of workers who step legs, so that a fleet that is slow to answer does not keep the others waiting.
type crew struct {
	workers int
	jobs    chan *leg // as many as there are legs fit in: handing out never waits
	done    chan *leg
	under   int // legs with the workers
	all     sync.WaitGroup
}

func newCrew(workers, legs int) *crew {
	return &crew{workers: workers, jobs: make(chan *leg, legs), done: make(chan *leg, legs)}
}

// hire starts the workers. They work until they are dismissed.
func (c *crew) hire(ctx context.Context) {
	for range c.workers {
		c.all.Go(func() {
			for l := range c.jobs {
				l.step(ctx)
				c.done <- l
			}
		})
	}
}

// work hands out the legs that have something to do.
func (c *crew) work(legs []*leg) {
	for _, l := range legs {
		if l.busy || l.stuck || l.idle() {
			continue
		}
		l.busy = true
		c.under++
		c.jobs <- l
	}
}

// collect takes back what was handed out, as far as it comes back within a time.
func (c *crew) collect(within time.Duration) {
	if c.under == 0 {
		return
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	for late := false; c.under > 0 && (!late || len(c.done) > 0); {
		select {
		case l := <-c.done:
			l.busy = false
			c.under--
		case <-timer.C:
			late = true
		}
	}
}

// dismiss waits for the workers to end what they have in hand.
func (c *crew) dismiss() {
	close(c.jobs)
	c.all.Wait()
}
