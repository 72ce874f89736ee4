// Package simulation runs instances without machines: what an instance does, and when, is said by a scenario and by its tags. It lives on
// the clock alone, so that an hour of tens of thousands of instances passes in seconds.
package simulation

import (
	"sync"
	"time"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
)

// remember is for how long the console of an instance that ended can be read.
const remember = time.Hour

// Config is what a Driver needs.
type Config struct {
	Clock    clock.Clock
	Observer compute.Observer
	Scenario *Scenario // nil: every instance behaves as usual
}

// Driver is a compute.Driver. Instances of the same order of calls, seed and clock behave alike in every run.
type Driver struct {
	clock    clock.Clock
	observer compute.Observer

	mu        sync.Mutex
	choose    *chooser
	machines  map[string]*machine
	addresses addresses
}

// New returns a driver without instances.
func New(c Config) *Driver {
	return &Driver{clock: c.Clock, observer: c.Observer, choose: newChooser(c.Scenario), machines: map[string]*machine{}}
}

// SetScenario has the instances that start from now on behave as s says; those that run go on as they do. Its rules count from their
// beginning.
func (d *Driver) SetScenario(s *Scenario) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.choose = newChooser(s)
}

// Start powers an instance on.
func (d *Driver) Start(s compute.Spec) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := d.machines[s.ID]
	if m == nil {
		m = &machine{id: s.ID, region: s.Region, addresses: d.addresses.take(s.Addresses)}
		d.machines[s.ID] = m
	}
	if m.phase != off {
		return
	}
	m.power(booting)
	m.image, m.kind, m.zone = s.Metadata.ImageID, s.Type, s.Zone
	var err error
	m.does, m.random, err = d.choose.script(&s)
	switch {
	case err != nil:
		d.after(m, 0, func() report {
			return d.end(m, compute.Ending{Code: "Client.InternalError", Message: "Client.InternalError: " + err.Error()})
		})
	case m.does.Fail != "":
		d.when(m, m.does.Boot, func() report { return d.end(m, compute.Ending{Code: m.does.Fail, Message: reason(m.does.Fail)}) })
	default:
		d.when(m, m.does.Boot, func() report { return d.running(m) })
	}
}

// Stop shuts the guest down in its own time, or within a second if force is set.
func (d *Driver) Stop(id string, force bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := d.machines[id]
	if m == nil || m.phase != booting && m.phase != up && m.phase != stopping {
		return
	}
	m.power(stopping)
	ended := func() report { return d.end(m, compute.Ending{}) }
	if force {
		d.after(m, time.Second, ended)
	} else {
		d.when(m, m.does.Stop, ended)
	}
}

// Terminate ends an instance.
func (d *Driver) Terminate(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := d.machines[id]
	if m == nil || m.phase == terminating || m.phase == gone {
		return
	}
	was := m.phase
	m.power(terminating)
	ended := func() report { return d.end(m, compute.Ending{}) }
	if was == off {
		d.after(m, 0, ended) // nothing has to be shut down
	} else {
		d.when(m, m.does.Terminate, ended)
	}
}

// Reboot restarts the guest: it answers again after the time that it takes to be healthy.
func (d *Driver) Reboot(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if m := d.machines[id]; m != nil && m.phase == up {
		m.answers = false
		d.guest(m)
	}
}

// Console returns what the serial console has shown: nothing until the guest has booted, as EC2 does.
func (d *Driver) Console(id string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if m := d.machines[id]; m != nil {
		return m.console()
	}
	return nil
}

// report is what the observer is to be told when the lock is free.
type report func(o compute.Observer)

// running comes when the boot time of a machine has passed. The lock is held, as in all that after calls.
func (d *Driver) running(m *machine) report {
	m.phase = up
	d.guest(m)
	d.checks(m)
	d.when(m, m.does.SickAfter, func() report {
		m.sick, m.answers = true, false
		return d.status(m, false)
	})
	d.when(m, m.does.DiesAfter, func() report { return d.end(m, compute.Ending{}) })
	return func(o compute.Observer) { o.Running(m.region, m.id, m.addresses) }
}

// checks sets the time of the first status checks that say something.
func (d *Driver) checks(m *machine) {
	wait, passes := m.does.Status.Pick(m.random)
	if !passes {
		wait, _ = d.choose.usual.Status.Pick(m.random)
	}
	d.after(m, wait, func() report { return d.status(m, passes && !m.sick) })
}

func (d *Driver) status(m *machine, healthy bool) report {
	return func(o compute.Observer) { o.Status(m.region, m.id, healthy) }
}

// guest sets the time at which the guest has booted: one that never gets well at the usual one, for its console.
func (d *Driver) guest(m *machine) {
	wait, well := m.does.Healthy.Pick(m.random)
	if !well {
		wait, _ = d.choose.usual.Healthy.Pick(m.random)
	}
	m.boots++
	boot := m.boots
	d.after(m, wait, func() report {
		if m.boots == boot {
			m.shown, m.answers = true, well && !m.sick
		}
		return nil
	})
}

// end powers a machine off.
func (d *Driver) end(m *machine, e compute.Ending) report {
	next := off
	if m.phase == terminating {
		next = gone
		d.clock.AfterFunc(remember, func() { d.forget(m.id) })
	}
	m.power(next)
	return func(o compute.Observer) { o.Ended(m.region, m.id, e) }
}

func (d *Driver) forget(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.machines, id)
}

// when is after with a span of the machine's; nothing comes of one that never ends.
func (d *Driver) when(m *machine, s *clock.Span, f func() report) {
	if wait, ever := s.Pick(m.random); ever {
		d.after(m, wait, f)
	}
}

// after calls f when a time has passed, unless the power of the machine changed meanwhile, and then tells the observer what f says. The lock is
// held, here and while f is called.
func (d *Driver) after(m *machine, wait time.Duration, f func() report) {
	turn := m.turn
	m.timers = append(m.timers, d.clock.AfterFunc(wait, func() {
		if tell := d.due(m, turn, f); tell != nil {
			tell(d.observer)
		}
	}))
}

func (d *Driver) due(m *machine, turn int, f func() report) report {
	d.mu.Lock()
	defer d.mu.Unlock()
	if m.turn != turn {
		return nil
	}
	return f()
}
