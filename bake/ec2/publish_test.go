package ec2_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/ec2"
	"github.com/iibake/iibake/bake/ec2/target"
)

func TestPublish(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	img := w.image(version(1), 3, blocks{0: 1, 3: 2, 5: 3}, "")
	tmpl := template(bake.BIOS, bake.UEFI)
	tmpl.Publish.DeprecateAfter = bake.Duration(90 * 24 * time.Hour)
	got, err := w.process(nil, nil).Publish(t.Context(), img, tmpl, []string{"eu"})
	ok(t, err)
	a := got["eu"]
	if a.Image != img.Ref || a.Disk != img.Disk || a.Account != home || a.Region != "eu-west-1" || a.Endpoint != "http://localhost" || a.At.IsZero() {
		t.Errorf("artifact %+v", a)
	}
	ami := w.ami("eu", a.AMI)
	if aws.ToString(ami.Name) != "web-"+version(1) || ami.Architecture != ec2types.ArchitectureValuesX8664 || !aws.ToBool(ami.EnaSupport) ||
		ami.BootMode != ec2types.BootModeValuesUefiPreferred || ami.ImdsSupport != ec2types.ImdsSupportValuesV20 ||
		ami.VirtualizationType != ec2types.VirtualizationTypeHvm || aws.ToString(ami.RootDeviceName) != "/dev/xvda" || ami.TpmSupport != "" {
		t.Errorf("AMI %+v", ami)
	}
	root := ami.BlockDeviceMappings[0].Ebs
	if root.VolumeType != ec2types.VolumeTypeGp3 || !aws.ToBool(root.DeleteOnTermination) || aws.ToString(root.SnapshotId) != a.Snapshot || aws.ToInt32(root.VolumeSize) != 1 {
		t.Errorf("root volume %+v", root)
	}
	if want := img.Created.Add(90 * 24 * time.Hour).Format("2006-01-02"); !strings.HasPrefix(aws.ToString(ami.DeprecationTime), want) {
		t.Errorf("deprecated at %s, want %s", aws.ToString(ami.DeprecationTime), want)
	}
	w.tagged(ami.Tags, img)
	w.holds(w.target("eu"), a.Snapshot, img.Disk)
	w.leaves("eu-west-1")
}

// tagged fails the test unless all is said of the image.
func (w *world) tagged(tags []ec2types.Tag, img bake.Image) {
	w.t.Helper()
	have := map[string]string{}
	for _, tag := range tags {
		have[*tag.Key] = *tag.Value
	}
	want := map[string]string{
		"Name": img.Name + "-" + img.Version, "iibake:image": img.Name, "iibake:version": img.Version, "iibake:disk": string(img.Disk),
		"iibake:commit": img.Commit, "iibake:run": have["iibake:run"],
	}
	if !maps.Equal(have, want) || have["iibake:run"] == "" {
		w.t.Errorf("tags %v, want %v", have, want)
	}
}

// The second time nothing is made, and little is asked.
func TestPublishTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	img, tmpl := w.image(version(1), 1, blocks{0: 1}, ""), template(bake.BIOS)
	targets := []string{"eu", "us", "eu-other", "us-third", "eu"}
	first, err := w.process(nil, nil).Publish(t.Context(), img, tmpl, targets)
	ok(t, err)
	w.made()
	second, err := w.process(nil, nil).Publish(t.Context(), img, tmpl, targets)
	ok(t, err)
	if !maps.Equal(first, second) {
		t.Errorf("got %v, and then %v", first, second)
	}
	for _, op := range w.made() {
		if !strings.HasPrefix(op, "Describe") && op != "GetCallerIdentity" {
			t.Errorf("the second time it calls %s", op)
		}
	}
	w.leaves("eu-west-1", "us-east-1")
}

// One upload, a copy to the other region, and permissions for the other accounts.
func TestPublishEverywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	img := w.image(version(1), 2, blocks{0: 1, 2: 2}, "")
	p := w.process(nil, nil)
	got, err := p.Publish(t.Context(), img, template(bake.UEFI), []string{"eu", "us", "eu-other", "us-third"})
	ok(t, err)
	made := w.made()
	for op, want := range map[string]int{"StartSnapshot": 1, "PutSnapshotBlock": 2, "RegisterImage": 1, "CopyImage": 1, "ModifyImageAttribute": 2, "ModifySnapshotAttribute": 2} {
		if n := count(made, op); n != want {
			t.Errorf("%s was called %d times, want %d", op, n, want)
		}
	}
	if got["eu"].AMI != got["eu-other"].AMI || got["us"].AMI != got["us-third"].AMI || got["eu"].AMI == got["us"].AMI {
		t.Errorf("got %v", got)
	}
	for name, a := range got {
		if a.Account != home || w.ami(name, a.AMI).State != ec2types.ImageStateAvailable {
			t.Errorf("%s: %+v", name, a)
		}
	}
	w.holds(w.target("us"), got["us"].Snapshot, img.Disk)
	w.leaves("eu-west-1", "us-east-1")
	found, err := w.process(nil, nil).Find(t.Context(), img, []string{"eu", "us", "eu-other", "us-third"})
	if err != nil || !maps.Equal(found, got) {
		t.Errorf("found %v and %v, want %v", found, err, got)
	}
}

