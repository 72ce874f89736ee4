package network_test

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
)

// permission is what a case adds: a protocol, its ports, and a range of addresses.
func permission(protocol string, from, to *int32, cidr string) ec2types.IpPermission {
	p := ec2types.IpPermission{FromPort: from, ToPort: to}
	if protocol != "" {
		p.IpProtocol = &protocol
	}
	if strings.Contains(cidr, ":") {
		p.Ipv6Ranges = []ec2types.Ipv6Range{{CidrIpv6: &cidr}}
	} else {
		p.IpRanges = []ec2types.IpRange{{CidrIp: &cidr}}
	}
	return p
}

// How what was asked for stands in the group.
func TestRulesAreWrittenInOneWay(t *testing.T) {
	t.Parallel()
	c, _ := newCloud(t)
	id := newGroup(t, c, "web")
	n := func(i int32) *int32 { return &i }
	for _, v := range []struct {
		in       ec2types.IpPermission
		protocol string
		from, to int32
		cidr     string
	}{
		{permission("tcp", n(22), n(22), "10.1.2.3/8"), "tcp", 22, 22, "10.0.0.0/8"},
		{permission("6", n(0), n(65535), "10.0.0.0/8"), "tcp", 0, 65535, "10.0.0.0/8"},
		{permission("TCP", n(80), n(81), "0.0.0.0/0"), "tcp", 80, 81, "0.0.0.0/0"},
		{permission("17", n(53), n(53), "10.0.0.1/32"), "udp", 53, 53, "10.0.0.1/32"},
		{permission("icmp", nil, nil, "10.0.0.0/8"), "icmp", -1, -1, "10.0.0.0/8"},
		{permission("1", n(8), n(-1), "10.0.0.0/8"), "icmp", 8, -1, "10.0.0.0/8"},
		{permission("58", n(-1), n(-1), "FD00::1/8"), "icmpv6", -1, -1, "fd00::/8"},
		{permission("-1", n(1), n(2), "10.0.0.0/8"), "-1", -1, -1, "10.0.0.0/8"},
		{permission("all", nil, nil, "::/0"), "-1", -1, -1, "::/0"},
		{permission("50", n(1), n(2), "10.0.0.0/8"), "50", -1, -1, "10.0.0.0/8"},
	} {
		out, err := c.Client.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &id, IpPermissions: []ec2types.IpPermission{v.in}})
		if err != nil {
			t.Errorf("%s %s: %v", v.protocol, v.cidr, err)
			continue
		}
		r := out.SecurityGroupRules[0]
		if *r.IpProtocol != v.protocol || *r.FromPort != v.from || *r.ToPort != v.to || aws.ToString(r.CidrIpv4)+aws.ToString(r.CidrIpv6) != v.cidr || *r.IsEgress ||
			*r.GroupId != id || *r.GroupOwnerId != ec2test.Account || !strings.HasPrefix(*r.SecurityGroupRuleId, "sgr-0") || !strings.HasSuffix(*r.SecurityGroupRuleArn, ":security-group-rule/"+*r.SecurityGroupRuleId) {
			t.Errorf("want %+v, got %s %d-%d %s%s", v, *r.IpProtocol, *r.FromPort, *r.ToPort, aws.ToString(r.CidrIpv4), aws.ToString(r.CidrIpv6))
		}
	}
}

