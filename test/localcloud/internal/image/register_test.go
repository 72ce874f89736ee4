package image_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// The fields that a bare registration has, and none besides.
func TestBareRegistration(t *testing.T) {
	c := newCloud(t)
	id := c.register("bare")
	got, err := json.Marshal(c.image(owner, ireland, id))
	if err != nil {
		t.Fatal(err)
	}
	text := string(got)
	for _, field := range []string{
		`"Description":null`, `"EnaSupport":null`, `"SriovNetSupport":null`, `"BootMode":""`, `"ImdsSupport":""`, `"TpmSupport":""`, `"KernelId":null`,
		`"StateReason":null`, `"DeprecationTime":null`, `"LastLaunchedTime":null`, `"SourceImageId":null`, `"ImageOwnerAlias":null`, `"Tags":null`,
		`"Hypervisor":"xen"`, `"RootDeviceType":"ebs"`, `"PlatformDetails":"Linux/UNIX"`, `"UsageOperation":"RunInstances"`, `"ImageType":"machine"`,
		`"State":"available"`, `"Public":false`, `"DeregistrationProtection":"disabled"`, `"FreeTierEligible":true`, `"ImageLocation":"111122223333/bare"`,
		`"CreationDate":"2026-11-22T08:00:00.000Z"`, `"OwnerId":"111122223333"`, `"VirtualizationType":"hvm"`, `"Architecture":"x86_64"`,
		`"DeleteOnTermination":true`, `"VolumeSize":1`, `"VolumeType":"gp2"`, `"Encrypted":false`, `"Iops":null`, `"Throughput":null`,
	} {
		if !strings.Contains(text, field) {
			t.Errorf("no %s in %s", field, text)
		}
	}
}

func TestRegistrationKeepsWhatItWasTold(t *testing.T) {
	c := newCloud(t)
	in := registerInput("full", c.root)
	in.BootMode, in.TpmSupport, in.ImdsSupport = ec2types.BootModeValuesUefi, ec2types.TpmSupportValuesV20, ec2types.ImdsSupportValuesV20
	in.EnaSupport, in.SriovNetSupport, in.UefiData = aws.Bool(true), aws.String("simple"), aws.String("QUJD")
	in.Description, in.TagSpecifications = aws.String("text"), []ec2types.TagSpecification{{
		ResourceType: ec2types.ResourceTypeImage, Tags: []ec2types.Tag{{Key: aws.String("b"), Value: aws.String("1")}, {Key: aws.String("a"), Value: aws.String("2")}},
	}}
	in.BlockDeviceMappings = append(in.BlockDeviceMappings,
		ec2types.BlockDeviceMapping{DeviceName: aws.String("/dev/sdb"), Ebs: &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(3), VolumeType: ec2types.VolumeTypeGp3}},
		ec2types.BlockDeviceMapping{DeviceName: aws.String("/dev/sdc"), VirtualName: aws.String("ephemeral0")})
	out, err := c.ec2(owner, ireland).RegisterImage(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	img := c.image(owner, ireland, *out.ImageId)
	if img.BootMode != in.BootMode || img.TpmSupport != in.TpmSupport || img.ImdsSupport != in.ImdsSupport || !*img.EnaSupport || *img.SriovNetSupport != "simple" ||
		*img.Description != "text" || len(img.Tags) != 2 || len(img.BlockDeviceMappings) != 3 {
		t.Errorf("%+v", img)
	}
	if gp3 := img.BlockDeviceMappings[1].Ebs; *gp3.Iops != 3000 || *gp3.Throughput != 125 || *gp3.Encrypted || gp3.SnapshotId != nil {
		t.Errorf("%+v", gp3)
	}
}

