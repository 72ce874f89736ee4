package simulation

import (
	"fmt"
	"strings"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
)

// phase is the power of a machine.
type phase int

const (
	off phase = iota
	booting
	up
	stopping
	terminating
	gone
)

// machine is an instance. It is guarded by the driver's lock.
type machine struct {
	id, region        string
	image, kind, zone string
	addresses         compute.Addresses
	does              Behaviour
	random            func() float64

	phase   phase
	turn    int // of the power: what was planned in an earlier turn is stale
	timers  []clock.Timer
	boots   int  // of the guest
	answers bool // probes
	sick    bool
	shown   bool // the console has text
}

// power changes the phase, and takes back all that was planned in the last one.
func (m *machine) power(next phase) {
	for _, t := range m.timers {
		t.Stop()
	}
	m.timers = nil
	m.turn++
	m.phase = next
	m.answers = false
	if next == booting {
		m.sick, m.shown = false, false
	}
}

// reason is the message that EC2 has for the code of a state reason; the API reference of StateReason lists them.
func reason(code string) string {
	texts := map[string]string{
		"Server.InsufficientInstanceCapacity": "There was insufficient capacity available to satisfy the launch request.",
		"Server.InternalError":                "Internal error on launch",
		"Server.SpotInstanceTermination":      "Spot instance termination",
		"Client.InternalError":                "Client error on launch",
		"Client.InvalidSnapshot.NotFound":     "The specified snapshot was not found.",
		"Client.VolumeLimitExceeded":          "Volume limit exceeded",
	}
	if text := texts[code]; text != "" {
		return code + ": " + text
	}
	return code + ": " + code[strings.Index(code, ".")+1:]
}

// console is what a small guest says; what a test reads is its last lines.
func (m *machine) console() []byte {
	if !m.shown {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[    0.000000] Linux version 6.12.0 (simulated) #1 SMP\r\n")
	fmt.Fprintf(&b, "[    0.000000] DMI: Amazon EC2 %s/, BIOS 1.0 10/16/2017\r\n", m.kind)
	fmt.Fprintf(&b, "[    1.204511] Run /sbin/init as init process\r\n")
	fmt.Fprintf(&b, "[    6.481203] cloud-init[412]: instance %s of image %s in %s, %s\r\n", m.id, m.image, m.zone, m.addresses.Private)
	if m.does.Console != "" {
		fmt.Fprintf(&b, "%s\r\n", m.does.Console)
	}
	if m.answers {
		fmt.Fprintf(&b, "\r\nip-%s login: ", strings.ReplaceAll(m.addresses.Private, ".", "-"))
	}
	return []byte(b.String())
}
