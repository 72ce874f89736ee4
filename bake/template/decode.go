package template

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/iibake/iibake/bake"
)

// maxValues bounds the values of a file with its aliases followed: a few anchors can stand for billions.
const maxValues = 50_000

// places says where every value of a file stands, by its path: steps[0].copy.from.
type places map[string]bake.Position

// at returns the place of a value, or of the nearest thing around it that the file has.
func (p places) at(path string) bake.Position {
	for {
		if pos, ok := p[path]; ok {
			return pos
		}
		if path == "" {
			return bake.Position{}
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
}

// decoder turns the nodes of one file into structs and gathers what is wrong with them.
type decoder struct {
	file   string
	root   *os.Root // where paths are looked up; nil in a file that has none
	tables tables
	forms  forms
	vars   map[string]bake.Var // what ${{ }} can name; nil where it cannot be used
	ready  string              // key of the document that is decoded already
	given  places
	errs   Errors
	failed map[bake.Position]bool // places of errs
	values int                    // followed so far
}

func newDecoder(file string, t tables) *decoder {
	top := bake.Position{File: file, Line: 1, Column: 1}
	return &decoder{file: file, tables: t, forms: forms{}, given: places{"": top}, failed: map[bake.Position]bool{}}
}

func (d *decoder) position(n *yaml.Node) bake.Position {
	return bake.Position{File: d.file, Line: max(1, n.Line), Column: max(1, n.Column)}
}

func (d *decoder) failAt(pos bake.Position, text, hint string) {
	d.failed[pos] = true
	d.errs = append(d.errs, Error{Pos: pos, Text: text, Hint: hint})
}

// failOnce reports something about a value unless there is an error at its place already, from which this one may follow.
func (d *decoder) failOnce(path, text, hint string) {
	if pos := d.given.at(path); !d.failed[pos] {
		d.failAt(pos, text, hint)
	}
}

func (d *decoder) fail(n *yaml.Node, text, hint string) { d.failAt(d.position(n), text, hint) }

// readable reports whether this release knows the version of the file. Of a later one nothing but that is wrong.
func (d *decoder) readable(root *yaml.Node) bool {
	for i := 0; root.Kind == yaml.MappingNode && i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		if key.Value != "version" || value.ShortTag() != "!!int" {
			continue
		}
		if n, err := strconv.Atoi(value.Value); err == nil && n > 1 {
			d.fail(value, fmt.Sprintf("version %d is of a later iibake", n), "upgrade iibake, or write version: 1")
			return false
		}
	}
	return true
}

// tree decodes a whole document into the struct or map that into points to.
func (d *decoder) tree(root *yaml.Node, into any) {
	v := reflect.ValueOf(into).Elem()
	d.value("", root, field{typ: v.Type()}, v)
	d.given[""] = bake.Position{File: d.file, Line: 1, Column: 1}
}

// follow returns what an alias stands for, and false when the file has come to stand for too much.
func (d *decoder) follow(n *yaml.Node) (*yaml.Node, bool) {
	if d.values++; d.values == maxValues {
		d.fail(n, fmt.Sprintf("the file stands for more than %d values", maxValues), "use fewer aliases")
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n, d.values < maxValues
}

// value decodes a node into v. f is the field that v is, or whose item it is.
func (d *decoder) value(path string, n *yaml.Node, f field, v reflect.Value) {
	n, ok := d.follow(n)
	if !ok {
		return
	}
	d.given[path] = d.position(n)
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch {
	case !strings.HasPrefix(n.ShortTag(), "!!"):
		d.fail(n, fmt.Sprintf("the YAML tag %s means nothing here", quote(n.Tag)), "remove it")
	case isNull(n):
		d.fail(n, f.named("has no value", "has an item without a value"), d.want(f, v.Type())+", or remove it")
	case isText(v.Type()):
		d.scalar(n, f, v)
	case v.Kind() == reflect.Struct:
		d.structure(path, n, f, v)
	case v.Kind() == reflect.Map:
		d.mapping(path, n, f, v)
	case v.Kind() == reflect.Slice:
		d.list(path, n, f, v)
	default:
		d.scalar(n, f, v)
	}
}

func (d *decoder) structure(path string, n *yaml.Node, f field, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.shorthand(path, n, f, v)
		return
	}
	if pos := v.FieldByName("Pos"); pos.IsValid() && pos.Type() == reflect.TypeFor[bake.Position]() {
		pos.Set(reflect.ValueOf(d.position(n)))
	}
	fields := d.tables.of(v.Type())
	present := map[string]*yaml.Node{}
	for _, p := range d.pairs(n) {
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == p.key.Value && f.key != "-" })
		if i < 0 {
			if meant := d.unknownKey(p.key, v.Type()); meant != "" && present[meant] == nil {
				present[meant] = p.key // said once is enough
			}
			continue
		}
		at := join(path, p.key.Value)
		present[p.key.Value] = p.key
		if at != d.ready || d.ready == "" {
			d.value(at, p.value, fields[i], v.Field(fields[i].index))
		}
	}
	d.missing(n, f, fields, present)
	d.choice(n, f, fields, present)
	d.atLeastOne(n, f, fields, present)
}

