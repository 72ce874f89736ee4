package instance_test

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

func TestLifecycle(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := *c.launch(t, nil).InstanceId
	_, err := c.Client.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: []string{id}})
	ec2test.Expect(t, err, "IncorrectInstanceState", "Instance '"+id+"' cannot be stopped as it has never reached the 'running' state.")
	c.Clock.Advance(5 * time.Second)

	stopped, err := c.Client.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: []string{id}})
	if err != nil || stopped.StoppingInstances[0].CurrentState.Name != "stopping" || *stopped.StoppingInstances[0].PreviousState.Code != 16 {
		t.Fatalf("got %+v %v", stopped, err)
	}
	_, err = c.Client.StartInstances(t.Context(), &ec2.StartInstancesInput{InstanceIds: []string{id}})
	ec2test.Expect(t, err, "IncorrectInstanceState", "The instance '"+id+"' is not in a state from which it can be started.")
	c.Clock.Advance(30 * time.Second)
	in := c.get(t, id)
	if in.State.Name != "stopped" || *in.StateReason.Code != "Client.UserInitiatedShutdown" || *in.StateReason.Message != "Client.UserInitiatedShutdown: User initiated shutdown" ||
		*in.StateTransitionReason != "User initiated (2026-09-27 04:28:31 GMT)" || in.PublicIpAddress != nil || len(in.BlockDeviceMappings) != 1 {
		t.Errorf("got %+v %q", in, *in.StateTransitionReason)
	}

	if _, err := c.Client.StartInstances(t.Context(), &ec2.StartInstancesInput{InstanceIds: []string{id}}); err != nil {
		t.Fatal(err)
	}
	if in := c.get(t, id); in.State.Name != "pending" || in.StateReason != nil || *in.StateTransitionReason != "" || len(in.BlockDeviceMappings) != 1 {
		t.Errorf("got %+v", in)
	}
	c.Clock.Advance(5 * time.Second)

	ended, err := c.Client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
	if err != nil || ended.TerminatingInstances[0].CurrentState.Name != "shutting-down" || ended.TerminatingInstances[0].PreviousState.Name != "running" {
		t.Fatalf("got %+v %v", ended, err)
	}
	c.Clock.Advance(30 * time.Second)
	in = c.get(t, id)
	if in.State.Name != "terminated" || in.SubnetId != nil || in.VpcId != nil || in.PrivateIpAddress != nil || len(in.NetworkInterfaces)+len(in.BlockDeviceMappings)+len(in.SecurityGroups) != 0 {
		t.Errorf("got %+v", in)
	}
	again, err := c.Client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
	if err != nil || again.TerminatingInstances[0].PreviousState.Name != "terminated" {
		t.Errorf("got %+v %v", again, err)
	}
	if got, want := c.driver.Calls(), []string{"start " + id, "stop " + id, "start " + id, "terminate " + id}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	c.Clock.Advance(time.Hour)
	_, err = c.Client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
	ec2test.Expect(t, err, "InvalidInstanceID.NotFound", "The instance ID '"+id+"' does not exist")
	c.View(t, func(r *state.Region) {
		if r.Instances.Len()+r.Volumes.Len() != 0 {
			t.Errorf("left: %d instances, %d volumes", r.Instances.Len(), r.Volumes.Len())
		}
	})
}

func TestProtection(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := c.running(t, func(in *ec2.RunInstancesInput) {
		in.DisableApiTermination, in.DisableApiStop = aws.Bool(true), aws.Bool(true)
	})
	other := c.running(t, nil)
	_, err := c.Client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
	ec2test.Expect(t, err, "OperationNotPermitted", "The instance '"+id+"' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.")
	_, err = c.Client.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: []string{other, id}})
	ec2test.Expect(t, err, "OperationNotPermitted", "")
	if c.stateOf(t, other) != "running" {
		t.Error("one of a refused request was stopped")
	}
	if _, err := c.Client.ModifyInstanceAttribute(t.Context(), &ec2.ModifyInstanceAttributeInput{InstanceId: &id, DisableApiTermination: &ec2types.AttributeBooleanValue{Value: aws.Bool(false)}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}}); err != nil {
		t.Error(err)
	}
	_, err = c.Client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{other, "i-00000000000000001", "i-00000000000000002"}})
	ec2test.Expect(t, err, "InvalidInstanceID.NotFound", "The instance IDs 'i-00000000000000001, i-00000000000000002' do not exist")
	_, err = c.As(ec2test.Other).TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{other}})
	ec2test.Expect(t, err, "InvalidInstanceID.NotFound", "")
}

// Protected instances keep only those of their own zone from being terminated [documented].
func TestProtectionByZone(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	in := func(zone string, protected bool) string {
		return c.running(t, func(in *ec2.RunInstancesInput) {
			in.Placement, in.DisableApiTermination = &ec2types.Placement{AvailabilityZone: &zone}, &protected
		})
	}
	protected, near, far := in("us-east-1a", true), in("us-east-1a", false), in("us-east-1b", false)
	_, err := c.Client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{protected, near, far}})
	ec2test.Expect(t, err, "OperationNotPermitted", "")
	if c.stateOf(t, protected) != "running" || c.stateOf(t, near) != "running" || c.stateOf(t, far) != "shutting-down" {
		t.Errorf("got %s %s %s", c.stateOf(t, protected), c.stateOf(t, near), c.stateOf(t, far))
	}
}

// What the driver says on its own.
func TestEndings(t *testing.T) {
	t.Parallel()
	const short = "Server.InsufficientInstanceCapacity"
	c := newCloud(t)
	c.driver.Manual = true
	failed := *c.launch(t, nil).InstanceId
	c.service.Ended(ec2test.Region, failed, compute.Ending{Code: short, Message: "Insufficient capacity to satisfy instance request"})
	if in := c.get(t, failed); in.State.Name != "terminated" || *in.StateReason.Code != short || *in.StateReason.Message != short+": Insufficient capacity to satisfy instance request" || *in.StateTransitionReason != short {
		t.Errorf("got %+v", in)
	}
	start := func(behavior ec2types.ShutdownBehavior) string {
		id := *c.launch(t, func(in *ec2.RunInstancesInput) { in.InstanceInitiatedShutdownBehavior = behavior }).InstanceId
		c.service.Running(ec2test.Region, id, compute.Addresses{})
		return id
	}
	for behavior, want := range map[ec2types.ShutdownBehavior]ec2types.InstanceStateName{"stop": "stopped", "": "stopped", "terminate": "terminated"} {
		id := start(behavior)
		c.service.Ended(ec2test.Region, id, compute.Ending{})
		if in := c.get(t, id); in.State.Name != want || *in.StateReason.Code != "Client.InstanceInitiatedShutdown" {
			t.Errorf("%s: got %+v", behavior, in)
		}
		c.service.Running(ec2test.Region, id, compute.Addresses{}) // too late
		if got := c.stateOf(t, id); got != want {
			t.Errorf("%s: a late event made it %s", behavior, got)
		}
	}
	again := start("stop")
	c.service.Ended(ec2test.Region, again, compute.Ending{})
	if _, err := c.Client.StartInstances(t.Context(), &ec2.StartInstancesInput{InstanceIds: []string{again}}); err != nil {
		t.Fatal(err)
	}
	c.service.Ended(ec2test.Region, again, compute.Ending{Code: "Client.InternalError"})
	if in := c.get(t, again); in.State.Name != "stopped" || *in.StateReason.Code != "Client.InternalError" {
		t.Errorf("one that could not be started again is %+v", in)
	}
}
