package template

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/iibake/iibake/bake"
)

const maxQuote = 60 // letters of the user's own text in an error

// quote returns s in quotes, short enough for a line.
func quote(s string) string {
	if r := []rune(s); len(r) > maxQuote {
		s = string(r[:maxQuote-1]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

// subject names the field to the user.
func (f field) subject() string {
	if f.key == "" {
		return "the file"
	}
	if f.item {
		return "an item of " + quote(f.key)
	}
	return quote(f.key)
}

// named says something of the field, or of its list where an item is meant.
func (f field) named(ofField, ofItem string) string {
	if f.item {
		return quote(f.key) + " " + ofItem
	}
	return f.subject() + " " + ofField
}

// wrong reports a value of the wrong type.
func (d *decoder) wrong(n *yaml.Node, f field, typ reflect.Type) {
	have := "a list"
	switch n.Kind {
	case yaml.MappingNode:
		have = "a mapping"
	case yaml.ScalarNode:
		have = scalarWord(n) + " " + quote(n.Value)
	}
	hint := d.want(f, typ)
	if typ.Kind() == reflect.String && n.Kind == yaml.ScalarNode {
		hint = fmt.Sprintf("write it in quotes: %s", quote(n.Value))
	}
	if typ.Kind() == reflect.Int && n.ShortTag() == "!!str" && strings.Trim(n.Value, "0123456789") == "" && n.Value != "" {
		hint = "write it without quotes: " + n.Value
	}
	d.fail(n, f.subject()+" is "+have, hint)
}

func scalarWord(n *yaml.Node) string {
	switch n.ShortTag() {
	case "!!int", "!!float":
		return "the number"
	case "!!bool":
		return "the truth value"
	}
	return "the text"
}

// want tells what to write where a value of typ belongs.
func (d *decoder) want(f field, typ reflect.Type) string {
	s := "write " + d.noun(f, typ)
	if short, ok := d.short(typ); ok && f.example == "" {
		f.example = short.exampleOf(short.typ)
	}
	if example := f.exampleOf(typ); example != "" {
		s += ", for example " + example
	}
	return s
}

// noun names what a value of typ is written as.
func (d *decoder) noun(f field, typ reflect.Type) string {
	switch {
	case f.enum != nil && isScalar(typ):
		return strings.Join(f.enum, " or ")
	case typ.Kind() == reflect.Pointer:
		return d.noun(f, typ.Elem())
	case typ == reflect.TypeFor[bake.Size]():
		return "a size"
	case typ == reflect.TypeFor[bake.Duration]():
		return "a duration"
	case typ == reflect.TypeFor[bake.Moment]():
		return "a day and a time"
	case typ == reflect.TypeFor[bake.FileMode]():
		return "a file mode in quotes"
	}
	switch typ.Kind() {
	case reflect.Int:
		return "a whole number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Map:
		return "a mapping"
	case reflect.Struct:
		keys := "a mapping with " + strings.Join(d.tables.keysOf(typ), ", ")
		if short, ok := d.short(typ); ok {
			return d.noun(short, short.typ) + " or " + keys
		}
		return keys
	}
	return "a text"
}

// exampleOf returns how a value of typ, the field's type or that of its items, could look, or "".
func (f field) exampleOf(typ reflect.Type) string {
	example := cmp.Or(f.example, f.def)
	if example == "" {
		switch typ {
		case reflect.TypeFor[bake.Size]():
			example = "4GiB"
		case reflect.TypeFor[bake.Duration]():
			example = "5m"
		}
		return example
	}
	if isScalar(typ) && !isScalar(f.typ) {
		example, _, _ = strings.Cut(example, ",")
	}
	for ; typ.Kind() == reflect.Slice; typ = typ.Elem() {
		example = "[" + example + "]"
	}
	return example
}

// sample returns the line that adds the field to a file.
func (f field) sample() string {
	value := f.exampleOf(f.typ)
	if value == "" && f.enum != nil {
		value = f.enum[0]
	}
	return strings.TrimSpace(f.key + ": " + value)
}
