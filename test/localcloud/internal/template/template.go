// Package template is the launch templates of EC2: made, versioned, described, deleted, and merged into the launch of an instance.
package template

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/iibake/iibake/test/localcloud/internal/instancetype"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// Resolver returns the value that a reference such as resolve:ssm:/images/web:3 stands for, or the service's error. It is called under the
// region's lock.
type Resolver func(r *state.Region, account, reference string) (string, error)

// Service answers for launch templates.
type Service struct {
	store   *state.Store
	types   *instancetype.Catalog
	resolve Resolver

	mu    sync.Mutex
	names map[string]string // of templates to their ids; only a hint, for the records may change without us
}

// New returns the service.
func New(store *state.Store, types *instancetype.Catalog, resolve Resolver) *Service {
	return &Service{store: store, types: types, resolve: resolve, names: map[string]string{}}
}

// Register adds the operations to EC2's.
func (s *Service) Register(svc *wire.Service) {
	wire.Handle(svc, s.create)
	wire.Handle(svc, s.createVersion)
	wire.Handle(svc, s.describe)
	wire.Handle(svc, s.describeVersions)
	wire.Handle(svc, s.modify)
	wire.Handle(svc, s.delete)
	wire.Handle(svc, s.deleteVersions)
	wire.Handle(svc, s.fromInstance)
}

// The versions that are found out when they are needed.
const (
	latest   = "$Latest"
	standard = "$Default"
)

// find returns the template that a request names.
func (s *Service) find(r *state.Region, account string, id, name *string) (*state.LaunchTemplate, error) {
	switch {
	case aws.ToString(id) != "" && aws.ToString(name) != "":
		return nil, wire.Errorf("InvalidParameterCombination", "Either provide launch template ID or launch template name to modify the template.")
	case aws.ToString(id) != "":
		if !wellFormed(*id) {
			return nil, malformed(*id)
		}
		if t := r.LaunchTemplates.Get(*id); t != nil && t.Account == account {
			return t, nil
		}
		return nil, wire.Errorf("InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID %s, does not exist.", *id)
	case aws.ToString(name) != "":
		if t := s.named(r, account, *name); t != nil {
			return t, nil
		}
		return nil, wire.Errorf("InvalidLaunchTemplateName.NotFoundException", "The specified launch template, with template name %s, does not exist.", *name)
	}
	return nil, wire.Errorf("MissingParameter", "Either launch template ID or launch template name must be specified.")
}

// named returns the template of that name, or nil.
func (s *Service) named(r *state.Region, account, name string) *state.LaunchTemplate {
	s.mu.Lock()
	defer s.mu.Unlock()
	is := func(t *state.LaunchTemplate) bool {
		return t.Account == account && aws.ToString(t.LaunchTemplateName) == name
	}
	hint := r.Name + "/" + account + "/" + name
	if t := r.LaunchTemplates.Get(s.names[hint]); t != nil && is(t) {
		return t
	}
	for id, t := range r.LaunchTemplates.All() {
		if is(t) {
			s.names[hint] = id
			return t
		}
	}
	return nil
}

func wellFormed(id string) bool {
	hex, ok := strings.CutPrefix(id, "lt-")
	return ok && isHex(hex)
}

func malformed(ids ...string) error {
	return wire.Errorf("InvalidLaunchTemplateId.Malformed", "The following launch template ids are malformed: %s", strings.Join(ids, ", "))
}

func isHex(s string) bool {
	return (len(s) == 8 || len(s) == 17) && strings.Trim(s, "0123456789abcdef") == ""
}

// number returns the number of a version of t that a request names, whether or not there is one.
func number(t *state.LaunchTemplate, version string) (int64, error) {
	switch version {
	case latest:
		return aws.ToInt64(t.LatestVersionNumber), nil
	case standard:
		return aws.ToInt64(t.DefaultVersionNumber), nil
	}
	n, err := strconv.ParseInt(version, 10, 64)
	if err != nil || n < 1 {
		return 0, badVersion()
	}
	return n, nil
}

func badVersion() error {
	return wire.Errorf("InvalidParameterValue", "Invalid launch template version: either '$Default', '$Latest', or a numeric version are allowed.")
}

// version returns a version of t that a request names.
func version(t *state.LaunchTemplate, name string) (*ec2types.LaunchTemplateVersion, error) {
	n, err := number(t, name)
	if err != nil {
		return nil, err
	}
	if v := numbered(t, n); v != nil {
		return v, nil
	}
	return nil, wire.Errorf("InvalidLaunchTemplateId.VersionNotFound",
		"Could not find the specified version %d for the launch template with ID %s.", n, aws.ToString(t.LaunchTemplateId))
}

func numbered(t *state.LaunchTemplate, n int64) *ec2types.LaunchTemplateVersion {
	for i := len(t.Versions) - 1; i >= 0; i-- { // mostly the newest is wanted
		if aws.ToInt64(t.Versions[i].VersionNumber) == n {
			return &t.Versions[i]
		}
	}
	return nil
}

// shown returns a version as it is now: which one is the default may have changed since it was made.
func shown(t *state.LaunchTemplate, v *ec2types.LaunchTemplateVersion) ec2types.LaunchTemplateVersion {
	c := *v
	c.DefaultVersion = aws.Bool(aws.ToInt64(v.VersionNumber) == aws.ToInt64(t.DefaultVersionNumber))
	return c
}

// seconds is the precision of the times of templates.
func seconds(t time.Time) *time.Time {
	t = t.UTC().Truncate(time.Second)
	return &t
}

func unmanaged() *ec2types.OperatorResponse {
	return &ec2types.OperatorResponse{Managed: aws.Bool(false)}
}
