package endtoend_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/disk"
	publisher "github.com/iibake/iibake/bake/ec2"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/promote/asg"
	"github.com/iibake/iibake/promote/asg/alias"
	"github.com/iibake/iibake/test"
	"github.com/iibake/iibake/test/localcloud"
)

const (
	production = promote.Channel("production")
	parameter  = "/iibake/web/production"
)

// world is a simulated cloud with fleets, and a catalog with two versions of the image that they run, of which they have the first.
type world struct {
	t       testing.TB
	cloud   *localcloud.Cloud
	catalog string // folder
	store   *disk.Store
	specs   []target.Spec
	waves   [][]promote.Member
	soak    time.Duration
	images  []bake.Image // one is in production, two is to come
	speed   float64
	poll    time.Duration
	watch   func()       // called whenever somebody has waited
	wish    promote.Wish // what somebody wishes when half of the last wave has the image; once
}

// plot is what a world is made with.
type plot struct {
	accounts, regions int // how many
	fleets            int // of each region and account
	size              int // instances of a fleet
	waves             int
	strategy          promote.Strategy
	soak              time.Duration
	speed             float64 // of the cloud's clock; 0: it stands still but when somebody waits
	poll              time.Duration
	scenario, faults  string
}

func small() plot {
	return plot{
		accounts: 1, regions: 1, fleets: 2, size: 2, waves: 2, soak: time.Minute, poll: 15 * time.Second,
		strategy: promote.Strategy{
			Kind: promote.Rolling, MinHealthy: 100, MaxHealthy: 150, Canary: true, CheckpointDelay: bake.Duration(time.Minute),
			Soak: bake.Duration(time.Minute), AutoRollback: true, SkipMatching: true,
		},
	}
}

