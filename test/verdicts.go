package test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
)

// Verdicts is the view of a catalog that knows what was judged of images.
type Verdicts struct{ c catalog.Catalog }

// NewVerdicts returns the verdicts of c.
func NewVerdicts(c catalog.Catalog) Verdicts { return Verdicts{c} }

// Keys of the catalog. The head holds the number of the newest verdict; numbers have six digits so that they sort.
const verdictsPrefix = "verdicts/" // NAME/VERSION/N → Verdict

func verdictPrefix(r bake.Ref) string { return verdictsPrefix + r.Name + "/" + r.Version + "/" }

func verdictHead(r bake.Ref) string { return catalog.Heads + verdictsPrefix + r.Name + "/" + r.Version }

// Record puts a new verdict and makes it the one that counts.
func (v Verdicts) Record(ctx context.Context, verdict Verdict) error {
	body, err := json.Marshal(verdict)
	if err != nil {
		return fmt.Errorf("record the verdict on %s: %w", verdict.Image, err)
	}
	number, err := v.put(ctx, verdict.Image, body)
	if err == nil {
		err = v.advance(ctx, verdict.Image, number)
	}
	if err != nil {
		return fmt.Errorf("record the verdict on %s: %w", verdict.Image, err)
	}
	return nil
}

// put stores a verdict under the next free number. Somebody else may take it first.
func (v Verdicts) put(ctx context.Context, r bake.Ref, body []byte) (string, error) {
	for {
		keys, err := v.c.List(ctx, verdictPrefix(r))
		if err != nil {
			return "", err
		}
		last := 0
		for _, key := range keys { // sorted
			last, _ = strconv.Atoi(strings.TrimPrefix(key, verdictPrefix(r)))
		}
		number := fmt.Sprintf("%06d", last+1)
		if err := v.c.Put(ctx, verdictPrefix(r)+number, body); !errors.Is(err, catalog.ErrExists) {
			return number, err
		}
	}
}

// advance moves the head to number, unless it is further on.
func (v Verdicts) advance(ctx context.Context, r bake.Ref, number string) error {
	for {
		old, err := v.c.Get(ctx, verdictHead(r))
		if err != nil && !errors.Is(err, catalog.ErrNotFound) {
			return err
		}
		if string(old) >= number {
			return nil
		}
		if err := v.c.Swap(ctx, verdictHead(r), old, []byte(number)); !errors.Is(err, catalog.ErrMoved) {
			return err
		}
	}
}

// Latest returns the verdict that counts for an image: the newest. The error wraps bake.ErrNotFound where it was never
// judged.
func (v Verdicts) Latest(ctx context.Context, r bake.Ref) (Verdict, error) {
	number, err := v.c.Get(ctx, verdictHead(r))
	if errors.Is(err, catalog.ErrNotFound) {
		return Verdict{}, fmt.Errorf("verdict on %s: %w", r, bake.ErrNotFound)
	}
	if err != nil {
		return Verdict{}, fmt.Errorf("verdict on %s: %w", r, err)
	}
	return v.get(ctx, r, string(number))
}

// List returns all verdicts on an image, oldest first.
func (v Verdicts) List(ctx context.Context, r bake.Ref) ([]Verdict, error) {
	keys, err := v.c.List(ctx, verdictPrefix(r))
	if err != nil {
		return nil, fmt.Errorf("verdicts on %s: %w", r, err)
	}
	list := make([]Verdict, 0, len(keys))
	for _, key := range keys {
		verdict, err := v.get(ctx, r, strings.TrimPrefix(key, verdictPrefix(r)))
		if err != nil {
			return nil, err
		}
		list = append(list, verdict)
	}
	return list, nil
}

func (v Verdicts) get(ctx context.Context, r bake.Ref, number string) (Verdict, error) {
	body, err := v.c.Get(ctx, verdictPrefix(r)+number)
	if err != nil {
		return Verdict{}, fmt.Errorf("verdict %s on %s: %w", number, r, err)
	}
	var verdict Verdict
	if err := json.Unmarshal(body, &verdict); err != nil {
		return Verdict{}, fmt.Errorf("verdict %s on %s: unreadable record: %w", number, r, err)
	}
	return verdict, nil
}
