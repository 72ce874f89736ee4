package promote_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/promote"
)

// late is a catalog in which the process that drove before puts one more record of each fleet, just before the one that took over puts its first.
type late struct {
	catalog.Catalog

	mu     sync.Mutex
	driver string
	put    map[string]bool // by fleet
}

func (c *late) Put(ctx context.Context, key string, body []byte) error {
	if strings.HasPrefix(key, "rollouts/") {
		if err := c.before(ctx, key, body); err != nil {
			return err
		}
	}
	return c.Catalog.Put(ctx, key, body)
}

func (c *late) before(ctx context.Context, key string, body []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var r promote.Rollout
	if err := json.Unmarshal(body, &r); err != nil || c.put[r.Fleet.Name] || r.Step < 2 {
		return err
	}
	c.put[r.Fleet.Name] = true
	all, err := promote.NewRollouts(c.Catalog).Latest(ctx, promote.Promotion{To: web(2), Channel: production, Number: 2})
	if err != nil {
		return err
	}
	last := all[r.Fleet.Name]
	last.Step, last.Driver = r.Step, c.driver
	if body, err = json.Marshal(last); err != nil {
		return err
	}
	return c.Catalog.Put(ctx, key, body)
}

// A record that the process before put when it did not know yet that it had lost the seat does not unseat the one that took it.
func TestALateRecord(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  func(context.Context, *promote.Promoter) (promote.Outcome, error)
		want promote.Result
	}{
		"resumed": {func(ctx context.Context, p *promote.Promoter) (promote.Outcome, error) {
			return p.Resume(ctx, "web", production)
		}, promote.Promoted},
		"rolled back": {func(ctx context.Context, p *promote.Promoter) (promote.Outcome, error) {
			plan, err := p.PlanRollback(ctx, promote.RollbackRequest{Name: "web", Channel: production, By: "eve", Reason: "oops"})
			if err != nil {
				return promote.Outcome{}, err
			}
			return p.Run(ctx, plan)
		}, promote.Reverted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.settled(t)
			before := s.interruptedWhen(t, s.replaced("canary", "2"))
			records := &late{Catalog: s.catalog, driver: before.name, put: map[string]bool{}}
			after := promote.New(promote.Config{
				Catalog: records, Clock: s.yard, Driver: "after", Poll: 20 * time.Second, Publisher: s.yard, Alias: s.yard,
				Rules: func(string, promote.Channel) (promote.Rule, error) { return s.rule, nil },
				Fleet: func(_ context.Context, m promote.Member) (promote.Fleet, error) {
					return fleet{s.yard, s.yard.groups[m.Name]}, nil
				},
			})
			o, err := c.end(t.Context(), after)
			if o.Result != c.want || (c.want == promote.Promoted) != (err == nil) || err != nil && !errors.Is(err, promote.ErrRolledBack) {
				t.Errorf("%+v, %v", o, err)
			}
			if !records.put["canary"] {
				t.Error("no record came late")
			}
			s.wantOver(t)
		})
	}
}
