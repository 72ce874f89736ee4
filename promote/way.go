package promote

import (
	"context"
	"slices"

	"github.com/iibake/iibake/bake"
)

// way is how a fleet gets back to what it was launched from before.
type way struct {
	to    *bake.Ref // nil for an image that iibake did not make
	leave bake.Ref  // that the fleet has now
	moves []Move    // launch template versions that were kept, From, and those that the fleet has now, To
}

// ways looks through the rollouts of the promotions before number, the newest first, for launch template versions with the image
// that fleets shall have again: nil is what each had before the channel held anything, whoever made that. A fleet for which there are none is not in
// the answer.
func (p *Promoter) ways(ctx context.Context, name string, ch Channel, number int, to *bake.Ref, fleets []string) (map[string]way, error) {
	history, err := NewChannels(p.c.Catalog).History(ctx, name, ch)
	if err != nil {
		return nil, err
	}
	found, here := map[string]way{}, map[string]Rollout{}
	for _, past := range slices.Backward(history) {
		if past.Number >= number || len(past.Waves) == 0 || len(found) == len(fleets) {
			continue
		}
		latest, err := NewRollouts(p.c.Catalog).Latest(ctx, past.Promotion)
		if err != nil {
			return nil, err
		}
		for _, fleet := range fleets {
			r := latest[fleet]
			if _, ok := found[fleet]; ok || len(r.Moves) == 0 {
				continue
			}
			if _, ok := here[fleet]; !ok {
				here[fleet] = r
			}
			if moves := kept(r, to, past.From == nil); moves != nil {
				found[fleet] = wayFrom(here[fleet], orWhat(to, r.From), moves)
			}
		}
	}
	return found, nil
}

func orWhat(to, was *bake.Ref) *bake.Ref {
	if to != nil {
		return to
	}
	return was
}

// kept returns the moves of r as ones that lead to an image, if they have a version with it: its From is that version. To nothing lead those of a
// promotion into a channel that held nothing.
func kept(r Rollout, to *bake.Ref, first bool) []Move {
	moves := slices.Clone(r.Moves)
	switch {
	case to != nil && r.To == *to && staged(moves):
		for i, m := range moves {
			moves[i].From, moves[i].FromAMI = m.To, m.ToAMI
			moves[i].Overrides = slices.Repeat([]string{m.ToAMI}, len(m.Overrides))
		}
	case same(r.From, to), to == nil && first:
	default:
		return nil
	}
	return moves
}

func staged(moves []Move) bool {
	return !slices.ContainsFunc(moves, func(m Move) bool { return m.To == "" })
}

func same(a, b *bake.Ref) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// wayFrom completes kept moves with where the fleet is by its newest rollout.
func wayFrom(now Rollout, to *bake.Ref, moves []Move) way {
	w := way{to: to, leave: now.To, moves: moves}
	returned := now.Phase == RolledBack
	if returned && now.From != nil {
		w.leave = *now.From
	}
	for i, m := range moves {
		moves[i].To, moves[i].ToAMI = "", ""
		at := slices.IndexFunc(now.Moves, func(n Move) bool { return n.Template == m.Template })
		switch {
		case at < 0: // the fleet has another launch template now
		case returned:
			moves[i].To, moves[i].ToAMI = now.Moves[at].From, now.Moves[at].FromAMI
		default:
			moves[i].To, moves[i].ToAMI = now.Moves[at].To, now.Moves[at].ToAMI
		}
	}
	return w
}

// sendHome makes those legs of a rollback for which there is a kept launch template version go back to that.
func (p *Promoter) sendHome(ctx context.Context, pro Promotion, legs []*leg) error {
	var to *bake.Ref
	if pro.To.Version != "" {
		to = &pro.To
	}
	var begin []string
	for _, l := range legs {
		if l.r.Step > 0 {
			l.home = l.r.Back && l.r.To != pro.To
			continue
		}
		begin = append(begin, l.r.Fleet.Name)
	}
	ways, err := p.ways(ctx, pro.To.Name, pro.Channel, pro.Number, to, begin)
	if err != nil {
		return err
	}
	for _, l := range legs {
		if w, ok := ways[l.r.Fleet.Name]; ok && w.leave != pro.To {
			l.home = true
			l.r.From, l.r.To, l.r.Moves = w.to, w.leave, w.moves
		}
	}
	return nil
}
