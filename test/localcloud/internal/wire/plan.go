package wire

import (
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/iibake/iibake/test/localcloud/internal/wire/models"
)

// kind is what a codec does with a value.
type kind int

const (
	structure kind = iota
	list
	mapping
	text
	boolean
	integer
	decimal
	blob
	stream // a body of raw bytes
	timestamp
	union // of several Go types behind an interface: not modelled
)

// node is where a shape of the model and a Go type meet: what a codec needs to know of it, computed once.
type node struct {
	kind    kind
	typ     reflect.Type // without pointer
	shape   *models.Shape
	elem    *node  // of a list, or a map's value
	item    string // name of a list's items in the Query protocols, where it is not the usual one
	pattern func() *regexp.Regexp

	fields   []field  // of a structure, in the order of the model
	alphabet []int    // the indexes of the fields in the order of their names
	hidden   []string // parameters that the SDK sends by itself and keeps from its users: DestinationRegion of CopySnapshot
}

// field is a member of a structure.
type field struct {
	*node
	member   *models.Member
	index    int
	required bool
	query    string // name in a request of a Query protocol
	wire     string // name everywhere else
}

// plan is one operation, ready to be decoded and encoded.
type plan struct {
	operation
	model  *models.Operation
	input  *node
	output *node
}

// newPlan matches an operation with the types of its handler.
func newPlan(op operation, model *models.Operation) (*plan, error) {
	b := builder{nodes: map[builderKey]*node{}}
	p := &plan{operation: op, model: model}
	p.input = b.node(model.Input, op.input, model.Name)
	p.output = b.node(model.Output, op.output, model.Name)
	if len(b.missing) > 0 {
		return nil, fmt.Errorf("types of %s do not match the model: %s", model.Name, strings.Join(b.missing, "; "))
	}
	return p, nil
}

// builder makes nodes, one for each pair of shape and type, so that recursive shapes end.
type builder struct {
	nodes   map[builderKey]*node
	missing []string
}

type builderKey struct {
	shape *models.Shape
	typ   reflect.Type
}

func (b *builder) node(shape *models.Shape, typ reflect.Type, path string) *node {
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if shape == nil {
		shape = &models.Shape{Type: "structure"}
	}
	key := builderKey{shape, typ}
	if n := b.nodes[key]; n != nil {
		return n
	}
	n := &node{typ: typ, shape: shape}
	b.nodes[key] = n
	var ok bool
	if n.kind, ok = kindOf(shape, typ); !ok {
		b.missing = append(b.missing, fmt.Sprintf("%s is %s in the model and %s in Go", path, shape.Type, typ))
		return n
	}
	b.inside(n, path)
	return n
}

// inside adds what a node is made of.
func (b *builder) inside(n *node, path string) {
	switch n.kind {
	case structure:
		b.fields(n, path)
	case list:
		n.elem, n.item = b.node(n.shape.Elem.Shape, n.typ.Elem(), path+"[]"), n.shape.Elem.LocationName
	case mapping:
		n.elem = b.node(n.shape.Value.Shape, n.typ.Elem(), path+"{}")
	case text:
		if n.shape.Pattern != "" {
			n.pattern = sync.OnceValue(func() *regexp.Regexp { return compile(n.shape.Pattern) })
		}
	case boolean, integer, decimal, blob, stream, timestamp, union:
	}
}

func (b *builder) fields(n *node, path string) {
	required := map[string]bool{}
	for _, name := range n.shape.Required {
		required[name] = true
	}
	for i := range n.shape.Members {
		m := &n.shape.Members[i]
		in, ok := n.typ.FieldByName(upper(m.Name))
		if _, hidden := n.typ.FieldByName(lower(m.Name)); hidden && !ok {
			n.hidden = append(n.hidden, first(m.QueryName, upper(m.LocationName), m.Name))
			continue
		}
		if !ok || len(in.Index) != 1 {
			b.missing = append(b.missing, fmt.Sprintf("%s has no field %s", n.typ, upper(m.Name)))
			continue
		}
		f := field{
			node: b.node(m.Shape, in.Type, path+"."+m.Name), member: m, index: in.Index[0], required: required[m.Name],
			wire: first(m.LocationName, m.Name),
		}
		f.query = first(m.QueryName, upper(m.LocationName), m.Name)
		n.fields = append(n.fields, f)
		n.alphabet = append(n.alphabet, len(n.alphabet))
	}
	slices.SortFunc(n.alphabet, func(a, b int) int { return strings.Compare(n.fields[a].wire, n.fields[b].wire) })
}

func kindOf(shape *models.Shape, typ reflect.Type) (kind, bool) {
	if shape.Union {
		return union, typ.Kind() == reflect.Interface
	}
	switch shape.Type {
	case "structure":
		return structure, typ.Kind() == reflect.Struct
	case "list":
		return list, typ.Kind() == reflect.Slice
	case "map":
		return mapping, typ.Kind() == reflect.Map && typ.Key().Kind() == reflect.String
	case "string":
		return text, typ.Kind() == reflect.String
	case "boolean":
		return boolean, typ.Kind() == reflect.Bool
	case "integer", "long":
		return integer, typ.Kind() == reflect.Int32 || typ.Kind() == reflect.Int64
	case "float", "double":
		return decimal, typ.Kind() == reflect.Float32 || typ.Kind() == reflect.Float64
	case "timestamp":
		return timestamp, typ == reflect.TypeFor[time.Time]()
	case "blob":
		if typ == reflect.TypeFor[io.Reader]() || typ == reflect.TypeFor[io.ReadCloser]() {
			return stream, true
		}
		return blob, typ == reflect.TypeFor[[]byte]()
	}
	return 0, false
}

// settable returns what is to be written into: v, or what it points to, made for the purpose.
func settable(v reflect.Value) reflect.Value {
	if v.Kind() != reflect.Pointer {
		return v
	}
	if v.IsNil() {
		v.Set(reflect.New(v.Type().Elem()))
	}
	return v.Elem()
}

// present returns what v holds, and whether it was given: a nil pointer, list, map or reader and an empty enumeration were not.
func (n *node) present(v reflect.Value) (reflect.Value, bool) {
	switch v.Kind() {
	case reflect.Pointer:
		return v.Elem(), !v.IsNil()
	case reflect.Slice, reflect.Map, reflect.Interface:
		return v, !v.IsNil()
	case reflect.String:
		return v, v.Len() > 0
	}
	return v, true
}

func upper(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }

func first(names ...string) string {
	for _, name := range names {
		if name != "" {
			return name
		}
	}
	return ""
}
