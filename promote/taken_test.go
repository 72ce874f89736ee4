package promote_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/iibake/iibake/promote"
)

// Who learns from the journal that another process carries the promotion on is told who that is, as who learns it from the head.
func TestWhoTookItOver(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.settled(t)
	first := s.spawn(0, none)
	taken := false
	s.started = func() { // its record is the next that the first process puts
		if taken {
			return
		}
		taken = true
		actives, ctx := promote.NewActives(s.catalog), context.Background()
		a, err := actives.Get(ctx, "web", production)
		if err != nil {
			t.Error(err)
			return
		}
		p, err := s.channels.Promotion(ctx, "web", production, a.Number)
		if err != nil {
			t.Error(err)
			return
		}
		if _, err := actives.Drive(ctx, p, a, "eve", s.yard.Now()); err != nil {
			t.Error(err)
		}
		latest, err := promote.NewRollouts(s.catalog).Latest(ctx, p)
		if err != nil {
			t.Error(err)
		}
		r := latest["canary"]
		r.Phase, r.Driver = promote.Reverting, "eve"
		if _, err := promote.NewRollouts(s.catalog).Append(ctx, p, r); err != nil {
			t.Error(err)
		}
	}
	_, err := first.promoted(2, nil)
	var busy *promote.BusyError
	if !errors.As(err, &busy) || busy.Active.Driver != "eve" || strings.Count(err.Error(), "web@production#2") != 1 {
		t.Errorf("got %v", err)
	}
}
