package image_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test/localcloud/internal/image"
)

func TestDescribeImagesRefuses(t *testing.T) {
	c := newCloud(t)
	id := c.register("one")
	for name, test := range map[string]struct {
		in            ec2.DescribeImagesInput
		code, message string
	}{
		"page of 1":     {ec2.DescribeImagesInput{MaxResults: aws.Int32(1)}, "InvalidParameterValue", "Invalid value '1' for maxResults. Expecting a value greater than 5."},
		"page of ids":   {ec2.DescribeImagesInput{MaxResults: aws.Int32(5), ImageIds: []string{id}}, "InvalidParameterCombination", "The parameter imageIdsSet cannot be used with the parameter maxResults"},
		"zeros":         {ec2.DescribeImagesInput{ImageIds: []string{"ami-00000000000000000"}}, "InvalidAMIID.Malformed", `Invalid id: "ami-00000000000000000"`},
		"ones":          {ec2.DescribeImagesInput{ImageIds: []string{"ami-11111111111111111"}}, "InvalidAMIID.Malformed", `Invalid id: "ami-11111111111111111"`},
		"unknown":       {ec2.DescribeImagesInput{ImageIds: []string{"ami-0ffffffffffffffff"}}, "InvalidAMIID.NotFound", "The image id '[ami-0ffffffffffffffff]' does not exist"},
		"empty":         {ec2.DescribeImagesInput{ImageIds: []string{""}}, "MissingParameter", "The request must contain the parameter ImageId"},
		"filter":        {ec2.DescribeImagesInput{Filters: []ec2types.Filter{{Name: aws.String("garbage"), Values: []string{"x"}}}}, "InvalidParameterValue", "The filter 'garbage' is invalid"},
		"filter of ids": {ec2.DescribeImagesInput{ImageIds: []string{id}, Filters: []ec2types.Filter{{Name: aws.String("garbage")}}}, "InvalidParameterValue", "The filter 'garbage' is invalid"},
		"token":         {ec2.DescribeImagesInput{NextToken: aws.String("x")}, "InvalidParameterValue", "invalid value for parameter next-token: x"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.ec2(owner, ireland).DescribeImages(t.Context(), &test.in)
			want(t, err, test.code, test.message)
		})
	}
	_, err := c.ec2(owner, ireland).DescribeImages(t.Context(), &ec2.DescribeImagesInput{DryRun: aws.Bool(true)})
	wantDryRun(t, err)
}

