package ec2_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/ec2"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/test/localcloud"
	"github.com/iibake/iibake/test/localcloud/admin"
)

// The accounts of tests.
const (
	home  = "111122223333"
	other = "444455556666"
	third = "777788889999"
)

// world is a simulated cloud, a store of disks and a catalog. Time is the cloud's and passes when somebody waits.
type world struct {
	t     testing.TB
	cloud *localcloud.Cloud
	store *disk.Store
	dir   string // of the catalog
	files string // a folder for disks

	mu     sync.Mutex
	calls  []target.Call
	events []bake.Event
}

func newWorld(t testing.TB, faults string) *world {
	t.Helper()
	cloud, err := localcloud.New(localcloud.Config{Simulate: true, Seed: 1, Faults: localcloud.Document{Name: "faults", Text: []byte(faults)}})
	ok(t, err)
	t.Cleanup(func() { ok(t, cloud.Close()) })
	store, err := disk.Open(t.TempDir())
	ok(t, err)
	t.Cleanup(func() { ok(t, store.Close()) })
	return &world{t: t, cloud: cloud, store: store, dir: filepath.Join(t.TempDir(), "catalog"), files: t.TempDir()}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Now implements ec2.Clock.
func (w *world) Now() time.Time { return w.cloud.Now() }

// Sleep implements ec2.Clock. The cloud puts blocks together in the host's time, so that a little of that passes as well.
func (w *world) Sleep(ctx context.Context, d time.Duration) error {
	if err := w.cloud.Advance(d); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(time.Millisecond):
		return nil
	}
}

// specs are the targets of the world: two regions of one account, a region of each other one, and one of another partition.
func specs() []target.Spec {
	all := []target.Spec{
		{Name: "eu", Region: "eu-west-1", AccessKey: home},
		{Name: "us", Region: "us-east-1", AccessKey: home},
		{Name: "eu-other", Region: "eu-west-1", AccessKey: other},
		{Name: "us-third", Region: "us-east-1", AccessKey: third},
		{Name: "cn", Region: "cn-north-1", AccessKey: "222233334444"},
	}
	for i := range all {
		all[i].Endpoint = "http://localhost"
	}
	return all
}

// process is what one run of iibake has of the world.
type process struct {
	*ec2.Publisher
	targets *target.Set
	catalog catalog.Catalog
}

// process starts a run, whose requests and records go through what is given; nil is the way as it is.
func (w *world) process(through func(http.RoundTripper) http.RoundTripper, record func(catalog.Catalog) catalog.Catalog) *process {
	w.t.Helper()
	transport := w.cloud.Client().Transport
	if through != nil {
		transport = through(transport)
	}
	dir, err := catalog.OpenDir(w.dir)
	ok(w.t, err)
	c := catalog.Catalog(dir)
	if record != nil {
		c = record(c)
	}
	set := target.NewSet(specs(), target.Options{
		Transport: transport, Now: w.Now, Sleep: w.Sleep,
		Backoff: retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, w.cloud.Advance(time.Second) }),
		Observe: w.observe,
	})
	return &process{
		Publisher: ec2.New(ec2.Config{Targets: set, Store: w.store, Catalog: c, Clock: w, Report: bake.ReporterFunc(w.report)}),
		targets:   set, catalog: c,
	}
}

func (w *world) observe(c target.Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, c)
}

func (w *world) report(e bake.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// made returns the operations since the last time, and forgets them.
func (w *world) made() (operations []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.calls {
		operations = append(operations, c.Operation)
	}
	w.calls = nil
	return operations
}

// told reports whether an event has a text.
func (w *world) told(text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.events, func(e bake.Event) bool { return strings.Contains(e.Text, text) })
}

// blocks are the blocks of a disk by index; a seed of zero is a block of zeros.
type blocks map[int64]byte

// content is a block of a seed.
func content(seed byte) []byte {
	b := make([]byte, disk.BlockSize)
	if seed != 0 {
		_, _ = rand.NewChaCha8([32]byte{seed}).Read(b[:4096])
		binary.LittleEndian.PutUint64(b[disk.BlockSize-8:], uint64(seed))
	}
	return b
}

// image records a disk of some MiB; base makes blocks that are zero ones that were written.
func (w *world) image(version string, mib int64, has blocks, base bake.Digest) bake.Image {
	w.t.Helper()
	f, err := os.CreateTemp(w.files, "disk-*")
	ok(w.t, err)
	defer func() { _, _ = f.Close(), os.Remove(f.Name()) }()
	ok(w.t, f.Truncate(mib<<20))
	for index, seed := range has {
		_, err := f.WriteAt(content(seed), index*disk.BlockSize)
		ok(w.t, err)
	}
	d, err := w.store.Import(w.t.Context(), f, base, nil)
	ok(w.t, err)
	return bake.Image{
		Ref: bake.Ref{Name: "web", Version: version}, Arch: bake.AMD64, Key: bake.DigestOf([]byte(version)), Disk: d, Size: bake.Size(mib << 20), Commit: "0123456789abcdef",
		Created: w.cloud.Now().UTC(),
	}
}

