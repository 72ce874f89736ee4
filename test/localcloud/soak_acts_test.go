package localcloud_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/iibake/iibake/test/localcloud"
)

// home is an account in a region, with its clients, and with what is known to have been made there.
type home struct {
	name     string
	ec2      *ec2.Client
	groups   *autoscaling.Client
	ebs      *ebs.Client
	ssm      *ssm.Client
	alarms   *cloudwatch.Client
	balance  *elb.Client
	sts      *sts.Client
	snapshot string // complete from the beginning, and never deleted
	image    string // of it
	template string
	target   string // group

	mu        sync.Mutex
	instances ring
	images    ring
	snapshots ring
	written   map[string]map[int32]byte // of the snapshots that were completed: what each block is full of
}

// ring is the last few of the things that were made.
type ring struct{ items []string }

func (r *ring) add(item string) {
	r.items = append(r.items, item)
	if len(r.items) > 40 {
		r.items = r.items[1:]
	}
}

func newHome(t *testing.T, cloud *localcloud.Cloud, account, region string) *home {
	t.Helper()
	own := configOf(cloud, account)
	own.Region = region
	h := &home{
		name: account + " " + region, ec2: ec2.NewFromConfig(own), groups: autoscaling.NewFromConfig(own), ebs: ebs.NewFromConfig(own), ssm: ssm.NewFromConfig(own),
		alarms: cloudwatch.NewFromConfig(own), balance: elb.NewFromConfig(own), sts: sts.NewFromConfig(own), written: map[string]map[int32]byte{},
	}
	h.snapshot = newSnapshot(t, cloud, own)
	image, err := h.ec2.RegisterImage(t.Context(), registration("home", h.snapshot))
	ok(t, err)
	h.image = *image.ImageId
	template, err := h.ec2.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("home"), LaunchTemplateData: h.data(h.image)})
	ok(t, err)
	h.template = *template.LaunchTemplate.LaunchTemplateId
	vpcs, err := h.ec2.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{})
	ok(t, err)
	target, err := h.balance.CreateTargetGroup(t.Context(), &elb.CreateTargetGroupInput{
		Name: aws.String("home"), Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80), VpcId: vpcs.Vpcs[0].VpcId,
	})
	ok(t, err)
	h.target = *target.TargetGroups[0].TargetGroupArn
	for i := range groupNames {
		_, err := h.groups.CreateAutoScalingGroup(t.Context(), h.newGroup(i, aws.Int32(4), h.version("1")))
		ok(t, err)
	}
	return h
}

func registration(name, snapshot string) *ec2.RegisterImageInput {
	return &ec2.RegisterImageInput{
		Name: &name, Architecture: ec2types.ArchitectureValuesX8664, RootDeviceName: aws.String("/dev/xvda"),
		VirtualizationType: aws.String("hvm"), EnaSupport: aws.Bool(true),
		BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{SnapshotId: &snapshot}}},
	}
}

// groupNames is how many groups an account has in a region at most: few, so that the clients meet.
const groupNames = 5

func groupName(i int) *string { return aws.String(fmt.Sprintf("group-%d", i)) }

func (h *home) newGroup(i int, desired *int32, template *astypes.LaunchTemplateSpecification) *autoscaling.CreateAutoScalingGroupInput {
	region := strings.Fields(h.name)[1]
	return &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: groupName(i), MinSize: aws.Int32(0), MaxSize: aws.Int32(8), DesiredCapacity: desired, LaunchTemplate: template,
		AvailabilityZones: []string{region + "a", region + "b", region + "c"}, DefaultCooldown: aws.Int32(0),
	}
}

func (h *home) version(v string) *astypes.LaunchTemplateSpecification {
	return &astypes.LaunchTemplateSpecification{LaunchTemplateId: &h.template, Version: &v}
}

func (h *home) data(image string) *ec2types.RequestLaunchTemplateData {
	return &ec2types.RequestLaunchTemplateData{ImageId: &image, InstanceType: ec2types.InstanceTypeT3Micro}
}

// caller is one action of a client.
type caller struct {
	*soak
	*home
	random *rand.Rand
}

// call makes one call; it returns nil where that failed.
func call[In, Out, Option any](ctx context.Context, c *caller, f func(context.Context, *In, ...func(*Option)) (*Out, error), in *In) *Out {
	out, err := f(ctx, in)
	c.answered(fmt.Sprintf("%T", in), err)
	if err != nil {
		return nil
	}
	return out
}

