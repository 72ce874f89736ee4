package network

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

func (s *Service) revokeIngress(_ context.Context, c *wire.Call, in *ec2.RevokeSecurityGroupIngressInput) (*ec2.RevokeSecurityGroupIngressOutput, error) {
	revoked, unknown, err := s.revoke(c, request{
		groupID: in.GroupId, groupName: in.GroupName, permissions: in.IpPermissions, ruleIDs: in.SecurityGroupRuleIds, dryRun: in.DryRun,
		cidr: in.CidrIp, protocol: in.IpProtocol, from: in.FromPort, to: in.ToPort,
		sourceName: in.SourceSecurityGroupName, sourceOwner: in.SourceSecurityGroupOwnerId,
	})
	return &ec2.RevokeSecurityGroupIngressOutput{Return: aws.Bool(true), RevokedSecurityGroupRules: revoked, UnknownIpPermissions: unknown}, err
}

func (s *Service) revokeEgress(_ context.Context, c *wire.Call, in *ec2.RevokeSecurityGroupEgressInput) (*ec2.RevokeSecurityGroupEgressOutput, error) {
	revoked, unknown, err := s.revoke(c, request{
		groupID: in.GroupId, permissions: in.IpPermissions, ruleIDs: in.SecurityGroupRuleIds, dryRun: in.DryRun, egress: true,
		cidr: in.CidrIp, protocol: in.IpProtocol, from: in.FromPort, to: in.ToPort,
		sourceName: in.SourceSecurityGroupName, sourceOwner: in.SourceSecurityGroupOwnerId,
	})
	return &ec2.RevokeSecurityGroupEgressOutput{Return: aws.Bool(true), RevokedSecurityGroupRules: revoked, UnknownIpPermissions: unknown}, err
}

// revoke removes rules. In a default VPC permissions that match no rule are no error but returned [documented].
func (s *Service) revoke(c *wire.Call, q request) (revoked []ec2types.RevokedSecurityGroupRule, unknown []ec2types.IpPermission, err error) {
	err = s.store.Update(c.Region, func(r *state.Region) error {
		EnsureDefaults(r, c.Account)
		g, err := chosen(r, c, q.groupID, q.groupName)
		if err != nil {
			return err
		}
		gone, missing, err := q.matching(r, c, g)
		if err != nil {
			return err
		}
		if aws.ToBool(q.dryRun) {
			return wire.ErrDryRun()
		}
		id := aws.ToString(g.GroupId)
		row := r.SecurityGroups.Edit(id)
		kept := make([]ec2types.SecurityGroupRule, 0, len(row.Rules))
		for _, rule := range row.Rules {
			if gone[aws.ToString(rule.SecurityGroupRuleId)] {
				revoked = append(revoked, revokedRule(rule))
			} else {
				kept = append(kept, rule)
			}
		}
		row.Rules = kept
		if len(missing) > 0 {
			unknown = permissions(missing, q.egress)
		}
		s.rules(r, id)
		return nil
	})
	return revoked, unknown, err
}

// matching returns the ids of the rules that a request means, and the rules that it describes but that do not exist.
func (q *request) matching(r *state.Region, c *wire.Call, g *state.SecurityGroup) (gone map[string]bool, missing []ec2types.SecurityGroupRule, err error) {
	gone = map[string]bool{}
	if len(q.ruleIDs) > 0 {
		return gone, nil, q.byID(g, gone)
	}
	wanted, err := q.rules(r, c, g)
	if err != nil {
		return nil, nil, err
	}
	for _, rule := range wanted {
		i := slices.IndexFunc(g.Rules, func(other ec2types.SecurityGroupRule) bool { return sameRule(rule, other) })
		if i < 0 {
			missing = append(missing, rule)
			continue
		}
		gone[aws.ToString(g.Rules[i].SecurityGroupRuleId)] = true
	}
	return gone, missing, nil
}

func (q *request) byID(g *state.SecurityGroup, gone map[string]bool) error {
	for _, id := range q.ruleIDs {
		has := func(rule ec2types.SecurityGroupRule) bool {
			return aws.ToString(rule.SecurityGroupRuleId) == id && aws.ToBool(rule.IsEgress) == q.egress
		}
		if !slices.ContainsFunc(g.Rules, has) {
			return wire.Errorf("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist", id)
		}
		gone[id] = true
	}
	return nil
}

func revokedRule(rule ec2types.SecurityGroupRule) ec2types.RevokedSecurityGroupRule {
	out := ec2types.RevokedSecurityGroupRule{
		CidrIpv4: rule.CidrIpv4, CidrIpv6: rule.CidrIpv6, Description: rule.Description, FromPort: rule.FromPort, ToPort: rule.ToPort,
		GroupId: rule.GroupId, IpProtocol: rule.IpProtocol, IsEgress: rule.IsEgress, SecurityGroupRuleId: rule.SecurityGroupRuleId,
	}
	if rule.ReferencedGroupInfo != nil {
		out.ReferencedGroupId = rule.ReferencedGroupInfo.GroupId
	}
	return out
}
