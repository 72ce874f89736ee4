package instance_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// in returns an instance that is brought into a state.
func (c *cloud) in(t testing.TB, want ec2types.InstanceStateName) string {
	t.Helper()
	id := *c.launch(t, nil).InstanceId
	if want == "pending" {
		return id
	}
	c.service.Running(ec2test.Region, id, compute.Addresses{Public: "100.64.0.9"})
	var err error
	switch want {
	case "stopping", "stopped":
		_, err = c.Client.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: []string{id}})
	case "shutting-down", "terminated":
		_, err = c.Client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
	case "pending", "running":
	}
	if want == "stopped" || want == "terminated" {
		c.service.Ended(ec2test.Region, id, compute.Ending{})
	}
	if got := c.stateOf(t, id); err != nil || got != want {
		t.Fatalf("it is %s, not %s: %v", got, want, err)
	}
	return id
}

// What each operation does in each state: the state after it, or the error's code.
func TestTransitions(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.driver.Manual = true
	const bad, wrong = "IncorrectInstanceState", "IncorrectState"
	for from, v := range map[ec2types.InstanceStateName]struct{ start, stop, force, reboot, terminate, calls string }{
		"pending":       {"pending", bad, bad, wrong, "shutting-down", "terminate"},
		"running":       {"running", "stopping", "stopping", "running", "shutting-down", "stop kill reboot terminate"},
		"stopping":      {bad, "stopping", "stopping", wrong, "shutting-down", "kill terminate"},
		"stopped":       {"pending", "stopped", "stopped", wrong, "terminated", "start terminate"},
		"shutting-down": {bad, bad, bad, wrong, "shutting-down", ""},
		"terminated":    {bad, bad, bad, wrong, "terminated", ""},
	} {
		told := ""
		for i, want := range []string{v.start, v.stop, v.force, v.reboot, v.terminate} {
			id := c.in(t, from)
			c.driver.Calls()
			ids, ctx := []string{id}, t.Context()
			var changes []ec2types.InstanceStateChange
			var err error
			switch i {
			case 0:
				var out *ec2.StartInstancesOutput
				if out, err = c.Client.StartInstances(ctx, &ec2.StartInstancesInput{InstanceIds: ids}); err == nil {
					changes = out.StartingInstances
				}
			case 1, 2:
				var out *ec2.StopInstancesOutput
				if out, err = c.Client.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: ids, Force: aws.Bool(i == 2)}); err == nil {
					changes = out.StoppingInstances
				}
			case 3:
				_, err = c.Client.RebootInstances(ctx, &ec2.RebootInstancesInput{InstanceIds: ids})
			case 4:
				var out *ec2.TerminateInstancesOutput
				if out, err = c.Client.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: ids}); err == nil {
					changes = out.TerminatingInstances
				}
			}
			got := ec2test.FailureOf(err).Code
			if err == nil {
				got = string(c.stateOf(t, id))
			}
			if got != want {
				t.Errorf("%s, operation %d: got %s, want %s", from, i, got, want)
			}
			if len(changes) == 1 && (changes[0].PreviousState.Name != from || string(changes[0].CurrentState.Name) != want) {
				t.Errorf("%s, operation %d: told %+v", from, i, changes[0])
			}
			for _, call := range c.driver.Calls() {
				var what string
				_, _ = fmt.Sscan(call, &what)
				told += " " + what
			}
		}
		if told = trim(told); told != v.calls {
			t.Errorf("%s: the driver was told %q, want %q", from, told, v.calls)
		}
	}
}

func trim(s string) string {
	if s != "" {
		return s[1:]
	}
	return s
}