// keep remembers something that was made.
func (c *caller) keep(r *ring, item *string) {
	if item != nil {
		c.home.mu.Lock()
		defer c.home.mu.Unlock()
		r.add(*item)
	}
}

// pick returns something that was made, or an identifier of nothing.
func (c *caller) pick(r *ring, nothing string) *string {
	c.home.mu.Lock()
	defer c.home.mu.Unlock()
	if len(r.items) == 0 {
		return &nothing
	}
	return aws.String(r.items[c.random.IntN(len(r.items))])
}

func (c *caller) instance() *string { return c.pick(&c.instances, "i-0123456789abcdef0") }

func (c *caller) group() *string { return groupName(c.random.IntN(groupNames)) }

func (c *caller) number(most int) *int32 { return aws.Int32(int32(c.random.IntN(most + 1))) }

func (c *caller) maybe() *bool { return aws.Bool(c.random.IntN(2) == 0) }

// anyVersion is one of the home's template, which may not exist.
func (c *caller) anyVersion() *astypes.LaunchTemplateSpecification {
	versions := []string{"1", "1", "2", "3", "$Latest", "$Default"}
	return c.version(versions[c.random.IntN(len(versions))])
}

// act is something that clients do, some more often than others.
type act struct {
	weight int
	do     func(ctx context.Context, c *caller)
}

func acts() []act {
	return append(append(groupActs(), computeActs()...), otherActs()...)
}

func groupActs() []act {
	return []act{
		{6, func(ctx context.Context, c *caller) {
			call(ctx, c, c.groups.CreateAutoScalingGroup, c.newGroup(c.random.IntN(groupNames), c.number(5), c.anyVersion()))
		}},
		{2, func(ctx context.Context, c *caller) {
			call(ctx, c, c.groups.UpdateAutoScalingGroup, &autoscaling.UpdateAutoScalingGroupInput{
				AutoScalingGroupName: c.group(), MinSize: c.number(2), MaxSize: c.number(9), DesiredCapacity: c.number(6), HealthCheckGracePeriod: c.number(60),
			})
		}},
		{6, func(ctx context.Context, c *caller) {
			call(ctx, c, c.groups.SetDesiredCapacity, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: c.group(), DesiredCapacity: c.number(8), HonorCooldown: c.maybe()})
		}},
		{1, func(ctx context.Context, c *caller) {
			call(ctx, c, c.groups.DeleteAutoScalingGroup, &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: c.group(), ForceDelete: aws.Bool(true)})
		}},
		{8, func(ctx context.Context, c *caller) {
			out := call(ctx, c, c.groups.DescribeAutoScalingGroups, &autoscaling.DescribeAutoScalingGroupsInput{MaxRecords: aws.Int32(3)})
			for out != nil && out.NextToken != nil {
				out = call(ctx, c, c.groups.DescribeAutoScalingGroups, &autoscaling.DescribeAutoScalingGroupsInput{MaxRecords: aws.Int32(3), NextToken: out.NextToken})
			}
		}},
		{2, func(ctx context.Context, c *caller) {
			call(ctx, c, c.groups.DescribeScalingActivities, &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: c.group()})
		}},
		{10, func(ctx context.Context, c *caller) {
			call(ctx, c, c.groups.StartInstanceRefresh, &autoscaling.StartInstanceRefreshInput{
				AutoScalingGroupName: c.group(), DesiredConfiguration: &astypes.DesiredConfiguration{LaunchTemplate: c.anyVersion()}, Preferences: c.preferences(),
			})
		}},
		{3, func(ctx context.Context, c *caller) {
			call(ctx, c, c.groups.CancelInstanceRefresh, &autoscaling.CancelInstanceRefreshInput{AutoScalingGroupName: c.group(), WaitForTransitioningInstances: c.maybe()})
		}},
		{3, func(ctx context.Context, c *caller) {
			call(ctx, c, c.groups.RollbackInstanceRefresh, &autoscaling.RollbackInstanceRefreshInput{AutoScalingGroupName: c.group()})
		}},
		{6, func(ctx context.Context, c *caller) {
			call(ctx, c, c.groups.DescribeInstanceRefreshes, &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: c.group()})
		}},
		{1, func(ctx context.Context, c *caller) {
			call(ctx, c, c.groups.SuspendProcesses, &autoscaling.SuspendProcessesInput{AutoScalingGroupName: c.group(), ScalingProcesses: []string{"Launch"}})
		}},
		{2, func(ctx context.Context, c *caller) {
			call(ctx, c, c.groups.ResumeProcesses, &autoscaling.ResumeProcessesInput{AutoScalingGroupName: c.group()})
		}},
		{6, func(ctx context.Context, c *caller) { c.handleMember(ctx) }},
	}
}

