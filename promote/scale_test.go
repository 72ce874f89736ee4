package promote_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/iibake/iibake/promote"
)

// crowd makes a stage with one wave of many fleets.
func crowd(t testing.TB, fleets int) *stage {
	t.Helper()
	s := newStage(t)
	wave := make([]promote.Member, fleets)
	for i := range wave {
		wave[i] = member(fmt.Sprintf("fleet-%04d", i))
		wave[i].Target = fmt.Sprintf("target-%02d", i%100)
		s.yard.add(wave[i], 4, "ami-0")
	}
	s.rule.Waves = [][]promote.Member{wave}
	return s
}

// A thousand fleets in a wave take a bounded number of goroutines, and looking at them does not ask the catalog about each.
func TestThousandFleets(t *testing.T) {
	const fleets = 1000
	s := crowd(t, fleets)
	p := s.spawn(0, none)
	most, ticks, base := 0, 0, runtime.NumGoroutine()
	var mu sync.Mutex
	s.yard.onTick = func() {
		mu.Lock()
		defer mu.Unlock()
		most, ticks = max(most, runtime.NumGoroutine()-base), ticks+1
	}
	began := s.yard.Now()
	o, err := p.promoted(1, nil)
	if err != nil || o.Result != promote.Promoted {
		t.Fatalf("%+v, %v", o, err)
	}
	s.wantFleets(t, "1")
	s.wantOver(t)
	if took, refreshes := s.yard.Now().Sub(began)-2*time.Minute, checkpoint+4*perInstance; took > refreshes+2*20*time.Second {
		t.Errorf("it took %s, the refreshes alone %s", took, refreshes)
	}
	if most > 16 {
		t.Errorf("%d goroutines", most)
	}
	const records = 4 // of each rollout
	fleetCalls := 0
	for _, n := range s.yard.calls {
		fleetCalls += n
	}
	if catalogCalls := p.calls - fleetCalls; catalogCalls > fleets*records+100*ticks {
		t.Errorf("%d calls of the catalog in %d ticks", catalogCalls, ticks)
	}
	t.Logf("%d calls, %d of fleets: %v; %d ticks, %d goroutines", p.calls, fleetCalls, s.yard.calls, ticks, most)
}

// One fleet of many that fails brings all back, and nothing is left.
func TestOneOfMany(t *testing.T) {
	s := crowd(t, 200)
	s.settled(t)
	s.yard.onTick = func() {
		s.yard.mu.Lock()
		defer s.yard.mu.Unlock()
		g := s.yard.groups["fleet-0123"]
		s.yard.alarm["2"] = versionOf(g.ami(g.instances[1])) == "2"
	}
	o, err := s.spawn(0, none).promoted(2, nil)
	if o.Result != promote.Reverted || !strings.Contains(o.Reason, "alarm web-5xx") {
		t.Errorf("%+v, %v", o, err)
	}
	s.wantFleets(t, "1")
	s.wantOver(t)
	s.wantJournal(t)
}

// From the alarm to the start of the rollback passes no more than it takes to look once.
func TestAlarmIsHeard(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	var rang, heard time.Time
	s.yard.onTick = func() {
		s.yard.mu.Lock()
		defer s.yard.mu.Unlock()
		g := s.yard.groups["canary"]
		if rang.IsZero() && versionOf(g.ami(g.instances[0])) == "2" {
			rang, s.yard.alarm["2"] = s.yard.now, true
		}
		if heard.IsZero() && g.refreshes[len(g.refreshes)-1].state == promote.GoingBack {
			heard = g.refreshes[len(g.refreshes)-1].began
		}
	}
	p := promote.New(promote.Config{
		Catalog: s.catalog, Clock: s.yard, Driver: "me", Publisher: s.yard,
		Rules: func(string, promote.Channel) (promote.Rule, error) { return s.rule, nil },
		Fleet: func(_ context.Context, m promote.Member) (promote.Fleet, error) {
			return fleet{s.yard, s.yard.groups[m.Name]}, nil
		},
	})
	plan, err := p.Plan(t.Context(), promote.Request{Image: web(2), Channel: production})
	if err != nil {
		t.Fatal(err)
	}
	if o, err := p.Run(t.Context(), plan); o.Result != promote.Reverted {
		t.Errorf("%+v, %v", o, err)
	}
	if took := heard.Sub(rang); heard.IsZero() || took > 15*time.Second {
		t.Errorf("the alarm rang at %s and was heard at %s", rang, heard)
	}
	s.wantFleets(t, "1")
}

// BenchmarkTick looks at a thousand fleets of which every one is under way.
func BenchmarkTick(b *testing.B) {
	s := crowd(b, 1000)
	for _, g := range s.yard.groups {
		g.instances = append(g.instances, make([]string, 36)...)
		for i := range g.instances {
			g.instances[i] = "1"
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ticks, looked := 0, 0
	s.yard.onTick = func() {
		if ticks++; ticks > 3 {
			looked++
		}
		if looked == 1 {
			b.ResetTimer()
		}
		if looked > b.N {
			cancel()
		}
	}
	p := promote.New(promote.Config{
		Catalog: s.catalog, Clock: s.yard, Driver: "me", Publisher: s.yard, Poll: time.Second,
		Rules: func(string, promote.Channel) (promote.Rule, error) { return s.rule, nil },
		Fleet: func(_ context.Context, m promote.Member) (promote.Fleet, error) {
			return fleet{s.yard, s.yard.groups[m.Name]}, nil
		},
	})
	plan, err := p.Plan(ctx, promote.Request{Image: web(1), Channel: production})
	if err != nil {
		b.Fatal(err)
	}
	_, _ = p.Run(ctx, plan)
}
