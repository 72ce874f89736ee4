package autoscaling

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/kit"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

func number(n int32) string { return strconv.Itoa(int(n)) }

// maxAttach is how many instances a request may attach, as documented.
const maxAttach = 20

func (s *Service) attachInstances(_ context.Context, c *wire.Call, in *as.AttachInstancesInput) (*as.AttachInstancesOutput, error) {
	return &as.AttachInstancesOutput{}, s.edit(c, in.AutoScalingGroupName, func(r *state.Region, g *state.Group) error {
		if len(in.InstanceIds) == 0 || len(in.InstanceIds) > maxAttach {
			return invalid("You can attach between 1 and %d instances in one request.", maxAttach)
		}
		ids := once(in.InstanceIds)
		for _, id := range ids {
			if err := attachable(r, g, id); err != nil {
				return err
			}
		}
		n, from := int32(len(ids)), aws.ToInt32(g.DesiredCapacity) //nolint:gosec // bounded above
		if from+n > *g.MaxSize {
			return invalid("AutoScalingGroup %s has min-size=%d, max-size=%d, and desired-size=%d. To attach %d instances, please update the AutoScalingGroup sizes appropriately.",
				aws.ToString(g.AutoScalingGroupName), *g.MinSize, *g.MaxSize, from, n)
		}
		l := s.lookNow(r, g)
		for i, id := range ids {
			l.adopt(r.Instances.Edit(id), from+int32(i))
		}
		g.DesiredCapacity = aws.Int32(from + n)
		return nil
	})
}

// attachable returns the error where an instance cannot join a group.
func attachable(r *state.Region, g *state.Group, id string) error {
	in := r.Instances.Get(id)
	switch {
	case in == nil || in.Account != g.Account:
		return invalid("Invalid Instance ID(s): [%s]. Specify a valid Instance ID.", id)
	case in.State == nil || in.State.Name != ec2types.InstanceStateNameRunning:
		return invalid("Invalid Instance(s) to Attach: [%s]. Instance(s) must be in the running state.", id)
	case in.Group != "":
		return invalid("The instance %s is already part of Auto Scaling group:%s.", id, in.Group)
	case in.Placement == nil || !slices.Contains(g.AvailabilityZones, aws.ToString(in.Placement.AvailabilityZone)):
		return invalid("The instance %s is not in one of the Availability Zones of Auto Scaling group %s.", id, aws.ToString(g.AutoScalingGroupName))
	}
	return nil
}

// adopt makes a running instance a member of the group.
func (l *look) adopt(in *state.Instance, from int32) {
	in.Group = aws.ToString(l.group.AutoScalingGroupName)
	in.Tags = kit.MergeTags(in.Tags, []ec2types.Tag{{Key: aws.String(groupTag), Value: l.group.AutoScalingGroupName}})
	m := state.Member{Subnet: aws.ToString(in.SubnetId), Launched: l.now}
	m.InstanceId, m.InstanceType = in.InstanceId, aws.String(string(in.InstanceType))
	m.AvailabilityZone = in.Placement.AvailabilityZone
	m.AvailabilityZoneId = aws.String(l.group.AvailabilityZoneIds[slices.Index(l.group.AvailabilityZones, aws.ToString(m.AvailabilityZone))])
	m.LifecycleState, m.HealthStatus, m.ProtectedFromScaleIn = astypes.LifecycleStatePending, aws.String(healthy), l.group.NewInstancesProtectedFromScaleIn
	l.begin(&m, "Attaching an existing EC2 instance: "+aws.ToString(in.InstanceId),
		fmt.Sprintf("At %s an instance was attached in response to a user request, increasing the capacity from %d to %d.", stamp(l.now), from, from+1), 50)
	l.group.Members = append(l.group.Members, m)
}
