package instance_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"pgregory.net/rapid"

	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/ec2test"
	"github.com/iibake/iibake/test/localcloud/internal/instance"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// allowed are the changes of state that EC2 knows.
func allowed(from, to ec2types.InstanceStateName) bool {
	next := map[ec2types.InstanceStateName][]ec2types.InstanceStateName{
		"": {"pending"}, "pending": {"running", "shutting-down", "terminated", "stopped"}, "running": {"stopping", "shutting-down", "stopped", "terminated"},
		"stopping": {"stopped", "shutting-down"}, "stopped": {"pending", "terminated"}, "shutting-down": {"terminated"},
	}
	return slices.Contains(next[from], to)
}

// Whatever users ask for and machines do, in any order: instances only change as EC2's do, what they have is what their state says, and nothing is left.
func TestStateMachine(outer *testing.T) {
	outer.Parallel()
	c := newCloud(outer) // one for all runs, for each leaves nothing
	c.driver.Manual = true
	var wrong []string
	last := map[string]ec2types.InstanceStateName{}
	c.service.Watch(func(_ *state.Region, in *state.Instance) {
		id, now := *in.InstanceId, in.State.Name
		if from := last[id]; from != now && !allowed(from, now) {
			wrong = append(wrong, fmt.Sprintf("%s went from %q to %q", id, from, now))
		}
		last[id] = now
	})
	image := c.Image(outer, nil)
	rapid.Check(outer, func(t *rapid.T) {
		endAll(t, c)
		wrong = nil
		var ids []string
		pick := func(t *rapid.T) string {
			if len(ids) == 0 {
				return "i-00000000000000001"
			}
			return rapid.SampledFrom(ids).Draw(t, "id")
		}
		ctx := outer.Context()
		actions := map[string]func(*rapid.T){
			"launch": func(t *rapid.T) {
				behavior := rapid.SampledFrom([]ec2types.ShutdownBehavior{"stop", "terminate"}).Draw(t, "behavior")
				out, err := c.Client.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: &image, InstanceType: "t3.nano", MinCount: aws.Int32(1), MaxCount: aws.Int32(2), InstanceInitiatedShutdownBehavior: behavior})
				if err != nil {
					t.Fatal(err)
				}
				for _, in := range out.Instances {
					ids = append(ids, *in.InstanceId)
				}
			},
			"stop": func(t *rapid.T) {
				_, _ = c.Client.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{pick(t)}, Force: aws.Bool(rapid.Bool().Draw(t, "force"))})
			},
			"start": func(t *rapid.T) {
				_, _ = c.Client.StartInstances(ctx, &ec2.StartInstancesInput{InstanceIds: []string{pick(t)}})
			},
			"terminate": func(t *rapid.T) {
				_, _ = c.Client.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{pick(t)}})
			},
			"reboot": func(t *rapid.T) {
				_, _ = c.Client.RebootInstances(ctx, &ec2.RebootInstancesInput{InstanceIds: []string{pick(t)}})
			},
			"running": func(t *rapid.T) { c.service.Running(ec2test.Region, pick(t), compute.Addresses{Public: "100.64.0.9"}) },
			"status":  func(t *rapid.T) { c.service.Status(ec2test.Region, pick(t), rapid.Bool().Draw(t, "healthy")) },
			"ended": func(t *rapid.T) {
				code := rapid.SampledFrom([]string{"", "Server.InternalError"}).Draw(t, "code")
				c.service.Ended(ec2test.Region, pick(t), compute.Ending{Code: code})
			},
			"time": func(t *rapid.T) {
				c.Clock.Advance(time.Duration(rapid.IntRange(1, 90).Draw(t, "minutes")) * time.Minute)
			},
			"": func(t *rapid.T) {
				if len(wrong) > 0 {
					t.Fatal(wrong)
				}
				c.View(t, func(r *state.Region) { checkInvariants(t, r) })
			},
		}
		t.Repeat(actions)

		endAll(t, c)
		c.View(t, func(r *state.Region) {
			if r.Instances.Len()+r.Volumes.Len()+c.driver.Machines() != 0 {
				t.Errorf("left: %d instances, %d volumes, %d machines", r.Instances.Len(), r.Volumes.Len(), c.driver.Machines())
			}
		})
	})
}

