// Package ssm is the Parameter Store of AWS Systems Manager: parameters with their versions, labels and tags, and the late validation of those
// that hold the ID of an image.
package ssm

import (
	"time"

	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

const (
	// validation is how long the value of an aws:ec2:image is not yet validated. The documentation says only that it takes longer than the
	// answer; inferred.
	validation = 2 * time.Second
	// validWindow names the further delay that faults can add to it.
	validWindow = "ssm:image-valid"
)

// Windows tells how long, besides what is normal, something that was done is not yet seen.
type Windows interface {
	Window(kind string) time.Duration
}

// Service is the Parameter Store of all regions.
type Service struct {
	store   *state.Store
	windows Windows
}

// New returns the service over the records of store. The window ssm:image-valid adds to the time until an aws:ec2:image is validated.
func New(store *state.Store, windows Windows) *Service {
	return &Service{store: store, windows: windows}
}

// Register adds the operations to svc, whose signing name is ssm.
func (s *Service) Register(svc *wire.Service) {
	wire.Handle(svc, s.putParameter)
	wire.Handle(svc, s.getParameter)
	wire.Handle(svc, s.getParameters)
	wire.Handle(svc, s.getParametersByPath)
	wire.Handle(svc, s.getParameterHistory)
	wire.Handle(svc, s.describeParameters)
	wire.Handle(svc, s.deleteParameter)
	wire.Handle(svc, s.deleteParameters)
	wire.Handle(svc, s.labelParameterVersion)
	wire.Handle(svc, s.unlabelParameterVersion)
	wire.Handle(svc, s.addTagsToResource)
	wire.Handle(svc, s.removeTagsFromResource)
	wire.Handle(svc, s.listTagsForResource)
}

func invalid(format string, args ...any) *wire.Error {
	return wire.Errorf("ValidationException", format, args...)
}

// notFound is what the service says of a parameter that is not there: a code without a text.
func notFound() *wire.Error { return wire.Errorf("ParameterNotFound", "") }

func unsupported(what string) *wire.Error {
	return invalid("%s is not supported by this endpoint", what)
}
