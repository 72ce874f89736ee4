package image_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test/localcloud/internal/image"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

func (c *cloud) copyImage(id, from, to, name string) string {
	c.t.Helper()
	out, err := c.ec2(owner, to).CopyImage(c.t.Context(), &ec2.CopyImageInput{Name: &name, SourceImageId: &id, SourceRegion: &from})
	if err != nil {
		c.t.Fatal(err)
	}
	c.clock.Advance(10 * time.Second)
	return *out.ImageId
}

func TestWatermarksPropagate(t *testing.T) {
	c := newCloud(t)
	id := c.register("base")
	client := c.ec2(owner, ireland)
	attach := func(id, name string) (*ec2.AttachImageWatermarkOutput, error) {
		return client.AttachImageWatermark(t.Context(), &ec2.AttachImageWatermarkInput{ImageId: &id, WatermarkName: &name})
	}
	for range 2 {
		if out, err := attach(id, "approved"); err != nil || *out.WatermarkKey != owner+":approved" {
			t.Fatalf("%+v, %v", out, err)
		}
	}
	_, err := attach(id, "x")
	want(t, err, "InvalidParameterValue", "Value (x) for parameter watermarkName is invalid.")
	copied := c.copyImage(id, ireland, oregon, "copy")
	c.launch(id)
	created, err := client.CreateImage(t.Context(), &ec2.CreateImageInput{InstanceId: aws.String(instanceID), Name: aws.String("created")})
	if err != nil {
		t.Fatal(err)
	}
	for region, ids := range map[string][]string{ireland: {id, *created.ImageId}, oregon: {copied}} {
		for _, derived := range ids {
			marks := c.image(owner, region, derived).ImageWatermarks
			if len(marks) != 1 || *marks[0].WatermarkKey != owner+":approved" || *marks[0].SourceImageId != id || *marks[0].SourceImageRegion != ireland {
				t.Errorf("%s: %+v", derived, marks)
			}
		}
	}
	filter := &ec2.DescribeImagesInput{Filters: []ec2types.Filter{{Name: aws.String("image-watermark.watermark-key"), Values: []string{"*:approved"}}}}
	if got := c.images(owner, oregon, filter); len(got) != 1 {
		t.Errorf("%+v", got)
	}
	for range 2 {
		if _, err := client.DetachImageWatermark(t.Context(), &ec2.DetachImageWatermarkInput{ImageId: &id, WatermarkKey: aws.String(owner + ":approved")}); err != nil {
			t.Error(err)
		}
	}
	if len(c.image(owner, ireland, id).ImageWatermarks) != 0 || len(c.image(owner, oregon, copied).ImageWatermarks) != 1 {
		t.Error("detached from the wrong image")
	}
	c.share(id, "all")
	_, err = attach(id, "approved")
	want(t, err, "InvalidParameterValue", "Watermarks cannot be attached to the public image '"+id+"'")
}

func TestAncestry(t *testing.T) {
	c := newCloud(t)
	first := c.register("first")
	second := c.copyImage(first, ireland, oregon, "second")
	third := c.copyImage(second, oregon, ireland, "third")
	ancestors := func() string {
		out, err := c.ec2(owner, ireland).GetImageAncestry(t.Context(), &ec2.GetImageAncestryInput{ImageId: &third})
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, e := range out.ImageAncestryEntries {
			ids = append(ids, *e.ImageId+"<"+aws.ToString(e.SourceImageId))
		}
		return strings.Join(ids, " ")
	}
	if got, want := ancestors(), third+"<"+second+" "+second+"<"+first+" "+first+"<"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if _, err := c.ec2(owner, oregon).DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: &second}); err != nil {
		t.Fatal(err)
	}
	if got := ancestors(); !strings.HasSuffix(got, first+"<") { // the record of what has been is still there
		t.Error(got)
	}
}

func TestReferences(t *testing.T) {
	c := newCloud(t)
	id := c.register("used")
	c.launch(id)
	_ = c.store.Update(ireland, func(r *state.Region) error {
		template := &state.LaunchTemplate{Account: owner}
		for i := range int64(12) {
			version := ec2types.LaunchTemplateVersion{VersionNumber: aws.Int64(i), LaunchTemplateData: &ec2types.ResponseLaunchTemplateData{}}
			if i == 0 {
				version.LaunchTemplateData.ImageId = &id
			}
			template.Versions = append(template.Versions, version)
		}
		r.LaunchTemplates.Put("lt-1", template)
		r.Parameters.Put(state.Key(owner, "/web/ami"), &state.Parameter{Account: owner, Name: "/web/ami", Versions: []state.ParameterVersion{{Value: id}}})
		r.Parameters.Put(state.Key(friend, "/web/ami"), &state.Parameter{Account: friend, Name: "/web/ami", Versions: []state.ParameterVersion{{Value: id}}})
		return nil
	})
	look := func(in ec2.DescribeImageReferencesInput) string {
		in.ImageIds = []string{id}
		out, err := c.ec2(owner, ireland).DescribeImageReferences(t.Context(), &in)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, ref := range out.ImageReferences {
			all = append(all, *ref.Arn)
		}
		return strings.Join(all, " ")
	}
	instance, parameter := "arn:aws:ec2:eu-west-1:111122223333:instance/"+instanceID, "arn:aws:ssm:eu-west-1:111122223333:parameter/web/ami"
	if got := look(ec2.DescribeImageReferencesInput{IncludeAllResourceTypes: aws.Bool(true)}); got != instance+" "+parameter {
		t.Errorf("all: %s", got)
	}
	templates := func(depth string) ec2.DescribeImageReferencesInput {
		return ec2.DescribeImageReferencesInput{ResourceTypes: []ec2types.ResourceTypeRequest{{
			ResourceType:        ec2types.ImageReferenceResourceTypeEc2LaunchTemplate,
			ResourceTypeOptions: []ec2types.ResourceTypeOption{{OptionName: ec2types.ImageReferenceOptionNameVersionDepth, OptionValues: []string{depth}}},
		}}}
	}
	if got := look(templates("12")); got != "arn:aws:ec2:eu-west-1:111122223333:launch-template/lt-1" {
		t.Errorf("templates: %s", got)
	}
	if got := look(templates("11")); got != "" {
		t.Errorf("templates: %s", got)
	}
	if got := look(ec2.DescribeImageReferencesInput{ResourceTypes: []ec2types.ResourceTypeRequest{{
		ResourceType:        ec2types.ImageReferenceResourceTypeEc2Instance,
		ResourceTypeOptions: []ec2types.ResourceTypeOption{{OptionName: ec2types.ImageReferenceOptionNameStateName, OptionValues: []string{"stopped"}}},
	}}}); got != "" {
		t.Errorf("stopped instances: %s", got)
	}
	_, err := c.ec2(owner, ireland).DescribeImageReferences(t.Context(), &ec2.DescribeImageReferencesInput{ImageIds: []string{id}})
	want(t, err, "MissingParameter", "Either IncludeAllResourceTypes or ResourceTypes must be specified.")
}

