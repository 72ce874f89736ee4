package promote

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/iibake/iibake/bake"
)

// RollbackRequest is the wish to have a version back that was there before.
type RollbackRequest struct {
	Name    string // of the image
	Channel Channel
	To      string   // version; empty: what was there before the promotion that brought what is there now, for fleets ahead of the channel what it holds
	Fleets  []string // these alone, and the channel stays; empty: all fleets, and the channel
	Targets []string // as in [Request]
	By      string
	Reason  string
}

// PlanRollback plans the way back, for [Promoter.Run]. Fleets go back to launch template versions that earlier promotions left; one
// that has none of the wanted version gets a new one. They move all at once, and of the gates only two hold: the image passed its tests
// and is not revoked. The error wraps [bake.ErrNotFound] where there is no version before.
//
// While a promotion is under way in the channel, the way back is to end that one: the plan's Aborts says so, and its Promotion is that one.
func (p *Promoter) PlanRollback(ctx context.Context, r RollbackRequest) (Plan, error) {
	a, err := NewActives(p.c.Catalog).Get(ctx, r.Name, r.Channel)
	if err != nil && !errors.Is(err, bake.ErrNotFound) {
		return Plan{}, err
	}
	if err == nil && p.free(ctx, r.Name, r.Channel) != nil {
		return p.planAbort(ctx, r, a)
	}
	rule, err := p.c.Rules(r.Name, r.Channel)
	if err != nil {
		return Plan{}, err
	}
	waves, err := chosen(rule.Waves, r.Fleets)
	if err != nil {
		return Plan{}, err
	}
	to, err := p.before(ctx, r)
	if err != nil {
		return Plan{}, err
	}
	rule.Back = true
	plan := Plan{At: p.c.Clock.Now().UTC()}
	plan.Promotion = Promotion{
		Channel: r.Channel, To: to, By: r.By, At: plan.At, Reason: r.Reason, Back: true, Only: len(r.Fleets) > 0,
		Waves: together(waves), Targets: targetsOf(waves, r.Targets),
	}
	if err := p.fill(ctx, &plan, rule); err != nil || len(plan.Refusals) == 0 {
		return plan, err
	}
	return plan, p.free(ctx, r.Name, r.Channel) // it may have begun meanwhile, and what refuses be its refreshes
}

// together makes one wave of all.
func together(waves [][]Member) [][]Member {
	if len(waves) == 0 {
		return nil
	}
	return [][]Member{slices.Concat(waves...)}
}

// planAbort plans the end of the promotion that is under way.
func (p *Promoter) planAbort(ctx context.Context, r RollbackRequest, a Active) (Plan, error) {
	pro, err := NewChannels(p.c.Catalog).Promotion(ctx, r.Name, r.Channel, a.Number)
	if err != nil {
		return Plan{}, err
	}
	latest, err := NewRollouts(p.c.Catalog).Latest(ctx, pro)
	if err != nil {
		return Plan{}, err
	}
	a.Wish, a.By, a.Reason = Abort, r.By, r.Reason
	plan := Plan{Promotion: pro, Aborts: &a, At: p.c.Clock.Now().UTC()}
	switch {
	case a.Final:
		plan.Refusals = append(plan.Refusals, pro.ID()+": every fleet has arrived, and it is about to end: wait until it has, then roll back")
	case pro.Back:
		plan.Refusals = append(plan.Refusals, pro.ID()+" goes back already: watch it, or resume it where its process is dead")
	case !covers(r.Fleets, pro):
		plan.Refusals = append(plan.Refusals, pro.ID()+" is under way and can only be taken back as a whole: roll back the channel, or wait until it has ended")
	case r.To != "" && (pro.From == nil || pro.From.Version != r.To):
		plan.Refusals = append(plan.Refusals, pro.ID()+" is under way and can only be taken back as a whole: roll back without a version first")
	}
	for i, wave := range pro.Waves {
		for _, m := range wave {
			if l, ok := latest[m.Name]; ok && l.Phase != Failed && l.Phase != RolledBack {
				plan.Fleets = append(plan.Fleets, FleetPlan{Wave: i, Fleet: m, AMI: l.AMI, Moves: l.Moves})
			}
		}
	}
	return plan, nil
}

// covers reports whether fleets, or all where there are no names, are all that a promotion moves.
func covers(fleets []string, p Promotion) bool {
	other := func(m Member) bool { return len(fleets) > 0 && !slices.Contains(fleets, m.Name) }
	return !slices.ContainsFunc(slices.Concat(p.Waves...), other)
}

// before returns the version that a rollback leads to. Its version is empty where iibake did not make what was there.
func (p *Promoter) before(ctx context.Context, r RollbackRequest) (bake.Ref, error) {
	if r.To != "" {
		return bake.Ref{Name: r.Name, Version: r.To}, nil
	}
	channels := NewChannels(p.c.Catalog)
	held, err := channels.Get(ctx, r.Name, r.Channel)
	none := errors.Is(err, bake.ErrNotFound)
	if err != nil && !none {
		return bake.Ref{}, err
	}
	history, err := channels.History(ctx, r.Name, r.Channel)
	if err != nil {
		return bake.Ref{}, err
	}
	if ahead, err := p.ahead(ctx, history, r.Fleets, held); err != nil || ahead {
		return bake.Ref{Name: r.Name, Version: held.Version}, err
	}
	for _, past := range slices.Backward(history) {
		brought := past.Moved() && !past.Back && past.To == held
		alone := none && past.Only && past.Outcome != nil && past.Outcome.Result == Promoted // fleets that went ahead of a channel that holds nothing
		switch {
		case !brought && !alone:
		case past.From == nil:
			return bake.Ref{Name: r.Name}, nil
		default:
			return *past.From, nil
		}
	}
	return bake.Ref{}, fmt.Errorf("a version that %s@%s held before: %w", r.Name, r.Channel, bake.ErrNotFound)
}

// ahead reports whether fleets got, or began to get, what the channel does not hold: they went alone, or stayed as their promotion was stopped.
func (p *Promoter) ahead(ctx context.Context, history []Past, fleets []string, held bake.Ref) (bool, error) {
	for _, past := range slices.Backward(history) {
		for _, fleet := range fleets {
			records, err := NewRollouts(p.c.Catalog).Of(ctx, past.Promotion, fleet)
			if err != nil {
				return false, err
			}
			if len(records) == 0 {
				continue
			}
			if end := records[len(records)-1].Phase; past.Back || end == Done || end == Failed {
				return !past.Back && past.To != held, nil
			}
		}
	}
	return false, nil
}
