package clock

import (
	"context"
	"time"
)

// crowd is how many requests may end, while others are in flight all the time, until Run makes as many calls all the same: clients that
// never pause would wait for ever for what they poll.
const crowd = 64

// tick is how often Scale looks at the host's clock where nothing is due, and so how far a scaled time lags.
const tick = 20 * time.Millisecond

// Run moves the clock on as fast as work allows, until ctx is done: from call to call without waiting, while no request is in
// flight (see Hold). It stops ahead after the moment at which the last request ended, so that hours do not pass while a
// client thinks; a client that polls moves the clock by at most that much a request.
func (v *Virtual) Run(ctx context.Context, ahead time.Duration) {
	v.mu.Lock()
	v.ahead, v.reach = ahead, v.now.Add(ahead)
	v.mu.Unlock()
	for ctx.Err() == nil {
		if v.runOn() {
			continue
		}
		select {
		case <-ctx.Done():
		case <-v.wake:
		}
	}
}

// runOn makes the next call within reach, or moves to the end of it. It returns false where Run has to wait.
func (v *Virtual) runOn() bool {
	v.run.Lock()
	defer v.run.Unlock()
	v.mu.Lock()
	if v.held > 0 && v.burst == 0 {
		v.mu.Unlock()
		return false
	}
	v.burst = max(0, v.burst-1)
	reach := v.now // which Advance may have moved beyond v.reach
	if reach.Before(v.reach) {
		reach = v.reach
	}
	if len(v.pending) == 0 || v.pending[0].at.After(reach) {
		moved := v.now.Before(reach)
		v.now = reach
		v.mu.Unlock()
		return moved
	}
	call := v.pop()
	v.mu.Unlock()
	call()
	return true
}

// Scale moves the clock on by factor seconds for each second of the host, until ctx is done. Requests in flight do not stop
// it. Where the calls take longer than their time it falls behind, and catches up when it can. From where Advance has moved the clock, it
// goes on.
func (v *Virtual) Scale(ctx context.Context, factor float64) {
	until, looked := v.Now(), time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-v.wake:
		}
		if now := v.Now(); now.After(until) {
			until = now
		}
		now := time.Now()
		until, looked = until.Add(time.Duration(float64(now.Sub(looked))*factor)), now
		v.catchUp(until)
		timer.Reset(v.nap(factor))
	}
}

func (v *Virtual) catchUp(until time.Time) {
	v.run.Lock()
	defer v.run.Unlock()
	v.advance(until)
}

// nap returns how long the host may wait until the next call is due, a tick at most.
func (v *Virtual) nap(factor float64) time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.pending) == 0 {
		return tick
	}
	wait := min(float64(v.pending[0].at.Sub(v.now))/factor, float64(tick)) // before it becomes an integer that it may not fit into
	return time.Duration(max(wait, float64(time.Microsecond)))
}

// hold is a request in flight, in its context.
type hold struct{ v *Virtual }

type holdKey struct{}

// Hold keeps Run from moving the clock while a request is in flight. The returned context is the request's; release ends the
// hold, and must be called once.
func (v *Virtual) Hold(ctx context.Context) (held context.Context, release func()) {
	v.take()
	return context.WithValue(ctx, holdKey{}, &hold{v}), v.release
}

func (v *Virtual) take() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.held++
}

func (v *Virtual) release() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.held--
	v.ended++
	switch {
	case v.held == 0:
		v.burst = 0
	case v.ended >= crowd:
		v.burst = crowd
	default:
		return
	}
	v.ended, v.reach = 0, v.now.Add(v.ahead)
	v.signal()
}

// Sleep waits for d to pass on the clock, or for ctx to end, whose error it then returns. A request that sleeps does not
// hold the clock meanwhile.
func Sleep(ctx context.Context, c Clock, d time.Duration) error {
	done := make(chan struct{})
	timer := c.AfterFunc(d, func() { close(done) })
	defer timer.Stop()
	return Idle(ctx, func() error {
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// Idle calls wait, during which the request that ctx is of, if it is one, does not hold the clock.
func Idle(ctx context.Context, wait func() error) error {
	if h, ok := ctx.Value(holdKey{}).(*hold); ok {
		h.v.release()
		defer h.v.take()
	}
	return wait()
}
