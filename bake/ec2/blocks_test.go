package ec2_test

import (
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/ec2"
)

// manifest is a disk of a GiB, in which equal seeds are equal blocks.
func manifest(has blocks) disk.Manifest {
	m := disk.Manifest{Size: 1 << 30}
	for _, index := range slices.Sorted(maps.Keys(has)) {
		d := zero
		if has[index] != 0 {
			d = bake.DigestOf([]byte{has[index]})
		}
		m.Blocks = append(m.Blocks, disk.Block{Index: index, Digest: d})
	}
	return m
}

func TestChanges(t *testing.T) {
	t.Parallel()
	m := manifest(blocks{0: 1, 2: 2, 3: 0})
	for name, c := range map[string]struct {
		from      blocks
		gib       int64
		encrypted bool
		want      map[int64]bool // index → it is zero
		zeros     int            // of those that are not in want
	}{
		"onto nothing":                        {want: map[int64]bool{0: false, 2: false, 3: true}},
		"onto nothing that is encrypted":      {encrypted: true, want: map[int64]bool{0: false, 2: false, 3: true}, zeros: 2045},
		"onto the same":                       {from: blocks{0: 1, 2: 2, 3: 0}, gib: 1},
		"onto the same that is encrypted":     {from: blocks{0: 1, 2: 2, 3: 0}, gib: 1, encrypted: true},
		"onto another":                        {from: blocks{0: 9, 1: 8, 2: 2}, gib: 1, want: map[int64]bool{0: false, 1: true, 3: true}},
		"onto less than a GiB that encrypted": {from: blocks{}, gib: 1, encrypted: true, want: map[int64]bool{0: false, 2: false, 3: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ec2.Changes(m, manifest(c.from), c.gib, c.encrypted)
			for index, isZero := range c.want {
				if have, ok := got[index]; !ok || have != isZero {
					t.Errorf("block %d: %v %v, want %v", index, have, ok, isZero)
				}
				delete(got, index)
			}
			if len(got) != c.zeros {
				t.Errorf("%d more blocks, want %d", len(got), c.zeros)
			}
			for index, isZero := range got {
				if !isZero {
					t.Errorf("block %d is not zero", index)
				}
			}
		})
	}
}

// The number of blocks on their way is halved by trouble, once for all that are on their way, and grows slowly.
func TestFlow(t *testing.T) {
	t.Parallel()
	got := ec2.Flow([]bool{false, false, false, false, true, true, false, false, true, true, true, true, true, true})
	want := []int{16, 32, 64, 64, 32}
	if !slices.Equal(got[:5], want) || got[6] <= got[5] || got[7] > got[6]+2 || slices.Min(got) < 4 || slices.Max(got) > 64 {
		t.Errorf("limits %v", got)
	}
}

// However large a disk is, 64 blocks of it are in memory.
func TestBlocksOnTheirWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	has := blocks{}
	for i := range int64(200) {
		has[i] = byte(1 + i)
	}
	img := w.image(version(1), 100, has, "")
	var now, most atomic.Int64
	through := func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			n := now.Add(1)
			defer now.Add(-1)
			old := most.Load()
			for n > old && !most.CompareAndSwap(old, n) {
				old = most.Load()
			}
			return next.RoundTrip(r)
		})
	}
	_, err := w.process(through, nil).Publish(t.Context(), img, template(bake.BIOS), []string{"eu"})
	ok(t, err)
	if n := most.Load(); n < 2 || n > 64 {
		t.Errorf("%d requests at once", n)
	}
}
