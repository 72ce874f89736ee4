package instance_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// Every documented filter finds the one instance by its own value, and does not by another.
func TestEveryInstanceFilter(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := c.running(t, func(in *ec2.RunInstancesInput) {
		in.TagSpecifications, in.IamInstanceProfile = instanceTags("Name", "web"), &ec2types.IamInstanceProfileSpecification{Name: aws.String("role")}
	})
	in := c.get(t, id)
	card := in.NetworkInterfaces[0]
	stamp := func(at *time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }
	found := func(name, value string) int {
		out, err := c.Client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{Filters: []ec2types.Filter{{Name: &name, Values: []string{value}}}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return -1
		}
		return len(out.Reservations)
	}
	for name, value := range map[string]string{
		"architecture": "x86_64", "hypervisor": "xen", "virtualization-type": "hvm", "root-device-name": "/dev/xvda", "root-device-type": "ebs", "boot-mode": "",
		"current-instance-boot-mode": "legacy-bios", "instance-lifecycle": "normal", "platform": "", "platform-details": "Linux/UNIX", "usage-operation": "RunInstances",
		"usage-operation-update-time": stamp(in.UsageOperationUpdateTime), "source-dest-check": "true", "ebs-optimized": "false", "ena-support": "true",
		"enclave-options.enabled": "false", "hibernation-options.configured": "false", "maintenance-options.auto-recovery": "default",
		"capacity-reservation-specification.capacity-reservation-preference": "open", "network-performance-options.bandwidth-weighting": "default",
		"private-dns-name-options.hostname-type": "ip-name", "private-dns-name-options.enable-resource-name-dns-a-record": "false",
		"launch-index": "0", "launch-time": stamp(in.LaunchTime), "owner-id": "123456789012", "iam-instance-profile.arn": *in.IamInstanceProfile.Arn,
		"iam-instance-profile.id": *in.IamInstanceProfile.Id, "instance-state-name": "running", "instance-state-code": "16", "monitoring-state": "disabled", "reason": "",
		"metadata-options.http-tokens": "optional", "metadata-options.http-endpoint": "enabled", "metadata-options.instance-metadata-tags": "disabled",
		"metadata-options.http-put-response-hop-limit": "1", "metadata-options.http-protocol-ipv4": "enabled", "metadata-options.http-protocol-ipv6": "disabled",
		"metadata-options.state": "applied", "availability-zone": *in.Placement.AvailabilityZone, "availability-zone-id": *in.Placement.AvailabilityZoneId,
		"tenancy": "default", "placement-group-name": "", "subnet-id": *in.SubnetId, "vpc-id": *in.VpcId, "private-dns-name": *in.PrivateDnsName, "ip-address": "100.64.0.1",
		"dns-name": *in.PublicDnsName, "instance.group-id": *in.SecurityGroups[0].GroupId, "instance.group-name": "default",
		"block-device-mapping.device-name": "/dev/xvda", "block-device-mapping.status": "attached", "block-device-mapping.delete-on-termination": "true",
		"block-device-mapping.attach-time": stamp(in.BlockDeviceMappings[0].Ebs.AttachTime), "block-device-mapping.volume-id": *in.BlockDeviceMappings[0].Ebs.VolumeId,
		"network-interface.subnet-id": *in.SubnetId, "network-interface.vpc-id": *in.VpcId, "network-interface.mac-address": *card.MacAddress,
		"network-interface.owner-id": "123456789012", "network-interface.status": "in-use", "network-interface.description": "",
		"network-interface.private-dns-name": *card.PrivateDnsName, "network-interface.addresses.private-dns-name": *card.PrivateDnsName,
		"network-interface.addresses.private-ip-address": *card.PrivateIpAddress, "network-interface.addresses.primary": "true",
		"network-interface.association.public-ip": "100.64.0.1", "network-interface.association.ip-owner-id": "amazon",
		"network-interface.association.public-dns-name": *in.PublicDnsName, "network-interface.availability-zone": *in.Placement.AvailabilityZone,
		"network-interface.source-dest-check": "true", "network-interface.requester-managed": "false", "network-interface.group-id": *in.SecurityGroups[0].GroupId,
		"network-interface.group-name": "default", "network-interface.attachment.attachment-id": *card.Attachment.AttachmentId,
		"network-interface.attachment.attach-time": stamp(card.Attachment.AttachTime), "network-interface.attachment.delete-on-termination": "true",
		"network-interface.attachment.device-index": "0", "network-interface.attachment.network-card-index": "0", "network-interface.attachment.instance-id": id,
		"network-interface.attachment.instance-owner-id": "123456789012", "network-interface.attachment.status": "attached",
	} {
		if found(name, value) != 1 || found(name, "another") != 0 {
			t.Errorf("%s=%q does not choose the instance", name, value)
		}
	}
	for _, name := range []string{
		"affinity", "host-id", "kernel-id", "ramdisk-id", "product-code", "spot-instance-request-id", "outpost-arn", "capacity-reservation-id", "ipv6-address", "tpm-support",
		"key-name", "requester-id", "state-reason-code", "network-interface.ipv6-address", "network-interface.requester-id", "network-interface.association.allocation-id",
	} {
		if found(name, "*") != 0 {
			t.Errorf("%s: this instance has none", name)
		}
	}
}

