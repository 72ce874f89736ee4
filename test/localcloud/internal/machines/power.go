package machines

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/iibake/iibake/bake/machine"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/machines/internal/vnet"
)

// power is what an instance has while it is powered on.
type power struct {
	pace      pace
	machine   *machine.Machine
	network   *vnet.Network
	gate      *gate
	drives    *drives
	addresses compute.Addresses
	ctx       context.Context //nolint:containedctx // of the status checks
	cancel    context.CancelFunc
	checks    sync.WaitGroup
}

// powerOn makes everything that the machine needs and starts it.
func (in *instance) powerOn(s compute.Spec) (_ *power, err error) {
	if err := in.d.memory.reserve(s, in.d.memoryOf(s)); err != nil {
		return nil, err
	}
	p := &power{pace: in.d.pace}
	p.ctx, p.cancel = context.WithCancel(in.ctx)
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if s.Addresses, err = in.d.address(s); err != nil {
		return nil, err
	}
	p.addresses = s.Addresses
	if p.drives, err = in.d.openDrives(in.ctx, s); err != nil {
		return nil, fmt.Errorf("disks: %w", err)
	}
	if p.network, err = vnet.New(vnet.Config{Metadata: in.metadata, HopLimit: in.metadata.HopLimit}); err != nil {
		return nil, err
	}
	p.gate = newGate(s.Addresses.Private, p.network.Forward, in.d.c.Ports, in.d.c.Log.With("instance", in.id))
	in.mu.Lock()
	in.started = time.Now()
	s.Ports, s.Metadata, s.Tags = in.spec.Ports, in.spec.Metadata, in.spec.Tags
	in.spec = s
	in.metadata.Set(s, in.started)
	in.mu.Unlock()
	if p.machine, err = machine.Start(context.WithoutCancel(in.ctx), in.d.machine(s, p, &in.console)); err != nil {
		return nil, err
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.power = p
	p.gate.set(in.spec.Ports)
	return p, nil
}

// machine returns the machine of an instance. More processors than the host has would only wait for each other.
func (d *Driver) machine(s compute.Spec, p *power, console *ring) machine.Spec {
	uuid := identity(s.ID)
	return machine.Spec{
		Name: s.ID, Arch: s.Arch, Firmware: s.Firmware, Memory: d.memoryOf(s), CPUs: max(1, min(s.CPUs, runtime.NumCPU())),
		Console: console, Scratch: filepath.Join(d.c.Dir, scratchDir),
		Instance: &machine.Instance{
			Drives: p.drives.list, MAC: s.Metadata.MAC, Plug: p.network.Plug,
			DMI: machine.DMI{Vendor: "Amazon EC2", Version: "1.0", Product: s.Type, UUID: uuid, Serial: uuid, Asset: s.ID},
		},
	}
}

// cut ends the machine. All that the guest has written so far reaches the files.
func (p *power) cut() error {
	_ = p.machine.Pause() // one that has ended has nothing to lose
	return p.machine.Close()
}

// close ends what there is, in the order in which nothing uses what is gone.
func (p *power) close() {
	p.cancel()
	if p.gate != nil {
		p.gate.close()
	}
	if p.machine != nil {
		_ = p.cut()
	}
	if p.network != nil {
		p.network.Close()
	}
	if p.drives != nil {
		p.drives.close()
	}
	p.checks.Wait()
}

// watch checks the status of the machine while it is on, as EC2 does: an instance is well as long as its network card answers to
// its address. The ports answer from the first time on that it does.
func (p *power) watch(tell func(healthy bool)) {
	p.checks.Go(func() {
		late := time.NewTimer(p.pace.up)
		defer late.Stop()
		select {
		case <-p.network.Up():
		case <-late.C:
			tell(false)
			select {
			case <-p.network.Up():
			case <-p.ctx.Done():
				return
			}
		case <-p.ctx.Done():
			return
		}
		p.gate.open()
		tell(true)
		p.check(tell)
	})
}

func (p *power) check(tell func(healthy bool)) {
	healthy := true
	every := time.NewTicker(p.pace.check)
	defer every.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-every.C:
		}
		ctx, cancel := context.WithTimeout(p.ctx, p.pace.answer)
		alive := p.network.Alive(ctx)
		cancel()
		if alive != healthy && p.ctx.Err() == nil {
			healthy = alive
			tell(healthy)
		}
	}
}

// errOff is the error of what only a machine that is on can do.
var errOff = errors.New("the instance is not running")
