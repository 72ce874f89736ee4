package ec2

import (
	"context"

	"github.com/iibake/iibake/bake/disk"
)

// Changes returns the indexes of the blocks that have to be written on top of a snapshot of from of some GiB; none where it has no size.
func Changes(m, from disk.Manifest, gib int64, encrypted bool) map[int64]bool {
	var b *basis
	if gib > 0 {
		b = &basis{origin{GiB: gib}, from}
	}
	zeros := map[int64]bool{}
	for _, c := range changes(m, b, encrypted) {
		zeros[c.Index] = c.Digest == zeroBlock
	}
	return zeros
}

// Flow lets n blocks go through a flow in rounds; trouble says whether one of a round had some. It returns the limit after each round.
func Flow(rounds []bool) (limits []int) {
	f := newFlow()
	for _, trouble := range rounds {
		n := int(f.limit)
		for range n {
			_ = f.enter(context.Background())
		}
		for i := range n {
			f.leave(trouble && i%2 == 0)
		}
		limits = append(limits, int(f.limit))
	}
	return limits
}
