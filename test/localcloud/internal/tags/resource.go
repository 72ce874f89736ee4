package tags

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// resource is something that has tags.
type resource struct {
	tags []ec2types.Tag
	set  func(tags []ec2types.Tag)
}

// kind is how to find the resources of a type, and what EC2 answers where there is none.
type kind struct {
	prefix     string
	name       ec2types.ResourceType
	code, text string
	get        func(r *state.Region, account, id string) *resource // nil where there is none of that account
	each       func(r *state.Region, account string, f func(id *string, tags []ec2types.Tag) bool) bool
}

// of returns a kind whose resources are the rows of a table, by id.
func of[T any](table func(*state.Region) *state.Table[T], owner func(*T) *string, tags func(*T) *[]ec2types.Tag) (
	get func(*state.Region, string, string) *resource, each func(*state.Region, string, func(*string, []ec2types.Tag) bool) bool,
) {
	get = func(r *state.Region, account, id string) *resource {
		row := table(r).Get(id)
		if row == nil || aws.ToString(owner(row)) != account {
			return nil
		}
		return &resource{tags: *tags(row), set: func(t []ec2types.Tag) { *tags(table(r).Edit(id)) = t }}
	}
	each = func(r *state.Region, account string, f func(*string, []ec2types.Tag) bool) bool {
		for id, row := range table(r).All() {
			if aws.ToString(owner(row)) == account && !f(&id, *tags(row)) {
				return false
			}
		}
		return true
	}
	return get, each
}

func kinds() []kind {
	all := []kind{
		{prefix: "i-", name: ec2types.ResourceTypeInstance, code: "InvalidInstanceID.NotFound", text: "The instance ID '%s' does not exist"},
		{prefix: "ami-", name: ec2types.ResourceTypeImage, code: "InvalidAMIID.NotFound", text: "The image id '[%s]' does not exist"},
		{prefix: "snap-", name: ec2types.ResourceTypeSnapshot, code: "InvalidSnapshot.NotFound", text: "The snapshot '%s' does not exist."},
		{prefix: "vol-", name: ec2types.ResourceTypeVolume, code: "InvalidVolume.NotFound", text: "The volume '%s' does not exist."},
		{prefix: "lt-", name: ec2types.ResourceTypeLaunchTemplate, code: "InvalidLaunchTemplateId.NotFound", text: "The specified launch template, with template ID %s, does not exist."},
		{prefix: "sg-", name: ec2types.ResourceTypeSecurityGroup, code: "InvalidGroup.NotFound", text: "The security group '%s' does not exist"},
		{prefix: "vpc-", name: ec2types.ResourceTypeVpc, code: "InvalidVpcID.NotFound", text: "The vpc ID '%s' does not exist"},
		{prefix: "subnet-", name: ec2types.ResourceTypeSubnet, code: "InvalidSubnetID.NotFound", text: "The subnet ID '%s' does not exist"},
		{prefix: "key-", name: ec2types.ResourceTypeKeyPair, code: "InvalidKeyPair.NotFound", text: "The key pair '%s' does not exist", get: getKey, each: eachKey},
		{prefix: "sgr-", name: ec2types.ResourceTypeSecurityGroupRule, code: "InvalidSecurityGroupRuleId.NotFound", text: "The security group rule ID '%s' does not exist", get: getRule, each: eachRule},
		{prefix: "eni-", name: ec2types.ResourceTypeNetworkInterface, code: "InvalidNetworkInterfaceID.NotFound", text: "The networkInterface ID '%s' does not exist", get: getCard, each: eachCard},
	}
	all[0].get, all[0].each = of(func(r *state.Region) *state.Table[state.Instance] { return &r.Instances },
		func(v *state.Instance) *string { return &v.Account }, func(v *state.Instance) *[]ec2types.Tag { return &v.Tags })
	all[1].get, all[1].each = of(func(r *state.Region) *state.Table[state.Image] { return &r.Images },
		imageOwner, func(v *state.Image) *[]ec2types.Tag { return &v.Tags })
	all[2].get, all[2].each = of(func(r *state.Region) *state.Table[state.Snapshot] { return &r.Snapshots },
		func(v *state.Snapshot) *string { return v.OwnerId }, func(v *state.Snapshot) *[]ec2types.Tag { return &v.Tags })
	all[3].get, all[3].each = of(func(r *state.Region) *state.Table[state.Volume] { return &r.Volumes },
		func(v *state.Volume) *string { return &v.Account }, func(v *state.Volume) *[]ec2types.Tag { return &v.Tags })
	all[4].get, all[4].each = of(func(r *state.Region) *state.Table[state.LaunchTemplate] { return &r.LaunchTemplates },
		func(v *state.LaunchTemplate) *string { return &v.Account }, func(v *state.LaunchTemplate) *[]ec2types.Tag { return &v.Tags })
	all[5].get, all[5].each = of(func(r *state.Region) *state.Table[state.SecurityGroup] { return &r.SecurityGroups },
		func(v *state.SecurityGroup) *string { return v.OwnerId }, func(v *state.SecurityGroup) *[]ec2types.Tag { return &v.Tags })
	all[6].get, all[6].each = of(func(r *state.Region) *state.Table[state.VPC] { return &r.VPCs },
		func(v *state.VPC) *string { return v.OwnerId }, func(v *state.VPC) *[]ec2types.Tag { return &v.Tags })
	all[7].get, all[7].each = of(func(r *state.Region) *state.Table[state.Subnet] { return &r.Subnets },
		func(v *state.Subnet) *string { return v.OwnerId }, func(v *state.Subnet) *[]ec2types.Tag { return &v.Tags })
	return all
}

