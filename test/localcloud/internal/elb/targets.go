package elb

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// maxTargets is the documented quota of targets of a group.
const maxTargets = 1000

func (s *Service) registerTargets(_ context.Context, c *wire.Call, in *elbv2.RegisterTargetsInput) (*elbv2.RegisterTargetsOutput, error) {
	return &elbv2.RegisterTargetsOutput{}, s.store.Update(c.Region, func(r *state.Region) error {
		g, err := editGroup(r, c, in.TargetGroupArn)
		if err != nil {
			return err
		}
		targets, err := named(g, in.Targets)
		if err != nil {
			return err
		}
		if err := checkInstances(r, g, targets); err != nil {
			return err
		}
		if added := len(targets) + len(g.Targets); added > maxTargets {
			return wire.Errorf("TooManyTargets", "The maximum number of targets per target group '%d' has been reached", maxTargets)
		}
		for _, t := range targets {
			s.register(r, g, t)
		}
		return nil
	})
}

// named returns targets with their ports, which are the group's where the request gives none.
func named(g *state.TargetGroup, given []types.TargetDescription) ([]types.TargetDescription, error) {
	if len(given) == 0 {
		return nil, invalid("At least one target must be specified")
	}
	targets := make([]types.TargetDescription, 0, len(given))
	for _, t := range given {
		switch {
		case aws.ToString(t.Id) == "":
			return nil, invalid("A target ID must be specified")
		case t.QuicServerId != nil:
			return nil, unsupported("A QUIC server ID")
		case t.AvailabilityZone != nil:
			return nil, invalid("Availability zone cannot be specified for target groups with target type 'instance'")
		case t.Port != nil && (*t.Port < 1 || *t.Port > 65535):
			return nil, invalid("Target port '%d' must be between 1 and 65535", *t.Port)
		}
		port := *g.Port
		if t.Port != nil {
			port = *t.Port
		}
		targets = append(targets, types.TargetDescription{Id: aws.String(*t.Id), Port: aws.Int32(port)})
	}
	return targets, nil
}

// checkInstances returns the error where a target is no instance, is none of the group's VPC, or does not run.
func checkInstances(r *state.Region, g *state.TargetGroup, targets []types.TargetDescription) error {
	var strange, foreign, idle []string
	for _, t := range targets {
		id := "'" + *t.Id + "'"
		in := r.Instances.Get(*t.Id)
		switch {
		case in == nil || in.Account != g.Account:
			strange = append(strange, id)
		case in.VpcId != nil && *in.VpcId != *g.VpcId:
			foreign = append(foreign, id)
		case stateOf(in) != ec2types.InstanceStateNameRunning:
			idle = append(idle, id)
		}
	}
	switch {
	case len(strange) > 0:
		return wire.Errorf("InvalidTarget", "The following targets are not valid instances: %s", strings.Join(strange, ", "))
	case len(foreign) > 0:
		return wire.Errorf("InvalidTarget", "The following targets are not in the target group VPC '%s': %s", *g.VpcId, strings.Join(foreign, ", "))
	case len(idle) > 0:
		return wire.Errorf("InvalidTarget", "The following targets are not in a running state and cannot be registered: %s", strings.Join(idle, ", "))
	}
	return nil
}

// targetKey is the key of a target in its group.
func targetKey(t types.TargetDescription) string {
	return *t.Id + ":" + strconv.Itoa(int(*t.Port))
}

// register adds a target, or takes back its deregistration; one that is there stays as it is.
func (s *Service) register(r *state.Region, g *state.TargetGroup, d types.TargetDescription) {
	at := place{r.Name, *g.TargetGroupArn, targetKey(d)}
	if t, ok := g.Targets[at.target]; ok && t.DrainUntil.IsZero() {
		return
	}
	s.settleIn(at, *d.Id)
	t := state.Target{Target: d}
	var checked bool
	t.Health, checked = standing(r, g, *d.Id)
	g.Targets[at.target] = t
	if checked {
		s.watch(at, g, t, settle)
	}
}

// settleIn remembers that an instance is a target.
func (s *Service) settleIn(at place, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.homes[id] == nil {
		s.homes[id] = map[place]bool{}
	}
	s.homes[id][at] = true
}

// forget ends the checks of a target that is none any more.
func (s *Service) forget(at place, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unwatchLocked(at)
	delete(s.homes[id], at)
	if len(s.homes[id]) == 0 {
		delete(s.homes, id)
	}
}

