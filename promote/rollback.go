package promote

import (
	"context"
	"errors"

	"github.com/iibake/iibake/bake"
)

// RollbackRequest is the wish to have a version back that was there before.
type RollbackRequest struct {
	Name    string // of the image
	Channel Channel
	To      string   // version; empty: what was there before the promotion that brought what is there now
	Fleets  []string // these alone, and the channel stays; empty: all fleets, and the channel
	Targets []string // as in [Request]
	By      string
	Reason  string
}

// PlanRollback plans the way back, for [Promoter.Run]. Fleets go back to launch template versions that earlier promotions left; one
// that has none of the wanted version gets a new one. The error wraps [bake.ErrNotFound] where there is no version before.
//
// While a promotion is under way in the channel, the way back is to end that one: the plan's Aborts says so, and its Promotion is that one.
func (p *Promoter) PlanRollback(ctx context.Context, r RollbackRequest) (Plan, error) {
	return Plan{}, errors.New("not yet")
}

var _ = bake.Ref{}