func count(all []string, one string) (n int) {
	for _, s := range all {
		if s == one {
			n++
		}
	}
	return n
}

// A target that comes later gets its copy from where the image is.
func TestPublishToMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	img, tmpl := w.image(version(1), 1, blocks{0: 1}, ""), template(bake.BIOS)
	_, err := w.process(nil, nil).Publish(t.Context(), img, tmpl, []string{"us"})
	ok(t, err)
	w.made()
	got, err := w.process(nil, nil).Publish(t.Context(), img, tmpl, []string{"eu", "us-third"})
	ok(t, err)
	if made := w.made(); count(made, "StartSnapshot") != 0 || count(made, "CopyImage") != 1 {
		t.Errorf("calls %v", made)
	}
	if got["us-third"].Region != "us-east-1" || got["eu"].Region != "eu-west-1" {
		t.Errorf("got %v", got)
	}
	w.leaves("eu-west-1", "us-east-1")
}

// Only what the nearest snapshot lacks is sent, and what it has and the disk has not becomes zero.
func TestPublishADelta(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	p := w.process(nil, nil)
	first := w.image(version(1), 4, blocks{0: 1, 1: 2, 2: 3, 3: 11, 4: 12, 5: 4}, "")
	far := w.image(version(2), 4, blocks{0: 9, 1: 8, 2: 7, 3: 6, 4: 5, 5: 6}, "")
	for _, img := range []bake.Image{first, far} {
		_, err := p.Publish(t.Context(), img, template(bake.BIOS), []string{"eu"})
		ok(t, err)
	}
	w.made()
	next := w.image(version(3), 5, blocks{0: 1, 2: 5, 3: 11, 4: 12, 7: 6}, "") // 1 and 5 are absent now
	got, err := p.Publish(t.Context(), next, template(bake.BIOS), []string{"eu"})
	ok(t, err)
	if made := w.made(); count(made, "PutSnapshotBlock") != 4 {
		t.Errorf("calls %v, want four blocks", made)
	}
	w.holds(w.target("eu"), got["eu"].Snapshot, next.Disk)
	same := next
	same.Version = version(4)
	got, err = p.Publish(t.Context(), same, template(bake.BIOS), []string{"eu"})
	ok(t, err)
	if made := w.made(); count(made, "PutSnapshotBlock") != 0 || count(made, "RegisterImage") != 1 {
		t.Errorf("calls %v, want no block", made)
	}
	w.holds(w.target("eu"), got["eu"].Snapshot, next.Disk)
}

func TestFindNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	img := w.image(version(1), 1, blocks{0: 1}, "")
	if got, err := w.process(nil, nil).Find(t.Context(), img, []string{"eu", "us-third"}); err != nil || len(got) != 0 {
		t.Errorf("got %v and %v", got, err)
	}
	if left := w.left(); len(left) != 0 {
		t.Errorf("there are %v", left)
	}
}

// A TPM needs UEFI, and nothing is sent before that is known.
func TestPublishWithTPM(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	img, tmpl := w.image(version(1), 1, blocks{0: 1}, ""), template(bake.BIOS)
	tmpl.Publish.TPM = true
	if _, err := w.process(nil, nil).Publish(t.Context(), img, tmpl, []string{"eu"}); !errors.Is(err, bake.ErrRefused) {
		t.Errorf("with BIOS: %v", err)
	}
	w.leaves()
	tmpl.Tests.Boot.Firmware = []bake.Firmware{bake.BIOS, bake.UEFI}
	got, err := w.process(nil, nil).Publish(t.Context(), img, tmpl, []string{"eu"})
	ok(t, err)
	if ami := w.ami("eu", got["eu"].AMI); ami.TpmSupport != ec2types.TpmSupportValuesV20 || ami.BootMode != ec2types.BootModeValuesUefi {
		t.Errorf("AMI %+v", ami)
	}
}

// The name belongs to an AMI of another disk: it is left alone, and nothing is uploaded.
func TestNameIsTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	p := w.process(nil, nil)
	ours, theirs := w.image(version(1), 1, blocks{0: 1}, ""), w.image(version(1), 1, blocks{0: 2}, "")
	_, err := p.Publish(t.Context(), theirs, template(bake.BIOS), []string{"eu"})
	ok(t, err)
	w.made()
	_, err = p.Publish(t.Context(), ours, template(bake.BIOS), []string{"eu"})
	if !errors.Is(err, ec2.ErrTaken) || !errors.Is(err, bake.ErrRefused) || !strings.Contains(err.Error(), "deregister") {
		t.Errorf("got %v", err)
	}
	if made := w.made(); count(made, "StartSnapshot") != 0 {
		t.Errorf("calls %v", made)
	}
	w.leaves("eu-west-1")
}

