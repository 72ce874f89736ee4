package asg_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2/target"
	"github.com/iibake/iibake/promote"
	"github.com/iibake/iibake/promote/asg"
	"github.com/iibake/iibake/test/localcloud"
)

// Where the strategy says what becomes of them, protected instances and those in standby stop nobody.
func TestHeldInstances(t *testing.T) {
	for policy, old := range map[string]int{"refresh": 0, "ignore": 1} {
		w := newWorld(t, "")
		w.addGroup(3)
		_, err := target.AutoScaling(w.admin).SetInstanceProtection(t.Context(), &autoscaling.SetInstanceProtectionInput{
			AutoScalingGroupName: aws.String(group), InstanceIds: []string{*w.group().Instances[0].InstanceId}, ProtectedFromScaleIn: aws.Bool(true),
		})
		ok(t, err)
		s := strategy()
		s.Protected = policy
		f := w.fleet(s)
		p, err := f.Preflight(t.Context(), w.query())
		ok(t, err)
		if len(p.Refusals) > 0 {
			t.Fatal(p.Refusals)
		}
		h := w.follow(f, w.begin(f, w.rollout(s)), nil)
		if h.last.State != promote.Succeeded || h.last.Old != old || h.last.New != 3-old {
			t.Errorf("%s: got %+v", policy, h.last)
		}
	}
}

func TestStandbyInstances(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(3)
	_, err := target.AutoScaling(w.admin).EnterStandby(t.Context(), &autoscaling.EnterStandbyInput{
		AutoScalingGroupName: aws.String(group), InstanceIds: []string{*w.group().Instances[0].InstanceId}, ShouldDecrementDesiredCapacity: aws.Bool(true),
	})
	ok(t, err)
	w.advance(time.Minute)
	s := strategy()
	s.MinHealthy, s.MaxHealthy, s.Standby = 100, 150, "terminate"
	f := w.fleet(s)
	h := w.follow(f, w.begin(f, w.rollout(s)), nil)
	if h.last.State != promote.Succeeded || h.last.Old != 0 || h.last.New != 2 {
		t.Errorf("got %+v", h.last)
	}
}

// An image that boots by UEFI only does not get onto instance types that know BIOS only.
func TestBootMode(t *testing.T) {
	w := newWorld(t, "")
	out, err := target.EC2(w.admin).RegisterImage(t.Context(), &ec2.RegisterImageInput{
		Name: aws.String("web-uefi"), Architecture: ec2types.ArchitectureValuesX8664, RootDeviceName: aws.String("/dev/xvda"), VirtualizationType: aws.String("hvm"),
		BootMode: ec2types.BootModeValuesUefi, EnaSupport: aws.Bool(true),
		BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{SnapshotId: aws.String(w.snapshot())}}},
	})
	ok(t, err)
	old := w.addTemplate("old", &ec2types.RequestLaunchTemplateData{ImageId: &w.images[0], InstanceType: ec2types.InstanceTypeT2Micro})
	for kind, template := range map[string]string{"t3.micro": w.template, "t2.micro": old} {
		name := strings.ReplaceAll(kind, ".", "-")
		_, err := target.AutoScaling(w.admin).CreateAutoScalingGroup(t.Context(), &autoscaling.CreateAutoScalingGroupInput{
			AutoScalingGroupName: &name, MinSize: aws.Int32(0), MaxSize: aws.Int32(0), AvailabilityZones: []string{region + "a"}, LaunchTemplate: spec(template, "1"),
		})
		ok(t, err)
		m := w.member(strategy())
		m.Group = name
		q := w.query()
		q.Artifact.AMI = *out.ImageId
		p, err := asg.New(w.admin, m, nil).Preflight(t.Context(), q)
		ok(t, err)
		if refused := len(p.Refusals) == 1 && strings.Contains(p.Refusals[0], "boots by"); refused != (kind == "t2.micro") {
			t.Errorf("%s: %v", kind, p.Refusals)
		}
	}
}

// snapshot returns that of the images.
func (w *world) snapshot() string {
	w.t.Helper()
	out, err := target.EC2(w.admin).DescribeImages(w.t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{w.images[0]}})
	ok(w.t, err)
	return aws.ToString(out.Images[0].BlockDeviceMappings[0].Ebs.SnapshotId)
}

// Whoever lacks a permission is told which, at every kind of call, and nothing is tried again.
func TestDenied(t *testing.T) {
	for operation, action := range map[string]string{
		"DescribeAutoScalingGroups": "autoscaling:DescribeAutoScalingGroups", "CreateLaunchTemplateVersion": "ec2:CreateLaunchTemplateVersion",
		"StartInstanceRefresh": "autoscaling:StartInstanceRefresh", "CreateOrUpdateTags": "autoscaling:CreateOrUpdateTags",
	} {
		t.Run(operation, func(t *testing.T) {
			w := newWorld(t, "")
			w.addGroup(2)
			code := "AccessDenied"
			if strings.HasPrefix(action, "ec2:") {
				code = "UnauthorizedOperation"
			}
			rule := fmt.Sprintf("version: 1\nrules:\n- match: { operation: %s }\n  do: { error: { status: 403, code: %s, message: \"User: arn:aws:iam::1:user/x is not authorized "+
				"to perform: %s on resource: arn:aws:x because of that\" } }\n", operation, code, action)
			ok(t, w.cloud.SetFaults(localcloud.Document{Name: "faults", Text: []byte(rule)}))
			f := w.fleet(strategy())
			r, err := f.Stage(t.Context(), w.rollout(strategy()))
			if err == nil {
				_, err = f.Start(t.Context(), r)
			}
			if !errors.Is(err, target.ErrDenied) || !errors.Is(err, bake.ErrRefused) || !strings.Contains(err.Error(), action+" on arn:aws:x") ||
				!strings.Contains(err.Error(), "group web in eu-west-1 of account "+home) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// One fleet may be asked by many at once.
func TestManyAsk(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(2)
	f := w.fleet(strategy())
	var all sync.WaitGroup
	staged := make([]promote.Rollout, 8)
	for i := range staged {
		all.Go(func() {
			var err error
			if staged[i], err = f.Stage(t.Context(), w.rollout(strategy())); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, r := range staged {
		if len(r.Moves) != 1 || r.Moves[0].To != "2" {
			t.Errorf("got %+v", r.Moves)
		}
	}
	r, err := f.Start(t.Context(), staged[0])
	ok(t, err)
	for range 8 {
		all.Go(func() {
			if _, err := f.Observe(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// Somebody who removes the group while it is refreshed gets no riddle.
func TestAGroupThatVanishes(t *testing.T) {
	w := newWorld(t, "")
	w.addGroup(2)
	f := w.fleet(strategy())
	r := w.begin(f, w.rollout(strategy()))
	_, err := target.AutoScaling(w.admin).DeleteAutoScalingGroup(t.Context(), &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: aws.String(group), ForceDelete: aws.Bool(true)})
	ok(t, err)
	w.advance(10 * time.Minute)
	if _, err := f.Observe(t.Context(), r); !errors.Is(err, bake.ErrRefused) {
		t.Errorf("got %v", err)
	}
}