func TestEveryVolumeFilter(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := c.running(t, nil)
	out, err := c.Client.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{})
	if err != nil {
		t.Fatal(err)
	}
	v := out.Volumes[0]
	found := func(name, value string) int {
		out, err := c.Client.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{Filters: []ec2types.Filter{{Name: &name, Values: []string{value}}}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return -1
		}
		return len(out.Volumes)
	}
	for name, value := range map[string]string{
		"volume-id": *v.VolumeId, "snapshot-id": *v.SnapshotId, "availability-zone": *v.AvailabilityZone, "availability-zone-id": *v.AvailabilityZoneId,
		"create-time": v.CreateTime.UTC().Format("2006-01-02T15:04:05.000Z"), "encrypted": "false", "multi-attach-enabled": "false", "size": "8", "status": "in-use",
		"volume-type": "gp3", "attachment.instance-id": id, "attachment.device": "/dev/xvda", "attachment.status": "attached", "attachment.delete-on-termination": "true",
		"attachment.attach-time": v.Attachments[0].AttachTime.UTC().Format("2006-01-02T15:04:05.000Z"), "operator.managed": "false", "fast-restored": "false",
	} {
		if found(name, value) != 1 || found(name, "another") != 0 {
			t.Errorf("%s=%q does not choose the volume", name, value)
		}
	}
	if found("operator.principal", "*") != 0 || found("tag:x", "*") != 0 {
		t.Error("what is not there was found")
	}
}

// Without ids only instances with unlimited credits are shown, with ids all that have credits [documented].
func TestCredits(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	unlimited := c.running(t, nil)
	standard := c.running(t, func(in *ec2.RunInstancesInput) {
		in.CreditSpecification = &ec2types.CreditSpecificationRequest{CpuCredits: aws.String("standard")}
	})
	without := c.running(t, func(in *ec2.RunInstancesInput) { in.InstanceType = "m5.large" })
	for _, v := range []struct {
		ids  []string
		want map[string]string
	}{
		{nil, map[string]string{unlimited: "unlimited"}},
		{[]string{standard, without}, map[string]string{standard: "standard"}},
		{[]string{standard, unlimited}, map[string]string{standard: "standard", unlimited: "unlimited"}},
	} {
		out, err := c.Client.DescribeInstanceCreditSpecifications(t.Context(), &ec2.DescribeInstanceCreditSpecificationsInput{InstanceIds: v.ids})
		if err != nil || len(out.InstanceCreditSpecifications) != len(v.want) {
			t.Errorf("%v: got %+v %v", v.ids, out, err)
			continue
		}
		for _, s := range out.InstanceCreditSpecifications {
			if v.want[*s.InstanceId] != *s.CpuCredits {
				t.Errorf("%v: got %s %s", v.ids, *s.InstanceId, *s.CpuCredits)
			}
		}
	}
}
