package state_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"pgregory.net/rapid"

	"github.com/iibake/iibake/test/localcloud/internal/state"
)

// Every record comes back as it was, whatever is set in it: nil and empty, pointers, times, enumerations, and what it embeds.
func TestRecordsRoundTrip(t *testing.T) {
	for field := range reflect.TypeFor[state.Region]().Fields() {
		if !strings.HasPrefix(field.Type.Name(), "Table[") {
			continue
		}
		get, _ := reflect.PointerTo(field.Type).MethodByName("Get")
		record := get.Type.Out(0).Elem()
		t.Run(field.Name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { checkRoundTrip(t, record) })
		})
	}
}

func checkRoundTrip(t *rapid.T, record reflect.Type) {
	want := reflect.New(record)
	fill(t, want.Elem(), rapid.SampledFrom([]int{0, 30, 100}).Draw(t, "set"))
	body, err := json.Marshal(want.Interface())
	if err != nil {
		t.Fatal(err)
	}
	got := reflect.New(record)
	if err := json.Unmarshal(body, got.Interface()); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Interface(), want.Interface()) {
		t.Fatalf("got %+v\nwant %+v\nas %s", got.Elem(), want.Elem(), body)
	}
}

// fill sets what is exported in v; each part with a probability in percent, so that nil and zero are met, too.
func fill(t *rapid.T, v reflect.Value, percent int) {
	if rapid.IntRange(1, 100).Draw(t, "dice") > percent && v.Kind() != reflect.Struct {
		return
	}
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Unix(rapid.Int64Range(0, 1<<34).Draw(t, "s"), rapid.Int64Range(0, 999999999).Draw(t, "ns")).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, part := range v.Fields() {
			if part.CanSet() {
				fill(t, part, percent)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), percent)
	case reflect.Slice:
		n := rapid.IntRange(0, 2).Draw(t, "len")
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(t, v.Index(i), percent)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range rapid.IntRange(0, 2).Draw(t, "len") {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(t, key, 100)
			fill(t, value, percent)
			v.SetMapIndex(key, value)
		}
	case reflect.String:
		v.SetString(rapid.StringN(1, 8, -1).Draw(t, "text"))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(rapid.Int32().Draw(t, "int")))
	case reflect.Uint8:
		v.SetUint(uint64(rapid.Byte().Draw(t, "byte")))
	case reflect.Float64:
		v.SetFloat(float64(rapid.Int32().Draw(t, "float")) / 8)
	case reflect.Interface:
		if v.Type() == reflect.TypeFor[cwtypes.EvaluationCriteria]() || v.Type() == reflect.TypeFor[cwtypes.EvaluationWindow]() {
			return // of alarms that CloudWatch refuses here
		}
		fallthrough
	default:
		t.Fatalf("%s: a record must not hold what JSON loses", v.Type())
	}
}
