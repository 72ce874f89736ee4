package template

import (
	"bytes"
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/iibake/iibake/bake"
)

const indent = 2 // columns

// Show returns every file of p as YAML with nothing left implicit: shorthands written out, variables filled in, and what is
// a default marked as one. Secrets appear only as where to find them. Every document reads as the file whose name is in
// the comment above it.
func Show(p *Project) ([]byte, error) {
	var out bytes.Buffer
	s := shower{tables: tables{}, given: p.given[projectFile]}
	if err := s.write(&out, projectFile, p); err != nil {
		return nil, err
	}
	for i := range p.Images {
		t := &p.Images[i]
		s := shower{tables: s.tables, given: p.given[t.File], escape: true}
		out.WriteString("---\n")
		if err := s.write(&out, t.File, t); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// shower turns one file back into nodes.
type shower struct {
	tables tables
	given  places
	escape bool
}

func (s shower) write(out *bytes.Buffer, name string, of any) error {
	fmt.Fprintf(out, "# %s\n", name)
	e := yaml.NewEncoder(out)
	e.SetIndent(indent)
	if err := e.Encode(s.node("", reflect.ValueOf(of).Elem())); err != nil {
		return fmt.Errorf("show %s: %w", name, err)
	}
	return e.Close()
}

func (s shower) node(path string, v reflect.Value) *yaml.Node {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if u, ok := reflect.TypeAssert[encoding.TextMarshaler](v); ok {
		text, _ := u.MarshalText() // sizes, durations and modes always have a text
		style := yaml.Style(0)
		if v.Type() == reflect.TypeFor[bake.FileMode]() {
			style = yaml.DoubleQuotedStyle
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Value: string(text), Style: style}
	}
	switch v.Kind() {
	case reflect.Struct:
		return s.structure(path, v)
	case reflect.Map:
		return s.mapping(path, v)
	case reflect.Slice:
		list := &yaml.Node{Kind: yaml.SequenceNode}
		if isScalar(v.Type().Elem()) {
			list.Style = yaml.FlowStyle
		}
		for i := range v.Len() {
			list.Content = append(list.Content, s.node(path+"["+strconv.Itoa(i)+"]", v.Index(i)))
		}
		return list
	case reflect.String:
		return s.text(v.String())
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(v.Interface())}
}

func (s shower) text(value string) *yaml.Node {
	n := &yaml.Node{}
	if s.escape {
		value = escape(value)
	}
	n.SetString(value)
	if n.Style == yaml.LiteralStyle && strings.ContainsAny(value[:1], "\n\t") {
		n.Style = yaml.DoubleQuotedStyle // as a block the encoder loses an empty first line, and indents by the tab
	}
	return n
}

// structure returns a mapping, or the plain value where the struct has no other form for what it holds.
func (s shower) structure(path string, v reflect.Value) *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range s.tables.of(v.Type()) {
		if f.key == "-" {
			if !v.FieldByName("Secret").IsNil() {
				continue
			}
			return s.text(v.Field(f.index).String())
		}
		at, value := join(path, f.key), v.Field(f.index)
		_, given := s.given[at]
		if value.Kind() == reflect.Pointer && value.IsNil() || !given && (value.IsZero() || !s.worth(f, value)) {
			continue
		}
		key, node := s.text(f.key), s.node(at, value)
		if !given && v.Type() != reflect.TypeFor[bake.Secret]() { // a secret may be that of a variable
			mark(node)
		}
		m.Content = append(m.Content, key, node)
	}
	return m
}

// worth reports whether something that the file does not have is worth showing: it has a value that counts.
func (s shower) worth(f field, v reflect.Value) bool {
	if v.Kind() != reflect.Struct || f.def != "" {
		return true
	}
	return slices.ContainsFunc(s.tables.of(v.Type()), func(f field) bool {
		return !v.Field(f.index).IsZero() && s.worth(f, v.Field(f.index))
	})
}

func (s shower) mapping(path string, v reflect.Value) *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode}
	for _, name := range sortedStrings(v) {
		key, node := s.text(name), s.node(join(path, name), v.MapIndex(reflect.ValueOf(name)))
		if _, given := s.given[join(path, name)]; !given {
			mark(node)
		}
		m.Content = append(m.Content, key, node)
	}
	return m
}

func sortedStrings(m reflect.Value) []string {
	var names []string
	for _, key := range m.MapKeys() {
		names = append(names, key.String())
	}
	slices.Sort(names)
	return names
}

// mark says that a value is a default. What spans lines is left alone: the comment stands at what is in it.
func mark(value *yaml.Node) {
	if value.Kind == yaml.ScalarNode || value.Style == yaml.FlowStyle || len(value.Content) == 0 {
		value.LineComment = "default"
	}
}
