package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/iibake/iibake/bake"
)

// Kind is a kind of file that users write.
type Kind string

// The kinds of files.
const (
	ProjectFile  Kind = "project"  // iibake.yaml
	TemplateFile Kind = "template" // of an image
)

const (
	schemaURL = "https://raw.githubusercontent.com/iibake/iibake/main/templates/schema/"

	durationPattern = `^([0-9]+d|0|\+?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+|-(0+(\.0*)?(ns|us|µs|μs|ms|s|m|h))+)$`
	sizePattern     = `^\s*\+?[0-9]+\s*(KiB|MiB|GiB|TiB)?\s*$`
	momentPattern   = `^([0-9]{4}-[0-9]{2}-[0-9]{2}|Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([01][0-9]|2[0-3]):[0-5][0-9]$`
	modePattern     = `^0*[0-7]{1,4}$`
)

// Schema returns the JSON Schema (draft 2020-12) of a kind of file, for editors. A file that [Load] takes satisfies it; the
// reverse does not hold, since a schema knows neither the repository nor the other files.
func Schema(kind Kind) ([]byte, error) {
	var typ reflect.Type
	switch kind {
	case ProjectFile:
		typ = reflect.TypeFor[Project]()
	case TemplateFile:
		typ = reflect.TypeFor[bake.Template]()
	default:
		return nil, fmt.Errorf("%w kind of file %q: want %s or %s", bake.ErrInvalid, kind, ProjectFile, TemplateFile)
	}
	s := schemer{tables: tables{}, defs: object{}, vars: kind == TemplateFile}
	root := s.structure(typ)
	if s.vars {
		s.defs["variable"] = object{"type": "string", "pattern": `(^|[^$])\$\{\{`, "description": "a text with ${{ vars.NAME }} in it"}
	}
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["$id"] = schemaURL + string(kind) + ".schema.json"
	root["title"] = "iibake " + string(kind)
	root["$defs"] = s.defs
	b, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, errors.Join(bake.ErrInvalid, err)
	}
	return append(b, '\n'), nil
}

// object is a JSON object.
type object = map[string]any

// schemer derives a schema from the tags of structs.
type schemer struct {
	tables tables
	defs   object
	vars   bool // the file may use variables
}

func (s schemer) structure(typ reflect.Type) object {
	properties, required := object{}, []string{}
	var choices, atLeast []object
	var kinds, alone []string
	for _, f := range s.tables.of(typ) {
		if f.key == "-" {
			continue
		}
		properties[f.key] = s.property(f)
		if f.required {
			required = append(required, f.key)
		}
		if f.anyof != "" {
			atLeast = append(atLeast, object{"required": []string{f.key}})
		}
		if f.alone {
			alone = append(alone, f.key)
		} else if f.oneof != "" {
			kinds = append(kinds, f.key)
			choices = append(choices, object{"required": []string{f.key}})
		}
	}
	o := object{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		o["required"] = required
	}
	for _, key := range alone {
		choices = append(choices, object{"required": []string{key}, "not": object{"anyOf": requireAny(kinds)}})
	}
	if choices != nil {
		o["oneOf"] = choices
	}
	if atLeast != nil {
		o["anyOf"] = atLeast
	}
	return o
}

func requireAny(keys []string) []object {
	var list []object
	for _, key := range keys {
		list = append(list, object{"required": []string{key}})
	}
	return list
}

// property returns the schema of a field with what is said about it.
func (s schemer) property(f field) object {
	o := s.value(f, f.typ)
	if ref, ok := o["$ref"]; ok {
		o = object{"$ref": ref}
	}
	o["description"] = f.doc
	if f.def != "" {
		o["default"] = jsonDefault(f)
	}
	if f.example != "" {
		o["examples"] = []any{jsonExample(f)}
	}
	return o
}

func jsonExample(f field) any {
	text := f.exampleOf(f.typ)
	if typ := deref(f.typ); isText(typ) || typ.Kind() == reflect.String {
		return text
	}
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		panic("bake/template: tag example of " + f.key + ": " + err.Error())
	}
	return v
}

