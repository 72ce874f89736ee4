package instance

import (
	"sync"

	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// commands are what the driver is still to be told in a region. They are queued under the region's lock and carried out after the Update that queued
// them, in the order of the queue: otherwise a Terminate of one request could overtake the Start of another, and a machine would run for ever.
type commands struct {
	mu   sync.Mutex
	list []*command
	busy bool // somebody carries them out, one after the other
}

type command struct {
	run   func()
	ready bool // its Update is over
}

// tell queues a command for the driver. It is called inside an Update.
func (s *Service) tell(r *state.Region, f func(d compute.Driver)) {
	if s.driver == nil {
		return
	}
	q := s.queue(r.Name)
	c := &command{run: func() { f(s.driver) }}
	q.mu.Lock()
	q.list = append(q.list, c)
	q.mu.Unlock()
	r.Then(func() {
		q.mu.Lock()
		c.ready = true
		q.mu.Unlock()
		q.drain()
	})
}

func (s *Service) queue(region string) *commands {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[region]
	if q == nil {
		q = &commands{}
		s.queues[region] = q
	}
	return q
}

// drain carries out what is ready, unless somebody does so already, who then also does what has come meanwhile.
func (q *commands) drain() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.busy {
		return
	}
	q.busy = true
	for len(q.list) > 0 && q.list[0].ready {
		c := q.list[0]
		q.list[0] = nil
		q.list = q.list[1:]
		q.mu.Unlock()
		c.run()
		q.mu.Lock()
	}
	q.busy = false
}