func TestRulesRefuse(t *testing.T) {
	t.Parallel()
	c, changed := newCloud(t)
	id := newGroup(t, c, "web")
	foreign, err := c.As(ec2test.Other).CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{GroupName: aws.String("f"), Description: aws.String("d")})
	if err != nil {
		t.Fatal(err)
	}
	n := func(i int32) *int32 { return &i }
	ok := permission("tcp", n(1), n(1), "10.0.0.0/8")
	described := func(text string) ec2types.IpPermission {
		return ec2types.IpPermission{IpProtocol: aws.String("-1"), IpRanges: []ec2types.IpRange{{CidrIp: aws.String("10.0.0.0/8"), Description: &text}}}
	}
	peer := func(p ec2types.UserIdGroupPair) ec2types.IpPermission {
		return ec2types.IpPermission{IpProtocol: aws.String("-1"), UserIdGroupPairs: []ec2types.UserIdGroupPair{p}}
	}
	for name, v := range map[string]struct {
		in            []ec2types.IpPermission
		code, message string
	}{
		"nothing":      {nil, "MissingParameter", "The request must contain the parameter ipPermissions"},
		"no protocol":  {[]ec2types.IpPermission{permission("", n(1), n(1), "10.0.0.0/8")}, "MissingParameter", "The request must contain the parameter ipProtocol"},
		"protocol":     {[]ec2types.IpPermission{permission("http", n(1), n(1), "10.0.0.0/8")}, "InvalidParameterValue", "Invalid value 'http' for IP protocol. Unknown protocol."},
		"number":       {[]ec2types.IpPermission{permission("256", nil, nil, "10.0.0.0/8")}, "InvalidParameterValue", "Invalid value '256' for IP protocol. Unknown protocol."},
		"one port":     {[]ec2types.IpPermission{permission("tcp", n(1), nil, "10.0.0.0/8")}, "InvalidParameterValue", "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange."},
		"backwards":    {[]ec2types.IpPermission{permission("udp", n(2), n(1), "10.0.0.0/8")}, "InvalidParameterValue", "Invalid TCP/UDP port range (2:1)"},
		"negative":     {[]ec2types.IpPermission{permission("tcp", n(-1), n(1), "10.0.0.0/8")}, "InvalidParameterValue", "TCP/UDP port (-1) out of range"},
		"no mask":      {[]ec2types.IpPermission{permission("tcp", n(1), n(1), "10.0.0.1")}, "InvalidParameterValue", "CIDR block 10.0.0.1 is malformed"},
		"mask":         {[]ec2types.IpPermission{permission("tcp", n(1), n(1), "10.0.0.1/33")}, "InvalidParameterValue", "CIDR block 10.0.0.1/33 is malformed"},
		"no source":    {[]ec2types.IpPermission{{IpProtocol: aws.String("-1")}}, "MissingParameter", "Missing source specification: include source security group or CIDR information"},
		"prefix list":  {[]ec2types.IpPermission{{IpProtocol: aws.String("-1"), PrefixListIds: []ec2types.PrefixListId{{PrefixListId: aws.String("pl-1")}}}}, "InvalidPrefixListID.NotFound", "The prefix list ID 'pl-1' does not exist"},
		"peer":         {[]ec2types.IpPermission{peer(ec2types.UserIdGroupPair{GroupId: aws.String("sg-1")})}, "InvalidGroup.NotFound", "The security group 'sg-1' does not exist"},
		"foreign peer": {[]ec2types.IpPermission{peer(ec2types.UserIdGroupPair{GroupId: foreign.GroupId})}, "InvalidGroup.NotFound", ""},
		"named peer":   {[]ec2types.IpPermission{peer(ec2types.UserIdGroupPair{GroupName: aws.String("x")})}, "InvalidGroup.NotFound", ""},
		"description":  {[]ec2types.IpPermission{described("naïve")}, "InvalidParameterValue", "Invalid rule description. " + plainText},
		"long":         {[]ec2types.IpPermission{described(strings.Repeat("x", 256))}, "InvalidParameterValue", "Invalid rule description. " + plainText},
		"twice":        {[]ec2types.IpPermission{ok, ok}, "InvalidParameterValue", "The same permission must not appear multiple times"},
		"one is wrong": {[]ec2types.IpPermission{ok, permission("x", nil, nil, "10.0.0.0/8")}, "InvalidParameterValue", ""},
	} {
		_, err := c.Client.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &id, IpPermissions: v.in})
		if f := ec2test.FailureOf(err); f.Code != v.code || v.message != "" && f.Message != v.message {
			t.Errorf("%s: got %s %q", name, f.Code, f.Message)
		}
	}
	_, err = c.Client.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &id, IpPermissions: []ec2types.IpPermission{ok}, DryRun: aws.Bool(true)})
	ec2test.Expect(t, err, "DryRunOperation", "")
	rules, err := c.Client.DescribeSecurityGroupRules(t.Context(), &ec2.DescribeSecurityGroupRulesInput{Filters: filter("group-id", id)})
	if err != nil || len(rules.SecurityGroupRules) != 1 || len(*changed) != 0 {
		t.Errorf("refused requests left rules: %+v %v, told of %v", rules, err, *changed)
	}
}

// The form with one permission in parameters of its own, which awscli still sends.
func TestOldForm(t *testing.T) {
	t.Parallel()
	c, _ := newCloud(t)
	web := newGroup(t, c, "web")
	newGroup(t, c, "db")
	open, err := c.Client.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{
		GroupName: aws.String("web"), IpProtocol: aws.String("tcp"), FromPort: aws.Int32(22), ToPort: aws.Int32(22), CidrIp: aws.String("10.0.0.0/8"),
	})
	if err != nil || *open.SecurityGroupRules[0].GroupId != web || *open.SecurityGroupRules[0].CidrIpv4 != "10.0.0.0/8" {
		t.Errorf("got %+v %v", open, err)
	}
	peer, err := c.Client.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{GroupName: aws.String("web"), SourceSecurityGroupName: aws.String("db")})
	if err != nil || *peer.SecurityGroupRules[0].IpProtocol != "-1" || *peer.SecurityGroupRules[0].ReferencedGroupInfo.UserId != ec2test.Account {
		t.Errorf("got %+v %v", peer, err)
	}
	_, err = c.Client.RevokeSecurityGroupIngress(t.Context(), &ec2.RevokeSecurityGroupIngressInput{
		GroupName: aws.String("web"), IpProtocol: aws.String("tcp"), FromPort: aws.Int32(22), ToPort: aws.Int32(22), CidrIp: aws.String("10.0.0.0/8"),
	})
	ec2test.Expect(t, err, "", "")
	shown, err := c.Client.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{GroupIds: []string{web}})
	if err != nil || len(shown.SecurityGroups[0].IpPermissions) != 1 || len(shown.SecurityGroups[0].IpPermissions[0].UserIdGroupPairs) != 1 {
		t.Errorf("got %+v %v", shown, err)
	}
}