func newWorld(t testing.TB, p plot) *world {
	t.Helper()
	dir := t.TempDir()
	store, err := disk.Open(filepath.Join(dir, "store"))
	ok(t, err)
	cloud, err := localcloud.New(localcloud.Config{
		Simulate: true, Blocks: filepath.Join(dir, "store"), Start: time.Now(), Seed: 1, Speed: p.speed, Scenario: document(p.scenario),
	})
	ok(t, err)
	t.Cleanup(func() { ok(t, errors.Join(cloud.Close(), store.Close())) })
	w := &world{
		t: t, cloud: cloud, catalog: filepath.Join(dir, "catalog"), store: store, waves: make([][]promote.Member, p.waves), soak: p.soak,
		speed: p.speed, poll: p.poll, watch: func() {},
	}
	w.images = []bake.Image{w.bake(1), w.bake(2)}
	w.addTargets(p)
	first := w.start(nil)
	artifacts, err := published{first}.Publish(t.Context(), w.images[0], w.targets())
	ok(t, err)
	w.addFleets(p, first, artifacts)
	w.settle(p)
	_, err = promote.NewChannels(first.catalog).Move(t.Context(), promote.Promotion{Channel: production, To: w.images[0].Ref, By: "somebody", At: cloud.Now()})
	ok(t, err)
	ok(t, cloud.SetFaults(document(p.faults)))
	return w
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// bake puts an image on record that was never baked, but has a disk and has passed.
func (w *world) bake(n int) bake.Image {
	w.t.Helper()
	c, err := catalog.OpenDir(w.catalog)
	ok(w.t, err)
	img := bake.Image{
		Ref: bake.Ref{Name: "web", Version: fmt.Sprintf("20261122.%d-abcdef0", n)}, Arch: bake.AMD64, Disk: w.disk(n), Size: bake.MiB, Stored: bake.MiB,
		Commit: strings.Repeat("abcdef0123", 4), Template: "images/web.yaml", Created: w.cloud.Now(),
		Key: bake.DigestOf(fmt.Append(nil, "key", n)),
	}
	img, err = bake.NewImages(c).Record(w.t.Context(), img, []bake.Package{{Name: "web", Version: strconv.Itoa(n), Arch: "amd64"}})
	ok(w.t, err)
	ok(w.t, test.NewVerdicts(c).Record(w.t.Context(), test.Verdict{
		Image: img.Ref, Disk: img.Disk, At: w.cloud.Now(), Results: []test.Result{{Boot: "bios", Name: "ssh", Status: test.Pass}},
	}))
	return img
}

// disk stores a disk of two blocks, one of which all versions share.
func (w *world) disk(n int) bake.Digest {
	w.t.Helper()
	f, err := os.Create(filepath.Join(w.t.TempDir(), "disk"))
	ok(w.t, err)
	defer func() { _ = f.Close() }()
	content := slices.Concat(slices.Repeat([]byte("always"), disk.BlockSize/6+1)[:disk.BlockSize], slices.Repeat([]byte{byte(n)}, disk.BlockSize))
	_, err = f.Write(content)
	ok(w.t, err)
	d, err := w.store.Import(w.t.Context(), f, "", nil)
	ok(w.t, err)
	return d
}

func (w *world) addTargets(p plot) {
	for a := range p.accounts {
		for r := range p.regions {
			w.specs = append(w.specs, target.Spec{
				Name: fmt.Sprintf("t%d-%d", a, r), Endpoint: "http://localhost", Region: fmt.Sprintf("eu-west-%d", r+1), AccessKey: fmt.Sprintf("%012d", a+1),
			})
		}
	}
}

func (w *world) targets() []string {
	names := make([]string, len(w.specs))
	for i, s := range w.specs {
		names[i] = s.Name
	}
	return names
}

// addFleets makes a launch template in each target, of the first image, and groups that use it; the fleets take turns in being in the waves.
func (w *world) addFleets(p plot, first *process, artifacts map[string]bake.Artifact) {
	w.t.Helper()
	for _, s := range w.specs {
		t, err := first.set.Get(w.t.Context(), s.Name)
		ok(w.t, err)
		for i := range p.fleets {
			ami := artifacts[s.Name].AMI
			name := fmt.Sprintf("web-%d", i)
			w.addGroup(t, name, ami, p.size)
			m := promote.Member{Name: s.Name + "-" + name, Target: s.Name, Group: name, Image: "web", Strategy: p.strategy}
			w.waves[i%p.waves] = append(w.waves[i%p.waves], m)
		}
	}
}

func (w *world) addGroup(t *target.Target, name, ami string, size int) {
	w.t.Helper()
	made, err := target.EC2(t).CreateLaunchTemplate(w.t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: &name, LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: &ami, InstanceType: ec2types.InstanceTypeT3Micro},
	})
	ok(w.t, err)
	_, err = target.AutoScaling(t).CreateAutoScalingGroup(w.t.Context(), &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: &name, MinSize: aws.Int32(0), MaxSize: aws.Int32(int32(2 * size)), DesiredCapacity: aws.Int32(int32(size)),
		AvailabilityZones: []string{t.Region + "a", t.Region + "b"},
		LaunchTemplate:    &astypes.LaunchTemplateSpecification{LaunchTemplateId: made.LaunchTemplate.LaunchTemplateId, Version: aws.String("1")},
	})
	ok(w.t, err)
}

// settle waits until all instances are in service.
func (w *world) settle(p plot) {
	w.t.Helper()
	for range 100 {
		ok(w.t, w.cloud.Advance(time.Minute))
		if w.leastHealthy() == p.size {
			return
		}
	}
	w.t.Fatal("the fleets do not come into service")
}

// leastHealthy returns how many healthy instances the fleet has that has the fewest.
func (w *world) leastHealthy() int {
	w.t.Helper()
	least := 1 << 30
	for _, s := range w.specs {
		for _, g := range w.groups(s) {
			n := 0
			for _, in := range g.Instances {
				if in.LifecycleState == astypes.LifecycleStateInService && aws.ToString(in.HealthStatus) == "Healthy" {
					n++
				}
			}
			least = min(least, n)
		}
	}
	return least
}

// observer is a client that no wire is in the way of.
func (w *world) observer(s target.Spec) *target.Target {
	w.t.Helper()
	set := target.NewSet([]target.Spec{s}, target.Options{Transport: w.cloud.Client().Transport})
	t, err := set.Get(w.t.Context(), s.Name)
	ok(w.t, err)
	return t
}

