package autoscaling

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

const (
	groupTag = "aws:autoscaling:groupName"
	// maxBackOff is how long a group waits at most between launches that fail. Inferred; documented is that it waits longer and longer.
	maxBackOff = 5 * time.Minute
	// zoneMemory is how long a zone in which a launch failed comes last. Inferred.
	zoneMemory = 5 * time.Minute
)

// spot is where an instance can be launched.
type spot struct{ zone, zoneID, subnet string }

// spots returns where a group launches: its subnets, or its zones where it has none.
func (l *look) spots() []spot {
	var all []spot
	for _, id := range subnetsOf(l.group) {
		if n := l.region.Subnets.Get(id); n != nil {
			all = append(all, spot{aws.ToString(n.AvailabilityZone), aws.ToString(n.AvailabilityZoneId), id})
		}
	}
	if len(all) == 0 {
		for i, zone := range l.group.AvailabilityZones {
			all = append(all, spot{zone: zone, zoneID: l.group.AvailabilityZoneIds[i]})
		}
	}
	return all
}

func subnetsOf(g *state.Group) []string {
	if aws.ToString(g.VPCZoneIdentifier) == "" {
		return nil
	}
	return strings.Split(*g.VPCZoneIdentifier, ",")
}

// where returns the spots in the order in which they are tried: those with fewest instances first. A zone that refused lately comes last, unless the
// group wants its balance at any price.
func (l *look) where() []spot {
	zones, subnets := map[string]int{}, map[string]int{}
	for i := range l.group.Members {
		if m := &l.group.Members[i]; counts(m) {
			zones[aws.ToString(m.AvailabilityZone)]++
			subnets[m.Subnet]++
		}
	}
	bad := func(s spot) int {
		at, failed := l.group.BadZones[s.zone]
		if failed && l.now.Before(at.Add(zoneMemory)) && !l.balancedOnly() {
			return 1
		}
		return 0
	}
	all := l.spots()
	slices.SortStableFunc(all, func(a, b spot) int {
		return cmp.Or(cmp.Compare(bad(a), bad(b)), cmp.Compare(zones[a.zone], zones[b.zone]), cmp.Compare(subnets[a.subnet], subnets[b.subnet]))
	})
	return all
}

func (l *look) balancedOnly() bool {
	d := l.group.AvailabilityZoneDistribution
	return d != nil && d.CapacityDistributionStrategy == astypes.CapacityDistributionStrategyBalancedOnly
}

// launch launches up to n instances. The first failure ends it, for a while.
func (l *look) launch(n int, cause string) {
	if l.suspended("Launch") || !l.mayLaunch() {
		return
	}
	options, err := l.wanted().options(l.region, l.group.Account)
	if err != nil {
		l.refuse("Launching a new EC2 instance", cause, "", err)
		return
	}
	for range n {
		spots := l.where()
		if len(spots) == 0 {
			l.refuse("Launching a new EC2 instance", cause, "", invalid("The group has no subnet left to launch instances into."))
			return
		}
		if err := l.launchOne(options, spots[0], cause); err != nil {
			l.refuse("Launching a new EC2 instance", cause, spots[0].zone, err)
			return
		}
	}
}

// mayLaunch reports whether the pause after failed launches is over.
func (l *look) mayLaunch() bool { return l.group.RetryAt.IsZero() || l.due(l.group.RetryAt) }

// launchOne launches an instance by the first option that EC2 has capacity for.
func (l *look) launchOne(options []option, at spot, cause string) error {
	var failure error
	for _, o := range l.allot(options) {
		made, err := l.service.instances.Launch(l.region, l.group.Account, caller(l.group), l.request(o, at))
		if err == nil && len(made) == 1 {
			l.admit(made[0], o, at, cause)
			return nil
		}
		failure = err
		if e, ok := errors.AsType[*wire.Error](err); !ok || !strings.Contains(e.Code, "Capacity") {
			break
		}
	}
	if failure == nil {
		failure = fmt.Errorf("group %s: a launch made no instance", aws.ToString(l.group.AutoScalingGroupName))
	}
	return failure
}

// allot says by the group's distribution whether the next instance is bought on demand or on the spot market.
func (l *look) allot(options []option) []option {
	mixed := l.wanted().mixed
	if mixed == nil || mixed.InstancesDistribution == nil {
		return options
	}
	d := mixed.InstancesDistribution
	base, share := int(aws.ToInt32(d.OnDemandBaseCapacity)), int(aws.ToInt32(d.OnDemandPercentageAboveBaseCapacity))
	all, demand := 0, 0
	for i := range l.group.Members {
		if m := &l.group.Members[i]; counts(m) {
			all++
			if in, _ := l.instance(m); in != nil && in.InstanceLifecycle != ec2types.InstanceLifecycleTypeSpot {
				demand++
			}
		}
	}
	above := max(0, all+1-base)
	onDemand := min(all+1, base) + (above*share+99)/100
	options = slices.Clone(options)
	for i := range options {
		options[i].spot = demand >= onDemand
	}
	return options
}

// caller is who launches: the service, in the role that the group gave it.
func caller(g *state.Group) string {
	return "arn:aws:sts::" + g.Account + ":assumed-role/AWSServiceRoleForAutoScaling/AutoScaling"
}

