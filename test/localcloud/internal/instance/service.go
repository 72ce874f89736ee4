// Package instance is the instances of EC2, with their volumes and everything that they are launched from: launch templates, key pairs, the network,
// instance types. It keeps the records and their state machine; what runs the instances is a compute.Driver.
//
//	launch → pending → running → shutting-down → terminated (→ forgotten after an hour)
//	            ↑         ↓ ↑
//	         stopped ← stopping
package instance

import (
	"sync"
	"time"

	"github.com/iibake/iibake/test/localcloud/internal/compute"
	"github.com/iibake/iibake/test/localcloud/internal/instancetype"
	"github.com/iibake/iibake/test/localcloud/internal/keypair"
	"github.com/iibake/iibake/test/localcloud/internal/network"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/tags"
	"github.com/iibake/iibake/test/localcloud/internal/template"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// Service answers for instances, and is the compute.Observer of what runs them.
type Service struct {
	store     *state.Store
	types     *instancetype.Catalog
	network   *network.Service
	templates *template.Service

	resolve  template.Resolver
	driver   compute.Driver
	watchers []func(r *state.Region, in *state.Instance)

	mu     sync.Mutex
	queues map[string]*commands // to the driver, by region
	graves map[string][]grave   // terminated instances by region, the oldest first
}

// PortsChanger is a driver whose running instances can be told that their security groups now open other ports.
type PortsChanger interface {
	// SetPorts replaces the ports of an instance. One that does not run is ignored.
	SetPorts(id string, ports []compute.Port)
}

// MetadataChanger is a driver whose running instances can be told that their metadata or their tags have changed.
type MetadataChanger interface {
	// SetMetadata replaces what the metadata service of an instance serves. One that does not run is ignored.
	SetMetadata(id string, m compute.Metadata, tags map[string]string)
}

// New returns a service without a driver: until Attach its instances stay as they are.
func New(store *state.Store) *Service {
	s := &Service{store: store, types: instancetype.New(), queues: map[string]*commands{}, graves: map[string][]grave{}}
	s.network = network.New(store, s.portsChanged)
	s.templates = template.New(store, s.types, s.resolveReference)
	return s
}

// Attach gives the service its driver, before the first call.
func (s *Service) Attach(d compute.Driver) { s.driver = d }

// ResolveWith gives the service what resolves references of launch templates to SSM parameters, before the first call.
func (s *Service) ResolveWith(f template.Resolver) { s.resolve = f }

// Watch has f called inside every Update that changed State or Status of an instance, with its record. It is called before the first call.
func (s *Service) Watch(f func(r *state.Region, in *state.Instance)) {
	s.watchers = append(s.watchers, f)
}

// EnsureDefaults makes an account's default VPC, subnets and security group in a region, unless they are there. It is called inside an
// Update.
func (s *Service) EnsureDefaults(r *state.Region, account string) { network.EnsureDefaults(r, account) }

// Register adds the operations to EC2's.
func (s *Service) Register(svc *wire.Service) {
	s.network.Register(svc)
	s.templates.Register(svc)
	instancetype.Register(svc, s.types)
	keypair.New(s.store).Register(svc)
	tags.New(s.store, s.tagsChanged).Register(svc)
	s.registerInstances(svc)
	s.registerVolumes(svc)
}

func (s *Service) registerInstances(svc *wire.Service) {
	wire.Handle(svc, s.run)
	wire.Handle(svc, s.describe)
	wire.Handle(svc, s.describeStatus)
	wire.Handle(svc, s.start)
	wire.Handle(svc, s.stop)
	wire.Handle(svc, s.reboot)
	wire.Handle(svc, s.terminate)
	wire.Handle(svc, s.monitor)
	wire.Handle(svc, s.unmonitor)
	wire.Handle(svc, s.describeAttribute)
	wire.Handle(svc, s.modifyAttribute)
	wire.Handle(svc, s.modifyMetadata)
	wire.Handle(svc, s.describeCredits)
	wire.Handle(svc, s.console)
}

func (s *Service) registerVolumes(svc *wire.Service) {
	wire.Handle(svc, s.describeVolumes)
	wire.Handle(svc, s.createVolume)
	wire.Handle(svc, s.deleteVolume)
}

func (s *Service) resolveReference(r *state.Region, account, reference string) (string, error) {
	if s.resolve == nil {
		return "", wire.Errorf("UnsupportedOperation", "%s cannot be resolved: this cloud has no Systems Manager parameters.", reference)
	}
	return s.resolve(r, account, reference)
}

// remembered is for how long a terminated instance is shown [documented: "a short while, usually an hour"].
const remembered = time.Hour
