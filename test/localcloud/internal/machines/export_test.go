package machines

import (
	"net"
	"time"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
)

// SetPace makes the driver quick.
func (d *Driver) SetPace(press, off, up, check, answer time.Duration) {
	d.pace = pace{press: press, off: off, up: up, check: check, answer: answer}
}

// SetFree replaces what is free of the host's memory.
func (d *Driver) SetFree(free bake.Size) { d.memory.free = func() bake.Size { return free } }

// Plug puts another guest into the place of the one that runs.
func (d *Driver) Plug(id string, cable net.Conn) { d.find(id).powered().network.Plug(cable) }

// Fail ends the machine of an instance as if QEMU had failed.
func (d *Driver) Fail(id string) { _ = d.find(id).powered().machine.Close() }

// Known returns how many instances the driver has on its list.
func (d *Driver) Known() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.instances)
}

// Expand returns the ports that answer.
func Expand(ranges []compute.Port, more ...int) []int { return expand(ranges, more) }

// Explain says what to do about a port that cannot be had.
func Explain(err error, port int) error { return explain(err, port) }

// Matches reports whether a status counts as well.
func Matches(codes string, status int) bool { return matches(codes, status) }

// Identity returns the UUID of an instance.
func Identity(id string) string { return identity(id) }
