package localcloud

import (
	"github.com/iibake/iibake/test/localcloud/internal/autoscaling"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/elb"
	"github.com/iibake/iibake/test/localcloud/internal/image"
	"github.com/iibake/iibake/test/localcloud/internal/instance"
	"github.com/iibake/iibake/test/localcloud/internal/simulation"
	"github.com/iibake/iibake/test/localcloud/internal/ssm"
)

// addCompute adds what has instances: EC2, load balancers and groups, in front of what runs them.
func (e *engine) addCompute(a *assembly) error {
	images := image.New(e.store, e.blocks)
	images.SetWindows(e.faults)
	e.closers = append(e.closers, func() error { images.Close(); return nil })
	a.add("ec2", images)
	instances := instance.New(e.store)
	instances.ResolveWith(ssm.Resolve)
	if err := e.startDriver(instances); err != nil || e.driver == nil {
		return err
	}
	instances.Attach(e.driver)
	balancers := elb.New(e.store, e.driver)
	a.add("ec2", instances)
	a.add("elasticloadbalancing", balancers)
	a.add("autoscaling", autoscaling.New(e.store, instances, balancers))
	return nil
}

// startDriver makes what runs the instances.
func (e *engine) startDriver(o compute.Observer) error {
	if !e.config.Simulate {
		return nil
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
