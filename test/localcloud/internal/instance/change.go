package instance

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// find returns the instances that a request names, each once, or the error for all that are not there.
func find(r *state.Region, account string, ids []string) ([]*state.Instance, error) {
	if len(ids) == 0 {
		return nil, wire.Errorf("MissingParameter", "The request must contain the parameter InstanceId")
	}
	var found []*state.Instance
	var missing []string
	seen := map[string]bool{}
	for _, id := range ids {
		hex, ok := strings.CutPrefix(id, "i-")
		if !ok || len(hex) != 8 && len(hex) != 17 || strings.Trim(hex, "0123456789abcdef") != "" {
			return nil, wire.Errorf("InvalidInstanceID.Malformed", `Invalid id: "%s"`, id)
		}
		in := r.Instances.Get(id)
		switch {
		case seen[id]:
		case in == nil || in.Account != account:
			missing = append(missing, id)
		default:
			found = append(found, in)
		}
		seen[id] = true
	}
	switch len(missing) {
	case 0:
		return found, nil
	case 1:
		return nil, wire.Errorf("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", missing[0])
	}
	return nil, wire.Errorf("InvalidInstanceID.NotFound", "The instance IDs '%s' do not exist", strings.Join(missing, ", "))
}

// each checks all instances that a request names, and then changes them: all or none.
func (s *Service) each(c *wire.Call, ids []string, dryRun *bool, check func(in *state.Instance) error, change func(r *state.Region, in *state.Instance)) ([]ec2types.InstanceStateChange, error) {
	changes := []ec2types.InstanceStateChange{}
	err := s.store.Update(c.Region, func(r *state.Region) error {
		found, err := find(r, c.Account, ids)
		if err != nil {
			return err
		}
		if aws.ToBool(dryRun) {
			return wire.ErrDryRun()
		}
		for _, in := range found {
			if err := check(in); err != nil {
				return err
			}
		}
		for _, in := range found {
			before := in.State
			change(r, r.Instances.Edit(*in.InstanceId))
			changes = append(changes, ec2types.InstanceStateChange{InstanceId: in.InstanceId, PreviousState: before, CurrentState: in.State})
		}
		return nil
	})
	return changes, err
}

func (s *Service) start(_ context.Context, c *wire.Call, in *ec2.StartInstancesInput) (*ec2.StartInstancesOutput, error) {
	changes, err := s.each(c, in.InstanceIds, in.DryRun, func(in *state.Instance) error {
		switch in.State.Name {
		case ec2types.InstanceStateNameStopped, ec2types.InstanceStateNamePending, ec2types.InstanceStateNameRunning:
			return nil
		case ec2types.InstanceStateNameStopping, ec2types.InstanceStateNameShuttingDown, ec2types.InstanceStateNameTerminated:
		}
		return wire.Errorf("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be started.", *in.InstanceId)
	}, s.powerOn)
	return &ec2.StartInstancesOutput{StartingInstances: changes}, err
}

// powerOn starts a stopped instance again; one that runs stays as it is.
func (s *Service) powerOn(r *state.Region, in *state.Instance) {
	if in.State.Name != ec2types.InstanceStateNameStopped {
		return
	}
	now := r.Now().UTC().Truncate(time.Second)
	in.State, in.StateReason, in.StateTransitionReason = stateOf(ec2types.InstanceStateNamePending), nil, aws.String("")
	in.LaunchTime, in.Status = &now, ec2types.SummaryStatusInitializing
	in.Starts++
	spec := s.spec(r, in)
	s.tell(r, func(d compute.Driver) { d.Start(spec) })
	s.changed(r, in)
}

func (s *Service) stop(_ context.Context, c *wire.Call, in *ec2.StopInstancesInput) (*ec2.StopInstancesOutput, error) {
	if aws.ToBool(in.Hibernate) {
		return nil, wire.Errorf("UnsupportedHibernationConfiguration", "The instance is not configured for hibernation.")
	}
	force := aws.ToBool(in.Force)
	changes, err := s.each(c, in.InstanceIds, in.DryRun, stoppable, func(r *state.Region, in *state.Instance) { s.powerOff(r, in, force) })
	return &ec2.StopInstancesOutput{StoppingInstances: changes}, err
}

