// Package autoscaling is EC2 Auto Scaling: groups that keep their number of instances, and refreshes that replace them.
//
// A group is looked at when something happened to one of its instances, when a request changed it, and when something that it waits for is due;
// never just because time has passed. A look goes over the group's own instances only. All that is waited for stands in the records, so that a
// process that starts again just looks at every group.
package autoscaling

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// Instances is the part of EC2 that groups need. Its methods but Watch are called inside an Update.
type Instances interface {
	// Launch starts instances for an account.
	Launch(r *state.Region, account, caller string, in *ec2.RunInstancesInput) ([]*state.Instance, error)
	// Terminate ends instances; one that has ended already is no error.
	Terminate(r *state.Region, ids []string)
	// Watch has f called, inside the Update that made the change, for every instance whose state or status changed.
	Watch(f func(r *state.Region, in *state.Instance))
}

// RootReplacer is what Instances that can replace the root volume of a running instance have, too.
type RootReplacer interface {
	// ReplaceRoot gives an instance the root disk of an image and restarts it. It is called inside an Update, and is done when the instance is
	// running and ReplacingRoot says no.
	ReplaceRoot(r *state.Region, id, image string) error
	// ReplacingRoot reports whether that goes on.
	ReplacingRoot(r *state.Region, id string) bool
}

// Targets is the part of Elastic Load Balancing that groups need. Its methods are called inside an Update.
type Targets interface {
	RegisterTargets(r *state.Region, arn string, ids []string)
	DeregisterTargets(r *state.Region, arn string, ids []string)
	// Health returns the state of a target and the reason for it.
	Health(r *state.Region, arn, id string) (elbtypes.TargetHealthStateEnum, string)
}

// Recorded times of the service.
const (
	// pollInterval is how long a group takes to act upon a difference from its desired capacity. Recorded: launched 10 s after SetDesiredCapacity,
	// terminating 10 s after DeleteAutoScalingGroup.
	pollInterval = 10 * time.Second
	// inServiceDelay is the time from an instance that runs to one in service. Recorded: launched at +10 s, running within 4.5 s, in service at
	// +16.5 s.
	inServiceDelay = 2 * time.Second
	// terminationTime is how long a termination takes at least. Recorded: activities of 21 to 42 s.
	terminationTime = 21 * time.Second
	// deletionTime is how long a group outlives its last instance. Recorded: 31 s to 42 s after the request.
	deletionTime = 11 * time.Second
	// emptyDeletionTime is how long a group without instances is still listed. Recorded: 2 s.
	emptyDeletionTime = 2 * time.Second
	// moveTime is how long an instance takes into and out of standby, and out of its group. Inferred.
	moveTime = 5 * time.Second
	// healthInterval is how often load balancers are asked for the health of their targets. Inferred from the interval of the rest.
	healthInterval = 10 * time.Second
)

// Service is EC2 Auto Scaling.
type Service struct {
	store     *state.Store
	instances Instances
	targets   Targets
	diary     *diary
}

// New returns a service that launches and terminates instances, and registers them with target groups.
func New(store *state.Store, instances Instances, targets Targets) *Service {
	s := &Service{store: store, instances: instances, targets: targets, diary: newDiary(store.Clock())}
	instances.Watch(s.instanceChanged)
	return s
}

// Register adds the operations to a service of the name autoscaling.
func (s *Service) Register(svc *wire.Service) {
	s.registerGroups(svc)
	s.registerInstances(svc)
	s.registerTraffic(svc)
	s.registerHooks(svc)
	s.registerRefreshes(svc)
	s.registerInformation(svc)
}

// Resume looks at every group of a region, after its records were read from disk.
func (s *Service) Resume(region string) {
	var keys []string
	_ = s.store.View(region, func(r *state.Region) error {
		for key := range r.Groups.All() {
			keys = append(keys, key)
		}
		return nil
	})
	for _, key := range keys {
		s.look(region, key)
	}
}

// instanceChanged is called for every change of an instance of the region.
func (s *Service) instanceChanged(r *state.Region, in *state.Instance) {
	if in.Group == "" {
		return
	}
	key := state.Key(in.Account, in.Group)
	if r.Groups.Get(key) != nil {
		s.wake(r, key)
	}
}

// wake has a group looked at after the current Update.
func (s *Service) wake(r *state.Region, key string) {
	at := place{r.Name, key}
	if s.diary.ask(at) {
		r.Then(func() { s.look(at.region, at.group) })
	}
}

// look brings a group up to date, and notes when it is to be looked at again.
func (s *Service) look(region, key string) {
	at := place{region, key}
	s.diary.begin(at)
	var next time.Time
	_ = s.store.Update(region, func(r *state.Region) error {
		if g := r.Groups.Edit(key); g != nil {
			l := &look{service: s, region: r, group: g, key: key, now: r.Now()}
			l.do()
			next = l.next
		}
		s.diary.seen(at)
		return nil
	})
	s.diary.end(at, next, func() { s.look(region, key) })
}
