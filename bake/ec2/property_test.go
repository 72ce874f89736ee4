package ec2_test

import (
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/ec2"
)

// Whatever disks an account has, and whatever the next one consists of: the AMI's blocks are those of the disk.
func TestAMIHoldsTheDisk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	p, n := w.process(nil, nil), 0
	rapid.Check(t, func(r *rapid.T) {
		base := bake.Digest("")
		for range rapid.IntRange(1, 2).Draw(r, "disks") {
			n++
			mib := rapid.SampledFrom([]int64{1, 2, 4, 1025}).Draw(r, "MiB")
			content := rapid.MapOfN(rapid.Int64Range(0, 2*mib-1), rapid.ByteRange(0, 3), 0, 12).Draw(r, "blocks")
			img := w.image(version(n), mib, content, base)
			if rapid.Bool().Draw(r, "on top") {
				base = img.Disk
			}
			got, err := p.Publish(t.Context(), img, template(bake.BIOS), []string{"eu"})
			if err != nil {
				r.Fatal(err)
			}
			w.holds(w.target("eu"), got["eu"].Snapshot, img.Disk)
			if t.Failed() {
				r.FailNow()
			}
		}
	})
}

// garbage is what a block reads as that nobody wrote, on an encrypted volume.
const garbage bake.Digest = "garbage"

// Whatever a snapshot begins as, what is written makes the disk of it: also where blocks that nobody wrote are garbage.
func TestChangesMakeTheDisk(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		gib, encrypted := rapid.Int64Range(1, 2).Draw(r, "GiB"), rapid.Bool().Draw(r, "encrypted")
		from, parent := rapid.Int64Range(0, gib).Draw(r, "GiB of the parent"), disk.Manifest{}
		if from > 0 {
			parent = drawManifest(r, "parent", from)
		}
		m := drawManifest(r, "disk", gib)
		volume := map[int64]bake.Digest{}
		for index := range gib * 2048 {
			switch {
			case index < from*2048:
				volume[index] = zero
			case encrypted:
				volume[index] = garbage
			default:
				volume[index] = zero
			}
		}
		lay(volume, parent)
		want := map[int64]bake.Digest{}
		for index := range gib * 2048 {
			want[index] = zero
		}
		lay(want, m)
		for index, isZero := range ec2.Changes(m, parent, from, encrypted) {
			if volume[index] = want[index]; isZero != (want[index] == zero) {
				r.Errorf("block %d: zero %v", index, isZero)
			}
		}
		if !maps.Equal(volume, want) {
			r.Error("the snapshot is not the disk")
		}
	})
}

func drawManifest(r *rapid.T, name string, gib int64) disk.Manifest {
	index := rapid.OneOf(rapid.Int64Range(0, 5), rapid.Int64Range(0, gib*2048-1))
	m := manifest(rapid.MapOfN(index, rapid.ByteRange(0, 3), 0, 20).Draw(r, name))
	m.Size = gib << 30
	return m
}

func lay(volume map[int64]bake.Digest, m disk.Manifest) {
	for _, b := range m.Blocks {
		volume[b.Index] = b.Digest
	}
}
