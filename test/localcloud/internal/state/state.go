// Package state is what the cloud remembers: the records of every service, by region, in memory, and on request on disk.
//
// All records of a region stand under one lock, so that a request sees and leaves a consistent region. The lock is held for
// microseconds: nobody waits, reads a disk or calls another service's machines under it. A change is kept as a whole or not at
// all, also when the process is killed.
package state

import (
	"sync"
	"time"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
)

// Store is the regions of one cloud.
type Store struct {
	clock  clock.Clock
	keeper *keeper // nil where everything is in memory only

	mu      sync.Mutex
	regions map[string]*Region
}

// New returns an empty store in memory.
func New(c clock.Clock) *Store { return &Store{clock: c, regions: map[string]*Region{}} }

// Clock returns the cloud's clock.
func (s *Store) Clock() clock.Clock { return s.clock }

// Update calls f with a region that nobody else sees meanwhile, and keeps what it changed, also where it fails: validate first,
// then change. Then the functions that f left with Region.Then are called, without the lock. f must not call Update or View.
//
// What was changed is on record after the next [Store.Sync], which a change that nobody waits for gets by itself within moments.
func (s *Store) Update(region string, f func(*Region) error) error {
	r := s.region(region)
	then, err := s.update(r, f)
	for _, call := range then {
		call()
	}
	return err
}

// View calls f with a region that does not change meanwhile, and that f must not change. f must not call Update or View.
func (s *Store) View(region string, f func(*Region) error) error {
	r := s.region(region)
	r.mu.RLock()
	defer r.mu.RUnlock()
	return f(r)
}

// Regions returns the names of the regions that somebody has used, in no order.
func (s *Store) Regions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.regions))
	for name := range s.regions {
		names = append(names, name)
	}
	return names
}

func (s *Store) region(name string) *Region {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.regions[name]
	if r == nil {
		r = &Region{Name: name, clock: s.clock}
		if s.keeper != nil {
			r.noteChanges()
		}
		s.regions[name] = r
	}
	return r
}

func (s *Store) update(r *Region, f func(*Region) error) ([]func(), error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.clock.Now()
	defer func() { r.now = time.Time{} }() // a View tells the time of the clock
	err := f(r)
	then := r.then
	r.then = nil
	if s.keeper != nil && r.changed() {
		s.keeper.expect(s)
	}
	return then, err
}
