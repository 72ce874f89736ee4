package bake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/iibake/iibake/bake/catalog"
)

// Artifacts is the view of a catalog that knows where images were published.
type Artifacts struct{ c catalog.Catalog }

// NewArtifacts returns the artifacts of c.
func NewArtifacts(c catalog.Catalog) Artifacts { return Artifacts{c} }

// artifactsPrefix is that of the records NAME/VERSION/PLACE/ACCOUNT/REGION/AMI → Artifact. All that one looks for stands in the key, so
// that a listing answers without a read for each record.
const artifactsPrefix = "artifacts/"

// awsPlace stands in keys for the endpoint of AWS. Any other is a digest, for addresses have signs that keys have not.
const awsPlace = "aws"

func artifactKey(a Artifact) string {
	place := awsPlace
	if a.Endpoint != "" {
		place = DigestOf([]byte(a.Endpoint)).Short()
	}
	return artifactsPrefix + strings.Join([]string{a.Image.Name, a.Image.Version, place, a.Account, a.Region, a.AMI}, "/")
}

// Record puts what was published. The same AMI again is no error, and keeps the time of the first record.
func (v Artifacts) Record(ctx context.Context, a Artifact) error {
	body, err := json.Marshal(a)
	if err == nil {
		err = v.c.Put(ctx, artifactKey(a), body)
	}
	if errors.Is(err, catalog.ErrExists) {
		return v.agree(ctx, a)
	}
	if err != nil {
		return fmt.Errorf("record %s as %s: %w", a.Image, a.AMI, err)
	}
	return nil
}

// agree reports whether what is on record says the same as a, the time apart.
func (v Artifacts) agree(ctx context.Context, a Artifact) error {
	old, err := v.get(ctx, artifactKey(a))
	if err != nil {
		return err
	}
	was := old
	old.At, a.At = time.Time{}, time.Time{}
	if old != a {
		return fmt.Errorf("record %s as %s: it is on record with disk %s in snapshot %s: %w",
			a.Image, a.AMI, was.Disk.Short(), was.Snapshot, catalog.ErrExists)
	}
	return nil
}

func (v Artifacts) get(ctx context.Context, key string) (a Artifact, err error) {
	body, err := v.c.Get(ctx, key)
	if err == nil {
		err = json.Unmarshal(body, &a)
	}
	if err != nil {
		return Artifact{}, fmt.Errorf("artifact %s: %w", key, err)
	}
	return a, nil
}

// Of returns what r was published as, oldest first; none is no error.
func (v Artifacts) Of(ctx context.Context, r Ref) ([]Artifact, error) {
	keys, err := v.c.List(ctx, artifactsPrefix+r.Name+"/"+r.Version+"/")
	if err != nil {
		return nil, fmt.Errorf("artifacts of %s: %w", r, err)
	}
	all := make([]Artifact, len(keys))
	for i, key := range keys {
		if all[i], err = v.get(ctx, key); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(all, func(a, b Artifact) int { return a.At.Compare(b.At) })
	return all, nil
}

// Images returns the image of every AMI that was ever published, by the AMI's id. It is one listing of the catalog. An id of a local
// cloud that was reset may have been given to several images; then any of them is returned.
func (v Artifacts) Images(ctx context.Context) (map[string]Ref, error) {
	all, err := v.Places(ctx)
	if err != nil {
		return nil, err
	}
	images := make(map[string]Ref, len(all))
	for _, a := range all {
		images[a.AMI] = a.Image
	}
	return images, nil
}

// Places returns everything that was ever published, as far as one listing of the catalog tells: which image, in which account and region,
// as which AMI. It says nothing of endpoints, disks, snapshots and times.
func (v Artifacts) Places(ctx context.Context) ([]Artifact, error) {
	keys, err := v.c.List(ctx, artifactsPrefix)
	if err != nil {
		return nil, fmt.Errorf("list artifacts: %w", err)
	}
	all := make([]Artifact, len(keys))
	for i, key := range keys {
		parts := strings.Split(strings.TrimPrefix(key, artifactsPrefix), "/")
		if len(parts) != 6 {
			return nil, fmt.Errorf("artifact %s: its key is not one of this version of iibake", key)
		}
		all[i] = Artifact{Image: Ref{Name: parts[0], Version: parts[1]}, Account: parts[3], Region: parts[4], AMI: parts[5]}
	}
	return all, nil
}
