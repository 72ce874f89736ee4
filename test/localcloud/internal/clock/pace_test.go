package clock_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
)

// await fails the test where what it waits for does not come: a hang must not end in the timeout of the whole package.
func await(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(5 * time.Minute):
		t.Fatalf("waited in vain for %s", what)
	}
}

// at has a channel closed at a time of the clock.
func at(v *clock.Virtual, d time.Duration) <-chan struct{} {
	done := make(chan struct{})
	v.AfterFunc(d, func() { close(done) })
	return done
}

func TestRunGoesAsFarAsItMay(t *testing.T) {
	v := clock.NewVirtual(start)
	late := at(v, 61*time.Second)
	first, last := at(v, time.Second), at(v, time.Minute)
	background(t, func(ctx context.Context) { v.Run(ctx, time.Minute) })
	await(t, "the first call", first)
	await(t, "the call at the very end of what is in reach", last)
	select {
	case <-late:
		t.Fatal("ran further than it may")
	default:
	}
	_, release := v.Hold(t.Context())
	release()
	await(t, "what a request brought into reach", late)
}

func TestRunReachesWhatIsFarAwayByRequests(t *testing.T) {
	v := clock.NewVirtual(start)
	far := at(v, time.Hour)
	background(t, func(ctx context.Context) { v.Run(ctx, time.Minute) })
	for polls := 0; ; polls++ {
		select {
		case <-far:
			if polls < 59 {
				t.Errorf("an hour passed within %d requests that may move the clock by a minute each", polls)
			}
			return
		default:
			_, release := v.Hold(t.Context())
			release()
		}
	}
}

func TestRunWaitsForRequests(t *testing.T) {
	v := clock.NewVirtual(start)
	ctx, release := v.Hold(t.Context())
	call := at(v, time.Second)
	background(t, func(ctx context.Context) { v.Run(ctx, time.Minute) })
	_, inner := v.Hold(t.Context())
	inner()
	if now := v.Now(); !now.Equal(start) {
		t.Errorf("the clock moved to %v during a request", now)
	}
	// A request that sleeps lets the clock go.
	if err := clock.Sleep(ctx, v, 2*time.Second); err != nil {
		t.Fatal(err)
	}
	await(t, "the call", call)
	stood := v.Now()
	if v.Now() != stood {
		t.Error("the clock moves although a request is in flight again")
	}
	release()
}

func TestSleepEndsWithItsContext(t *testing.T) {
	v := clock.NewVirtual(start)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := clock.Sleep(ctx, v, time.Second); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if n, _ := v.Pending(); n != 0 {
		t.Errorf("%d calls were left on the clock", n)
	}
}

func TestScale(t *testing.T) {
	v := clock.NewVirtual(start)
	hour := at(v, time.Hour)
	background(t, func(ctx context.Context) { v.Scale(ctx, 1e6) })
	await(t, "an hour that lasts 3.6 ms", hour)
	await(t, "a call that was added later", at(v, time.Minute))
}

// It does not stand still until the host has caught up.
func TestScaleGoesOnAfterAdvance(t *testing.T) {
	v := clock.NewVirtual(start)
	background(t, func(ctx context.Context) { v.Scale(ctx, 1e6) })
	v.Advance(1e6 * time.Hour) // for which Scale takes an hour
	await(t, "an hour that lasts 3.6 ms", at(v, time.Hour))
}

func TestAdvanceBesideRun(t *testing.T) {
	v := clock.NewVirtual(start)
	background(t, func(ctx context.Context) { v.Run(ctx, time.Second) })
	v.Advance(time.Hour)
	if v.Now().Before(start.Add(time.Hour)) {
		t.Errorf("the clock stands at %v", v.Now())
	}
}

func TestRunAfterAdvanceMakesWhatIsDue(t *testing.T) {
	v := clock.NewVirtual(start)
	background(t, func(ctx context.Context) { v.Run(ctx, time.Second) })
	v.Advance(time.Hour)
	before := v.Now()
	await(t, "a call that is due at once", at(v, 0))
	if v.Now().Before(before) {
		t.Errorf("the clock went back from %v to %v", before, v.Now())
	}
}

// Some client always has a request in flight, but none of them for ever.
func TestRunIsNotStarvedByACrowd(t *testing.T) {
	v := clock.NewVirtual(start)
	far := at(v, 10*time.Minute)
	background(t, func(ctx context.Context) { v.Run(ctx, time.Minute) })
	_, release := v.Hold(t.Context())
	for {
		select {
		case <-far:
			release()
			return
		default:
			_, next := v.Hold(t.Context())
			release()
			release = next
		}
	}
}
