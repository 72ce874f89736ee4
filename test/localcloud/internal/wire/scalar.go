package wire

import (
	"encoding/base64"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// mismatch is a value that has not the type of its member.
type mismatch struct {
	path  string // of the parameter, as the client wrote it
	value string
	kind  kind
	found string // STRING_VALUE, NUMBER_VALUE, ... of JSON; empty for text
}

// setText sets a scalar from its form in parameters, headers and paths, and says whether it has one.
func (n *node) setText(dst reflect.Value, s string) bool {
	switch n.kind {
	case text:
		dst.SetString(s)
	case boolean:
		return setBool(dst, s)
	case integer:
		i, err := strconv.ParseInt(s, 10, n.typ.Bits())
		dst.SetInt(i)
		return err == nil
	case decimal:
		f, err := strconv.ParseFloat(s, n.typ.Bits())
		dst.SetFloat(f)
		return err == nil
	case blob:
		b, err := base64.StdEncoding.DecodeString(s)
		dst.SetBytes(b)
		return err == nil
	case timestamp:
		t, ok := parseTime(s)
		dst.Set(reflect.ValueOf(t))
		return ok
	case structure, list, mapping, stream, union:
		return false
	}
	return true
}

// finite reports whether a scalar is no number that JSON, and so a record, cannot say.
func (n *node) finite(v reflect.Value) bool {
	return n.kind != decimal || !math.IsNaN(v.Float()) && !math.IsInf(v.Float(), 0)
}

func setBool(dst reflect.Value, s string) bool {
	switch strings.ToLower(s) {
	case "true", "1":
		dst.SetBool(true)
	case "false", "0":
		dst.SetBool(false)
	default:
		return false
	}
	return true
}

// parseTime reads the forms of ISO 8601 that clients send, and seconds since 1970.
func parseTime(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999", "2006-01-02T15:04Z", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			if t = t.UTC(); t.Year() < 0 || t.Year() > 9999 { // by the distance from UTC; records could not hold it
				return time.Time{}, false
			}
			return t, true
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return time.Time{}, false
	}
	return epoch(f)
}

func timeOf(v reflect.Value) time.Time {
	t, _ := reflect.TypeAssert[time.Time](v)
	return t
}

// epoch is a time from seconds since 1970, to the millisecond. It refuses what is out of the years 0 to 9999.
func epoch(seconds float64) (time.Time, bool) {
	if !(seconds > -62167219200 && seconds < 253402300800) {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(math.Round(seconds * 1000))).UTC(), true
}

// iso is the form of times in XML: EC2 always writes the milliseconds, other services where there are any.
func iso(t time.Time, always bool) string {
	if always || t.Nanosecond() >= int(time.Millisecond) {
		return t.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

// javaEpoch is the form of times in JSON: seconds with milliseconds, written as Java writes a double: 1.790337440328E9.
func javaEpoch(t time.Time) string {
	s := strconv.FormatFloat(float64(t.UnixMilli())/1000, 'E', -1, 64)
	mantissa, exponent, _ := strings.Cut(s, "E")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	n, _ := strconv.Atoi(exponent) // FormatFloat wrote it
	return fmt.Sprintf("%sE%d", mantissa, n)
}

// formatText is the form of a scalar in parameters, headers and XML.
func (n *node) formatText(v reflect.Value, ec2 bool) string {
	switch n.kind {
	case text:
		return v.String()
	case boolean:
		return strconv.FormatBool(v.Bool())
	case integer:
		return strconv.FormatInt(v.Int(), 10)
	case decimal:
		return formatFloat(v.Float(), n.typ.Bits())
	case blob:
		return base64.StdEncoding.EncodeToString(v.Bytes())
	case timestamp:
		return iso(timeOf(v), ec2)
	case structure, list, mapping, stream, union:
	}
	return ""
}

// formatFloat writes a number with a decimal point, as Java does: 80.0.
func formatFloat(f float64, bits int) string {
	s := strconv.FormatFloat(f, 'f', -1, bits)
	if !strings.ContainsAny(s, ".IN") { // nor Inf, NaN
		s += ".0"
	}
	return s
}

// whole turns a number without a fraction into an integer's text: 5.0 into 5. It leaves others as they are.
func whole(s string) string {
	if !strings.ContainsAny(s, ".eE") {
		return s
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return s
	}
	return strconv.FormatInt(int64(f), 10)
}

func number(v any) string {
	switch v := v.(type) {
	case uint64:
		return strconv.FormatUint(v, 10)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return ""
}
