package localcloud

import (
	"context"

	"github.com/iibake/iibake/test/localcloud/internal/audit"
	"github.com/iibake/iibake/test/localcloud/internal/fault"
)

// Contradictions returns those in the records of the cloud: see package audit.
func (c *Cloud) Contradictions() []string { return audit.Check(c.engine.Load().store) }

// Audit returns the contradictions, and the blocks that are lost.
func (c *Cloud) Audit(ctx context.Context) ([]string, error) {
	e := c.engine.Load()
	lost, err := audit.Blocks(ctx, e.store, e.blocks)
	return append(c.Contradictions(), lost...), err
}

// FaultCounts returns how often what was made to fail.
func (c *Cloud) FaultCounts() []fault.Count { return c.engine.Load().faults.Counts() }
