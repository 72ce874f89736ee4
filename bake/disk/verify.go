package disk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/iibake/iibake/bake"
)

// Problem is something that [Store.Verify] found wrong.
type Problem struct {
	Disk bake.Digest `json:"disk"` // the manifest that suffers from it
	Text string      `json:"text"` // what is wrong, where, and what to do
}

// String returns the problem as one line.
func (p Problem) String() string { return p.Text }

// Verify reads everything that the manifests in live and all others in the store consist of, and returns what is missing or
// corrupt, by disk. A block that several disks share is read once, and a problem of the first of them. progress may be nil; it
// is called by one goroutine at a time, with bytes of blocks. The error is for what kept Verify from looking.
func (s *Store) Verify(ctx context.Context, live []bake.Digest, progress func(done, total int64)) ([]Problem, error) {
	own, err := Open(s.dir) // what is being looked at is in use until the end of this function, not until s is closed
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	v := verifier{s: own}
	if err := errors.Join(v.run(ctx, live, progress), own.Close()); err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	slices.SortFunc(v.problems, func(a, b Problem) int {
		return cmp.Or(strings.Compare(string(a.Disk), string(b.Disk)), strings.Compare(a.Text, b.Text))
	})
	return v.problems, nil
}

type verifier struct {
	s        *Store
	mu       sync.Mutex
	problems []Problem
}

func (v *verifier) run(ctx context.Context, live []bake.Digest, progress func(done, total int64)) error {
	owners, blocks, err := v.manifests(ctx, live)
	if err != nil {
		return err
	}
	meter := meter{report: progress, total: int64(len(blocks)) * BlockSize}
	return v.s.eachBlock(ctx, blocks, func(ctx context.Context, b Block, buf []byte) error {
		if err := v.s.diskBlock(ctx, owners[b.Digest], b, buf); err != nil && ctx.Err() == nil {
			v.add(owners[b.Digest], err)
		}
		meter.add(BlockSize)
		return ctx.Err()
	})
}

// manifests reads the manifests and returns their blocks, each once, with the disk that it is looked at for.
func (v *verifier) manifests(ctx context.Context, live []bake.Digest) (map[bake.Digest]bake.Digest, []Block, error) {
	entries, err := v.s.list(manifestsDir)
	if err != nil {
		return nil, nil, err
	}
	disks := slices.Clone(live)
	for _, e := range entries {
		disks = append(disks, e.digest)
	}
	slices.Sort(disks)
	owners := map[bake.Digest]bake.Digest{}
	var blocks []Block
	for _, d := range slices.Compact(disks) {
		m, err := v.s.hold(ctx, d)
		switch {
		case ctx.Err() != nil:
			return nil, nil, ctx.Err()
		case errors.Is(err, ErrNotFound) && !slices.Contains(live, d): // collected a moment ago
		case err != nil:
			v.add(d, err)
		}
		for _, b := range m.Blocks {
			if _, ok := owners[b.Digest]; !ok {
				owners[b.Digest] = d
				blocks = append(blocks, b)
			}
		}
	}
	return owners, blocks, nil
}

func (v *verifier) add(d bake.Digest, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.problems = append(v.problems, Problem{Disk: d, Text: err.Error()})
}
