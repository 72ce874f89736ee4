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
		d.after(m, 0, func() {
			d.end(m, compute.Ending{Code: "Client.InternalError", Message: "Client.InternalError: " + err.Error()})
		})
	case m.does.Fail != "":
		d.when(m, m.does.Boot, func() { d.end(m, compute.Ending{Code: m.does.Fail, Message: reason(m.does.Fail)}) })
	default:
		d.when(m, m.does.Boot, func() { d.running(m) })
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
	ended := func() { d.end(m, compute.Ending{}) }
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
	ended := func() { d.end(m, compute.Ending{}) }
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

// running is called when the boot time of a machine has passed.
func (d *Driver) running(m *machine) {
	d.mu.Lock()
	m.phase = up
	d.guest(m)
	d.when(m, m.does.SickAfter, func() { d.sicken(m) })
	d.when(m, m.does.DiesAfter, func() { d.end(m, compute.Ending{}) })
	d.checks(m)
	id, addresses := m.id, m.addresses
	d.mu.Unlock()
	d.observer.Running(m.region, id, addresses)
}

// checks sets the time of the first status checks that say something.
func (d *Driver) checks(m *machine) {
	wait, passes := m.does.Status.Pick(m.random)
	if !passes {
		wait, _ = d.choose.usual.Status.Pick(m.random)
	}
	d.after(m, wait, func() { d.status(m, passes) })
}

// status tells what the status checks find.
func (d *Driver) status(m *machine, healthy bool) {
	d.mu.Lock()
	healthy = healthy && !m.sick
	d.mu.Unlock()
	d.observer.Status(m.region, m.id, healthy)
}

// guest sets the time at which the guest has booted: one that never gets well at the usual one, for its console. The lock is held.
func (d *Driver) guest(m *machine) {
	wait, well := m.does.Healthy.Pick(m.random)
	if !well {
		wait, _ = d.choose.usual.Healthy.Pick(m.random)
	}
	d.after(m, wait, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		m.shown, m.answers = true, well && !m.sick
	})
}

func (d *Driver) sicken(m *machine) {
	d.mu.Lock()
	m.sick, m.answers = true, false
	d.mu.Unlock()
	d.observer.Status(m.region, m.id, false)
}

// end powers a machine off and says so.
func (d *Driver) end(m *machine, e compute.Ending) {
	d.mu.Lock()
	next := off
	if m.phase == terminating {
		next = gone
	}
	m.power(next)
	if next == gone {
		d.clock.AfterFunc(remember, func() { d.forget(m.id) })
	}
	d.mu.Unlock()
	d.observer.Ended(m.region, m.id, e)
}

func (d *Driver) forget(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.machines, id)
}

// when calls f when a span of a machine has passed, unless its power changed meanwhile. The lock is held.
func (d *Driver) when(m *machine, s *clock.Span, f func()) {
	if wait, ever := s.Pick(m.random); ever {
		d.after(m, wait, f)
	}
}

// after calls f, without the lock, when a time has passed, unless the power of the machine changed meanwhile. The lock is held.
func (d *Driver) after(m *machine, wait time.Duration, f func()) {
	turn := m.turn
	timer := d.clock.AfterFunc(wait, func() {
		d.mu.Lock()
		stale := m.turn != turn
		d.mu.Unlock()
		if !stale {
			f()
		}
	})
	m.timers = append(m.timers, timer)
}
