package network

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/listing"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// newGroup returns a security group that lets everything out, as a new one does.
func newGroup(region, account, vpc, id, name, description string) *state.SecurityGroup {
	rule := kit.ID("sgr")
	return &state.SecurityGroup{
		SecurityGroup: ec2types.SecurityGroup{
			Description: &description, GroupId: &id, GroupName: &name, OwnerId: &account,
			SecurityGroupArn: aws.String(arn(region, account, "security-group/"+id)), VpcId: &vpc,
		},
		Rules: []ec2types.SecurityGroupRule{{
			CidrIpv4: aws.String("0.0.0.0/0"), FromPort: aws.Int32(-1), ToPort: aws.Int32(-1), GroupId: &id, GroupOwnerId: &account,
			IpProtocol: aws.String("-1"), IsEgress: aws.Bool(true), SecurityGroupRuleId: &rule,
			SecurityGroupRuleArn: aws.String(arn(region, account, "security-group-rule/"+rule)),
		}},
	}
}

// GroupOf returns a security group of an account, or EC2's error.
func GroupOf(r *state.Region, account, id string) (*state.SecurityGroup, error) {
	if !strings.HasPrefix(id, "sg-") {
		return nil, wire.Errorf("InvalidGroupId.Malformed", `Invalid id: "%s" (expecting "sg-...")`, id)
	}
	g := r.SecurityGroups.Get(id)
	if g == nil || aws.ToString(g.OwnerId) != account {
		return nil, wire.Errorf("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
	}
	return g, nil
}

// GroupNamed returns the security group of that name in a VPC, or EC2's error.
func GroupNamed(r *state.Region, account, vpc, name string) (*state.SecurityGroup, error) {
	for _, g := range r.SecurityGroups.All() {
		if aws.ToString(g.OwnerId) == account && aws.ToString(g.VpcId) == vpc && aws.ToString(g.GroupName) == name {
			return g, nil
		}
	}
	return nil, wire.Errorf("InvalidGroup.NotFound", "The security group '%s' does not exist in VPC '%s'", name, vpc)
}

// namedInDefault returns the group of that name in the default VPC, where names are looked up.
func namedInDefault(r *state.Region, c *wire.Call, name string) (*state.SecurityGroup, error) {
	vpc := DefaultVPC(c.Region, c.Account)
	g, err := GroupNamed(r, c.Account, vpc, name)
	if err != nil {
		return nil, wire.Errorf("InvalidGroup.NotFound", "The security group '%s' does not exist in default VPC '%s'", name, vpc)
	}
	return g, nil
}

// chosen returns the group that a request names by id or, in the default VPC, by name.
func chosen(r *state.Region, c *wire.Call, id, name *string) (*state.SecurityGroup, error) {
	switch {
	case aws.ToString(id) != "":
		return GroupOf(r, c.Account, *id)
	case aws.ToString(name) != "":
		return namedInDefault(r, c, *name)
	}
	return nil, wire.Errorf("MissingParameter", "The request must contain the parameter groupName or groupId")
}

func (s *Service) createGroup(_ context.Context, c *wire.Call, in *ec2.CreateSecurityGroupInput) (*ec2.CreateSecurityGroupOutput, error) {
	if err := checkGroup(in); err != nil {
		return nil, err
	}
	out := &ec2.CreateSecurityGroupOutput{}
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		EnsureDefaults(r, c.Account)
		vpc := aws.ToString(in.VpcId)
		if vpc == "" {
			vpc = DefaultVPC(c.Region, c.Account)
		}
		if _, err := vpcOf(r, c.Account, vpc); err != nil {
			return err
		}
		if _, err := GroupNamed(r, c.Account, vpc, *in.GroupName); err == nil {
			return wire.Errorf("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", *in.GroupName, vpc)
		}
		if aws.ToBool(in.DryRun) {
			return wire.ErrDryRun()
		}
		g := newGroup(c.Region, c.Account, vpc, kit.ID("sg"), *in.GroupName, *in.Description)
		g.Tags = kit.TagsFor(in.TagSpecifications, ec2types.ResourceTypeSecurityGroup)
		r.SecurityGroups.Put(*g.GroupId, g)
		out.GroupId, out.SecurityGroupArn, out.Tags = g.GroupId, g.SecurityGroupArn, g.Tags
		return nil
	})
}