func stoppable(in *state.Instance) error {
	id := *in.InstanceId
	switch in.State.Name {
	case ec2types.InstanceStateNamePending:
		return wire.Errorf("IncorrectInstanceState", "Instance '%s' cannot be stopped as it has never reached the 'running' state.", id)
	case ec2types.InstanceStateNameShuttingDown, ec2types.InstanceStateNameTerminated:
		return wire.Errorf("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be stopped.", id)
	case ec2types.InstanceStateNameRunning, ec2types.InstanceStateNameStopping, ec2types.InstanceStateNameStopped:
	}
	switch {
	case in.InstanceLifecycle == ec2types.InstanceLifecycleTypeSpot:
		return wire.Errorf("UnsupportedOperation", "You can't stop the Spot Instance '%s' because it is associated with a one-time Spot Instance request. "+
			"You can only stop Spot Instances associated with persistent Spot Instance requests.", id)
	case in.StopProtection && in.State.Name == ec2types.InstanceStateNameRunning:
		return wire.Errorf("OperationNotPermitted",
			"The instance '%s' may not be stopped. Modify its 'disableApiStop' instance attribute and try again.", id)
	}
	return nil
}

// powerOff stops a running instance, or urges one that is stopping; one that is stopped stays as it is.
func (s *Service) powerOff(r *state.Region, in *state.Instance, force bool) {
	id := *in.InstanceId
	switch in.State.Name {
	case ec2types.InstanceStateNameRunning:
		in.State, in.Status = stateOf(ec2types.InstanceStateNameStopping), ec2types.SummaryStatusNotApplicable
		in.StateReason = reason(userShutdown, userShutdown+": User initiated shutdown")
		in.StateTransitionReason = userReason(r.Now())
		s.tell(r, func(d compute.Driver) { d.Stop(id, force) })
		s.changed(r, in)
	case ec2types.InstanceStateNameStopping:
		if force {
			s.tell(r, func(d compute.Driver) { d.Stop(id, true) })
		}
	case ec2types.InstanceStateNamePending, ec2types.InstanceStateNameShuttingDown, ec2types.InstanceStateNameTerminated, ec2types.InstanceStateNameStopped:
	}
}

func (s *Service) reboot(_ context.Context, c *wire.Call, in *ec2.RebootInstancesInput) (*ec2.RebootInstancesOutput, error) {
	_, err := s.each(c, in.InstanceIds, in.DryRun, func(in *state.Instance) error {
		if in.State.Name != ec2types.InstanceStateNameRunning {
			return wire.Errorf("IncorrectState", "The instance '%s' is not in the 'running' state.", *in.InstanceId) // text inferred
		}
		return nil
	}, func(r *state.Region, in *state.Instance) {
		id := *in.InstanceId
		s.tell(r, func(d compute.Driver) { d.Reboot(id) })
	})
	return &ec2.RebootInstancesOutput{}, err
}

// terminate ends instances. A protected one keeps those of its zone from being ended too, and no others [documented].
func (s *Service) terminate(_ context.Context, c *wire.Call, in *ec2.TerminateInstancesInput) (*ec2.TerminateInstancesOutput, error) {
	var refused error
	protected := map[string]bool{} // zones
	changes, err := s.each(c, in.InstanceIds, in.DryRun, func(in *state.Instance) error {
		over := in.State.Name == ec2types.InstanceStateNameTerminated || in.State.Name == ec2types.InstanceStateNameShuttingDown
		if in.Protection && !over {
			protected[aws.ToString(in.Placement.AvailabilityZone)] = true
			refused = wire.Errorf("OperationNotPermitted",
				"The instance '%s' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.", *in.InstanceId)
		}
		return nil
	}, func(r *state.Region, in *state.Instance) {
		if !protected[aws.ToString(in.Placement.AvailabilityZone)] {
			s.end(r, in)
		}
	})
	if err == nil {
		err = refused
	}
	return &ec2.TerminateInstancesOutput{TerminatingInstances: changes}, err
}

// Terminate ends instances, protected ones too, as a service does for its owner. Those that are not there are ignored. It is called inside an
// Update.
func (s *Service) Terminate(r *state.Region, ids []string) {
	for _, id := range ids {
		if in := r.Instances.Edit(id); in != nil {
			s.end(r, in)
		}
	}
}

// end ends an instance, whatever it does. A stopped one has nothing to shut down and is terminated at once.
func (s *Service) end(r *state.Region, in *state.Instance) {
	name := in.State.Name
	if name == ec2types.InstanceStateNameShuttingDown || name == ec2types.InstanceStateNameTerminated {
		return
	}
	id := *in.InstanceId
	in.StateReason = reason(userShutdown, userShutdown+": User initiated shutdown")
	in.StateTransitionReason = userReason(r.Now())
	s.tell(r, func(d compute.Driver) { d.Terminate(id) })
	if name == ec2types.InstanceStateNameStopped {
		s.terminated(r, in)
		return
	}
	in.State, in.Status = stateOf(ec2types.InstanceStateNameShuttingDown), ec2types.SummaryStatusNotApplicable
	s.changed(r, in)
}
