package network

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/listing"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// request is what the four operations that change rules have in common.
type request struct {
	groupID, groupName *string
	permissions        []ec2types.IpPermission
	ruleIDs            []string
	tags               []ec2types.TagSpecification
	dryRun             *bool
	egress             bool

	// the old form, one permission in parameters of its own
	cidr, protocol, sourceName, sourceOwner *string
	from, to                                *int32
}

func (s *Service) authorizeIngress(_ context.Context, c *wire.Call, in *ec2.AuthorizeSecurityGroupIngressInput) (*ec2.AuthorizeSecurityGroupIngressOutput, error) {
	rules, err := s.authorize(c, request{
		groupID: in.GroupId, groupName: in.GroupName, permissions: in.IpPermissions, tags: in.TagSpecifications, dryRun: in.DryRun,
		cidr: in.CidrIp, protocol: in.IpProtocol, from: in.FromPort, to: in.ToPort,
		sourceName: in.SourceSecurityGroupName, sourceOwner: in.SourceSecurityGroupOwnerId,
	})
	return &ec2.AuthorizeSecurityGroupIngressOutput{Return: aws.Bool(true), SecurityGroupRules: rules}, err
}

func (s *Service) authorizeEgress(_ context.Context, c *wire.Call, in *ec2.AuthorizeSecurityGroupEgressInput) (*ec2.AuthorizeSecurityGroupEgressOutput, error) {
	rules, err := s.authorize(c, request{
		groupID: in.GroupId, permissions: in.IpPermissions, tags: in.TagSpecifications, dryRun: in.DryRun, egress: true,
		cidr: in.CidrIp, protocol: in.IpProtocol, from: in.FromPort, to: in.ToPort,
		sourceName: in.SourceSecurityGroupName, sourceOwner: in.SourceSecurityGroupOwnerId,
	})
	return &ec2.AuthorizeSecurityGroupEgressOutput{Return: aws.Bool(true), SecurityGroupRules: rules}, err
}

func (s *Service) authorize(c *wire.Call, q request) (added []ec2types.SecurityGroupRule, err error) {
	if err := kit.CheckTagSpecs(q.tags, ec2types.ResourceTypeSecurityGroupRule); err != nil {
		return nil, err
	}
	err = s.store.Update(c.Region, func(r *state.Region) error {
		EnsureDefaults(r, c.Account)
		g, err := chosen(r, c, q.groupID, q.groupName)
		if err != nil {
			return err
		}
		if added, err = q.rules(r, c, g); err != nil {
			return err
		}
		for i, rule := range added {
			same := func(other ec2types.SecurityGroupRule) bool { return sameRule(rule, other) }
			if slices.ContainsFunc(g.Rules, same) {
				return wire.Errorf("InvalidPermission.Duplicate", `the specified rule "%s" already exists`, describeRule(rule))
			}
			if slices.ContainsFunc(added[:i], same) {
				return wire.Errorf("InvalidParameterValue", "The same permission must not appear multiple times")
			}
		}
		if aws.ToBool(q.dryRun) {
			return wire.ErrDryRun()
		}
		id := aws.ToString(g.GroupId)
		row := r.SecurityGroups.Edit(id)
		row.Rules = append(slices.Clip(row.Rules), added...)
		s.rules(r, id)
		return nil
	})
	return added, err
}

// rules returns the rules that a request describes, one for each source, as they would stand in a group.
func (q *request) rules(r *state.Region, c *wire.Call, g *state.SecurityGroup) ([]ec2types.SecurityGroupRule, error) {
	all := q.permissions
	if q.cidr != nil || q.protocol != nil || q.sourceName != nil {
		all = append(slices.Clip(all), q.oldForm())
	}
	if len(all) == 0 {
		return nil, wire.Errorf("MissingParameter", "The request must contain the parameter ipPermissions")
	}
	var rules []ec2types.SecurityGroupRule
	for i := range all {
		more, err := q.expand(r, c, g, &all[i])
		if err != nil {
			return nil, err
		}
		rules = append(rules, more...)
	}
	return rules, nil
}

