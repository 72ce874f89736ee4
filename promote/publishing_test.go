package promote_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/promote"
)

// A catalog that does not answer once while an image is being published does not end the promotion.
func TestCatalogFailsWhilePublishing(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	slow := &slowPublisher{stage: s, looked: make(chan struct{}, 2)}
	p := promote.New(promote.Config{
		Catalog: flaky{s.catalog, slow}, Clock: s.yard, Driver: "flaky", Poll: 20 * time.Millisecond, Publisher: slow, Alias: s.yard,
		Rules: func(string, promote.Channel) (promote.Rule, error) { return s.rule, nil },
		Fleet: func(_ context.Context, m promote.Member) (promote.Fleet, error) {
			return fleet{s.yard, s.yard.groups[m.Name]}, nil
		},
	})
	plan, err := p.Plan(t.Context(), promote.Request{Image: web(1), Channel: production})
	if err != nil {
		t.Fatal(err)
	}
	if o, err := p.Run(t.Context(), plan); err != nil || o.Result != promote.Promoted {
		t.Errorf("%+v, %v", o, err)
	}
	s.wantHeld(t, "1")
}

// slowPublisher does not end before the catalog was asked twice who drives the promotion.
type slowPublisher struct {
	*stage

	under  atomic.Bool
	asked  atomic.Int64
	looked chan struct{}
}

func (p *slowPublisher) Find(ctx context.Context, img bake.Image, targets []string) (map[string]bake.Artifact, error) {
	return p.yard.Find(ctx, img, targets)
}

func (p *slowPublisher) Publish(ctx context.Context, img bake.Image, targets []string) (map[string]bake.Artifact, error) {
	p.under.Store(true)
	<-p.looked
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.looked:
	}
	return p.yard.Publish(ctx, img, targets)
}

// flaky is a catalog that does not answer once while the image is being published.
type flaky struct {
	catalog.Catalog

	publisher *slowPublisher
}

func (c flaky) Get(ctx context.Context, key string) ([]byte, error) {
	if strings.Contains(key, "active/") && c.publisher.under.Load() {
		switch c.publisher.asked.Add(1) {
		case 1:
			c.publisher.looked <- struct{}{}
			return nil, errors.New("503 slow down")
		case 2:
			c.publisher.looked <- struct{}{}
		}
	}
	return c.Catalog.Get(ctx, key)
}
