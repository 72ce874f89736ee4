package wire

import (
	"context"
	"reflect"
)

// HandleAny is Handle for types that are known only at run time.
func HandleAny(s *Service, in, out reflect.Type, f func(ctx context.Context, c *Call, input any) (any, error)) {
	name := in.Name()
	s.operations[name[:len(name)-len("Input")]] = operation{input: in, output: out, handle: f}
}

// WithoutChecks makes a gateway take inputs that the model's constraints forbid, so that tests can send random ones.
func WithoutChecks(g *Gateway) *Gateway {
	g.unchecked = true
	return g
}

// Compile is how patterns of the models become Go's.
func Compile(pattern string) bool { return compile(pattern) != nil }
