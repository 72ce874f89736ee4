package wire

import (
	"encoding/base64"
	"math"
	"reflect"
	"sort"
	"strconv"
	"unicode/utf8"
)

// jsonWriter encodes the answers of the JSON protocols. Keys come in alphabetical order.
type jsonWriter struct {
	out   []byte
	nulls bool // absent members are written as null, as EBS direct does
}

func (w *jsonWriter) put(s string) { w.out = append(w.out, s...) }

// structure writes the members that belong in the body.
func (w *jsonWriter) structure(n *node, v reflect.Value) {
	w.out = append(w.out, '{')
	start := len(w.out)
	for _, i := range n.alphabet {
		f := &n.fields[i]
		in, given := f.present(v.Field(f.index))
		if f.member.Location != "" || f.kind == stream || !given && !w.nulls {
			continue
		}
		if len(w.out) > start {
			w.out = append(w.out, ',')
		}
		w.quote(f.wire)
		w.out = append(w.out, ':')
		if given {
			w.value(f.node, in)
		} else {
			w.put("null")
		}
	}
	w.out = append(w.out, '}')
}

func (w *jsonWriter) value(n *node, v reflect.Value) {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch n.kind {
	case structure:
		w.structure(n, v)
	case list:
		w.list(n, v)
	case mapping:
		w.mapping(n, v)
	case text:
		w.quote(v.String())
	case boolean:
		w.out = strconv.AppendBool(w.out, v.Bool())
	case integer:
		w.out = strconv.AppendInt(w.out, v.Int(), 10)
	case decimal:
		w.decimal(v.Float(), n.typ.Bits())
	case blob:
		w.quote(base64.StdEncoding.EncodeToString(v.Bytes()))
	case timestamp:
		w.put(javaEpoch(timeOf(v)))
	case stream, union:
		w.put("null")
	}
}

func (w *jsonWriter) list(n *node, v reflect.Value) {
	w.out = append(w.out, '[')
	for i := range v.Len() {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.value(n.elem, v.Index(i))
	}
	w.out = append(w.out, ']')
}

func (w *jsonWriter) mapping(n *node, v reflect.Value) {
	keys := v.MapKeys()
	sort.Slice(keys, func(i, j int) bool { return keys[i].String() < keys[j].String() })
	w.out = append(w.out, '{')
	for i, key := range keys {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.quote(key.String())
		w.out = append(w.out, ':')
		w.value(n.elem, v.MapIndex(key))
	}
	w.out = append(w.out, '}')
}

func (w *jsonWriter) decimal(f float64, bits int) {
	switch {
	case math.IsNaN(f):
		w.put(`"NaN"`)
	case math.IsInf(f, 0):
		w.put(map[bool]string{true: `"Infinity"`, false: `"-Infinity"`}[f > 0])
	default:
		w.put(formatFloat(f, bits))
	}
}

// quote writes a string; bytes that are not UTF-8 become U+FFFD.
func (w *jsonWriter) quote(s string) {
	w.out = append(w.out, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			w.out = append(w.out, '\\', byte(r))
		case r < ' ':
			const digits = "0123456789abcdef"
			w.out = append(w.out, '\\', 'u', '0', '0', digits[r>>4], digits[r&15])
		case r < utf8.RuneSelf:
			w.out = append(w.out, byte(r))
		default:
			w.out = utf8.AppendRune(w.out, r)
		}
	}
	w.out = append(w.out, '"')
}
