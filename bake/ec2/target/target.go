// Package target opens sessions to AWS accounts, and to what speaks AWS without being it: one place for credentials, roles, retries,
// timeouts and the rate of calls, so that the packages that publish and roll out only say what they want.
//
// There is one layer of retries. Calls are kept below the limits of an account, and slower where it says that they are too many, so that
// hundreds of fleets share one account without failing. Every error that a client returns has passed [Explain].
package target

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/bake/internal/pause"
)

// Spec is a target as iibake.yaml has it: a region of an account, and how to get there.
type Spec struct {
	Name      string
	Endpoint  string // URL; empty for AWS, or what the environment says of it
	Region    string // empty for that of the environment
	RoleARN   string // role to assume; empty for the credentials as they are
	AccessKey string // of a cloud on this machine, which has no secrets; empty for the credentials of the environment
}

// Options is what all sessions have in common. The zero value is what production wants.
type Options struct {
	Transport http.RoundTripper                          // default: that of the SDK
	Backoff   retry.BackoffDelayer                       // how long to wait before a retry; default: exponential with jitter, 20 s at most
	Now       func() time.Time                           // clock of the rate of calls; default: the host's
	Sleep     func(context.Context, time.Duration) error // waits for the rate of calls; default: on the host's clock
	Observe   func(Call)                                 // told of each call when it has ended, retries included; safe for concurrent use
}

// Call is one call of an API that has ended, however often it was tried.
type Call struct {
	Target    string // name
	Account   string
	Region    string
	Service   string // as in IAM actions: ec2, autoscaling, ebs, ssm, cloudwatch, sts
	Operation string
	Attempts  int
	Took      time.Duration
	Err       error
}

// Set is the targets of a project. It is safe for concurrent use.
type Set struct {
	specs   map[string]Spec
	options Options
	limits  *limits

	mu         sync.Mutex
	targets    map[string]*Target   // by name
	identities map[string]*identity // by endpoint, access key and role
}

// NewSet returns the targets that specs name. Nothing is asked of anybody yet.
func NewSet(specs []Spec, o Options) *Set {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = pause.For
	}
	s := &Set{specs: map[string]Spec{}, options: o, limits: newLimits(o), targets: map[string]*Target{}, identities: map[string]*identity{}}
	for _, spec := range specs {
		s.specs[spec.Name] = spec
	}
	return s
}

// Get returns a target. At the first call for an account its credentials are proven, by asking whose they are; targets with the same
// credentials share the answer. The error wraps [bake.ErrNotFound] where no target has the name.
func (s *Set) Get(ctx context.Context, name string) (*Target, error) {
	spec, ok := s.specs[name]
	if !ok {
		return nil, fmt.Errorf("target %s: %w", name, bake.ErrNotFound)
	}
	s.mu.Lock()
	t := s.targets[name]
	s.mu.Unlock()
	if t != nil {
		return t, nil
	}
	t, err := s.open(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", name, Terse(err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.targets[name] = cmp.Or(s.targets[name], t) // somebody may have been faster: clients are shared
	return s.targets[name], nil
}

// open makes a target whose credentials work.
func (s *Set) open(ctx context.Context, spec Spec) (*Target, error) {
	id := s.identity(spec)
	if err := id.prove(ctx, s, spec); err != nil {
		return nil, err
	}
	region := cmp.Or(spec.Region, id.region)
	if region == "" {
		return nil, fmt.Errorf("%w: no region: set the target's region, or AWS_REGION", bake.ErrInvalid)
	}
	return newTarget(s, spec, id, region), nil
}

func (s *Set) identity(spec Spec) *identity {
	key := spec.Endpoint + "\n" + spec.AccessKey + "\n" + spec.RoleARN
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.identities[key] == nil {
		s.identities[key] = &identity{http: newHTTP()}
	}
	return s.identities[key]
}

// errAccount is wrapped when the credentials are of another account than the role says.
var errAccount = errors.New("another account answers")