// imageOwner is nobody for an image that is deregistered: it cannot be tagged any more.
func imageOwner(v *state.Image) *string {
	if v.Deregistered {
		return nil
	}
	return v.OwnerId
}

func getKey(r *state.Region, account, id string) *resource {
	for key, row := range r.KeyPairs.All() {
		if row.Account == account && aws.ToString(row.KeyPairId) == id {
			return &resource{tags: row.Tags, set: func(t []ec2types.Tag) { r.KeyPairs.Edit(key).Tags = t }}
		}
	}
	return nil
}

func eachKey(r *state.Region, account string, f func(*string, []ec2types.Tag) bool) bool {
	for _, row := range r.KeyPairs.All() {
		if row.Account == account && !f(row.KeyPairId, row.Tags) {
			return false
		}
	}
	return true
}

func getRule(r *state.Region, account, id string) *resource {
	for group, row := range r.SecurityGroups.All() {
		for i := range row.Rules {
			if aws.ToString(row.OwnerId) == account && aws.ToString(row.Rules[i].SecurityGroupRuleId) == id {
				return &resource{tags: row.Rules[i].Tags, set: func(t []ec2types.Tag) {
					row := r.SecurityGroups.Edit(group)
					rules := append([]ec2types.SecurityGroupRule{}, row.Rules...) // somebody may still read the old list
					rules[i].Tags = t
					row.Rules = rules
				}}
			}
		}
	}
	return nil
}

func eachRule(r *state.Region, account string, f func(*string, []ec2types.Tag) bool) bool {
	for _, row := range r.SecurityGroups.All() {
		for i := range row.Rules {
			if aws.ToString(row.OwnerId) == account && !f(row.Rules[i].SecurityGroupRuleId, row.Rules[i].Tags) {
				return false
			}
		}
	}
	return true
}

// getCard finds the network interface of an instance.
func getCard(r *state.Region, account, id string) *resource {
	for instance, row := range r.Instances.All() {
		if row.Account == account && len(row.NetworkInterfaces) > 0 && aws.ToString(row.NetworkInterfaces[0].NetworkInterfaceId) == id {
			return &resource{tags: row.CardTags, set: func(t []ec2types.Tag) { r.Instances.Edit(instance).CardTags = t }}
		}
	}
	return nil
}

func eachCard(r *state.Region, account string, f func(*string, []ec2types.Tag) bool) bool {
	for _, row := range r.Instances.All() {
		if row.Account == account && len(row.NetworkInterfaces) > 0 && !f(row.NetworkInterfaces[0].NetworkInterfaceId, row.CardTags) {
			return false
		}
	}
	return true
}

// find returns a resource of an account by its id.
func find(r *state.Region, account, id string) (*resource, error) {
	for _, k := range kinds() {
		if !strings.HasPrefix(id, k.prefix) {
			continue
		}
		if t := k.get(r, account, id); t != nil {
			return t, nil
		}
		return nil, wire.Errorf(k.code, k.text, id)
	}
	return nil, wire.Errorf("InvalidID", "The ID '%s' is not valid", id)
}

// all calls yield with all tags of an account.
func all(r *state.Region, account string, yield func(ec2types.TagDescription) bool) {
	for _, k := range kinds() {
		more := k.each(r, account, func(id *string, tags []ec2types.Tag) bool {
			for _, t := range tags {
				if !yield(ec2types.TagDescription{Key: t.Key, Value: t.Value, ResourceId: id, ResourceType: k.name}) {
					return false
				}
			}
			return true
		})
		if !more {
			return
		}
	}
}
