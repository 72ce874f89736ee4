package ebs_test

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

func (c *cloud) list(account, id string) *ebs.ListSnapshotBlocksOutput {
	c.t.Helper()
	out, err := c.direct(account).ListSnapshotBlocks(c.t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: &id})
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

func (c *cloud) get(account, id string, index int32, token string) ([]byte, error) {
	out, err := c.direct(account).GetSnapshotBlock(c.t.Context(), &ebs.GetSnapshotBlockInput{SnapshotId: &id, BlockIndex: &index, BlockToken: &token})
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.BlockData.Close() }()
	b, err := io.ReadAll(out.BlockData)
	if err == nil && (*out.DataLength != disk.BlockSize || *out.Checksum != sum(b) || out.ChecksumAlgorithm != ebstypes.ChecksumAlgorithmChecksumAlgorithmSha256) {
		c.t.Errorf("answer %+v", out)
	}
	return b, err
}

func indexes(blocks []ebstypes.Block) string {
	var all []string
	for _, b := range blocks {
		all = append(all, strconv.Itoa(int(*b.BlockIndex)))
	}
	return strings.Join(all, " ")
}

func TestListSnapshotBlocks(t *testing.T) {
	c := newCloud(t)
	parent := c.snapshot("", map[int32][]byte{0: block(1), 7: block(2)})
	child := c.snapshot(parent, map[int32][]byte{7: make([]byte, disk.BlockSize), 2047: block(3)})
	if got := indexes(c.list(owner, parent).Blocks); got != "0 7" {
		t.Errorf("parent: %s", got)
	}
	out := c.list(owner, child)
	if got := indexes(out.Blocks); got != "0 7 2047" || *out.BlockSize != disk.BlockSize || *out.VolumeSize != 1 || out.NextToken != nil {
		t.Errorf("child: %s, %+v", got, out)
	}
	ahead := out.ExpiryTime.Sub(c.clock.Now())
	if ahead < 6*24*time.Hour+11*time.Hour || ahead > 7*24*time.Hour+5*time.Hour || ahead%time.Minute != 0 {
		t.Errorf("tokens expire %s ahead", ahead)
	}
	again := c.list(owner, child)
	for i, b := range out.Blocks {
		if *again.Blocks[i].BlockToken == *b.BlockToken {
			t.Error("two listings have the same token")
		}
		if got, err := c.get(owner, child, *b.BlockIndex, *b.BlockToken); err != nil || !bytes.Equal(got, [][]byte{block(1), make([]byte, disk.BlockSize), block(3)}[i]) {
			t.Errorf("block %d: %v", *b.BlockIndex, err)
		}
	}
	for from, want := range map[int32]string{1: "7 2047", 2047: "2047", 2048: ""} {
		out, err := c.direct(owner).ListSnapshotBlocks(t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: &child, StartingBlockIndex: &from})
		if err != nil || indexes(out.Blocks) != want {
			t.Errorf("from %d: %s, %v", from, indexes(out.Blocks), err)
		}
		if want == "" && !out.ExpiryTime.Equal(c.clock.Now()) {
			t.Errorf("an empty list expires at %s", out.ExpiryTime)
		}
	}
}

func TestPagesOfBlocks(t *testing.T) {
	c := newCloud(t)
	blocks := map[int32][]byte{}
	for i := range int32(102) {
		blocks[i*3] = block(byte(i % 3))
	}
	parent := c.snapshot("", nil)
	id := c.snapshot(parent, blocks)
	in := &ebs.ListSnapshotBlocksInput{SnapshotId: &id, MaxResults: aws.Int32(100)}
	first, err := c.direct(owner).ListSnapshotBlocks(t.Context(), in)
	if err != nil || len(first.Blocks) != 100 || first.NextToken == nil {
		t.Fatalf("first page: %+v, %v", first, err)
	}
	in.NextToken = first.NextToken
	in.StartingBlockIndex = aws.Int32(0) // the token has the last word
	second, err := c.direct(owner).ListSnapshotBlocks(t.Context(), in)
	if err != nil || indexes(second.Blocks) != "300 303" || second.NextToken != nil {
		t.Errorf("second page: %s, %v", indexes(second.Blocks), err)
	}
	changed := &ebs.ListChangedBlocksInput{FirstSnapshotId: &parent, SecondSnapshotId: &id, MaxResults: aws.Int32(100)}
	diff, err := c.direct(owner).ListChangedBlocks(t.Context(), changed)
	if err != nil || len(diff.ChangedBlocks) != 100 || diff.NextToken == nil {
		t.Fatalf("changes: %+v, %v", diff, err)
	}
	for token, id := range map[string]string{"invalid": id, *diff.NextToken: id, *first.NextToken: parent} {
		_, err := c.direct(owner).ListSnapshotBlocks(t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: &id, NextToken: &token})
		wantInvalid(t, err, "INVALID_PAGE_TOKEN", "The pagination token "+token+" is invalid.")
	}
	c.clock.Advance(61 * time.Minute)
	_, err = c.direct(owner).ListSnapshotBlocks(t.Context(), in)
	wantInvalid(t, err, "INVALID_PAGE_TOKEN", "The pagination token "+*in.NextToken+" is invalid.")
}

