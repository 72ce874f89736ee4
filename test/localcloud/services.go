package localcloud

import (
	"github.com/iibake/iibake/test/localcloud/internal/cloudwatch"
	"github.com/iibake/iibake/test/localcloud/internal/ebs"
	"github.com/iibake/iibake/test/localcloud/internal/fault"
	"github.com/iibake/iibake/test/localcloud/internal/s3"
	"github.com/iibake/iibake/test/localcloud/internal/ssm"
	"github.com/iibake/iibake/test/localcloud/internal/sts"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// service is what all services of AWS have in common here.
type service interface {
	Register(svc *wire.Service)
}

// resumer is a service that rebuilds from the records what it does by itself: timers, control loops, machines.
type resumer interface {
	Resume(region string)
}

// assembly puts services together.
type assembly struct {
	byName  map[string]*wire.Service
	resumes []resumer
}

// add adds a service under the name in its clients' signatures.
func (a *assembly) add(name string, s service) {
	if a.byName[name] == nil {
		a.byName[name] = wire.NewService(name)
	}
	s.Register(a.byName[name])
	if r, ok := s.(resumer); ok {
		a.resumes = append(a.resumes, r)
	}
}

// assemble makes the services, puts them behind one gateway, and takes up what was under way when the last process ended.
func (e *engine) assemble() error {
	rules, err := readFaults(e.config.Faults)
	if err != nil {
		return err
	}
	e.faults = fault.New(e.store.Clock(), e.config.Seed)
	e.faults.Set(rules)
	a := assembly{byName: map[string]*wire.Service{}}
	accounts := sts.New(e.store.Clock(), e.config.secret, e.config.Accounts)
	a.add("sts", accounts)
	blocks := ebs.New(e.store, e.blocks)
	blocks.SetWindows(e.faults)
	e.closers = append(e.closers, func() error { blocks.Close(); return nil })
	a.add("ebs", blocks)
	a.add("monitoring", cloudwatch.New(e.store))
	a.add("ssm", ssm.New(e.store, e.faults))
	if err := e.addCompute(&a); err != nil {
		return err
	}
	if e.buckets, err = s3.New(s3.Config{Dir: e.config.bucketsDir(), Clock: e.store.Clock()}); err != nil {
		return err
	}
	gateway := wire.NewGateway(wire.Options{
		Services: a.services(), Accounts: accounts, Clock: e.store.Clock(), Interceptor: e.faults, S3: e.buckets, Log: e.config.Log,
	})
	e.check, e.services, e.operations = gateway.Check, gateway, a.operations()
	for _, region := range e.store.Regions() {
		for _, r := range a.resumes {
			r.Resume(region)
		}
	}
	return nil
}

func (a *assembly) services() []*wire.Service {
	all := make([]*wire.Service, 0, len(a.byName))
	for _, s := range a.byName {
		all = append(all, s)
	}
	return all
}

// operations lists what has handlers.
func (a *assembly) operations() map[string][]string {
	all := map[string][]string{}
	for name, s := range a.byName {
		all[name] = s.Operations()
	}
	return all
}
