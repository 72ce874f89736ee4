package promote

import "context"

// Glance returns how the promotion under way in ch goes now, and changes nothing. The error wraps [bake.ErrNotFound] where none is under
// way. What cannot be seen of a fleet is told as its reason.
func (p *Promoter) Glance(ctx context.Context, name string, ch Channel) (Progress, error) {
	pro, a, err := p.underWay(ctx, name, ch)
	if err != nil {
		return Progress{}, err
	}
	d, err := p.newDrive(ctx, pro, a, nil)
	if err != nil {
		return Progress{}, err
	}
	var seen Progress
	d.c.Report, d.c.Patience = func(p Progress) { seen = p }, 0 // nobody waits for what cannot be read
	w := watcher{d, map[string]string{}}
	_, err = w.turn(ctx)
	return seen, err
}
