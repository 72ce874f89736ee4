package wire

import (
	"context"
	"errors"
	"reflect"

	"github.com/fxamacker/cbor/v2"

	"github.com/iibake/iibake/test/localcloud/internal/wire/models"
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

// RecodeJSON writes a struct as JSON and reads that into a new one.
func RecodeJSON(shape *models.Shape, v any) (text string, back any, err error) {
	n, err := nodeOf(shape, v)
	if err != nil {
		return "", nil, err
	}
	w := jsonWriter{}
	w.structure(n, reflect.ValueOf(v).Elem())
	in := reflect.New(n.typ)
	if e := readJSON(n, w.out, in.Elem()); e != nil {
		return string(w.out), nil, e
	}
	return string(w.out), in.Interface(), nil
}

// RecodeCBOR does the same in CBOR.
func RecodeCBOR(shape *models.Shape, v any) (back any, err error) {
	n, err := nodeOf(shape, v)
	if err != nil {
		return nil, err
	}
	b, err := cbor.Marshal(n.toCBOR(reflect.ValueOf(v).Elem()))
	if err != nil {
		return nil, err
	}
	in := reflect.New(n.typ)
	if e := (cborProtocol{}).decode(&plan{input: n}, &request{body: b}, in.Elem()); e != nil {
		return nil, e
	}
	return in.Interface(), nil
}

// ReadForm reads parameters of AWS Query into v, and returns what was not taken.
func ReadForm(shape *models.Shape, form string, v any) (unused string, err error) {
	n, err := nodeOf(shape, v)
	if err != nil {
		return "", err
	}
	p, err := parseParams(form)
	if err != nil {
		return "", err
	}
	r := formReader{}
	r.structure(n, p, reflect.ValueOf(v).Elem(), "")
	unused, _ = p.unused()
	return unused, nil
}

// WriteXML writes a struct as AWS Query does.
func WriteXML(shape *models.Shape, v any) (string, error) {
	n, err := nodeOf(shape, v)
	if err != nil {
		return "", err
	}
	w := xmlWriter{}
	w.structure(n, reflect.ValueOf(v).Elem())
	return string(w.out), nil
}

func nodeOf(shape *models.Shape, v any) (*node, error) {
	b := builder{nodes: map[builderKey]*node{}}
	n := b.node(shape, reflect.TypeOf(v), "")
	if len(b.missing) > 0 {
		return nil, errors.New(b.missing[0])
	}
	return n, nil
}
