package ebs

import (
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// Delete removes a snapshot. It is called inside an Update; the blocks are given up after it. What was read of the snapshot before stays
// readable with the tokens that came with it, as long as no collection has removed the blocks.
func Delete(store *state.Store, blocks *disk.Store, r *state.Region, id string) {
	snap := r.Snapshots.Edit(id)
	if snap == nil || snap.Deleted {
		return
	}
	snap.Deleted = true // until the blocks are given up: a process that is killed in between takes it up from here
	region := r.Name
	r.Then(func() { giveUp(store, blocks, region, id) })
}

func giveUp(store *state.Store, blocks *disk.Store, region, id string) {
	if Release(blocks, id) != nil {
		return // the record stays, and the next Resume tries again
	}
	_ = store.Update(region, func(r *state.Region) error {
		r.Snapshots.Delete(id)
		return nil
	})
}