func (q *request) oldForm() ec2types.IpPermission {
	p := ec2types.IpPermission{FromPort: q.from, ToPort: q.to, IpProtocol: q.protocol}
	if q.cidr != nil {
		p.IpRanges = []ec2types.IpRange{{CidrIp: q.cidr}}
	}
	if q.sourceName != nil {
		p.UserIdGroupPairs = []ec2types.UserIdGroupPair{{GroupName: q.sourceName, UserId: q.sourceOwner}}
		if q.protocol == nil {
			p.IpProtocol = aws.String("-1")
		}
	}
	return p
}

// expand turns a permission into rules.
func (q *request) expand(r *state.Region, c *wire.Call, g *state.SecurityGroup, p *ec2types.IpPermission) ([]ec2types.SecurityGroupRule, error) {
	like, err := ports(p)
	if err != nil {
		return nil, err
	}
	rules, err := sources(r, c, g, p)
	if err != nil {
		return nil, err
	}
	for i := range rules {
		rule, id := &rules[i], kit.ID("sgr")
		if !plain(aws.ToString(rule.Description)) {
			return nil, wire.Errorf("InvalidParameterValue", "Invalid rule description. %s", plainText)
		}
		rule.SecurityGroupRuleId, rule.SecurityGroupRuleArn = &id, aws.String(arn(c.Region, c.Account, "security-group-rule/"+id))
		rule.IpProtocol, rule.FromPort, rule.ToPort = like.IpProtocol, like.FromPort, like.ToPort
		rule.GroupId, rule.GroupOwnerId, rule.IsEgress = g.GroupId, g.OwnerId, aws.Bool(q.egress)
		rule.Tags = kit.TagsFor(q.tags, ec2types.ResourceTypeSecurityGroupRule)
	}
	return rules, nil
}

// sources returns a rule with nothing but its peer and its description for each peer of a permission.
func sources(r *state.Region, c *wire.Call, g *state.SecurityGroup, p *ec2types.IpPermission) (rules []ec2types.SecurityGroupRule, err error) {
	for _, v := range p.IpRanges {
		cidr, err := cidrOf(aws.ToString(v.CidrIp), true)
		if err != nil {
			return nil, err
		}
		rules = append(rules, ec2types.SecurityGroupRule{CidrIpv4: &cidr, Description: v.Description})
	}
	for _, v := range p.Ipv6Ranges {
		cidr, err := cidrOf(aws.ToString(v.CidrIpv6), false)
		if err != nil {
			return nil, err
		}
		rules = append(rules, ec2types.SecurityGroupRule{CidrIpv6: &cidr, Description: v.Description})
	}
	for _, v := range p.UserIdGroupPairs {
		peer, err := peerOf(r, c, g, v)
		if err != nil {
			return nil, err
		}
		referenced := &ec2types.ReferencedSecurityGroup{GroupId: peer.GroupId, UserId: peer.OwnerId}
		rules = append(rules, ec2types.SecurityGroupRule{ReferencedGroupInfo: referenced, Description: v.Description})
	}
	switch {
	case len(p.PrefixListIds) > 0:
		return nil, wire.Errorf("InvalidPrefixListID.NotFound", "The prefix list ID '%s' does not exist", aws.ToString(p.PrefixListIds[0].PrefixListId))
	case len(rules) == 0:
		return nil, wire.Errorf("MissingParameter", "Missing source specification: include source security group or CIDR information")
	}
	return rules, nil
}

func peerOf(r *state.Region, c *wire.Call, g *state.SecurityGroup, v ec2types.UserIdGroupPair) (*state.SecurityGroup, error) {
	if aws.ToString(v.GroupId) != "" {
		return GroupOf(r, c.Account, *v.GroupId)
	}
	return GroupNamed(r, c.Account, aws.ToString(g.VpcId), aws.ToString(v.GroupName))
}

const maxPort = 65535

