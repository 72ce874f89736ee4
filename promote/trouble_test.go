package promote_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/iibake/iibake/promote"
)

const (
	activeKey  = "heads/active/web/production"
	channelKey = "heads/channels/web/production"
)

// once returns a catalog that does not answer the first time that a key is asked for after armed was set.
func once(armed *bool, prefix string) func(string) bool {
	return func(key string) bool {
		hit := *armed && strings.HasPrefix(key, prefix)
		if hit {
			*armed = false
		}
		return hit
	}
}

// What the catalog did not answer before something that takes longer than anybody's patience, and answered since, is forgotten.
func TestTroubleThatIsOver(t *testing.T) {
	t.Parallel()
	for name, arrange := range map[string]func(s *stage, wait func()) (deaf func(string) bool, times *int){
		"before and after publishing": func(s *stage, wait func()) (func(string) bool, *int) {
			first, second, n := true, false, 0
			a, b := once(&first, activeKey), once(&second, activeKey)
			began := false
			s.publishing = func() {
				began, second = true, !began
				wait()
			}
			begun := func() bool { return s.underWay() }
			return func(key string) bool {
				hit := begun() && (a(key) || b(key))
				if hit {
					n++
				}
				return hit
			}, &n
		},
		"before and after the alias": func(s *stage, wait func()) (func(string) bool, *int) {
			first, second, n := true, false, 0
			a, b := once(&first, channelKey), once(&second, "outcomes/")
			began := false
			s.aliasSet = func() {
				began, second = true, !began
				wait()
			}
			return func(key string) bool {
				hit := arrivedAll(s) && (a(key) || b(key))
				if hit {
					n++
				}
				return hit
			}, &n
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.settled(t)
			deaf, times := arrange(s, func() {
				s.yard.mu.Lock()
				defer s.yard.mu.Unlock()
				s.yard.now = s.yard.now.Add(20 * time.Minute)
			})
			s.deaf = deaf
			o, err := s.spawn(0, none).promoted(2, nil)
			if err != nil || o.Result != promote.Promoted || *times != 2 {
				t.Errorf("%+v, %v, it did not answer %d times", o, err, *times)
			}
			s.deaf = nil
			s.wantOver(t)
		})
	}
}

// arrivedAll reports whether the head says that every fleet has arrived.
func arrivedAll(s *stage) bool {
	a, err := promote.NewActives(s.catalog).Get(context.Background(), "web", production)
	return err == nil && a.Final
}

// One thing that the catalog never answers is not tried for ever because it answers others; and it is told why nothing goes on.
func TestTroubleThatStays(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{"what people wish": activeKey, "gates": "verdicts/", "channel": channelKey, "outcome": "outcomes/web/production/000002"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.settled(t)
			begun := false
			s.publishing = func() { begun = true }
			s.deaf = func(asked string) bool { return begun && strings.HasPrefix(asked, key) }
			began := s.yard.Now()
			o, err := s.spawn(0, none).promoted(2, nil)
			if !errors.Is(err, errDeaf) || o.Result != "" {
				t.Errorf("%+v, %v", o, err)
			}
			if took := s.yard.Now().Sub(began); took < 5*time.Minute || took > 30*time.Minute {
				t.Errorf("it took %s", took)
			}
			said := map[string]bool{}
			for _, told := range s.told {
				if strings.Contains(told.Reason, "it is tried again") {
					said[told.Reason] = true
				}
			}
			if len(said) == 0 || len(said) > 2 { // which is told again where it differs, here at most for another task
				t.Errorf("told %v", said)
			}
			s.deaf = nil
			if o, err := s.spawn(0, none).resumed(); err != nil || o.Result != promote.Promoted {
				t.Errorf("resumed: %+v, %v", o, err)
			}
			s.wantOver(t)
		})
	}
}
