package machines_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/machines"
)

// observer collects what a driver tells, to be waited for once each.
type observer struct {
	mu     sync.Mutex
	events []event
}

type event struct {
	id   string
	what any // compute.Addresses, bool, compute.Ending
}

func (o *observer) add(id string, what any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, event{id, what})
}

func (o *observer) Running(_, id string, a compute.Addresses) { o.add(id, a) }
func (o *observer) Status(_, id string, healthy bool)         { o.add(id, healthy) }
func (o *observer) Ended(_, id string, e compute.Ending)      { o.add(id, e) }

// next waits for the next event of a kind.
func next[T any](t *testing.T, o *observer, id string) (found T) {
	t.Helper()
	until(t, fmt.Sprintf("%s tells its %T", id, found), func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		for i, e := range o.events {
			if what, ok := e.what.(T); ok && e.id == id {
				found, o.events = what, slices.Delete(o.events, i, i+1)
				return true
			}
		}
		return false
	})
	return found
}

func (o *observer) running(t *testing.T, id string) compute.Addresses {
	t.Helper()
	return next[compute.Addresses](t, o, id)
}

func (o *observer) ended(t *testing.T, id string) compute.Ending {
	t.Helper()
	return next[compute.Ending](t, o, id)
}

func (o *observer) healthy(t *testing.T, id string, want bool) {
	t.Helper()
	if got := next[bool](t, o, id); got != want {
		t.Errorf("%s: healthy is %t", id, got)
	}
}

// rest returns what nobody has waited for.
func (o *observer) rest() []event {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.events)
}

// until waits for something that happens soon unless it never will.
func until(t testing.TB, what string, happened func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Minute); !happened(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never happened that %s", what)
		}
	}
}

// driver returns a driver that is closed at the end of the test.
func driver(t *testing.T, c machines.Config) (*machines.Driver, *observer) {
	t.Helper()
	seen := &observer{}
	c.Observer = seen
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	if c.Blocks == nil {
		var err error
		if c.Blocks, err = disk.Open(t.TempDir()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Blocks.Close() })
	}
	d, err := machines.New(c)
	if err != nil {
		t.Fatal(err)
	}
	d.SetFree(0) // unknown: other tests take memory of this host at the same time
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d, seen
}

// ask makes a health check.
func ask(d *machines.Driver, id string, c compute.Check) (ok bool, reason string) {
	done := make(chan struct{})
	d.Probe(id, c, func(is bool, why string) {
		ok, reason = is, why
		close(done)
	})
	<-done
	return ok, reason
}

// probe checks the answer of a health check.
func probe(t *testing.T, d *machines.Driver, id string, c compute.Check, want bool, reason string) {
	t.Helper()
	if ok, why := ask(d, id, c); ok != want || why != reason {
		t.Errorf("%s %d%s: %t %s", c.Protocol, c.Port, c.Path, ok, why)
	}
}
