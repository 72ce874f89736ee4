package alias_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/promote/asg/alias"
	"github.com/iibake/iibake/test/localcloud"
)

const parameter = "/web/production"

// world is a simulated cloud with two targets, whose clock is moved by whoever waits.
type world struct {
	t     *testing.T
	cloud *localcloud.Cloud
	set   *target.Set

	mu  sync.Mutex // targets wait at the same time
	now time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	cloud, err := localcloud.New(localcloud.Config{Simulate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cloud.Close() })
	spec := func(name, region string) target.Spec {
		return target.Spec{Name: name, Endpoint: "http://localhost", Region: region, AccessKey: "111122223333"}
	}
	set := target.NewSet([]target.Spec{spec("eu", "eu-west-1"), spec("us", "us-east-1")}, target.Options{Transport: cloud.Client().Transport})
	return &world{t: t, cloud: cloud, set: set, now: time.Now()}
}

func (w *world) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) Sleep(_ context.Context, d time.Duration) error {
	w.mu.Lock()
	w.now = w.now.Add(d)
	w.mu.Unlock()
	return w.cloud.Advance(d)
}

func (w *world) parameters() promote.Alias {
	return alias.New(alias.Config{Target: w.set.Get, Clock: w})
}

func (w *world) target(name string) *target.Target {
	w.t.Helper()
	t, err := w.set.Get(w.t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

// image makes an AMI of an empty disk.
func (w *world) image(place, name string) bake.Artifact {
	w.t.Helper()
	t := w.target(place)
	begun, err := target.EBS(t).StartSnapshot(w.t.Context(), &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1)})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := target.EBS(t).CompleteSnapshot(w.t.Context(), &ebs.CompleteSnapshotInput{SnapshotId: begun.SnapshotId, ChangedBlocksCount: aws.Int32(0)}); err != nil {
		w.t.Fatal(err)
	}
	for range 1000 {
		seen, err := target.EC2(t).DescribeSnapshots(w.t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{*begun.SnapshotId}})
		if err != nil {
			w.t.Fatal(err)
		}
		if seen.Snapshots[0].State == "completed" {
			break
		}
		if err := w.Sleep(w.t.Context(), time.Second); err != nil {
			w.t.Fatal(err)
		}
	}
	out, err := target.EC2(t).RegisterImage(w.t.Context(), registration(name, *begun.SnapshotId))
	if err != nil {
		w.t.Fatal(err)
	}
	return bake.Artifact{AMI: *out.ImageId, Region: t.Region}
}

func (w *world) value(place string) string {
	w.t.Helper()
	out, err := target.SSM(w.target(place)).GetParameter(w.t.Context(), &ssm.GetParameterInput{Name: aws.String(parameter)})
	if err != nil {
		w.t.Fatal(err)
	}
	return *out.Parameter.Value
}

func TestSet(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"web-1", "web-2"} {
		artifacts := map[string]bake.Artifact{"eu": w.image("eu", name), "us": w.image("us", name)}
		for range 2 { // the second time there is nothing to do
			if err := w.parameters().Set(t.Context(), parameter, artifacts); err != nil {
				t.Fatal(err)
			}
		}
		for place, a := range artifacts {
			if got := w.value(place); got != a.AMI {
				t.Errorf("%s: got %s, want %s", place, got, a.AMI)
			}
		}
	}
	out, err := target.SSM(w.target("eu")).GetParameterHistory(t.Context(), &ssm.GetParameterHistoryInput{Name: aws.String(parameter)})
	if err != nil || len(out.Parameters) != 2 || *out.Parameters[0].DataType != "aws:ec2:image" {
		t.Errorf("got %+v, %v", out, err)
	}
}

func TestSetNothing(t *testing.T) {
	w := newWorld(t)
	if err := w.parameters().Set(t.Context(), parameter, nil); err != nil {
		t.Errorf("no target: %v", err)
	}
	if err := w.parameters().Set(t.Context(), parameter, map[string]bake.Artifact{"nowhere": {AMI: "ami-1"}}); !errors.Is(err, bake.ErrNotFound) {
		t.Errorf("a target that is not there: %v", err)
	}
}

// Systems Manager answers 200 and keeps the value before where the AMI is not there.
func TestSetOfAnImageThatIsGone(t *testing.T) {
	w := newWorld(t)
	good := w.image("eu", "web-1")
	if err := w.parameters().Set(t.Context(), parameter, map[string]bake.Artifact{"eu": good}); err != nil {
		t.Fatal(err)
	}
	gone := map[string]bake.Artifact{"eu": {AMI: "ami-0123456789abcdef0"}}
	if err := w.parameters().Set(t.Context(), parameter, gone); !errors.Is(err, bake.ErrRefused) {
		t.Errorf("got %v", err)
	}
	if got := w.value("eu"); got != good.AMI {
		t.Errorf("got %s, want %s", got, good.AMI)
	}
}

func registration(name, snapshot string) *ec2.RegisterImageInput {
	return &ec2.RegisterImageInput{
		Name: &name, Architecture: "x86_64", RootDeviceName: aws.String("/dev/xvda"), VirtualizationType: aws.String("hvm"),
		BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{SnapshotId: &snapshot}}},
	}
}

// A target that cannot be set does not keep the others from it.
func TestSetWhereOneFails(t *testing.T) {
	w := newWorld(t)
	good := w.image("us", "web-1")
	err := w.parameters().Set(t.Context(), parameter, map[string]bake.Artifact{"nowhere": {AMI: "ami-1"}, "neverland": {AMI: "ami-1"}, "us": good})
	if !errors.Is(err, bake.ErrNotFound) || !strings.Contains(err.Error(), "nowhere") || !strings.Contains(err.Error(), "neverland") {
		t.Errorf("got %v", err)
	}
	if got := w.value("us"); got != good.AMI {
		t.Errorf("got %s, want %s", got, good.AMI)
	}
}

// What an error says, it says once: what was to be set, where, what was asked, and what the answer was.
func TestWhatErrorsSay(t *testing.T) {
	w := newWorld(t)
	rule := "version: 1\nrules:\n- match: { operation: PutParameter }\n  do: { error: { status: 400, code: AccessDeniedException, message: no } }\n"
	if err := w.cloud.SetFaults(localcloud.Document{Name: "faults", Text: []byte(rule)}); err != nil {
		t.Fatal(err)
	}
	err := w.parameters().Set(t.Context(), parameter, map[string]bake.Artifact{"eu": {AMI: "ami-1"}})
	want := "parameter /web/production in eu-west-1 of account 111122223333: permission denied: ssm:PutParameter: no (AccessDeniedException, request "
	if err == nil || !strings.HasPrefix(err.Error(), want) || !errors.Is(err, target.ErrDenied) {
		t.Errorf("got %v", err)
	}
	err = w.parameters().Set(t.Context(), parameter, map[string]bake.Artifact{"nowhere": {AMI: "ami-1"}})
	if err == nil || err.Error() != "target nowhere: not found" {
		t.Errorf("got %v", err)
	}
}
