package asg_test

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake/ec2/target"
)

// volume is a mapping of a launch template.
func volume(device, snapshot string, gib int32) ec2types.LaunchTemplateBlockDeviceMappingRequest {
	ebs := &ec2types.LaunchTemplateEbsBlockDeviceRequest{VolumeType: ec2types.VolumeTypeGp3, DeleteOnTermination: aws.Bool(true)}
	if gib > 0 {
		ebs.VolumeSize = &gib
	}
	if snapshot != "" {
		ebs.SnapshotId = &snapshot
	}
	return ec2types.LaunchTemplateBlockDeviceMappingRequest{DeviceName: &device, Ebs: ebs}
}

// withVolumes moves the group to a template with mappings.
func (w *world) withVolumes(mappings ...ec2types.LaunchTemplateBlockDeviceMappingRequest) string {
	w.t.Helper()
	id := w.addTemplate("volumes", &ec2types.RequestLaunchTemplateData{
		ImageId: &w.images[0], InstanceType: ec2types.InstanceTypeT3Micro, BlockDeviceMappings: mappings,
	})
	w.update(&autoscaling.UpdateAutoScalingGroupInput{LaunchTemplate: spec(id, "1")})
	return id
}

// EC2 leaves the snapshots of mappings out of a version that is made of another one: data volumes keep theirs all the same, and the root volume does
// not, which is that of the image before.
func TestAVersionKeepsTheSnapshotsOfDataVolumes(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(2)
	data, root := w.addSnapshot(), w.addSnapshot()
	id := w.withVolumes(volume("/dev/xvda", root, 20), volume("/dev/sdf", data, 0), volume("/dev/sdg", "", 5))
	r, err := w.fleet(strategy()).Stage(t.Context(), w.rollout(strategy()))
	ok(t, err)
	v := w.versions(id)
	if len(v) != 2 || r.Moves[0].To != "2" {
		t.Fatalf("got %+v", r.Moves)
	}
	got := v[1].LaunchTemplateData.BlockDeviceMappings
	if len(got) != 3 || aws.ToString(got[1].Ebs.SnapshotId) != data || got[1].Ebs.VolumeType != ec2types.VolumeTypeGp3 || got[2].Ebs.SnapshotId != nil {
		t.Fatalf("got %+v", got)
	}
	if got[0].Ebs.SnapshotId != nil || *got[0].Ebs.VolumeSize != 20 || !*got[0].Ebs.DeleteOnTermination {
		t.Errorf("the root volume: %+v", got[0].Ebs)
	}
}

// A root volume that the template makes too small for the image is no surprise of the first instance.
func TestARootVolumeThatIsTooSmall(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(2)
	w.withVolumes(volume("/dev/xvda", "", 4))
	large := w.register("web-large", "/dev/xvda", 5, nil)
	q := w.query()
	p, err := w.fleet(strategy()).Preflight(t.Context(), q)
	if err != nil || len(p.Refusals) > 0 {
		t.Fatalf("an image that fits: %v, %v", p.Refusals, err)
	}
	q.Artifact.AMI = large
	p, err = w.fleet(strategy()).Preflight(t.Context(), q)
	if err != nil || len(p.Refusals) != 1 || !strings.Contains(p.Refusals[0], "4 GiB") || !strings.Contains(p.Refusals[0], "needs 5") {
		t.Errorf("got %q, %v", p.Refusals, err)
	}
}

// What the template says of the root volume it says of a device, which another image may call otherwise.
func TestAnotherRootDevice(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(2)
	w.withVolumes(volume("/dev/xvda", "", 30))
	q := w.query()
	q.Artifact.AMI = w.register("web-sda", "/dev/sda1", 0, nil)
	p, err := w.fleet(strategy()).Preflight(t.Context(), q)
	if err != nil || len(p.Refusals) > 0 || !strings.Contains(strings.Join(p.Notes, "\n"), "/dev/sda1, so that they make another, empty volume") {
		t.Errorf("got %q, %q, %v", p.Refusals, p.Notes, err)
	}
}

// An image that needs a TPM is refused where instance types have none.
func TestNoTPM(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(2)
	q := w.query()
	q.Artifact.AMI = w.register("web-tpm", "/dev/xvda", 0, func(in *ec2.RegisterImageInput) {
		in.BootMode, in.TpmSupport = ec2types.BootModeValuesUefi, ec2types.TpmSupportValuesV20
	})
	p, err := w.fleet(strategy()).Preflight(t.Context(), q)
	if err != nil || len(p.Refusals) > 0 {
		t.Fatalf("got %q, %v", p.Refusals, err)
	}
	f := w.fleetThrough(strategy(), w.rewrite("<instanceType>t3.micro</instanceType>", "<instanceType>t3.micro</instanceType><nitroTpmSupport>unsupported</nitroTpmSupport>", 100))
	p, err = f.Preflight(t.Context(), q)
	if err != nil || len(p.Refusals) != 1 || !strings.Contains(p.Refusals[0], "t3.micro, which has no TPM") {
		t.Errorf("got %q, %v", p.Refusals, err)
	}
}

// register adds an image with a root volume of some GiB, where that is not the snapshot's.
func (w *world) register(name, root string, gib int32, change func(*ec2.RegisterImageInput)) string {
	w.t.Helper()
	ebs := &ec2types.EbsBlockDevice{SnapshotId: aws.String(w.addSnapshot())}
	if gib > 0 {
		ebs.VolumeSize = &gib
	}
	in := &ec2.RegisterImageInput{
		Name: &name, Architecture: ec2types.ArchitectureValuesX8664, RootDeviceName: &root, VirtualizationType: aws.String("hvm"), EnaSupport: aws.Bool(true),
		BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: &root, Ebs: ebs}},
	}
	if change != nil {
		change(in)
	}
	out, err := target.EC2(w.admin).RegisterImage(w.t.Context(), in)
	ok(w.t, err)
	return *out.ImageId
}

// tripper is a way to the cloud.
type tripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// rewrite changes the first answers that have a text.
func (w *world) rewrite(from, to string, times int) tripper {
	return func(r *http.Request) (*http.Response, error) {
		resp, err := w.cloud.Client().Transport.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(resp.Body)
		if err == nil {
			err = resp.Body.Close()
		}
		if times > 0 && bytes.Contains(body, []byte(from)) {
			times--
			body = bytes.ReplaceAll(body, []byte(from), []byte(to))
		}
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
		return resp, err
	}
}