// What all operations that name instances refuse, and in which order.
func TestInstancesRefuse(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id, ctx := c.running(t, nil), t.Context()
	for name, call := range map[string]func(client *ec2.Client, ids []string, dry *bool) error{
		"start": func(client *ec2.Client, ids []string, dry *bool) error {
			_, err := client.StartInstances(ctx, &ec2.StartInstancesInput{InstanceIds: ids, DryRun: dry})
			return err
		},
		"stop": func(client *ec2.Client, ids []string, dry *bool) error {
			_, err := client.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: ids, DryRun: dry})
			return err
		},
		"reboot": func(client *ec2.Client, ids []string, dry *bool) error {
			_, err := client.RebootInstances(ctx, &ec2.RebootInstancesInput{InstanceIds: ids, DryRun: dry})
			return err
		},
		"terminate": func(client *ec2.Client, ids []string, dry *bool) error {
			_, err := client.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: ids, DryRun: dry})
			return err
		},
		"monitor": func(client *ec2.Client, ids []string, dry *bool) error {
			_, err := client.MonitorInstances(ctx, &ec2.MonitorInstancesInput{InstanceIds: ids, DryRun: dry})
			return err
		},
		"describe": func(client *ec2.Client, ids []string, dry *bool) error {
			_, err := client.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: ids, DryRun: dry})
			return err
		},
		"status": func(client *ec2.Client, ids []string, dry *bool) error {
			_, err := client.DescribeInstanceStatus(ctx, &ec2.DescribeInstanceStatusInput{InstanceIds: ids, DryRun: dry})
			return err
		},
		"credits": func(client *ec2.Client, ids []string, dry *bool) error {
			_, err := client.DescribeInstanceCreditSpecifications(ctx, &ec2.DescribeInstanceCreditSpecificationsInput{InstanceIds: ids, DryRun: dry})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dry := aws.Bool(true)
			ec2test.Expect(t, call(c.Client, []string{id, "oops"}, dry), "InvalidInstanceID.Malformed", `Invalid id: "oops"`)
			ec2test.Expect(t, call(c.Client, []string{id, "i-00000000000000001"}, dry), "InvalidInstanceID.NotFound", "The instance ID 'i-00000000000000001' does not exist")
			ec2test.Expect(t, call(c.Client, []string{"i-00000001", "i-00000002", "i-00000001"}, nil), "InvalidInstanceID.NotFound", "")
			ec2test.Expect(t, call(c.As(ec2test.Other), []string{id}, nil), "InvalidInstanceID.NotFound", "The instance ID '"+id+"' does not exist")
			ec2test.Expect(t, call(c.In("eu-west-1", ec2test.Account), []string{id}, nil), "InvalidInstanceID.NotFound", "The instance ID '"+id+"' does not exist")
			ec2test.Expect(t, call(c.Client, []string{id, id}, dry), "DryRunOperation", "")
		})
	}
	t.Cleanup(func() { // after the cases
		if calls := c.driver.Calls(); len(calls) != 1 {
			t.Errorf("refused requests had the driver do %q", calls)
		}
	})
}

// An instance gets the root disk of another image, keeps everything else, and comes back by itself.
func TestReplaceRoot(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id, next := c.running(t, nil), c.Image(t, nil)
	before := c.get(t, id)
	replace := func(id, image string) (err error) {
		c.Update(t, func(r *state.Region) { err = c.service.ReplaceRoot(r, id, image) })
		return err
	}
	replacing := func() (yes bool) {
		c.View(t, func(r *state.Region) { yes = c.service.ReplacingRoot(r, id) })
		return yes
	}
	if err := replace(id, "ami-1"); err == nil || err.Error() != "InvalidAMIID.NotFound: The image id '[ami-1]' does not exist" || replacing() {
		t.Errorf("got %v", err)
	}
	if err := replace("i-1", next); err == nil {
		t.Error("the root of no instance was replaced")
	}
	if err := replace(id, next); err != nil || !replacing() {
		t.Fatalf("got %v", err)
	}
	c.Clock.Advance(22 * time.Second) // stopped, and starting
	if got := c.stateOf(t, id); got != "pending" || !replacing() {
		t.Errorf("it is %s", got)
	}
	c.Clock.Advance(5 * time.Second)
	after := c.get(t, id)
	if after.State.Name != "running" || replacing() || *after.ImageId != next || *after.PrivateIpAddress != *before.PrivateIpAddress ||
		*after.BlockDeviceMappings[0].Ebs.VolumeId == *before.BlockDeviceMappings[0].Ebs.VolumeId {
		t.Errorf("got %+v", after)
	}
	if spec := c.driver.Spec(id); spec.Disks[0].Volume != *after.BlockDeviceMappings[0].Ebs.VolumeId {
		t.Errorf("it runs with %+v", spec.Disks)
	}
	c.View(t, func(r *state.Region) {
		if r.Volumes.Len() != 1 {
			t.Errorf("%d volumes are left", r.Volumes.Len())
		}
	})
	// Where the image goes meanwhile, the instance stays stopped with the disk that it has.
	if err := replace(id, next); err != nil {
		t.Fatal(err)
	}
	c.Update(t, func(r *state.Region) { r.Images.Edit(next).Deregistered = true })
	c.Clock.Advance(time.Minute)
	if got := c.get(t, id); got.State.Name != "stopped" || replacing() || len(got.BlockDeviceMappings) != 1 {
		t.Errorf("got %+v", got)
	}
}