func (c *caller) preferences() *astypes.RefreshPreferences {
	p := &astypes.RefreshPreferences{MinHealthyPercentage: c.number(100), AutoRollback: c.maybe(), SkipMatching: c.maybe(), InstanceWarmup: c.number(30)}
	if c.random.IntN(2) == 0 {
		p.MaxHealthyPercentage = aws.Int32(max(100, *p.MinHealthyPercentage) + int32(c.random.IntN(30)))
	}
	if c.random.IntN(4) == 0 {
		p.CheckpointPercentages, p.CheckpointDelay = []int32{50, 100}, aws.Int32(60)
	}
	if c.random.IntN(4) == 0 {
		p.BakeTime = aws.Int32(60)
	}
	return p
}

// handleMember does something to an instance of a group.
func (c *caller) handleMember(ctx context.Context) {
	name := c.group()
	out := call(ctx, c, c.groups.DescribeAutoScalingGroups, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{*name}})
	if out == nil || len(out.AutoScalingGroups) == 0 || len(out.AutoScalingGroups[0].Instances) == 0 {
		return
	}
	members := out.AutoScalingGroups[0].Instances
	id := *members[c.random.IntN(len(members))].InstanceId
	ids := []string{id}
	switch c.random.IntN(7) {
	case 0:
		call(ctx, c, c.groups.EnterStandby, &autoscaling.EnterStandbyInput{AutoScalingGroupName: name, InstanceIds: ids, ShouldDecrementDesiredCapacity: c.maybe()})
	case 1:
		call(ctx, c, c.groups.ExitStandby, &autoscaling.ExitStandbyInput{AutoScalingGroupName: name, InstanceIds: ids})
	case 2:
		call(ctx, c, c.groups.SetInstanceProtection, &autoscaling.SetInstanceProtectionInput{AutoScalingGroupName: name, InstanceIds: ids, ProtectedFromScaleIn: c.maybe()})
	case 3:
		call(ctx, c, c.groups.SetInstanceHealth, &autoscaling.SetInstanceHealthInput{InstanceId: &id, HealthStatus: aws.String("Unhealthy")})
	case 4:
		call(ctx, c, c.groups.TerminateInstanceInAutoScalingGroup, &autoscaling.TerminateInstanceInAutoScalingGroupInput{
			InstanceId: &id, ShouldDecrementDesiredCapacity: c.maybe(),
		})
	case 5:
		if call(ctx, c, c.groups.DetachInstances, &autoscaling.DetachInstancesInput{
			AutoScalingGroupName: name, InstanceIds: ids, ShouldDecrementDesiredCapacity: c.maybe(),
		}) != nil {
			c.keep(&c.instances, &id)
		}
	case 6:
		call(ctx, c, c.ec2.TerminateInstances, &ec2.TerminateInstancesInput{InstanceIds: ids})
	}
}

