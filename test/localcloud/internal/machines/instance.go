package machines

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/machine"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/machines/internal/imds"
)

// kind is what an instance is told to do.
type kind int

const (
	start kind = iota
	stop
	reboot
	terminate
)

type command struct {
	kind  kind
	force bool
	spec  compute.Spec // of start
}

// instance is one instance. A goroutine of its own, run, obeys the commands for it.
type instance struct {
	d        *Driver
	id       string
	console  ring
	metadata *imds.Service
	ctx      context.Context //nolint:containedctx // ends when the instance is to be terminated
	cancel   context.CancelFunc
	wake     chan struct{}
	freezing sync.Mutex // held while its disks are read, and while it is switched on

	mu       sync.Mutex
	commands []command
	spec     compute.Spec
	started  time.Time
	power    *power // nil while it is off

	// Of the goroutine run.
	stopping bool             // the power button was pressed
	again    bool             // and it is to be switched on again
	deadline <-chan time.Time // when the power is cut
	press    *time.Ticker
}

func newInstance(d *Driver, id string) *instance {
	in := &instance{d: d, id: id, wake: make(chan struct{}, 1), metadata: imds.New(time.Now)}
	in.ctx, in.cancel = context.WithCancel(d.ctx)
	return in
}

func (in *instance) queue(c command) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.commands = append(in.commands, c)
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// next returns the command to obey now. While the machine is shutting down only those count that make it end faster.
func (in *instance) next() (command, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for i, c := range in.commands {
		if in.stopping && c.kind != terminate && (c.kind != stop || !c.force) {
			continue
		}
		in.commands = append(in.commands[:i:i], in.commands[i+1:]...)
		return c, true
	}
	return command{}, false
}

// run obeys commands until the instance is terminated or the driver is closed.
func (in *instance) run() {
	defer in.cancel()
	for {
		for c, ok := in.next(); ok; c, ok = in.next() {
			if in.obey(c) {
				return
			}
		}
		var off <-chan struct{}
		if p := in.powered(); p != nil {
			off = p.machine.Done()
		}
		var again <-chan time.Time
		if in.press != nil {
			again = in.press.C
		}
		select {
		case <-in.wake:
		case <-off:
			in.wentOff()
		case <-again:
			_ = in.powered().machine.PowerDown() // it may have ended just now
		case <-in.deadline:
			in.d.c.Log.Warn("the guest does not shut down: the power is cut", "instance", in.id)
			in.cut()
		case <-in.d.ctx.Done():
			in.off()
			return
		}
	}
}

// obey returns true when the instance is no more.
func (in *instance) obey(c command) bool {
	p := in.powered()
	switch c.kind {
	case start:
		if p == nil && in.ctx.Err() == nil {
			in.start(c.spec)
		}
	case stop:
		if p != nil && c.force {
			in.again = false
			in.cut()
		} else if p != nil {
			in.button(false)
		}
	case reboot:
		if p != nil {
			in.button(true)
		}
	case terminate:
		in.terminate()
		return true
	}
	return false
}

// powered returns what there is while the machine is on.
func (in *instance) powered() *power {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.power
}

// button presses the power button, again and again until the guest has shut down.
func (in *instance) button(again bool) {
	in.stopping, in.again = true, again
	in.press = time.NewTicker(in.d.pace.press)
	in.deadline = time.After(in.d.pace.off)
	_ = in.powered().machine.PowerDown() // it may have ended just now
}

// cut takes the power from the machine. What the guest had written is kept.
func (in *instance) cut() {
	in.stopping = true
	if err := in.powered().cut(); err != nil {
		in.d.c.Log.Error("the machine cannot be ended", "instance", in.id, "error", err)
	}
	in.deadline = nil
}

// wentOff tells that the machine has ended, or switches it on again.
func (in *instance) wentOff() {
	asked, again, err := in.stopping, in.again, in.powered().machine.Err()
	in.off()
	if in.ctx.Err() != nil {
		return // it is being terminated, or the driver closed
	}
	spec := in.current()
	if again {
		in.start(spec)
		return
	}
	e := compute.Ending{}
	if !asked && !errors.Is(err, machine.ErrPoweredOff) {
		e = compute.Ending{Code: serverError, Message: fmt.Sprintf("the machine failed: %v", err)}
		in.d.c.Log.Error("a machine failed", "instance", in.id, "error", err)
	}
	in.d.c.Observer.Ended(spec.Region, in.id, e)
}

// off releases what a machine needs while it is on.
func (in *instance) off() {
	in.mu.Lock()
	p := in.power
	in.power = nil
	in.mu.Unlock()
	if p != nil {
		p.close()
		in.d.memory.release(in.id)
	}
	if in.press != nil {
		in.press.Stop()
	}
	in.stopping, in.again, in.press, in.deadline = false, false, nil, nil
}

// terminate ends the instance and removes what it has written.
func (in *instance) terminate() {
	in.off()
	region := in.current().Region
	if r, err := in.d.record(in.id); err == nil {
		region = r.Region
	}
	if err := in.d.remove(in.id); err != nil {
		in.d.c.Log.Error("the disks of a terminated instance cannot be removed", "instance", in.id, "error", err)
	}
	in.d.forget(in)
	if region != "" {
		in.d.c.Observer.Ended(region, in.id, compute.Ending{})
	}
}

func (in *instance) current() compute.Spec {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.spec
}

// The codes of a start that failed.
const (
	serverError = "Server.InternalError"
	noCapacity  = "Server.InsufficientInstanceCapacity"
	noSnapshot  = "Client.InvalidSnapshot.NotFound"
)

// start powers the machine on, or tells why it cannot be.
func (in *instance) start(s compute.Spec) {
	began := time.Now()
	in.mu.Lock()
	in.spec = s
	in.mu.Unlock()
	in.freezing.Lock()
	p, err := in.powerOn(s)
	in.freezing.Unlock()
	if err != nil {
		in.d.memory.release(in.id)
		if in.ctx.Err() != nil {
			return // it is being terminated, which will be told
		}
		in.d.c.Log.Error("an instance cannot be started", "instance", in.id, "error", err)
		in.d.c.Observer.Ended(s.Region, in.id, ending(err))
		return
	}
	in.d.c.Log.Info("an instance runs", "instance", in.id, "address", p.addresses.Private, "after", time.Since(began))
	in.d.c.Observer.Running(s.Region, in.id, p.addresses)
	p.watch(func(healthy bool) { in.d.c.Observer.Status(s.Region, in.id, healthy) })
}

func ending(err error) compute.Ending {
	e := compute.Ending{Code: serverError, Message: err.Error()}
	switch {
	case errors.Is(err, errCapacity):
		e.Code = noCapacity
	case errors.Is(err, disk.ErrNotFound):
		e.Code = noSnapshot
	}
	return e
}

// update changes what can be changed of an instance that is on.
func (in *instance) update(change func(*compute.Spec)) {
	in.mu.Lock()
	defer in.mu.Unlock()
	change(&in.spec) // also of one that is being started; that of one that is off is replaced when it is started
	if in.power != nil {
		in.metadata.Set(in.spec, in.started)
		in.power.gate.set(in.spec.Ports)
	}
}