func (w *world) groups(s target.Spec) []astypes.AutoScalingGroup {
	w.t.Helper()
	var all []astypes.AutoScalingGroup
	pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(target.AutoScaling(w.observer(s)), &autoscaling.DescribeAutoScalingGroupsInput{MaxRecords: aws.Int32(100)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(w.t.Context())
		ok(w.t, err)
		all = append(all, page.AutoScalingGroups...)
	}
	return all
}

// process is one process of iibake, from its start to its end or its death.
type process struct {
	*world

	wire     *wire
	made     sync.Map // actions of the calls that ended, as IAM has them
	catalog  *mortal
	set      *target.Set
	publish  *publisher.Publisher
	promoter *promote.Promoter
	ctx      context.Context //nolint:containedctx // ends with the process, which is a struct here
}

// start starts a process whose calls meet the fate that f says; nil for none.
func (w *world) start(f func(call) fate) *process {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	w.t.Cleanup(cancel)
	inner, err := catalog.OpenDir(w.catalog)
	ok(w.t, err)
	p := &process{world: w, wire: newWire(w.cloud.Client().Transport), catalog: &mortal{Catalog: inner}, ctx: ctx}
	if f != nil {
		p.wire.fate = f
	}
	p.wire.death = func() { p.catalog.dead.Store(true); cancel() }
	p.set = target.NewSet(w.specs, target.Options{
		Transport: http.RoundTripper(p.wire), Now: w.cloud.Now, Sleep: p.Sleep, Observe: func(c target.Call) { p.made.Store(c.Service+":"+c.Operation, true) },
		Backoff: retry.BackoffDelayerFunc(w.backoff),
	})
	p.publish = publisher.New(publisher.Config{Targets: p.set, Store: w.store, Catalog: p.catalog, Clock: p})
	p.promoter = promote.New(promote.Config{
		Catalog: p.catalog, Rules: w.rule, Fleet: p.fleet, Publisher: published{p}, Alias: p.alias(),
		Clock: p, Driver: "process " + rand.Text(), Poll: w.poll, Report: p.follow,
	})
	return p
}

func (w *world) rule(_ string, ch promote.Channel) (promote.Rule, error) {
	return promote.Rule{Channel: ch, Waves: w.waves, Soak: bake.Duration(w.soak), Parameter: parameter}, nil
}

// backoff is as long as production's, in the time of a cloud that goes by itself. One that does not would wait for ever.
func (w *world) backoff(attempt int, err error) (time.Duration, error) {
	if w.speed == 0 {
		return 0, nil
	}
	d, err := retry.NewExponentialJitterBackoff(20*time.Second).BackoffDelay(attempt, err)
	return time.Duration(float64(d) / w.speed), err
}

func (p *process) alias() promote.Alias {
	return alias.New(alias.Config{Target: p.set.Get, Clock: p})
}

func (p *process) fleet(ctx context.Context, m promote.Member) (promote.Fleet, error) {
	t, err := p.set.Get(ctx, m.Target)
	if err != nil {
		return nil, err
	}
	artifacts := bake.NewArtifacts(p.catalog)
	return asg.New(t, m, func(ctx context.Context, ami string) (*bake.Ref, error) {
		all, err := artifacts.Images(ctx)
		if ref, found := all[ami]; err == nil && found {
			return &ref, nil
		}
		return nil, err
	}), nil
}

// Now implements promote.Clock.
func (p *process) Now() time.Time { return p.cloud.Now() }

// Sleep implements promote.Clock: the time of a process is that of the cloud.
func (p *process) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.speed > 0 {
		return p.sleep(ctx, d)
	}
	time.Sleep(time.Millisecond) // the cloud puts snapshots together in the time of the host
	if err := p.cloud.Advance(d); err != nil {
		return err
	}
	p.watch()
	return nil
}

// follow makes the wish when it is time.
func (p *process) follow(now promote.Progress) {
	last := now.Fleets[len(now.Fleets)-1]
	if p.wish == "" || last.Phase != promote.Refreshing || last.Percent == 0 {
		return
	}
	if _, err := p.promoter.Wish(p.ctx, "web", production, p.wish, "somebody", "it is enough"); err == nil {
		p.wish = ""
	}
}

// published publishes as the template of web says.
type published struct{ *process }

// Publish implements promote.Publisher.
func (p published) Publish(ctx context.Context, img bake.Image, targets []string) (map[string]bake.Artifact, error) {
	t := bake.Template{Name: "web", Arch: bake.AMD64, Tests: bake.Tests{Boot: bake.Boot{Firmware: []bake.Firmware{bake.BIOS}}}}
	return p.publish.Publish(ctx, img, t, targets)
}

// Find implements promote.Publisher.
func (p published) Find(ctx context.Context, img bake.Image, targets []string) (map[string]bake.Artifact, error) {
	return p.publish.Find(ctx, img, targets)
}