// An image of another account with our name is no image of ours.
func TestSameNameInAnotherAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	img := w.image(version(1), 1, blocks{0: 1}, "")
	foreign, err := w.process(nil, nil).Publish(t.Context(), w.image(version(1), 1, blocks{0: 2}, ""), template(bake.BIOS), []string{"eu-other"})
	ok(t, err)
	_, err = target.EC2(w.target("eu-other")).ModifyImageAttribute(t.Context(), &awsec2.ModifyImageAttributeInput{
		ImageId: aws.String(foreign["eu-other"].AMI), LaunchPermission: &ec2types.LaunchPermissionModifications{
			Add: []ec2types.LaunchPermission{{Group: ec2types.PermissionGroupAll}},
		},
	})
	ok(t, err)
	w.dir = t.TempDir() // another project
	got, err := w.process(nil, nil).Publish(t.Context(), img, template(bake.BIOS), []string{"eu"})
	ok(t, err)
	if got["eu"].AMI == foreign["eu-other"].AMI || got["eu"].Account != home {
		t.Errorf("got %+v", got["eu"])
	}
}

// A disabled AMI is not made twice.
func TestDisabled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	img, p := w.image(version(1), 1, blocks{0: 1}, ""), w.process(nil, nil)
	got, err := p.Publish(t.Context(), img, template(bake.BIOS), []string{"eu"})
	ok(t, err)
	_, err = target.EC2(w.target("eu")).DisableImage(t.Context(), &awsec2.DisableImageInput{ImageId: aws.String(got["eu"].AMI)})
	ok(t, err)
	if found, err := p.Find(t.Context(), img, []string{"eu"}); err != nil || len(found) != 0 {
		t.Errorf("found %v and %v", found, err)
	}
	if _, err := p.Publish(t.Context(), img, template(bake.BIOS), []string{"eu"}); !errors.Is(err, bake.ErrRefused) || !strings.Contains(err.Error(), "enable it") {
		t.Errorf("got %v", err)
	}
	w.leaves("eu-west-1")
}

// Two processes at once make one image.
func TestPublishAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	img := w.image(version(1), 4, blocks{0: 1, 2: 2, 4: 3, 6: 4}, "")
	errs := make(chan error, 3)
	for range cap(errs) {
		p := w.process(nil, nil)
		go func() {
			_, err := p.Publish(t.Context(), img, template(bake.BIOS), []string{"eu", "us", "eu-other"})
			errs <- err
		}()
	}
	failed := 0
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Log(err)
			failed++
		}
	}
	if failed == cap(errs) {
		t.Error("nobody succeeded")
	}
	_, err := w.process(nil, nil).Publish(t.Context(), img, template(bake.BIOS), []string{"eu", "us", "eu-other"})
	ok(t, err)
	w.leaves("eu-west-1", "us-east-1")
}

// Who interrupts an upload leaves nothing behind, and the next run begins anew.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	img := w.image(version(1), 4, blocks{0: 1, 2: 2, 4: 3, 6: 4}, "")
	ctx, cancel := context.WithCancel(t.Context())
	p := w.process(stopAt("PutSnapshotBlock", 2, cancel), nil)
	if _, err := p.Publish(ctx, img, template(bake.BIOS), []string{"eu"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	w.leaves()
	if !w.told("deleting the unfinished snapshot") {
		t.Error("nobody is told")
	}
	_, err := w.process(nil, nil).Publish(t.Context(), img, template(bake.BIOS), []string{"eu"})
	ok(t, err)
	w.leaves("eu-west-1")
}

// A snapshot that has all its blocks is not thrown away for what comes after it.
func TestInterruptBeforeRegistration(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	img := w.image(version(1), 4, blocks{0: 1, 2: 2}, "")
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := w.process(stopAt("RegisterImage", 1, cancel), nil).Publish(ctx, img, template(bake.BIOS), []string{"eu"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if got := w.left(); !slices.Equal(got, []string{"eu-west-1/snapshot"}) {
		t.Errorf("there are %v", got)
	}
	w.made()
	_, err := w.process(nil, nil).Publish(t.Context(), img, template(bake.BIOS), []string{"eu"})
	ok(t, err)
	if made := w.made(); count(made, "PutSnapshotBlock") != 0 {
		t.Errorf("calls %v", made)
	}
	w.leaves("eu-west-1")
}

// A copy that nobody waits for any more goes on, and is found.
func TestInterruptACopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	img := w.image(version(1), 2, blocks{0: 1}, "")
	ctx, cancel := context.WithCancel(t.Context())
	p := w.process(stopAfter("CopyImage", cancel), nil)
	if _, err := p.Publish(ctx, img, template(bake.BIOS), []string{"eu", "us"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	w.made()
	_, err := w.process(nil, nil).Publish(t.Context(), img, template(bake.BIOS), []string{"eu", "us"})
	ok(t, err)
	if made := w.made(); count(made, "RegisterImage") != 0 {
		t.Errorf("calls %v", made)
	}
	w.leaves("eu-west-1", "us-east-1")
}
