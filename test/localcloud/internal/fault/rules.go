package fault

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/rules"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// Rules make calls fail: it is a wire.Interceptor. It is safe for concurrent use. A nil *Rules makes nothing fail.
//
// The nth call that a rule matches has the same fate in every run with the same seed. Which call is the nth is up to the clients.
type Rules struct {
	clock clock.Clock

	mu      sync.Mutex
	seed    uint64 // where the file gives none
	file    File
	choose  []*rules.Chooser
	buckets map[string]*bucket
	windows map[string]int // how often each was asked for
	counts  map[Count]int
}

// New returns rules that make nothing fail until they are Set. The seed is that of files that have none.
func New(c clock.Clock, seed uint64) *Rules {
	r := &Rules{clock: c, seed: seed}
	r.Set(&File{})
	return r
}

// Set replaces what there was, with all that was counted.
func (r *Rules) Set(f *File) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.file = *f
	if r.file.Seed == 0 {
		r.file.Seed = r.seed
	}
	r.buckets, r.windows, r.counts = map[string]*bucket{}, map[string]int{}, map[Count]int{}
	r.choose = make([]*rules.Chooser, len(f.Rules))
	for i := range f.Rules {
		r.choose[i] = &rules.Chooser{Odds: f.Rules[i].Match.odds(), Seed: r.file.Seed, Name: "rule " + strconv.Itoa(i)}
	}
}

// Count says how often something happened to an operation.
type Count struct {
	Rule      int    `json:"rule"`  // number of the rule in the file, from 1; 0 for the token buckets
	Fault     string `json:"fault"` // throttle, fail, error, latency, delay, lose, hang
	Service   string `json:"service"`
	Operation string `json:"operation"`
	Times     int    `json:"times"`
}

// Counts returns what happened since Set, in order.
func (r *Rules) Counts() []Count {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Count, 0, len(r.counts))
	for c, n := range r.counts {
		c.Times = n
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Count) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Fault, b.Fault), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Operation, b.Operation))
	})
	return all
}

// Injected returns how often a fault happened since Set.
func (r *Rules) Injected(fault string) (n int) {
	for _, c := range r.Counts() {
		if c.Fault == fault {
			n += c.Times
		}
	}
	return n
}

// Before is called before a call. It returns the error to answer, once what delays it has passed.
func (r *Rules) Before(ctx context.Context, c *wire.Call) error {
	if r == nil {
		return nil
	}
	f := r.fate(c)
	if err := f.wait(ctx, r.clock); err != nil {
		return err
	}
	if f.hang {
		return hang(ctx)
	}
	return f.answer()
}

// After is called after a call that succeeded.
func (r *Rules) After(ctx context.Context, c *wire.Call) error {
	if r == nil {
		return nil
	}
	switch r.lost(c) {
	case "lose":
		return wire.ErrNoAnswer
	case "hang":
		return hang(ctx)
	}
	return nil
}

// hang waits until the client has gone. The cloud's clock does not wait for it.
func hang(ctx context.Context) error {
	return clock.Idle(ctx, func() error {
		<-ctx.Done()
		return wire.ErrNoAnswer
	})
}

// fate is what becomes of a call before it is worked on.
type fate struct {
	latency, delay time.Duration
	hang           bool
	err            *wire.Error
}

// answer avoids an error that is not nil and holds nil.
func (f *fate) answer() error {
	if f.err == nil {
		return nil
	}
	return f.err
}

func (f *fate) wait(ctx context.Context, c clock.Clock) error {
	for _, part := range []struct {
		on clock.Clock
		d  time.Duration
	}{{clock.Real{}, f.latency}, {c, f.delay}} {
		if part.d > 0 {
			if err := clock.Sleep(ctx, part.on, part.d); err != nil {
				return wire.ErrNoAnswer
			}
		}
	}
	return nil
}

// fate counts a call and decides about it.
func (r *Rules) fate(c *wire.Call) (f fate) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.file.Rules {
		do := &r.file.Rules[i].Do
		if do.late() || !r.chosen(i, c) {
			continue
		}
		f.latency += r.span(i, do.Latency, "latency", c)
		f.delay += r.span(i, do.Delay, "delay", c)
		if f.err != nil || f.hang {
			continue
		}
		switch {
		case do.Throttle:
			f.err = throttled(c.Service)
			r.count(i+1, "throttle", c)
		case do.Fail != "":
			f.err = failed(c.Service, do.Fail)
			r.count(i+1, "fail", c)
		case do.Error != nil:
			f.err = &wire.Error{Status: do.Error.Status, Code: do.Error.Code, Message: do.Error.Message, Reason: do.Error.Reason}
			r.count(i+1, "error", c)
		case do.Hang != "":
			f.hang = true
			r.count(i+1, "hang", c)
		}
	}
	if f.err == nil && !f.hang && r.file.Throttling == "aws" {
		if f.err = r.throttle(c); f.err != nil {
			r.count(0, "throttle", c)
		}
	}
	return f
}

// lost counts a call that succeeded, and decides whether its answer is.
func (r *Rules) lost(c *wire.Call) (how string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.file.Rules {
		do := &r.file.Rules[i].Do
		if !do.late() || !r.chosen(i, c) || how != "" {
			continue
		}
		how = "lose"
		if do.Hang != "" {
			how = "hang"
		}
		r.count(i+1, how, c)
	}
	return how
}

// chosen counts a call for a rule that it matches.
func (r *Rules) chosen(i int, c *wire.Call) bool {
	m := &r.file.Rules[i].Match
	return rules.Match(m.Service, c.Service) && rules.Match(m.Operation, c.Operation) && rules.Match(m.Account, c.Account) &&
		rules.Match(m.Region, c.Region) && r.choose[i].Next()
}

// span draws how long a rule delays a call. What never ends is a day, which no client waits for.
func (r *Rules) span(i int, s *clock.Span, name string, c *wire.Call) time.Duration {
	if s == nil {
		return 0
	}
	r.count(i+1, name, c)
	d, ends := s.Pick(clock.Random(r.file.Seed, r.choose[i].Name+name, r.choose[i].Matched))
	if !ends {
		return 24 * time.Hour
	}
	return d
}

func (r *Rules) count(rule int, fault string, c *wire.Call) {
	r.counts[Count{Rule: rule, Fault: fault, Service: c.Service, Operation: c.Operation}]++
}

// Window returns for how long something of a kind, which is one of Windows, is not yet seen after it was made. One that never ends is a
// day.
func (r *Rules) Window(kind string) time.Duration {
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.file.Windows[kind]
	if !ok {
		return 0
	}
	r.windows[kind]++
	d, ends := s.Pick(clock.Random(r.file.Seed, "window "+kind, r.windows[kind]))
	if !ends {
		return 24 * time.Hour
	}
	return d
}
