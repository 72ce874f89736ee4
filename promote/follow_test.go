package promote_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/promote"
)

// Every target gets the alias that can have it, however others refuse it or are out of reach for a while; those without are named.
func TestAliasInSeveralTargets(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	var mu sync.Mutex
	tries, began := map[string]int{}, time.Time{}
	s.aliasFails = func(target string) error {
		mu.Lock()
		defer mu.Unlock()
		if tries[target]++; began.IsZero() {
			began = s.yard.Now()
		}
		switch {
		case target == "ap":
			return fmt.Errorf("%w: permission denied", bake.ErrRefused)
		case target == "us" && tries["us"] < 5:
			return errors.New("no route to host")
		}
		return nil
	}
	o, err := s.spawn(0, none).promoted(2, func(r *promote.Request) { r.Targets = []string{"us", "ap", "eu"} })
	if o.Result != promote.Promoted || !errors.Is(err, bake.ErrRefused) {
		t.Errorf("%+v, %v", o, err)
	}
	if !strings.Contains(o.Reason, "target ap: ") || strings.Contains(o.Reason, "target us") || strings.Contains(o.Reason, "\n") {
		t.Errorf("reason %q", o.Reason)
	}
	if want := map[string]string{"eu": "ami-2", "us": "ami-2"}; !maps.Equal(s.yard.alias, want) {
		t.Errorf("the aliases are %v, want %v", s.yard.alias, want)
	}
	if tries["ap"] > 2 { // the error is asked for twice
		t.Errorf("what was refused was tried again: %v", tries)
	}
	if s.underWay() {
		t.Error("it is still under way")
	}
}

// An alias follows in targets where the image is, also while it cannot be had in another one.
func TestAliasWhereTheImageIs(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	more := func(r *promote.Request) { r.Targets = []string{"us", "eu"} }
	for _, version := range []int{1, 2} {
		if o, err := s.spawn(0, none).promoted(version, more); err != nil {
			t.Fatalf("%+v, %v", o, err)
		}
	}
	s.missing = "us"
	delete(s.yard.amis["us"], "1")
	o, err := s.spawn(0, none).rolledBack(func(r *promote.RollbackRequest) { r.Targets = []string{"us", "eu"} })
	if o.Result != promote.Promoted || err == nil || !strings.Contains(o.Reason, "quota is reached") {
		t.Errorf("%+v, %v", o, err)
	}
	if want := map[string]string{"eu": "ami-1", "us": "ami-2"}; !maps.Equal(s.yard.alias, want) {
		t.Errorf("the aliases are %v, want %v", s.yard.alias, want)
	}
	s.wantFleets(t, "1")
	s.wantHeld(t, "1")
	if s.underWay() {
		t.Error("it is still under way")
	}
}
