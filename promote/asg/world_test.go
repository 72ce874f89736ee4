package asg_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/promote/asg"
	"github.com/iibake/iibake/test/localcloud"
)

const (
	home   = "111122223333"
	region = "eu-west-1"
	group  = "web"
	poll   = 5 * time.Second
)

// The versions of the image, of which the fleet has the first.
func web(n int) bake.Image {
	return bake.Image{Ref: bake.Ref{Name: "web", Version: strconv.Itoa(n)}, Arch: bake.AMD64}
}

// world is a simulated cloud with one account that has images, a launch template and a group.
type world struct {
	t        testing.TB
	cloud    *localcloud.Cloud
	spec     target.Spec
	admin    *target.Target // makes what there is before
	images   [3]string      // AMIs of web:1, web:2, and of web:3 for arm64
	template string

	catalogErr error // of whoever asks which image an AMI is
}

func newWorld(t testing.TB, scenario string) *world {
	t.Helper()
	return newWorldOf(t, scenario, target.Spec{Name: "eu", Endpoint: "http://localhost", Region: region, AccessKey: home})
}

func newWorldOf(t testing.TB, scenario string, spec target.Spec) *world {
	t.Helper()
	c := localcloud.Config{Simulate: true, Seed: 1}
	if scenario != "" {
		c.Scenario = localcloud.Document{Name: "scenario", Text: []byte("version: 1\n" + scenario)}
	}
	cloud, err := localcloud.New(c)
	ok(t, err)
	w := &world{t: t, cloud: cloud, spec: spec}
	w.admin = w.open(cloud.Client().Transport)
	t.Cleanup(func() { ok(t, cloud.Close()) })
	w.addImages()
	w.template = w.addTemplate("web", &ec2types.RequestLaunchTemplateData{
		ImageId: &w.images[0], InstanceType: ec2types.InstanceTypeT3Micro, UserData: aws.String("aGVsbG8="),
		MetadataOptions: &ec2types.LaunchTemplateInstanceMetadataOptionsRequest{HttpTokens: ec2types.LaunchTemplateHttpTokensStateRequired},
	})
	return w
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open returns a session of its own, as a process has it.
func (w *world) open(through http.RoundTripper) *target.Target {
	w.t.Helper()
	opened, err := target.NewSet([]target.Spec{w.spec}, target.Options{
		Transport: through, Now: w.cloud.Now,
		Sleep:   func(_ context.Context, d time.Duration) error { return w.cloud.Advance(d) },
		Backoff: retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, w.cloud.Advance(time.Second) }),
	}).Get(w.t.Context(), w.spec.Name)
	ok(w.t, err)
	return opened
}

func (w *world) advance(d time.Duration) {
	w.t.Helper()
	ok(w.t, w.cloud.Advance(d))
}

func (w *world) addImages() {
	w.t.Helper()
	snapshot := w.addSnapshot()
	for i := range w.images {
		in := &ec2.RegisterImageInput{
			Name: aws.String(fmt.Sprintf("web-%d", i+1)), Architecture: ec2types.ArchitectureValuesX8664, RootDeviceName: aws.String("/dev/xvda"),
			VirtualizationType: aws.String("hvm"), EnaSupport: aws.Bool(true),
			BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{SnapshotId: &snapshot}}},
		}
		if i == 2 {
			in.Architecture = ec2types.ArchitectureValuesArm64
		}
		out, err := target.EC2(w.admin).RegisterImage(w.t.Context(), in)
		ok(w.t, err)
		w.images[i] = *out.ImageId
	}
}

