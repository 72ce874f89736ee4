package template

import (
	"encoding"
	"reflect"
	"slices"
	"strings"

	"github.com/iibake/iibake/bake"
)

// field is what the tags of a struct field say; bake/template.go explains them.
type field struct {
	index    int
	typ      reflect.Type
	key      string
	doc      string
	example  string
	def      string
	enum     []string
	format   string
	keys     string
	min, max string
	path     string
	oneof    string // group
	anyof    string // group
	alone    bool
	required bool
	short    bool
	scalar   bool
	item     bool // not the field itself is meant but an item of its list
}

// tables holds the fields of the struct types that were looked at.
type tables map[reflect.Type][]field

// of returns the fields of a struct type that a file can set.
func (t tables) of(typ reflect.Type) []field {
	if fields, ok := t[typ]; ok {
		return fields
	}
	var fields []field
	for i := range typ.NumField() {
		if f, ok := parseField(typ.Field(i)); ok {
			f.index = i
			fields = append(fields, f)
		}
	}
	t[typ] = fields
	return fields
}

func parseField(s reflect.StructField) (field, bool) {
	tag := s.Tag
	f := field{
		typ: s.Type, key: tag.Get("yaml"), doc: tag.Get("doc"), example: tag.Get("example"), def: tag.Get("default"),
		format: tag.Get("format"), keys: tag.Get("keys"), min: tag.Get("min"), max: tag.Get("max"), path: tag.Get("path"),
		required: tag.Get("required") != "", short: tag.Get("short") != "", scalar: tag.Get("scalar") != "",
	}
	if f.key == "" || f.key == "-" && !f.short {
		return field{}, false
	}
	f.anyof = tag.Get("anyof")
	if list, ok := tag.Lookup("enum"); ok {
		f.enum = strings.Split(list, ",")
	}
	group, rest, _ := strings.Cut(tag.Get("oneof"), ",")
	f.oneof, f.alone = group, rest == "alone"
	return f, true
}

// short returns the field that a plain value may stand for.
func (t tables) short(typ reflect.Type) (field, bool) {
	fields := t.of(typ)
	if i := slices.IndexFunc(fields, func(f field) bool { return f.short }); i >= 0 {
		return fields[i], true
	}
	return field{}, false
}

// short returns the field of a struct type that a plain value may stand for; other types have none.
func (d *decoder) short(typ reflect.Type) (field, bool) {
	if typ = deref(typ); typ.Kind() != reflect.Struct {
		return field{}, false
	}
	return d.tables.short(typ)
}

// keysOf returns the keys of a struct type.
func (t tables) keysOf(typ reflect.Type) []string {
	var keys []string
	for _, f := range t.of(typ) {
		if f.key != "-" {
			keys = append(keys, f.key)
		}
	}
	return keys
}

// later returns keys that other releases of iibake know: they deserve a better answer than "unknown".
func later(typ reflect.Type) []string {
	if typ == reflect.TypeFor[bake.Source]() {
		return []string{"ami"}
	}
	return nil
}

// isText reports whether values of the type are read from one text, such as a duration.
func isText(typ reflect.Type) bool {
	return reflect.PointerTo(typ).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// deref returns what a pointer type points to.
func deref(typ reflect.Type) reflect.Type {
	if typ.Kind() == reflect.Pointer {
		return typ.Elem()
	}
	return typ
}

// isScalar reports whether values of the type are a single text, number, or true and false.
func isScalar(typ reflect.Type) bool {
	switch typ.Kind() {
	case reflect.Struct, reflect.Map, reflect.Slice:
		return false
	}
	return true
}
