package wire

import (
	"bytes"
	"encoding/base64"
	"math"
	"reflect"
	"sort"
	"strconv"
	"time"
	"unicode/utf8"
)

// jsonWriter encodes the answers of the JSON protocols. Keys come in alphabetical order.
type jsonWriter struct {
	*bytes.Buffer
	nulls bool // absent members are written as null, as EBS direct does
}

// structure writes the members that belong in the body.
func (w *jsonWriter) structure(n *node, v reflect.Value) {
	w.WriteByte('{')
	start := w.Len()
	for _, i := range n.alphabet {
		f := &n.fields[i]
		in, given := f.present(v.Field(f.index))
		if f.member.Location != "" || f.kind == stream || !given && !w.nulls {
			continue
		}
		if w.Len() > start {
			w.WriteByte(',')
		}
		w.quote(f.wire)
		w.WriteByte(':')
		if given {
			w.value(f.node, in)
		} else {
			w.WriteString("null")
		}
	}
	w.WriteByte('}')
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
		w.WriteString(strconv.FormatBool(v.Bool()))
	case integer:
		w.WriteString(strconv.FormatInt(v.Int(), 10))
	case decimal:
		w.decimal(v.Float(), n.typ.Bits())
	case blob:
		w.quote(base64.StdEncoding.EncodeToString(v.Bytes()))
	case timestamp:
		t, _ := v.Interface().(time.Time)
		w.WriteString(javaEpoch(t))
	case stream, union:
		w.WriteString("null")
	}
}

func (w *jsonWriter) list(n *node, v reflect.Value) {
	w.WriteByte('[')
	for i := range v.Len() {
		if i > 0 {
			w.WriteByte(',')
		}
		w.value(n.elem, v.Index(i))
	}
	w.WriteByte(']')
}

func (w *jsonWriter) mapping(n *node, v reflect.Value) {
	keys := v.MapKeys()
	sort.Slice(keys, func(i, j int) bool { return keys[i].String() < keys[j].String() })
	w.WriteByte('{')
	for i, key := range keys {
		if i > 0 {
			w.WriteByte(',')
		}
		w.quote(key.String())
		w.WriteByte(':')
		w.value(n.elem, v.MapIndex(key))
	}
	w.WriteByte('}')
}

func (w *jsonWriter) decimal(f float64, bits int) {
	switch {
	case math.IsNaN(f):
		w.WriteString(`"NaN"`)
	case math.IsInf(f, 0):
		w.WriteString(map[bool]string{true: `"Infinity"`, false: `"-Infinity"`}[f > 0])
	default:
		w.WriteString(formatFloat(f, bits))
	}
}

// quote writes a string; bytes that are not UTF-8 become U+FFFD.
func (w *jsonWriter) quote(s string) {
	w.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			w.WriteByte('\\')
			w.WriteByte(byte(r))
		case r < ' ':
			const digits = "0123456789abcdef"
			w.WriteString(`\u00`)
			w.WriteByte(digits[r>>4])
			w.WriteByte(digits[r&15])
		case r < utf8.RuneSelf:
			w.WriteByte(byte(r))
		default:
			w.WriteRune(r)
		}
	}
	w.WriteByte('"')
}
