package promote

import "context"

// distant is a fleet that could not be connected to. Each call tries again: an account that is out of reach when a process begins need not be
// so for as long as that lives.
type distant struct {
	connect func(context.Context) (Fleet, error)
}

// reached calls f with the fleet, where it can be connected to.
func reached[T any](ctx context.Context, d distant, f func(Fleet) (T, error)) (T, error) {
	fleet, err := d.connect(ctx)
	if err != nil {
		var none T
		return none, err
	}
	return f(fleet)
}

// Preflight implements [Fleet].
func (d distant) Preflight(ctx context.Context, q Query) (Preflight, error) {
	return reached(ctx, d, func(f Fleet) (Preflight, error) { return f.Preflight(ctx, q) })
}

// Stage implements [Fleet].
func (d distant) Stage(ctx context.Context, r Rollout) (Rollout, error) {
	return reached(ctx, d, func(f Fleet) (Rollout, error) { return f.Stage(ctx, r) })
}

// Start implements [Fleet].
func (d distant) Start(ctx context.Context, r Rollout) (Rollout, error) {
	return reached(ctx, d, func(f Fleet) (Rollout, error) { return f.Start(ctx, r) })
}

// Observe implements [Fleet].
func (d distant) Observe(ctx context.Context, r Rollout) (Observation, error) {
	return reached(ctx, d, func(f Fleet) (Observation, error) { return f.Observe(ctx, r) })
}

// Cancel implements [Fleet].
func (d distant) Cancel(ctx context.Context, r Rollout) error {
	_, err := reached(ctx, d, func(f Fleet) (struct{}, error) { return struct{}{}, f.Cancel(ctx, r) })
	return err
}

// Rollback implements [Fleet].
func (d distant) Rollback(ctx context.Context, r Rollout) error {
	_, err := reached(ctx, d, func(f Fleet) (struct{}, error) { return struct{}{}, f.Rollback(ctx, r) })
	return err
}
