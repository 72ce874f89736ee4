package autoscaling_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/autoscaling"
	"github.com/iibake/iibake/test/localcloud/internal/elb"
	"github.com/iibake/iibake/test/localcloud/internal/instance"
	"github.com/iibake/iibake/test/localcloud/internal/simulation"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// The services that instances and target groups really have.
var (
	_ autoscaling.Instances    = (*instance.Service)(nil)
	_ autoscaling.RootReplacer = (*instance.Service)(nil)
	_ autoscaling.Targets      = (*elb.Service)(nil)
)

// useRealInstances puts EC2 itself, with simulated machines, in the place of the fake.
func (w *world) useRealInstances() {
	w.Helper()
	instances := instance.New(w.store)
	driver := simulation.New(simulation.Config{Clock: w.clock, Observer: instances, Scenario: &simulation.Scenario{}})
	instances.Attach(driver)
	w.connect(autoscaling.New(w.store, instances, elb.New(w.store, driver)))
	_ = w.store.Update(region, func(r *state.Region) error {
		instances.EnsureDefaults(r, account)
		for _, image := range []string{"ami-00000000000000011", "ami-00000000000000012"} {
			snapshot := &state.Snapshot{}
			snapshot.SnapshotId, snapshot.State, snapshot.VolumeSize = aws.String("snap-of-"+image), ec2types.SnapshotStateCompleted, aws.Int32(1)
			r.Snapshots.Put("snap-of-"+image, snapshot)
			i := r.Images.Edit(image)
			i.OwnerId, i.State, i.Architecture = aws.String(account), ec2types.ImageStateAvailable, ec2types.ArchitectureValuesX8664
			i.RootDeviceName, i.RootDeviceType, i.VirtualizationType = aws.String("/dev/xvda"), ec2types.DeviceTypeEbs, ec2types.VirtualizationTypeHvm
			i.EnaSupport = aws.Bool(true)
			i.BlockDeviceMappings = []ec2types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{SnapshotId: snapshot.SnapshotId, DeleteOnTermination: aws.Bool(true)}}}
		}
		return nil
	})
}

func images(override string) *astypes.MixedInstancesPolicy {
	return &astypes.MixedInstancesPolicy{LaunchTemplate: &astypes.LaunchTemplate{
		LaunchTemplateSpecification: &astypes.LaunchTemplateSpecification{LaunchTemplateId: aws.String("lt-0aaaaaaaaaaaaaaaa"), Version: aws.String("1")},
		Overrides:                   []astypes.LaunchTemplateOverrides{{InstanceType: aws.String("t3.nano"), ImageId: &override}},
	}}
}

// Root volumes are replaced under instances that stay the same, and rolled back by replacing them once more.
func TestRootVolumesOfRealInstances(t *testing.T) {
	w := newWorld(t)
	w.useRealInstances()
	w.create("g", 2, func(in *as.CreateAutoScalingGroupInput) {
		in.VPCZoneIdentifier, in.AvailabilityZones = nil, []string{"us-east-1a", "us-east-1b"}
		in.LaunchTemplate, in.MixedInstancesPolicy = nil, images("ami-00000000000000011")
	})
	if n := len(w.group("g").Instances); n != 2 {
		t.Fatalf("%d instances: %+v", n, *w.activities()[0].Description)
	}
	ids := w.imagesOf(t, "ami-00000000000000011")
	w.startRefresh(&as.StartInstanceRefreshInput{
		AutoScalingGroupName: aws.String("g"), Strategy: astypes.RefreshStrategyReplaceRootVolume,
		DesiredConfiguration: &astypes.DesiredConfiguration{MixedInstancesPolicy: images("ami-00000000000000012")},
		Preferences:          &astypes.RefreshPreferences{BakeTime: aws.Int32(3600)},
	})
	w.clock.Advance(20 * time.Minute)
	if r := w.refresh(); r.Status != astypes.InstanceRefreshStatusBaking {
		t.Fatalf("%+v", r)
	}
	if again := w.imagesOf(t, "ami-00000000000000012"); again != ids {
		t.Errorf("instances %s became %s", ids, again)
	}
	must(w.client.RollbackInstanceRefresh(t.Context(), &as.RollbackInstanceRefreshInput{AutoScalingGroupName: aws.String("g")}))
	w.clock.Advance(20 * time.Minute)
	if r := w.refresh(); r.Status != astypes.InstanceRefreshStatusRollbackSuccessful {
		t.Fatalf("%+v", r)
	}
	if again := w.imagesOf(t, "ami-00000000000000011"); again != ids {
		t.Errorf("instances %s became %s", ids, again)
	}
}

// imagesOf checks the image of all instances of the group g, of their EC2 side and of their disks, and returns their ids.
func (w *world) imagesOf(t *testing.T, want string) (ids string) {
	t.Helper()
	for _, i := range w.group("g").Instances {
		ids += *i.InstanceId + " "
		if *i.ImageId != want {
			t.Errorf("%s has %s, not %s", *i.InstanceId, *i.ImageId, want)
		}
		_ = w.store.View(region, func(r *state.Region) error {
			in := r.Instances.Get(*i.InstanceId)
			v := r.Volumes.Get(*in.BlockDeviceMappings[0].Ebs.VolumeId)
			if *in.ImageId != want || *v.SnapshotId != "snap-of-"+want || in.State.Name != ec2types.InstanceStateNameRunning {
				t.Errorf("%s: image %s, snapshot %s, %s", *i.InstanceId, *in.ImageId, *v.SnapshotId, in.State.Name)
			}
			return nil
		})
	}
	return ids
}

func TestARefreshOfRealInstances(t *testing.T) {
	w := newWorld(t)
	w.useRealInstances()
	w.create("g", 4, func(in *as.CreateAutoScalingGroupInput) {
		in.VPCZoneIdentifier, in.AvailabilityZones = nil, []string{"us-east-1a", "us-east-1b"}
	})
	if n := len(w.group("g").Instances); n != 4 {
		t.Fatalf("%d instances: %+v", n, *w.activities()[0].Description)
	}
	w.startRefresh(&as.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("g"), DesiredConfiguration: version("2")})
	w.clock.Advance(15 * time.Minute)
	if r := w.refresh(); r.Status != astypes.InstanceRefreshStatusSuccessful {
		t.Fatalf("%+v", r)
	}
	_ = w.store.View(region, func(r *state.Region) error {
		for _, i := range w.group("g").Instances {
			tags := map[string]string{}
			for _, tag := range r.Instances.Get(*i.InstanceId).Tags {
				tags[*tag.Key] = *tag.Value
			}
			if tags["aws:autoscaling:groupName"] != "g" || tags["aws:ec2launchtemplate:version"] != "2" || tags["aws:ec2launchtemplate:id"] != "lt-0aaaaaaaaaaaaaaaa" {
				t.Errorf("%s has tags %v", *i.InstanceId, tags)
			}
		}
		return nil
	})
}
