package promote_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/promote"
)

// reasons returns what stands last on the record of each fleet in promotion 2.
func (s *stage) reasons(t *testing.T) map[string]promote.Rollout {
	t.Helper()
	latest, err := promote.NewRollouts(s.catalog).Latest(t.Context(), promote.Promotion{Channel: production, Number: 2, To: web(2)})
	if err != nil {
		t.Fatal(err)
	}
	return latest
}

func (s *stage) revoke(t *testing.T) {
	t.Helper()
	r := promote.Revocation{Image: web(2), By: "eve", Reason: "CVE", At: s.yard.Now()}
	if err := promote.NewRevocations(s.catalog).Record(context.Background(), r); err != nil {
		t.Error(err)
	}
}

// illWest lets the page of west be blank.
func illWest(_ *testing.T, s *stage) {
	s.probing(func(fleet string) error {
		if fleet == "west" {
			return errors.New("the page is blank")
		}
		return nil
	})
}

// Every fleet that goes back, or is stopped, has on record why: which fleet failed and of what, or who wanted it.
func TestReasons(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		arrange func(t *testing.T, s *stage)
		keep    bool
		want    map[string]string // by fleet
		along   string            // fleets that are no reason themselves
	}{
		"one fails": {
			arrange: illWest,
			want:    map[string]string{"canary": "west failed: probe http://web/: the page is blank", "west": "probe http://web/: the page is blank"}, along: "canary",
		},
		"one fails, and the others stay": {
			arrange: illWest, keep: true,
			want: map[string]string{"east": "stopped with 2 instances old and 1 new: west failed: probe http://web/: the page is blank"}, along: "east",
		},
		"aborted": {
			arrange: func(t *testing.T, s *stage) {
				t.Helper()
				s.onceSo(s.replaced("canary", "2"), func() { s.wish(t, promote.Abort, "lunch") })
			},
			want: map[string]string{"canary": "aborted by bob: lunch"}, along: "canary",
		},
		"a gate shuts": {
			arrange: func(t *testing.T, s *stage) {
				t.Helper()
				s.onceSo(s.replaced("canary", "2"), func() { s.revoke(t) })
			},
			want: map[string]string{"canary": "revoked: it was revoked by eve"}, along: "canary",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.settled(t)
			c.arrange(t, s)
			o, err := s.spawn(0, none).promoted(2, func(r *promote.Request) { r.Keep = c.keep })
			if err == nil || o.Result == promote.Promoted {
				t.Errorf("%+v, %v", o, err)
			}
			got := s.reasons(t)
			for fleet, want := range c.want {
				if r := got[fleet]; !strings.Contains(r.Reason, want) || r.Along != strings.Contains(c.along, fleet) {
					t.Errorf("%s: %q, along: %t, want %q", fleet, r.Reason, r.Along, want)
				}
			}
		})
	}
}

// Who takes over what goes back ends it with the reason for which it goes back, and not with that of a fleet that was taken along.
func TestReasonsForWhoTakesOver(t *testing.T) {
	t.Parallel()
	for name, arrange := range map[string]func(t *testing.T, s *stage){
		"west: probe http://web/: the page is blank": illWest,
		"revoked: it was revoked by eve": func(t *testing.T, s *stage) {
			t.Helper()
			s.onceSo(s.replaced("canary", "2"), func() { s.revoke(t) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.settled(t)
			arrange(t, s)
			next := s.yard.onTick
			ctx, die := context.WithCancel(t.Context())
			s.yard.onTick = func() {
				if next(); s.reasons(t)["canary"].Along {
					die()
				}
			}
			s.interrupted(ctx, t)
			s.yard.onTick = func() {}
			o, err := s.spawn(0, none).resumed()
			if o.Result != promote.Reverted || !strings.HasPrefix(strings.TrimPrefix(o.Reason, bake.ErrRefused.Error()+": "), name) {
				t.Errorf("%+v, %v", o, err)
			}
		})
	}
}

// Who aborts while fleets are being stopped where they are gets them back all the same.
func TestAbortOfWhatIsStopped(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	s.yard.alarm["2"] = true
	s.onceSo(func() bool { return s.reasons(t)["canary"].Phase == promote.Stopping }, func() { s.wish(t, promote.Abort, "lunch") })
	o, err := s.spawn(0, none).promoted(2, func(r *promote.Request) { r.Keep = true })
	if o.Result != promote.Reverted || !strings.Contains(o.Reason, "alarm web-5xx") {
		t.Errorf("%+v, %v", o, err)
	}
	s.wantFleets(t, "1")
	s.wantOver(t)
	s.wantJournal(t)
}
