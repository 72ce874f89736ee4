package audit

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// stateOf returns the state of an instance: terminated where there is no record of it.
func stateOf(in *state.Instance) ec2types.InstanceStateName {
	if in == nil || in.State == nil {
		return ec2types.InstanceStateNameTerminated
	}
	return in.State.Name
}

// lives reports whether an instance has not come to its end, and is not on the way there.
func lives(in *state.Instance) bool {
	s := stateOf(in)
	return s != ec2types.InstanceStateNameTerminated && s != ec2types.InstanceStateNameShuttingDown
}

// instances: each has an owner, what it runs on, and a group that knows it.
func (c *checker) instances() {
	holders := map[[2]string]string{} // of private addresses in subnets
	for id, in := range c.Instances.All() {
		if in.Account == "" {
			c.say("instance %s has no owner", id)
		}
		if in.State == nil {
			c.say("instance %s has no state", id)
		}
		if !lives(in) {
			continue
		}
		if in.Group != "" && c.member(in) == nil {
			c.say("instance %s is in no group, although it was launched by %s", id, in.Group)
		}
		address := [2]string{aws.ToString(in.SubnetId), in.Address}
		if other := holders[address]; in.Address != "" && other != "" {
			c.say("instances %s and %s both have the address %s", min(id, other), max(id, other), in.Address)
		}
		holders[address] = id
		if stateOf(in) == ec2types.InstanceStateNameRunning && aws.ToString(in.PrivateIpAddress) == "" {
			c.say("instance %s runs without an address", id)
		}
		c.parts(id, in)
	}
}

// member returns what the group of an instance knows of it.
func (c *checker) member(in *state.Instance) *state.Member {
	g := c.Groups.Get(state.Key(in.Account, in.Group))
	if g == nil {
		return nil
	}
	for i := range g.Members {
		if aws.ToString(g.Members[i].InstanceId) == aws.ToString(in.InstanceId) {
			return &g.Members[i]
		}
	}
	return nil
}

// parts: what an instance names exists.
func (c *checker) parts(id string, in *state.Instance) {
	for _, m := range in.BlockDeviceMappings {
		if m.Ebs != nil && c.Volumes.Get(aws.ToString(m.Ebs.VolumeId)) == nil {
			c.say("instance %s has the volume %s, which does not exist", id, aws.ToString(m.Ebs.VolumeId))
		}
	}
	for _, g := range in.SecurityGroups {
		if c.SecurityGroups.Get(aws.ToString(g.GroupId)) == nil {
			c.say("instance %s has the security group %s, which does not exist", id, aws.ToString(g.GroupId))
		}
	}
	if subnet := aws.ToString(in.SubnetId); subnet != "" && c.Subnets.Get(subnet) == nil {
		c.say("instance %s is in the subnet %s, which does not exist", id, subnet)
	}
}

// volumes: each has an owner, and an instance or is available.
func (c *checker) volumes() {
	for id, v := range c.Volumes.All() {
		if v.Account == "" {
			c.say("volume %s has no owner", id)
		}
		if v.State == ec2types.VolumeStateInUse && len(v.Attachments) == 0 {
			c.say("volume %s is in use by nobody", id)
		}
		if v.State == ec2types.VolumeStateAvailable && len(v.Attachments) > 0 {
			c.say("volume %s is available and attached", id)
		}
		for _, a := range v.Attachments {
			if owner := aws.ToString(a.InstanceId); stateOf(c.Instances.Get(owner)) == ec2types.InstanceStateNameTerminated {
				c.say("volume %s is attached to instance %s, which is gone", id, owner)
			}
		}
	}
}
