// Package pause waits on the host's clock.
package pause

import (
	"context"
	"time"
)

// For waits for d, or returns the reason why ctx is done as soon as it is.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