// template is how images are registered.
func template(firmware ...bake.Firmware) bake.Template {
	var t bake.Template
	t.Name, t.Arch, t.Tests.Boot.Firmware = "web", bake.AMD64, firmware
	return t
}

// target opens a target without a publisher.
func (w *world) target(name string) *target.Target {
	w.t.Helper()
	at, err := w.process(nil, nil).targets.Get(w.t.Context(), name)
	ok(w.t, err)
	return at
}

// ami returns an AMI as a target sees it.
func (w *world) ami(name, id string) ec2types.Image {
	w.t.Helper()
	out, err := target.EC2(w.target(name)).DescribeImages(w.t.Context(), &awsec2.DescribeImagesInput{ImageIds: []string{id}})
	ok(w.t, err)
	if len(out.Images) != 1 {
		w.t.Fatalf("%s sees %d images with the id %s", name, len(out.Images), id)
	}
	return out.Images[0]
}

// read returns all blocks of a snapshot, by EBS direct.
func (w *world) read(at *target.Target, snapshot string) map[int64]bake.Digest {
	w.t.Helper()
	got, body := map[int64]bake.Digest{}, &bytes.Buffer{}
	pages := ebs.NewListSnapshotBlocksPaginator(target.EBS(at), &ebs.ListSnapshotBlocksInput{SnapshotId: &snapshot})
	for pages.HasMorePages() {
		page, err := pages.NextPage(w.t.Context())
		ok(w.t, err)
		for _, b := range page.Blocks {
			out, err := target.EBS(at).GetSnapshotBlock(w.t.Context(), &ebs.GetSnapshotBlockInput{SnapshotId: &snapshot, BlockIndex: b.BlockIndex, BlockToken: b.BlockToken})
			ok(w.t, err)
			body.Reset()
			_, err = body.ReadFrom(out.BlockData)
			ok(w.t, errors.Join(err, out.BlockData.Close()))
			got[int64(aws.ToInt32(b.BlockIndex))] = bake.DigestOf(body.Bytes())
		}
	}
	return got
}

// holds fails the test unless a snapshot reads as a disk: what it lacks is zero, and so is what lies behind the disk.
func (w *world) holds(at *target.Target, snapshot string, d bake.Digest) {
	w.t.Helper()
	m, err := w.store.Manifest(w.t.Context(), d)
	ok(w.t, err)
	got, want := w.read(at, snapshot), map[int64]bake.Digest{}
	for _, b := range m.Blocks {
		want[b.Index] = b.Digest
		if _, there := got[b.Index]; !there {
			got[b.Index] = zero
		}
	}
	for index, have := range got {
		if have != cmp.Or(want[index], zero) {
			w.t.Errorf("block %d of %s is %s, want %s", index, snapshot, have.Short(), cmp.Or(want[index], zero).Short())
		}
	}
}

const zero bake.Digest = "sha256:07854d2fef297a06ba81685e660c332de36d5d18d546927d30daad6d7fda1541"

// left returns what exists, as REGION/TYPE, sorted.
func (w *world) left() []string {
	var all []string
	for _, r := range w.cloud.Leaked() {
		all = append(all, r.Region+"/"+r.Type)
	}
	slices.Sort(all)
	return all
}

// leaves fails the test unless exactly one AMI and one snapshot exist in each region, all of account home, and nothing is under way.
func (w *world) leaves(regions ...string) {
	w.t.Helper()
	var want []string
	for _, r := range regions {
		want = append(want, r+"/image", r+"/snapshot")
	}
	slices.Sort(want)
	if got := w.left(); !slices.Equal(got, want) {
		w.t.Errorf("there are %v, want %v", got, want)
	}
	if i := slices.IndexFunc(w.cloud.Leaked(), func(r admin.Resource) bool { return r.Account != home }); i >= 0 {
		w.t.Errorf("somebody else has %v", w.cloud.Leaked()[i])
	}
	w.settled()
}

// settled fails the test where the catalog says that something is under way.
func (w *world) settled() {
	w.t.Helper()
	c, err := catalog.OpenDir(w.dir)
	ok(w.t, err)
	keys, err := c.List(w.t.Context(), catalog.Heads)
	ok(w.t, err)
	if len(keys) != 0 {
		w.t.Errorf("under way: %v", keys)
	}
}

func version(n int) string { return fmt.Sprintf("2026.11.22-%d-gabc1234", n) }
