// Package survey finds out what exists in many accounts and regions at once, in few calls, and changes nothing.
package survey

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
)

// Surveyor finds out what exists in targets, in few calls: what AWS answers for many groups at once is asked once for each hundred of
// them. Only refreshes have to be asked for group by group; how many of these calls there are is bounded for each account.
type Surveyor struct {
	// Open returns a target whose credentials work.
	Open func(ctx context.Context, name string) (*target.Target, error)
	// Patience is how long all of it may take: what has not answered then is a gap. Default 1m.
	Patience time.Duration
}

const defaultPatience = time.Minute

const (
	workers     = 128 // targets that are looked at, and calls for single groups that are under way, at once
	callsEach   = 40  // for each account, where it is up to us
	callsToOpen = 2   // of them are made for opening the account: assuming a role, and asking whose it is
)

// Survey answers each ask. Targets are looked at at once, and what one of them refuses keeps nobody from looking at the rest: it stands
// in the survey's gaps.
func (v Surveyor) Survey(ctx context.Context, asks []promote.Ask) []promote.Survey {
	patience := cmp.Or(v.Patience, defaultPatience)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	// All wait for the slowest before their accounts' calls are shared out: the rest of the time is for those that did answer.
	first, stop := context.WithTimeout(ctx, patience*3/4)
	defer stop()
	sites := make([]*site, len(asks))
	each(asks, func(i int, a promote.Ask) {
		sites[i] = &site{ask: a, Survey: promote.Survey{Target: a.Target}}
		sites[i].open(first, v)
		sites[i].look(first)
	})
	for _, account := range accounts(sites) {
		account.spend()
	}
	each(sites, func(_ int, s *site) { s.finish(ctx) })
	surveys := make([]promote.Survey, len(sites))
	for i, s := range sites {
		s.Calls = int(s.calls.Load())
		surveys[i] = s.Survey
	}
	return surveys
}

// site is one target that is being looked at.
type site struct {
	promote.Survey

	ask   promote.Ask
	t     *target.Target
	names []string // of the groups that exist, sorted
	calls atomic.Int64
	grant []query // that the account's calls suffice for

	mu sync.Mutex // held while Gaps grow
}

func (s *site) open(ctx context.Context, v Surveyor) {
	t, err := v.Open(ctx, s.ask.Target)
	if err != nil {
		s.gap(promote.PartAccount, err)
		return
	}
	s.t, s.Account, s.Region = t, t.Account, t.Region
}

// gap notes that a part is missing, once.
func (s *site) gap(part promote.Part, err error) {
	if err == nil {
		return
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer in time: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.ContainsFunc(s.Gaps, func(g promote.Gap) bool { return g.Part == part }) {
		s.Gaps = append(s.Gaps, promote.Gap{Part: part, Error: target.Terse(err).Error()})
	}
}

// look asks for everything that one call answers for many groups.
func (s *site) look(ctx context.Context) {
	if s.t == nil {
		return
	}
	all := new(errgroup.Group)
	all.Go(func() error { s.gap(promote.PartParameters, s.parameters(ctx)); return nil })
	running := later(func() (machines, error) { return s.wanted(ctx) })
	all.Go(func() error {
		if err := s.groups(ctx); err != nil {
			s.gap(promote.PartGroups, err)
			_, err = running()
			s.gap(promote.PartInstances, err)
			return nil
		}
		s.gap(promote.PartTemplates, s.templates(ctx))
		s.gap(promote.PartInstances, s.instances(ctx, running))
		s.launches()
		return nil
	})
	_ = all.Wait() // what failed stands in the gaps
	s.order()
}

// order makes the answer the same each time.
func (s *site) order() {
	slices.SortFunc(s.Strays, func(a, b promote.Instance) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(s.Gaps, func(a, b promote.Gap) int { return strings.Compare(string(a.Part), string(b.Part)) })
}

// finish asks for single groups as far as there are calls left, and at last whether AMIs are still there.
func (s *site) finish(ctx context.Context) {
	if s.t == nil {
		return
	}
	each(s.grant, func(_ int, q query) { s.gap(q.part, q.do(ctx)) })
	s.gap(promote.PartImages, s.images(ctx))
	s.order()
}

// each does something with each, at once.
func each[T any](list []T, do func(int, T)) {
	all := new(errgroup.Group)
	all.SetLimit(workers)
	for i, one := range list {
		all.Go(func() error { do(i, one); return nil })
	}
	_ = all.Wait() // nothing fails here
}

// later begins something and returns what waits for it.
func later[T any](do func() (T, error)) func() (T, error) {
	done := make(chan struct{})
	var v T
	var err error
	go func() {
		defer close(done)
		v, err = do()
	}()
	return func() (T, error) {
		<-done
		return v, err
	}
}
