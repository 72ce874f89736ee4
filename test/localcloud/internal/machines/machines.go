// Package machines runs instances as QEMU machines on this host: a compute.Driver.
//
// An instance boots the blocks of its image, read as the guest asks for them, under an overlay of its own for each disk that
// lasts until it is terminated. Its firmware says Amazon EC2, so that the unmodified image takes itself for an instance and finds its
// metadata service. Its network is a TCP/IP stack of this process (internal/vnet). Everything of a machine dies with this process,
// however that ends; what the guest had written by then is there when the instance is started again.
//
// An instance has one address of 127.0.0.0/8, private and public at once: that is where this host reaches it. The ports that its security
// groups open to everybody answer there as soon as the guest uses its network. Of a range of more than 128 ports those answer that
// are well known or named in the configuration. The guest itself has another address, 10.0.2.15, and instances do not reach each other.
package machines

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/disk"
	"github.com/iibake/iibake/bake/machine"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/machines/internal/base"
)

// Config is what a driver needs.
type Config struct {
	Blocks   *disk.Store      // holds the images
	Dir      string           // for what machines write; only one driver at a time can have it
	Observer compute.Observer // is told what becomes of instances

	// Keep says of an instance whose disks an earlier driver has left in Dir whether they will be needed: those of others are removed. Nil
	// keeps all.
	Keep func(id string) bool

	MaxInstances   int       // that are powered on at once; 0 for any number
	Memory         bake.Size // of all that are powered on; 0 for three quarters of the host's
	InstanceMemory bake.Size // most that an instance gets, whatever its type has; 0 for no limit
	Ports          []int     // that answer if a wide range is open, besides the well-known ones

	Log *slog.Logger // default: nowhere
}

// Folders and files in Config.Dir.
const (
	lockName     = "lock"
	instancesDir = "instances" // ID → the disks of an instance
	scratchDir   = "scratch"   // files without a name
)

// Driver runs instances. It is safe for concurrent use.
type Driver struct {
	c       Config
	lock    *os.File
	images  *base.Images
	memory  budget
	pace    pace
	running sync.WaitGroup
	ctx     context.Context //nolint:containedctx // of all machines; ends with Close
	cancel  context.CancelFunc

	mu        sync.Mutex
	instances map[string]*instance // by id, from the first call for it until it is terminated
	taken     map[string]string    // address → id
	ended     []*instance          // terminated lately, the newest last: their consoles can still be read
}

const remembered = 100 // terminated instances whose consoles can still be read

// New returns a driver, or an error that says what this host lacks. What instances have left in the folder that nobody needs any
// more is removed.
func New(c Config) (*Driver, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Keep == nil {
		c.Keep = func(string) bool { return true }
	}
	d := &Driver{c: c, instances: map[string]*instance{}, taken: map[string]string{}, pace: paces()}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	if err := d.open(); err != nil {
		d.cancel()
		if d.lock != nil {
			err = errors.Join(err, d.lock.Close())
		}
		return nil, fmt.Errorf("run machines: %w", err)
	}
	return d, nil
}

func (d *Driver) open() (err error) {
	if err := machine.Installed(bake.AMD64); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(d.c.Dir, instancesDir), 0o700); err != nil {
		return err
	}
	if d.lock, err = lockDir(d.c.Dir); err != nil {
		return err
	}
	d.images = base.New(d.c.Blocks, filepath.Join(d.c.Dir, scratchDir))
	if d.memory, err = newBudget(d.c); err != nil {
		return err
	}
	if err := d.sweep(); err != nil {
		return err
	}
	d.background(func() { // so that the first instance need not wait for it
		_, _ = machine.Accelerator(d.ctx, bake.AMD64, filepath.Join(d.c.Dir, scratchDir)) // it will say what is wrong
	})
	if err := PrivilegedPorts(d.ctx); err != nil {
		d.c.Log.Warn("instances will not answer on their low ports", "error", err)
	}
	return nil
}

// Close switches all machines off at once. Their disks stay.
func (d *Driver) Close() error {
	d.mu.Lock()
	d.cancel() // nothing is begun from now on
	d.mu.Unlock()
	d.running.Wait()
	d.images.Close()
	return d.lock.Close()
}

// Start powers an instance on. See compute.Driver.
func (d *Driver) Start(s compute.Spec) {
	d.tell(s.ID, true, command{kind: start, spec: s})
}

// Stop presses the power button, or cuts the power.
func (d *Driver) Stop(id string, force bool) {
	d.tell(id, false, command{kind: stop, force: force})
}

// Reboot presses the power button, and switches the machine on again when it is off.
func (d *Driver) Reboot(id string) {
	d.tell(id, false, command{kind: reboot})
}

// Terminate cuts the power and removes the disks.
func (d *Driver) Terminate(id string) {
	if in := d.tell(id, true, command{kind: terminate}); in != nil {
		in.cancel()
	}
}

// SetPorts replaces the ports that answer. Connections through one that does not any more go on.
func (d *Driver) SetPorts(id string, ports []compute.Port) {
	if in := d.find(id); in != nil {
		in.update(func(s *compute.Spec) { s.Ports = ports })
	}
}

// SetMetadata replaces what the metadata service tells.
func (d *Driver) SetMetadata(id string, m compute.Metadata, tags map[string]string) {
	if in := d.find(id); in != nil {
		in.update(func(s *compute.Spec) { s.Metadata, s.Tags = m, tags })
	}
}

// Console returns what the serial console has shown.
func (d *Driver) Console(id string) []byte {
	if in := d.find(id); in != nil {
		return in.console.bytes()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, in := range d.ended {
		if in.id == id {
			return in.console.bytes()
		}
	}
	return nil
}

func (d *Driver) find(id string) *instance {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.instances[id]
}

// background does something that Close waits for, unless it has been called.
func (d *Driver) background(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ctx.Err() == nil {
		d.running.Go(f)
	}
}

// tell queues a command for an instance, which comes into being with it if create is set, and returns the instance.
func (d *Driver) tell(id string, create bool, c command) *instance {
	d.mu.Lock()
	defer d.mu.Unlock()
	in := d.instances[id]
	if in == nil {
		if !create || d.ctx.Err() != nil {
			return nil
		}
		in = newInstance(d, id)
		d.instances[id] = in
		d.running.Go(in.run)
	}
	in.queue(c)
	return in
}

// forget takes an instance that was terminated off the list.
func (d *Driver) forget(in *instance) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.instances, in.id)
	for address, id := range d.taken {
		if id == in.id {
			delete(d.taken, address)
		}
	}
	d.ended = append(d.ended, in)
	d.ended = d.ended[max(0, len(d.ended)-remembered):]
}

// pace is how long things may take.
type pace struct {
	press  time.Duration // between two presses of the power button: a guest that is not up yet does not notice
	off    time.Duration // from the first press until the power is cut
	up     time.Duration // from power on until a guest that does not use its network is reported as impaired
	check  time.Duration // between two status checks
	answer time.Duration // that a guest has to answer one
}

func paces() pace {
	return pace{press: 3 * time.Second, off: 2 * time.Minute, up: 10 * time.Minute, check: 30 * time.Second, answer: 10 * time.Second}
}
