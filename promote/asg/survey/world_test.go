package survey_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/catalog"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/promote/asg/survey"
	"github.com/iibake/iibake/test"
	"github.com/iibake/iibake/test/localcloud"
)

// parameter is the alias of production.
const parameter = "/images/web/production"

// world is a simulated cloud with the places that a project has in it, and the project's catalog: two versions of an image, of which
// production holds the first.
type world struct {
	t       testing.TB
	cloud   *localcloud.Cloud
	catalog catalog.Catalog
	through http.RoundTripper
	specs   []target.Spec
	waves   [][]promote.Member
	places  map[string]*place // by target

	mu      sync.Mutex
	calls   map[string]int // by target
	actions []string       // as IAM has them
}

// place is what a target has.
type place struct {
	*target.Target

	amis     [3]string // of both versions, and one that iibake did not make
	template string
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func image(n int) bake.Ref {
	return bake.Ref{Name: "web", Version: fmt.Sprintf("2026.11.%02d-1-gabc1234", n)}
}

func newWorld(t testing.TB) *world {
	t.Helper()
	cloud, err := localcloud.New(localcloud.Config{Simulate: true, Seed: 1})
	ok(t, err)
	t.Cleanup(func() { _ = cloud.Close() })
	c, err := catalog.OpenDir(t.TempDir())
	ok(t, err)
	w := &world{t: t, cloud: cloud, catalog: c, through: cloud.Client().Transport, places: map[string]*place{}, calls: map[string]int{}}
	for n := 1; n <= 2; n++ {
		w.bake(n, nil)
	}
	w.promote(promote.Promotion{To: image(1)})
	return w
}

// bake puts an image on record that passed its tests.
func (w *world) bake(n int, parent *bake.Ref) {
	w.t.Helper()
	img := bake.Image{
		Ref: image(n), Key: bake.DigestOf([]byte{byte(n), 1}), Disk: bake.DigestOf([]byte{byte(n)}), Commit: strings.Repeat("a", 40), Created: w.cloud.Now().Add(-time.Duration(10-n) * 24 * time.Hour), Parent: parent,
	}
	_, err := bake.NewImages(w.catalog).Record(w.t.Context(), img, nil)
	ok(w.t, err)
	ok(w.t, test.NewVerdicts(w.catalog).Record(w.t.Context(), test.Verdict{
		Image: img.Ref, Disk: img.Disk, At: img.Created, Results: []test.Result{{Boot: "bios", Name: "ssh", Status: test.Pass}},
	}))
}

// promote moves production as if fleets had followed.
func (w *world) promote(p promote.Promotion) promote.Promotion {
	w.t.Helper()
	p.Channel, p.By, p.At = "production", "ada", w.cloud.Now()
	p, err := promote.NewChannels(w.catalog).Move(w.t.Context(), p)
	ok(w.t, err)
	return p
}

func (w *world) options() target.Options {
	return target.Options{Transport: w.through, Observe: func(c target.Call) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.calls[c.Target]++
		w.actions = append(w.actions, c.Service+":"+c.Operation)
	}}
}

// clock lets preparations wait for limits on the cloud's clock.
func (w *world) clock(o target.Options) target.Options {
	o.Now, o.Sleep = w.cloud.Now, func(_ context.Context, d time.Duration) error { return w.cloud.Advance(d) }
	o.Transport, o.Observe = w.cloud.Client().Transport, nil
	return o
}

