package network_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

const plainText = "Valid descriptions are strings less than 256 characters from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"

func TestCreateGroup(t *testing.T) {
	t.Parallel()
	c, changed := newCloud(t)
	vpc, _, _ := defaults()
	out, err := c.Client.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{
		GroupName: aws.String("web"), Description: aws.String("Temporary group for Packer (a-z)"), VpcId: &vpc,
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: "security-group", Tags: []ec2types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(*out.GroupId, "sg-0") || len(*out.GroupId) != 20 || len(out.Tags) != 1 || *out.SecurityGroupArn != "arn:aws:ec2:us-east-1:"+ec2test.Account+":security-group/"+*out.GroupId {
		t.Errorf("got %+v", out)
	}
	shown, err := c.Client.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{GroupNames: []string{"web"}})
	if err != nil {
		t.Fatal(err)
	}
	g := shown.SecurityGroups[0]
	if *g.GroupId != *out.GroupId || *g.VpcId != vpc || *g.OwnerId != ec2test.Account || *g.Tags[0].Value != "v" || len(g.IpPermissions) != 0 || len(g.IpPermissionsEgress) != 1 {
		t.Errorf("got %+v", g)
	}
	if p := g.IpPermissionsEgress[0]; *p.IpProtocol != "-1" || p.FromPort != nil || p.ToPort != nil || *p.IpRanges[0].CidrIp != "0.0.0.0/0" {
		t.Errorf("a new group lets everything out: %+v", p)
	}
	if len(*changed) != 0 {
		t.Errorf("nobody has a new group, and yet they were told of %v", *changed)
	}
	same, err := c.As(ec2test.Other).CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{GroupName: aws.String("web"), Description: aws.String("d")})
	if err != nil || *same.GroupId == *out.GroupId {
		t.Errorf("accounts have names of their own: %+v %v", same, err)
	}
}

func TestGroupText(t *testing.T) {
	t.Parallel()
	c, _ := newCloud(t)
	vpc, _, _ := defaults()
	long := strings.Repeat("x", 256)
	web := newGroup(t, c, "taken")
	foreign, err := c.As(ec2test.Other).DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{})
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]struct {
		in            ec2.CreateSecurityGroupInput
		code, message string
	}{
		"longest":        {ec2.CreateSecurityGroupInput{GroupName: aws.String(long[1:]), Description: aws.String(long[1:])}, "", ""},
		"no name":        {ec2.CreateSecurityGroupInput{GroupName: aws.String(""), Description: aws.String("d")}, "MissingParameter", "The request must contain the parameter GroupName"},
		"no description": {ec2.CreateSecurityGroupInput{GroupName: aws.String("n"), Description: aws.String("")}, "MissingParameter", "The request must contain the parameter GroupDescription"},
		"long name":      {ec2.CreateSecurityGroupInput{GroupName: &long, Description: aws.String("d")}, "InvalidParameterValue", "Value (" + long + ") for parameter GroupName is invalid. Group names are limited to 255 characters."},
		"description":    {ec2.CreateSecurityGroupInput{GroupName: aws.String("n"), Description: &long}, "InvalidParameterValue", "Invalid security group description. " + plainText},
		"umlaut":         {ec2.CreateSecurityGroupInput{GroupName: aws.String("n"), Description: aws.String("für alle")}, "InvalidParameterValue", "Invalid security group description. " + plainText},
		"quote":          {ec2.CreateSecurityGroupInput{GroupName: aws.String("n"), Description: aws.String("it's")}, "InvalidParameterValue", "Invalid security group description. " + plainText},
		"name":           {ec2.CreateSecurityGroupInput{GroupName: aws.String("größe"), Description: aws.String("d")}, "InvalidParameterValue", ""},
		"reserved":       {ec2.CreateSecurityGroupInput{GroupName: aws.String("Default"), Description: aws.String("d")}, "InvalidParameterValue", "Cannot use reserved security group name: default"},
		"like an id":     {ec2.CreateSecurityGroupInput{GroupName: aws.String("sg-1"), Description: aws.String("d")}, "InvalidParameterValue", "Group names may not be in the format sg-*."},
		"duplicate":      {ec2.CreateSecurityGroupInput{GroupName: aws.String("taken"), Description: aws.String("d"), DryRun: aws.Bool(true)}, "InvalidGroup.Duplicate", "The security group 'taken' already exists for VPC '" + vpc + "'"},
		"foreign vpc":    {ec2.CreateSecurityGroupInput{GroupName: aws.String("n"), Description: aws.String("d"), VpcId: foreign.Vpcs[0].VpcId}, "InvalidVpcID.NotFound", ""},
		"tags":           {ec2.CreateSecurityGroupInput{GroupName: aws.String("n"), Description: aws.String("d"), TagSpecifications: []ec2types.TagSpecification{{ResourceType: "instance"}}}, "InvalidParameterValue", "'instance' is not a valid taggable resource type for this operation."},
		"dry run":        {ec2.CreateSecurityGroupInput{GroupName: aws.String("n"), Description: aws.String("d"), DryRun: aws.Bool(true)}, "DryRunOperation", ""},
	} {
		_, err := c.Client.CreateSecurityGroup(t.Context(), &v.in)
		if f := ec2test.FailureOf(err); f.Code != v.code || v.message != "" && f.Message != v.message {
			t.Errorf("%s: got %s %q", name, f.Code, f.Message)
		}
	}
	all, err := c.Client.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{})
	if err != nil || len(all.SecurityGroups) != 3 { // default, taken, longest
		t.Errorf("refused requests left groups: %d %v, next to %s", len(all.SecurityGroups), err, web)
	}
}