// endAll ends all instances and waits until they are forgotten.
func endAll(t *rapid.T, c *cloud) {
	var ids []string
	c.Update(t, func(r *state.Region) {
		for id := range r.Instances.Sorted() {
			ids = append(ids, id)
		}
		c.service.Terminate(r, ids)
	})
	for _, id := range ids {
		c.service.Ended(ec2test.Region, id, compute.Ending{})
	}
	c.Clock.Advance(2 * time.Hour)
}

func checkInvariants(t *rapid.T, r *state.Region) {
	addresses, attached := map[string]string{}, 0
	for id, in := range r.Instances.All() {
		switch over := in.State.Name == "terminated"; {
		case over && (in.Address != "" || len(in.NetworkInterfaces)+len(in.BlockDeviceMappings) != 0 || in.Terminated.IsZero()):
			t.Errorf("%s is terminated and has %+v", id, in)
		case !over && addresses[in.Address] != "":
			t.Errorf("%s and %s have the address %s", id, addresses[in.Address], in.Address)
		case !over && (in.Address == "" || len(in.NetworkInterfaces) != 1 || len(in.BlockDeviceMappings) != 1):
			t.Errorf("%s is %s and has %+v", id, in.State.Name, in)
		case !over:
			addresses[in.Address] = id
			attached++
		}
		if (in.PublicIpAddress != nil) != (in.State.Name == "running" || in.State.Name == "stopping" || in.State.Name == "shutting-down") && in.PublicIpAddress != nil {
			t.Errorf("%s is %s and has the public address %s", id, in.State.Name, *in.PublicIpAddress)
		}
		if checked := in.Status == "ok" || in.Status == "impaired"; checked && in.State.Name != "running" {
			t.Errorf("%s is %s and its status is %s", id, in.State.Name, in.Status)
		}
	}
	if r.Volumes.Len() != attached {
		t.Errorf("%d volumes of %d instances", r.Volumes.Len(), attached)
	}
}

// A restart of the process loses what ran, and nothing else.
func TestResume(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.driver.Manual = true
	ids := map[string]string{}
	for _, want := range []string{"pending", "running", "stopping", "stopped", "shutting-down", "terminated"} {
		id := *c.launch(t, nil).InstanceId
		ids[want] = id
		if want == "pending" {
			continue
		}
		c.service.Running(ec2test.Region, id, compute.Addresses{})
		switch want {
		case "stopping", "stopped":
			_, _ = c.Client.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: []string{id}})
		case "shutting-down", "terminated":
			_, _ = c.Client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
		}
		if want == "stopped" || want == "terminated" {
			c.service.Ended(ec2test.Region, id, compute.Ending{})
		}
	}
	c.driver.Calls()
	next := c.restarted()
	next.Resume(ec2test.Region)
	got := map[string]string{}
	for was, id := range ids {
		got[was] = string(c.stateOf(t, id))
	}
	want := map[string]string{"pending": "pending", "running": "running", "stopping": "stopped", "stopped": "stopped", "shutting-down": "terminated", "terminated": "terminated"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if n := len(c.driver.Calls()); n != 3 { // start pending and running, terminate shutting-down
		t.Errorf("the driver was told %d things", n)
	}
	c.Clock.Advance(2 * time.Hour)
	c.View(t, func(r *state.Region) {
		if r.Instances.Len() != 4 {
			t.Errorf("%d instances are remembered", r.Instances.Len())
		}
	})
}

// restarted returns the service as a new process has it, over the same records and the same driver.
func (c *cloud) restarted() *instance.Service {
	s := instance.New(c.Store)
	s.Attach(c.driver)
	return s
}
