// Package elb is Elastic Load Balancing: target groups whose targets are probed for real, and as much of load balancers, listeners and rules as
// puts a target group to use.
//
// A balancer forwards nothing by itself: in a cloud of real machines a Forwarder does.
package elb

import (
	"sync"
	"sync/atomic"

	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// Prober asks an instance whether it is well; see compute.Driver.
type Prober interface {
	Probe(id string, c compute.Check, done func(ok bool, reason string))
}

// Service is Elastic Load Balancing, version 2, of all regions.
type Service struct {
	store     *state.Store
	prober    Prober
	forwarded atomic.Bool // balancers have an address that answers

	mu     sync.Mutex // taken under the lock of a region, never the other way round
	probes map[place]*probe
	homes  map[string]map[place]bool // by instance: where it is a target
}

// New returns the service over the records of store. Health checks go through prober.
func New(store *state.Store, prober Prober) *Service {
	return &Service{store: store, prober: prober, probes: map[place]*probe{}, homes: map[string]map[place]bool{}}
}

// Register adds the operations to svc, whose signing name is elasticloadbalancing.
func (s *Service) Register(svc *wire.Service) {
	wire.Handle(svc, s.createTargetGroup)
	wire.Handle(svc, s.modifyTargetGroup)
	wire.Handle(svc, s.describeTargetGroups)
	wire.Handle(svc, s.deleteTargetGroup)
	wire.Handle(svc, s.describeTargetGroupAttributes)
	wire.Handle(svc, s.modifyTargetGroupAttributes)
	wire.Handle(svc, s.registerTargets)
	wire.Handle(svc, s.deregisterTargets)
	wire.Handle(svc, s.describeTargetHealth)

	wire.Handle(svc, s.createLoadBalancer)
	wire.Handle(svc, s.describeLoadBalancers)
	wire.Handle(svc, s.deleteLoadBalancer)
	wire.Handle(svc, s.describeLoadBalancerAttributes)
	wire.Handle(svc, s.modifyLoadBalancerAttributes)
	wire.Handle(svc, s.createListener)
	wire.Handle(svc, s.modifyListener)
	wire.Handle(svc, s.describeListeners)
	wire.Handle(svc, s.deleteListener)
	wire.Handle(svc, s.createRule)
	wire.Handle(svc, s.describeRules)
	wire.Handle(svc, s.deleteRule)

	wire.Handle(svc, s.addTags)
	wire.Handle(svc, s.removeTags)
	wire.Handle(svc, s.describeTags)
}
