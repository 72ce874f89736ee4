package simulation

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/iibake/iibake/test/localcloud/internal/compute"
)

// answering is how long a guest takes to answer a probe.
const answering = 5 * time.Millisecond

// Probe answers as the guest would: nothing until the instance is running, a refused connection until the guest is up, a service that is
// unavailable for one that is never healthy or sick. Every port is open.
func (d *Driver) Probe(id string, c compute.Check, done func(ok bool, reason string)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := d.machines[id]
	switch {
	case m == nil || m.phase != up:
		d.clock.AfterFunc(c.Timeout, func() { done(false, "Target.Timeout") })
	case m.answers:
		d.clock.AfterFunc(answering, func() { done(true, "") })
	default:
		d.clock.AfterFunc(answering, func() { done(false, refusal(c)) })
	}
}

// refusal is what a load balancer finds with a guest that does not do what it should.
func refusal(c compute.Check) string {
	if strings.HasPrefix(c.Protocol, "HTTP") {
		return "Target.ResponseCodeMismatch [" + strconv.Itoa(http.StatusServiceUnavailable) + "]"
	}
	return "Target.FailedHealthChecks"
}
