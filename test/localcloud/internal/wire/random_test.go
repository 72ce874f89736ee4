package wire_test

import (
	"bytes"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"time"

	"github.com/iibake/iibake/test/localcloud/internal/wire/models"
)

// chance fills structs of the SDK with values that the model and the protocol allow.
type chance struct {
	*rand.Rand
	flat bool // the protocol cannot say that a structure or list is there and empty
}

func newChance(seed uint64) chance { return chance{Rand: rand.New(rand.NewPCG(seed, seed))} }

// fill returns a new struct of type typ.
func (c chance) fill(shape *models.Shape, typ reflect.Type) reflect.Value {
	v := reflect.New(typ)
	if shape != nil {
		c.structure(shape, v.Elem(), 0)
	}
	return v
}

func (c chance) structure(shape *models.Shape, v reflect.Value, depth int) {
	required := map[string]bool{}
	for _, name := range shape.Required {
		required[name] = true
	}
	something := -1
	if c.flat && len(shape.Members) > 0 {
		something = c.IntN(len(shape.Members))
	}
	for i := range shape.Members {
		m := &shape.Members[i]
		f := v.FieldByName(strings.ToUpper(m.Name[:1]) + m.Name[1:])
		if m.Shape.Union || !f.IsValid() {
			continue
		}
		if i == something || required[m.Name] || m.Location == "uri" || m.Shape.Streaming || c.IntN(2+depth*depth) == 0 {
			c.value(m, m.Shape, f, depth+1)
		}
	}
}

func (c chance) value(m *models.Member, shape *models.Shape, v reflect.Value, depth int) {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch shape.Type {
	case "structure":
		c.structure(shape, v, depth)
	case "list":
		n := c.length()
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			c.value(shape.Elem, shape.Elem.Shape, v.Index(i), depth+1)
		}
	case "map":
		v.Set(reflect.MakeMap(v.Type()))
		for range c.length() {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			c.value(shape.Key, shape.Key.Shape, key, depth+1)
			c.value(shape.Value, shape.Value.Shape, value, depth+1)
			v.SetMapIndex(key, value)
		}
	case "string":
		v.SetString(c.text(m, shape))
	case "boolean":
		v.SetBool(c.IntN(2) == 0)
	case "integer", "long":
		v.SetInt(c.number(v.Type().Bits()))
	case "float", "double":
		v.SetFloat(c.decimal(v.Type().Bits()))
	case "timestamp":
		v.Set(reflect.ValueOf(time.UnixMilli(c.Int64N(8e12) - 4e12).UTC())) // the years 1843 to 2096
	case "blob":
		c.blob(v)
	}
}

// number is mostly a small one, and sometimes one at the end of what there is.
func (c chance) number(bits int) int64 {
	low := int64(-1) << (bits - 1)
	return []int64{int64(c.Int32()), -int64(c.Int32()), 0, low, -(low + 1), 1<<31 - 1, -1 << 31}[c.IntN(7)]
}

func (c chance) decimal(bits int) float64 {
	if bits == 32 {
		return float64(float32(c.NormFloat64()))
	}
	return []float64{c.NormFloat64(), float64(c.Int32()), 0, math.MaxFloat64, -math.SmallestNonzeroFloat64, 1 << 53, 0.1}[c.IntN(7)]
}

func (c chance) length() int {
	if c.flat {
		return 1 + c.IntN(2)
	}
	return c.IntN(3)
}

func (c chance) text(m *models.Member, shape *models.Shape) string {
	if len(shape.Enum) > 0 {
		return shape.Enum[c.IntN(len(shape.Enum))]
	}
	letters := []rune("abcXYZ019-_")
	if m.Location == "" {
		letters = append(letters, []rune(" .,/+&=<>\"'%\\\n\tä€\U0001F600")...)
	}
	least := 1
	if m.Location == "" {
		least = 0
	}
	text := make([]rune, least+c.IntN(12))
	for i := range text {
		text[i] = letters[c.IntN(len(letters))]
	}
	return string(text)
}

func (c chance) blob(v reflect.Value) {
	b := make([]byte, 1+c.IntN(100))
	for i := range b {
		b[i] = byte(c.IntN(256))
	}
	switch v.Interface().(type) {
	case []byte:
		v.SetBytes(b)
	default:
		v.Set(reflect.ValueOf(reader{bytes.NewReader(b)}))
	}
}

// reader is a body that the SDK can read twice.
type reader struct{ *bytes.Reader }

func (reader) Close() error { return nil }

// content returns what a reader holds, for comparisons.
func content(r any) []byte {
	if b, ok := r.(reader); ok {
		_, _ = b.Seek(0, io.SeekStart)
	}
	b, _ := io.ReadAll(r.(io.Reader))
	return b
}