// add makes a target with both images and a launch template, whose first version has the first image.
func (w *world) add(account, region string) *place {
	w.t.Helper()
	spec := target.Spec{
		Name: account[:4] + "-" + region, Endpoint: "http://localhost", Region: region, AccessKey: "111122223333",
		RoleARN: "arn:aws:iam::" + account + ":role/iibake",
	}
	w.specs = append(w.specs, spec)
	t, err := target.NewSet([]target.Spec{spec}, w.clock(target.Options{})).Get(w.t.Context(), spec.Name)
	ok(w.t, err)
	p := &place{Target: t}
	w.places[spec.Name] = p
	snapshot := w.snapshot(t)
	for i := range p.amis {
		p.amis[i] = w.register(t, "web-"+strconv.Itoa(i+1), snapshot)
	}
	for i, ami := range p.amis[:2] {
		w.publish(p, image(i+1), ami)
	}
	made, err := target.EC2(t).CreateLaunchTemplate(w.t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("web"), LaunchTemplateData: data(p.amis[0])})
	ok(w.t, err)
	p.template = *made.LaunchTemplate.LaunchTemplateId
	_, err = target.SSM(t).PutParameter(w.t.Context(), &ssm.PutParameterInput{Name: aws.String(parameter), Value: &p.amis[0], Type: ssmtypes.ParameterTypeString})
	ok(w.t, err)
	return p
}

func (w *world) publish(p *place, ref bake.Ref, ami string) {
	w.t.Helper()
	ok(w.t, bake.NewArtifacts(w.catalog).Record(w.t.Context(), bake.Artifact{
		Image: ref, Endpoint: p.Endpoint, Account: p.Account, Region: p.Region, AMI: ami, Snapshot: "snap-1", At: w.cloud.Now(),
	}))
}

func data(ami string) *ec2types.RequestLaunchTemplateData {
	return &ec2types.RequestLaunchTemplateData{ImageId: &ami, InstanceType: ec2types.InstanceTypeT3Micro}
}

// version makes another version of the place's launch template.
func (w *world) version(p *place, ami string) string {
	w.t.Helper()
	out, err := target.EC2(p.Target).CreateLaunchTemplateVersion(w.t.Context(), &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateId: &p.template, LaunchTemplateData: data(ami)})
	ok(w.t, err)
	return strconv.FormatInt(*out.LaunchTemplateVersion.VersionNumber, 10)
}

func (p *place) spec(version string) *astypes.LaunchTemplateSpecification {
	return &astypes.LaunchTemplateSpecification{LaunchTemplateId: &p.template, Version: &version}
}

// group makes a group of instances of the first version, which is a fleet of the first wave.
func (w *world) group(p *place, name string, size int) promote.Member {
	w.t.Helper()
	_, err := target.AutoScaling(p.Target).CreateAutoScalingGroup(w.t.Context(), &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: &name, MinSize: aws.Int32(0), MaxSize: aws.Int32(int32(2*size + 2)), DesiredCapacity: aws.Int32(int32(size)),
		AvailabilityZones: []string{p.Region + "a", p.Region + "b"}, HealthCheckGracePeriod: aws.Int32(0), LaunchTemplate: p.spec("1"),
	})
	ok(w.t, err)
	m := promote.Member{Name: p.Name + "-" + name, Target: p.Name, Group: name, Image: "web"}
	if len(w.waves) == 0 {
		w.waves = [][]promote.Member{nil}
	}
	w.waves[0] = append(w.waves[0], m)
	return m
}

// update makes the group web launch from another version, as somebody may who does not know of iibake.
func (w *world) update(p *place, version string) {
	w.t.Helper()
	_, err := target.AutoScaling(p.Target).UpdateAutoScalingGroup(w.t.Context(), &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: aws.String("web"), LaunchTemplate: p.spec(version)})
	ok(w.t, err)
}

func (w *world) advance(d time.Duration) {
	w.t.Helper()
	ok(w.t, w.cloud.Advance(d))
}

// look returns the status of production, asked by a process that knows nothing yet.
func (w *world) look() promote.Status {
	w.t.Helper()
	return w.lookBy(survey.Surveyor{Open: target.NewSet(w.specs, w.options()).Get})
}

func (w *world) lookBy(v survey.Surveyor) promote.Status {
	w.t.Helper()
	s, err := promote.Look(w.t.Context(), w.config(v))
	ok(w.t, err)
	return s
}

