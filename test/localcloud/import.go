package localcloud

import (
	"context"
	"errors"
	"fmt"

	"github.com/iibake/iibake/test/localcloud/admin"
	"github.com/iibake/iibake/test/localcloud/internal/ebs"
	"github.com/iibake/iibake/test/localcloud/internal/image"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// Import registers a disk of the block store as an image, at no cost, and returns the image's id. Errors say what is wrong with it, or wrap
// disk.ErrNotFound where the store does not have it.
func (c *Cloud) Import(ctx context.Context, img admin.Image) (id string, err error) {
	e := c.engine.Load()
	if e == nil {
		return "", errClosed
	}
	id, err = e.images.Seed(ctx, image.Seed{
		Region: img.Region, Account: img.Account, Name: img.Name, Disk: img.Disk, Arch: img.Arch, Tags: img.Tags,
	})
	if err != nil {
		return "", fmt.Errorf("import %s: %w", img.Name, err)
	}
	return id, e.keep()
}

// release gives up what the snapshots hold in the block store, which may be somebody else's.
func (e *engine) release() error {
	var errs []error
	for _, region := range e.store.Regions() {
		var ids []string
		_ = e.store.View(region, func(r *state.Region) error {
			for id := range r.Snapshots.All() {
				ids = append(ids, id)
			}
			return nil
		})
		for _, id := range ids {
			errs = append(errs, ebs.Release(e.blocks, id))
		}
	}
	return errors.Join(errs...)
}
