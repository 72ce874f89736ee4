package localcloud

import (
	"context"

	"github.com/iibake/iibake/test/localcloud/internal/audit"
	"github.com/iibake/iibake/test/localcloud/internal/fault"
)

// Audit returns what the records and the blocks of the cloud contradict themselves in: see package audit.
func (c *Cloud) Audit(ctx context.Context) ([]string, error) {
	e := c.engine.Load()
	lost, err := audit.Blocks(ctx, e.store, e.blocks)
	return append(audit.Check(e.store), lost...), err
}

// Faults returns what makes calls of the cloud fail, with its counts.
func (c *Cloud) Faults() *fault.Rules { return c.engine.Load().faults }
