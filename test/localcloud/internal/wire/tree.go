package wire

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"time"
)

// tree decodes what a JSON or CBOR decoder made of a body: maps, lists, strings, numbers, booleans, bytes, times.
type tree struct{ wrong *mismatch }

func (t *tree) fail(path string, v any, n *node) {
	if t.wrong == nil {
		t.wrong = &mismatch{path: path, kind: n.kind, found: found(v)}
	}
}

func (t *tree) value(n *node, v any, dst reflect.Value, path string) {
	if v == nil {
		return // null is absent
	}
	switch n.kind {
	case structure:
		t.structure(n, v, settable(dst), path)
	case list:
		t.list(n, v, dst, path)
	case mapping:
		t.mapping(n, v, dst, path)
	case text, boolean, integer, decimal, blob, timestamp:
		if !n.setAny(settable(dst), v) {
			t.fail(path, v, n)
		}
	case stream, union:
		t.fail(path, v, n)
	}
}

func (t *tree) structure(n *node, v any, dst reflect.Value, path string) {
	members, ok := v.(map[string]any)
	if !ok {
		t.fail(path, v, n)
		return
	}
	taken := 0
	for i := range n.fields {
		f := &n.fields[i]
		if f.member.Location != "" {
			continue
		}
		if in, ok := members[f.wire]; ok {
			taken++
			t.value(f.node, in, dst.Field(f.index), join(path, f.wire))
		}
	}
	if taken < len(members) {
		t.unknown(n, members, path)
	}
}

// unknown refuses a member that the model does not have, unless it is null. AWS skips it; but what is new to this cloud and not to the client
// must not be taken for done.
func (t *tree) unknown(n *node, members map[string]any, path string) {
	for name, v := range members {
		known := v == nil || name == "__type"
		for i := range n.fields {
			known = known || n.fields[i].wire == name
		}
		if !known && t.wrong == nil {
			t.wrong = &mismatch{path: join(path, name), kind: n.kind, found: "unknown"}
		}
	}
}

func (t *tree) list(n *node, v any, dst reflect.Value, path string) {
	items, ok := v.([]any)
	if !ok {
		t.fail(path, v, n)
		return
	}
	made := reflect.MakeSlice(n.typ, len(items), len(items))
	for i, item := range items {
		t.value(n.elem, item, made.Index(i), path)
	}
	dst.Set(made)
}

func (t *tree) mapping(n *node, v any, dst reflect.Value, path string) {
	entries, ok := v.(map[string]any)
	if !ok {
		t.fail(path, v, n)
		return
	}
	made := reflect.MakeMapWithSize(n.typ, len(entries))
	for key, entry := range entries {
		in := reflect.New(n.typ.Elem()).Elem()
		t.value(n.elem, entry, in, path)
		made.SetMapIndex(reflect.ValueOf(key).Convert(n.typ.Key()), in)
	}
	dst.Set(made)
}

// setAny sets a scalar, and says whether v can be one.
func (n *node) setAny(dst reflect.Value, v any) bool {
	switch v := v.(type) {
	case string:
		return n.setString(dst, v)
	case bool:
		if n.kind != boolean {
			return false
		}
		dst.SetBool(v)
	case []byte:
		if n.kind != blob {
			return false
		}
		dst.SetBytes(v)
	case time.Time:
		if n.kind != timestamp {
			return false
		}
		dst.Set(reflect.ValueOf(v.UTC().Round(time.Millisecond)))
	case json.Number:
		return n.setNumber(dst, v.String())
	case uint64, int64, float64:
		return n.setNumber(dst, number(v))
	default:
		return false
	}
	return true
}

func (n *node) setString(dst reflect.Value, s string) bool {
	switch n.kind { //nolint:exhaustive // the others cannot be strings
	case text:
		dst.SetString(s)
		return true
	case blob:
		b, err := base64.StdEncoding.DecodeString(s)
		dst.SetBytes(b)
		return err == nil
	case timestamp:
		return n.setText(dst, s)
	case decimal: // only so can JSON say them
		return (s == "NaN" || strings.TrimPrefix(s, "-") == "Infinity") && n.setText(dst, s)
	}
	return false
}

// setNumber takes an integer also where it is written as a float: 5.0, 1e3.
func (n *node) setNumber(dst reflect.Value, s string) bool {
	switch n.kind { //nolint:exhaustive // the others cannot be numbers
	case decimal, timestamp:
		return n.setText(dst, s)
	case integer:
		return n.setText(dst, whole(s))
	}
	return false
}

// found names the kind of a value as AWS does in the errors of its JSON protocols.
func found(v any) string {
	switch v := v.(type) {
	case string:
		return "STRING_VALUE"
	case json.Number, uint64, int64, float64:
		return "NUMBER_VALUE"
	case bool:
		return strings.ToUpper(map[bool]string{true: "true", false: "false"}[v]) + "_VALUE"
	case []any:
		return "list"
	case map[string]any:
		return "structure"
	}
	return "value"
}
