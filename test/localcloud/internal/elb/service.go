package elb

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// RegisterTargets makes instances targets of a group, on its port. It is called inside an Update, with instances that run. A group that is not
// there is passed over.
func (s *Service) RegisterTargets(r *state.Region, arn string, ids []string) {
	g := r.TargetGroups.Edit(arn)
	if g == nil {
		return
	}
	for _, id := range ids {
		s.register(r, g, types.TargetDescription{Id: aws.String(id), Port: aws.Int32(*g.Port)})
	}
}

// DeregisterTargets makes instances leave a group: they drain first. It is called inside an Update.
func (s *Service) DeregisterTargets(r *state.Region, arn string, ids []string) {
	g := r.TargetGroups.Edit(arn)
	if g == nil {
		return
	}
	for _, id := range ids {
		for _, key := range keysOf(g, id) {
			s.deregister(r, g, key)
		}
	}
}

// Health returns what a group says of an instance on its port, and why where that is not healthy. It is called inside an Update or a View. In a
// group that is not there nothing is registered.
func (s *Service) Health(r *state.Region, arn, id string) (types.TargetHealthStateEnum, string) {
	g := r.TargetGroups.Get(arn)
	if g == nil {
		return types.TargetHealthStateEnumUnused, string(types.TargetHealthReasonEnumNotRegistered)
	}
	t := lookup(g, types.TargetDescription{Id: aws.String(id), Port: g.Port})
	return t.Health.State, string(t.Health.Reason)
}

// InstanceChanged tells the service that an instance stopped, ended or came back; it is for the instance service's Watch, and is called inside an
// Update. A terminated instance is no target any more, as documented.
func (s *Service) InstanceChanged(r *state.Region, in *state.Instance) {
	for _, at := range s.homesOf(r.Name, aws.ToString(in.InstanceId)) {
		g := r.TargetGroups.Get(at.arn)
		if g == nil {
			continue
		}
		t, ok := g.Targets[at.target]
		switch {
		case !ok:
		case stateOf(in) == ec2types.InstanceStateNameTerminated:
			s.remove(r.TargetGroups.Edit(at.arn), at)
		case t.DrainUntil.IsZero():
			s.reconsider(r, at)
		}
	}
}

func (s *Service) homesOf(region, id string) []place {
	s.mu.Lock()
	defer s.mu.Unlock()
	var places []place
	for at := range s.homes[id] {
		if at.region == region {
			places = append(places, at)
		}
	}
	return places
}

// reconsider begins or ends the checks of a target as its group and its instance are now.
func (s *Service) reconsider(r *state.Region, at place) {
	g := r.TargetGroups.Get(at.arn)
	t := g.Targets[at.target]
	h, checked := standing(r, g, *t.Target.Id)
	was := t.Health.State != types.TargetHealthStateEnumUnused
	switch {
	case !checked:
		s.unwatch(at)
		if h.State != t.Health.State || h.Reason != t.Health.Reason || aws.ToString(h.Description) != aws.ToString(t.Health.Description) {
			setHealth(r, at, h)
		}
	case !was:
		setHealth(r, at, h)
		t.Health = h
		s.watch(at, g, t, settle)
	}
}

// Resume takes up the checks and the draining that the records of a region tell of, after a start of the process.
func (s *Service) Resume(region string) {
	_ = s.store.Update(region, func(r *state.Region) error {
		for arn, b := range r.LoadBalancers.All() {
			if b.State.Code == types.LoadBalancerStateEnumProvisioning {
				s.provision(r.Name, arn)
			}
		}
		n := 0
		for arn, g := range r.TargetGroups.Sorted() {
			for key, t := range g.Targets {
				n++
				s.resume(r, g, place{r.Name, arn, key}, t, time.Duration(n%500)*10*time.Millisecond)
			}
		}
		return nil
	})
}

// resume takes up one target; its checks begin after a delay that spreads the load.
func (s *Service) resume(r *state.Region, g *state.TargetGroup, at place, t state.Target, delay time.Duration) {
	s.settleIn(at, *t.Target.Id)
	if !t.DrainUntil.IsZero() {
		s.drain(at, t.DrainUntil, t.DrainUntil.Sub(r.Now()))
		return
	}
	h, checked := standing(r, g, *t.Target.Id)
	switch {
	case checked && t.Health.State == types.TargetHealthStateEnumUnused:
		t.Health = h
		setHealth(r, at, h)
		s.watch(at, g, t, settle)
	case checked:
		s.watch(at, g, t, delay)
	case t.Health.State != types.TargetHealthStateEnumUnused:
		setHealth(r, at, h)
	}
}