func jsonDefault(f field) any {
	switch typ := deref(f.typ); typ.Kind() {
	case reflect.Slice:
		return strings.Split(f.def, ",")
	case reflect.Int:
		n, _ := strconv.Atoi(f.def) // a default that does not parse has stopped the decoder before
		return n
	case reflect.Bool:
		return f.def == "true"
	}
	return f.def
}

// value returns the schema of a value of typ in the field f.
func (s schemer) value(f field, typ reflect.Type) object {
	switch typ = deref(typ); {
	case isText(typ):
		return s.variable(textSchema(typ))
	case typ.Kind() == reflect.Struct:
		return s.ref(typ)
	case typ.Kind() == reflect.Map:
		s.vars = s.vars && f.keys != "variable" // variables are not made of variables
		o := object{"type": "object", "additionalProperties": s.value(f, typ.Elem())}
		if f.keys != "" {
			o["propertyNames"] = object{"pattern": formOf(f.keys).pattern}
		}
		return o
	case typ.Kind() == reflect.Slice:
		return object{"type": "array", "items": s.value(f, typ.Elem())}
	case typ.Kind() == reflect.Bool:
		return s.variable(object{"type": "boolean"})
	case typ.Kind() == reflect.Int:
		return s.variable(integer(f))
	}
	return s.text(f)
}

// ref puts a struct among the definitions and refers to it, or to it and its short form.
func (s schemer) ref(typ reflect.Type) object {
	name := strings.ToLower(typ.Name())
	if !s.vars {
		name += "-without-variables"
	}
	if _, ok := s.defs[name]; !ok {
		s.defs[name] = nil // holds the place: a struct may refer to itself
		long := s.structure(typ)
		if short, ok := s.tables.short(typ); ok {
			long = object{"anyOf": []object{s.value(short, short.typ), long}}
		}
		s.defs[name] = long
	}
	return object{"$ref": "#/$defs/" + name}
}

func textSchema(typ reflect.Type) object {
	switch typ {
	case reflect.TypeFor[bake.Duration]():
		return object{"anyOf": []object{{"type": "string", "pattern": durationPattern}, {"const": 0}}}
	case reflect.TypeFor[bake.Size]():
		return object{"anyOf": []object{{"type": "string", "pattern": sizePattern}, {"type": "integer", "minimum": 0}}}
	case reflect.TypeFor[bake.Moment]():
		return object{"type": "string", "pattern": momentPattern}
	case reflect.TypeFor[bake.FileMode]():
		return object{"anyOf": []object{{"type": "string", "pattern": modePattern}, {"type": "integer", "minimum": 0}}}
	}
	panic("bake/template: no schema is known for " + typ.String())
}

func integer(f field) object {
	o := object{"type": "integer"}
	if n, err := strconv.Atoi(f.min); err == nil {
		o["minimum"] = n
	}
	if n, err := strconv.Atoi(f.max); err == nil {
		o["maximum"] = n
	}
	if f.enum != nil {
		var list []int
		for _, e := range f.enum {
			n, _ := strconv.Atoi(e) // the enum of a number has numbers
			list = append(list, n)
		}
		o["enum"] = list
	}
	return o
}

func (s schemer) text(f field) object {
	switch {
	case f.scalar:
		return object{"type": []string{"string", "number", "boolean"}}
	case f.enum != nil:
		return s.variable(object{"type": "string", "enum": f.enum})
	case f.format != "":
		return s.variable(object{"type": "string", "pattern": formOf(f.format).pattern})
	}
	return object{"type": "string", "minLength": 1}
}

// variable adds to the forms of a value that it may be, or hold, a variable.
func (s schemer) variable(o object) object {
	if !s.vars {
		return o
	}
	return object{"anyOf": []object{o, {"$ref": "#/$defs/variable"}}}
}
