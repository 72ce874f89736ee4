package autoscaling_test

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// everyone is the account of every access key.
type everyone struct{}

func (everyone) Identify(_ context.Context, key, _ string) (wire.Identity, error) {
	return wire.Identity{Account: key, ARN: "arn:aws:iam::" + key + ":root"}, nil
}

// ec2Fake launches instances that run after some seconds and end after some others.
type ec2Fake struct {
	store    *state.Store
	watchers []func(*state.Region, *state.Instance)
	made     int
	boot     time.Duration
	end      time.Duration
	refuse   func(in *ec2.RunInstancesInput) error // may be nil
	dies     func(in *ec2.RunInstancesInput) string
	launches []*ec2.RunInstancesInput
	replaced map[string]string // image by instance id
}

func (f *ec2Fake) Watch(g func(*state.Region, *state.Instance)) { f.watchers = append(f.watchers, g) }

func (f *ec2Fake) Launch(r *state.Region, account, _ string, in *ec2.RunInstancesInput) ([]*state.Instance, error) {
	if f.refuse != nil {
		if err := f.refuse(in); err != nil {
			return nil, err
		}
	}
	f.launches = append(f.launches, in)
	f.made++
	id := fmt.Sprintf("i-%017d", f.made)
	rec := &state.Instance{Account: account}
	rec.InstanceId, rec.SubnetId, rec.InstanceType = &id, in.SubnetId, in.InstanceType
	if rec.InstanceType == "" {
		rec.InstanceType = ec2types.InstanceTypeT3Nano
	}
	rec.State = &ec2types.InstanceState{Name: ec2types.InstanceStateNamePending}
	if in.InstanceMarketOptions != nil {
		rec.InstanceLifecycle = ec2types.InstanceLifecycleTypeSpot
	}
	zone := "us-east-1a"
	if aws.ToString(in.SubnetId) == subnetB {
		zone = "us-east-1b"
	}
	rec.Placement = &ec2types.Placement{AvailabilityZone: &zone}
	rec.Tags = in.TagSpecifications[0].Tags
	r.Instances.Put(id, rec)
	f.store.Clock().AfterFunc(f.boot, func() {
		if why := f.cause(in); why != "" {
			f.set(id, ec2types.InstanceStateNameTerminated, ec2types.InstanceStateNamePending, why)
			return
		}
		f.set(id, ec2types.InstanceStateNameRunning, ec2types.InstanceStateNamePending, "")
	})
	return []*state.Instance{rec}, nil
}

func (f *ec2Fake) cause(in *ec2.RunInstancesInput) string {
	if f.dies == nil {
		return ""
	}
	return f.dies(in)
}

// set moves an instance to a state, from another if that is given.
func (f *ec2Fake) set(id string, to, from ec2types.InstanceStateName, why string) {
	_ = f.store.Update(region, func(r *state.Region) error {
		if in := r.Instances.Edit(id); in != nil && (from == "" || in.State.Name == from) {
			in.State = &ec2types.InstanceState{Name: to}
			if why != "" {
				in.StateReason = &ec2types.StateReason{Message: &why}
			}
			for _, w := range f.watchers {
				w(r, in)
			}
		}
		return nil
	})
}

func (f *ec2Fake) Terminate(r *state.Region, ids []string) {
	for _, id := range ids {
		in := r.Instances.Edit(id)
		if in == nil || in.State.Name == ec2types.InstanceStateNameTerminated {
			continue
		}
		in.State = &ec2types.InstanceState{Name: ec2types.InstanceStateNameShuttingDown}
		f.store.Clock().AfterFunc(f.end, func() { f.set(id, ec2types.InstanceStateNameTerminated, "", "") })
	}
}

func (f *ec2Fake) ReplaceRoot(_ *state.Region, id, image string) error {
	f.replaced[id] = image
	return nil
}

func (f *ec2Fake) ReplacingRoot(*state.Region, string) bool { return false }

// elbFake has the health of targets that tests give them.
type elbFake struct {
	registered map[string]bool
	health     map[string]elbtypes.TargetHealthStateEnum
}

func (f *elbFake) RegisterTargets(_ *state.Region, _ string, ids []string) {
	for _, id := range ids {
		f.registered[id] = true
	}
}

func (f *elbFake) DeregisterTargets(_ *state.Region, _ string, ids []string) {
	for _, id := range ids {
		delete(f.registered, id)
	}
}

func (f *elbFake) Health(_ *state.Region, _, id string) (elbtypes.TargetHealthStateEnum, string) {
	if h := f.health[id]; h != "" {
		return h, ""
	}
	if f.registered[id] {
		return elbtypes.TargetHealthStateEnumHealthy, ""
	}
	return elbtypes.TargetHealthStateEnumUnused, ""
}

// resume ends the boots and ends that were under way.
func (f *ec2Fake) resume() {
	_ = f.store.View(region, func(r *state.Region) error {
		for id, in := range r.Instances.All() {
			next := map[ec2types.InstanceStateName]ec2types.InstanceStateName{
				ec2types.InstanceStateNamePending: ec2types.InstanceStateNameRunning, ec2types.InstanceStateNameShuttingDown: ec2types.InstanceStateNameTerminated,
			}[in.State.Name]
			if from := in.State.Name; next != "" {
				f.store.Clock().AfterFunc(f.boot, func() { f.set(id, next, from, "") })
			}
		}
		return nil
	})
}