func TestDescribeSnapshots(t *testing.T) {
	c := newCloud(t)
	private := c.seedSnapshot(owner, 2)
	c.shareSnapshot(c.root)
	list := func(account string, in ec2.DescribeSnapshotsInput) int {
		out, err := c.ec2(account, ireland).DescribeSnapshots(t.Context(), &in)
		if err != nil {
			t.Fatal(err)
		}
		return len(out.Snapshots)
	}
	for i, test := range []struct {
		account string
		in      ec2.DescribeSnapshotsInput
		want    int
	}{
		{owner, ec2.DescribeSnapshotsInput{}, 2},
		{owner, ec2.DescribeSnapshotsInput{RestorableByUserIds: []string{"self"}}, 2},
		{friend, ec2.DescribeSnapshotsInput{}, 1},
		{friend, ec2.DescribeSnapshotsInput{OwnerIds: []string{owner}}, 1},
		{friend, ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}}, 0},
		{friend, ec2.DescribeSnapshotsInput{RestorableByUserIds: []string{"self"}}, 1},
		{friend, ec2.DescribeSnapshotsInput{RestorableByUserIds: []string{friend}}, 1},
		{friend, ec2.DescribeSnapshotsInput{RestorableByUserIds: []string{owner}}, 0},
		{owner, ec2.DescribeSnapshotsInput{Filters: []ec2types.Filter{{Name: aws.String("volume-size"), Values: []string{"2"}}, {Name: aws.String("status"), Values: []string{"completed"}}}}, 1},
		{owner, ec2.DescribeSnapshotsInput{SnapshotIds: []string{private}}, 1},
	} {
		if got := list(test.account, test.in); got != test.want {
			t.Errorf("case %d: %d snapshots, want %d", i, got, test.want)
		}
	}
	_, err := c.ec2(friend, ireland).DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{private}})
	want(t, err, "InvalidSnapshot.NotFound", "The snapshot '"+private+"' does not exist.")
	_, err = c.ec2(owner, ireland).DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{private}, MaxResults: aws.Int32(5)})
	want(t, err, "InvalidParameterCombination", "The parameter snapshotSet cannot be used with the parameter maxResults")
	_, err = c.ec2(owner, ireland).DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{Filters: []ec2types.Filter{{Name: aws.String("x")}}})
	want(t, err, "InvalidParameterValue", "The filter 'x' is invalid")
	_, err = c.ec2(owner, ireland).DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: aws.String("x")})
	want(t, err, "InvalidParameterValue", "Value (x) for parameter snapshotId is invalid. Expected: 'snap-...'.")
}

func TestSeed(t *testing.T) {
	c := newCloud(t)
	d := c.diskOf(3, 9)
	id, err := c.service.Seed(t.Context(), image.Seed{
		Region: oregon, Account: friend, Name: "web-1.2", Description: "text", Disk: d, Arch: bake.ARM64, Firmware: bake.UEFI, Public: true, Tags: map[string]string{"a": "b"},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := c.image(friend, oregon, id)
	ebs := got.BlockDeviceMappings[0].Ebs
	if got.Architecture != ec2types.ArchitectureValuesArm64 || got.BootMode != ec2types.BootModeValuesUefi || !*got.EnaSupport || !*got.Public ||
		ebs.VolumeType != ec2types.VolumeTypeGp3 || *ebs.VolumeSize != 3 || len(got.Tags) != 1 || got.State != ec2types.ImageStateAvailable {
		t.Errorf("%+v, %+v", got, ebs)
	}
	if _, err := c.service.Seed(t.Context(), image.Seed{Region: oregon, Account: friend, Name: "web-1.2", Disk: d, Arch: bake.AMD64}); err == nil {
		t.Error("seeded a name twice")
	}
	for _, bad := range []image.Seed{
		{Region: oregon, Account: friend, Name: "x", Disk: d, Arch: bake.AMD64},
		{Region: oregon, Account: friend, Name: "name", Disk: d, Arch: "vax"},
		{Region: oregon, Account: friend, Name: "name", Disk: bake.DigestOf(nil), Arch: bake.AMD64},
	} {
		if _, err := c.service.Seed(t.Context(), bad); err == nil {
			t.Errorf("seeded %+v", bad)
		}
	}
}