// ports returns a rule with the protocol and the ports of a permission.
func ports(p *ec2types.IpPermission) (rule ec2types.SecurityGroupRule, err error) {
	names := map[string]string{"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "all": "-1"}
	protocol := strings.ToLower(aws.ToString(p.IpProtocol))
	if name := names[protocol]; name != "" {
		protocol = name
	}
	rule.IpProtocol, rule.FromPort, rule.ToPort = &protocol, p.FromPort, p.ToPort
	switch protocol {
	case "":
		return rule, wire.Errorf("MissingParameter", "The request must contain the parameter ipProtocol")
	case "tcp", "udp":
		return rule, checkPorts(p)
	case "icmp", "icmpv6":
		if p.FromPort == nil || p.ToPort == nil {
			rule.FromPort, rule.ToPort = aws.Int32(-1), aws.Int32(-1)
		}
		return rule, nil
	}
	if n, err := strconv.Atoi(protocol); err != nil || n < -1 || n > 255 {
		return rule, wire.Errorf("InvalidParameterValue", "Invalid value '%s' for IP protocol. Unknown protocol.", protocol)
	}
	rule.FromPort, rule.ToPort = aws.Int32(-1), aws.Int32(-1) // other protocols have no ports [documented]
	return rule, nil
}

func checkPorts(p *ec2types.IpPermission) error {
	if p.FromPort == nil || p.ToPort == nil {
		return wire.Errorf("InvalidParameterValue", "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")
	}
	for _, port := range []int32{*p.FromPort, *p.ToPort} {
		if port < 0 || port > maxPort {
			return wire.Errorf("InvalidParameterValue", "TCP/UDP port (%d) out of range", port)
		}
	}
	if *p.FromPort > *p.ToPort {
		return wire.Errorf("InvalidParameterValue", "Invalid TCP/UDP port range (%d:%d)", *p.FromPort, *p.ToPort)
	}
	return nil
}

// cidrOf returns a range in its usual form.
func cidrOf(s string, v4 bool) (string, error) {
	prefix, err := netip.ParsePrefix(s)
	if err != nil || prefix.Addr().Is4() != v4 {
		return "", wire.Errorf("InvalidParameterValue", "CIDR block %s is malformed", s)
	}
	return prefix.Masked().String(), nil
}

// sameRule compares what rules do.
func sameRule(a, b ec2types.SecurityGroupRule) bool {
	return aws.ToBool(a.IsEgress) == aws.ToBool(b.IsEgress) && describeRule(a) == describeRule(b)
}

// describeRule writes a rule as EC2's errors do.
func describeRule(rule ec2types.SecurityGroupRule) string {
	peer := aws.ToString(rule.CidrIpv4) + aws.ToString(rule.CidrIpv6)
	if rule.ReferencedGroupInfo != nil {
		peer = aws.ToString(rule.ReferencedGroupInfo.GroupId)
	}
	switch protocol := aws.ToString(rule.IpProtocol); protocol {
	case "-1":
		return fmt.Sprintf("peer: %s, ALL, ALLOW", peer)
	case "icmp", "icmpv6":
		return fmt.Sprintf("peer: %s, %s, type: %s, code: %s, ALLOW", peer, strings.ToUpper(protocol), portText(rule.FromPort), portText(rule.ToPort))
	default:
		return fmt.Sprintf("peer: %s, %s, from port: %s, to port: %s, ALLOW", peer, strings.ToUpper(protocol), portText(rule.FromPort), portText(rule.ToPort))
	}
}

func portText(p *int32) string {
	if p == nil {
		return "-1"
	}
	return strconv.Itoa(int(*p))
}

// permissions groups the rules of one direction by protocol and ports, as DescribeSecurityGroups shows them.
func permissions(rules []ec2types.SecurityGroupRule, egress bool) []ec2types.IpPermission {
	grouped, at := []ec2types.IpPermission{}, map[string]int{}
	for _, rule := range rules {
		if aws.ToBool(rule.IsEgress) != egress {
			continue
		}
		protocol := aws.ToString(rule.IpProtocol)
		key := protocol + "/" + portText(rule.FromPort) + "/" + portText(rule.ToPort)
		i, ok := at[key]
		if !ok {
			i = len(grouped)
			at[key] = i
			grouped = append(grouped, emptyPermission(rule))
		}
		addPeer(&grouped[i], rule)
	}
	return grouped
}

func emptyPermission(rule ec2types.SecurityGroupRule) ec2types.IpPermission {
	p := ec2types.IpPermission{
		IpProtocol: rule.IpProtocol, FromPort: rule.FromPort, ToPort: rule.ToPort, IpRanges: []ec2types.IpRange{}, Ipv6Ranges: []ec2types.Ipv6Range{},
		PrefixListIds: []ec2types.PrefixListId{}, UserIdGroupPairs: []ec2types.UserIdGroupPair{},
	}
	if aws.ToString(rule.IpProtocol) == "-1" {
		p.FromPort, p.ToPort = nil, nil
	}
	return p
}

func addPeer(p *ec2types.IpPermission, rule ec2types.SecurityGroupRule) {
	switch {
	case rule.CidrIpv4 != nil:
		p.IpRanges = append(p.IpRanges, ec2types.IpRange{CidrIp: rule.CidrIpv4, Description: rule.Description})
	case rule.CidrIpv6 != nil:
		p.Ipv6Ranges = append(p.Ipv6Ranges, ec2types.Ipv6Range{CidrIpv6: rule.CidrIpv6, Description: rule.Description})
	case rule.ReferencedGroupInfo != nil:
		ref := rule.ReferencedGroupInfo
		p.UserIdGroupPairs = append(p.UserIdGroupPairs, ec2types.UserIdGroupPair{GroupId: ref.GroupId, UserId: ref.UserId, Description: rule.Description})
	}
}

func (s *Service) describeRules(_ context.Context, c *wire.Call, in *ec2.DescribeSecurityGroupRulesInput) (*ec2.DescribeSecurityGroupRulesOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, wire.ErrDryRun()
	}
	out := &ec2.DescribeSecurityGroupRulesOutput{}
	return out, View(s.store, c, func(r *state.Region) (err error) {
		var all []ec2types.SecurityGroupRule
		for _, g := range r.SecurityGroups.All() {
			if aws.ToString(g.OwnerId) == c.Account {
				all = append(all, g.Rules...)
			}
		}
		key := func(rule ec2types.SecurityGroupRule) string { return aws.ToString(rule.SecurityGroupRuleId) }
		out.SecurityGroupRules, out.NextToken, err = listing.Run(listing.Query[ec2types.SecurityGroupRule]{
			IDs: in.SecurityGroupRuleIds, Set: "securityGroupRuleIdSet", Filters: in.Filters, Attr: ruleFilter, Key: key, All: slices.Values(all),
			Page: kit.Page{Max: in.MaxResults, Token: in.NextToken, Min: 5, Limit: 1000, Scope: scope(c)},
			Get:  lookup(all, key, "InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist"),
		})
		return err
	})
}

