package wire

import (
	"reflect"
	"sort"
	"unicode/utf8"
)

// xmlWriter encodes the answers of both Query protocols.
type xmlWriter struct {
	out []byte
	ec2 bool
}

func (w *xmlWriter) structure(n *node, v reflect.Value) {
	for i := range n.fields {
		f := &n.fields[i]
		if in, ok := f.present(v.Field(f.index)); ok {
			w.member(f, in)
		}
	}
}

func (w *xmlWriter) member(f *field, v reflect.Value) {
	if f.kind == list && (f.member.Flattened || f.shape.Flattened) {
		for i := range v.Len() {
			w.element(first(f.item, f.wire), f.elem, v.Index(i))
		}
		return
	}
	w.element(f.wire, f.node, v)
}

func (w *xmlWriter) element(name string, n *node, v reflect.Value) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	w.open(name)
	switch n.kind {
	case structure:
		w.structure(n, v)
	case list:
		for i := range v.Len() {
			w.element(first(n.item, w.defaultItem()), n.elem, v.Index(i))
		}
	case mapping:
		w.mapping(n, v)
	case text, boolean, integer, decimal, blob, timestamp:
		w.escape(n.formatText(v, w.ec2))
	case stream, union:
	}
	w.close(name)
}

func (w *xmlWriter) defaultItem() string {
	if w.ec2 {
		return "item"
	}
	return "member"
}

func (w *xmlWriter) mapping(n *node, v reflect.Value) {
	keys := v.MapKeys()
	sort.Slice(keys, func(i, j int) bool { return keys[i].String() < keys[j].String() })
	for _, key := range keys {
		w.open("entry")
		w.leaf(first(n.shape.Key.LocationName, "key"), key.String())
		w.element(first(n.shape.Value.LocationName, "value"), n.elem, v.MapIndex(key))
		w.close("entry")
	}
}

func (w *xmlWriter) open(name string)  { w.put("<", name, ">") }
func (w *xmlWriter) close(name string) { w.put("</", name, ">") }

func (w *xmlWriter) leaf(name, value string) {
	w.open(name)
	w.escape(value)
	w.close(name)
}

func (w *xmlWriter) put(parts ...string) {
	for _, part := range parts {
		w.out = append(w.out, part...)
	}
}

// escape writes text so that every parser reads the same text: what XML 1.0 cannot say becomes U+FFFD.
func (w *xmlWriter) escape(s string) {
	start := 0
	for i, r := range s {
		to := escaped(r, s[i:])
		if to == "" {
			continue
		}
		w.put(s[start:i], to)
		start = i + size(r, s[i:])
	}
	w.put(s[start:])
}

func escaped(r rune, at string) string {
	switch {
	case r == '&':
		return "&amp;"
	case r == '<':
		return "&lt;"
	case r == '>':
		return "&gt;"
	case r == '"':
		return "&quot;"
	case r == '\r':
		return "&#xD;"
	case r < ' ' && r != '\n' && r != '\t', r == 0xFFFE, r == 0xFFFF, r == utf8.RuneError && size(r, at) == 1:
		return "\uFFFD"
	}
	return ""
}

// size is how many bytes the rune takes, which is one where it stands for a byte that is not UTF-8.
func size(r rune, at string) int {
	if r != utf8.RuneError {
		return utf8.RuneLen(r)
	}
	_, n := utf8.DecodeRuneInString(at)
	return n
}