func computeActs() []act {
	return []act{
		{6, func(ctx context.Context, c *caller) {
			in := &ec2.RunInstancesInput{MinCount: aws.Int32(1), MaxCount: aws.Int32(2), LaunchTemplate: &ec2types.LaunchTemplateSpecification{LaunchTemplateId: &c.template}}
			if c.random.IntN(2) == 0 {
				in.ClientToken = aws.String(fmt.Sprintf("token-%d", c.random.IntN(20)))
			}
			if out := call(ctx, c, c.ec2.RunInstances, in); out != nil {
				for _, i := range out.Instances {
					c.keep(&c.instances, i.InstanceId)
				}
			}
		}},
		{6, func(ctx context.Context, c *caller) {
			call(ctx, c, c.ec2.TerminateInstances, &ec2.TerminateInstancesInput{InstanceIds: []string{*c.instance(), *c.instance(), *c.instance()}})
		}},
		{2, func(ctx context.Context, c *caller) {
			call(ctx, c, c.ec2.StopInstances, &ec2.StopInstancesInput{InstanceIds: []string{*c.instance()}, Force: c.maybe()})
		}},
		{2, func(ctx context.Context, c *caller) {
			call(ctx, c, c.ec2.StartInstances, &ec2.StartInstancesInput{InstanceIds: []string{*c.instance()}})
		}},
		{1, func(ctx context.Context, c *caller) {
			call(ctx, c, c.ec2.RebootInstances, &ec2.RebootInstancesInput{InstanceIds: []string{*c.instance()}})
		}},
		{6, func(ctx context.Context, c *caller) {
			call(ctx, c, c.ec2.DescribeInstances, &ec2.DescribeInstancesInput{
				Filters: []ec2types.Filter{{Name: aws.String("instance-state-name"), Values: []string{"running"}}}, MaxResults: aws.Int32(20),
			})
		}},
		{2, func(ctx context.Context, c *caller) {
			call(ctx, c, c.ec2.DescribeInstanceStatus, &ec2.DescribeInstanceStatusInput{IncludeAllInstances: c.maybe()})
		}},
		{2, func(ctx context.Context, c *caller) {
			call(ctx, c, c.ec2.DescribeVolumes, &ec2.DescribeVolumesInput{MaxResults: aws.Int32(50)})
		}},
		{1, func(ctx context.Context, c *caller) {
			call(ctx, c, c.ec2.GetConsoleOutput, &ec2.GetConsoleOutputInput{InstanceId: c.instance()})
		}},
		{3, func(ctx context.Context, c *caller) {
			call(ctx, c, c.ec2.CreateTags, &ec2.CreateTagsInput{Resources: []string{*c.instance()}, Tags: []ec2types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}})
		}},
		{2, func(ctx context.Context, c *caller) {
			image := c.pick(&c.images, c.image)
			call(ctx, c, c.ec2.CreateLaunchTemplateVersion, &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateId: &c.template, LaunchTemplateData: c.data(*image)})
		}},
		{1, func(ctx context.Context, c *caller) {
			call(ctx, c, c.ec2.ModifyLaunchTemplate, &ec2.ModifyLaunchTemplateInput{LaunchTemplateId: &c.template, DefaultVersion: aws.String(strconv.Itoa(1 + c.random.IntN(3)))})
		}},
		{1, func(ctx context.Context, c *caller) {
			call(ctx, c, c.ec2.DeleteLaunchTemplateVersions, &ec2.DeleteLaunchTemplateVersionsInput{LaunchTemplateId: &c.template, Versions: []string{strconv.Itoa(2 + c.random.IntN(9))}})
		}},
		{2, func(ctx context.Context, c *caller) {
			call(ctx, c, c.ec2.DescribeLaunchTemplateVersions, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &c.template, MaxResults: aws.Int32(5)})
		}},
		{3, func(ctx context.Context, c *caller) {
			if out := call(ctx, c, c.ec2.RegisterImage, registration(fmt.Sprintf("image-%d", c.random.IntN(20)), *c.pick(&c.snapshots, c.snapshot))); out != nil {
				c.keep(&c.images, out.ImageId)
			}
		}},
		{2, func(ctx context.Context, c *caller) {
			in := &ec2.CreateImageInput{InstanceId: c.instance(), Name: aws.String(fmt.Sprintf("image-%d", c.random.IntN(20)))}
			if out := call(ctx, c, c.ec2.CreateImage, in); out != nil {
				c.keep(&c.images, out.ImageId)
			}
		}},
		{1, func(ctx context.Context, c *caller) {
			in := &ec2.CopyImageInput{SourceImageId: &c.image, SourceRegion: aws.String(strings.Fields(c.name)[1]), Name: aws.String(fmt.Sprintf("image-%d", c.random.IntN(20)))}
			if out := call(ctx, c, c.ec2.CopyImage, in); out != nil {
				c.keep(&c.images, out.ImageId)
			}
		}},
		{3, func(ctx context.Context, c *caller) {
			call(ctx, c, c.ec2.DeregisterImage, &ec2.DeregisterImageInput{ImageId: c.pick(&c.images, "ami-0123456789abcdef0"), DeleteAssociatedSnapshots: c.maybe()})
		}},
		{2, func(ctx context.Context, c *caller) {
			call(ctx, c, c.ec2.DeleteSnapshot, &ec2.DeleteSnapshotInput{SnapshotId: c.pick(&c.snapshots, "snap-0123456789abcdef0")})
		}},
		{4, func(ctx context.Context, c *caller) {
			call(ctx, c, c.ec2.DescribeImages, &ec2.DescribeImagesInput{Owners: []string{"self"}})
		}},
		{3, func(ctx context.Context, c *caller) {
			call(ctx, c, c.ec2.DescribeSnapshots, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, MaxResults: aws.Int32(5)})
		}},
	}
}

