package ec2_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake"
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
