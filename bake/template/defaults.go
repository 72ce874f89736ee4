package template

import (
	"reflect"
	"strconv"
	"strings"

	"github.com/iibake/iibake/bake"
)

// debianSize is the disk of a Debian bootstrapped without a size: room for the system and about as much again.
const debianSize = 2 * bake.GiB

// defaults sets what the file leaves out, by the default tags of what into points to. It is the only place that does.
func defaults(t tables, given places, into any) {
	(&setter{t, given}).value("", field{}, reflect.ValueOf(into).Elem())
	if tpl, ok := into.(*bake.Template); ok {
		conditional(given, tpl)
	}
}

// conditional sets the defaults that depend on another key.
func conditional(given places, t *bake.Template) {
	if _, ok := given["disk_size"]; !ok && t.Source.Debian != nil {
		t.DiskSize = debianSize
	}
	if _, ok := given["tests.boot.firmware"]; !ok && t.Arch == bake.ARM64 {
		t.Tests.Boot.Firmware = []bake.Firmware{bake.UEFI}
	}
}

type setter struct {
	tables tables
	given  places
}

func (s *setter) value(path string, f field, v reflect.Value) {
	if _, ok := s.given[path]; !ok && f.def != "" {
		fromTag(f, v)
		return
	}
	switch {
	case v.Kind() == reflect.Pointer && !v.IsNil() && v.Elem().Kind() == reflect.Struct:
		s.value(path, f, v.Elem())
	case isText(v.Type()):
	case v.Kind() == reflect.Struct:
		for _, f := range s.tables.of(v.Type()) {
			if f.key != "-" {
				s.value(join(path, f.key), f, v.Field(f.index))
			}
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			s.value(path+"["+strconv.Itoa(i)+"]", field{}, v.Index(i))
		}
	case v.Kind() == reflect.Map:
		s.entries(path, v)
	}
}

// entries sets the defaults in the structs of a map, whose values cannot be changed in place.
func (s *setter) entries(path string, v reflect.Value) {
	for _, key := range v.MapKeys() {
		entry := reflect.New(v.Type().Elem()).Elem()
		entry.Set(v.MapIndex(key))
		s.value(join(path, key.String()), field{}, entry)
		v.SetMapIndex(key, entry)
	}
}

// fromTag sets v to the field's default.
func fromTag(f field, v reflect.Value) {
	items := []string{f.def}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	case reflect.Slice:
		items = strings.Split(f.def, ",")
		v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	}
	for i, item := range items {
		at := v
		if v.Kind() == reflect.Slice {
			at = v.Index(i)
		}
		if err := set(at, item); err != nil {
			panic("bake/template: tag default of " + f.key + ": " + err.Error())
		}
	}
}