const maxGroupText = 255 // characters of a name or a description [documented]

// plainText is what names and descriptions of groups and descriptions of rules may be made of [documented].
const plainText = "Valid descriptions are strings less than 256 characters from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"

func plain(text string) bool {
	return len(text) <= maxGroupText && !strings.ContainsFunc(text, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune(". _-:/()#,@[]+=&;{}!$*", r)
	})
}

func checkGroup(in *ec2.CreateSecurityGroupInput) error {
	name, description := aws.ToString(in.GroupName), aws.ToString(in.Description)
	switch {
	case name == "":
		return wire.Errorf("MissingParameter", "The request must contain the parameter GroupName")
	case description == "":
		return wire.Errorf("MissingParameter", "The request must contain the parameter GroupDescription")
	case strings.EqualFold(name, "default"):
		return wire.Errorf("InvalidParameterValue", "Cannot use reserved security group name: default")
	case strings.HasPrefix(name, "sg-"):
		return wire.Errorf("InvalidParameterValue", "Group names may not be in the format sg-*.")
	case len(name) > maxGroupText:
		return wire.Errorf("InvalidParameterValue", "Value (%s) for parameter GroupName is invalid. Group names are limited to 255 characters.", name)
	case !plain(name):
		return wire.Errorf("InvalidParameterValue", "Value (%s) for parameter GroupName is invalid. %s", name, plainText) // text inferred
	case !plain(description):
		return wire.Errorf("InvalidParameterValue", "Invalid security group description. %s", plainText)
	}
	return kit.CheckTagSpecs(in.TagSpecifications, ec2types.ResourceTypeSecurityGroup)
}

func (s *Service) deleteGroup(_ context.Context, c *wire.Call, in *ec2.DeleteSecurityGroupInput) (*ec2.DeleteSecurityGroupOutput, error) {
	out := &ec2.DeleteSecurityGroupOutput{Return: aws.Bool(true)}
	return out, s.store.Update(c.Region, func(r *state.Region) error {
		EnsureDefaults(r, c.Account)
		g, err := chosen(r, c, in.GroupId, in.GroupName)
		if err != nil {
			return err
		}
		id := aws.ToString(g.GroupId)
		switch {
		case aws.ToString(g.GroupName) == "default":
			return wire.Errorf("CannotDelete", `the specified group: "%s" name: "default" cannot be deleted by a user`, id)
		case aws.ToBool(in.DryRun):
			return wire.ErrDryRun()
		case used(r, id):
			return wire.Errorf("DependencyViolation", "resource %s has a dependent object", id)
		}
		r.SecurityGroups.Delete(id)
		out.GroupId = &id
		return nil
	})
}

// used reports whether an instance has a group, or a rule of another group refers to it.
func used(r *state.Region, id string) bool {
	for _, in := range r.Instances.All() {
		if HasGroup(in, id) {
			return true
		}
	}
	for other, g := range r.SecurityGroups.All() {
		refers := func(rule ec2types.SecurityGroupRule) bool {
			return rule.ReferencedGroupInfo != nil && aws.ToString(rule.ReferencedGroupInfo.GroupId) == id
		}
		if other != id && slices.ContainsFunc(g.Rules, refers) {
			return true
		}
	}
	return false
}

// HasGroup reports whether one of an instance's interfaces is in a security group.
func HasGroup(in *state.Instance, group string) bool {
	return slices.ContainsFunc(in.SecurityGroups, func(g ec2types.GroupIdentifier) bool { return aws.ToString(g.GroupId) == group })
}