// shorthand decodes a plain value into the struct that it stands for.
func (d *decoder) shorthand(path string, n *yaml.Node, f field, v reflect.Value) {
	short, ok := d.tables.short(v.Type())
	if !ok {
		d.wrong(n, f, v.Type())
		return
	}
	if secret, ok := d.wholeSecret(n, v.Type()); ok {
		v.FieldByName("Secret").Set(reflect.ValueOf(secret))
		return
	}
	if isScalar(deref(short.typ)) != (n.Kind == yaml.ScalarNode) {
		d.wrong(n, f, v.Type())
		return
	}
	if short.key != "-" {
		path = join(path, short.key)
	}
	short.key, short.item = f.key, f.item
	d.value(path, n, short, v.Field(short.index))
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// unknownKey reports a key, and returns the one that was probably meant.
func (d *decoder) unknownKey(key *yaml.Node, typ reflect.Type) (meant string) {
	known := d.tables.keysOf(typ)
	if slices.Contains(later(typ), key.Value) {
		d.fail(key, fmt.Sprintf("%q is not in this release of iibake", key.Value), "write one of "+strings.Join(known, ", "))
		return ""
	}
	d.fail(key, fmt.Sprintf("unknown key %s", quote(key.Value)), didYouMean(key.Value, known, "remove it"))
	meant, _ = Nearest(key.Value, known)
	return meant
}

func (d *decoder) missing(n *yaml.Node, parent field, fields []field, present map[string]*yaml.Node) {
	for _, f := range fields {
		if f.required && present[f.key] == nil {
			d.fail(n, fmt.Sprintf("%s lacks the key %q", parent.subject(), f.key), "add "+f.sample())
		}
	}
}

// choice sees to the keys of which there must be exactly one.
func (d *decoder) choice(n *yaml.Node, parent field, fields []field, present map[string]*yaml.Node) {
	var can, have []string
	for _, f := range fields {
		if f.oneof == "" {
			continue
		}
		can = append(can, f.key)
		if present[f.key] != nil && !f.alone {
			have = append(have, f.key)
		}
	}
	switch {
	case len(have) > 1:
		slices.SortFunc(have, func(a, b string) int { return compareNodes(present[a], present[b]) })
		d.fail(present[have[1]], fmt.Sprintf("%s has %s together", parent.subject(), strings.Join(have, " and ")), "write only one of them here")
	case len(can) > 0 && len(have) == 0 && !slices.ContainsFunc(can, func(k string) bool { return present[k] != nil }):
		d.fail(n, fmt.Sprintf("%s has none of the keys %s", parent.subject(), strings.Join(can, ", ")), "add one of them")
	}
}

// atLeastOne sees to the keys of which there must be one or more.
func (d *decoder) atLeastOne(n *yaml.Node, parent field, fields []field, present map[string]*yaml.Node) {
	var can []string
	for _, f := range fields {
		if f.anyof != "" {
			can = append(can, f.key)
		}
	}
	if len(can) > 0 && !slices.ContainsFunc(can, func(k string) bool { return present[k] != nil }) {
		d.fail(n, fmt.Sprintf("%s has none of the keys %s", parent.subject(), strings.Join(can, ", ")), "add one of them, or both")
	}
}

func (d *decoder) mapping(path string, n *yaml.Node, f field, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.wrong(n, f, v.Type())
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, p := range d.pairs(n) {
		if err := d.forms.check(f.keys, p.key.Value); err != "" {
			d.fail(p.key, fmt.Sprintf("%s is no name to use here", quote(p.key.Value)), err)
			d.given[join(path, p.key.Value)] = d.position(p.key) // there is something, though nothing to use
			continue
		}
		entry := f
		entry.key, entry.example = p.key.Value, "" // the example is one of the whole mapping
		item := reflect.New(v.Type().Elem()).Elem()
		d.value(join(path, p.key.Value), p.value, entry, item)
		v.SetMapIndex(reflect.ValueOf(p.key.Value), item)
	}
}

func (d *decoder) list(path string, n *yaml.Node, f field, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.wrong(n, f, v.Type())
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	f.item = true
	for i, item := range n.Content {
		if d.values >= maxValues {
			return
		}
		d.value(path+"["+strconv.Itoa(i)+"]", item, f, v.Index(i))
	}
}

func compareNodes(a, b *yaml.Node) int {
	if a.Line != b.Line {
		return a.Line - b.Line
	}
	return a.Column - b.Column
}