func TestDeleteGroup(t *testing.T) {
	t.Parallel()
	c, _ := newCloud(t)
	vpc, _, standard := defaults()
	web := newGroup(t, c, "web")
	newGroup(t, c, "named")
	self := []ec2types.IpPermission{{IpProtocol: aws.String("-1"), UserIdGroupPairs: []ec2types.UserIdGroupPair{{GroupId: &web}}}}
	if _, err := c.Client.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &web, IpPermissions: self}); err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct {
		in            ec2.DeleteSecurityGroupInput
		code, message string
	}{
		{ec2.DeleteSecurityGroupInput{}, "MissingParameter", "The request must contain the parameter groupName or groupId"},
		{ec2.DeleteSecurityGroupInput{GroupId: aws.String("web")}, "InvalidGroupId.Malformed", `Invalid id: "web" (expecting "sg-...")`},
		{ec2.DeleteSecurityGroupInput{GroupName: aws.String("nobody's")}, "InvalidGroup.NotFound", "The security group 'nobody's' does not exist in default VPC '" + vpc + "'"},
		{ec2.DeleteSecurityGroupInput{GroupName: aws.String("default"), DryRun: aws.Bool(true)}, "CannotDelete", `the specified group: "` + standard + `" name: "default" cannot be deleted by a user`},
		{ec2.DeleteSecurityGroupInput{GroupId: &web, DryRun: aws.Bool(true)}, "DryRunOperation", ""},
		{ec2.DeleteSecurityGroupInput{GroupName: aws.String("named")}, "", ""},
		{ec2.DeleteSecurityGroupInput{GroupId: &web}, "", ""}, // that a group refers to itself keeps it not
		{ec2.DeleteSecurityGroupInput{GroupId: &web}, "InvalidGroup.NotFound", "The security group '" + web + "' does not exist"},
	} {
		out, err := c.Client.DeleteSecurityGroup(t.Context(), &v.in)
		ec2test.Expect(t, err, v.code, v.message)
		if err == nil && (!*out.Return || !strings.HasPrefix(*out.GroupId, "sg-")) {
			t.Errorf("got %+v", out)
		}
	}
	putInstance(t, c, ec2test.Account, "7", "")
	db := newGroup(t, c, "db")
	c.Update(t, func(r *state.Region) {
		r.Instances.Edit("i-7").SecurityGroups = []ec2types.GroupIdentifier{{GroupId: &db}}
	})
	_, err := c.Client.DeleteSecurityGroup(t.Context(), &ec2.DeleteSecurityGroupInput{GroupId: &db})
	ec2test.Expect(t, err, "DependencyViolation", "resource "+db+" has a dependent object")
	_, err = c.As(ec2test.Other).DeleteSecurityGroup(t.Context(), &ec2.DeleteSecurityGroupInput{GroupId: &db})
	ec2test.Expect(t, err, "InvalidGroup.NotFound", "The security group '"+db+"' does not exist")
}

func TestGroupFilters(t *testing.T) {
	t.Parallel()
	c, _ := newCloud(t)
	vpc, _, standard := defaults()
	web, db := newGroup(t, c, "web"), newGroup(t, c, "db")
	for group, p := range map[string][]ec2types.IpPermission{
		web: tcp(443, "10.0.0.0/8"),
		db:  {{IpProtocol: aws.String("udp"), FromPort: aws.Int32(53), ToPort: aws.Int32(54), Ipv6Ranges: []ec2types.Ipv6Range{{CidrIpv6: aws.String("fd00::/8")}}, UserIdGroupPairs: []ec2types.UserIdGroupPair{{GroupId: &web}}}},
	} {
		if _, err := c.Client.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &group, IpPermissions: p}); err != nil {
			t.Fatal(err)
		}
	}
	for name, v := range map[string]struct {
		value string
		want  int
	}{
		"group-id": {web, 1}, "group-name": {"[wd]*", 0}, "description": {"for a test", 2}, "owner-id": {ec2test.Account, 3}, "vpc-id": {vpc, 3}, "tag:a": {"b", 0},
		"ip-permission.cidr": {"10.*", 1}, "ip-permission.ipv6-cidr": {"fd00::/8", 1}, "ip-permission.protocol": {"udp", 1}, "ip-permission.from-port": {"443", 1},
		"ip-permission.to-port": {"54", 1}, "ip-permission.group-id": {web, 1}, "ip-permission.user-id": {ec2test.Account, 2}, "ip-permission.prefix-list-id": {"*", 0},
		"egress.ip-permission.cidr": {"0.0.0.0/0", 3}, "egress.ip-permission.protocol": {"tcp", 0}, "egress.ip-permission.from-port": {"-1", 3},
	} {
		out, err := c.Client.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{Filters: filter(name, v.value)})
		if err != nil || len(out.SecurityGroups) != v.want {
			t.Errorf("%s=%s: got %d %v, want %d", name, v.value, len(out.SecurityGroups), err, v.want)
		}
	}
	_, err := c.Client.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{Filters: filter("ip-permission.garbage", "x")})
	ec2test.Expect(t, err, "InvalidParameterValue", "The filter 'ip-permission.garbage' is invalid")
	both, err := c.Client.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{GroupIds: []string{standard, web}, GroupNames: []string{"db", "web"}})
	if err != nil || len(both.SecurityGroups) != 3 {
		t.Errorf("one that is named twice is shown once: %d %v", len(both.SecurityGroups), err)
	}
	_, err = c.Client.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{GroupNames: []string{"web", "x"}})
	ec2test.Expect(t, err, "InvalidGroup.NotFound", "The security group 'x' does not exist in default VPC '"+vpc+"'")
}
