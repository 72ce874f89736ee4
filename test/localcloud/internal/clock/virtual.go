package clock

import (
	"container/heap"
	"sync"
	"time"
)

// Virtual is a clock that stands still until it is told to go on: by Advance, by Step, or by Run or Scale, which move it by themselves.
type Virtual struct {
	run  sync.Mutex    // held while calls are made, one at a time
	wake chan struct{} // says to Run and Scale that something below changed

	mu      sync.Mutex // guards the fields below
	now     time.Time
	made    uint64
	pending events
	held    int       // requests in flight
	ended   int       // requests, since there was none in flight
	burst   int       // calls that may be made although requests are in flight
	reach   time.Time // how far Run may go; zero until it runs
	ahead   time.Duration
}

// NewVirtual returns a clock that stands at start.
func NewVirtual(start time.Time) *Virtual {
	return &Virtual{now: start.UTC(), wake: make(chan struct{}, 1)}
}

// Now returns the clock's time.
func (v *Virtual) Now() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now
}

// Pending returns how many calls are to come, and when the first of them is due.
func (v *Virtual) Pending() (n int, next time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.pending) > 0 {
		next = v.pending[0].at
	}
	return len(v.pending), next
}

// AfterFunc calls f in a later Advance or Step.
func (v *Virtual) AfterFunc(d time.Duration, f func()) Timer {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.made++
	e := &event{clock: v, at: v.now.Add(max(d, 0)), order: v.made, call: f}
	heap.Push(&v.pending, e)
	if e.index == 0 {
		v.signal()
	}
	return e
}

// Advance moves the time on by d and makes all calls that fall due until then, those that they add included. It must not
// be called by one of them.
func (v *Virtual) Advance(d time.Duration) {
	v.run.Lock()
	defer v.run.Unlock()
	v.advance(v.Now().Add(max(d, 0)))
}

// Step moves the time on to the next call that is due no later than limit from now, and makes it. It returns false, and leaves
// the time alone, where there is none.
func (v *Virtual) Step(limit time.Duration) bool {
	v.run.Lock()
	defer v.run.Unlock()
	return v.step(v.Now().Add(limit))
}

func (v *Virtual) advance(until time.Time) {
	for v.step(until) {
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.now.Before(until) {
		v.now = until
	}
}

func (v *Virtual) step(until time.Time) bool {
	v.mu.Lock()
	if len(v.pending) == 0 || v.pending[0].at.After(until) {
		v.mu.Unlock()
		return false
	}
	call := v.pop()
	v.mu.Unlock()
	call()
	return true
}

// pop takes the first call off the heap and moves the time to it.
func (v *Virtual) pop() func() {
	e := heap.Pop(&v.pending).(*event) //nolint:forcetypeassert // the heap holds nothing else
	v.now = e.at
	return e.call
}

// signal wakes Run or Scale, if one of them sleeps.
func (v *Virtual) signal() {
	select {
	case v.wake <- struct{}{}:
	default:
	}
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
type events []*event //nolint:recvcheck // as package heap has it

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
	e := x.(*event) //nolint:forcetypeassert // the heap holds nothing else
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
