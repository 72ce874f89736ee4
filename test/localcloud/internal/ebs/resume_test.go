package ebs_test

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"pgregory.net/rapid"

	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// A process that ends at any point loses no block that it has acknowledged, and the next one completes what was to be completed.
func TestProcessEnds(t *testing.T) {
	dir := t.TempDir()
	first := newCloud(t)
	c := openCloud(t, first.clock, first.store, dir)
	parent := c.snapshot("", map[int32][]byte{0: block(1), 1: block(1)})
	id := c.start(parent)
	c.put(id, 1, block(2))

	c = openCloud(t, first.clock, first.store, dir) // as if the other had been killed
	c.service.Resume(region)
	c.put(id, 2, block(3))
	c.complete(id, 2, aggregate(block(2), block(3)))

	c = openCloud(t, first.clock, first.store, dir)
	c.service.Resume(region)
	c.clock.Advance(2 * time.Second)
	if got := c.describe(id); got.State != ec2types.SnapshotStateCompleted {
		t.Fatalf("%+v", got)
	}
	list := c.list(owner, id).Blocks
	if indexes(list) != "0 1 2" {
		t.Fatalf("blocks %s", indexes(list))
	}
	for i, want := range [][]byte{block(1), block(2), block(3)} {
		if got, err := c.get(owner, id, int32(i), *list[i].BlockToken); err != nil || !bytes.Equal(got, want) {
			t.Errorf("block %d: %v", i, err)
		}
	}
	_ = c.store.Update(region, func(r *state.Region) error { // killed between the deletion and giving up the blocks
		r.Snapshots.Edit(id).Deleted = true
		return nil
	})
	c = openCloud(t, first.clock, first.store, dir)
	c.service.Resume(region)
	_ = c.store.View(region, func(r *state.Region) error {
		if r.Snapshots.Get(id) != nil {
			t.Error("a deleted snapshot is still there")
		}
		return nil
	})
}

// A collection by anybody else, with the blocks of nothing named, leaves all snapshots alone, open ones too.
func TestCollectionLeavesSnapshots(t *testing.T) {
	dir := t.TempDir()
	first := newCloud(t)
	c := openCloud(t, first.clock, first.store, dir)
	parent := c.snapshot("", map[int32][]byte{0: block(1)})
	id := c.start(parent)
	c.put(id, 1, block(2))
	if _, err := c.compute().DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &parent}); err != nil {
		t.Fatal(err)
	}
	other := c.snapshot("", map[int32][]byte{9: block(9)})
	_ = c.blocks.Close() // it held all that it has seen

	gc, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gc.Collect(t.Context(), nil, 0, false); err != nil {
		t.Fatal(err)
	}
	c = openCloud(t, first.clock, first.store, dir)
	c.service.Resume(region)
	c.complete(id, 1, nil)
	c.clock.Advance(2 * time.Second)
	for _, want := range []string{id, other} {
		for _, b := range c.list(owner, want).Blocks {
			if _, err := c.get(owner, want, *b.BlockIndex, *b.BlockToken); err != nil {
				t.Errorf("%s, block %d: %v", want, *b.BlockIndex, err)
			}
		}
	}
	if got := indexes(c.list(owner, id).Blocks); got != "0 1" {
		t.Errorf("blocks %s", got)
	}
}

// Whatever is written in whatever order, over generations, what is listed and read is what was last written.
func TestWhatIsWrittenIsRead(t *testing.T) {
	c := newCloud(t)
	rapid.Check(t, func(rt *rapid.T) {
		want := map[int32]byte{}
		id := ""
		for range rapid.IntRange(1, 2).Draw(rt, "generations") {
			id = c.start(id)
			wrote := map[int32]bool{}
			for range rapid.IntRange(0, 4).Draw(rt, "blocks") {
				index, seed := rapid.Int32Range(0, 3).Draw(rt, "index"), rapid.ByteRange(1, 4).Draw(rt, "content")
				c.put(id, index, block(seed))
				want[index], wrote[index] = seed, true
			}
			c.complete(id, int32(len(wrote)), nil)
			c.clock.Advance(2 * time.Second)
		}
		list := c.list(owner, id).Blocks
		if len(list) != len(want) || *c.describe(id).FullSnapshotSizeInBytes != int64(len(want)*disk.BlockSize) {
			rt.Fatalf("blocks %s, want %v", indexes(list), want)
		}
		for _, b := range list {
			if got, err := c.get(owner, id, *b.BlockIndex, *b.BlockToken); err != nil || !bytes.Equal(got, block(want[*b.BlockIndex])) {
				rt.Fatalf("block %d: %v", *b.BlockIndex, err)
			}
		}
	})
}

// Put, complete and delete at the same time end well for the store, whoever comes first.
func TestRaces(t *testing.T) {
	c := newCloud(t)
	for range 20 {
		id := c.start("")
		var wait sync.WaitGroup
		for i := range int32(4) {
			wait.Go(func() { _, _ = c.direct(owner).PutSnapshotBlock(t.Context(), putInput(id, i, block(byte(i)))) })
		}
		wait.Go(func() {
			_, _ = c.direct(owner).CompleteSnapshot(t.Context(), &ebs.CompleteSnapshotInput{SnapshotId: &id, ChangedBlocksCount: aws.Int32(4)})
		})
		wait.Go(func() { _, _ = c.compute().DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &id}) })
		wait.Wait()
		c.clock.Advance(time.Hour)
	}
	c.service.Close()
	c.wantSound()
}
