// Package wire speaks the protocols of AWS: it turns an HTTP request into the input struct of aws-sdk-go-v2 that a handler takes, and
// the output struct or the error that it returns into the response that a client of AWS expects.
//
// The names on the wire, the order, the constraints and the protocols come from the public service models in the folder models, pruned to the
// operations that are modelled here; no handler knows them.
package wire

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"
)

// Call is who asks, where and when: all that a handler needs to know of a request besides its input.
type Call struct {
	Service   string // signing name: ec2, autoscaling, ebs, ...
	Operation string // RunInstances, ...
	Account   string // 12 digits
	Region    string
	Caller    string    // ARN of the caller
	RequestID string    // also in the response
	Time      time.Time // of the cloud's clock, when the request came
	Input     any       // what the handler gets: *ec2.RunInstancesInput, ...; not to be changed
}

// Error is an answer of a service that says no. A handler's other errors become its InternalFailure.
type Error struct {
	Status  int    // HTTP status; 400 where it is 0
	Code    string // as clients compare it
	Message string
	Reason  string // further member that errors of EBS direct have; may be empty
}

// Errorf returns an Error with status 400.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Message: fmt.Sprintf(format, args...)}
}

// ErrDryRun returns what EC2 answers to a dry run that would have worked.
func ErrDryRun() *Error {
	return &Error{Status: http.StatusPreconditionFailed, Code: "DryRunOperation", Message: "Request would have succeeded, but DryRun flag is set."}
}

// Error returns the code and the message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Interceptor stands between the clients and the services: it makes them fail.
type Interceptor interface {
	// Before is called before a handler. Its error, where it returns one, is the answer, and the handler is not called. It may wait until
	// ctx is done.
	Before(ctx context.Context, c *Call) error
	// After is called after a handler that succeeded. Its error is the answer, although the work was done.
	After(ctx context.Context, c *Call) error
}

// ErrNoAnswer makes a client lose its connection instead of getting an answer, when an Interceptor returns it.
var ErrNoAnswer = errors.New("no answer")

// Service is the operations of one AWS service.
type Service struct {
	name       string
	operations map[string]operation
}

// operation is one handler with its types erased.
type operation struct {
	input, output reflect.Type // structs
	handle        func(ctx context.Context, c *Call, input any) (any, error)
}

// NewService returns a service without operations. The name is the one in its clients' signatures, such as elasticloadbalancing.
func NewService(name string) *Service {
	return &Service{name: name, operations: map[string]operation{}}
}

// Name returns the name in the signatures of the service's clients.
func (s *Service) Name() string { return s.name }

// Handle adds an operation to a service. Its name is that of the input type without "Input", as in aws-sdk-go-v2. The
// handler must not keep or change its input. An empty list in the output is written as an empty list, a nil one not at all.
func Handle[In, Out any](s *Service, f func(ctx context.Context, c *Call, in *In) (*Out, error)) {
	in, out := reflect.TypeFor[In](), reflect.TypeFor[Out]()
	s.operations[strings.TrimSuffix(in.Name(), "Input")] = operation{
		input: in, output: out,
		handle: func(ctx context.Context, c *Call, input any) (any, error) {
			typed, ok := input.(*In)
			if !ok {
				return nil, fmt.Errorf("input is a %T", input)
			}
			return f(ctx, c, typed)
		},
	}
}