func (w *world) config(v survey.Surveyor) promote.StatusConfig {
	return promote.StatusConfig{
		Catalog: w.catalog, Now: w.cloud.Now(), Survey: v.Survey,
		Watched: []promote.Watched{{Image: "web", Rule: promote.Rule{Channel: "production", Waves: w.waves, Parameter: parameter}}},
	}
}

// kinds returns the kinds of drift with the fleets, as a notice in brackets.
func kinds(s promote.Status) []string {
	all := []string{}
	for _, d := range s.Drift {
		text := strings.TrimSpace(string(d.Kind) + " " + d.Fleet)
		if d.Notice {
			text = "(" + text + ")"
		}
		all = append(all, text)
	}
	return all
}

func desired(p *place, version string) *astypes.DesiredConfiguration {
	return &astypes.DesiredConfiguration{LaunchTemplate: p.spec(version)}
}

// run starts an instance by hand.
func (w *world) run(p *place, ami string) {
	w.t.Helper()
	_, err := target.EC2(p.Target).RunInstances(w.t.Context(), &ec2.RunInstancesInput{
		ImageId: &ami, InstanceType: ec2types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
	})
	ok(w.t, err)
}

// put changes the alias of the channel.
func (w *world) put(p *place, ami string) {
	w.t.Helper()
	_, err := target.SSM(p.Target).PutParameter(w.t.Context(), &ssm.PutParameterInput{Name: aws.String(parameter), Value: &ami, Type: ssmtypes.ParameterTypeString, Overwrite: aws.Bool(true)})
	ok(w.t, err)
}

// instances returns those of the group web.
func (w *world) instances(p *place) []string {
	w.t.Helper()
	out, err := target.AutoScaling(p.Target).DescribeAutoScalingGroups(w.t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{"web"}})
	ok(w.t, err)
	var all []string
	for _, in := range out.AutoScalingGroups[0].Instances {
		all = append(all, *in.InstanceId)
	}
	return all
}

// begin starts a promotion to the second image as its driver does: every group has a refresh that has come some way.
func (w *world) begin() {
	w.t.Helper()
	from := image(1)
	pro, _, err := promote.NewActives(w.catalog).Begin(w.t.Context(), promote.Promotion{
		Channel: "production", From: &from, To: image(2), By: "ada", At: w.cloud.Now(), Waves: w.waves,
	}, "ada on laptop", w.cloud.Now())
	ok(w.t, err)
	versions := map[string]string{}
	for _, m := range w.waves[0] {
		p := w.places[m.Target]
		if versions[m.Target] == "" {
			versions[m.Target] = w.version(p, p.amis[1])
		}
		out, err := target.AutoScaling(p.Target).StartInstanceRefresh(w.t.Context(), &autoscaling.StartInstanceRefreshInput{
			AutoScalingGroupName: &m.Group, DesiredConfiguration: desired(p, versions[m.Target]),
		})
		ok(w.t, err)
		w.record(pro, promote.Rollout{
			Fleet: m, From: &from, To: image(2), AMI: p.amis[1], Phase: promote.Refreshing, Refresh: *out.InstanceRefreshId, At: w.cloud.Now(),
			Moves: []promote.Move{{Template: p.template, Name: "web", From: "1", To: versions[m.Target], FromAMI: p.amis[0], ToAMI: p.amis[1]}},
		})
	}
	w.advance(time.Minute)
	_, err = promote.NewActives(w.catalog).Look(w.t.Context(), pro, "ada on laptop", w.cloud.Now())
	ok(w.t, err)
}

func (w *world) record(pro promote.Promotion, r promote.Rollout) {
	w.t.Helper()
	r.Promotion = pro.ID()
	_, err := promote.NewRollouts(w.catalog).Append(w.t.Context(), pro, r)
	ok(w.t, err)
}