func names(images []ec2types.Image) string {
	var all []string
	for _, img := range images {
		all = append(all, *img.Name)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestWhoSeesWhat(t *testing.T) {
	c := newCloud(t)
	private, shared, public := c.register("private"), c.register("shared"), c.register("public")
	c.share(shared, friend)
	c.share(public, "all")
	_, err := c.service.Seed(t.Context(), image.Seed{Region: ireland, Account: friend, Name: "theirs", Disk: c.diskOf(1, 2), Arch: bake.ARM64, Public: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		account string
		in      ec2.DescribeImagesInput
		want    string
	}{
		{owner, ec2.DescribeImagesInput{}, "private public shared theirs"},
		{owner, ec2.DescribeImagesInput{Owners: []string{"self"}}, "private public shared"},
		{owner, ec2.DescribeImagesInput{Owners: []string{friend, "amazon"}}, "theirs"},
		{owner, ec2.DescribeImagesInput{ExecutableUsers: []string{"self"}}, ""},
		{owner, ec2.DescribeImagesInput{ExecutableUsers: []string{friend}}, "shared"},
		{owner, ec2.DescribeImagesInput{ExecutableUsers: []string{"all"}}, "public theirs"},
		{friend, ec2.DescribeImagesInput{}, "public shared theirs"},
		{friend, ec2.DescribeImagesInput{ExecutableUsers: []string{"self"}}, "shared"},
		{friend, ec2.DescribeImagesInput{ExecutableUsers: []string{friend}, Owners: []string{owner}}, "shared"},
		{friend, ec2.DescribeImagesInput{ImageIds: []string{private}}, ""}, // there, and not to be seen: no error
		{friend, ec2.DescribeImagesInput{ImageIds: []string{public, private}}, "public"},
		{owner, ec2.DescribeImagesInput{Filters: []ec2types.Filter{{Name: aws.String("is-public"), Values: []string{"true"}}, {Name: aws.String("owner-id"), Values: []string{owner}}}}, "public"},
		{owner, ec2.DescribeImagesInput{Filters: []ec2types.Filter{{Name: aws.String("architecture"), Values: []string{"arm64"}}}}, "theirs"},
		{owner, ec2.DescribeImagesInput{Filters: []ec2types.Filter{{Name: aws.String("name"), Values: []string{"p*"}}}}, "private public"},
		{owner, ec2.DescribeImagesInput{Filters: []ec2types.Filter{{Name: aws.String("block-device-mapping.snapshot-id"), Values: []string{c.root}}}}, "private public shared"},
		{owner, ec2.DescribeImagesInput{Filters: []ec2types.Filter{{Name: aws.String("creation-date"), Values: []string{"2026-11-22T*"}}}}, "private public shared theirs"},
	} {
		if got := names(c.images(test.account, ireland, &test.in)); got != test.want {
			t.Errorf("%s: %+v: %s, want %s", test.account, test.in, got, test.want)
		}
	}
	img := c.image(friend, ireland, public)
	if img.DeregistrationProtection != nil || img.Tags != nil || !*img.Public {
		t.Errorf("%+v", img)
	}
	if len(c.images(owner, oregon, &ec2.DescribeImagesInput{})) != 0 {
		t.Error("another region has the images, too")
	}
}

// Every documented filter is known, also where there is nothing to filter.
func TestImageFiltersAreKnown(t *testing.T) {
	c := newCloud(t)
	for _, name := range []string{
		"architecture", "block-device-mapping.delete-on-termination", "block-device-mapping.device-name", "block-device-mapping.snapshot-id",
		"block-device-mapping.volume-size", "block-device-mapping.volume-type", "block-device-mapping.encrypted", "boot-mode", "creation-date",
		"description", "ena-support", "free-tier-eligible", "hypervisor", "image-allowed", "image-id", "image-watermark.source-image-creation-time",
		"image-watermark.source-image-id", "image-watermark.source-image-region", "image-watermark.watermark-creation-time",
		"image-watermark.watermark-key", "image-type", "is-public", "kernel-id", "manifest-location", "name", "owner-alias", "owner-id", "platform",
		"product-code", "product-code.type", "public-ssm-parameter-name", "ramdisk-id", "root-device-name", "root-device-type", "source-image-id",
		"source-image-region", "source-instance-id", "state", "state-reason-code", "state-reason-message", "sriov-net-support", "tag:x", "tag-key",
		"virtualization-type",
	} {
		in := &ec2.DescribeImagesInput{Filters: []ec2types.Filter{{Name: &name, Values: []string{"?"}}}}
		if got := c.images(owner, ireland, in); len(got) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A page is cut before the filters are applied: pages may be empty although more follow.
func TestPagesOfImages(t *testing.T) {
	c := newCloud(t)
	for i := range 12 {
		c.register(fmt.Sprintf("image-%02d", i))
	}
	seen, pages := map[string]bool{}, 0
	in := &ec2.DescribeImagesInput{MaxResults: aws.Int32(5), Filters: []ec2types.Filter{{Name: aws.String("name"), Values: []string{"image-03"}}}}
	for {
		out, err := c.ec2(owner, ireland).DescribeImages(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		pages++
		for _, img := range out.Images {
			seen[*img.Name] = true
		}
		if out.NextToken == nil {
			break
		}
		in.NextToken = out.NextToken
	}
	if pages != 3 || len(seen) != 1 {
		t.Errorf("%d images on %d pages", len(seen), pages)
	}
	_, err := c.ec2(friend, ireland).DescribeImages(t.Context(), in)
	want(t, err, "InvalidParameterValue", "invalid value for parameter next-token: "+*in.NextToken)
}

func TestDeprecation(t *testing.T) {
	c := newCloud(t)
	id := c.register("old")
	c.share(id, friend)
	client := c.ec2(owner, ireland)
	at := c.clock.Now().Add(time.Hour + 40*time.Second)
	enable := func(at time.Time) error {
		_, err := client.EnableImageDeprecation(t.Context(), &ec2.EnableImageDeprecationInput{ImageId: &id, DeprecateAt: &at})
		return err
	}
	want(t, enable(c.clock.Now().Add(-time.Minute)), "InvalidParameterValue", "Invalid value '2026-11-22T07:59:00.000Z' for deprecateAt. It must not be in the past.")
	want(t, enable(c.clock.Now().AddDate(11, 0, 0)), "InvalidParameterValue", "Invalid value '2037-11-22T08:00:00.000Z' for deprecateAt. It must be within 10 years.")
	if err := enable(at); err != nil {
		t.Fatal(err)
	}
	if got := *c.image(owner, ireland, id).DeprecationTime; got != "2026-11-22T09:01:00.000Z" {
		t.Errorf("deprecated at %s", got)
	}
	if got := names(c.images(friend, ireland, &ec2.DescribeImagesInput{})); got != "old" {
		t.Errorf("before: %q", got)
	}
	c.clock.Advance(2 * time.Hour)
	for in, want := range map[*ec2.DescribeImagesInput]string{{}: "", {IncludeDeprecated: aws.Bool(true)}: "old", {ImageIds: []string{id}}: "old"} {
		if got := names(c.images(friend, ireland, in)); got != want {
			t.Errorf("after: %q, want %q", got, want)
		}
	}
	if got := names(c.images(owner, ireland, &ec2.DescribeImagesInput{})); got != "old" {
		t.Errorf("its owner sees %q", got)
	}
	if _, err := client.DisableImageDeprecation(t.Context(), &ec2.DisableImageDeprecationInput{ImageId: &id}); err != nil {
		t.Fatal(err)
	}
	if got := c.image(friend, ireland, id).DeprecationTime; got != nil {
		t.Errorf("still deprecated at %s", *got)
	}
}

func TestDisable(t *testing.T) {
	c := newCloud(t)
	id := c.register("off")
	c.share(id, friend)
	client := c.ec2(owner, ireland)
	if _, err := client.DisableImage(t.Context(), &ec2.DisableImageInput{ImageId: &id}); err != nil {
		t.Fatal(err)
	}
	if got := c.images(owner, ireland, &ec2.DescribeImagesInput{}); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	if got := c.image(owner, ireland, id); got.State != ec2types.ImageStateDisabled {
		t.Errorf("%+v", got)
	}
	if got := c.images(friend, ireland, &ec2.DescribeImagesInput{IncludeDisabled: aws.Bool(true)}); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	_, err := client.ModifyImageAttribute(t.Context(), &ec2.ModifyImageAttributeInput{ImageId: &id, OperationType: ec2types.OperationTypeAdd, UserIds: []string{friend}})
	want(t, err, "InvalidAMIID.Unavailable", "The image ID '"+id+"' is disabled and cannot be shared")
	if _, err := client.EnableImage(t.Context(), &ec2.EnableImageInput{ImageId: &id}); err != nil {
		t.Fatal(err)
	}
	if got := c.image(owner, ireland, id); got.State != ec2types.ImageStateAvailable {
		t.Errorf("%+v", got)
	}
	if got := c.images(friend, ireland, &ec2.DescribeImagesInput{}); len(got) != 0 {
		t.Errorf("permissions came back: %+v", got)
	}
}

func TestDeregistrationProtection(t *testing.T) {
	c := newCloud(t)
	id := c.register("kept")
	client := c.ec2(owner, ireland)
	deregister := func() error {
		_, err := client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: &id})
		return err
	}
	enable := func(cooldown bool) string {
		if _, err := client.EnableImageDeregistrationProtection(t.Context(), &ec2.EnableImageDeregistrationProtectionInput{ImageId: &id, WithCooldown: &cooldown}); err != nil {
			t.Fatal(err)
		}
		return *c.image(owner, ireland, id).DeregistrationProtection
	}
	disable := func() {
		if _, err := client.DisableImageDeregistrationProtection(t.Context(), &ec2.DisableImageDeregistrationProtectionInput{ImageId: &id}); err != nil {
			t.Fatal(err)
		}
	}
	if got := enable(false); got != "enabled-without-cooldown" {
		t.Error(got)
	}
	want(t, deregister(), "OperationNotPermitted", "The image '"+id+"' has deregistration protection enabled. Disable it and try again.")
	if got := enable(true); got != "enabled-with-cooldown" {
		t.Error(got)
	}
	disable()
	c.clock.Advance(23 * time.Hour)
	disable() // does not begin the day anew
	want(t, deregister(), "OperationNotPermitted", "The image '"+id+"' is in the cooldown of its deregistration protection until 2026-11-23T08:00:00.000Z.")
	c.clock.Advance(time.Hour)
	if err := deregister(); err != nil {
		t.Error(err)
	}
}