func TestRegisterImageRefuses(t *testing.T) {
	c := newCloud(t)
	taken := c.register("taken")
	shared, unseen := c.seedSnapshot(friend, 1), c.seedSnapshot(friend, 1)
	_, err := c.ec2(friend, ireland).ModifySnapshotAttribute(t.Context(), &ec2.ModifySnapshotAttributeInput{
		SnapshotId: &shared, OperationType: ec2types.OperationTypeAdd, Attribute: ec2types.SnapshotAttributeNameCreateVolumePermission, UserIds: []string{owner},
	})
	if err != nil {
		t.Fatal(err)
	}
	ebs := func(in *ec2.RegisterImageInput) *ec2types.EbsBlockDevice { return in.BlockDeviceMappings[0].Ebs }
	noRoot := "No root snapshot specified in device mapping."
	for name, test := range map[string]struct {
		change        func(*ec2.RegisterImageInput)
		code, message string
	}{
		"name in use": {func(in *ec2.RegisterImageInput) { in.Name = aws.String("taken") }, "InvalidAMIName.Duplicate", "AMI name taken is already in use by AMI " + taken},
		"name":        {func(in *ec2.RegisterImageInput) { in.Name = aws.String("x") }, "InvalidAMIName.Malformed", "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, '(', ')', '.', '-', '/' and '_'"},
		"other root":  {func(in *ec2.RegisterImageInput) { in.RootDeviceName = aws.String("/dev/sda1") }, "InvalidBlockDeviceMapping", noRoot},
		"no root":     {func(in *ec2.RegisterImageInput) { in.RootDeviceName = nil }, "InvalidBlockDeviceMapping", noRoot},
		"no mappings": {func(in *ec2.RegisterImageInput) { in.BlockDeviceMappings = nil }, "InvalidBlockDeviceMapping", noRoot},
		"no snapshot": {func(in *ec2.RegisterImageInput) {
			in.BlockDeviceMappings[0].Ebs = &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(1)}
		}, "InvalidBlockDeviceMapping", noRoot},
		"unknown snapshot": {func(in *ec2.RegisterImageInput) { ebs(in).SnapshotId = aws.String("snap-00000000000000000") }, "InvalidSnapshotID.NotFound", "The snapshot ID 'snap-00000000000000000' does not exist"},
		"unseen snapshot":  {func(in *ec2.RegisterImageInput) { ebs(in).SnapshotId = &unseen }, "InvalidSnapshotID.NotFound", "The snapshot ID '" + unseen + "' does not exist"},
		"shared snapshot":  {func(in *ec2.RegisterImageInput) { ebs(in).SnapshotId = &shared }, "InvalidParameterValue", "Invalid value '" + shared + "' for snapshotId. Snapshot does not belong to " + owner},
		"encryption":       {func(in *ec2.RegisterImageInput) { ebs(in).Encrypted = aws.Bool(false) }, "InvalidParameter", "Parameter encrypted is invalid. You cannot specify the encrypted flag if specifying a snapshot id in a block device mapping."},
		"volume type":      {func(in *ec2.RegisterImageInput) { ebs(in).VolumeType = "gp9" }, "InvalidParameterValue", "Value (gp9) for parameter volumeType is invalid."},
		"tags": {func(in *ec2.RegisterImageInput) {
			in.TagSpecifications = []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeSnapshot}}
		}, "InvalidParameterValue", "'snapshot' is not a valid taggable resource type for this operation."},
		"instance store": {func(in *ec2.RegisterImageInput) { in.ImageLocation = aws.String("bucket/manifest") }, "UnsupportedOperation", "Images of instance stores and billing products are not supported here: register an image of snapshots"},
		"UEFI data":      {func(in *ec2.RegisterImageInput) { in.UefiData = aws.String("!") }, "InvalidParameterValue", "Invalid value for UefiData: it is not base64"},
		"TPM":            {func(in *ec2.RegisterImageInput) { in.TpmSupport = ec2types.TpmSupportValuesV20 }, "InvalidParameterCombination", "The parameter TpmSupport requires the parameter BootMode to be uefi"},
	} {
		t.Run(name, func(t *testing.T) {
			in := registerInput("new", c.root)
			test.change(in)
			_, err := c.ec2(owner, ireland).RegisterImage(t.Context(), in)
			want(t, err, test.code, test.message)
		})
	}
	in := registerInput("new", c.root)
	in.DryRun = aws.Bool(true)
	_, err = c.ec2(owner, ireland).RegisterImage(t.Context(), in)
	wantDryRun(t, err)
	if all := c.images(owner, ireland, &ec2.DescribeImagesInput{Owners: []string{"self"}}); len(all) != 1 {
		t.Errorf("%d images", len(all))
	}
}

func TestDeregisterImage(t *testing.T) {
	c := newCloud(t)
	first, second := c.register("first"), c.register("second")
	ec2client := c.ec2(owner, ireland)
	deregister := func(id string) (*ec2.DeregisterImageOutput, error) {
		return ec2client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: &id, DeleteAssociatedSnapshots: aws.Bool(true)})
	}
	_, err := ec2client.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &c.root})
	users := []string{first, second}
	if first > second {
		users = []string{second, first}
	}
	want(t, err, "InvalidSnapshot.InUse", "The snapshot "+c.root+" is currently in use by "+strings.Join(users, ", "))
	_, err = ec2client.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &c.root, DryRun: aws.Bool(true)})
	wantDryRun(t, err)

	out, err := deregister(first)
	if err != nil || !*out.Return || len(out.DeleteSnapshotResults) != 1 || out.DeleteSnapshotResults[0].ReturnCode != ec2types.SnapshotReturnCodesWarnSkipped {
		t.Errorf("%+v, %v", out, err)
	}
	_, err = deregister(first)
	want(t, err, "InvalidAMIID.Unavailable", "The image ID '"+first+"' is no longer available")
	if all := c.images(owner, ireland, &ec2.DescribeImagesInput{ImageIds: []string{first}}); len(all) != 0 {
		t.Errorf("%+v", all)
	}
	c.register("first") // the name is free again
	third, err := deregister(second)
	if err != nil || third.DeleteSnapshotResults[0].ReturnCode != ec2types.SnapshotReturnCodesWarnSkipped {
		t.Errorf("%+v, %v", third, err)
	}
	_, err = c.ec2(friend, ireland).DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: &second})
	want(t, err, "InvalidAMIID.NotFound", "The image id '["+second+"]' does not exist")
	last := c.images(owner, ireland, &ec2.DescribeImagesInput{Owners: []string{"self"}})[0]
	out, err = deregister(*last.ImageId)
	if err != nil || out.DeleteSnapshotResults[0].ReturnCode != ec2types.SnapshotReturnCodesSuccess || *out.DeleteSnapshotResults[0].SnapshotId != c.root {
		t.Errorf("%+v, %v", out, err)
	}
	_, err = ec2client.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{c.root}})
	want(t, err, "InvalidSnapshot.NotFound", "The snapshot '"+c.root+"' does not exist.")
}
