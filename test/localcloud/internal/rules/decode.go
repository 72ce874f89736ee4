// Package rules is what files of rules have in common: they are read strictly, with every mistake at its place, and their rules choose
// among the things that match by pattern, by turn and by chance.
package rules

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Error is a mistake in a file of rules.
type Error struct {
	File         string
	Line, Column int
	Text         string
}

// Error returns file:line:column: text.
func (e *Error) Error() string { return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Text) }

// Checker is a struct in a file that knows what else must hold of its values. It is asked after they were read without a mistake.
type Checker interface {
	// Check calls fail for each mistake, with the key where it is, or "" for the struct as a whole.
	Check(fail func(key, text string))
}

// Decode reads YAML, which JSON is too, into the struct that into points to. Keys are those of the yaml tags; one that is not there, is
// there twice, or has a value of another type is a mistake. All mistakes are reported, joined; each is an *Error.
func Decode(file string, data []byte, into any) error {
	d := &decoder{file: file}
	documents := yaml.NewDecoder(bytes.NewReader(data))
	var root, more yaml.Node
	switch err := documents.Decode(&root); {
	case errors.Is(err, io.EOF):
		d.fail(&yaml.Node{Line: 1, Column: 1}, "the file is empty: write at least version: 1")
	case err != nil:
		d.syntax(err)
	case !errors.Is(documents.Decode(&more), io.EOF):
		d.fail(&more, "there is more than one document: remove what follows ---")
	default:
		d.value(root.Content[0], reflect.ValueOf(into).Elem())
	}
	return errors.Join(d.errs...)
}

type decoder struct {
	file string
	errs []error
}

func (d *decoder) fail(n *yaml.Node, format string, args ...any) {
	d.errs = append(d.errs, &Error{File: d.file, Line: max(1, n.Line), Column: max(1, n.Column), Text: fmt.Sprintf(format, args...)})
}

// syntax reports what the YAML library says: "yaml: line 3: did not find ...".
func (d *decoder) syntax(err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if number, after, ok := strings.Cut(rest, ": "); ok {
			if n, err := strconv.Atoi(number); err == nil {
				line, text = n, after
			}
		}
	}
	d.fail(&yaml.Node{Line: line, Column: 1}, "this is no YAML: %s", text)
}

func (d *decoder) value(n *yaml.Node, v reflect.Value) {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		d.fail(n, "anchors and aliases are not used here: write the value out")
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if text, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		d.text(n, text)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(n, v)
	case reflect.Slice:
		d.list(n, v)
	case reflect.Map:
		d.mapping(n, v)
	default:
		d.scalar(n, v)
	}
}

func (d *decoder) text(n *yaml.Node, v encoding.TextUnmarshaler) {
	if n.Kind != yaml.ScalarNode {
		d.fail(n, "there must be a single value here")
		return
	}
	if err := v.UnmarshalText([]byte(n.Value)); err != nil {
		d.fail(n, "%s", err)
	}
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value) {
	before := len(d.errs)
	fields := keys(v.Type())
	seen := map[string]*yaml.Node{"": n}
	for key, value := range d.pairs(n) {
		i := slices.Index(fields, key.Value)
		switch {
		case i < 0:
			d.fail(key, "unknown key %q: there are %s", key.Value, strings.Join(named(fields), ", "))
		case seen[key.Value] != nil:
			d.fail(key, "the key %q is there already, on line %d", key.Value, seen[key.Value].Line)
		default:
			seen[key.Value] = value
			d.value(value, v.Field(i))
		}
	}
	if checker, ok := reflect.TypeAssert[Checker](v.Addr()); ok && len(d.errs) == before {
		checker.Check(func(key, text string) {
			at := seen[key]
			if at == nil {
				at = n
			}
			d.fail(at, "%s", text)
		})
	}
}

// keys returns the key of each field of a struct; "-" for one that files do not have.
func keys(t reflect.Type) []string {
	all := make([]string, t.NumField())
	for i := range all {
		all[i], _, _ = strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if all[i] == "" {
			all[i] = "-"
		}
	}
	return all
}

func named(fields []string) []string {
	return slices.DeleteFunc(slices.Clone(fields), func(key string) bool { return key == "-" })
}

// pairs yields the keys and values of a mapping.
func (d *decoder) pairs(n *yaml.Node) func(yield func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		if n.Kind != yaml.MappingNode {
			d.fail(n, "there must be keys with values here")
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], n.Content[i+1]) {
				return
			}
		}
	}
}

func (d *decoder) list(n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.fail(n, "there must be a list here")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		d.value(item, v.Index(i))
	}
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value) {
	v.Set(reflect.MakeMap(v.Type()))
	for key, value := range d.pairs(n) {
		k, item := reflect.ValueOf(key.Value), reflect.New(v.Type().Elem()).Elem()
		if v.MapIndex(k).IsValid() {
			d.fail(key, "the key %q is there already", key.Value)
		}
		d.value(value, item)
		v.SetMapIndex(k, item)
	}
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value) {
	var wanted string
	var err error
	switch v.Kind() {
	case reflect.String:
		wanted, err = "text", nil
		if n.Tag != "!!str" && n.Tag != "!!int" { // an account is text that looks like a number
			err = errors.ErrUnsupported
		}
		v.SetString(n.Value)
	case reflect.Bool:
		wanted, err = "true or false", n.Decode(v.Addr().Interface())
	case reflect.Float64:
		wanted, err = "a number", n.Decode(v.Addr().Interface())
	default:
		wanted, err = "a whole number", n.Decode(v.Addr().Interface())
	}
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || err != nil {
		d.fail(n, "there must be %s here", wanted)
	}
}