func (s *Service) deregisterTargets(_ context.Context, c *wire.Call, in *elbv2.DeregisterTargetsInput) (*elbv2.DeregisterTargetsOutput, error) {
	return &elbv2.DeregisterTargetsOutput{}, s.store.Update(c.Region, func(r *state.Region) error {
		g, err := editGroup(r, c, in.TargetGroupArn)
		if err != nil {
			return err
		}
		keys, err := deregistered(g, in.Targets)
		if err != nil {
			return err
		}
		for _, key := range keys {
			s.deregister(r, g, key)
		}
		return nil
	})
}

// deregistered returns the keys of targets to deregister: without a port all of that instance. What is no target is passed over, as the
// service does for instances that are gone.
func deregistered(g *state.TargetGroup, given []types.TargetDescription) ([]string, error) {
	if _, err := named(g, given); err != nil {
		return nil, err
	}
	var keys []string
	for _, t := range given {
		if t.Port != nil {
			keys = append(keys, targetKey(t))
			continue
		}
		keys = append(keys, keysOf(g, *t.Id)...)
	}
	return keys, nil
}

// keysOf returns the targets that an instance is of a group.
func keysOf(g *state.TargetGroup, id string) []string {
	var keys []string
	for key, t := range g.Targets {
		if *t.Target.Id == id {
			keys = append(keys, key)
		}
	}
	return keys
}

// deregister makes a target drain, or go at once where it has no traffic. As documented it is shown as draining for the whole delay, also when
// no connection is left.
func (s *Service) deregister(r *state.Region, g *state.TargetGroup, key string) {
	t, ok := g.Targets[key]
	if !ok || !t.DrainUntil.IsZero() {
		return
	}
	at := place{r.Name, *g.TargetGroupArn, key}
	delay := drainDelay(g)
	if t.Health.State == types.TargetHealthStateEnumUnused || delay == 0 {
		s.remove(g, at)
		return
	}
	s.unwatch(at)
	t.Health = health(types.TargetHealthStateEnumDraining, types.TargetHealthReasonEnumDeregistrationInProgress)
	t.DrainUntil = r.Now().Add(delay)
	g.Targets[key] = t
	s.drain(at, t.DrainUntil, delay)
}

// remove takes a target out of its group.
func (s *Service) remove(g *state.TargetGroup, at place) {
	s.forget(at, *g.Targets[at.target].Target.Id)
	delete(g.Targets, at.target)
}

// drain removes a target when its time is over, unless it was registered again meanwhile.
func (s *Service) drain(at place, until time.Time, delay time.Duration) {
	s.store.Clock().AfterFunc(delay, func() {
		_ = s.store.Update(at.region, func(r *state.Region) error {
			g := r.TargetGroups.Get(at.arn)
			if g != nil && g.Targets[at.target].DrainUntil.Equal(until) {
				s.remove(r.TargetGroups.Edit(at.arn), at)
			}
			return nil
		})
	})
}

func (s *Service) describeTargetHealth(_ context.Context, c *wire.Call, in *elbv2.DescribeTargetHealthInput) (*elbv2.DescribeTargetHealthOutput, error) {
	if len(in.Include) > 0 {
		return nil, unsupported("Include")
	}
	out := &elbv2.DescribeTargetHealthOutput{TargetHealthDescriptions: []types.TargetHealthDescription{}}
	return out, s.store.View(c.Region, func(r *state.Region) error {
		g, err := group(r, c, in.TargetGroupArn)
		if err != nil {
			return err
		}
		if len(in.Targets) == 0 {
			for _, key := range slices.Sorted(maps.Keys(g.Targets)) {
				out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, reported(g, g.Targets[key]))
			}
			return nil
		}
		targets, err := named(g, in.Targets)
		if err != nil {
			return err
		}
		for _, t := range targets {
			out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, reported(g, lookup(g, t)))
		}
		return nil
	})
}

// lookup returns a target, or what is said of one that is not registered.
func lookup(g *state.TargetGroup, d types.TargetDescription) state.Target {
	if t, ok := g.Targets[targetKey(d)]; ok {
		return t
	}
	return state.Target{Target: d, Health: health(types.TargetHealthStateEnumUnused, types.TargetHealthReasonEnumNotRegistered)}
}

func reported(g *state.TargetGroup, t state.Target) types.TargetHealthDescription {
	port := *g.HealthCheckPort
	if port == trafficPort {
		port = strconv.Itoa(int(*t.Target.Port))
	}
	return types.TargetHealthDescription{Target: &t.Target, TargetHealth: &t.Health, HealthCheckPort: aws.String(port)}
}
