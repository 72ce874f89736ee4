// Package audit looks for what must never be in the records of a cloud, whatever was called, failed or was killed. It is for tests, which
// call it as often as they like.
package audit

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// Check returns a sentence for each contradiction in the records of a store, in order; none where all is well. It sees each region at one
// moment, between two changes.
func Check(s *state.Store) []string {
	var all []string
	for _, region := range s.Regions() {
		_ = s.View(region, func(r *state.Region) error {
			c := &checker{Region: r}
			c.instances()
			c.volumes()
			c.groups()
			c.refreshes()
			c.images()
			c.templates()
			c.named()
			all = append(all, c.found...)
			return nil
		})
	}
	slices.Sort(all)
	return all
}

// Blocks returns a sentence for each snapshot of which a block is missing or damaged.
func Blocks(ctx context.Context, s *state.Store, blocks *disk.Store) ([]string, error) {
	owners := map[bake.Digest]string{}
	for _, region := range s.Regions() {
		for id, digest := range disks(s, region) {
			owners[digest] = region + ": snapshot " + id
		}
	}
	problems, err := blocks.Verify(ctx, slices.Collect(maps.Keys(owners)), nil)
	var all []string
	for _, p := range problems {
		all = append(all, cmp.Or(owners[p.Disk], "a disk of nobody")+": "+p.String())
	}
	slices.Sort(all)
	return all, err
}

// disks returns the manifests of the snapshots that can be read.
func disks(s *state.Store, region string) map[string]bake.Digest {
	all := map[string]bake.Digest{}
	_ = s.View(region, func(r *state.Region) error {
		for id, snapshot := range r.Snapshots.All() {
			if !snapshot.Deleted && snapshot.Disk != "" {
				all[id] = snapshot.Disk
			}
		}
		return nil
	})
	return all
}

// checker gathers what is wrong with a region.
type checker struct {
	*state.Region
	found []string
}

func (c *checker) say(format string, args ...any) {
	c.found = append(c.found, c.Name+": "+fmt.Sprintf(format, args...))
}