func ruleFilter(rule ec2types.SecurityGroupRule, name string) ([]string, bool) {
	switch name {
	case "group-id":
		return listing.Values(rule.GroupId), true
	case "security-group-rule-id":
		return listing.Values(rule.SecurityGroupRuleId), true
	}
	return kit.TagFilter(rule.Tags, name)
}

// Ports returns the TCP ports that security groups open to everybody and to this machine; what they open to other groups is not among them.
func Ports(r *state.Region, groups []ec2types.GroupIdentifier) []compute.Port {
	var open []compute.Port
	for _, id := range groups {
		g := r.SecurityGroups.Get(aws.ToString(id.GroupId))
		if g == nil {
			continue
		}
		for i := range g.Rules {
			if p, ok := opens(&g.Rules[i]); ok && !slices.Contains(open, p) {
				open = append(open, p)
			}
		}
	}
	return open
}

func opens(rule *ec2types.SecurityGroupRule) (compute.Port, bool) {
	if aws.ToBool(rule.IsEgress) || rule.CidrIpv4 == nil {
		return compute.Port{}, false
	}
	loopback := netip.PrefixFrom(netip.AddrFrom4([4]byte{127}), 8)
	if prefix, err := netip.ParsePrefix(*rule.CidrIpv4); err != nil || !prefix.Overlaps(loopback) {
		return compute.Port{}, false
	}
	switch aws.ToString(rule.IpProtocol) {
	case "-1":
		return compute.Port{From: 0, To: maxPort}, true
	case "tcp":
		return compute.Port{From: int(aws.ToInt32(rule.FromPort)), To: int(aws.ToInt32(rule.ToPort))}, true
	}
	return compute.Port{}, false
}
