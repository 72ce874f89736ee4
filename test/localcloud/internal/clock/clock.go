// Package clock is the time of the cloud: the host's, or a virtual one that tests move.
package clock

import "time"

// Clock tells the time and calls back.
type Clock interface {
	Now() time.Time
	// AfterFunc calls f once when d has passed, unless the timer was stopped before. It returns at once, also where d ≤ 0. Calls of a Virtual
	// clock come one after the other, in order of their time and, at the same time, of their making; those of a Real clock come in
	// goroutines of their own. f may call AfterFunc.
	AfterFunc(d time.Duration, f func()) Timer
}

// Timer is a call to come.
type Timer interface {
	// Stop prevents the call, and says whether it was still to come.
	Stop() bool
}

// Real is the time of the host.
type Real struct{}

// Now returns the host's time in UTC.
func (Real) Now() time.Time { return time.Now().UTC() }

// AfterFunc is time.AfterFunc.
func (Real) AfterFunc(d time.Duration, f func()) Timer { return time.AfterFunc(d, f) }