func otherActs() []act {
	parameter := func(c *caller) *string { return aws.String(fmt.Sprintf("/p/%d", c.random.IntN(8))) }
	alarm := func(c *caller) *string { return aws.String(fmt.Sprintf("alarm-%d", c.random.IntN(4))) }
	return []act{
		{4, func(ctx context.Context, c *caller) { c.publish(ctx) }},
		{8, func(_ context.Context, c *caller) { // time passes
			_ = c.cloud.Advance(time.Duration(c.random.IntN(15_000)) * time.Millisecond)
		}},
		{3, func(ctx context.Context, c *caller) {
			call(ctx, c, c.ssm.PutParameter, &ssm.PutParameterInput{
				Name: parameter(c), Value: aws.String("v"), Type: ssmtypes.ParameterTypeString, Overwrite: c.maybe(),
			})
		}},
		{2, func(ctx context.Context, c *caller) {
			call(ctx, c, c.ssm.PutParameter, &ssm.PutParameterInput{
				Name: parameter(c), Value: c.pick(&c.images, c.image), Type: ssmtypes.ParameterTypeString, Overwrite: aws.Bool(true), DataType: aws.String("aws:ec2:image"),
			})
		}},
		{3, func(ctx context.Context, c *caller) {
			call(ctx, c, c.ssm.GetParameter, &ssm.GetParameterInput{Name: parameter(c)})
		}},
		{1, func(ctx context.Context, c *caller) {
			call(ctx, c, c.ssm.DeleteParameter, &ssm.DeleteParameterInput{Name: parameter(c)})
		}},
		{2, func(ctx context.Context, c *caller) {
			call(ctx, c, c.ssm.LabelParameterVersion, &ssm.LabelParameterVersionInput{Name: parameter(c), Labels: []string{"good"}})
		}},
		{1, func(ctx context.Context, c *caller) {
			call(ctx, c, c.ssm.GetParametersByPath, &ssm.GetParametersByPathInput{Path: aws.String("/p"), MaxResults: aws.Int32(3)})
		}},
		{2, func(ctx context.Context, c *caller) {
			call(ctx, c, c.alarms.PutMetricAlarm, &cloudwatch.PutMetricAlarmInput{
				AlarmName: alarm(c), Namespace: aws.String("n"), MetricName: aws.String("m"), ComparisonOperator: cwtypes.ComparisonOperatorGreaterThanThreshold,
				EvaluationPeriods: aws.Int32(1), Period: aws.Int32(60), Threshold: aws.Float64(1), Statistic: cwtypes.StatisticSum,
			})
		}},
		{2, func(ctx context.Context, c *caller) {
			states := []cwtypes.StateValue{cwtypes.StateValueOk, cwtypes.StateValueAlarm}
			call(ctx, c, c.alarms.SetAlarmState, &cloudwatch.SetAlarmStateInput{AlarmName: alarm(c), StateReason: aws.String("soak"), StateValue: states[c.random.IntN(2)]})
		}},
		{2, func(ctx context.Context, c *caller) {
			call(ctx, c, c.alarms.DescribeAlarms, &cloudwatch.DescribeAlarmsInput{})
		}},
		{2, func(ctx context.Context, c *caller) {
			call(ctx, c, c.balance.RegisterTargets, &elb.RegisterTargetsInput{TargetGroupArn: &c.target, Targets: []elbtypes.TargetDescription{{Id: c.instance()}}})
		}},
		{2, func(ctx context.Context, c *caller) {
			call(ctx, c, c.balance.DescribeTargetHealth, &elb.DescribeTargetHealthInput{TargetGroupArn: &c.target})
		}},
		{1, func(ctx context.Context, c *caller) {
			call(ctx, c, c.balance.DeregisterTargets, &elb.DeregisterTargetsInput{TargetGroupArn: &c.target, Targets: []elbtypes.TargetDescription{{Id: c.instance()}}})
		}},
		{1, func(ctx context.Context, c *caller) {
			call(ctx, c, c.groups.AttachLoadBalancerTargetGroups, &autoscaling.AttachLoadBalancerTargetGroupsInput{AutoScalingGroupName: c.group(), TargetGroupARNs: []string{c.target}})
		}},
		{1, func(ctx context.Context, c *caller) {
			call(ctx, c, c.sts.GetCallerIdentity, &sts.GetCallerIdentityInput{})
		}},
		{1, func(ctx context.Context, c *caller) {
			call(ctx, c, c.sts.AssumeRole, &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::444455556666:role/deploy"), RoleSessionName: aws.String("soak")})
		}},
	}
}

// publish writes a snapshot, as a client does that tries again until each call has worked.
func (c *caller) publish(ctx context.Context) {
	token := fmt.Sprintf("publish-%d", c.random.Uint64())
	start := again(ctx, c, c.ebs.StartSnapshot, func() *ebs.StartSnapshotInput {
		return &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1), ClientToken: &token}
	})
	if start == nil {
		return
	}
	blocks := map[int32]byte{}
	for range 1 + c.random.IntN(3) {
		index, fill := int32(c.random.IntN(2048)), byte(c.random.IntN(16))
		if again(ctx, c, c.ebs.PutSnapshotBlock, func() *ebs.PutSnapshotBlockInput { return put(start.SnapshotId, index, fill) }) == nil {
			return
		}
		blocks[index] = fill
	}
	done := again(ctx, c, c.ebs.CompleteSnapshot, func() *ebs.CompleteSnapshotInput {
		return &ebs.CompleteSnapshotInput{SnapshotId: start.SnapshotId, ChangedBlocksCount: aws.Int32(int32(len(blocks)))}
	})
	if done != nil {
		c.keep(&c.snapshots, start.SnapshotId)
		c.home.mu.Lock()
		defer c.home.mu.Unlock()
		c.written[*start.SnapshotId] = blocks
	}
}

