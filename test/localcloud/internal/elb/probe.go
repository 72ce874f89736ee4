package elb

import (
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// settle is how long it takes until a balancer knows a new target and checks it for the first time. Inferred: the documentation says only
// that it takes a moment.
const settle = 5 * time.Second

// place is one target of one group.
type place struct{ region, arn, target string }

// probe is the health checks of a target: nothing but a timer, two counters and the settings. The records of the region are touched only where
// the health of the target changes. It is guarded by the lock of the service.
type probe struct {
	id       string // instance
	check    compute.Check
	interval time.Duration
	up, down int // thresholds

	state     types.TargetHealthStateEnum // that the record has
	reason    types.TargetHealthReasonEnum
	oks, bads int // in a row
	round     int // of checks: an answer to an earlier one does not count
	timer     clock.Timer
}

// tune sets what a probe has of its group.
func (p *probe) tune(g *state.TargetGroup, port int) {
	if *g.HealthCheckPort != trafficPort {
		port, _ = strconv.Atoi(*g.HealthCheckPort)
	}
	p.check = compute.Check{
		Protocol: string(g.HealthCheckProtocol), Port: port, Path: aws.ToString(g.HealthCheckPath),
		Timeout: time.Duration(*g.HealthCheckTimeoutSeconds) * time.Second,
	}
	if g.Matcher != nil {
		p.check.Codes = aws.ToString(g.Matcher.HttpCode)
	}
	p.interval = time.Duration(*g.HealthCheckIntervalSeconds) * time.Second
	p.up, p.down = int(*g.HealthyThresholdCount), int(*g.UnhealthyThresholdCount)
}

// watch begins to check a target whose record says h, for the first time after a delay. It is called under the lock of the region.
func (s *Service) watch(at place, g *state.TargetGroup, t state.Target, delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unwatchLocked(at)
	p := &probe{id: *t.Target.Id, state: t.Health.State, reason: t.Health.Reason}
	p.tune(g, int(*t.Target.Port))
	s.probes[at] = p
	p.timer = s.store.Clock().AfterFunc(delay, func() { s.tick(at, p) })
}

// unwatch ends the checks of a target.
func (s *Service) unwatch(at place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unwatchLocked(at)
}

func (s *Service) unwatchLocked(at place) {
	if p := s.probes[at]; p != nil {
		p.timer.Stop()
		p.round++
		delete(s.probes, at)
	}
}

// retune gives the probes of a group its new settings; they take effect with the next check.
func (s *Service) retune(r *state.Region, g *state.TargetGroup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, t := range g.Targets {
		if p := s.probes[place{r.Name, *g.TargetGroupArn, key}]; p != nil {
			p.tune(g, int(*t.Target.Port))
		}
	}
}

// tick asks the target, and sets the timer for the next check: the time that an answer takes does not delay that, as documented.
func (s *Service) tick(at place, p *probe) {
	s.mu.Lock()
	if s.probes[at] != p {
		s.mu.Unlock()
		return
	}
	p.round++
	round, check := p.round, p.check
	first := p.reason == types.TargetHealthReasonEnumRegistrationInProgress
	p.timer = s.store.Clock().AfterFunc(p.interval, func() { s.tick(at, p) })
	s.mu.Unlock()
	if first {
		s.become(at, p, health(types.TargetHealthStateEnumInitial, types.TargetHealthReasonEnumInitialHealthChecking))
	}
	s.prober.Probe(p.id, check, func(ok bool, reason string) { s.answer(at, p, round, ok, reason) })
}

// answer counts the answer to a check.
func (s *Service) answer(at place, p *probe, round int, ok bool, reason string) {
	s.mu.Lock()
	if s.probes[at] != p || p.round != round {
		s.mu.Unlock()
		return
	}
	next, changes := p.count(ok, reason)
	s.mu.Unlock()
	if changes {
		s.become(at, p, next)
	}
}

// count returns the health of the target after an answer, and whether it is another one than before. A new target is healthy with its first
// success, as documented; otherwise the thresholds decide.
func (p *probe) count(ok bool, reason string) (next types.TargetHealth, changes bool) {
	if ok {
		p.oks, p.bads = p.oks+1, 0
		enough := p.oks >= p.up || p.state == types.TargetHealthStateEnumInitial
		return healthy(), enough && p.state != types.TargetHealthStateEnumHealthy
	}
	p.oks, p.bads = 0, p.bads+1
	next = failed(reason)
	if p.state == types.TargetHealthStateEnumUnhealthy {
		return next, next.Reason != p.reason
	}
	return next, p.bads >= p.down
}

// become records the health of a target, unless it is not checked any more.
func (s *Service) become(at place, p *probe, h types.TargetHealth) {
	_ = s.store.Update(at.region, func(r *state.Region) error {
		s.mu.Lock()
		current := s.probes[at] == p
		if current {
			p.state, p.reason = h.State, h.Reason
		}
		s.mu.Unlock()
		if current {
			setHealth(r, at, h)
		}
		return nil
	})
}

func setHealth(r *state.Region, at place, h types.TargetHealth) {
	g := r.TargetGroups.Edit(at.arn)
	if g == nil {
		return
	}
	if t, ok := g.Targets[at.target]; ok {
		t.Health = h
		g.Targets[at.target] = t
	}
}
