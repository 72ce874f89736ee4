package template

import "reflect"

// EC2 has three shapes for the same thing: what a template is given, what it shows, and what a launch takes. Their members have the same
// names.

// copyFields sets the fields of the struct that dst points to from those of the same name in the struct that src points to, through structs, pointers
// and lists. Fields that dst does not have, or of another kind, are left out. Nothing is shared that could be changed.
func copyFields(dst, src any) { copyStruct(reflect.ValueOf(dst).Elem(), reflect.ValueOf(src).Elem()) }

func copyStruct(dst, src reflect.Value) {
	for i := range src.NumField() {
		f := src.Type().Field(i)
		if !f.IsExported() || src.Field(i).IsZero() {
			continue
		}
		if to := dst.FieldByName(f.Name); to.IsValid() {
			copyValue(to, src.Field(i))
		}
	}
}

func copyValue(dst, src reflect.Value) {
	if src.Kind() != dst.Kind() {
		return
	}
	switch {
	case src.Kind() == reflect.Pointer && src.IsNil():
	case src.Kind() == reflect.Pointer && src.Type().Elem().Kind() == reflect.Struct && src.Type() != dst.Type():
		dst.Set(reflect.New(dst.Type().Elem()))
		copyStruct(dst.Elem(), src.Elem())
	case src.Kind() == reflect.Struct && src.Type() != dst.Type():
		copyStruct(dst, src)
	case src.Kind() == reflect.Slice && src.Type() != dst.Type():
		if src.IsNil() {
			return
		}
		list := reflect.MakeSlice(dst.Type(), src.Len(), src.Len())
		for i := range src.Len() {
			copyValue(list.Index(i), src.Index(i))
		}
		dst.Set(list)
	case src.Type() == dst.Type():
		dst.Set(src) // nobody changes what a pointer of a request or a record points to
	case src.Type().ConvertibleTo(dst.Type()):
		dst.Set(src.Convert(dst.Type()))
	}
}

// overlay replaces the fields of the struct that dst points to by those of src that are set: a shallow merge.
func overlay(dst, src any) {
	to, from := reflect.ValueOf(dst).Elem(), reflect.ValueOf(src).Elem()
	for i := range from.NumField() {
		if from.Type().Field(i).IsExported() && !from.Field(i).IsZero() {
			to.Field(i).Set(from.Field(i))
		}
	}
}

// overlaid returns a copy of the struct that base points to with the fields of over that are set; either may be nil.
func overlaid[T any](base, over *T) *T {
	if base == nil || over == nil {
		if over != nil {
			return over
		}
		return base
	}
	c := *base
	overlay(&c, over)
	return &c
}

// empty reports whether nothing at all is set in a value: structs without members and lists without items count as nothing.
func empty(v reflect.Value) bool {
	switch v.Kind() { // the kinds that hold others; what else there is is set or zero
	case reflect.Pointer:
		return v.IsNil() || v.Elem().Kind() == reflect.Struct && empty(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && !empty(v.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		return v.Len() == 0
	}
	return v.IsZero()
}