// again makes a call until it works, ten times at most.
func again[In, Out, Option any](ctx context.Context, c *caller, f func(context.Context, *In, ...func(*Option)) (*Out, error), in func() *In) *Out {
	for range 10 {
		if out := call(ctx, c, f, in()); out != nil {
			return out
		}
	}
	c.soak.mu.Lock()
	defer c.soak.mu.Unlock()
	c.complain("%s: %T did not work ten times in a row", c.name, in())
	return nil
}

func put(snapshot *string, index int32, fill byte) *ebs.PutSnapshotBlockInput {
	block := strings.Repeat(string(rune(fill)), 512<<10)
	sum := sha256.Sum256([]byte(block))
	return &ebs.PutSnapshotBlockInput{
		SnapshotId: snapshot, BlockIndex: &index, BlockData: strings.NewReader(block), DataLength: aws.Int32(512 << 10),
		Checksum: aws.String(base64.StdEncoding.EncodeToString(sum[:])), ChecksumAlgorithm: ebstypes.ChecksumAlgorithmChecksumAlgorithmSha256,
	}
}

// readBack compares what was written to the snapshots that are still there with what they hold.
func (h *home) readBack(t *testing.T) {
	t.Helper()
	there := map[string]ec2types.SnapshotState{}
	pages := ec2.NewDescribeSnapshotsPaginator(h.ec2, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, MaxResults: aws.Int32(100)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		ok(t, err)
		for _, s := range page.Snapshots {
			there[*s.SnapshotId] = s.State
		}
	}
	for id, blocks := range h.written {
		state, exists := there[id]
		if !exists {
			continue
		}
		if state != ec2types.SnapshotStateCompleted {
			t.Errorf("%s: snapshot %s is %s", h.name, id, state)
			continue
		}
		h.readSnapshot(t, id, blocks)
	}
}

func (h *home) readSnapshot(t *testing.T, id string, blocks map[int32]byte) {
	t.Helper()
	list, err := h.ebs.ListSnapshotBlocks(t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: &id})
	ok(t, err)
	if len(list.Blocks) != len(blocks) {
		t.Errorf("%s: snapshot %s has %d blocks, %d were written", h.name, id, len(list.Blocks), len(blocks))
	}
	for _, b := range list.Blocks {
		out, err := h.ebs.GetSnapshotBlock(t.Context(), &ebs.GetSnapshotBlockInput{SnapshotId: &id, BlockIndex: b.BlockIndex, BlockToken: b.BlockToken})
		ok(t, err)
		body, err := io.ReadAll(out.BlockData)
		ok(t, err)
		if fill, written := blocks[*b.BlockIndex]; !written || len(body) != 512<<10 || strings.Trim(string(body), string(rune(fill))) != "" {
			t.Errorf("%s: block %d of snapshot %s is not what was written", h.name, *b.BlockIndex, id)
		}
	}
}
