package template

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/iibake/iibake/bake"
)

// Entry is what there is to know of one key of a file that users write, or of the file as a whole.
type Entry struct {
	File     Kind    `json:"file"`
	Key      string  `json:"key"`  // with those above it; NAME stands for a key that the user chooses, [] for the items of a list
	Type     string  `json:"type"` // in words, with the bounds
	Doc      string  `json:"doc,omitempty"`
	Default  string  `json:"default,omitempty"`
	Example  string  `json:"example,omitempty"`
	Required bool    `json:"required,omitempty"`
	OneOf    string  `json:"one_of,omitempty"` // group of keys of which exactly one must be there
	Short    string  `json:"short,omitempty"`  // key below whose value may stand for all of it
	Keys     []Entry `json:"keys,omitempty"`   // below it, without those below them
}

// Explain returns what key is in every kind of file that knows it: dotted, as fleets.refresh.soak, and nothing for the whole files. Names
// that users choose and numbers of items may be in it or not. The error wraps [bake.ErrInvalid], and names the nearest key that there is.
func Explain(key string) ([]Entry, error) {
	var found []Entry
	var failed miss
	for _, kind := range []Kind{ProjectFile, TemplateFile} {
		e := explainer{kind: kind, d: newDecoder("", tables{})}
		entry, missed := e.find(field{typ: kinds()[kind]}, "", words(key))
		switch {
		case missed.err == nil:
			found = append(found, entry)
		case failed.err == nil || missed.known > failed.known || missed.known == failed.known && missed.near && !failed.near:
			failed = missed
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	if places := placesOf(words(key)); failed.known == 0 && len(places) > 0 {
		return nil, fmt.Errorf("%w key: neither file begins with %q: did you mean %s?", bake.ErrInvalid, key, strings.Join(places, " or "))
	}
	return nil, failed.err
}

// placesOf returns the keys that end in these words.
func placesOf(words []string) []string {
	end := "." + strings.Join(words, ".")
	return slices.DeleteFunc(Keys(), func(key string) bool { return !strings.HasSuffix(key, end) })
}

// miss says how near a key came to one that there is.
type miss struct {
	err   error // nil: there is one
	known int   // words that led to keys
	near  bool  // the next one nearly did
}

// what says which file a kind is.
func (k Kind) what() string {
	if k == ProjectFile {
		return projectFile
	}
	return "an image template"
}

// words splits a key at its dots and brackets.
func words(key string) []string {
	return strings.FieldsFunc(key, func(r rune) bool { return strings.ContainsRune(".[]", r) })
}

// explainer looks keys up in the structs of one kind of file.
type explainer struct {
	kind Kind
	d    *decoder
}

// find follows rest from the field f, whose key with those above it is path.
func (e explainer) find(f field, path string, rest []string) (Entry, miss) {
	if len(rest) == 0 {
		return e.entry(f, path, true), miss{}
	}
	item, at := e.items(f, path)
	if item.typ.Kind() != reflect.Struct || isText(item.typ) {
		return Entry{}, miss{err: fmt.Errorf("%w key: %s has no keys below it", bake.ErrInvalid, path)}
	}
	chosen := at != path // the first word may be a name that a user chose, or the number of an item
	if next, ok := e.below(item.typ, rest[0]); ok {
		return e.follow(next, at, rest[1:])
	}
	keys := e.d.tables.keysOf(item.typ)
	_, near := Nearest(rest[0], keys)
	switch {
	case !chosen || near:
	case len(rest) == 1 && f.keys != "":
		return e.entry(item, at, true), miss{}
	case len(rest) > 1:
		if next, ok := e.below(item.typ, rest[1]); ok {
			return e.follow(next, at, rest[2:])
		}
		path, rest = at, rest[1:]
		_, near = Nearest(rest[0], keys)
	}
	err := fmt.Errorf("%w key: %s has no key %q: %s", bake.ErrInvalid, cmp.Or(path, e.kind.what()), rest[0], didYouMean(rest[0], keys, ""))
	return Entry{}, miss{err: err, near: near}
}

// follow goes on behind a key that is known.
func (e explainer) follow(next field, at string, rest []string) (Entry, miss) {
	entry, missed := e.find(next, join(at, next.key), rest)
	missed.known++
	return entry, missed
}

func (e explainer) below(typ reflect.Type, key string) (field, bool) {
	fields := e.d.tables.of(typ)
	i := slices.IndexFunc(fields, func(f field) bool { return f.key == key && key != "-" })
	if i < 0 {
		return field{}, false
	}
	return fields[i], true
}

// items returns the field that stands for what is in a list or a mapping, however deep, and its path.
func (e explainer) items(f field, path string) (field, string) {
	for {
		switch f.typ = deref(f.typ); {
		case isText(f.typ):
			return f, path
		case f.typ.Kind() == reflect.Slice:
			path += "[]"
		case f.typ.Kind() == reflect.Map:
			path = join(path, "NAME")
		default:
			return f, path
		}
		f.typ, f.example, f.def, f.required = f.typ.Elem(), "", "", false // what is said of all is not said of each
	}
}

// entry describes a field, and where deep what is below it.
func (e explainer) entry(f field, path string, deep bool) Entry {
	entry := Entry{
		File: e.kind, Key: path, Type: e.typeOf(f), Doc: f.doc, Default: f.def, Required: f.required, OneOf: f.oneof,
	}
	if f.example != "" {
		entry.Example = f.exampleOf(deref(f.typ))
	}
	item, at := e.items(f, path)
	if item.typ.Kind() != reflect.Struct || isText(item.typ) {
		return entry
	}
	if short, ok := e.d.tables.short(item.typ); ok {
		entry.Short = short.key
	}
	for _, below := range e.d.tables.of(item.typ) {
		if deep && below.key != "-" {
			entry.Keys = append(entry.Keys, e.entry(below, join(at, below.key), false))
		}
	}
	return entry
}

// typeOf says in words what is written for a field.
func (e explainer) typeOf(f field) string {
	typ := deref(f.typ)
	inner, many := "", false
	switch {
	case isText(typ):
	case typ.Kind() == reflect.Slice:
		inner, many = "list of ", true
	case typ.Kind() == reflect.Map:
		inner, many = "mapping of NAME to ", false
	}
	if inner == "" {
		return e.noun(f, typ, false)
	}
	f.typ = deref(typ.Elem())
	if k := f.typ.Kind(); k == reflect.Slice || k == reflect.Map {
		return inner + strings.Replace(e.typeOf(f), "list", "lists", 1)
	}
	return inner + e.noun(f, f.typ, many)
}

// noun says what is written for a value that is neither a list nor a mapping of names, or for many of them, with its bounds.
func (e explainer) noun(f field, typ reflect.Type, many bool) string {
	if f.enum != nil {
		return strings.Join(f.enum, " or ")
	}
	noun := "mapping"
	if isText(typ) || typ.Kind() != reflect.Struct {
		noun = strings.TrimPrefix(e.d.noun(f, typ), "a ")
	}
	if many {
		noun += "s"
	}
	switch {
	case f.min != "" && f.max != "":
		noun += " from " + f.min + " to " + f.max
	case f.min != "":
		noun += " from " + f.min
	case f.max != "":
		noun += " up to " + f.max
	}
	return noun
}

// Keys returns every key of both kinds of files as [Explain] takes it, sorted: for completions.
func Keys() []string {
	var all []string
	for kind, typ := range kinds() {
		explainer{kind: kind, d: newDecoder("", tables{})}.walk(field{typ: typ}, "", func(key string) { all = append(all, key) })
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// walk visits every key below a field.
func (e explainer) walk(f field, path string, visit func(key string)) {
	f, _ = e.items(f, "")
	if f.typ.Kind() != reflect.Struct || isText(f.typ) {
		return
	}
	for _, below := range e.d.tables.of(f.typ) {
		if below.key != "-" {
			key := join(path, below.key)
			visit(key)
			e.walk(below, key, visit)
		}
	}
}

// kinds returns the struct of each kind of file.
func kinds() map[Kind]reflect.Type {
	return map[Kind]reflect.Type{ProjectFile: reflect.TypeFor[Project](), TemplateFile: reflect.TypeFor[bake.Template]()}
}