func TestEgress(t *testing.T) {
	t.Parallel()
	c, changed := newCloud(t)
	id := newGroup(t, c, "web")
	all := []ec2types.IpPermission{permission("-1", nil, nil, "0.0.0.0/0")}
	open := func() error {
		_, err := c.Client.AuthorizeSecurityGroupEgress(t.Context(), &ec2.AuthorizeSecurityGroupEgressInput{GroupId: &id, IpPermissions: all})
		return err
	}
	ec2test.Expect(t, open(), "InvalidPermission.Duplicate", `the specified rule "peer: 0.0.0.0/0, ALL, ALLOW" already exists`)
	// The same rule inwards is another one.
	if _, err := c.Client.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &id, IpPermissions: all}); err != nil {
		t.Error(err)
	}
	out, err := c.Client.RevokeSecurityGroupEgress(t.Context(), &ec2.RevokeSecurityGroupEgressInput{GroupId: &id, IpPermissions: all})
	if err != nil || !*out.Return || len(out.RevokedSecurityGroupRules) != 1 || !*out.RevokedSecurityGroupRules[0].IsEgress || out.UnknownIpPermissions != nil {
		t.Errorf("got %+v %v", out, err)
	}
	ec2test.Expect(t, open(), "", "")
	if !slices.Equal(*changed, []string{id, id, id}) {
		t.Errorf("told of %v", *changed)
	}
	rules, err := c.Client.DescribeSecurityGroupRules(t.Context(), &ec2.DescribeSecurityGroupRulesInput{Filters: filter("group-id", id)})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules.SecurityGroupRules { // the id of a rule of the other direction is not there
		in := ec2.RevokeSecurityGroupEgressInput{GroupId: &id, SecurityGroupRuleIds: []string{*r.SecurityGroupRuleId}, DryRun: aws.Bool(true)}
		_, err := c.Client.RevokeSecurityGroupEgress(t.Context(), &in)
		ec2test.Expect(t, err, map[bool]string{true: "DryRunOperation", false: "InvalidSecurityGroupRuleId.NotFound"}[*r.IsEgress], "")
	}
}

func TestRuleTagsAndPages(t *testing.T) {
	t.Parallel()
	c, _ := newCloud(t)
	id := newGroup(t, c, "web")
	for i := range int32(7) {
		tag := ec2types.Tag{Key: aws.String("port"), Value: aws.String(strconv.Itoa(int(i)))}
		if _, err := c.Client.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{
			GroupId: &id, IpPermissions: tcp(i, "0.0.0.0/0"), TagSpecifications: []ec2types.TagSpecification{{ResourceType: "security-group-rule", Tags: []ec2types.Tag{tag}}},
		}); err != nil {
			t.Fatal(err)
		}
	}
	pages := ec2.NewDescribeSecurityGroupRulesPaginator(c.Client, &ec2.DescribeSecurityGroupRulesInput{MaxResults: aws.Int32(5), Filters: filter("tag:port", "*")})
	seen := map[int32]bool{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.SecurityGroupRules {
			seen[*r.FromPort] = *r.Tags[0].Value == strconv.Itoa(int(*r.FromPort))
		}
	}
	if len(seen) != 7 || slices.Contains([]bool{seen[0], seen[3], seen[6]}, false) {
		t.Errorf("saw %v", seen)
	}
	_, err := c.Client.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &id, IpPermissions: tcp(9, "0.0.0.0/0"), TagSpecifications: []ec2types.TagSpecification{{ResourceType: "security-group"}}})
	ec2test.Expect(t, err, "InvalidParameterValue", "'security-group' is not a valid taggable resource type for this operation.")
}

// Of many that add the same rule at the same time exactly one succeeds, and nobody's rule is lost.
func TestRulesAtTheSameTime(t *testing.T) {
	t.Parallel()
	c, _ := newCloud(t)
	id := newGroup(t, c, "web")
	var work sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		work.Go(func() {
			port := int32(i / 2)
			_, errs[i] = c.Client.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &id, IpPermissions: tcp(port, "0.0.0.0/0")})
		})
	}
	work.Wait()
	for i := 0; i < len(errs); i += 2 {
		a, b := ec2test.FailureOf(errs[i]).Code, ec2test.FailureOf(errs[i+1]).Code
		if a+b != "InvalidPermission.Duplicate" {
			t.Errorf("port %d: got %q and %q", i/2, a, b)
		}
	}
	rules, err := c.Client.DescribeSecurityGroupRules(t.Context(), &ec2.DescribeSecurityGroupRulesInput{Filters: filter("group-id", id)})
	if err != nil || len(rules.SecurityGroupRules) != 9 {
		t.Errorf("got %d rules: %v", len(rules.SecurityGroupRules), err)
	}
}
