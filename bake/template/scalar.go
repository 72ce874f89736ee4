package template

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// scalar decodes a text, a number or a truth value.
func (d *decoder) scalar(n *yaml.Node, f field, v reflect.Value) {
	if n.Kind != yaml.ScalarNode {
		d.wrong(n, f, v.Type())
		return
	}
	text, filled, ok := d.fill(n)
	if !ok {
		return
	}
	if !filled && !fits(n.ShortTag(), f, v.Type()) {
		d.wrong(n, f, v.Type())
		return
	}
	if err := set(v, text); err != nil {
		d.explain(n, f, v.Type(), err)
		return
	}
	if text, hint := d.broken(f, text, v); text != "" {
		d.fail(n, text, hint)
		v.SetZero() // nothing is to be concluded from it
	}
}

// fits reports whether a scalar with a YAML tag may stand where a value of typ is wanted.
func fits(tag string, f field, typ reflect.Type) bool {
	text := tag == "!!str" || tag == "!!timestamp"
	switch {
	case isText(typ), f.scalar:
		return text || tag == "!!int" || tag == "!!float" || tag == "!!bool" && f.scalar
	case typ.Kind() == reflect.Int:
		return tag == "!!int"
	case typ.Kind() == reflect.Bool:
		return tag == "!!bool"
	}
	return text
}

// set parses text into v: one of the kinds that the structs are made of.
func set(v reflect.Value, text string) error {
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Int:
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return fmt.Errorf("%s is no whole number that iibake can use", quote(text))
		}
		v.SetInt(n)
	case reflect.Bool:
		b, err := strconv.ParseBool(strings.ToLower(text))
		if err != nil {
			return fmt.Errorf("%s is neither true nor false", quote(text))
		}
		v.SetBool(b)
	default:
		panic("bake/template: no field can have the type " + v.Type().String())
	}
	return nil
}

// explain reports an error of set, which may carry its own hint behind a colon.
func (d *decoder) explain(n *yaml.Node, f field, typ reflect.Type, err error) {
	text, hint, ok := strings.Cut(err.Error(), ": ")
	if !ok {
		hint = d.want(f, typ)
	}
	d.fail(n, f.subject()+": "+text, hint)
}

// broken holds a decoded scalar against the tags of its field and says what is wrong.
func (d *decoder) broken(f field, text string, v reflect.Value) (problem, hint string) {
	cannot := f.named("cannot be "+quote(text), "cannot hold "+quote(text))
	switch {
	case v.Kind() == reflect.String && text == "" && !f.scalar:
		return f.named("is empty", "has an empty item"), d.want(f, v.Type()) + ", or remove it"
	case strings.ContainsRune(text, 0):
		return f.named("holds a zero byte", "has an item with a zero byte"), "remove it"
	case f.enum != nil && !slices.Contains(f.enum, text):
		return cannot, "write " + strings.Join(f.enum, " or ")
	case f.format != "":
		if hint := d.forms.check(f.format, text); hint != "" {
			return cannot, hint
		}
	case f.path != "":
		return d.checkPath(f, text)
	case !f.within(v):
		return cannot, "write " + f.span()
	}
	return "", ""
}

// within reports whether v is in the bounds of its field.
func (f field) within(v reflect.Value) bool {
	low, high := bound(f.min, v.Type()), bound(f.max, v.Type())
	return (!low.IsValid() || !less(v, low)) && (!high.IsValid() || !less(high, v))
}

// bound parses the tag min or max.
func bound(tag string, typ reflect.Type) reflect.Value {
	if tag == "" {
		return reflect.Value{}
	}
	v := reflect.New(typ).Elem()
	if err := set(v, tag); err != nil {
		panic("bake/template: tag: " + err.Error())
	}
	return v
}

func less(a, b reflect.Value) bool {
	if a.CanUint() {
		return a.Uint() < b.Uint()
	}
	return a.Int() < b.Int()
}

// span says what bounds a field has.
func (f field) span() string {
	switch {
	case f.max == "":
		return "at least " + f.min
	case f.min == "":
		return "at most " + f.max
	}
	return f.min + " to " + f.max
}
