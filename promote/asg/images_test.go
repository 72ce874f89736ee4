package asg_test

import (
	"errors"
	"testing"
)

// A preflight that cannot find out what the group runs says so: that iibake did not make it would go on record, as what to go back to.
func TestAPreflightThatDoesNotKnowTheImages(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(2)
	w.catalogErr = errors.New("no route to host")
	if p, err := w.fleet(strategy()).Preflight(t.Context(), w.query()); !errors.Is(err, w.catalogErr) {
		t.Errorf("got %v, %+v", err, p)
	}
}
