package localcloud

import (
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/autoscaling"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/elb"
	"github.com/iibake/iibake/test/localcloud/internal/image"
	"github.com/iibake/iibake/test/localcloud/internal/instance"
	"github.com/iibake/iibake/test/localcloud/internal/machines"
	"github.com/iibake/iibake/test/localcloud/internal/simulation"
	"github.com/iibake/iibake/test/localcloud/internal/ssm"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// addCompute adds what has instances: EC2, load balancers and groups, in front of what runs them.
func (e *engine) addCompute(a *assembly) error {
	images := image.New(e.store, e.blocks)
	images.SetWindows(e.faults)
	e.closers = append(e.closers, func() error { images.Close(); return nil })
	e.images = images
	a.add("ec2", images)
	instances := instance.New(e.store)
	instances.ResolveWith(ssm.Resolve)
	if err := e.startDriver(images, instances); err != nil {
		return err
	}
	instances.Attach(e.driver)
	balancers := elb.New(e.store, e.driver)
	instances.Watch(balancers.InstanceChanged)
	if !e.config.Simulate { // simulated instances have no address that answers
		e.background(elb.NewForwarder(balancers, e.config.Log).Run)
	}
	a.add("ec2", instances)
	a.add("elasticloadbalancing", balancers)
	a.add("autoscaling", autoscaling.New(e.store, instances, balancers))
	return nil
}

// startDriver makes what runs the instances, and tells the images what it knows of their disks.
func (e *engine) startDriver(images *image.Service, o compute.Observer) error {
	if !e.config.Simulate {
		return e.startMachines(images, o)
	}
	scenario, err := readScenario(e.config.Scenario)
	if err != nil {
		return err
	}
	if scenario.Seed == 0 {
		scenario.Seed = e.config.Seed
	}
	e.driver = simulation.New(simulation.Config{Clock: e.store.Clock(), Observer: o, Scenario: scenario})
	return nil
}

func (e *engine) startMachines(images *image.Service, o compute.Observer) error {
	d, err := machines.New(machines.Config{
		Blocks: e.blocks, Dir: e.config.machinesDir(), Observer: o, Keep: e.isInstance,
		MaxInstances: e.config.MaxInstances, Memory: e.config.Memory, Log: e.config.Log,
	})
	if err != nil {
		return err
	}
	e.driver = d
	e.closers = append(e.closers, d.Close)
	images.SetDisks(d, func(r *state.Region, id string) {
		r.Then(func() { d.Reboot(id) })
	})
	return nil
}

// isInstance reports whether an instance is on record and has not ended: its disks are needed.
func (e *engine) isInstance(id string) (needed bool) {
	for _, region := range e.store.Regions() {
		_ = e.store.View(region, func(r *state.Region) error {
			in := r.Instances.Get(id)
			needed = needed || in != nil && in.State.Name != ec2types.InstanceStateNameTerminated
			return nil
		})
	}
	return needed
}

func readScenario(d Document) (*simulation.Scenario, error) {
	if len(d.Text) == 0 {
		return &simulation.Scenario{}, nil
	}
	s, err := simulation.Parse(d.Name, d.Text)
	if err != nil {
		return nil, &documentError{err}
	}
	return s, nil
}
