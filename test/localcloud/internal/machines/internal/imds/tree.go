package imds

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
)

const keysFolder = "meta-data/public-keys"

// newTree returns all that the service has to say of an instance.
func newTree(s compute.Spec, launched time.Time) tree {
	m := s.Metadata
	t := tree{leaves: map[string]string{"dynamic/instance-identity/document": document(s, launched)}, key: m.KeyName}
	if len(m.UserData) > 0 {
		t.leaves["user-data"] = string(m.UserData)
	}
	t.meta(map[string]string{
		"ami-id": m.ImageID, "ami-launch-index": strconv.Itoa(m.LaunchIndex), "ami-manifest-path": "(unknown)",
		"hostname": m.Hostname, "instance-action": "none", "instance-id": s.ID, "instance-life-cycle": "on-demand", "instance-type": s.Type,
		"local-hostname": m.Hostname, "local-ipv4": s.Addresses.Private, "mac": m.MAC, "profile": "default-hvm",
		"public-hostname": m.PublicHostname, "public-ipv4": s.Addresses.Public, "reservation-id": m.Reservation,
		"security-groups": strings.Join(m.SecurityGroups, "\n"), "system": "nitro",
		"events/maintenance/history": "[]", "events/maintenance/scheduled": "[]",
		"placement/availability-zone": s.Zone, "placement/availability-zone-id": s.ZoneID, "placement/region": s.Region,
		"services/domain": domain(s.Region), "services/partition": partition(s.Region),
	})
	t.disks(s.Disks)
	t.network(s)
	if m.PublicKey != "" {
		t.leaves[keysFolder+"/0/openssh-key"] = m.PublicKey
	}
	if m.Tags {
		for key, value := range s.Tags {
			t.leaves["meta-data/tags/instance/"+key] = value
		}
	}
	return t
}

// meta adds what is known.
func (t tree) meta(leaves map[string]string) {
	for name, value := range leaves {
		if value != "" {
			t.leaves["meta-data/"+name] = value
		}
	}
}

// disks names the devices as the image's mapping does, whatever the guest calls them.
func (t tree) disks(disks []compute.Disk) {
	const folder = "meta-data/block-device-mapping/"
	for n, d := range disks {
		if n == 0 {
			t.leaves[folder+"ami"], t.leaves[folder+"root"] = d.Device, d.Device
			continue
		}
		t.leaves[folder+"ebs"+strconv.Itoa(n)] = strings.TrimPrefix(d.Device, "/dev/")
	}
}

func (t tree) network(s compute.Spec) {
	m := s.Metadata
	if m.MAC == "" {
		return
	}
	card := "network/interfaces/macs/" + m.MAC + "/"
	t.meta(map[string]string{
		card + "device-number": "0", card + "interface-id": m.Interface, card + "local-hostname": m.Hostname,
		card + "local-ipv4s": s.Addresses.Private, card + "mac": m.MAC, card + "owner-id": s.Account,
		card + "public-hostname": m.PublicHostname, card + "public-ipv4s": s.Addresses.Public,
		card + "security-group-ids": strings.Join(m.SecurityGroupIDs, "\n"), card + "security-groups": strings.Join(m.SecurityGroups, "\n"),
		card + "subnet-id": m.Subnet, card + "subnet-ipv4-cidr-block": m.SubnetBlock,
		card + "vpc-id": m.VPC, card + "vpc-ipv4-cidr-block": m.VPCBlock, card + "vpc-ipv4-cidr-blocks": m.VPCBlock,
	})
	if s.Addresses.Public != "" {
		t.meta(map[string]string{card + "ipv4-associations/" + s.Addresses.Public: s.Addresses.Private})
	}
}

func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

func domain(region string) string {
	if partition(region) == "aws-cn" {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}

// document returns the identity document, whose members EC2 writes in this order.
func document(s compute.Spec, launched time.Time) string {
	arch := "x86_64"
	if s.Arch == bake.ARM64 {
		arch = "arm64"
	}
	body, err := json.MarshalIndent(struct {
		AccountID               string    `json:"accountId"`
		Architecture            string    `json:"architecture"`
		AvailabilityZone        string    `json:"availabilityZone"`
		BillingProducts         *[]string `json:"billingProducts"`
		DevpayProductCodes      *[]string `json:"devpayProductCodes"`
		MarketplaceProductCodes *[]string `json:"marketplaceProductCodes"`
		ImageID                 string    `json:"imageId"`
		InstanceID              string    `json:"instanceId"`
		InstanceType            string    `json:"instanceType"`
		KernelID                *string   `json:"kernelId"`
		PendingTime             string    `json:"pendingTime"`
		PrivateIP               string    `json:"privateIp"`
		RamdiskID               *string   `json:"ramdiskId"`
		Region                  string    `json:"region"`
		Version                 string    `json:"version"`
	}{
		AccountID: s.Account, Architecture: arch, AvailabilityZone: s.Zone, ImageID: s.Metadata.ImageID, InstanceID: s.ID, InstanceType: s.Type,
		PendingTime: launched.UTC().Format(time.RFC3339), PrivateIP: s.Addresses.Private, Region: s.Region, Version: "2017-09-30",
	}, "", "  ")
	if err != nil {
		return fmt.Sprint(err) // strings: it cannot fail
	}
	return string(body)
}
