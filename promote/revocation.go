package promote

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
)

// Revocation says that an image must not be used any more, and no image that was baked from it, whenever that was.
type Revocation struct {
	Image  bake.Ref  `json:"image"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
	Lifted bool      `json:"lifted,omitempty"` // it takes an earlier revocation back
}

// Revocations is the view of a catalog that knows which images were revoked.
type Revocations struct {
	c      catalog.Catalog
	images bake.Images
}

// NewRevocations returns the revocations of c.
func NewRevocations(c catalog.Catalog) Revocations { return Revocations{c, bake.NewImages(c)} }

func revocationPrefix(r bake.Ref) string { return revocationsPrefix + r.Name + "/" + r.Version + "/" }

// Record puts a revocation. The newest one of an image counts.
func (v Revocations) Record(ctx context.Context, r Revocation) error {
	if err := recordAppend(ctx, v.c, revocationPrefix(r.Image), func(int) any { return r }); err != nil {
		return fmt.Errorf("revoke %s: %w", r.Image, err)
	}
	return nil
}

// History returns what was said of one image alone, oldest first.
func (v Revocations) History(ctx context.Context, r bake.Ref) ([]Revocation, error) {
	list, err := recordList[Revocation](ctx, v.c, revocationPrefix(r))
	if err != nil {
		return nil, fmt.Errorf("revocations of %s: %w", r, err)
	}
	return list, nil
}

// Of returns the revocation that keeps img from being used: its own, or that of the nearest image that it comes from. The error wraps
// [bake.ErrNotFound] where there is none.
func (v Revocations) Of(ctx context.Context, img bake.Image) (Revocation, error) {
	lineage, err := v.lineage(ctx, img)
	if err != nil {
		return Revocation{}, err
	}
	for _, r := range lineage {
		list, err := v.History(ctx, r)
		if err != nil {
			return Revocation{}, err
		}
		if n := len(list); n > 0 && !list[n-1].Lifted {
			return list[n-1], nil
		}
	}
	return Revocation{}, fmt.Errorf("revocation of %s: %w", img.Ref, bake.ErrNotFound)
}

// since returns when img, or an image that it comes from, was last revoked, whether that was taken back or not; zero for never.
func (v Revocations) since(ctx context.Context, img bake.Image) (time.Time, error) {
	lineage, err := v.lineage(ctx, img)
	if err != nil {
		return time.Time{}, err
	}
	var last time.Time
	for _, r := range lineage {
		list, err := v.History(ctx, r)
		if err != nil {
			return time.Time{}, err
		}
		for _, said := range list {
			if !said.Lifted && said.At.After(last) {
				last = said.At
			}
		}
	}
	return last, nil
}

// lineage returns img and the images that it comes from, nearest first. The record of one that came from another catalog may be missing.
func (v Revocations) lineage(ctx context.Context, img bake.Image) ([]bake.Ref, error) {
	chain := []bake.Ref{img.Ref}
	for parent := img.Parent; parent != nil; {
		chain = append(chain, *parent)
		img, err := v.images.Get(ctx, *parent)
		if errors.Is(err, bake.ErrNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		parent = img.Parent
	}
	return chain, nil
}

// Descendants returns the images that come from r, oldest first: its children, theirs, and so on.
func (v Revocations) Descendants(ctx context.Context, r bake.Ref) ([]bake.Image, error) {
	images, err := v.images.List(ctx, "")
	if err != nil {
		return nil, err
	}
	children := map[bake.Ref][]bake.Image{}
	for _, img := range images {
		if img.Parent != nil {
			children[*img.Parent] = append(children[*img.Parent], img)
		}
	}
	found := map[bake.Ref]bool{}
	for queue := []bake.Ref{r}; len(queue) > 0; queue = queue[1:] {
		for _, child := range children[queue[0]] {
			if !found[child.Ref] {
				found[child.Ref] = true
				queue = append(queue, child.Ref)
			}
		}
	}
	var list []bake.Image
	for _, img := range images {
		if found[img.Ref] {
			list = append(list, img)
		}
	}
	return list, nil
}
