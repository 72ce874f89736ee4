package promote

import (
	"context"
	"errors"
)

// Ask makes one try of a probe of fleet m, within its timeout, and returns why the fleet is not well.
func Ask(ctx context.Context, m Member, p Probe) error {
	return errors.New("not yet")
}
