package clock_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestAdvanceMakesCallsInOrder(t *testing.T) {
	v := clock.NewVirtual(start)
	var got []string
	note := func(name string) func() {
		return func() { got = append(got, name+" "+v.Now().Sub(start).String()) }
	}
	v.AfterFunc(2*time.Second, note("second"))
	v.AfterFunc(time.Second, note("first"))
	v.AfterFunc(2*time.Second, note("third"))
	v.AfterFunc(3*time.Second, func() {
		note("fourth")()
		v.AfterFunc(0, note("at once"))
		v.AfterFunc(time.Minute, note("too late"))
	})
	v.Advance(10 * time.Second)
	want := []string{"first 1s", "second 2s", "third 2s", "fourth 3s", "at once 3s"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if now := v.Now().Sub(start); now != 10*time.Second {
		t.Errorf("the clock stands at %v", now)
	}
	if n, next := v.Pending(); n != 1 || !next.Equal(start.Add(63*time.Second)) {
		t.Errorf("%d calls to come, the first at %v", n, next)
	}
}

func TestStepGoesToTheNextCallOnly(t *testing.T) {
	v := clock.NewVirtual(start)
	calls := 0
	v.AfterFunc(5*time.Second, func() { calls++ })
	v.AfterFunc(6*time.Second, func() { calls++ })
	if v.Step(4 * time.Second) {
		t.Error("stepped beyond its limit")
	}
	if !v.Step(time.Minute) || calls != 1 || v.Now() != start.Add(5*time.Second) {
		t.Errorf("%d calls at %v", calls, v.Now())
	}
}

func TestStop(t *testing.T) {
	v := clock.NewVirtual(start)
	timer := v.AfterFunc(time.Second, func() { t.Error("called although stopped") })
	if !timer.Stop() || timer.Stop() {
		t.Error("only the first Stop prevents a call")
	}
	done := v.AfterFunc(time.Second, func() {})
	v.Advance(time.Second)
	if done.Stop() {
		t.Error("a call that was made cannot be stopped")
	}
}

func TestReal(t *testing.T) {
	var c clock.Real
	if c.Now().Location() != time.UTC {
		t.Error("not in UTC")
	}
	called := make(chan struct{})
	c.AfterFunc(0, func() { close(called) })
	<-called
}

// model is what a Virtual clock should do, written so that it cannot be wrong.
type model struct {
	now  time.Duration
	todo []plan
}

type plan struct {
	id    int
	at    time.Duration
	timer clock.Timer
}

func (m *model) due(until time.Duration) (ids []int) {
	slices.SortStableFunc(m.todo, func(a, b plan) int { return int(a.at - b.at) })
	for len(m.todo) > 0 && m.todo[0].at <= until {
		ids, m.todo = append(ids, m.todo[0].id), m.todo[1:]
	}
	m.now = until
	return ids
}

func TestVirtualIsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, m, made := clock.NewVirtual(start), &model{}, 0
		var called []int
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				d := time.Duration(rapid.IntRange(-2, 20).Draw(t, "delay"))
				id := made
				made++
				timer := v.AfterFunc(d, func() { called = append(called, id) })
				m.todo = append(m.todo, plan{id, m.now + max(0, d), timer})
			},
			"stop": func(t *rapid.T) {
				if len(m.todo) == 0 {
					t.Skip("nothing to stop")
				}
				i := rapid.IntRange(0, len(m.todo)-1).Draw(t, "which")
				if !m.todo[i].timer.Stop() {
					t.Fatalf("call %d was not to come", m.todo[i].id)
				}
				m.todo = slices.Delete(m.todo, i, i+1)
			},
			"advance": func(t *rapid.T) {
				d := time.Duration(rapid.IntRange(0, 10).Draw(t, "by"))
				called = nil
				v.Advance(d)
				if want := m.due(m.now + d); !slices.Equal(called, want) {
					t.Fatalf("called %v, want %v", called, want)
				}
			},
			"": func(t *rapid.T) {
				if got := v.Now().Sub(start); got != m.now {
					t.Fatalf("the clock stands at %v, want %v", got, m.now)
				}
				if n, _ := v.Pending(); n != len(m.todo) {
					t.Fatalf("%d calls to come, want %d", n, len(m.todo))
				}
			},
		})
	})
}

func TestManyGoroutinesShareAClock(*testing.T) {
	v := clock.NewVirtual(start)
	var calls sync.WaitGroup
	var makers sync.WaitGroup
	for range 8 {
		makers.Go(func() {
			for i := range 200 {
				calls.Add(1)
				v.AfterFunc(time.Duration(i%7)*time.Second, calls.Done)
			}
		})
	}
	makers.Go(func() {
		for range 50 {
			v.Advance(time.Second)
		}
	})
	makers.Wait()
	v.Advance(time.Minute)
	calls.Wait()
}

func background(t *testing.T, f func(context.Context)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); f(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
}