// addSnapshot writes a snapshot of one block. It is put together beside the clock.
func (w *world) addSnapshot() string {
	w.t.Helper()
	started, err := target.EBS(w.admin).StartSnapshot(w.t.Context(), &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1), Timeout: aws.Int32(4320)})
	ok(w.t, err)
	block := make([]byte, 512<<10)
	sum := sha256.Sum256(block)
	_, err = target.EBS(w.admin).PutSnapshotBlock(w.t.Context(), &ebs.PutSnapshotBlockInput{
		SnapshotId: started.SnapshotId, BlockIndex: aws.Int32(0), BlockData: strings.NewReader(string(block)), DataLength: aws.Int32(int32(len(block))),
		Checksum: aws.String(base64.StdEncoding.EncodeToString(sum[:])), ChecksumAlgorithm: ebstypes.ChecksumAlgorithmChecksumAlgorithmSha256,
	})
	ok(w.t, err)
	_, err = target.EBS(w.admin).CompleteSnapshot(w.t.Context(), &ebs.CompleteSnapshotInput{SnapshotId: started.SnapshotId, ChangedBlocksCount: aws.Int32(1)})
	ok(w.t, err)
	for limit := time.Now().Add(time.Minute); time.Now().Before(limit); runtime.Gosched() {
		seen, err := target.EC2(w.admin).DescribeSnapshots(w.t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{*started.SnapshotId}})
		ok(w.t, err)
		if seen.Snapshots[0].State == ec2types.SnapshotStateCompleted {
			return *started.SnapshotId
		}
		w.advance(time.Second)
	}
	w.t.Fatal("the snapshot does not become complete")
	return ""
}

func (w *world) addTemplate(name string, data *ec2types.RequestLaunchTemplateData) string {
	w.t.Helper()
	made, err := target.EC2(w.admin).CreateLaunchTemplate(w.t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: &name, LaunchTemplateData: data})
	ok(w.t, err)
	return *made.LaunchTemplate.LaunchTemplateId
}

func spec(template, version string) *astypes.LaunchTemplateSpecification {
	return &astypes.LaunchTemplateSpecification{LaunchTemplateId: &template, Version: &version}
}

// addGroup makes the group of version 1, and waits until it is in service.
func (w *world) addGroup(size int, change ...func(*autoscaling.CreateAutoScalingGroupInput)) {
	w.t.Helper()
	in := &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: aws.String(group), MinSize: aws.Int32(0), MaxSize: aws.Int32(int32(2 * size)), DesiredCapacity: aws.Int32(int32(size)),
		AvailabilityZones: []string{region + "a", region + "b"}, LaunchTemplate: spec(w.template, "1"),
		HealthCheckGracePeriod: aws.Int32(30),
	}
	for _, c := range change {
		c(in)
	}
	_, err := target.AutoScaling(w.admin).CreateAutoScalingGroup(w.t.Context(), in)
	ok(w.t, err)
	w.advance(3 * time.Minute)
	if n := healthy(w.group()); n != size {
		w.t.Fatalf("%d of %d are in service", n, size)
	}
}

func (w *world) group() astypes.AutoScalingGroup {
	w.t.Helper()
	out, err := target.AutoScaling(w.admin).DescribeAutoScalingGroups(w.t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{group}})
	ok(w.t, err)
	return out.AutoScalingGroups[0]
}

func healthy(g astypes.AutoScalingGroup) int {
	n := 0
	for _, in := range g.Instances {
		if in.LifecycleState == astypes.LifecycleStateInService && aws.ToString(in.HealthStatus) == "Healthy" {
			n++
		}
	}
	return n
}

// versions returns the versions of a launch template, oldest first.
func (w *world) versions(template string) []ec2types.LaunchTemplateVersion {
	w.t.Helper()
	out, err := target.EC2(w.admin).DescribeLaunchTemplateVersions(w.t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &template})
	ok(w.t, err)
	slices.Reverse(out.LaunchTemplateVersions)
	return out.LaunchTemplateVersions
}

func (w *world) refreshes() []astypes.InstanceRefresh {
	w.t.Helper()
	out, err := target.AutoScaling(w.admin).DescribeInstanceRefreshes(w.t.Context(), &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: aws.String(group)})
	ok(w.t, err)
	return out.InstanceRefreshes
}