func (s *Service) describeGroups(_ context.Context, c *wire.Call, in *ec2.DescribeSecurityGroupsInput) (*ec2.DescribeSecurityGroupsOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, wire.ErrDryRun()
	}
	out := &ec2.DescribeSecurityGroupsOutput{SecurityGroups: []ec2types.SecurityGroup{}}
	return out, View(s.store, c, func(r *state.Region) error {
		ids, err := groupIDs(r, c, in)
		if err != nil {
			return err
		}
		found, next, err := listing.Run(listing.Query[*state.SecurityGroup]{
			IDs: ids, Set: "securityGroupIdSet", Filters: in.Filters, Attr: groupFilter, None: &state.SecurityGroup{},
			Page: kit.Page{Max: in.MaxResults, Token: in.NextToken, Min: 5, Limit: 1000, Scope: scope(c) + vpcFilterOf(in.Filters)},
			Get:  func(id string) (*state.SecurityGroup, error) { return GroupOf(r, c.Account, id) },
			All:  owned(maps.Values(maps.Collect(r.SecurityGroups.All())), c.Account, func(g *state.SecurityGroup) *string { return g.OwnerId }),
			Key:  func(g *state.SecurityGroup) string { return aws.ToString(g.GroupId) },
		})
		for _, g := range found {
			shown := g.SecurityGroup
			shown.IpPermissions, shown.IpPermissionsEgress = permissions(g.Rules, false), permissions(g.Rules, true)
			out.SecurityGroups = append(out.SecurityGroups, shown)
		}
		out.NextToken = next
		return err
	})
}

// groupIDs adds the groups of the default VPC that a request names.
func groupIDs(r *state.Region, c *wire.Call, in *ec2.DescribeSecurityGroupsInput) ([]string, error) {
	ids := in.GroupIds
	for _, name := range in.GroupNames {
		g, err := namedInDefault(r, c, name)
		if err != nil {
			return nil, err
		}
		ids = append(slices.Clip(ids), *g.GroupId)
	}
	return ids, nil
}

// vpcFilterOf returns what binds a token to the vpc-id filter, which must not change between pages; others may.
func vpcFilterOf(filters []ec2types.Filter) string {
	for _, f := range filters {
		if aws.ToString(f.Name) == "vpc-id" {
			return "/" + strings.Join(f.Values, ",")
		}
	}
	return ""
}

func groupFilter(g *state.SecurityGroup, name string) ([]string, bool) {
	switch name {
	case "group-id":
		return listing.Values(g.GroupId), true
	case "group-name":
		return listing.Values(g.GroupName), true
	case "description":
		return listing.Values(g.Description), true
	case "owner-id":
		return listing.Values(g.OwnerId), true
	case "vpc-id":
		return listing.Values(g.VpcId), true
	}
	for prefix, egress := range map[string]bool{"ip-permission.": false, "egress.ip-permission.": true} {
		if field, ok := strings.CutPrefix(name, prefix); ok {
			return ruleValues(g.Rules, egress, field)
		}
	}
	return kit.TagFilter(g.Tags, name)
}

// ruleValues returns the values of a field of all rules of a direction.
func ruleValues(rules []ec2types.SecurityGroupRule, egress bool, field string) ([]string, bool) {
	fields := map[string]func(ec2types.SecurityGroupRule) []string{
		"cidr":      func(r ec2types.SecurityGroupRule) []string { return listing.Values(r.CidrIpv4) },
		"ipv6-cidr": func(r ec2types.SecurityGroupRule) []string { return listing.Values(r.CidrIpv6) },
		"protocol":  func(r ec2types.SecurityGroupRule) []string { return listing.Values(r.IpProtocol) },
		"from-port": func(r ec2types.SecurityGroupRule) []string { return []string{portText(r.FromPort)} },
		"to-port":   func(r ec2types.SecurityGroupRule) []string { return []string{portText(r.ToPort)} },
		"group-id": func(r ec2types.SecurityGroupRule) []string {
			if r.ReferencedGroupInfo == nil {
				return nil
			}
			return listing.Values(r.ReferencedGroupInfo.GroupId)
		},
		"user-id": func(r ec2types.SecurityGroupRule) []string {
			if r.ReferencedGroupInfo == nil {
				return nil
			}
			return listing.Values(r.ReferencedGroupInfo.UserId)
		},
		"prefix-list-id": func(ec2types.SecurityGroupRule) []string { return nil },
	}
	of, known := fields[field]
	if !known {
		return nil, false
	}
	var values []string
	for _, rule := range rules {
		if aws.ToBool(rule.IsEgress) == egress {
			values = append(values, of(rule)...)
		}
	}
	return values, true
}
