package clock

import (
	"container/heap"
	"sync"
	"time"
)

// Virtual is a clock that stands still until it is told to go on.
type Virtual struct {
	run     sync.Mutex // held while calls are made, one at a time
	mu      sync.Mutex // guards the fields below
	now     time.Time
	made    uint64
	pending events
}

// NewVirtual returns a clock that stands at start.
func NewVirtual(start time.Time) *Virtual { return &Virtual{now: start.UTC()} }

// Now returns the clock's time.
func (v *Virtual) Now() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now
}

// AfterFunc calls f in a later Advance or Step.
func (v *Virtual) AfterFunc(d time.Duration, f func()) Timer {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.made++
	e := &event{clock: v, at: v.now.Add(max(d, 0)), order: v.made, call: f}
	heap.Push(&v.pending, e)
	return e
}

// Advance moves the time on by d and makes all calls that fall due until then, those that they add included. It must not
// be called by one of them.
func (v *Virtual) Advance(d time.Duration) {
	v.run.Lock()
	defer v.run.Unlock()
	until := v.Now().Add(d)
	for v.step(until) {
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.now = until
}

// Step moves the time on to the next call that is due no later than limit from now, and makes it. It returns false, and leaves
// the time alone, where there is none.
func (v *Virtual) Step(limit time.Duration) bool {
	v.run.Lock()
	defer v.run.Unlock()
	return v.step(v.Now().Add(limit))
}

func (v *Virtual) step(until time.Time) bool {
	v.mu.Lock()
	if len(v.pending) == 0 || v.pending[0].at.After(until) {
		v.mu.Unlock()
		return false
	}
	e := heap.Pop(&v.pending).(*event)
	v.now = e.at
	v.mu.Unlock()
	e.call()
	return true
}

// event is a call to come; its index in the heap is -1 once it is not there any more.
type event struct {
	clock *Virtual
	at    time.Time
	order uint64
	call  func()
	index int
}

// Stop takes the event off the clock.
func (e *event) Stop() bool {
	e.clock.mu.Lock()
	defer e.clock.mu.Unlock()
	if e.index < 0 {
		return false
	}
	heap.Remove(&e.clock.pending, e.index)
	return true
}

// events is a heap by time, then by order of making.
type events []*event

func (h events) Len() int { return len(h) }
func (h events) Less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].order < h[j].order
	}
	return h[i].at.Before(h[j].at)
}

func (h events) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push is for package heap.
func (h *events) Push(x any) {
	e := x.(*event)
	e.index = len(*h)
	*h = append(*h, e)
}

// Pop is for package heap.
func (h *events) Pop() any {
	old := *h
	last := len(old) - 1
	e := old[last]
	old[last] = nil
	*h = old[:last]
	e.index = -1
	return e
}
