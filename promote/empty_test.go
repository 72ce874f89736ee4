package promote_test

import (
	"slices"
	"testing"

	"github.com/iibake/iibake/promote"
)

// A fleet without instances gets what it shall launch, is asked nothing, and goes back with the others.
func TestAFleetWithoutInstances(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.yard.groups["east"].instances = nil
	s.settled(t)
	asked := s.probing(func(string) error { return nil })
	if o, err := s.spawn(0, none).promoted(2, nil); err != nil || o.Result != promote.Promoted {
		t.Errorf("%+v, %v", o, err)
	}
	s.wantFleets(t, "2")
	if slices.Contains(*asked, "east") {
		t.Errorf("asked %v", *asked)
	}
	s.yard.alarm["3"] = true
	if o, err := s.spawn(0, none).promoted(3, nil); o.Result != promote.Reverted {
		t.Errorf("%+v, %v", o, err)
	}
	s.wantFleets(t, "2")
	if o, err := s.spawn(0, none).rolledBack(nil); err != nil || o.Result != promote.Promoted {
		t.Errorf("%+v, %v", o, err)
	}
	s.wantFleets(t, "1")
	s.wantOver(t)
	s.wantJournal(t)
}

// A fleet that is emptied, or filled, while the promotion goes does not hold it up.
func TestAFleetThatIsEmptiedOnTheWay(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	s.onceSo(s.replaced("east", "2"), func() {
		s.yard.mu.Lock()
		defer s.yard.mu.Unlock()
		s.yard.groups["east"].instances = nil
	})
	if o, err := s.spawn(0, none).promoted(2, nil); err != nil || o.Result != promote.Promoted {
		t.Errorf("%+v, %v", o, err)
	}
	s.wantFleets(t, "2")
	s.wantOver(t)
}