// request is what EC2 is asked for.
func (l *look) request(o option, at spot) *ec2.RunInstancesInput {
	g := l.group
	tags := []ec2types.Tag{{Key: aws.String(groupTag), Value: g.AutoScalingGroupName}}
	for _, t := range g.Tags {
		if aws.ToBool(t.PropagateAtLaunch) {
			tags = append(tags, ec2types.Tag{Key: t.Key, Value: t.Value})
		}
	}
	in := &ec2.RunInstancesInput{
		MinCount: aws.Int32(1), MaxCount: aws.Int32(1), ClientToken: aws.String(kit.UUID()),
		LaunchTemplate:    &ec2types.LaunchTemplateSpecification{LaunchTemplateId: o.template.LaunchTemplateId, Version: o.template.Version},
		InstanceType:      ec2types.InstanceType(o.kind),
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeInstance, Tags: tags}},
		Placement:         &ec2types.Placement{AvailabilityZone: &at.zone},
	}
	if at.subnet != "" {
		in.SubnetId, in.Placement = &at.subnet, nil
	}
	if o.image != "" {
		in.ImageId = &o.image
	}
	if o.spot {
		in.InstanceMarketOptions = &ec2types.InstanceMarketOptionsRequest{MarketType: ec2types.MarketTypeSpot}
	}
	if p := aws.ToString(g.PlacementGroup); p != "" {
		if in.Placement == nil {
			in.Placement = &ec2types.Placement{}
		}
		in.Placement.GroupName = &p
	}
	return in
}

// admit makes a launched instance a member.
func (l *look) admit(in *state.Instance, o option, at spot, cause string) {
	g := l.group
	if edit := l.region.Instances.Edit(aws.ToString(in.InstanceId)); edit != nil {
		edit.Group = aws.ToString(g.AutoScalingGroupName)
	}
	m := state.Member{Subnet: aws.ToString(first(in.SubnetId, &at.subnet)), Launched: l.now}
	m.InstanceId, m.InstanceType = in.InstanceId, aws.String(string(in.InstanceType))
	m.AvailabilityZone, m.AvailabilityZoneId = &at.zone, &at.zoneID
	m.LifecycleState, m.HealthStatus = astypes.LifecycleStatePending, aws.String(healthy)
	m.LaunchTemplate = o.template
	m.ProtectedFromScaleIn = aws.Bool(aws.ToBool(g.NewInstancesProtectedFromScaleIn))
	if o.image != "" {
		m.ImageId = &o.image
	}
	l.begin(&m, "Launching a new EC2 instance: "+aws.ToString(in.InstanceId), cause, 30)
	g.Members = append(g.Members, m)
}

// refuse records a launch that EC2 would not make, and when it is tried again.
func (l *look) refuse(description, cause, zone string, err error) {
	message := err.Error()
	if e, ok := errors.AsType[*wire.Error](err); ok {
		message = e.Message
	}
	m := state.Member{}
	m.AvailabilityZone, m.AvailabilityZoneId = &zone, aws.String("")
	if s := l.spotIn(zone); s.zone != "" {
		m.AvailabilityZoneId, m.Subnet = &s.zoneID, s.subnet
	}
	m.Activity = l.addActivity(&m, description+".  Status Reason: "+message+" Launching EC2 instance failed.", cause, astypes.ScalingActivityStatusCodeInProgress, 0)
	l.end(&m, astypes.ScalingActivityStatusCodeFailed, message+" Launching EC2 instance failed.")
	l.backOff(zone, message)
}

func (l *look) spotIn(zone string) spot {
	for _, s := range l.spots() {
		if s.zone == zone {
			return s
		}
	}
	return spot{}
}

// backOff has the next launch wait, longer every time.
func (l *look) backOff(zone, why string) {
	g := l.group
	g.Failures++
	g.LaunchFailure = why
	g.RetryAt = l.now.Add(min(maxBackOff, pollInterval<<min(g.Failures-1, 10)))
	l.due(g.RetryAt)
	if zone != "" {
		bad := map[string]time.Time{zone: l.now}
		for z, at := range g.BadZones {
			if z != zone && l.now.Before(at.Add(zoneMemory)) {
				bad[z] = at
			}
		}
		g.BadZones = bad
	}
}

// failLaunch ends the launch of an instance that did not come up.
func (l *look) failLaunch(m *state.Member, in *state.Instance) {
	why := "Client.UserInitiatedShutdown: User initiated shutdown"
	if in != nil && in.StateReason != nil && aws.ToString(in.StateReason.Message) != "" {
		why = aws.ToString(in.StateReason.Message)
	}
	message := "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: " + why
	l.end(m, astypes.ScalingActivityStatusCodeFailed, message)
	zone := ""
	if strings.Contains(why, "Capacity") {
		zone = aws.ToString(m.AvailabilityZone)
	}
	l.backOff(zone, message)
	l.service.instances.Terminate(l.region, []string{aws.ToString(m.InstanceId)})
	l.group.ActsAt = time.Time{}
	m.LifecycleState = gone
}

// causeOut is why instances are launched.
func (l *look) causeOut(count, want int) string {
	if l.group.Cause == "" {
		return "At " + stamp(l.now) + " an instance was launched in response to an unhealthy instance needing to be replaced."
	}
	return fmt.Sprintf("%s  At %s an instance was started in response to a difference between desired and actual capacity, increasing the capacity from %d to %d.",
		l.group.Cause, stamp(l.now), count, want)
}
