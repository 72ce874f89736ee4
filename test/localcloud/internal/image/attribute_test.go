package image_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func (c *cloud) attribute(account, id string, name ec2types.ImageAttributeName) (*ec2.DescribeImageAttributeOutput, error) {
	return c.ec2(account, ireland).DescribeImageAttribute(c.t.Context(), &ec2.DescribeImageAttributeInput{ImageId: &id, Attribute: name})
}

// What an image does not have is an empty structure or list, not absent.
func TestUnsetAttributes(t *testing.T) {
	c := newCloud(t)
	id := c.register("bare")
	for _, name := range []ec2types.ImageAttributeName{"description", "bootMode", "imdsSupport", "kernel", "ramdisk", "sriovNetSupport", "tpmSupport", "uefiData", "lastLaunchedTime"} {
		out, err := c.attribute(owner, id, name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		n := 0
		for _, value := range []*ec2types.AttributeValue{
			out.Description, out.BootMode, out.ImdsSupport, out.KernelId, out.RamdiskId, out.SriovNetSupport, out.TpmSupport, out.UefiData, out.LastLaunchedTime,
		} {
			if value != nil && value.Value == nil {
				n++
			}
		}
		if n != 1 || *out.ImageId != id {
			t.Errorf("%s: %+v", name, out)
		}
	}
	if out, err := c.attribute(owner, id, "launchPermission"); err != nil || out.LaunchPermissions == nil || len(out.LaunchPermissions) != 0 {
		t.Errorf("%+v, %v", out, err)
	}
	if out, err := c.attribute(owner, id, "productCodes"); err != nil || out.ProductCodes == nil {
		t.Errorf("%+v, %v", out, err)
	}
	if out, err := c.attribute(owner, id, "deregistrationProtection"); err != nil || *out.DeregistrationProtection.Value != "disabled" {
		t.Errorf("%+v, %v", out, err)
	}
	_, err := c.attribute(owner, id, "blockDeviceMapping")
	want(t, err, "AuthFailure", "Unauthorized attempt to access restricted resource")
	c.share(id, friend)
	_, err = c.attribute(friend, id, "description")
	want(t, err, "AuthFailure", "Not authorized for image:"+id)
}

func TestModifyImageAttribute(t *testing.T) {
	c := newCloud(t)
	id := c.register("one")
	modify := func(in ec2.ModifyImageAttributeInput) error {
		in.ImageId = &id
		_, err := c.ec2(owner, ireland).ModifyImageAttribute(t.Context(), &in)
		return err
	}
	text := func(s string) *ec2types.AttributeValue { return &ec2types.AttributeValue{Value: &s} }
	for name, test := range map[string]struct {
		in            ec2.ModifyImageAttributeInput
		code, message string
	}{
		"nothing":          {ec2.ModifyImageAttributeInput{}, "InvalidParameterCombination", "No attributes specified."},
		"empty permission": {ec2.ModifyImageAttributeInput{LaunchPermission: &ec2types.LaunchPermissionModifications{}}, "InvalidParameterCombination", "No attributes specified."},
		"two": {
			ec2.ModifyImageAttributeInput{Description: text("x"), ImdsSupport: text("v2.0")},
			"InvalidParameterCombination",
			"Fields for multiple attribute types specified: description, imdsSupport",
		},
		"old form, empty": {ec2.ModifyImageAttributeInput{Attribute: aws.String("description"), Value: aws.String("")}, "MissingParameter", "The request must contain the parameter description"},
		"IMDS":            {ec2.ModifyImageAttributeInput{ImdsSupport: text("v1.0")}, "MissingParameter", "The request must contain the parameter imdsSupport with value v2.0"},
		"account": {
			ec2.ModifyImageAttributeInput{OperationType: ec2types.OperationTypeAdd, UserIds: []string{"123"}},
			"InvalidAMIAttributeItemValue",
			`Invalid attribute item value "123 " for userId item type.`,
		},
		"group": {
			ec2.ModifyImageAttributeInput{OperationType: ec2types.OperationTypeAdd, UserGroups: []string{"some"}},
			"InvalidAMIAttributeItemValue",
			`Invalid attribute item value "some" for group item type.`,
		},
		"too many": {ec2.ModifyImageAttributeInput{OperationType: ec2types.OperationTypeAdd, UserIds: make([]string, 501)}, "InvalidParameterValue", "Modification size must not be greater than 500"},
		"organization": {
			ec2.ModifyImageAttributeInput{OrganizationArns: []string{"arn:aws:organizations::1:organization/o-1"}},
			"UnsupportedOperation",
			"This cloud has no organizations: share with accounts or with all",
		},
	} {
		t.Run(name, func(t *testing.T) {
			for i, id := range test.in.UserIds {
				if id == "" {
					test.in.UserIds[i] = owner
				}
			}
			want(t, modify(test.in), test.code, test.message)
		})
	}
	if img := c.image(owner, ireland, id); img.Description != nil || img.ImdsSupport != "" {
		t.Errorf("something was applied: %+v", img)
	}
	for _, in := range []ec2.ModifyImageAttributeInput{
		{Description: text("new")},
		{ImdsSupport: text("v2.0")},
		{OperationType: ec2types.OperationTypeAdd, UserIds: []string{owner, friend, friend}},
		{OperationType: ec2types.OperationTypeRemove, UserIds: []string{friend}},
		{OperationType: ec2types.OperationTypeRemove, UserIds: []string{friend}},
	} {
		if err := modify(in); err != nil {
			t.Errorf("%+v: %v", in, err)
		}
	}
	if img := c.image(owner, ireland, id); *img.Description != "new" || img.ImdsSupport != "v2.0" {
		t.Errorf("%+v", img)
	}
	out, err := c.attribute(owner, id, "launchPermission")
	if err != nil || len(out.LaunchPermissions) != 1 || *out.LaunchPermissions[0].UserId != owner { // the own account, too, is listed
		t.Errorf("%+v, %v", out, err)
	}
	reset := func(name ec2types.ResetImageAttributeName) error {
		_, err := c.ec2(owner, ireland).ResetImageAttribute(t.Context(), &ec2.ResetImageAttributeInput{ImageId: &id, Attribute: name})
		return err
	}
	want(t, reset("description"), "InvalidRequest", "The request received was invalid.")
	if err := reset("launchPermission"); err != nil {
		t.Error(err)
	}
	if out, err := c.attribute(owner, id, "launchPermission"); err != nil || len(out.LaunchPermissions) != 0 {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestSnapshotAttributes(t *testing.T) {
	c := newCloud(t)
	client := c.ec2(owner, ireland)
	permissions := func() []ec2types.CreateVolumePermission {
		out, err := client.DescribeSnapshotAttribute(t.Context(), &ec2.DescribeSnapshotAttributeInput{SnapshotId: &c.root, Attribute: ec2types.SnapshotAttributeNameCreateVolumePermission})
		if err != nil || out.CreateVolumePermissions == nil {
			t.Fatalf("%+v, %v", out, err)
		}
		return out.CreateVolumePermissions
	}
	if len(permissions()) != 0 {
		t.Error("new snapshots have permissions")
	}
	c.shareSnapshot(c.root)
	c.shareSnapshot(c.root)
	if got := permissions(); len(got) != 1 || *got[0].UserId != friend {
		t.Errorf("%+v", got)
	}
	for range 2 { // repeated, no error
		if _, err := client.ModifySnapshotAttribute(t.Context(), &ec2.ModifySnapshotAttributeInput{SnapshotId: &c.root, OperationType: ec2types.OperationTypeRemove, UserIds: []string{friend}}); err != nil {
			t.Error(err)
		}
	}
	if len(permissions()) != 0 {
		t.Error("not removed")
	}
	_, err := client.ModifySnapshotAttribute(t.Context(), &ec2.ModifySnapshotAttributeInput{SnapshotId: &c.root})
	want(t, err, "InvalidParameterCombination", "No attributes specified.")
	c.shareSnapshot(c.root)
	_, err = c.ec2(friend, ireland).ModifySnapshotAttribute(t.Context(), &ec2.ModifySnapshotAttributeInput{SnapshotId: &c.root, OperationType: ec2types.OperationTypeAdd, UserIds: []string{friend}})
	want(t, err, "UnauthorizedOperation", "You are not authorized to perform this operation.")
	_, err = c.ec2(friend, ireland).DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &c.root})
	want(t, err, "UnauthorizedOperation", "You are not authorized to perform this operation.")
	_, err = client.ResetSnapshotAttribute(t.Context(), &ec2.ResetSnapshotAttributeInput{SnapshotId: &c.root, Attribute: ec2types.SnapshotAttributeNameCreateVolumePermission, DryRun: aws.Bool(true)})
	wantDryRun(t, err)
	if len(permissions()) != 1 {
		t.Error("a dry run has reset it")
	}
}

func TestEncryptionByDefault(t *testing.T) {
	c := newCloud(t)
	client := c.ec2(owner, ireland)
	get := func(account, region string) bool {
		out, err := c.ec2(account, region).GetEbsEncryptionByDefault(t.Context(), &ec2.GetEbsEncryptionByDefaultInput{})
		if err != nil {
			t.Fatal(err)
		}
		return *out.EbsEncryptionByDefault
	}
	if out, err := client.EnableEbsEncryptionByDefault(t.Context(), &ec2.EnableEbsEncryptionByDefaultInput{}); err != nil || !*out.EbsEncryptionByDefault {
		t.Errorf("%+v, %v", out, err)
	}
	if !get(owner, ireland) || get(owner, oregon) || get(friend, ireland) {
		t.Error("the setting is not that of an account in a region")
	}
	if out, err := client.DisableEbsEncryptionByDefault(t.Context(), &ec2.DisableEbsEncryptionByDefaultInput{}); err != nil || *out.EbsEncryptionByDefault || get(owner, ireland) {
		t.Errorf("%+v, %v", out, err)
	}
	key := func() string {
		out, err := client.GetEbsDefaultKmsKeyId(t.Context(), &ec2.GetEbsDefaultKmsKeyIdInput{})
		if err != nil {
			t.Fatal(err)
		}
		return *out.KmsKeyId
	}
	if key() != "alias/aws/ebs" {
		t.Error(key())
	}
	_, err := client.ModifyEbsDefaultKmsKeyId(t.Context(), &ec2.ModifyEbsDefaultKmsKeyIdInput{KmsKeyId: aws.String("alias/mine")})
	want(t, err, "InvalidParameterValue", "The specified keyId alias/mine is invalid")
	if _, err := client.ModifyEbsDefaultKmsKeyId(t.Context(), &ec2.ModifyEbsDefaultKmsKeyIdInput{KmsKeyId: aws.String("12345678-1234-1234-1234-123456789012")}); err != nil {
		t.Fatal(err)
	}
	if key() != "arn:aws:kms:eu-west-1:111122223333:key/12345678-1234-1234-1234-123456789012" {
		t.Error(key())
	}
	if _, err := client.ResetEbsDefaultKmsKeyId(t.Context(), &ec2.ResetEbsDefaultKmsKeyIdInput{}); err != nil || key() != "alias/aws/ebs" {
		t.Errorf("%s, %v", key(), err)
	}
}