func TestBlockTokens(t *testing.T) {
	c := newCloud(t)
	id := c.snapshot("", map[int32][]byte{4: block(1), 5: block(2)})
	twin := c.snapshot("", map[int32][]byte{4: block(1)})
	token := *c.list(owner, id).Blocks[0].BlockToken
	for _, wrong := range []struct {
		id    string
		index int32
		token string
	}{{id, 5, token}, {id, 6, token}, {id, 9999, token}, {twin, 4, token}, {id, 4, "garbage"}, {id, 4, token[:len(token)-4]}} {
		_, err := c.get(owner, wrong.id, wrong.index, wrong.token)
		wantInvalid(t, err, "INVALID_BLOCK_TOKEN", "The block token "+wrong.token+" is invalid.")
	}
	_, err := c.get(owner, "snap-00000000000000001", 0, token)
	wantNotFound(t, err, "snap-00000000000000001")
	c.clock.Advance(6 * 24 * time.Hour)
	if _, err := c.get(owner, id, 4, token); err != nil {
		t.Errorf("after six days: %v", err)
	}
	fresh := *c.list(owner, id).Blocks[0].BlockToken
	if _, err := c.compute().DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &id}); err != nil {
		t.Fatal(err)
	}
	if got, err := c.get(owner, id, 4, token); err != nil || !bytes.Equal(got, block(1)) {
		t.Errorf("after its snapshot was deleted: %v", err)
	}
	c.clock.Advance(2 * 24 * time.Hour)
	_, err = c.get(owner, twin, 4, token)
	wantInvalid(t, err, "INVALID_BLOCK_TOKEN", "The block token "+token+" is invalid.")
	_, err = c.get(owner, id, 4, token)
	wantNotFound(t, err, id)
	if _, err := c.get(owner, id, 4, fresh); err != nil {
		t.Errorf("a fresh token: %v", err)
	}
}

func TestListChangedBlocks(t *testing.T) {
	c := newCloud(t)
	parent := c.snapshot("", map[int32][]byte{1: block(1), 2: block(2)})
	left := c.snapshot(parent, map[int32][]byte{1: block(3), 5: block(5)})
	right := c.snapshot(parent, map[int32][]byte{1: block(4), 2: block(2), 6: block(6)})
	stranger := c.snapshot("", map[int32][]byte{1: block(1)})
	if _, err := c.compute().DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &parent}); err != nil {
		t.Fatal(err)
	}
	diff := func(first, second string) (*ebs.ListChangedBlocksOutput, error) {
		return c.direct(owner).ListChangedBlocks(t.Context(), &ebs.ListChangedBlocksInput{FirstSnapshotId: &first, SecondSnapshotId: &second})
	}
	out, err := diff(left, right)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range out.ChangedBlocks {
		got = append(got, fmt.Sprint(*b.BlockIndex, b.FirstBlockToken != nil, b.SecondBlockToken != nil))
	}
	if text := strings.Join(got, ", "); text != "1 true true, 5 true false, 6 false true" {
		t.Errorf("changed: %s", text)
	}
	if b, err := c.get(owner, left, 1, *out.ChangedBlocks[0].FirstBlockToken); err != nil || !bytes.Equal(b, block(3)) {
		t.Errorf("first: %v", err)
	}
	if b, err := c.get(owner, right, 6, *out.ChangedBlocks[2].SecondBlockToken); err != nil || !bytes.Equal(b, block(6)) {
		t.Errorf("second: %v", err)
	}
	if out, err := diff(right, left); err != nil || len(out.ChangedBlocks) != 3 {
		t.Errorf("the other way round: %v", err)
	}
	_, err = diff(stranger, left)
	wantInvalid(t, err, "UNRELATED_SNAPSHOTS", "The snapshots are not related.")
	_, err = diff(parent, left)
	wantNotFound(t, err, parent)
	_, err = c.direct(owner).ListChangedBlocks(t.Context(), &ebs.ListChangedBlocksInput{SecondSnapshotId: &left})
	wantInvalid(t, err, "INVALID_SNAPSHOT_ID", "First snapshot should not be empty or null")
}

