package config

import (
	"reflect"
	"slices"
	"strings"
)

// placeholder is Packer's value for a string that it doesn't know yet. Packer
// configures a post-processor twice, the first time with a placeholder for every value
// that is not known before the build; `packer validate` does the same for data sources.
// Such a value cannot be checked. It must not be used either. If the builder doesn't
// set a build variable that a template refers to, the placeholder stays, and Packer
// reports no error.
const placeholder = "<unknown>"

// Unknown reports whether Packer doesn't know the value, or a part of it, yet.
func Unknown(value string) bool { return strings.Contains(value, placeholder) }

// UnknownFields names the fields of a configuration that hold unknown values, as the
// user writes them, in order.
func UnknownFields(config any) []string {
	var fields []string
	walk(reflect.ValueOf(config), "", func(field, value string) {
		if Unknown(value) {
			fields = append(fields, field)
		}
	})
	slices.Sort(fields)
	return slices.Compact(fields)
}

// walk calls found for each text of a configuration, with its field as the user
// writes it. It leaves out what Packer adds.
func walk(value reflect.Value, path string, found func(field, value string)) {
	switch value.Kind() {
	case reflect.String:
		found(path, value.String())
	case reflect.Pointer, reflect.Interface:
		if !value.IsNil() {
			walk(value.Elem(), path, found)
		}
	case reflect.Slice:
		for i := range value.Len() {
			walk(value.Index(i), path, found)
		}
	case reflect.Map:
		for entries := value.MapRange(); entries.Next(); {
			walk(entries.Key(), path, found)
			walk(entries.Value(), path, found)
		}
	case reflect.Struct:
		for i := range value.NumField() {
			name, options, _ := strings.Cut(value.Type().Field(i).Tag.Get("mapstructure"), ",")
			switch {
			case options == "squash":
				walk(value.Field(i), path, found)
			case name != "" && !strings.HasPrefix(name, "packer_"):
				walk(value.Field(i), strings.TrimPrefix(path+"."+name, "."), found)
			}
		}
	}
}