// alarm makes an alarm, or changes its state.
func (w *world) alarm(name string, state cwtypes.StateValue) {
	w.t.Helper()
	_, err := target.CloudWatch(w.admin).PutMetricAlarm(w.t.Context(), &cloudwatch.PutMetricAlarmInput{
		AlarmName: &name, Namespace: aws.String("web"), MetricName: aws.String("5xx"), Period: aws.Int32(60), EvaluationPeriods: aws.Int32(1),
		Threshold: aws.Float64(1), ComparisonOperator: cwtypes.ComparisonOperatorGreaterThanThreshold, Statistic: cwtypes.StatisticSum,
	})
	ok(w.t, err)
	_, err = target.CloudWatch(w.admin).SetAlarmState(w.t.Context(), &cloudwatch.SetAlarmStateInput{AlarmName: &name, StateValue: state, StateReason: aws.String("test")})
	ok(w.t, err)
}

func strategy() promote.Strategy {
	return promote.Strategy{
		Kind: promote.Rolling, MinHealthy: 75, MaxHealthy: 125, Canary: true, CheckpointDelay: bake.Duration(time.Minute),
		Soak: bake.Duration(time.Minute), SkipMatching: true, AutoRollback: true,
	}
}

func (w *world) member(s promote.Strategy) promote.Member {
	return promote.Member{Name: "web-eu", Target: w.spec.Name, Group: group, Image: "web", Strategy: s}
}

// fleet returns the fleet as another process sees it.
func (w *world) fleet(s promote.Strategy) *asg.Fleet {
	return w.fleetThrough(s, w.cloud.Client().Transport)
}

func (w *world) fleetThrough(s promote.Strategy, through http.RoundTripper) *asg.Fleet {
	w.t.Helper()
	return asg.New(w.open(through), w.member(s), func(_ context.Context, ami string) (*bake.Ref, error) {
		for i, known := range w.images {
			if known == ami {
				return &bake.Ref{Name: "web", Version: strconv.Itoa(i + 1)}, w.catalogErr
			}
		}
		return nil, w.catalogErr
	})
}

func (w *world) query() promote.Query {
	return promote.Query{Image: web(2), Artifact: bake.Artifact{Image: web(2).Ref, AMI: w.images[1]}}
}

// rollout is one from web:1 to web:2.
func (w *world) rollout(s promote.Strategy) promote.Rollout {
	from := web(1).Ref
	return promote.Rollout{Promotion: "web@production#1", Fleet: w.member(s), From: &from, To: web(2).Ref, AMI: w.images[1]}
}

// begin stages and starts.
func (w *world) begin(f *asg.Fleet, r promote.Rollout) promote.Rollout {
	w.t.Helper()
	r, err := f.Stage(w.t.Context(), r)
	ok(w.t, err)
	r, err = f.Start(w.t.Context(), r)
	ok(w.t, err)
	return r
}

// history is what was seen of a refresh.
type history struct {
	last        promote.Observation
	least, most int // fewest healthy ones, most new ones
	states      []promote.State
	took        time.Duration
}

// follow looks every few seconds, until the refresh has ended or done says so.
func (w *world) follow(f *asg.Fleet, r promote.Rollout, done func(promote.Observation) bool) history {
	w.t.Helper()
	began, h := w.cloud.Now(), history{least: 1 << 30}
	for range 5000 {
		o, err := f.Observe(w.t.Context(), r)
		ok(w.t, err)
		h.last, h.least, h.most, h.took = o, min(h.least, o.Healthy), max(h.most, o.New), w.cloud.Now().Sub(began)
		if n := len(h.states); n == 0 || h.states[n-1] != o.State {
			h.states = append(h.states, o.State)
		}
		if o.State.Ended() || done != nil && done(o) {
			return h
		}
		w.advance(poll)
	}
	w.t.Fatalf("the refresh does not end: %+v", h)
	return h
}

var errKilled = errors.New("killed")