func TestSharing(t *testing.T) {
	c := newCloud(t)
	id := c.snapshot("", map[int32][]byte{0: block(1)})
	token := *c.list(owner, id).Blocks[0].BlockToken
	_, err := c.get(friend, id, 0, token)
	wantNotFound(t, err, id)
	c.share(id, friend)
	if _, err := c.get(friend, id, 0, token); err != nil { // also with the owner's token
		t.Error(err)
	}
	if got := indexes(c.list(friend, id).Blocks); got != "0" {
		t.Errorf("blocks %s", got)
	}
	everybody := &ec2types.CreateVolumePermissionModifications{Add: []ec2types.CreateVolumePermission{{Group: ec2types.PermissionGroupAll}}}
	if _, err := c.compute().ModifySnapshotAttribute(t.Context(), &ec2.ModifySnapshotAttributeInput{SnapshotId: &id, CreateVolumePermission: everybody}); err != nil {
		t.Fatal(err)
	}
	_, err = c.get(friend, id, 0, token)
	wantInvalid(t, err, "INVALID_SNAPSHOT_ID", "Public snapshots are not supported")
	_, err = c.direct(friend).ListSnapshotBlocks(t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: &id})
	wantInvalid(t, err, "INVALID_SNAPSHOT_ID", "Public snapshots are not supported")
	if _, err := c.get(owner, id, 0, token); err != nil {
		t.Error(err)
	}
	reset := &ec2.ResetSnapshotAttributeInput{SnapshotId: &id, Attribute: ec2types.SnapshotAttributeNameCreateVolumePermission}
	if _, err := c.compute().ResetSnapshotAttribute(t.Context(), reset); err != nil {
		t.Fatal(err)
	}
	_, err = c.get(friend, id, 0, token)
	wantNotFound(t, err, id)
}

// A volume of an encrypted snapshot reads garbage where nobody wrote; that of another one reads zeros.
func TestAbsentBlocksOfEncryptedSnapshots(t *testing.T) {
	c := newCloud(t)
	start, err := c.direct(owner).StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1), Encrypted: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	secret, plain := *start.SnapshotId, c.snapshot("", map[int32][]byte{3: block(1)})
	c.put(secret, 3, block(1))
	c.complete(secret, 1, nil)
	c.clock.Advance(2 * time.Second)
	if got := c.list(owner, secret).Blocks; indexes(got) != "3" {
		t.Errorf("blocks %s", indexes(got))
	}
	read := func(id string, index int64) []byte {
		var snap state.Snapshot
		_ = c.store.View(region, func(r *state.Region) error {
			snap = *r.Snapshots.Get(id)
			return nil
		})
		volume, err := c.blocks.Reader(t.Context(), snap.Disk)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, disk.BlockSize)
		if _, err := volume.ReadAt(b, index*disk.BlockSize); err != nil {
			t.Fatal(err)
		}
		return b
	}
	if !bytes.Equal(read(secret, 3), block(1)) || !bytes.Equal(read(plain, 3), block(1)) {
		t.Error("what was written differs")
	}
	zero := make([]byte, disk.BlockSize)
	if !bytes.Equal(read(plain, 2), zero) {
		t.Error("a plain volume is not zero")
	}
	for _, index := range []int64{0, 2, 4, 2047} {
		if b := read(secret, index); bytes.Contains(b, zero[:64]) {
			t.Errorf("block %d of an encrypted volume has zeros", index)
		}
	}
	if _, err := c.blocks.Collect(t.Context(), nil, 0, false); err != nil {
		t.Fatal(err)
	}
	if len(read(secret, 7)) == 0 {
		t.Error("collected")
	}
}
